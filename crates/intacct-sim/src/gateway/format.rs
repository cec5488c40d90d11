//! The form in which records come back: in the envelope, or as a bare JSON array or CSV text,
//! which carries neither counts nor the end of the session.

use super::answer::{Column, text_of};
use super::request::Problems;
use crate::object::Object;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Xml,
    Json,
    Csv,
}

impl Format {
    pub(crate) fn read(text: &str, problems: &mut Problems) -> Self {
        match text {
            "xml" => Self::Xml,
            "json" => Self::Json,
            "csv" => Self::Csv,
            other => {
                problems.add(format!(
                    "the return format must be xml, json or csv, not '{other}'"
                ));
                Self::Xml
            }
        }
    }

    /// The content type of answers. The one of CSV is a guess.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Xml => "text/xml; encoding=\"UTF-8\"",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=UTF-8",
        }
    }
}

/// Records outside of an envelope: every value a text, empty for null.
#[derive(Debug)]
pub(super) struct Sheet {
    format: Format,
    names: Vec<String>,
    bytes: Vec<u8>,
    rows: usize,
}

impl Sheet {
    pub(super) fn new(format: Format, names: impl IntoIterator<Item = String>) -> Self {
        let mut sheet = Self {
            format,
            names: names.into_iter().collect(),
            bytes: Vec::new(),
            rows: 0,
        };
        match format {
            Format::Csv => {
                let names = std::mem::take(&mut sheet.names);
                sheet.line(names.iter().map(|name| name.as_bytes().to_vec()));
                sheet.names = names;
            }
            _ => sheet.bytes.push(b'['),
        }
        sheet
    }

    /// Adds a record with one text for each of the names.
    pub(super) fn row(&mut self, texts: impl Iterator<Item = Vec<u8>>) {
        if self.format == Format::Csv {
            self.line(texts);
        } else {
            self.object(texts);
        }
        self.rows += 1;
    }

    pub(super) fn records<'a>(
        &mut self,
        object: &(dyn Object<'a> + 'a),
        slots: impl Iterator<Item = u32>,
        columns: &[Column<'a>],
    ) {
        for slot in slots {
            self.row(columns.iter().map(|column| text_of(column, object, slot)));
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn finish(mut self) -> (Format, Vec<u8>) {
        if self.format == Format::Json {
            self.bytes.push(b']');
        }
        (self.format, self.bytes)
    }

    fn object(&mut self, texts: impl Iterator<Item = Vec<u8>>) {
        let mut lead = if self.rows == 0 { "{" } else { ",{" };
        for (name, text) in self.names.iter().zip(texts) {
            self.bytes.extend_from_slice(lead.as_bytes());
            push_json(&mut self.bytes, name);
            self.bytes.push(b':');
            push_json(&mut self.bytes, &String::from_utf8_lossy(&text));
            lead = ",";
        }
        self.bytes.push(b'}');
    }

    fn line(&mut self, texts: impl Iterator<Item = Vec<u8>>) {
        for (place, text) in texts.enumerate() {
            if place > 0 {
                self.bytes.push(b',');
            }
            if text.iter().any(|byte| b",\"\r\n".contains(byte)) {
                self.bytes.push(b'"');
                for byte in text {
                    if byte == b'"' {
                        self.bytes.push(b'"');
                    }
                    self.bytes.push(byte);
                }
                self.bytes.push(b'"');
            } else {
                self.bytes.extend_from_slice(&text);
            }
        }
        self.bytes.extend_from_slice(b"\r\n");
    }
}

fn push_json(out: &mut Vec<u8>, text: &str) {
    out.append(&mut serde_json::to_vec(text).unwrap_or_default());
}

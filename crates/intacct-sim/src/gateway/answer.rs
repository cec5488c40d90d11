//! Writing the answer: envelope, errors, and records straight from the company to bytes.

use super::format::{Format, Sheet};
use crate::calendar;
use crate::faults::ErrorText;
use crate::object::{Object, quirk};
use crate::select::Path;
use crate::value::Value;

/// An error as the gateway words it.
#[derive(Clone, Debug, Default)]
pub(crate) struct GatewayError {
    pub(crate) number: String,
    pub(crate) description: String,
    pub(crate) description2: String,
    pub(crate) correction: &'static str,
    /// Errors of a fault script, which stand in the place of this one.
    pub(crate) scripted: Vec<ErrorText>,
    /// What the texts speak of, by the names that additional information uses, such as `OBJECT`.
    pub(crate) about: Box<About>,
}

/// What the texts of an error speak of: a name such as `OBJECT`, and what it stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct About(Vec<(&'static str, String)>);

/// Why a function failed, the cause first, and what it had done until then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure {
    pub(crate) errors: Vec<GatewayError>,
    /// The `data` of what was done, already written.
    pub(crate) data: Vec<u8>,
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        Self {
            errors: vec![error],
            data: Vec::new(),
        }
    }
}

impl GatewayError {
    /// Errors as a fault script words them; there is at least one.
    pub(crate) fn scripted(errors: Vec<ErrorText>) -> Self {
        Self {
            scripted: errors,
            ..Self::default()
        }
    }

    /// The answer of the gateway's edge, which knows nothing of the request.
    pub(crate) fn of_the_edge(self) -> Vec<u8> {
        let mut xml = Xml::new(false);
        xml.open("response");
        xml.open("control");
        xml.leaf("status", "failure");
        xml.close("control");
        xml.errors(&[self], false);
        xml.close("response");
        xml.bytes
    }

    pub(crate) fn new(number: &str, description2: impl Into<String>) -> Self {
        Self {
            number: number.to_owned(),
            description2: description2.into(),
            ..Self::default()
        }
    }

    /// The failure of a search whose words the gateway does not understand.
    pub(crate) fn processing(description2: impl Into<String>) -> Self {
        Self {
            number: "DL02000001".to_owned(),
            description: "Error There was an error processing the request.".to_owned(),
            description2: description2.into(),
            correction: "Check the request and send it again.",
            ..Self::default()
        }
    }

    /// Says what the texts speak of.
    pub(crate) fn about(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.about.0.push((name, text.into()));
        self
    }

    pub(crate) fn no_object(name: &str) -> Self {
        Self::new(
            "Query Failed",
            format!("Object definition {name} not found"),
        )
        .about("OBJECT", name)
    }
}

/// XML that is being written.
#[derive(Debug)]
pub(crate) struct Xml {
    pub(crate) bytes: Vec<u8>,
    whitespace: bool,
    /// What is answered in place of the envelope.
    pub(crate) bare: Option<(Format, Vec<u8>)>,
}

impl Xml {
    pub(crate) fn new(whitespace: bool) -> Self {
        let mut xml = Self {
            bytes: Vec::with_capacity(1_024),
            whitespace,
            bare: None,
        };
        xml.bytes
            .extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml
    }

    /// A piece of a document, without declaration and line breaks.
    pub(crate) fn fragment() -> Self {
        Self {
            bytes: Vec::new(),
            whitespace: false,
            bare: None,
        }
    }

    pub(crate) fn open(&mut self, name: &str) {
        self.bytes.push(b'<');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'>');
        self.line();
    }

    pub(crate) fn close(&mut self, name: &str) {
        self.bytes.extend_from_slice(b"</");
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'>');
        self.line();
    }

    pub(crate) fn leaf(&mut self, name: &str, text: &str) {
        self.bytes.push(b'<');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'>');
        escape(&mut self.bytes, text.as_bytes());
        self.close(name);
    }

    /// A start tag with attributes, not yet closed by `>`.
    pub(crate) fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.bytes.push(b'<');
        self.bytes.extend_from_slice(name.as_bytes());
        for (name, text) in attributes {
            self.bytes.push(b' ');
            self.bytes.extend_from_slice(name.as_bytes());
            self.bytes.extend_from_slice(b"=\"");
            escape_attribute(&mut self.bytes, text);
            self.bytes.push(b'"');
        }
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn line(&mut self) {
        if self.whitespace {
            self.bytes.push(b'\n');
        }
    }

    pub(crate) fn errors(&mut self, errors: &[GatewayError], additional: bool) {
        self.open("errormessage");
        for error in errors {
            for scripted in &error.scripted {
                self.scripted_error(scripted, additional);
            }
            if !error.scripted.is_empty() {
                continue;
            }
            self.open("error");
            self.leaf("errorno", &error.number);
            self.leaf("description", &error.description);
            self.leaf("description2", &error.description2);
            self.leaf("correction", error.correction);
            if additional {
                self.additional_info(&format!("SIM-{}", error.number), &error.about.0);
            }
            self.close("error");
        }
        self.close("errormessage");
    }

    fn scripted_error(&mut self, error: &ErrorText, additional: bool) {
        let with_id = error.support_id.as_ref().map(|id| {
            let text = error.description2.as_deref().unwrap_or_default();
            // The gateway encodes the id as in an address.
            let id = id.replace('%', "%25").replace('~', "%7E");
            let blank = if text.is_empty() { "" } else { " " };
            format!("{text}{blank}[Support ID: {id}]")
        });
        let description2 = with_id.as_ref().or(error.description2.as_ref());
        self.open("error");
        for (name, text) in [
            ("errorno", error.number.as_ref()),
            ("description", error.description.as_ref()),
            ("description2", description2),
            ("correction", error.correction.as_ref()),
        ] {
            if let Some(text) = text {
                self.leaf(name, text);
            }
        }
        let text = error.description2.clone().unwrap_or_default();
        let about = [("TEXT", text)];
        match &error.additional_id {
            Some(id) => self.additional_info(id, &about),
            None if additional => {
                let number = error.number.as_deref().unwrap_or_default();
                self.additional_info(&format!("SIM-{number}"), &about);
            }
            None => {}
        }
        self.close("error");
    }

    /// `additionalinfo` as the vendor shows it (developer.intacct.com, Web services requests): it
    /// holds elements of the same names as the error around it.
    fn additional_info(&mut self, id: &str, about: &[(&'static str, String)]) {
        let named = |wanted: &str| {
            let known = about.iter().find(|(name, _)| *name == wanted);
            known.map_or("", |(_, text)| text)
        };
        self.open("additionalinfo");
        self.leaf("errorid", id);
        self.leaf("category", "GENERAL");
        let target = [
            ("domain", "SIM"),
            ("requestinfo", ""),
            ("object", named("OBJECT")),
            ("field", named("FIELD")),
            ("businessinfo", ""),
        ];
        self.start("target", &target);
        self.raw("/>");
        self.line();
        for part in ["description", "cdescription", "correction"] {
            self.open(part);
            self.leaf("messageid", &format!("SIM.{}", part.to_uppercase()));
            self.start("target", &target);
            self.raw("/>");
            self.line();
            self.open("placeholders");
            for (name, text) in about {
                self.start("placeholder", &[("name", name), ("value", text)]);
                self.raw("/>");
                self.line();
            }
            self.close("placeholders");
            self.close(part);
        }
        self.close("additionalinfo");
    }

    /// Answers records in place of the envelope.
    pub(crate) fn answer_bare(&mut self, sheet: Sheet) {
        self.bare = Some(sheet.finish());
    }

    /// Session times as they appear in every authentication block.
    pub(crate) fn session_times(&mut self, now: i64, timeout: i64) {
        self.leaf("sessiontimestamp", &calendar::iso(now));
        self.leaf("sessiontimeout", &calendar::iso(timeout));
    }
}

/// A field of every record of an answer, with its tags ready.
pub(crate) struct Column<'a> {
    pub(crate) name: String,
    pub(crate) path: Path<'a>,
    place: usize,
    open: Vec<u8>,
    close: Vec<u8>,
    empty: Vec<u8>,
}

impl<'a> Column<'a> {
    pub(crate) fn new(name: &str, path: Path<'a>) -> Self {
        Self {
            name: name.to_owned(),
            place: path.place(),
            path,
            open: format!("<{name}>").into_bytes(),
            close: format!("</{name}>").into_bytes(),
            empty: format!("<{name}/>").into_bytes(),
        }
    }
}

/// The text of a field, not escaped, empty for null.
pub(crate) fn text_of<'a>(
    column: &Column<'a>,
    object: &(dyn Object<'a> + 'a),
    slot: u32,
) -> Vec<u8> {
    let mut text = Vec::new();
    let value = column.path.value(object, slot);
    value.push(&mut text, quirk(object.key(slot), column.place));
    text
}

/// Writes the fields of a record.
pub(crate) fn push_fields<'a>(
    out: &mut Vec<u8>,
    object: &(dyn Object<'a> + 'a),
    slot: u32,
    columns: &[Column<'a>],
) {
    let key = object.key(slot);
    for column in columns {
        let value = column.path.value(object, slot);
        let quirk = quirk(key, column.place);
        if value.is_null() {
            if quirk.is_multiple_of(3) {
                out.extend_from_slice(&column.empty);
            } else {
                out.extend_from_slice(&column.open);
                out.extend_from_slice(&column.close);
            }
            continue;
        }
        out.extend_from_slice(&column.open);
        push_value(out, &value, quirk);
        out.extend_from_slice(&column.close);
    }
}

fn push_value(out: &mut Vec<u8>, value: &Value<'_>, quirk: u32) {
    if !value.needs_escape() {
        value.push(out, quirk);
        return;
    }
    let text: &str = match value {
        Value::Text(text) => text,
        Value::Wire(text, _) => text,
        _ => return,
    };
    // Some texts come as sections; a carriage return cannot be written in one.
    let as_section = quirk % 7 == 3 && text.contains(['<', '&']) && !text.contains('\r');
    if as_section {
        out.extend_from_slice(b"<![CDATA[");
        out.extend_from_slice(text.replace("]]>", "]]]]><![CDATA[>").as_bytes());
        out.extend_from_slice(b"]]>");
    } else {
        escape(out, text.as_bytes());
    }
}

/// Writes text content, escaped.
pub(crate) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'\r' => b"&#13;",
            _ => continue,
        };
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(escaped);
        from = at + 1;
    }
    out.extend_from_slice(&text[from..]);
}

fn escape_attribute(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'\t' => out.extend_from_slice(b"&#9;"),
            b'\n' => out.extend_from_slice(b"&#10;"),
            other => escape(out, &[other]),
        }
    }
}

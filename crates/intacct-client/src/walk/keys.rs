//! Noting where the records of a page stand while they are read into something else.

use intacct_xml::response::{DataStart, RecordEnd, RecordTarget};
use intacct_xml::{Error, FieldName};

use super::machine::RowKey;

/// Hands everything on to another target, and keeps key and modified time of each record, in the answer's order, also
/// of records that the other target rejects.
pub(super) struct Keys {
    key: FieldName,
    modified: Option<FieldName>,
    /// Those of the two that the other target did not ask for.
    hidden: Vec<FieldName>,
    rows: Vec<Row>,
    /// All texts, one behind the other.
    text: String,
    depth: usize,
    /// Whether the record is read a second time, at the other target's wish.
    again: bool,
}

#[derive(Clone, Copy, Default)]
struct Row {
    key: Option<Span>,
    modified: Option<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Keys {
    pub(super) fn new(key: FieldName, modified: Option<FieldName>) -> Self {
        Self {
            key,
            modified,
            hidden: Vec::new(),
            rows: Vec::new(),
            text: String::new(),
            depth: 0,
            again: false,
        }
    }

    /// Keeps key and modified field from the other target where they are not among the fields that it asked for.
    #[cfg(feature = "arrow")]
    pub(super) fn hiding_all_but(mut self, wanted: &[FieldName]) -> Self {
        let own = std::iter::once(&self.key).chain(&self.modified);
        self.hidden = own.filter(|name| !wanted.contains(name)).cloned().collect();
        self
    }

    /// Where the records of the page stand that was read to its end.
    pub(super) fn rows(&self) -> Vec<RowKey<'_>> {
        let text = |span: Option<Span>| span.and_then(|span| self.text.get(span.start..span.end));
        self.rows
            .iter()
            .map(|row| RowKey {
                modified: text(row.modified),
                key: text(row.key),
            })
            .collect()
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.text.clear();
        self.depth = 0;
        self.again = false;
    }

    fn begin_record(&mut self) {
        self.depth = 0;
        if !self.again {
            self.rows.push(Row::default());
        }
    }

    fn note(&mut self, name: &str, value: &str) {
        let is_key = name == self.key.as_str();
        let is_modified = || {
            self.modified
                .as_ref()
                .is_some_and(|modified| name == modified.as_str())
        };
        if self.again || self.depth > 0 || !(is_key || is_modified()) {
            return;
        }
        let start = self.text.len();
        self.text.push_str(value);
        let span = Some(Span {
            start,
            end: self.text.len(),
        });
        if let Some(row) = self.rows.last_mut() {
            *(if is_key {
                &mut row.key
            } else {
                &mut row.modified
            }) = span;
        }
    }
}

/// The keys and the target behind them, for one reading.
pub(super) struct Noting<'a> {
    pub(super) keys: &'a mut Keys,
    pub(super) target: &'a mut (dyn RecordTarget + Send),
}

impl RecordTarget for Noting<'_> {
    fn begin_response(&mut self) -> Result<(), Error> {
        self.keys.clear();
        self.target.begin_response()
    }

    fn begin_data(&mut self, data: &DataStart<'_>) -> Result<(), Error> {
        self.target.begin_data(data)
    }

    fn attribute(&mut self, element: &str, name: &str, value: &str) -> Result<(), Error> {
        self.target.attribute(element, name, value)
    }

    fn begin_record(&mut self, name: &str) -> Result<(), Error> {
        self.keys.begin_record();
        self.target.begin_record(name)
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        if let Some(value) = value {
            self.keys.note(name, value);
        }
        // A rejected record is kept whole: then the target sees all there is.
        let hidden = self.keys.depth == 0
            && !self.keys.again
            && self
                .keys
                .hidden
                .iter()
                .any(|hidden| hidden.as_str() == name);
        if hidden {
            Ok(())
        } else {
            self.target.field(name, value)
        }
    }

    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        self.keys.depth += 1;
        self.target.begin_group(name)
    }

    fn end_group(&mut self, name: &str) -> Result<(), Error> {
        self.keys.depth = self.keys.depth.saturating_sub(1);
        self.target.end_group(name)
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        self.target.text(text)
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        let end = self.target.end_record()?;
        self.keys.again = end == RecordEnd::Again;
        Ok(end)
    }

    fn end_data(&mut self) -> Result<(), Error> {
        self.target.end_data()
    }
}

//! Noting where the records of a page stand while they are read into something else.

use intacct_xml::response::{Block, DataStart, RecordEnd, RecordTarget, Value};
use intacct_xml::{Error, FieldName};

use super::machine::RowKey;

/// Hands everything on to another target, and keeps key and modified time of each record, in the answer's order, also
/// of records that the other target rejects.
pub(super) struct Keys {
    keys: Vec<FieldName>,
    modified: Option<FieldName>,
    /// Those of the two that the other target did not ask for.
    hidden: Vec<FieldName>,
    rows: Vec<Row>,
    /// The key texts of all rows, as many for each as there are key fields.
    key_texts: Vec<Option<Span>>,
    /// All texts, one behind the other.
    text: String,
    depth: usize,
    /// Whether the record is read a second time, at the other target's wish.
    again: bool,
    places: Places,
}

/// Where the records of a layout have the fields that are noted.
#[derive(Default)]
struct Places {
    /// The layout that they were looked up for.
    layout: Option<u64>,
    keys: Vec<Option<usize>>,
    modified: Option<usize>,
    hidden: Vec<usize>,
}

#[derive(Clone, Copy, Default)]
struct Row {
    modified: Option<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Keys {
    pub(super) fn new(
        keys: impl IntoIterator<Item = FieldName>,
        modified: Option<FieldName>,
    ) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            modified,
            hidden: Vec::new(),
            rows: Vec::new(),
            key_texts: Vec::new(),
            text: String::new(),
            depth: 0,
            again: false,
            places: Places::default(),
        }
    }

    /// Keeps key and modified field from the other target where they are not among the fields that it asked for.
    #[cfg(feature = "arrow")]
    pub(super) fn hiding_all_but(mut self, wanted: &[FieldName]) -> Self {
        let own = self.keys.iter().chain(&self.modified);
        self.hidden = own.filter(|name| !wanted.contains(name)).cloned().collect();
        self
    }

    /// Where the records of the page stand that was read to its end, by the first of the key fields.
    pub(super) fn rows(&self) -> Vec<RowKey<'_>> {
        let firsts = self.key_texts.chunks(self.keys.len().max(1));
        let rows = self.rows.iter().zip(firsts);
        rows.map(|(row, texts)| RowKey {
            modified: self.text_of(row.modified),
            key: texts.first().and_then(|text| self.text_of(*text)),
        })
        .collect()
    }

    /// The values of all key fields of each record in one text, parted by a character that XML forbids.
    pub(super) fn joined(&self) -> Vec<String> {
        let texts = self.key_texts.chunks(self.keys.len().max(1));
        let joined = |texts: &[Option<Span>]| {
            let texts = texts.iter().map(|text| self.text_of(*text).unwrap_or(""));
            texts.collect::<Vec<_>>().join("\u{1f}")
        };
        texts.map(joined).collect()
    }

    fn text_of(&self, span: Option<Span>) -> Option<&str> {
        span.and_then(|span| self.text.get(span.start..span.end))
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.key_texts.clear();
        self.text.clear();
        self.depth = 0;
        self.again = false;
    }

    fn begin_record(&mut self) {
        self.depth = 0;
        if !self.again {
            self.rows.push(Row::default());
            let texts = self.key_texts.len() + self.keys.len();
            self.key_texts.resize(texts, None);
        }
    }

    /// Notes what stands in records that come together.
    fn note_block(&mut self, block: &Block<'_>) {
        self.look_up(block);
        for record in 0..block.len() {
            let text = &mut self.text;
            let mut span = |place: &Option<usize>| match block.value(record, (*place)?) {
                Value::Text(value) => {
                    let start = text.len();
                    text.push_str(value);
                    let end = text.len();
                    Some(Span { start, end })
                }
                _ => None,
            };
            self.key_texts
                .extend(self.places.keys.iter().map(&mut span));
            let modified = span(&self.places.modified);
            self.rows.push(Row { modified });
        }
    }

    fn look_up(&mut self, block: &Block<'_>) {
        if self.places.layout == Some(block.layout_id()) {
            return;
        }
        let place = |name: &FieldName| block.place(name.as_str());
        self.places = Places {
            layout: Some(block.layout_id()),
            keys: self.keys.iter().map(place).collect(),
            modified: self.modified.as_ref().and_then(place),
            hidden: self.hidden.iter().filter_map(place).collect(),
        };
    }

    fn note(&mut self, name: &str, value: &str) {
        let key = self.keys.iter().position(|key| name == key.as_str());
        let is_modified = || {
            self.modified
                .as_ref()
                .is_some_and(|modified| name == modified.as_str())
        };
        if self.again || self.depth > 0 || !(key.is_some() || is_modified()) {
            return;
        }
        let start = self.text.len();
        self.text.push_str(value);
        let end = self.text.len();
        let span = Some(Span { start, end });
        match key {
            Some(key) => {
                let first = self.key_texts.len().saturating_sub(self.keys.len());
                if let Some(text) = self.key_texts.get_mut(first + key) {
                    *text = span;
                }
            }
            None => {
                if let Some(row) = self.rows.last_mut() {
                    row.modified = span;
                }
            }
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

    fn records(&mut self, block: &Block<'_>) -> Result<(), Error> {
        self.keys.note_block(block);
        self.target.records(&block.hiding(&self.keys.places.hidden))
    }

    fn end_data(&mut self) -> Result<(), Error> {
        self.target.end_data()
    }
}

//! Records as lines of JSON.

use std::collections::HashMap;

use super::predict::Block;
use super::target::{DataStart, RecordEnd, RecordTarget};
use super::tree::{Element, Tree};
use crate::error::Error;
use crate::rewrite::{Json, Piece, Scratch, write_between};

/// Writes every record as one line of JSON (newline-delimited JSON, RFC 8259 texts).
///
/// | in the answer | in the line |
/// |---|---|
/// | a field | a string: nothing is typed |
/// | an empty field | `null` |
/// | an element with elements in it | an object |
/// | elements of one name in a row | an array, where the first of them stands |
/// | an attribute, text beside elements | `"@name"`, `"#text"` in the object of its element |
///
/// Fields stand in the order of the answer under their names there.
/// Records of all functions of an answer go into the same lines.
#[derive(Clone, Default)]
pub struct NdjsonLines {
    lines: Scratch,
    records: u64,
    /// The record that arrives call by call.
    record: Tree,
    /// The keys of a layout.
    keys: Vec<Key>,
    layout: Option<u64>,
}

/// What stands before a text, and what stands for none.
#[derive(Clone)]
struct Key {
    /// `,"NAME":"`
    before: Piece,
    /// `,"NAME":null`
    null: Piece,
}

impl NdjsonLines {
    /// No lines yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines, each with its line feed; UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        self.lines.as_bytes()
    }

    /// How many lines there are.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Takes the lines out.
    pub fn take(&mut self) -> Vec<u8> {
        self.records = 0;
        std::mem::take(&mut self.lines).into_bytes()
    }

    /// Forgets the lines, keeps the memory: for lines that were written elsewhere.
    ///
    /// A page counts only when its answer was read to the end, so whoever writes lines before that
    /// must be able to take them back.
    pub fn clear(&mut self) {
        self.records = 0;
        self.lines.clear();
    }

    fn learn(&mut self, block: &Block<'_>) {
        self.layout = Some(block.layout_id());
        self.keys = block
            .names()
            .iter()
            .map(|name| {
                let mut key = Scratch::default();
                push_key(&mut key, name);
                Key {
                    before: Piece::new(&[key.as_bytes(), b"\""].concat()),
                    null: Piece::new(&[key.as_bytes(), b"null"].concat()),
                }
            })
            .collect();
    }
}

impl std::fmt::Debug for NdjsonLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NdjsonLines")
            .field("records", &self.records)
            .field("bytes", &self.lines.len())
            .finish_non_exhaustive()
    }
}

impl RecordTarget for NdjsonLines {
    fn begin_response(&mut self) -> Result<(), Error> {
        self.clear();
        self.record.begin_response()
    }

    fn begin_data(&mut self, data: &DataStart<'_>) -> Result<(), Error> {
        self.record.begin_data(data)
    }

    fn attribute(&mut self, element: &str, name: &str, value: &str) -> Result<(), Error> {
        self.record.attribute(element, name, value)
    }

    fn begin_record(&mut self, name: &str) -> Result<(), Error> {
        self.record.begin_record(name)
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        self.record.field(name, value)
    }

    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        self.record.begin_group(name)
    }

    fn end_group(&mut self, name: &str) -> Result<(), Error> {
        self.record.end_group(name)
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        self.record.text(text)
    }

    fn records(&mut self, block: &Block<'_>) -> Result<(), Error> {
        if self.layout != Some(block.layout_id()) {
            self.learn(block);
        }
        for record in 0..block.len() {
            let start = self.lines.len();
            let mut field = 0;
            while field < self.keys.len() {
                let short = block.short_texts(record, field);
                let (members, bytes) = write_members(self.lines.room(), short, &self.keys[field..]);
                self.lines.keep(bytes);
                field += members;
                if let (Some(key), Some(text)) = (self.keys.get(field), block.shown(record, field))
                {
                    key.push_member(&mut self.lines, text);
                }
                field += 1;
            }
            close_object(&mut self.lines, start);
            self.lines.push(b"\n");
        }
        self.records += block.len() as u64;
        Ok(())
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        let end = self.record.end_record()?;
        if let Some(record) = self.record.pop_record() {
            push_object(&mut self.lines, &record);
            self.lines.push(b"\n");
            self.records += 1;
        }
        Ok(end)
    }
}

impl Key {
    fn push_member(&self, out: &mut Scratch, text: &[u8]) {
        if text.is_empty() {
            out.push_piece(&self.null);
            return;
        }
        out.push_piece(&self.before);
        out.push_bytes_as::<Json>(text);
        out.push(b"\"");
    }
}

/// Writes members as long as they are short and stand in a text as they are: how many, and their bytes.
#[inline(never)]
fn write_members<'t>(
    room: &mut [u8],
    texts: impl Iterator<Item = Option<(&'t [u8], usize)>>,
    keys: &[Key],
) -> (usize, usize) {
    let all = room.len();
    let mut room = room;
    let mut members = 0;
    for (text, key) in texts.zip(keys) {
        members += 1;
        let Some((text, len)) = text else {
            continue;
        };
        // Whether a field is empty is not to be predicted, so there is no branch on it.
        let before = if len > 0 { &key.before } else { &key.null };
        let Some(written) = write_between::<Json>(room, before, (text, len), (b'"', len > 0))
        else {
            members -= 1;
            break;
        };
        room = room.get_mut(written..).unwrap_or_default();
    }
    (members, all - room.len())
}

/// Turns members, each with a comma before it, into an object.
fn close_object(out: &mut Scratch, start: usize) {
    if out.len() == start {
        out.push(b"{");
    } else {
        out.replace(start, b'{');
    }
    out.push(b"}");
}

fn push_value(out: &mut Scratch, element: &Element) {
    let is_field = element.children().is_empty() && element.attributes().next().is_none();
    match element.text() {
        Some(text) if is_field => push_string(out, text.as_bytes()),
        None if is_field => out.push(b"null"),
        _ => push_object(out, element),
    }
}

fn push_object(out: &mut Scratch, element: &Element) {
    let mut by_name: HashMap<&str, Vec<&Element>> = HashMap::new();
    for child in element.children() {
        by_name.entry(child.name()).or_default().push(child);
    }
    let start = out.len();
    for (name, value) in element.attributes() {
        push_key(out, &["@", name].concat());
        push_string(out, value.as_bytes());
    }
    if let Some(text) = element.text() {
        push_key(out, "#text");
        push_string(out, text.as_bytes());
    }
    for child in element.children() {
        let Some(row) = by_name.remove(child.name()) else {
            continue;
        };
        push_key(out, child.name());
        match row[..] {
            [single] => push_value(out, single),
            _ => push_array(out, &row),
        }
    }
    close_object(out, start);
}

fn push_array(out: &mut Scratch, elements: &[&Element]) {
    let mut separator = b"[";
    for element in elements {
        out.push(separator);
        push_value(out, element);
        separator = b",";
    }
    out.push(b"]");
}

fn push_key(out: &mut Scratch, name: &str) {
    out.push(b",");
    push_string(out, name.as_bytes());
    out.push(b":");
}

fn push_string(out: &mut Scratch, text: &[u8]) {
    out.push(b"\"");
    out.push_bytes_as::<Json>(text);
    out.push(b"\"");
}

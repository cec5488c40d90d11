//! Records as the caller's own structs.

use serde::de::DeserializeOwned;

use self::deserialize::RecordDeserializer;
use super::target::{DataStart, RecordEnd, RecordTarget};
use crate::error::Error;

mod deserialize;

/// Reads every record into a struct that implements `serde::Deserialize`.
///
/// Fields are matched by element name: use `rename` or `rename_all = "UPPERCASE"`, also for dotted
/// names.
/// Empty, self-closed and absent elements are `None`; unknown elements are passed over.
/// Booleans and integers are read as [`values`](crate::values) says.
/// Decimals are read into `String` or a decimal type that deserialises from text; into `f32` or `f64`
/// they are refused, because money would be rounded.
/// Lines nested in a record are structs; elements of one name in a row are a `Vec`.
#[derive(Clone, Debug)]
pub struct Records<T> {
    records: Vec<T>,
    buffer: RecordBuffer,
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            buffer: RecordBuffer::default(),
        }
    }
}

impl<T> Records<T> {
    /// No records yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records in the order of the answer.
    pub fn as_slice(&self) -> &[T] {
        &self.records
    }

    /// The records in the order of the answer.
    pub fn into_vec(self) -> Vec<T> {
        self.records
    }

    /// Takes the records out, for a target that is used for many pages.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.records)
    }
}

impl<T: DeserializeOwned> RecordTarget for Records<T> {
    fn begin_response(&mut self) -> Result<(), Error> {
        self.records.clear();
        Ok(())
    }

    fn begin_data(&mut self, data: &DataStart<'_>) -> Result<(), Error> {
        const SENSIBLE: u64 = 2_000;
        let expected = data.attributes.count.unwrap_or(0).min(SENSIBLE);
        self.records.reserve(usize::try_from(expected).unwrap_or(0));
        Ok(())
    }

    fn begin_record(&mut self, name: &str) -> Result<(), Error> {
        self.buffer.clear();
        self.buffer.open(name);
        Ok(())
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        self.buffer.leaf(name, value);
        Ok(())
    }

    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        self.buffer.open(name);
        Ok(())
    }

    fn end_group(&mut self, _name: &str) -> Result<(), Error> {
        self.buffer.close();
        Ok(())
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        self.buffer.close();
        let record = T::deserialize(RecordDeserializer::new(&self.buffer)).map_err(Error::from)?;
        self.records.push(record);
        Ok(RecordEnd::Done)
    }
}

/// One record, flat in memory that is used again for the next.
#[derive(Clone, Default)]
struct RecordBuffer {
    text: String,
    /// The record itself, then everything in it in document order.
    nodes: Vec<Node>,
    open: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Node {
    name: (usize, usize),
    /// `None` if the element is empty or holds elements.
    value: Option<(usize, usize)>,
    /// The first node that is no longer in this one.
    end: usize,
}

impl RecordBuffer {
    fn clear(&mut self) {
        self.text.clear();
        self.nodes.clear();
        self.open.clear();
    }

    fn open(&mut self, name: &str) {
        self.open.push(self.nodes.len());
        let name = self.keep(name);
        self.nodes.push(Node {
            name,
            value: None,
            end: usize::MAX,
        });
    }

    fn close(&mut self) {
        let end = self.nodes.len();
        if let Some(node) = self.open.pop().and_then(|at| self.nodes.get_mut(at)) {
            node.end = end;
        }
    }

    fn leaf(&mut self, name: &str, value: Option<&str>) {
        let name = self.keep(name);
        let value = value.map(|value| self.keep(value));
        self.nodes.push(Node {
            name,
            value,
            end: self.nodes.len() + 1,
        });
    }

    fn keep(&mut self, text: &str) -> (usize, usize) {
        let start = self.text.len();
        self.text.push_str(text);
        (start, self.text.len())
    }

    fn name(&self, node: usize) -> &str {
        self.nodes
            .get(node)
            .map_or("", |node| &self.text[node.name.0..node.name.1])
    }

    fn value(&self, node: usize) -> Option<&str> {
        let (start, end) = self.nodes.get(node)?.value?;
        Some(&self.text[start..end])
    }

    fn end(&self, node: usize) -> usize {
        self.nodes
            .get(node)
            .map_or(node + 1, |node| node.end.min(self.nodes.len()))
    }
}

impl std::fmt::Debug for RecordBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordBuffer")
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

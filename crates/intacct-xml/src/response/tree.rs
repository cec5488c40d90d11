//! Records as they stand, nested and untyped.

use std::fmt;

use super::target::{DataStart, RecordEnd, RecordTarget};
use crate::error::Error;

/// Keeps every record as an [`Element`]: for sessions, definitions and records with owned lines.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    data: Vec<TreeData>,
    /// The record being read and the groups open in it, the innermost last.
    open: Vec<Element>,
    attributes: Vec<(String, String)>,
}

/// The records of one function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeData {
    /// The control id of the function.
    pub control_id: String,
    /// The records.
    pub records: Vec<Element>,
}

/// An element of an answer: attributes, text, and elements in it.
///
/// `Debug` shows names only: any record can hold a session id or a bank account.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: Option<String>,
    children: Vec<Element>,
}

impl Tree {
    /// No records yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The records by function, in the order of the answer.
    pub fn data(&self) -> &[TreeData] {
        &self.data
    }

    /// Takes the record out that was read last.
    pub(super) fn pop_record(&mut self) -> Option<Element> {
        self.data.last_mut()?.records.pop()
    }

    /// The records of the function with this control id; none if it gave none.
    pub fn records(&self, control_id: &str) -> &[Element] {
        self.data
            .iter()
            .find(|data| data.control_id == control_id)
            .map_or(&[], |data| &data.records)
    }
}

impl Element {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            attributes: Vec::new(),
            text: None,
            children: Vec::new(),
        }
    }

    /// The name of the element.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that stands in it directly; `None` if there is none.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The elements in it, in order.
    pub fn children(&self) -> &[Element] {
        &self.children
    }

    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The elements of this name in it.
    pub fn children_named(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element of this name in it.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).and_then(Element::text)
    }

    pub(super) fn push_attribute(&mut self, name: &str, value: &str) {
        self.attributes.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn push_text(&mut self, text: &str) {
        self.text.get_or_insert_default().push_str(text);
    }

    pub(super) fn push_child(&mut self, child: Element) {
        self.children.push(child);
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, _) in &self.attributes {
            write!(f, " {name}")?;
        }
        f.write_str(">")?;
        if self.text.is_some() {
            f.write_str("[redacted]")?;
        }
        if !self.children.is_empty() {
            f.debug_list().entries(&self.children).finish()?;
        }
        Ok(())
    }
}

impl RecordTarget for Tree {
    fn begin_response(&mut self) -> Result<(), Error> {
        *self = Self::default();
        Ok(())
    }

    fn begin_data(&mut self, data: &DataStart<'_>) -> Result<(), Error> {
        self.data.push(TreeData {
            control_id: data.control_id.to_owned(),
            records: Vec::new(),
        });
        Ok(())
    }

    fn attribute(&mut self, _element: &str, name: &str, value: &str) -> Result<(), Error> {
        self.attributes.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    fn begin_record(&mut self, name: &str) -> Result<(), Error> {
        self.begin_group(name)
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let mut field = Element::new(name);
        field.attributes = std::mem::take(&mut self.attributes);
        field.text = value.map(str::to_owned);
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(field);
        }
        Ok(())
    }

    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        let mut group = Element::new(name);
        group.attributes = std::mem::take(&mut self.attributes);
        self.open.push(group);
        Ok(())
    }

    fn end_group(&mut self, _name: &str) -> Result<(), Error> {
        if let Some(group) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            parent.children.push(group);
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        if let Some(element) = self.open.last_mut() {
            element.push_text(text);
        }
        Ok(())
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        if let (Some(record), Some(data)) = (self.open.pop(), self.data.last_mut()) {
            data.records.push(record);
        }
        Ok(RecordEnd::Done)
    }
}

//! Functions that have no type of their own here.

use std::fmt;

use super::writer::Writer;
use crate::name::FieldName;

/// A function by its name, with whatever stands in it: for functions that write, which this crate does not model.
///
/// Nothing but the well-formedness is checked. `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct RawFunction {
    name: FieldName,
    body: Vec<RawElement>,
}

/// An element of a [`RawFunction`]: text, or elements. `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct RawElement {
    name: FieldName,
    text: String,
    children: Vec<RawElement>,
}

impl RawFunction {
    /// A function such as `create` with what stands in it.
    pub fn new(name: FieldName, body: impl IntoIterator<Item = RawElement>) -> Self {
        let body = body.into_iter().collect();
        Self { name, body }
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// About how many bytes it is written in, so that the document of a thousand records is not
    /// moved ten times while it grows.
    pub(super) fn likely_size(&self) -> usize {
        let elements = self.body.iter().map(RawElement::likely_size);
        tags(&self.name) + elements.sum::<usize>()
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open(self.name.as_str());
        for element in &self.body {
            element.write(writer);
        }
        writer.close(self.name.as_str());
    }
}

impl RawElement {
    /// An element with text, which is escaped when it is written.
    pub fn text(name: FieldName, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            name,
            text,
            children: Vec::new(),
        }
    }

    /// An element with elements in it.
    pub fn group(name: FieldName, children: impl IntoIterator<Item = Self>) -> Self {
        Self {
            name,
            text: String::new(),
            children: children.into_iter().collect(),
        }
    }

    fn likely_size(&self) -> usize {
        let children = self.children.iter().map(Self::likely_size);
        tags(&self.name) + self.text.len() + self.text.len() / 16 + children.sum::<usize>()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        if self.children.is_empty() {
            return writer.element(self.name.as_str(), &self.text);
        }
        writer.open(self.name.as_str());
        for child in &self.children {
            child.write(writer);
        }
        writer.close(self.name.as_str());
    }
}

fn tags(name: &FieldName) -> usize {
    "<></>".len() + 2 * name.as_str().len()
}

impl fmt::Debug for RawFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.name.as_str()).field(&self.body).finish()
    }
}

impl fmt::Debug for RawElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name)?;
        if !self.children.is_empty() {
            f.debug_list().entries(&self.children).finish()?;
        }
        Ok(())
    }
}

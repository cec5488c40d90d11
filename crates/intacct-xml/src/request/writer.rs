//! Elements into a caller's buffer.

use crate::escape::{push_attribute, push_text};

/// Writes elements one after another. Names are constants or checked newtypes; texts are escaped here.
pub(super) struct Writer<'b> {
    out: &'b mut String,
}

impl<'b> Writer<'b> {
    pub(super) fn new(out: &'b mut String) -> Self {
        Self { out }
    }

    pub(super) fn open(&mut self, name: &str) {
        self.open_with(name, &[]);
    }

    pub(super) fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            push_attribute(self.out, value);
            self.out.push('"');
        }
        self.out.push('>');
    }

    pub(super) fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    pub(super) fn empty(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push_str("/>");
    }

    /// An element with text.
    pub(super) fn element(&mut self, name: &str, text: &str) {
        self.open(name);
        push_text(self.out, text);
        self.close(name);
    }

    /// An element with text, or nothing.
    pub(super) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.element(name, text);
        }
    }

    /// What another writer has made.
    pub(super) fn raw(&mut self, xml: &str) {
        self.out.push_str(xml);
    }
}

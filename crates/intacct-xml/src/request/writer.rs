//! Elements into a caller's buffer.

use crate::escape::XmlBuffer;

/// Writes elements one after another. Names are constants or checked newtypes; texts are escaped here.
pub(super) struct Writer<'b> {
    out: &'b mut XmlBuffer,
}

impl<'b> Writer<'b> {
    pub(super) fn new(out: &'b mut XmlBuffer) -> Self {
        Self { out }
    }

    #[inline]
    pub(super) fn open(&mut self, name: &str) {
        self.out.push_start_tag(name);
    }

    pub(super) fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.out.push_raw("<");
        self.out.push_raw(name);
        for (name, value) in attributes {
            self.out.push_raw(" ");
            self.out.push_raw(name);
            self.out.push_raw("=\"");
            self.out.push_attribute(value);
            self.out.push_raw("\"");
        }
        self.out.push_raw(">");
    }

    #[inline]
    pub(super) fn close(&mut self, name: &str) {
        self.out.push_end_tag(name);
    }

    pub(super) fn empty(&mut self, name: &str) {
        self.out.push_raw("<");
        self.out.push_raw(name);
        self.out.push_raw("/>");
    }

    /// An element with text.
    pub(super) fn element(&mut self, name: &str, text: &str) {
        self.out.push_element(name, text);
    }

    /// An element with a text of which no copy may be left behind outside the buffer.
    pub(super) fn secret(&mut self, name: &str, text: &str) {
        self.open(name);
        // Text with something to escape is copied to the stack on its way; so only a character is.
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (character, behind) = rest.split_at(first.len_utf8());
            self.out.push_text(character);
            rest = behind;
        }
        self.close(name);
    }

    /// An element with text, or nothing.
    pub(super) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.element(name, text);
        }
    }
}

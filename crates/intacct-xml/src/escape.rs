//! Text made safe to stand in an XML document: [sanitised](crate::sanitise) and escaped in one pass.
//!
//! Input is raw text: `&amp;` in the input means five literal characters.
//! In element text `&`, `<`, `>` and the carriage return are written as references; a parser would
//! otherwise turn a carriage return into a line feed.
//! In attribute values the quotes, tab and line feed are as well; a parser would turn the last two
//! into spaces.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroize;

use crate::rewrite::{Attribute, Form, Scratch, Text, find};

/// The text as it can stand between two tags. Borrows when nothing has to change.
///
/// ```
/// use intacct_xml::escape::escape_text;
///
/// assert_eq!(escape_text("Smith & \u{1}Sons <AP>"), "Smith &amp; Sons &lt;AP&gt;");
/// ```
#[inline]
pub fn escape_text(text: &str) -> Cow<'_, str> {
    escape::<Text>(text)
}

/// The text as it can stand in an attribute value, whichever quotes surround it. Borrows when
/// nothing has to change.
///
/// ```
/// use intacct_xml::escape::escape_attribute;
///
/// assert_eq!(escape_attribute("5\" pipe\n"), "5&quot; pipe&#10;");
/// ```
#[inline]
pub fn escape_attribute(text: &str) -> Cow<'_, str> {
    escape::<Attribute>(text)
}

/// Appends what [`escape_text`] returns. Many texts are faster appended to an [`XmlBuffer`].
#[inline]
pub fn push_text(out: &mut String, text: &str) {
    push::<Text>(out, text);
}

/// Appends what [`escape_attribute`] returns. Many texts are faster appended to an [`XmlBuffer`].
#[inline]
pub fn push_attribute(out: &mut String, text: &str) {
    push::<Attribute>(out, text);
}

/// A document being written: a buffer that escaped texts are appended to, to be used again and again.
///
/// Its memory is initialised some hundred bytes beyond the end, so that texts are copied in blocks
/// of fixed size; that makes it about as fast as appending the same texts unescaped to a `String`.
/// `Debug` shows the length only: requests hold secrets.
///
/// ```
/// use intacct_xml::escape::XmlBuffer;
///
/// let mut xml = XmlBuffer::new();
/// for name in ["Smith & Sons", "Müller"] {
///     xml.clear();
///     xml.push_raw("<name of=\"");
///     xml.push_attribute(name);
///     xml.push_raw("\"/>");
///     assert!(xml.as_bytes().starts_with(b"<name of=\""));
/// }
/// assert_eq!(xml.into_string(), "<name of=\"Müller\"/>");
/// ```
#[derive(Clone, Default)]
pub struct XmlBuffer {
    scratch: Scratch,
}

impl XmlBuffer {
    /// An empty buffer, which allocates with the first text.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer that has room for that many bytes, so that it does not move before.
    pub fn with_capacity(bytes: usize) -> Self {
        let scratch = Scratch::with_capacity(bytes);
        Self { scratch }
    }

    /// Appends what [`escape_text`] returns.
    #[inline]
    pub fn push_text(&mut self, text: &str) {
        self.scratch.push_as::<Text>(text);
    }

    /// Appends what [`escape_attribute`] returns.
    #[inline]
    pub fn push_attribute(&mut self, text: &str) {
        self.scratch.push_as::<Attribute>(text);
    }

    /// Appends markup as it stands.
    #[inline]
    pub fn push_raw(&mut self, xml: &str) {
        self.scratch.push(xml.as_bytes());
    }

    /// What has been written, in UTF-8.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.scratch.as_bytes()
    }

    /// What has been written. It is checked once more to be UTF-8, at the speed of memory for ASCII.
    pub fn into_string(self) -> String {
        self.scratch.into_string()
    }

    /// The number of bytes written.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Begins anew in the same memory.
    pub fn clear(&mut self) {
        self.scratch.clear();
    }

    /// Appends `<name>`.
    #[inline]
    pub(crate) fn push_start_tag(&mut self, name: &str) {
        self.scratch.push_tag(b"<", name);
    }

    /// Appends `</name>`.
    #[inline]
    pub(crate) fn push_end_tag(&mut self, name: &str) {
        self.scratch.push_tag(b"</", name);
    }

    /// Appends an element with text. Its name is written as it stands.
    #[inline]
    pub fn push_element(&mut self, name: &str, text: &str) {
        self.scratch.push_element::<Text>(name, text);
    }

    /// Leaves that many bytes to be [filled in](Self::fill_in_start) later.
    pub(crate) fn push_blank(&mut self, bytes: usize) {
        self.scratch.push_blank(bytes);
    }

    /// Writes over the first bytes.
    pub(crate) fn fill_in_start(&mut self, xml: &[u8]) {
        self.scratch.fill_in_start(xml);
    }
}

/// Overwrites all of the memory that the buffer has now, and leaves it empty.
impl Zeroize for XmlBuffer {
    fn zeroize(&mut self) {
        self.scratch.wipe();
    }
}

impl fmt::Debug for XmlBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("XmlBuffer");
        shown.field("len", &self.len()).finish_non_exhaustive()
    }
}

#[inline(always)]
fn escape<F: Form>(text: &str) -> Cow<'_, str> {
    match find::<F>(text) {
        None => Cow::Borrowed(text),
        Some(first) => Cow::Owned(changed::<F>(text, first)),
    }
}

#[inline(always)]
fn push<F: Form>(out: &mut String, text: &str) {
    match find::<F>(text) {
        None => out.push_str(text),
        Some(first) => out.push_str(&changed::<F>(text, first)),
    }
}

/// Text of which the first character that has to change is known.
#[inline(never)]
fn changed<F: Form>(text: &str, first: usize) -> String {
    let (unchanged, rest) = text.split_at(first);
    let mut scratch = Scratch::with_capacity(text.len() + rest.len() / 8);
    scratch.push(unchanged.as_bytes());
    scratch.push_as::<F>(rest);
    scratch.into_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::XmlVersion;
    use quick_xml::events::Event;

    use super::*;
    use crate::rewrite::tests::naive;
    use crate::sanitise::sanitise;
    use crate::text_strategy::any_text;

    fn parsed_by_quick_xml(document: &str) -> (String, String) {
        let mut reader = quick_xml::Reader::from_str(document);
        let (mut attribute, mut text) = (String::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    let first = start.attributes().next().unwrap().unwrap();
                    attribute = first
                        .normalized_value(XmlVersion::Implicit1_0)
                        .unwrap()
                        .into();
                }
                Event::Text(piece) => text.push_str(&piece.xml10_content()),
                Event::GeneralRef(name) => match name.resolve_char_ref().unwrap() {
                    Some(c) => text.push(c),
                    None => text.push_str(quick_xml::escape::resolve_xml_entity(&name).unwrap()),
                },
                Event::Eof => return (attribute, text),
                _ => {}
            }
        }
    }

    #[test]
    fn nothing_to_do_borrows() {
        assert!(matches!(
            escape_text("Müller \"GmbH\"\tİ\n"),
            Cow::Borrowed(_)
        ));
        assert!(matches!(
            escape_text("\u{FF5E} full width"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn the_end_of_cdata_is_covered() {
        assert_eq!(escape_text("a]]>b"), "a]]&gt;b");
    }

    proptest! {
        #[test]
        fn equals_the_naive_version(text in any_text()) {
            prop_assert_eq!(escape_text(&text), naive(&text, false));
            prop_assert_eq!(escape_attribute(&text), naive(&text, true));
        }

        #[test]
        fn a_parser_gives_the_sanitised_text_back(text in any_text()) {
            let mut document = String::from("<x a=\"");
            push_attribute(&mut document, &text);
            document.push_str("\">");
            push_text(&mut document, &text);
            document.push_str("</x>");
            let (attribute, content) = parsed_by_quick_xml(&document);
            prop_assert_eq!(attribute, &*sanitise(&text));
            prop_assert_eq!(content, &*sanitise(&text));
        }
    }
}

//! Text made safe to stand in an XML document: [sanitised](crate::sanitise) and escaped in one pass.
//!
//! Input is raw text: `&amp;` in the input means five literal characters.
//! In element text `&`, `<`, `>` and the carriage return are written as references; a parser would
//! otherwise turn a carriage return into a line feed.
//! In attribute values the quotes, tab and line feed are as well; a parser would turn the last two
//! into spaces.

use std::borrow::Cow;

use crate::sanitise::forbidden_width;

/// The text as it can stand between two tags. Borrows when nothing has to change.
///
/// ```
/// use intacct_xml::escape::escape_text;
///
/// assert_eq!(escape_text("Smith & \u{1}Sons <AP>"), "Smith &amp; Sons &lt;AP&gt;");
/// ```
pub fn escape_text(text: &str) -> Cow<'_, str> {
    escape_with(&TEXT, text)
}

/// The text as it can stand in an attribute value, whichever quotes surround it.
///
/// ```
/// use intacct_xml::escape::escape_attribute;
///
/// assert_eq!(escape_attribute("5\" pipe\n"), "5&quot; pipe&#10;");
/// ```
pub fn escape_attribute(text: &str) -> Cow<'_, str> {
    escape_with(&ATTRIBUTE, text)
}

/// Appends what [`escape_text`] returns.
pub fn push_text(out: &mut String, text: &str) {
    push_with(&TEXT, out, text);
}

/// Appends what [`escape_attribute`] returns.
pub fn push_attribute(out: &mut String, text: &str) {
    push_with(&ATTRIBUTE, out, text);
}

/// What to do about a byte: an index into [`WRITTEN`], or one of the two values before those.
type Actions = [u8; 256];

/// The byte is copied.
const COPY: u8 = 0;
/// The byte, or the character that it begins, may be forbidden; it is dropped if it is.
const CHECK: u8 = 1;

const WRITTEN: [&str; 10] = [
    "", "", "&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#9;", "&#10;", "&#13;",
];

static TEXT: Actions = actions(&[(b'&', 2), (b'<', 3), (b'>', 4), (b'\r', 9)]);
static ATTRIBUTE: Actions = actions(&[
    (b'&', 2),
    (b'<', 3),
    (b'>', 4),
    (b'"', 5),
    (b'\'', 6),
    (b'\t', 7),
    (b'\n', 8),
    (b'\r', 9),
]);

const fn actions(references: &[(u8, u8)]) -> Actions {
    let mut table = [COPY; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = CHECK;
        control += 1;
    }
    table[b'\t' as usize] = COPY;
    table[b'\n' as usize] = COPY;
    table[0xEF] = CHECK;
    let mut next = 0;
    while next < references.len() {
        table[references[next].0 as usize] = references[next].1;
        next += 1;
    }
    table
}

fn escape_with<'a>(actions: &Actions, text: &'a str) -> Cow<'a, str> {
    if text.bytes().all(|byte| actions[byte as usize] == COPY) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 16);
    push_with(actions, &mut out, text);
    // Only a first look at 0xEF cannot tell; most text that begins so is fine.
    if out.len() == text.len() && out == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(out)
    }
}

fn push_with(actions: &Actions, out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len());
    let (mut run, mut at) = (0, 0);
    while at < bytes.len() {
        let action = actions[bytes[at] as usize];
        let width = match action {
            COPY => 0,
            CHECK => forbidden_width(bytes, at),
            _ => 1,
        };
        if width == 0 {
            at += 1;
            continue;
        }
        out.push_str(&text[run..at]);
        out.push_str(WRITTEN[action as usize]);
        at += width;
        run = at;
    }
    out.push_str(&text[run..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::XmlVersion;
    use quick_xml::events::Event;

    use super::*;
    use crate::sanitise::{is_allowed, sanitise};
    use crate::text_strategy::any_text;

    fn naive(text: &str, attribute: bool) -> String {
        let mut out = String::new();
        for c in text.chars().filter(|c| is_allowed(*c)) {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '\r' => out.push_str("&#13;"),
                '"' if attribute => out.push_str("&quot;"),
                '\'' if attribute => out.push_str("&#39;"),
                '\t' if attribute => out.push_str("&#9;"),
                '\n' if attribute => out.push_str("&#10;"),
                c => out.push(c),
            }
        }
        out
    }

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

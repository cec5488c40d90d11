//! The fast pass against the plain one, wherever the blocks' edges fall.

use std::borrow::Cow;

use proptest::prelude::*;

use crate::escape::{XmlBuffer, escape_attribute, escape_text, push_attribute, push_text};
use crate::sanitise::{first_forbidden, is_allowed, sanitise_counted};
use crate::text_strategy::any_text;

/// Plain to see that it is right.
pub(crate) fn naive(text: &str, attribute: bool) -> String {
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

/// Every way to write the text, into a buffer that has been used before.
fn check(buffer: &mut XmlBuffer, text: &str) -> Result<(), TestCaseError> {
    let (as_text, as_attribute) = (naive(text, false), naive(text, true));

    for (cow, expected) in [
        (escape_text(text), &as_text),
        (escape_attribute(text), &as_attribute),
    ] {
        prop_assert_eq!(&cow, expected, "of {:?}", text);
        prop_assert_eq!(matches!(cow, Cow::Borrowed(_)), expected == text);
    }

    buffer.clear();
    buffer.push_text(text);
    buffer.push_raw(text);
    buffer.push_attribute(text);
    buffer.push_element("name", text);
    let expected = format!("{as_text}{text}{as_attribute}<name>{as_text}</name>");
    let written = std::str::from_utf8(buffer.as_bytes());
    prop_assert_eq!(written, Ok(&*expected), "of {:?}", text);

    let mut string = String::from("é");
    push_text(&mut string, text);
    push_attribute(&mut string, text);
    prop_assert_eq!(string, format!("é{as_text}{as_attribute}"), "of {:?}", text);

    let forbidden = |(_, c): &(usize, char)| !is_allowed(*c);
    let (clean, dropped) = sanitise_counted(text);
    let expected: String = text.chars().filter(|c| is_allowed(*c)).collect();
    prop_assert_eq!(&clean, &expected, "of {:?}", text);
    prop_assert_eq!(matches!(clean, Cow::Borrowed(_)), expected == text);
    prop_assert_eq!(
        dropped as usize,
        text.char_indices().filter(forbidden).count()
    );
    prop_assert_eq!(
        first_forbidden(text),
        text.char_indices().find(forbidden).map(|(at, _)| at)
    );
    Ok(())
}

/// The longest text here has three blocks and something left.
const LONGEST: usize = 3 * 64 + 30;

#[test]
fn every_special_at_every_place_of_texts_of_every_length() {
    let mut buffer = XmlBuffer::new();
    let specials = [
        "&", "<", "\"", "\n", "\r", "\u{1}", "\u{FFFE}", "\u{FFFF}", "\u{FFFD}", "\u{FF5E}", "😀",
    ];
    for length in 0..LONGEST {
        let plain = "abcdefghijklmnopqrstuvwxyz .,-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".repeat(4);
        let plain = plain.get(..length).unwrap_or_default();
        for (number, at) in (0..=length).enumerate() {
            // Each length meets each special at some places, and each place each special.
            let special = specials[(number + 7 * length) % specials.len()];
            let (before, behind) = plain.split_at(at);
            check(&mut buffer, &format!("{before}{special}{behind}")).unwrap();
        }
    }
}

#[test]
fn names_of_every_length() {
    let mut expected = String::new();
    let mut buffer = XmlBuffer::new();
    for length in 0..200 {
        let name = "abcdefghij".repeat(20);
        let name = name.get(..length).unwrap_or_default();
        buffer.push_element(name, "a & b");
        buffer.push_element(name, name);
        buffer.push_start_tag(name);
        expected += &format!("<{name}>a &amp; b</{name}><{name}>{name}</{name}><{name}>");
    }
    assert_eq!(buffer.into_string(), expected);
}

#[test]
fn nothing_but_specials() {
    let mut buffer = XmlBuffer::new();
    for special in ["&", "\"", "\n", "\0", "\u{FFFE}", "\u{1}&", "\u{FFFF}<"] {
        for count in 0..LONGEST {
            check(&mut buffer, &special.repeat(count)).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn texts_with_long_clean_runs(
        pieces in prop::collection::vec((0..150usize, any_text()), 0..6),
        filler in prop::sample::select(vec!["a", "ü", "株", "，", "😀", "\n", "\u{FFFD}"]),
    ) {
        let text: String = pieces
            .iter()
            .flat_map(|(run, special)| [filler.repeat(*run), special.clone()])
            .collect();
        check(&mut XmlBuffer::new(), &text)?;
    }

    #[test]
    fn one_text_after_another(texts in prop::collection::vec(any_text(), 0..20)) {
        let (mut buffer, mut expected) = (XmlBuffer::with_capacity(10), String::new());
        for text in &texts {
            buffer.push_text(text);
            buffer.push_attribute(text);
            expected += &naive(text, false);
            expected += &naive(text, true);
        }
        prop_assert_eq!(buffer.len(), expected.len());
        prop_assert_eq!(buffer.into_string(), expected);
    }
}

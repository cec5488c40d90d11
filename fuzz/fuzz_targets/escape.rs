//! The one pass that sanitises and escapes, against a version that is plain to see.

#![no_main]

use intacct_xml::escape::{XmlBuffer, escape_attribute, escape_text, push_attribute, push_text};
use intacct_xml::sanitise::{first_forbidden, sanitise, sanitise_counted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Whatever comes becomes text: most of it stays as it is, and the rest is a letter of three bytes.
    let text = String::from_utf8_lossy(bytes);
    // Where a block begins changes with what stands before it.
    let (before, after) = text.split_at(middle(&text));
    for text in [&*text, before, after] {
        check(text);
    }

    let mut buffer = XmlBuffer::new();
    buffer.push_text(before);
    buffer.push_attribute(after);
    let expected = naive_text(before) + &naive_attribute(after);
    assert_eq!(buffer.len(), expected.len());
    assert_eq!(buffer.as_bytes(), expected.as_bytes());
    buffer.clear();
    buffer.push_attribute(before);
    buffer.push_raw("<x/>");
    buffer.push_text(after);
    let expected = naive_attribute(before) + "<x/>" + &naive_text(after);
    assert_eq!(buffer.into_string(), expected);
});

fn check(text: &str) {
    assert_eq!(escape_text(text), naive_text(text));
    assert_eq!(escape_attribute(text), naive_attribute(text));

    let mut out = "before".to_owned();
    push_text(&mut out, text);
    push_attribute(&mut out, text);
    let expected = "before".to_owned() + &naive_text(text) + &naive_attribute(text);
    assert_eq!(out, expected);

    let clean: String = text.chars().filter(|c| is_allowed(*c)).collect();
    assert_eq!(sanitise(text), clean);
    let dropped = text.chars().count() - clean.chars().count();
    assert_eq!(
        sanitise_counted(text),
        (clean.as_str().into(), dropped as u64)
    );
    assert_eq!(first_forbidden(text), text.find(|c| !is_allowed(c)));
}

fn middle(text: &str) -> usize {
    (0..=text.len() / 2)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

fn naive_text(text: &str) -> String {
    let push = |mut out: String, c| {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '\r' => out += "&#13;",
            c if is_allowed(c) => out.push(c),
            _ => {}
        }
        out
    };
    text.chars().fold(String::new(), push)
}

fn naive_attribute(text: &str) -> String {
    naive_text(text)
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
        .replace('\t', "&#9;")
        .replace('\n', "&#10;")
}

/// The `Char` of XML 1.0 (section 2.2), but for surrogates, which no text here has.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

//! Ways to make text safe to stand in an XML document, ours and others'.

use std::hint::black_box;

use intacct_xml::escape::{escape_text, push_attribute, push_text};
use intacct_xml::sanitise::is_allowed;

/// One way to make texts safe.
#[derive(Clone, Copy, Debug)]
pub struct Escaper {
    /// The name in benchmark ids.
    pub name: &'static str,
    /// What it does, so that unlike things are not compared unawares.
    pub contract: Contract,
    /// Treats all texts; those that append do it to the buffer, after what it holds.
    pub all: fn(&[String], &mut String),
    /// Treats one text.
    pub one: fn(&str) -> String,
}

/// What is done to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// Nothing: it is copied.
    Copies,
    /// What XML 1.0 forbids is dropped; `&`, `<`, `>` and CR are escaped.
    SafeText,
    /// What XML 1.0 forbids is dropped; `&`, `<`, `>`, `"`, `'` and CR are escaped, and in some also
    /// tab and LF.
    SafeAttribute,
    /// `&`, `<`, `>` and CR are escaped; what XML forbids stays.
    EscapesText,
    /// `&`, `<`, `>`, `"`, `'` and CR are escaped; what XML forbids stays.
    EscapesAttribute,
    /// `&`, `<` and `>` are escaped; CR, which a reader turns into LF, and what XML forbids stay.
    EscapesHtml,
}

impl Contract {
    /// Whether the result holds no character that XML 1.0 forbids.
    pub fn sanitises(self) -> bool {
        matches!(self, Self::SafeText | Self::SafeAttribute)
    }

    /// Whether the texts have to come out as the same bytes as from [`Contract::SafeText`], where
    /// there is nothing to drop and no CR.
    pub fn escapes_like_text(self) -> bool {
        matches!(self, Self::SafeText | Self::EscapesText | Self::EscapesHtml)
    }
}

macro_rules! appending {
    ($name:literal, $contract:ident, |$text:ident, $out:ident| $append:expr) => {
        Escaper {
            name: $name,
            contract: Contract::$contract,
            all: |texts, $out| {
                for $text in texts {
                    let $text = $text.as_str();
                    $append;
                }
            },
            one: |$text| {
                let mut buffer = String::new();
                let $out = &mut buffer;
                $append;
                buffer
            },
        }
    };
}

macro_rules! returning_cow {
    ($name:literal, $contract:ident, |$text:ident| $escaped:expr) => {
        Escaper {
            name: $name,
            contract: Contract::$contract,
            all: |texts, _| {
                for $text in texts {
                    let $text = $text.as_str();
                    black_box(&$escaped);
                }
            },
            one: |$text| $escaped.into_owned(),
        }
    };
}

/// All ways. The first is the limit: whoever appends cannot do less.
pub const ESCAPERS: &[Escaper] = &[
    appending!("plain_append", Copies, |text, out| out.push_str(text)),
    appending!("ours_append", SafeText, |text, out| push_text(out, text)),
    appending!("ours_attribute", SafeAttribute, |text, out| {
        push_attribute(out, text)
    }),
    returning_cow!("ours_cow", SafeText, |text| escape_text(text)),
    appending!("naive_replaces", SafeText, |text, out| {
        out.push_str(&naive(text))
    }),
    appending!("naive_matching", SafeText, |text, out| {
        text.chars().for_each(|c| push_matched(out, c))
    }),
    appending!("quick_xml_escape", EscapesAttribute, |text, out| {
        out.push_str(&quick_xml::escape::escape(text))
    }),
    appending!("quick_xml_partial_escape", EscapesText, |text, out| {
        out.push_str(&quick_xml::escape::partial_escape(text))
    }),
    returning_cow!("quick_xml_cow", EscapesAttribute, |text| {
        quick_xml::escape::escape(text)
    }),
    appending!("strip_then_quick_xml", SafeAttribute, |text, out| {
        out.push_str(&quick_xml::escape::escape(stripped(text)))
    }),
    appending!("html_escape", EscapesHtml, |text, out| {
        html_escape::encode_text_to_string(text, out);
    }),
];

/// The version that everything is compared with: plain to see that it is right.
pub fn naive(text: &str) -> String {
    replaced(&stripped(text))
}

/// The usual way to drop what XML 1.0 forbids.
pub fn stripped(text: &str) -> String {
    text.chars().filter(|c| is_allowed(*c)).collect()
}

/// The usual way to escape: one pass and one new string a special.
fn replaced(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\r', "&#13;")
}

/// The careful usual way: one pass, one match a character.
fn push_matched(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '\r' => out.push_str("&#13;"),
        c if is_allowed(c) => out.push(c),
        _ => {}
    }
}

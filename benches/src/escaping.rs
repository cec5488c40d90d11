//! Ways to make text safe to stand in an XML document, ours and others'.

use std::hint::black_box;

use intacct_xml::escape::{XmlBuffer, escape_attribute, escape_text, push_text};
use intacct_xml::sanitise::is_allowed;

/// One way to make texts safe.
#[derive(Clone, Copy, Debug)]
pub struct Escaper {
    /// The name in benchmark ids.
    pub name: &'static str,
    /// What it does, so that unlike things are not compared unawares.
    pub contract: Contract,
    /// What becomes of the results.
    pub results: Results,
    /// Treats all texts.
    pub all: fn(&[String], &mut Output),
    /// Treats one text.
    pub one: fn(&str) -> String,
}

/// What becomes of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// They are appended to the output, behind what it holds.
    Appended,
    /// They are made, or borrowed, and forgotten.
    Forgotten,
    /// They are copied over what the output holds.
    Overwritten,
}

/// Where results are appended. An escaper uses one of the buffers.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// For most.
    pub string: String,
    /// For ours.
    pub xml: XmlBuffer,
    /// For mere copies; it is not cleared, and must be as long as all texts.
    pub bytes: Vec<u8>,
}

impl Output {
    /// Buffers that mere copies of these texts fit in.
    pub fn for_texts(texts: &[String]) -> Self {
        Self {
            bytes: vec![0; texts.iter().map(String::len).sum()],
            ..Self::default()
        }
    }

    /// Begins anew in the same memory.
    pub fn clear(&mut self) {
        self.string.clear();
        self.xml.clear();
    }

    /// What has been appended.
    pub fn into_string(self) -> String {
        self.string + &self.xml.into_string()
    }
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
    /// What is escaped differs, or how it is spelt; CR and what XML forbids stay.
    EscapesOtherwise,
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
    ($name:literal, $contract:ident, |$text:ident, $out:ident . $buffer:ident| $append:expr) => {
        Escaper {
            name: $name,
            contract: Contract::$contract,
            results: Results::Appended,
            all: |texts, output| {
                let $out = &mut output.$buffer;
                for $text in texts {
                    let $text = $text.as_str();
                    $append;
                }
            },
            one: |$text| {
                let mut output = Output::default();
                let $out = &mut output.$buffer;
                $append;
                output.into_string()
            },
        }
    };
}

macro_rules! returning_cow {
    ($name:literal, $contract:ident, |$text:ident| $escaped:expr) => {
        Escaper {
            name: $name,
            contract: Contract::$contract,
            results: Results::Forgotten,
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

/// All ways. The first two are the limits: whoever appends cannot do less, and whoever copies cannot
/// be faster.
pub const ESCAPERS: &[Escaper] = &[
    appending!("plain_append", Copies, |text, out.string| out
        .push_str(text)),
    Escaper {
        name: "memcpy",
        contract: Contract::Copies,
        results: Results::Overwritten,
        all: |texts, output| {
            let mut room = output.bytes.as_mut_slice();
            for text in texts {
                let (copy, behind) = room.split_at_mut(text.len());
                copy.copy_from_slice(text.as_bytes());
                room = behind;
            }
        },
        one: str::to_owned,
    },
    appending!("ours_append", SafeText, |text, out.xml| out.push_text(text)),
    appending!("ours_attribute", SafeAttribute, |text, out.xml| {
        out.push_attribute(text)
    }),
    appending!("ours_push_text", SafeText, |text, out.string| push_text(
        out, text
    )),
    returning_cow!("ours_cow", SafeText, |text| escape_text(text)),
    returning_cow!("ours_attribute_cow", SafeAttribute, |text| {
        escape_attribute(text)
    }),
    appending!("naive_replaces", SafeText, |text, out.string| {
        out.push_str(&naive(text))
    }),
    appending!("naive_matching", SafeText, |text, out.string| {
        text.chars().for_each(|c| push_matched(out, c))
    }),
    appending!("quick_xml_escape", EscapesAttribute, |text, out.string| {
        out.push_str(&quick_xml::escape::escape(text))
    }),
    appending!(
        "quick_xml_partial_escape",
        EscapesText,
        |text, out.string| { out.push_str(&quick_xml::escape::partial_escape(text)) }
    ),
    appending!(
        "quick_xml_minimal_escape",
        EscapesOtherwise,
        |text, out.string| { out.push_str(&quick_xml::escape::minimal_escape(text)) }
    ),
    returning_cow!("quick_xml_cow", EscapesAttribute, |text| {
        quick_xml::escape::escape(text)
    }),
    appending!(
        "strip_then_quick_xml",
        SafeAttribute,
        |text, out.string| { out.push_str(&quick_xml::escape::escape(stripped(text))) }
    ),
    appending!("html_escape", EscapesHtml, |text, out.string| {
        html_escape::encode_text_to_string(text, out);
    }),
    appending!("v_htmlescape", EscapesOtherwise, |text, out.string| {
        v_htmlescape::escape_string(text, out);
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

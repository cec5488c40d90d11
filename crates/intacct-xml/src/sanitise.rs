//! What XML 1.0 forbids, taken out of text.
//!
//! XML 1.0 allows tab, line feed, carriage return and everything from U+0020 up, except U+FFFE,
//! U+FFFF and the surrogates (which a Rust string cannot hold).
//! A document with any other character is refused by the gateway as not well formed, also when the
//! character is written as a reference (developer.intacct.com, Error handling: XL03000003).

use std::borrow::Cow;

/// Whether XML 1.0 allows this character in a document.
pub const fn is_allowed(character: char) -> bool {
    !matches!(
        character,
        '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}'
    )
}

/// The text without the characters that XML 1.0 forbids.
///
/// Borrows when there is nothing to drop, which is nearly always.
///
/// ```
/// use intacct_xml::sanitise::sanitise;
///
/// assert_eq!(sanitise("Smith\u{0} & Sons\u{FFFE}"), "Smith & Sons");
/// assert_eq!(sanitise("tab\tand\r\nlines stay"), "tab\tand\r\nlines stay");
/// ```
pub fn sanitise(text: &str) -> Cow<'_, str> {
    sanitise_counted(text).0
}

/// Like [`sanitise`], and how many characters were dropped.
pub fn sanitise_counted(text: &str) -> (Cow<'_, str>, u64) {
    let Some(first) = first_forbidden(text) else {
        return (Cow::Borrowed(text), 0);
    };
    let bytes = text.as_bytes();
    let mut clean = String::with_capacity(text.len());
    let (mut run, mut at, mut dropped) = (0, first, 0);
    while at < bytes.len() {
        let width = forbidden_width(bytes, at);
        if width == 0 {
            at += 1;
            continue;
        }
        clean.push_str(&text[run..at]);
        at += width;
        run = at;
        dropped += 1;
    }
    clean.push_str(&text[run..]);
    (Cow::Owned(clean), dropped)
}

/// The byte position of the first character that XML 1.0 forbids.
pub fn first_forbidden(text: &str) -> Option<usize> {
    const BLOCK: usize = 1024;
    let bytes = text.as_bytes();
    // Whole pages come by here and hold nothing forbidden: a block is first looked at without a
    // branch in it, which the compiler makes wide.
    bytes
        .chunks(BLOCK)
        .enumerate()
        .filter(|(_, block)| may_hold_forbidden(block))
        .find_map(|(number, block)| {
            let start = number * BLOCK;
            (start..start + block.len()).find(|&at| forbidden_width(bytes, at) > 0)
        })
}

/// Whether a block has a control character that is not white space, or a byte that U+FFFE begins with.
fn may_hold_forbidden(block: &[u8]) -> bool {
    block.iter().fold(false, |found, &byte| {
        let white = (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
        found | ((byte < 0x20) & !white) | (byte == 0xEF)
    })
}

/// How many bytes the forbidden character at this place takes, 0 if what begins there is allowed.
#[inline]
pub(crate) fn forbidden_width(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        b'\t' | b'\n' | b'\r' => 0,
        0..=0x1F => 1,
        // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
        0xEF if matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text_strategy::any_text;

    fn naive(text: &str) -> String {
        text.chars().filter(|c| is_allowed(*c)).collect()
    }

    #[test]
    fn clean_text_is_borrowed() {
        assert!(matches!(sanitise("Müller & 株式会社"), Cow::Borrowed(_)));
    }

    #[test]
    fn the_neighbours_of_the_noncharacters_stay() {
        let text = "\u{FFFD}\u{FFFE}\u{FFFC}\u{FFFF}\u{FEFF}\u{F8FF}";
        assert_eq!(
            sanitise_counted(text),
            ("\u{FFFD}\u{FFFC}\u{FEFF}\u{F8FF}".into(), 2)
        );
    }

    #[test]
    fn a_character_across_the_edge_of_a_block_is_found() {
        for before in 1020..1030 {
            let text = format!("{}\u{FFFF}{}", "x".repeat(before), "y".repeat(2000));
            assert_eq!(first_forbidden(&text), Some(before));
            assert_eq!(sanitise(&text), naive(&text));
        }
        assert_eq!(first_forbidden(&"\u{FF5E}".repeat(2000)), None);
    }

    proptest! {
        #[test]
        fn equals_the_naive_version(text in any_text()) {
            let (clean, dropped) = sanitise_counted(&text);
            prop_assert_eq!(&*clean, naive(&text));
            prop_assert_eq!(dropped as usize, text.chars().filter(|c| !is_allowed(*c)).count());
        }

        #[test]
        fn is_idempotent(text in any_text()) {
            let once = sanitise(&text).into_owned();
            prop_assert_eq!(sanitise(&once), once.as_str());
        }
    }
}

//! What XML 1.0 forbids, taken out of text.
//!
//! XML 1.0 allows tab, line feed, carriage return and everything from U+0020 up, except U+FFFE,
//! U+FFFF and the surrogates (which a Rust string cannot hold).
//! A document with any other character is refused by the gateway as not well formed, also when the
//! character is written as a reference (developer.intacct.com, Error handling: XL03000003).

use std::borrow::Cow;

use crate::rewrite::{Sanitised, Scratch, find};

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
#[inline]
pub fn sanitise(text: &str) -> Cow<'_, str> {
    sanitise_counted(text).0
}

/// Like [`sanitise`], and how many characters were dropped.
#[inline]
pub fn sanitise_counted(text: &str) -> (Cow<'_, str>, u64) {
    let Some(first) = first_forbidden(text) else {
        return (Cow::Borrowed(text), 0);
    };
    let (clean, rest) = text.split_at(first);
    let mut scratch = Scratch::with_capacity(text.len());
    scratch.push(clean.as_bytes());
    let dropped = scratch.push_as::<Sanitised>(rest);
    (Cow::Owned(scratch.into_string()), dropped)
}

/// The byte position of the first character that XML 1.0 forbids.
///
/// It is looked for in place, 64 bytes at a time: a page without one costs little more than reading it.
#[inline]
pub fn first_forbidden(text: &str) -> Option<usize> {
    find::<Sanitised>(text)
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

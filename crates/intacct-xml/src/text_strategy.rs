//! Texts for property tests, with the characters that matter here far more often than chance has them.

use proptest::prelude::*;

/// Any text at all, rich in markup, control characters and noncharacters.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '\0', '\u{1}', '\t', '\n', '\u{B}', '\r', '\u{1F}', '&', '<', '>', '"', '\'', ']', ';',
        '#', ' ', '\u{7F}', '\u{85}', '\u{2028}', '\u{FEFF}', '\u{FFFD}', '\u{FFFE}', '\u{FFFF}',
        '\u{FF5E}', '株', '😀',
    ]);
    prop::collection::vec(
        prop_oneof![
            special,
            any::<char>(),
            "[a-z]".prop_map(|s| s.chars().next().unwrap_or('a'))
        ],
        0..64,
    )
    .prop_map(|characters| characters.into_iter().collect())
}

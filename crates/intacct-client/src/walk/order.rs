//! In which order the gateway puts keys.
//!
//! `RECORDNO` is a number in all objects, though some call it text, and it is not published whether
//! those are then compared as text. Either is good for a walk, as long as it is one of the two all the
//! way: a page is taken for what it is, and a walk ends where neither explains what came.

use std::cmp::Ordering;

/// The orders that all keys of a walk so far stood in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyOrder {
    numeric: bool,
    textual: bool,
}

impl KeyOrder {
    /// Nothing is known yet.
    pub(super) const UNKNOWN: Self = Self {
        numeric: true,
        textual: true,
    };

    /// What is left once one key stood before another; nothing where neither order puts them so.
    pub(super) fn after_seeing(self, before: &str, behind: &str) -> Option<Self> {
        let left = Self {
            numeric: self.numeric && numeric(before, behind) == Ordering::Less,
            textual: self.textual && before < behind,
        };
        (left.numeric || left.textual).then_some(left)
    }

    /// Whether a key stands at or before another, as far as the walk would know.
    ///
    /// Only what came before it in this walk is asked about. Whatever stood between the two was
    /// compared on the way, so where the orders that are left differ on them, they were not both
    /// there: the key is new.
    pub(super) fn holds_at_or_before(self, key: &str, other: &str) -> bool {
        let numeric = !self.numeric || numeric(key, other) != Ordering::Greater;
        let textual = !self.textual || key <= other;
        numeric && textual
    }
}

/// By number where both are whole numbers, else by text.
fn numeric(left: &str, right: &str) -> Ordering {
    match (digits(left), digits(right)) {
        (Some(left), Some(right)) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
        _ => left.cmp(right),
    }
}

/// The digits of a whole number, without zeros before it.
fn digits(text: &str) -> Option<&str> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::KeyOrder;

    #[test]
    fn what_is_seen_decides() {
        let unknown = KeyOrder::UNKNOWN;
        let open = unknown.after_seeing("1", "2").unwrap();
        assert_eq!(open, unknown);
        let numeric = open.after_seeing("2", "10").unwrap();
        assert_eq!(numeric.after_seeing("10", "9"), None);
        assert!(numeric.holds_at_or_before("9", "10") && !numeric.holds_at_or_before("10", "9"));
        let textual = open.after_seeing("10", "9").unwrap();
        assert_eq!(textual.after_seeing("9", "10"), None);
        assert!(!textual.holds_at_or_before("9", "10") && textual.holds_at_or_before("10", "9"));
        // Undecided, neither is held back.
        assert!(!open.holds_at_or_before("9", "10") && !open.holds_at_or_before("10", "9"));
        assert_eq!(unknown.after_seeing("5", "5"), None);
        assert_eq!(
            unknown
                .after_seeing("007", "7")
                .unwrap()
                .after_seeing("2", "10"),
            None
        );
    }
}

//! What recomputing the chain found.

use std::fmt;

use serde::Serialize;

use super::Head;

/// What recomputing the chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
#[non_exhaustive]
pub enum Verification {
    /// Every entry is as it was written.
    Intact {
        /// The end of the chain.
        head: Head,
    },
    /// An entry was changed, removed, inserted or moved. The first such place.
    Broken {
        /// The number at which the chain no longer holds.
        sequence: u64,
        /// What the entry with this number says it tells of; none where there is no such entry.
        kind: Option<String>,
        /// What was done to it.
        damage: Damage,
        /// What is wrong there, in words.
        reason: String,
    },
}

/// What was done to a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Damage {
    /// What an entry says was changed.
    Changed,
    /// An entry's hash was changed.
    HashChanged,
    /// Entries were removed from between others.
    Removed,
    /// An entry was put between others.
    Inserted,
    /// Entries were exchanged, or given other numbers.
    Moved,
    /// Entries that a destination knows of are not there: the end was cut off, or all was written anew.
    CutOff,
    /// More than one of these from here on.
    Rewritten,
}

impl Verification {
    /// Whether the chain holds.
    pub fn is_intact(&self) -> bool {
        matches!(self, Self::Intact { .. })
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intact { head } => {
                write!(f, "intact, {} entries, head {}", head.sequence, head.hash)
            }
            Self::Broken {
                sequence,
                kind,
                reason,
                ..
            } => {
                let kind = kind.as_deref().unwrap_or("not there");
                write!(f, "broken at entry {sequence} ({kind}): {reason}")
            }
        }
    }
}

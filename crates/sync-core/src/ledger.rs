//! The ledger: an append-only log in which every entry carries the hash of the one before.
//!
//! An entry's hash is SHA-256 over the hash before it, its number, its time, its run, its kind and
//! its body as stored, each behind its length as eight bytes, least significant first, after the
//! text `intacct-sync/ledger/1` put in likewise. So whoever changes, removes, inserts or reorders
//! an entry has to change every later hash, and the last one is kept in the destinations too.

use std::fmt;

use serde::Serialize;

use crate::id::{Digest, Hasher, RunId};

/// What an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryKind {
    /// A run began.
    RunBegun,
    /// A run ended, with this outcome.
    RunEnded,
    /// A table was created or changed.
    SchemaChanged,
    /// A window was frozen.
    WindowOpened,
    /// A batch is about to be sent; its payload is in the spool.
    BatchPrepared,
    /// The destination has a batch.
    BatchSettled,
    /// Everything up to a cursor is settled, without a batch.
    Advanced,
    /// Records could not be read, or were refused.
    RecordsRejected,
    /// Control totals of both sides were compared.
    TiedOut,
    /// A window is complete, and the watermark stands at its end.
    WindowCompleted,
}

impl EntryKind {
    /// The word that is stored and hashed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunBegun => "run_begun",
            Self::RunEnded => "run_ended",
            Self::SchemaChanged => "schema_changed",
            Self::WindowOpened => "window_opened",
            Self::BatchPrepared => "batch_prepared",
            Self::BatchSettled => "batch_settled",
            Self::Advanced => "advanced",
            Self::RecordsRejected => "records_rejected",
            Self::TiedOut => "tied_out",
            Self::WindowCompleted => "window_completed",
        }
    }
}

/// The end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The number of the last entry; the first has 1.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

impl Head {
    /// The head of a ledger without entries.
    pub fn genesis() -> Self {
        Self {
            sequence: 0,
            hash: Hasher::new("intacct-sync/ledger/1").digest(),
        }
    }

    /// The head once an entry is appended.
    #[must_use]
    pub fn followed_by(self, at: &str, run: Option<RunId>, kind: &str, body: &str) -> Self {
        let sequence = self.sequence + 1;
        let hash = Hasher::new("intacct-sync/ledger/1")
            .part(self.hash.as_bytes())
            .part(&sequence.to_le_bytes())
            .part(at.as_bytes())
            .part(
                run.map(|run| run.to_string())
                    .unwrap_or_default()
                    .as_bytes(),
            )
            .part(kind.as_bytes())
            .part(body.as_bytes())
            .digest();
        Self { sequence, hash }
    }
}

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
    /// An entry was changed, removed, inserted or moved.
    Broken {
        /// The number at which the chain no longer holds.
        sequence: u64,
        /// What is wrong there.
        reason: String,
    },
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
            Self::Broken { sequence, reason } => write!(f, "broken at entry {sequence}: {reason}"),
        }
    }
}

/// An entry as a reader of the ledger gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its number, from 1.
    pub sequence: u64,
    /// When it was written, RFC 3339 in UTC.
    pub at: String,
    /// The run that wrote it.
    pub run: Option<RunId>,
    /// What it tells of.
    pub kind: String,
    /// The particulars, as JSON.
    pub body: String,
    /// Its hash.
    pub hash: Digest,
}

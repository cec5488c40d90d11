//! The ledger: an append-only log in which every entry carries the hash of the one before.
//!
//! An entry's hash is SHA-256 over the hash before it, its number, its time, its run, its kind and
//! its body as stored, each behind its length as eight bytes, least significant first, after the
//! text `intacct-sync/ledger/1` put in likewise. So whoever changes, removes, inserts or reorders
//! an entry has to change every later hash, and destinations keep some of them too.
//!
//! The number goes in as eight bytes, least significant first; an entry without a run has an empty one;
//! the hash before the first entry is that of the text alone. In Python:
//!
//! ```python
//! def part(data): return len(data).to_bytes(8, "little") + data
//! domain = part(b"intacct-sync/ledger/1")
//! hash = sha256(domain).digest()
//! for sequence, at, run, kind, body, stored in entries:
//!     number = part(sequence.to_bytes(8, "little"))
//!     texts = b"".join(part((text or "").encode()) for text in (at, run, kind, body))
//!     hash = sha256(domain + part(hash) + number + texts).digest()
//!     assert hash == stored
//! ```

use serde::Serialize;

use crate::id::{Digest, Hasher, RunId};

mod verification;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod verifier;

pub use verification::{Damage, Verification};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use verifier::{Link, Verifier};

/// What an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryKind {
    /// A run began.
    RunBegun,
    /// A run goes by other settings than the one before it, or is the first.
    Configured,
    /// A run ended, with this outcome.
    RunEnded,
    /// A table is about to be created or changed, or another contract of a stream was accepted.
    SchemaChanged,
    /// A stream is read whole once more, because what was delivered of it has an older shape.
    RereadBegun,
    /// A window was frozen.
    WindowOpened,
    /// A batch is about to be sent; its payload is in the spool.
    BatchPrepared,
    /// A batch is sent again, with the same bytes and ids.
    BatchResent,
    /// The destination has a batch.
    BatchSettled,
    /// The payload of a batch is lost before it was settled; what it held is read again.
    BatchGivenUp,
    /// Payloads are removed from the spool.
    PayloadsRemoved,
    /// A batch is about to be sent again, because a person asked for it.
    BatchReplaying,
    /// What became of a batch that a person asked to be sent again.
    BatchReplayed,
    /// Everything up to a cursor is settled, without a batch.
    Advanced,
    /// Records could not be read, or were refused.
    RecordsRejected,
    /// Dead letters are sent again, in a batch of their own.
    LettersRetried,
    /// Records of dead letters have arrived.
    LettersResolved,
    /// Later states of records of dead letters are known.
    LettersSuperseded,
    /// A person decided that records are not wanted.
    LettersDiscarded,
    /// Control totals of both sides were compared.
    TiedOut,
    /// Everything of a window was read and prepared, and some of it perhaps not settled yet.
    WindowRead,
    /// A window is complete, and the watermark stands at its end.
    WindowCompleted,
    /// A stream was taken over from a run that did not give it back.
    LeaseTakenOver,
    /// Debits and credits of journal entries that are about to be sent are not equal.
    EntriesUnbalanced,
    /// A closed period was read whole, and is watched from now on.
    PeriodVerified,
    /// A closed period is not as it was when it was verified.
    ClosedPeriodChanged,
    /// Periods that were verified are not closed any more.
    PeriodsReopened,
    /// Records had changed without saying so, found by reading open periods whole.
    DriftFound,
}

impl EntryKind {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::RunBegun,
        Self::Configured,
        Self::RunEnded,
        Self::SchemaChanged,
        Self::RereadBegun,
        Self::WindowOpened,
        Self::BatchPrepared,
        Self::BatchResent,
        Self::BatchSettled,
        Self::BatchGivenUp,
        Self::PayloadsRemoved,
        Self::BatchReplaying,
        Self::BatchReplayed,
        Self::Advanced,
        Self::RecordsRejected,
        Self::LettersRetried,
        Self::LettersResolved,
        Self::LettersSuperseded,
        Self::LettersDiscarded,
        Self::TiedOut,
        Self::WindowRead,
        Self::WindowCompleted,
        Self::LeaseTakenOver,
        Self::EntriesUnbalanced,
        Self::PeriodVerified,
        Self::ClosedPeriodChanged,
        Self::PeriodsReopened,
        Self::DriftFound,
    ];

    /// The word that is stored and hashed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunBegun => "run_begun",
            Self::Configured => "configured",
            Self::RunEnded => "run_ended",
            Self::SchemaChanged => "schema_changed",
            Self::RereadBegun => "reread_begun",
            Self::WindowOpened => "window_opened",
            Self::BatchPrepared => "batch_prepared",
            Self::BatchResent => "batch_resent",
            Self::BatchSettled => "batch_settled",
            Self::BatchGivenUp => "batch_given_up",
            Self::PayloadsRemoved => "payloads_removed",
            Self::BatchReplaying => "batch_replaying",
            Self::BatchReplayed => "batch_replayed",
            Self::Advanced => "advanced",
            Self::RecordsRejected => "records_rejected",
            Self::LettersRetried => "letters_retried",
            Self::LettersResolved => "letters_resolved",
            Self::LettersSuperseded => "letters_superseded",
            Self::LettersDiscarded => "letters_discarded",
            Self::TiedOut => "tied_out",
            Self::WindowRead => "window_read",
            Self::WindowCompleted => "window_completed",
            Self::LeaseTakenOver => "lease_taken_over",
            Self::EntriesUnbalanced => "entries_unbalanced",
            Self::PeriodVerified => "period_verified",
            Self::ClosedPeriodChanged => "closed_period_changed",
            Self::PeriodsReopened => "periods_reopened",
            Self::DriftFound => "drift_found",
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
        let run = run.map(|run| run.to_string()).unwrap_or_default();
        self.linked([at, &run, kind, body].map(str::as_bytes))
    }

    /// The head behind an entry of this time, run, kind and body, as they are stored.
    pub(crate) fn linked(self, fields: [&[u8]; 4]) -> Self {
        let sequence = self.sequence.wrapping_add(1);
        let mut hasher = Hasher::new("intacct-sync/ledger/1")
            .part(self.hash.as_bytes())
            .part(&sequence.to_le_bytes());
        for field in fields {
            hasher.push(field);
        }
        let hash = hasher.digest();
        Self { sequence, hash }
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

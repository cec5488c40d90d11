//! Batches on their way, and what became of their records.

use serde::{Deserialize, Serialize};

use super::scope::Scope;
use crate::batch::{BatchPlace, RecordKey};
use crate::id::{BatchId, Digest, RecordId, RunId};
use crate::origin::{Origin, OriginSpan};
use crate::receipt::{Receipt, RejectionClass};
use crate::spool::Spooled;
use crate::window::Cursor;

/// A run that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// The run.
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name.
    pub sink: String,
    /// Whose books these are.
    pub company: String,
    /// The settings that it runs by, as JSON without secrets. Their digest is in the ledger, and they
    /// themselves wherever they are not those of the run before.
    pub settings: String,
}

/// A batch whose payload is in the spool and that is about to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct PreparedBatch {
    /// Its id.
    pub id: BatchId,
    /// The run that cut it.
    pub run: RunId,
    /// Whose progress it is.
    pub scope: Scope,
    /// Where it stands.
    pub place: BatchPlace,
    /// How many rows it has.
    pub rows: usize,
    /// Where its payload lies.
    pub spooled: Spooled,
    /// Once it is settled, everything up to here is; unknown where it ends inside a page.
    pub cursor: Option<Cursor>,
    /// Which answers of the source its rows came in, in their order; empty where that is not known.
    pub origins: Vec<OriginSpan>,
}

/// A prepared batch of which the store does not know whether it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsettledBatch {
    /// The batch.
    pub batch: PreparedBatch,
    /// The hash of the ledger's entry that prepared it.
    pub entry: Digest,
}

/// The outcome of a batch that the destination has.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The batch.
    pub batch: PreparedBatch,
    /// What the sink said.
    pub receipt: Receipt,
    /// The records of its rows, in their order.
    pub records: Vec<SettledRecord>,
    /// The refused rows.
    pub dead_letters: Vec<DeadLetter>,
}

impl Settlement {
    /// The records that the destination took, with their rows.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn delivered(&self) -> impl Iterator<Item = (u64, &SettledRecord)> {
        let mut refused = self.receipt.rejected.iter().map(|it| it.row).peekable();
        let records = self.records.iter().enumerate();
        records
            .filter(move |(row, _)| refused.next_if_eq(row).is_none())
            .map(|(row, record)| (row as u64, record))
    }
}

/// A record as the destination has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRecord {
    /// What identifies it.
    pub key: RecordKey,
    /// The id of its state.
    pub id: RecordId,
    /// What it belongs to: the text of the stream's `keep_together` column.
    pub owner: Option<String>,
    /// The day of the stream's period column as `2026-01-31`, empty where the record says none; none
    /// where the stream has no such column.
    pub period: Option<String>,
}

/// A record that is not in the destination, kept whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What identifies it, as far as that is known.
    pub key: Option<RecordKey>,
    /// The column at fault, where it is known.
    pub column: Option<String>,
    /// The value at fault, where it is known.
    pub text: Option<String>,
    /// Why it was rejected, for programs.
    #[serde(default)]
    pub class: RejectionClass,
    /// Why it was rejected, for people.
    pub reason: String,
    /// Names and values of the whole record.
    pub fields: Vec<(String, Option<String>)>,
}

/// What the store knows of one record: of its last delivery, and of its refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordAudit {
    /// The last delivery of its state, or of its end.
    pub last: Option<RecordTrace>,
    /// When it could not be read, or was refused, newest first; a hundred at most.
    pub rejected: Vec<RejectionTrace>,
}

/// The last delivery of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordTrace {
    /// What became of it.
    pub outcome: Outcome,
    /// The id of the delivered row: of the record's state, or of its delete.
    pub record: RecordId,
    /// The batch that delivered it.
    pub batch: BatchId,
    /// Its row there, from 0; not known of what older versions delivered.
    pub row: Option<u64>,
    /// The run that cut this batch.
    pub run: RunId,
    /// The answer of the source that it came in, where the source says.
    pub origin: Option<Origin>,
    /// The destination's own name for what it did, such as a job id.
    pub job: Option<String>,
    /// When the destination had it, RFC 3339 in UTC.
    pub settled_at: String,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The destination has its state.
    Delivered,
    /// It is gone at the source, and the destination knows.
    Deleted,
}

/// A time at which a record was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RejectionTrace {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The run.
    pub run: RunId,
    /// The batch that the destination refused it of; none where it could not be read.
    pub batch: Option<BatchId>,
    /// The column at fault, where it is known.
    pub column: Option<String>,
    /// Why.
    pub reason: String,
}

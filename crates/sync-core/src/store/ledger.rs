//! What an auditor asks: what became of a record, what was refused, and whether the ledger holds.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::Serialize;

use super::scope::{Claim, Scope};
use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::{BatchId, Digest, RecordId, RunId};
use crate::ledger::{Entry, EntryKind, Verification};
use crate::origin::Origin;

/// The ledger, and what it and the indices beside it know of one record.
#[async_trait]
pub trait LedgerStore: Debug + Send + Sync {
    /// Appends an entry that changes nothing else.
    async fn note(&self, claim: &Claim, kind: EntryKind, body: &str) -> Result<Digest>;

    /// What is known of one record, by look-ups in indices however many records there are.
    async fn audit(&self, scope: &Scope, key: &RecordKey) -> Result<RecordAudit>;

    /// Entries of the ledger behind a number.
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>>;

    /// Recomputes the whole chain, entry by entry. `known` are hashes that it must hold: those that the
    /// destination keeps beside its data, so that an end that was cut off is found too.
    async fn verify(&self, known: &[Digest]) -> Result<Verification>;
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

//! The store: checkpoints, batches, record outcomes, dead letters and the ledger, in one place and
//! changed in one transaction.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::batch::{BatchPlace, RecordKey};
use crate::error::Result;
use crate::id::{BatchId, Digest, RecordId, RunId};
use crate::ledger::{Entry, EntryKind, Head, Verification};
use crate::receipt::Receipt;
use crate::spool::Spooled;
use crate::stream::StreamName;
use crate::window::{Checkpoint, Cursor, Window};

#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

/// Whose progress it is: one stream of one pipeline on its way to one sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name.
    pub sink: String,
    /// The stream.
    pub stream: StreamName,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pipeline, self.sink, self.stream)
    }
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
    /// Why it was rejected.
    pub reason: String,
    /// Names and values of the whole record.
    pub fields: Vec<(String, Option<String>)>,
}

/// What the store knows of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordTrace {
    /// The id of its last delivered state.
    pub record: RecordId,
    /// The batch that delivered it.
    pub batch: BatchId,
    /// The run that cut this batch.
    pub run: RunId,
    /// When the destination had it, RFC 3339 in UTC.
    pub settled_at: String,
}

/// Keeps everything that must survive a crash.
///
/// Every change appends its entry to the ledger in the same transaction, and is durable when the
/// call returns.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Begins a run.
    async fn begin_run(&self, run: RunId, pipeline: &str, sink: &str, company: &str) -> Result<()>;

    /// Ends a run, with its outcome as JSON.
    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head>;

    /// How far a stream has come.
    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint>;

    /// Freezes a window, which stays open until it is complete.
    async fn open_window(&self, run: RunId, scope: &Scope, window: Window) -> Result<()>;

    /// For each record, whether it is new or another than the one delivered last.
    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>>;

    /// Notes that a batch is about to be sent, and keeps the records that could not be read on the
    /// way to it. Gives the hash of the ledger's entry.
    async fn prepare(&self, batch: &PreparedBatch, unreadable: &[DeadLetter]) -> Result<Digest>;

    /// Notes that the destination has a batch, and moves the cursor.
    async fn settle(&self, settlement: Settlement) -> Result<()>;

    /// Moves the cursor where nothing had to be sent.
    async fn advance(
        &self,
        run: RunId,
        scope: &Scope,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()>;

    /// Closes the open window and sets the watermark to its end; never backwards.
    async fn complete_window(&self, run: RunId, scope: &Scope) -> Result<()>;

    /// The batches that were prepared and not settled, oldest first.
    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>>;

    /// Settled batches older than this whose payloads are still in the spool.
    async fn expired(&self, settled_before: OffsetDateTime) -> Result<Vec<(BatchId, Spooled)>>;

    /// Notes that payloads are no longer in the spool.
    async fn forget_payloads(&self, batches: &[BatchId]) -> Result<()>;

    /// How many records the destination should have.
    async fn live_records(&self, scope: &Scope) -> Result<u64>;

    /// How many live records there are of each period, by its text in [`SettledRecord::period`]; none
    /// where that is not known of all of them.
    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>>;

    /// Those of the keys that belong to live records.
    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>>;

    /// The keys of the live records that belong to these.
    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>>;

    /// Begins to collect the keys of the source's live records: of all, or of some periods.
    async fn begin_census(&self, scope: &Scope, periods: Option<&[String]>) -> Result<()>;

    /// Adds keys to the census.
    async fn count_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<()>;

    /// Delivered records, of the census's periods, whose keys are not in it, in the order of their keys:
    /// the next `limit` behind `after`.
    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>>;

    /// Appends an entry that changes nothing else.
    async fn note(&self, run: RunId, kind: EntryKind, body: &str) -> Result<Digest>;

    /// What is known of one record.
    async fn trace(&self, scope: &Scope, key: &RecordKey) -> Result<Option<RecordTrace>>;

    /// The dead letters of a stream, newest first.
    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Entries of the ledger behind a number.
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>>;

    /// Recomputes the whole chain.
    async fn verify(&self) -> Result<Verification>;
}

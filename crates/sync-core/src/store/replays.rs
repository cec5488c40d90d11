//! What a replay asks of the store, and tells it.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::batches::SettledRecord;
use super::letters::DeadLetter;
use super::scope::{Claim, Scope};
use crate::batch::{BatchPlace, RecordKey};
use crate::error::Result;
use crate::id::{BatchId, Digest, RunId};
use crate::receipt::RejectionClass;
use crate::spool::Spooled;
use crate::stream::{StreamDescriptor, StreamName};

/// What sends batches again that the source need not be asked for.
#[async_trait]
pub trait ReplayStore: Debug + Send + Sync {
    /// Keeps what is known of a stream, for those who send it again without asking the source.
    async fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Result<()>;

    /// What was last known of a stream; none where it was never delivered by a version that keeps this.
    async fn remembered_stream(&self, scope: &Scope) -> Result<Option<StreamDescriptor>>;

    /// Batches in the order in which they were prepared, whether their payloads are still there or not.
    async fn batches(&self, query: &BatchQuery) -> Result<Vec<KeptBatch>>;

    /// For each of these records of a batch, whether what the batch holds is the latest that is known of
    /// it: no later batch delivered or deleted it, and where the destination refused it of this batch,
    /// somebody still waits for it, and none of a later batch.
    async fn latest(
        &self,
        scope: &Scope,
        batch: &BatchId,
        records: &[RecordKey],
    ) -> Result<Vec<bool>>;

    /// Notes that a batch is about to be sent again.
    async fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Result<Digest>;

    /// Notes that the destination has a batch that was sent again: its records are known to be there, and
    /// their letters closed; those that it refused are kept as letters, and known not to be there.
    async fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Result<()>;
}

/// Which batches of a pipeline's way to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchQuery {
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name.
    pub sink: String,
    /// Of these streams; of all where there are none.
    pub streams: Vec<StreamName>,
    /// Which of them.
    pub which: BatchesThat,
}

/// What batches have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchesThat {
    /// They are of the stream.
    Are,
    /// These.
    AreNamed(Vec<BatchId>),
    /// This run cut them.
    WereCutBy(RunId),
    /// Their window and this range of time have something in common.
    Overlap {
        /// From here on; from the beginning where there is none.
        from: Option<OffsetDateTime>,
        /// Up to here, which is not part of it.
        until: OffsetDateTime,
    },
    /// The destination refused records of theirs for reasons of this class, of which nobody has taken
    /// care since.
    HaveWaitingLetters(RejectionClass),
}

/// A batch that the store knows of.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptBatch {
    /// Its id.
    pub id: BatchId,
    /// The run that cut it.
    pub run: RunId,
    /// Whose progress it was.
    pub scope: Scope,
    /// Where it stands.
    pub place: BatchPlace,
    /// How many rows it has.
    pub rows: u64,
    /// Where its payload lies; none once it was forgotten.
    pub spooled: Option<Spooled>,
    /// The hash of the ledger's entry that prepared it.
    pub entry: Digest,
    /// Whether it was settled.
    pub settled: bool,
}

/// How a replay treats what the destination has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayMode {
    /// The sink is asked for each batch, and gets those that it does not have.
    #[default]
    Missing,
    /// The sink gets all of them, and writes their rows again.
    Force,
}

/// A batch about to be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaying {
    /// The batch.
    pub batch: BatchId,
    /// How.
    pub mode: ReplayMode,
    /// Rows that are sent.
    pub rows: u64,
    /// Rows that are left out: their records have later states, or nobody waits for them.
    pub superseded: u64,
}

/// A batch that was sent again, and taken.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What was sent.
    pub sent: Replaying,
    /// The records that the destination took, with their rows in the whole batch.
    pub delivered: Vec<(u64, SettledRecord)>,
    /// The records that it refused, with their rows in the whole batch.
    pub refused: Vec<(u64, RecordKey)>,
    /// The refused records, whole.
    pub dead_letters: Vec<DeadLetter>,
    /// The destination's own name for what it did.
    pub job: Option<String>,
    /// When the destination had it.
    pub at: OffsetDateTime,
}

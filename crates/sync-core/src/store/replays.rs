//! What a replay asks of the store, and tells it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::batches::{DeadLetter, SettledRecord};
use super::scope::Scope;
use crate::batch::{BatchPlace, RecordKey};
use crate::id::{BatchId, Digest, RunId};
use crate::receipt::RejectionClass;
use crate::spool::Spooled;
use crate::stream::StreamName;

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

//! What a sink says of a batch.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::id::BatchId;

/// Whether a batch can still be lost by the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It is there and stays.
    Durable,
    /// It was taken, and is durable once [`Sink::flush`](crate::Sink::flush) has returned.
    Accepted,
}

/// A record that the destination refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Its row in the batch.
    pub row: usize,
    /// The column at fault, where it is known.
    pub column: Option<String>,
    /// Why.
    pub reason: String,
}

/// The sink's answer for a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The batch.
    pub batch: BatchId,
    /// Whether it can still be lost.
    pub durability: Durability,
    /// The records that the destination refused; all others are there.
    pub rejected: Vec<Rejection>,
    /// The destination's own name for what it did, such as a job id.
    pub job: Option<String>,
    /// When the destination had it.
    pub at: OffsetDateTime,
}

impl Receipt {
    /// All rows are there to stay.
    pub fn durable(batch: BatchId, at: OffsetDateTime) -> Self {
        Self {
            batch,
            durability: Durability::Durable,
            rejected: Vec::new(),
            job: None,
            at,
        }
    }
}

/// The answer to [`Sink::flush`](crate::Sink::flush): everything written before is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReceipt {
    /// How many batches became durable by it.
    pub batches: u64,
}

/// Whether a batch is in the destination, asked after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Landed {
    /// It is.
    Yes(Receipt),
    /// It is not.
    No,
    /// The destination cannot tell. Writing it again has the same effect as once.
    Unknown,
}

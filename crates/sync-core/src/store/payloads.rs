//! What the store knows of the spool: which payloads lie there, which were removed, and which were lost.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::Serialize;
use time::OffsetDateTime;

use super::batches::PreparedBatch;
use super::scope::Scope;
use crate::error::Result;
use crate::id::{BatchId, RunId};
use crate::spool::Spooled;

/// Which payloads lie in the spool.
#[async_trait]
pub trait PayloadStore: Debug + Send + Sync {
    /// The payloads that are in the spool: first those of batches that are not settled, then from the one
    /// that was settled first.
    async fn payloads(&self) -> Result<Vec<KeptPayload>>;

    /// Notes that payloads are about to be removed from the spool. Batches that are not settled keep
    /// theirs.
    async fn forget_payloads(&self, run: RunId, removal: &Removal) -> Result<()>;
}

/// A payload that lies in the spool, as far as the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptPayload {
    /// Whose batch it is.
    pub scope: Scope,
    /// The batch.
    pub batch: BatchId,
    /// Where it lies.
    pub spooled: Spooled,
    /// When the destination had the batch; none where that is not known yet, and the payload needed.
    pub settled_at: Option<OffsetDateTime>,
}

/// Payloads that are about to be removed from the spool, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Why.
    pub reason: RemovalReason,
    /// Which.
    pub payloads: Vec<RemovedPayload>,
}

/// Why payloads are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RemovalReason {
    /// Their batches are settled, and their time is over.
    Age,
    /// Their batches are settled, and the spool holds more than it should.
    Size,
    /// No batch names them: whoever wrote them died, or was refused, before it could say so.
    Unnamed,
}

/// A payload that is about to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedPayload {
    /// Its name in the spool.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The settled batches that it belongs to; none where no batch names it.
    pub of: Vec<(Scope, BatchId)>,
}

/// A prepared batch that cannot be brought to its end, because its payload is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct LostBatch {
    /// The batch.
    pub batch: PreparedBatch,
    /// What is wrong with its payload.
    pub reason: String,
    /// Whether the destination has it; unknown where the destination cannot tell.
    pub landed: Option<bool>,
}

//! Batches on their way, and what became of their records.

use std::fmt::Debug;

use async_trait::async_trait;

use super::letters::DeadLetter;
use super::payloads::LostBatch;
use super::scope::{Claim, Scope};
use crate::batch::{BatchPlace, RecordKey};
use crate::error::Result;
use crate::id::{BatchId, Digest, RecordId, RunId};
use crate::origin::OriginSpan;
use crate::receipt::Receipt;
use crate::spool::Spooled;
use crate::window::Cursor;

/// Batches on their way to a sink.
#[async_trait]
pub trait BatchStore: Debug + Send + Sync {
    /// Notes that a batch is about to be sent, and keeps the records that could not be read on the
    /// way to it. Gives the hash of the ledger's entry.
    async fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Result<Digest>;

    /// Notes that the destination has a batch, and moves the cursor.
    async fn settle(&self, claim: &Claim, settlement: Settlement) -> Result<()>;

    /// The batches that were prepared and not settled, oldest first.
    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>>;

    /// Notes that a batch cannot be brought to its end because its payload is lost: the batch is unknown
    /// from now on, and the open window is read again from its beginning, where what was settled is
    /// recognised.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where it is not waiting, and
    /// [`ErrorKind::Data`](crate::ErrorKind::Data) where no window is open any more.
    async fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Result<()>;
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

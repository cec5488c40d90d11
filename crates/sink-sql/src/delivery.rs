//! What an engine needs of a batch.

use std::sync::Arc;

use arrow_array::RecordBatch;
use sync_core::{Batch, BatchId, BatchPlace, Digest, Receipt, Result, StreamDescriptor};

/// What is delivered of a batch, cheap to hand to another thread: the keys and record ids, which
/// the rows hold too, stay behind.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: BatchId,
    pub(crate) stream: Arc<StreamDescriptor>,
    pub(crate) place: BatchPlace,
    pub(crate) rows: RecordBatch,
    pub(crate) ledger_entry: Option<Digest>,
    pub(crate) marked: Marked,
    /// The numbers that the rows have in the whole batch.
    pub(crate) rows_of_whole: Vec<usize>,
    /// How many rows the whole batch has.
    pub(crate) of_whole: usize,
}

/// What is done about a batch that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// Nothing: its first receipt is given again.
    Stays,
    /// Its rows are written again.
    IsRewritten,
}

impl Delivery {
    pub(crate) fn of(batch: &Batch, marked: Marked) -> Self {
        Self {
            id: batch.id(),
            stream: Arc::clone(batch.stream()),
            place: batch.place().clone(),
            rows: batch.rows().clone(),
            ledger_entry: batch.ledger_entry(),
            marked,
            rows_of_whole: (0..batch.len())
                .map(|row| batch.row_of_whole(row))
                .collect(),
            of_whole: batch.of_whole(),
        }
    }
}

/// Tells what became of a batch, and says in an error which it was.
pub(crate) fn told(batch: &Batch, written: Result<Receipt>) -> Result<Receipt> {
    let (stream, id) = (batch.stream().name.as_str(), batch.id());
    match &written {
        Ok(receipt) => tracing::debug!(
            %stream,
            batch = %id,
            rows = batch.len(),
            rejected = receipt.rejected.len(),
            "batch written"
        ),
        Err(error) => {
            tracing::debug!(%stream, batch = %id, kind = %error.kind(), "batch not written");
        }
    }
    written.map_err(|error| {
        let told = error.context().any(|(name, _)| name == "stream");
        let error = if told {
            error
        } else {
            error.with("stream", stream)
        };
        error.with("batch", id.to_string())
    })
}

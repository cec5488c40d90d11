//! What an engine needs of a batch.

use std::sync::Arc;

use arrow_array::RecordBatch;
use sync_core::{Batch, BatchId, BatchPlace, Digest, StreamDescriptor};

/// What is delivered of a batch, cheap to hand to another thread: the keys and record ids, which
/// the rows hold too, stay behind.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: BatchId,
    pub(crate) stream: Arc<StreamDescriptor>,
    pub(crate) place: BatchPlace,
    pub(crate) rows: RecordBatch,
    pub(crate) ledger_entry: Option<Digest>,
}

impl Delivery {
    pub(crate) fn of(batch: &Batch) -> Self {
        Self {
            id: batch.id(),
            stream: Arc::clone(batch.stream()),
            place: batch.place().clone(),
            rows: batch.rows().clone(),
            ledger_entry: batch.ledger_entry(),
        }
    }
}

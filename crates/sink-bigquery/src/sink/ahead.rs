//! What was staged and waits to be written.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sync_core::{Batch, BatchId};

use super::staged::Staged;

/// Of each stream that is on its way at the same time one batch waits, or two. What is forgotten for want of
/// room costs time, no more: writing the batch finds its staging table and its load.
const ROOM: usize = 16;

/// The batches that this process has staged and not written yet. Their rows are BigQuery's to keep: here is
/// what staging found out about them.
#[derive(Debug, Default)]
pub(super) struct Ahead(Mutex<VecDeque<(Of, Staged)>>);

/// Which rows: a batch can be written again without some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Of(BatchId, usize);

impl Of {
    fn new(batch: &Batch) -> Self {
        Self(batch.id(), batch.len())
    }
}

impl Ahead {
    pub(super) fn keep(&self, batch: &Batch, staged: Staged) {
        let of = Of::new(batch);
        let mut waiting = self.waiting();
        waiting.retain(|(other, _)| *other != of);
        if waiting.len() == ROOM {
            waiting.pop_front();
        }
        waiting.push_back((of, staged));
    }

    /// Gives it once: who writes the batch a second time looks again.
    pub(super) fn take(&self, batch: &Batch) -> Option<Staged> {
        let of = Of::new(batch);
        let mut waiting = self.waiting();
        let place = waiting.iter().position(|(other, _)| *other == of)?;
        waiting.remove(place).map(|(_, staged)| staged)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Of, Staged)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

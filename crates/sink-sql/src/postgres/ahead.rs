//! Batches that are staged while those before them are still written.
//!
//! Each is in a transaction of its own, on a session of its own, so that two processes of the server work at
//! the same time: one copies rows to where only its session sees them, and waits; the other merges. Writing a
//! batch that waits goes on with its transaction, so rows and marker are one transaction as ever. Whoever
//! waits holds no lock of a table, a batch or the schema. What is never written is rolled back.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};
use sync_core::{Batch, BatchId, Operation, Receipt, RecordKey, Result, StreamName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::place::{Place, Purpose, close};
use super::write::{self, Reached};
use crate::delivery::{Delivery, Marked};

/// Sessions that are left for all else: one that writes and one that looks something up.
const OTHER_SESSIONS: usize = 2;

/// The batches that wait.
pub(super) struct Ahead {
    /// How many more may wait.
    room: Arc<Semaphore>,
    waiting: Mutex<Vec<Waiting>>,
}

/// A batch that waits for its turn.
pub(super) struct Waiting {
    id: BatchId,
    stream: StreamName,
    rows: RecordBatch,
    go_on: oneshot::Sender<Delivery>,
    /// Gives nothing where the transaction was lost while it waited.
    rest: BoxFuture<'static, Result<Option<Receipt>>>,
    _room: OwnedSemaphorePermit,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.waiting().iter().map(|it| it.id).collect();
        f.debug_struct("Ahead").field("waiting", &ids).finish()
    }
}

impl Ahead {
    /// For so many sessions.
    pub(super) fn of(sessions: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(sessions.saturating_sub(OTHER_SESSIONS))),
            waiting: Mutex::default(),
        }
    }

    /// Stages a batch, where it must be staged at all and there is room for one more.
    pub(super) async fn stage(&self, place: &Place, batch: &Batch) -> Result<()> {
        // Deletes are few.
        if batch.operation() != Operation::Upsert {
            return Ok(());
        }
        let stream = &batch.stream().name;
        self.forget_passed(stream);
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return Ok(());
        };
        let delivery = Delivery::of(batch, Marked::Stays);
        let (staged, is_staged) = oneshot::channel();
        let (go_on, wait) = oneshot::channel();
        let keys = batch.keys().to_vec();
        let mut rest = in_two_steps(place.clone(), delivery, keys, staged, wait).boxed();
        if let Either::Left((outcome, _)) = select(&mut rest, pin!(is_staged)).await {
            return outcome.map(drop);
        }
        self.waiting().push(Waiting {
            id: batch.id(),
            stream: stream.clone(),
            rows: batch.rows().clone(),
            go_on,
            rest,
            _room: room,
        });
        Ok(())
    }

    /// The batch, if it waits.
    pub(super) fn take(&self, batch: &Batch, marked: Marked) -> Option<Waiting> {
        let mut waiting = self.waiting();
        let place = waiting.iter().position(|it| it.id == batch.id())?;
        let found = waiting.remove(place);
        drop(waiting);
        // Equal ids are equal records; but rows may be left out, and tell another time of synchronising.
        (marked == Marked::Stays && are_same(&found.rows, batch.rows())).then_some(found)
    }

    /// Gives up what waits of a stream.
    pub(super) fn forget(&self, stream: &StreamName) {
        let given_up: Vec<_> = self
            .waiting()
            .extract_if(.., |it| it.stream == *stream)
            .collect();
        drop(given_up);
    }

    /// Gives up what should have been written before the last that waits of a stream: batches are written
    /// in the order in which they are staged.
    fn forget_passed(&self, stream: &StreamName) {
        let mut waiting = self.waiting();
        let last = waiting.iter().rposition(|it| it.stream == *stream);
        let mut place = 0;
        let given_up: Vec<_> = waiting
            .extract_if(.., |it| {
                place += 1;
                it.stream == *stream && Some(place - 1) != last
            })
            .collect();
        drop(waiting);
        drop(given_up);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Writes it. None where that was lost which had been done; then nothing is written.
    pub(super) async fn go_on(self, delivery: Delivery) -> Result<Option<Receipt>> {
        let Self { go_on, rest, .. } = self;
        if go_on.send(delivery).is_err() {
            return Ok(None);
        }
        rest.await
    }
}

/// Stages a batch, says so, waits, and writes it.
async fn in_two_steps(
    place: Place,
    delivery: Delivery,
    keys: Vec<RecordKey>,
    staged: oneshot::Sender<()>,
    go_on: oneshot::Receiver<Delivery>,
) -> Result<Option<Receipt>> {
    let mut session = place.session().await?;
    let transaction = place.begin(&mut session, Purpose::Writing).await?;
    let sent = match write::stage(&transaction, &place.dialect, &delivery, &keys).await {
        Ok(Some(sent)) => sent,
        Ok(None) => return Ok(None),
        Err(error) => {
            let _ = transaction.rollback().await;
            close(session);
            return Err(error);
        }
    };
    drop((delivery, keys));
    let _ = staged.send(());
    let Ok(delivery) = go_on.await else {
        return Ok(None);
    };
    if transaction.batch_execute("").await.is_err() {
        drop(transaction);
        close(session);
        return Ok(None);
    }
    let (at, reached) = (place.now(), Reached::Staged(sent));
    let written = write::write(&transaction, &place.dialect, &delivery, reached, at).await;
    let written = place.end(transaction, written).await;
    written.map(Some).inspect_err(|_| close(session))
}

/// Whether these are the very same rows, and not only equal ones.
fn are_same(one: &RecordBatch, other: &RecordBatch) -> bool {
    let columns = || one.columns().iter().zip(other.columns());
    one.num_columns() == other.num_columns()
        && columns().all(|(one, other)| Arc::ptr_eq(one, other))
}

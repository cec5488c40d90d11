//! The way from an extraction to one sink.
//!
//! An extraction hands each batch to a lane for each of its sinks; behind each lane a task stages one
//! batch, writes the one before it, and settles the one before that:
//!
//! ```text
//!                        ┌─ lane ─ ▢▢▢ ──────► task: stage ─ write ─ settle ─► sink, in step
//!  cut ─ spool ─ prepare ┼─ lane ─ ▢▢▢▢▢ full        n+1      n     n-1    ┌─► sink, slow
//!          │      in the └─ lane ─ ✕            ▲                          │   sink, failed: its batches
//!          │      store                     task ──────────────────────────┘         stay prepared
//!          └──────────── left behind ───────────┘
//! ```
//!
//! So cutting, staging, writing and settling go on at the same time, each on a batch of its own. Each
//! takes the batches in their order. Whatever else is to be done waits until all that was taken from the
//! lane is settled, and nothing is taken before it is done. Where one of the three fails, those before it
//! begin nothing more, and those behind it finish what they were given.
//!
//! The fastest sink sets the pace. A lane that is full is left behind: from then on its batches are in
//! the store and the spool alone, where its task takes them up, in order, once it is through with those
//! in the lane; when none is left there, it is in step again. So a slow sink costs no memory and holds
//! nobody up, and one that has failed has everything waiting for it when it comes back.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Either, join3, select};
use tokio::sync::{Notify, mpsc};

use super::delivery::{Delivery, Ending, Ready};
use super::event::Event;
use super::rejections::Rejections;
use crate::error::Result;
use crate::receipt::Receipt;
use crate::window::Cursor;

/// Batches that a lane holds, those in its task's hands included.
const DEPTH: usize = 5;

/// Batches that the fastest lane holds: one that is settled, one that is written, one that is staged, and
/// one that is ready when the sink is.
const PACE: usize = 4;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) to: Arc<Delivery>,
    state: Mutex<State>,
    /// There is something to do for the task.
    work: Notify,
    /// Something was done. Shared by the lanes of an extraction.
    progress: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Box<Ready>>,
    /// How many its task took and has not settled.
    in_hand: usize,
    /// Whether batches wait in the store that are not in the queue.
    left_behind: bool,
    failed: bool,
    /// The number behind the last batch that was offered.
    offered: u64,
    /// Everything before this number is settled.
    settled: u64,
    /// Where the cursor may move once all that was offered is settled.
    advance_to: Option<Cursor>,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    /// Everything of the window was offered.
    Whole(Ending),
    /// It was not, and nothing more will be.
    CutShort,
}

enum Step {
    Deliver(Box<Ready>),
    CatchUp,
    Advance(Cursor),
    End(End),
    Wait,
}

impl Lane {
    pub(super) fn new(to: Arc<Delivery>, next_ordinal: u64, progress: Arc<Notify>) -> Self {
        let state = State {
            offered: next_ordinal,
            settled: next_ordinal,
            ..State::default()
        };
        Self {
            to,
            state: Mutex::new(state),
            work: Notify::new(),
            progress,
        }
    }

    /// Hands a batch over that is prepared, or leaves it where it is.
    pub(super) fn offer(&self, ready: Ready) {
        let ordinal = ready.prepared.place.ordinal;
        let falls_behind = {
            let mut state = self.state();
            state.offered = ordinal + 1;
            state.advance_to = None;
            let is_full = state.held() >= DEPTH;
            // A task that catches up may have met with it before.
            let is_settled = ordinal < state.settled;
            if state.failed || state.left_behind || is_settled {
                false
            } else if is_full {
                state.left_behind = true;
                true
            } else {
                state.queue.push_back(Box::new(ready));
                false
            }
        };
        if falls_behind {
            let (stream, sink) = (&self.to.stream.name, self.to.sink.name());
            tracing::info!(%stream, sink, "slower than the others: delivered from the spool");
            self.to.observe(Event::SinkLeftBehind { stream, sink });
        }
        self.work.notify_one();
    }

    /// Lets the cursor move where nothing had to be sent.
    pub(super) fn advance(&self, cursor: Cursor) {
        self.state().advance_to = Some(cursor);
        self.work.notify_one();
    }

    /// Everything of the window was offered.
    pub(super) fn complete(&self, ending: Ending) {
        self.end(End::Whole(ending));
    }

    /// Nothing more will be offered. What was, is delivered.
    pub(super) fn cut_short(&self) {
        self.end(End::CutShort);
    }

    fn end(&self, end: End) {
        self.state().end = Some(end);
        self.work.notify_one();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// Whether everything that was offered is settled.
    pub(super) fn is_in_step(&self) -> bool {
        let state = self.state();
        !state.failed && !state.left_behind && state.settled >= state.offered
    }

    /// Whether it can take a batch without being the slower for it.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state();
        !state.failed && !state.left_behind && state.held() < PACE
    }

    /// Whether it has little left to do to be in step.
    pub(super) fn is_close(&self) -> bool {
        let state = self.state();
        !state.failed && !state.left_behind && state.settled < state.offered
    }

    /// Everything before this number is settled.
    pub(super) fn settled_before(&self) -> u64 {
        self.state().settled
    }

    /// The task: delivers whatever is offered, until the end.
    pub(super) async fn deliver(&self, rejections: Result<Rejections>) -> Result<()> {
        let outcome = match rejections {
            Ok(rejections) => self.deliver_within(&rejections).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            let mut state = self.state();
            state.failed = true;
            state.queue.clear();
        }
        self.progress.notify_one();
        outcome
    }

    async fn deliver_within(&self, rejections: &Rejections) -> Result<()> {
        let outcome = self.deliver_all(rejections).await;
        if outcome.is_err()
            && let Err(error) = rejections.keep(&self.to).await
        {
            // The window's own failure says more.
            tracing::warn!(%error, "what was read of the window could not be noted");
        }
        outcome
    }

    async fn deliver_all(&self, rejections: &Rejections) -> Result<()> {
        let (staged, to_write) = mpsc::channel(1);
        let (written, to_settle) = mpsc::channel(1);
        let staging = self.stage_each(staged, rejections);
        let writing = self.write_each(to_write, written);
        let settling = self.settle_each(to_settle, rejections);
        let (staging, writing, settling) = join3(staging, writing, settling).await;
        // Of several failures, that of the earliest batch.
        settling.and(writing).and(staging)
    }

    /// Stages one batch ahead of the one that is written, and does whatever else is to be done.
    async fn stage_each(
        &self,
        staged: mpsc::Sender<Box<Ready>>,
        rejections: &Rejections,
    ) -> Result<()> {
        while let Ok(place) = staged.reserve().await {
            match self.next() {
                Step::Deliver(ready) => {
                    self.to.stage(&ready).await?;
                    place.send(ready);
                }
                Step::CatchUp => {
                    self.catch_up().await?;
                    rejections.check(&self.to)?;
                }
                Step::Advance(cursor) => {
                    let store = &self.to.parts().store;
                    store.advance(&self.to.claim, Some(&cursor), &[]).await?;
                }
                Step::End(End::Whole(ending)) => {
                    rejections.check_all(&self.to)?;
                    return self.to.end(ending).await;
                }
                Step::End(End::CutShort) => return Ok(()),
                Step::Wait => {
                    select(pin!(self.work.notified()), pin!(staged.closed())).await;
                }
            }
        }
        Ok(())
    }

    /// Writes one batch while the one before it is settled.
    async fn write_each(
        &self,
        mut staged: mpsc::Receiver<Box<Ready>>,
        written: mpsc::Sender<(Box<Ready>, Receipt)>,
    ) -> Result<()> {
        while let Ok(place) = written.reserve().await {
            let (next, nobody_left) = (pin!(staged.recv()), pin!(written.closed()));
            let Either::Left((Some(ready), _)) = select(next, nobody_left).await else {
                break;
            };
            let receipt = self.to.write(&ready).await?;
            place.send((ready, receipt));
        }
        Ok(())
    }

    async fn settle_each(
        &self,
        mut written: mpsc::Receiver<(Box<Ready>, Receipt)>,
        rejections: &Rejections,
    ) -> Result<()> {
        while let Some((ready, receipt)) = written.recv().await {
            self.to.settle(&ready, receipt).await?;
            self.state().in_hand -= 1;
            self.note_settled(ready.prepared.place.ordinal);
            rejections.check(&self.to)?;
            self.work.notify_one();
        }
        Ok(())
    }

    fn next(&self) -> Step {
        let mut state = self.state();
        if let Some(ready) = state.queue.pop_front() {
            state.in_hand += 1;
            Step::Deliver(ready)
        } else if state.in_hand > 0 {
            // All else is for when everything is settled.
            Step::Wait
        } else if state.left_behind {
            Step::CatchUp
        } else if let Some(cursor) = state.advance_to.take() {
            Step::Advance(cursor)
        } else if let Some(end) = state.end.take() {
            Step::End(end)
        } else {
            Step::Wait
        }
    }

    /// Delivers what waits in the store, until nothing does.
    async fn catch_up(&self) -> Result<()> {
        let store = &self.to.parts().store;
        loop {
            let waiting = store.unsettled(self.to.scope()).await?;
            if waiting.is_empty() {
                let mut state = self.state();
                // What was offered since is in the store, and not settled: it is found next time.
                if state.settled >= state.offered {
                    state.left_behind = false;
                    self.progress.notify_one();
                    return Ok(());
                }
            }
            for unsettled in waiting {
                let ordinal = unsettled.batch.place.ordinal;
                self.to.deliver_from_spool(unsettled).await?;
                self.note_settled(ordinal);
            }
        }
    }

    fn note_settled(&self, ordinal: u64) {
        self.state().settled = ordinal + 1;
        self.progress.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held(&self) -> usize {
        self.queue.len() + self.in_hand
    }
}

//! One stream in one run: holds it, and brings it up to date in every sink.
//!
//! Sinks that stand at the same place form a group, for which the stream is read once. One that is new,
//! or was left behind, gets an extraction of its own; all of a run end at the same time, so that with the
//! next they are one group:
//!
//! ```text
//!  time ────────────────────────────────► until
//!  sqlite    ══════════════════════╪═════╡   one extraction for both
//!  postgres  ══════════════════════╪═════╡
//!  archive   ══════════╪─ from the spool ─┄┄┄╡   what was spooled for it, then one of its own
//! ```
//!
//! Those that are behind go by turns, of all streams of a run, and nobody is waited for beyond the
//! pipeline's patience.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{Either, select};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use super::contract::Agreement;
use super::delivery::{Delivery, Ending, Turn};
use super::event::Event;
use super::extraction::Extraction;
use super::held_lease::HeldLease;
use super::rejections::Rejections;
use super::report::StreamReport;
use super::{Destination, Pipeline};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RunId;
use crate::stream::{DeleteDetection, StreamDescriptor};
use crate::totals::TotalsQuery;
use crate::window::{Checkpoint, Cursor, OpenWindow, Window};

pub(super) struct StreamRun {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) run: RunId,
    pub(super) stream: Arc<StreamDescriptor>,
    /// Of all streams, one extraction at a time is for sinks that are behind others.
    pub(super) catching_up: Turn,
}

/// How it ended: for each sink what was done, and why it could not be completed.
pub(super) struct Outcome {
    pub(super) sinks: Vec<(StreamReport, Option<Arc<Error>>)>,
}

impl StreamRun {
    /// Brings the stream up to date. Whatever was settled stays, also where this fails.
    ///
    /// Drops `next` once the stream is complete in one sink.
    pub(super) async fn complete(
        &self,
        destinations: &[Destination],
        next: oneshot::Sender<()>,
    ) -> Outcome {
        let begun = Instant::now();
        let calls = || self.pipeline.parts.source.calls(&self.stream.name);
        let calls_before = calls();
        let mut outcome = self.hold_and_bring_up_to_date(destinations, next).await;
        for (report, error) in &mut outcome.sinks {
            report.elapsed = begun.elapsed();
            report.error = error.as_deref().map(Error::chain);
        }
        if let Some((report, _)) = outcome.sinks.first_mut() {
            report.calls = calls().saturating_sub(calls_before);
        }
        outcome
    }

    /// Holds the stream's lease meanwhile, and stops where it is lost.
    async fn hold_and_bring_up_to_date(
        &self,
        destinations: &[Destination],
        next: oneshot::Sender<()>,
    ) -> Outcome {
        let lease = match HeldLease::acquire(&self.pipeline, self.run, &self.stream.name).await {
            Ok(lease) => lease,
            Err(error) => return self.nothing_done(destinations, error),
        };
        let agreement = match self.pipeline.shape(&self.stream).await {
            Ok(shape) => Arc::new(Agreement::new(shape)),
            Err(error) => {
                lease.release().await;
                return self.nothing_done(destinations, error);
            }
        };
        let shaped = Self {
            pipeline: Arc::new(self.pipeline.shaped(&agreement.shape)),
            run: self.run,
            stream: Arc::clone(agreement.shape.destination()),
            catching_up: Arc::clone(&self.catching_up),
        };
        let mut sinks = Sinks::new(&shaped, destinations, &lease, next);
        let error = {
            let work = pin!(sinks.bring_up_to_date(&agreement));
            let lost = pin!(lease.keep());
            match select(work, lost).await {
                Either::Left((outcome, _)) => outcome.err(),
                Either::Right((lost, _)) => Some(lost),
            }
        };
        let mut outcome = sinks.into_outcome(error);
        lease.release().await;
        for (report, _) in &mut outcome.sinks {
            report.findings.splice(..0, agreement.shape.findings());
        }
        outcome
    }

    fn nothing_done(&self, destinations: &[Destination], error: Error) -> Outcome {
        let error = Arc::new(self.named(error));
        let sinks = destinations.iter().map(|to| {
            let report = StreamReport::new(&self.stream, to.sink.name());
            (report, Some(Arc::clone(&error)))
        });
        let sinks = sinks.collect();
        Outcome { sinks }
    }

    /// The error, with the stream's name.
    fn named(&self, error: Error) -> Error {
        if error.context().any(|(name, _)| name == "stream") {
            return error;
        }
        error.with("stream", self.stream.name.as_str())
    }
}

/// The sinks of a stream, each at its own place.
struct Sinks<'a> {
    of: &'a StreamRun,
    deliveries: Vec<Arc<Delivery>>,
    /// What is being done for them, each on a task of its own.
    steps: JoinSet<Step>,
    /// Why nothing more is read.
    failure: Option<Error>,
    /// Those that take up what an earlier run left.
    taking_up: HashSet<usize>,
    /// Those for which something is to be read, perhaps.
    ready: Vec<(usize, Checkpoint)>,
    ends: Vec<Option<End>>,
    /// The latest of their watermarks.
    furthest: Option<OffsetDateTime>,
    /// Where all windows of the run end.
    until: Option<OffsetDateTime>,
    next: Option<oneshot::Sender<()>>,
}

/// Something that was done.
enum Step {
    /// For a sink.
    Of(usize, Result<Stand>),
    /// For a group: all that there was to read is handed over.
    Read(Result<()>),
}

/// Where a sink stands after a step.
enum Stand {
    TakenUp(Checkpoint),
    Delivered(Checkpoint),
    /// There was nothing to read.
    UpToDate,
}

/// How it ended for a sink.
enum End {
    Complete,
    Failed(Error),
}

impl<'a> Sinks<'a> {
    fn new(
        of: &'a StreamRun,
        destinations: &[Destination],
        lease: &HeldLease,
        next: oneshot::Sender<()>,
    ) -> Self {
        let deliveries = destinations.iter();
        let deliveries: Vec<_> = deliveries
            .map(|to| Arc::new(Delivery::new(of, to, lease)))
            .collect();
        Self {
            of,
            steps: JoinSet::new(),
            failure: None,
            taking_up: (0..deliveries.len()).collect(),
            ready: Vec::new(),
            ends: deliveries.iter().map(|_| None).collect(),
            furthest: None,
            until: None,
            next: Some(next),
            deliveries,
        }
    }

    /// # Errors
    ///
    /// Where the source fails, or the store or the spool: for all sinks that are not complete.
    async fn bring_up_to_date(&mut self, agreement: &Arc<Agreement>) -> Result<()> {
        for (sink, delivery) in self.deliveries.iter().enumerate() {
            let (delivery, agreement) = (Arc::clone(delivery), Arc::clone(agreement));
            let step = async move {
                let checkpoint = delivery.take_up(&agreement).await;
                Step::Of(sink, checkpoint.map(Stand::TakenUp))
            };
            self.steps.spawn(step.in_current_span());
        }
        self.wait_for_those_that_take_up().await?;
        loop {
            while let Some(step) = self.steps.try_join_next() {
                self.note(step)?;
            }
            if self.failure.is_none()
                && let Some(group) = self.next_group()
            {
                if let Err(error) = self.begin(group).await {
                    self.failure = Some(error);
                }
                continue;
            }
            if self
                .ends
                .iter()
                .any(|end| matches!(end, Some(End::Complete)))
            {
                self.next = None;
            }
            match self.steps.join_next().await {
                Some(step) => self.note(step)?,
                // What was handed over before a failure is delivered all the same.
                None => return self.failure.take().map_or(Ok(()), Err),
            }
        }
    }

    async fn wait_for_those_that_take_up(&mut self) -> Result<()> {
        let Pipeline {
            sleeper, options, ..
        } = &*self.of.pipeline;
        let mut over = sleeper.sleep(options.patience);
        while !self.taking_up.is_empty() {
            let step = if self.deliveries.len() == 1 {
                self.steps.join_next().await
            } else {
                match select(pin!(self.steps.join_next()), over.as_mut()).await {
                    Either::Left((step, _)) => step,
                    Either::Right(_) => return Ok(()),
                }
            };
            match step {
                Some(step) => self.note(step)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn note(&mut self, step: std::result::Result<Step, JoinError>) -> Result<()> {
        let step = step.map_err(|error| {
            Error::new(ErrorKind::Internal, "work on a stream was cut short").caused_by(error)
        })?;
        let (sink, stand) = match step {
            Step::Of(sink, stand) => (sink, stand),
            Step::Read(outcome) => {
                self.failure = self.failure.take().or(outcome.err());
                return Ok(());
            }
        };
        self.taking_up.remove(&sink);
        match stand {
            Err(error) => self.ends[sink] = Some(End::Failed(self.of.named(error))),
            Ok(Stand::TakenUp(checkpoint)) => {
                self.furthest = self.furthest.max(checkpoint.watermark);
                self.ready.push((sink, checkpoint));
            }
            Ok(Stand::Delivered(checkpoint)) => {
                let is_level = checkpoint.open.is_none() && checkpoint.watermark >= self.until;
                if is_level {
                    self.ends[sink] = Some(End::Complete);
                } else {
                    self.ready.push((sink, checkpoint));
                }
            }
            Ok(Stand::UpToDate) => self.ends[sink] = Some(End::Complete),
        }
        Ok(())
    }

    /// The furthest of those that are ready, and all that stand where it does.
    fn next_group(&mut self) -> Option<Vec<(usize, Checkpoint)>> {
        let ready = std::mem::take(&mut self.ready);
        let furthest = ready.iter().max_by_key(|(_, at)| at.watermark)?;
        let furthest = furthest.1.clone();
        let place = self.place(&furthest);
        let (group, rest): (Vec<_>, Vec<_>) = ready
            .into_iter()
            .partition(|(_, at)| self.place(at) == place);
        self.ready.extend(rest);
        // Those that opened no window yet can take that of the others.
        let window = group
            .iter()
            .find_map(|(_, at)| Some(at.open.as_ref()?.window));
        let (group, rest): (Vec<_>, Vec<_>) = group.into_iter().partition(|(_, at)| {
            let open = at.open.as_ref().map(|open| open.window);
            open.is_none() || open == window
        });
        self.ready.extend(rest);
        Some(group)
    }

    /// What must be the same for sinks to share an extraction.
    fn place<'b>(
        &self,
        at: &'b Checkpoint,
    ) -> (Option<OffsetDateTime>, Option<(Window, &'b Cursor)>) {
        // What is read whole is read from the beginning, wherever it was left.
        let is_read_whole = self.of.stream.delete_detection == DeleteDetection::FullRead;
        let begun = at.open.as_ref().filter(|_| !is_read_whole);
        let begun = begun.and_then(|open| Some((open.window, open.cursor.as_ref()?)));
        (at.watermark, begun)
    }

    /// Begins to read what there is to read for a group.
    async fn begin(&mut self, group: Vec<(usize, Checkpoint)>) -> Result<()> {
        let (pipeline, stream) = (&self.of.pipeline, &self.of.stream);
        let open = group.iter().filter_map(|(_, at)| at.open.clone());
        let open = open.max_by_key(|open| open.next_ordinal);
        let watermark = group.first().and_then(|(_, at)| at.watermark);
        let source = &pipeline.parts.source;
        let until = match (self.until, &open) {
            (Some(until), _) => until,
            (None, Some(open)) => open.window.until,
            (None, None) => whole_second(source.now().await? - pipeline.options.safety_lag),
        };
        self.until = Some(until);
        let mut open = match (open, watermark) {
            (Some(open), _) => open,
            (None, Some(as_of)) if until <= as_of => return self.tie_out(&group, as_of).await,
            (None, _) => OpenWindow::new(self.window(watermark, until)),
        };
        let window = open.window;
        self.tell_begun(&group, Some(window));
        for (sink, at) in &group {
            let delivery = &self.deliveries[*sink];
            let store = &pipeline.parts.store;
            if at.open.is_none() {
                store.open_window(&delivery.claim, window).await?;
                let opened = store.checkpoint(delivery.scope()).await?.open;
                let number = opened.map_or(0, |opened| opened.next_ordinal);
                open.next_ordinal = open.next_ordinal.max(number);
            }
        }
        let mut extraction = Extraction::new(Arc::clone(pipeline), Arc::clone(stream), open);
        for (sink, at) in &group {
            let delivery = &self.deliveries[*sink];
            let rejections = Rejections::of(delivery, at.open.as_ref()).await;
            let (sink, lane) = (*sink, extraction.deliver_to(Arc::clone(delivery)));
            let step = async move {
                let outcome = match lane.deliver(rejections).await {
                    Ok(()) => lane.to.parts().store.checkpoint(lane.to.scope()).await,
                    Err(error) => Err(error),
                };
                Step::Of(sink, outcome.map(Stand::Delivered))
            };
            self.steps.spawn(step.in_current_span());
        }
        let is_behind = watermark < self.furthest;
        let catching_up = is_behind.then(|| Arc::clone(&self.of.catching_up));
        let step = async move {
            let _turn = match &catching_up {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            Step::Read(extraction.complete().await)
        };
        self.steps.spawn(step.in_current_span());
        Ok(())
    }

    fn window(&self, watermark: Option<OffsetDateTime>, until: OffsetDateTime) -> Window {
        let lookback = self.of.pipeline.options.lookback;
        let from = match &self.of.stream.modified {
            Some(_) => watermark.map(|watermark| whole_second(watermark - lookback)),
            None => None,
        };
        Window { from, until }
    }

    /// Compares both sides where there is nothing to read.
    async fn tie_out(
        &mut self,
        group: &[(usize, Checkpoint)],
        as_of: OffsetDateTime,
    ) -> Result<()> {
        self.tell_begun(group, None);
        let query = TotalsQuery::of(Arc::clone(&self.of.stream)).modified_before(as_of);
        let source = &self.of.pipeline.parts.source;
        let ending = Ending {
            as_of,
            totals: source.control_totals(&query).await?,
            closes_window: false,
        };
        for (sink, _) in group {
            let (sink, delivery) = (*sink, Arc::clone(&self.deliveries[*sink]));
            let ending = ending.clone();
            let step = async move {
                let outcome = delivery.end(ending).await;
                Step::Of(sink, outcome.map(|()| Stand::UpToDate))
            };
            self.steps.spawn(step.in_current_span());
        }
        Ok(())
    }

    fn tell_begun(&self, group: &[(usize, Checkpoint)], window: Option<Window>) {
        for (sink, _) in group {
            self.deliveries[*sink].report().window = window;
        }
        let stream = &self.of.stream.name;
        let observer = &self.of.pipeline.observer;
        observer.observe(Event::StreamBegun { stream, window });
    }

    fn into_outcome(self, error: Option<Error>) -> Outcome {
        let error = error.map(|error| Arc::new(self.of.named(error)));
        let sinks = self.deliveries.iter().zip(self.ends).map(|(to, end)| {
            let error = match end {
                Some(End::Complete) => None,
                Some(End::Failed(own)) => Some(Arc::new(own)),
                None => error.clone(),
            };
            (to.report().clone(), error)
        });
        Outcome {
            sinks: sinks.collect(),
        }
    }
}

/// Sources tell times to the second, so a window begins and ends at one.
fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

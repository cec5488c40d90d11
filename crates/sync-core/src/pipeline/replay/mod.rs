//! Replay: batches are sent again from the spool, with the ids that they had, and the source is not asked.
//!
//! Each batch is sent whole or not at all, but for rows that are no longer the latest that is known of
//! their records: those are left out and counted, so that nothing newer is ever overwritten. A replay
//! holds the lease of each stream while it sends, and first brings batches of an interrupted run to
//! their end, for what those have done to the destination has to be known.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{Either, select};
use time::OffsetDateTime;
use tracing::Instrument as _;

use super::delivery::Delivery;
use super::event::Event;
use super::held_lease::HeldLease;
use super::stream_run::StreamRun;
use super::{Destination, Parts, Pipeline, concerns_one_stream};
use crate::batch::RecordKey;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BatchId, RunId};
use crate::receipt::RejectionClass;
use crate::store::{ReplayMode, RunStart, Scope};
use crate::stream::{StreamDescriptor, StreamName};

mod report;
mod selection;
mod sending;

pub use report::{BatchReplay, ReplayOutcome, ReplayReport, StreamReplay};

use selection::Selected;
use sending::Again;

/// Which batches to send again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplaySelection {
    /// These.
    Batches(Vec<BatchId>),
    /// Those that a run cut.
    Run(RunId),
    /// Those whose windows have something in common with this range of time.
    Window {
        /// From here on; from the beginning of the books where there is none.
        from: Option<OffsetDateTime>,
        /// Up to here, which is not part of it.
        until: OffsetDateTime,
    },
    /// Those that carried a record, in their order. All payloads of the stream are looked through, for
    /// the store knows only of a record's last delivery; [`StreamReplay::unsearched`] says how many are
    /// no longer in the spool and could not be.
    Record {
        /// The record's stream.
        stream: StreamName,
        /// The record.
        key: RecordKey,
    },
    /// Those of which the destination refused records for reasons of this class, and of which somebody
    /// still waits for. Only [`ReplayMode::Force`] sends the refused records again.
    Rejected(RejectionClass),
}

/// How to send them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayOptions {
    /// Only batches of these streams; of all where there are none.
    pub streams: Vec<StreamName>,
    /// Only batches on their way to these sinks; to all of the pipeline's where there are none.
    pub sinks: Vec<String>,
    /// What becomes of batches that the destination has.
    pub mode: ReplayMode,
}

impl ReplayOptions {
    /// Of all streams, in this mode.
    pub fn in_mode(mode: ReplayMode) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }
}

impl Pipeline {
    /// Sends batches again, from the spool. The source is not asked anything.
    ///
    /// The ledger tells of each batch before and after, under the replay's own run. Payloads that are gone
    /// or damaged are named in the report; the other batches are sent. A stream that fails for a reason of
    /// its own, such as that another run holds it, does not stop the others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where no batch matches: then nothing was done. Otherwise where store or
    /// spool fail; what was sent until then stays, and the same replay goes on from there.
    pub async fn replay(
        &self,
        selection: &ReplaySelection,
        options: &ReplayOptions,
    ) -> Result<ReplayReport> {
        let run = RunId::generate();
        let span = tracing::info_span!("replay", %run, pipeline = %self.name);
        let replaying = self.replay_as(run, selection, options);
        replaying.instrument(span).await
    }

    /// What [`Pipeline::replay`] would do, batch by batch. Sends nothing and notes nothing.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::replay`], and where a stream or its sink cannot be asked.
    pub async fn plan_replay(
        &self,
        selection: &ReplaySelection,
        options: &ReplayOptions,
    ) -> Result<Vec<StreamReplay>> {
        let mut plan = Vec::new();
        for selected in self.select(selection, options).await? {
            let stream = self.remembered(&selected.scope).await?;
            let again = Again {
                parts: &self.parts,
                sink: &selected.to.sink,
                stream,
                scope: &selected.scope,
                mode: options.mode,
            };
            let mut report = StreamReplay::new(&selected);
            for batch in &selected.batches {
                report.batches.push(again.plan(batch).await?);
            }
            plan.push(report);
        }
        Ok(plan)
    }

    async fn replay_as(
        &self,
        run: RunId,
        selection: &ReplaySelection,
        options: &ReplayOptions,
    ) -> Result<ReplayReport> {
        let begun = Instant::now();
        let streams = self.select(selection, options).await?;
        let Parts { source, store, .. } = &self.parts;
        let sinks: Vec<_> = self.parts.sinks.iter().map(|sink| sink.name()).collect();
        let start = RunStart {
            run,
            pipeline: self.name.clone(),
            sink: sinks.join(", "),
            company: source.company().to_owned(),
            settings: self.settings(),
        };
        store.begin_run(&start).await?;
        let batches = streams.iter().map(|it| it.batches.len() as u64).sum();
        self.observer.observe(Event::ReplayBegun { run, batches });
        let mut reports = Vec::with_capacity(streams.len());
        for selected in streams {
            let mut report = StreamReplay::new(&selected);
            let outcome = self
                .replay_stream(run, selected, options, &mut report)
                .await;
            report.error = outcome.as_ref().err().map(Error::chain);
            reports.push(report);
            if let Err(error) = outcome
                && !concerns_one_stream(error.kind())
            {
                let told = serde_json::json!({ "failed": error.chain(), "replayed": &reports });
                store.end_run(run, &told.to_string()).await?;
                return Err(error);
            }
        }
        let told = serde_json::json!({ "replayed": &reports });
        let head = store.end_run(run, &told.to_string()).await?;
        let sinks = (reports.iter()).map(|it| (it.sink.as_str(), it.is_complete()));
        let findings = self.keep_sent_again(run, head, sinks).await;
        let report = ReplayReport {
            run,
            streams: reports,
            findings,
            head,
            elapsed: begun.elapsed(),
        };
        self.observer
            .observe(Event::ReplayEnded { report: &report });
        Ok(report)
    }

    async fn replay_stream(
        &self,
        run: RunId,
        selected: Selected,
        options: &ReplayOptions,
        report: &mut StreamReplay,
    ) -> Result<()> {
        let stream = self.remembered(&selected.scope).await?;
        let work = async |delivery: &Delivery| {
            delivery.prepare_table().await?;
            delivery.recover().await?;
            report.recovered = delivery.report().recovered;
            let again = Again {
                parts: delivery.parts(),
                sink: &delivery.sink,
                stream: Arc::clone(&delivery.stream),
                scope: delivery.scope(),
                mode: options.mode,
            };
            for batch in &selected.batches {
                let replay = again.send(delivery, batch).await?;
                delivery.observe(Event::BatchReplayed {
                    stream: &delivery.stream.name,
                    replay: &replay,
                });
                report.batches.push(replay);
            }
            delivery.sink.flush(&delivery.stream.name).await.map(drop)
        };
        self.holding(run, stream, &selected.to, work).await
    }

    /// Does something with a stream while its lease is held, and stops where that is lost.
    pub(super) async fn holding(
        &self,
        run: RunId,
        stream: Arc<StreamDescriptor>,
        to: &Destination,
        work: impl AsyncFnOnce(&Delivery) -> Result<()>,
    ) -> Result<()> {
        let lease = HeldLease::acquire(self, run, &stream.name).await?;
        let of = StreamRun {
            pipeline: Arc::new(self.clone()),
            run,
            stream,
            catching_up: Arc::default(),
        };
        let delivery = Delivery::new(&of, to, &lease);
        let outcome = {
            let work = pin!(work(&delivery));
            let lost = pin!(lease.keep());
            match select(work, lost).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right((lost, _)) => Err(lost),
            }
        };
        lease.release().await;
        outcome
    }

    /// A stream as it was when it was last delivered.
    pub(super) async fn remembered(&self, scope: &Scope) -> Result<Arc<StreamDescriptor>> {
        let found = self.parts.store.remembered_stream(scope).await?;
        found.map(Arc::new).ok_or_else(|| {
            let what = "the store does not know the stream's columns: run the stream once with this \
                        version, then try again";
            Error::new(ErrorKind::NotFound, what).with("scope", scope.to_string())
        })
    }
}

//! The pipeline: reads streams, cuts batches, delivers and settles them, finds deletes, ties out.
//!
//! The life of a batch: its rows get ids that are functions of their content; its payload goes to
//! the spool; the ledger says that it is prepared; the sink writes it; the store settles it, which
//! moves the cursor in the same transaction. Whatever stops the process in between, the next run
//! finds the batch prepared, asks the sink, and settles it or sends the same bytes again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use crate::clock::{Clock, Sleeper, SystemClock, TokioSleeper};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RunId;
use crate::run_mark::RunMark;
use crate::shape::{HashKeys, Shaping};
use crate::sink::Sink;
use crate::source::Source;
use crate::spool::Spool;
use crate::store::{RunStart, Store};
use crate::stream::{StreamDescriptor, StreamName};

mod contract;
mod cutter;
mod deletes;
mod delivery;
mod entries;
mod event;
mod extraction;
mod held_lease;
mod lane;
mod ledger_balances;
mod periods;
mod plan;
mod recovery;
mod rejections;
mod replay;
mod report;
mod retry;
mod run_marks;
mod spool_room;
mod stream_run;
mod tie_out;
mod under_way;

pub use crate::tie_out::TieOut;
pub use entries::UnbalancedEntries;
pub use event::{Event, Observer, Unobserved};
pub use periods::{OpenPeriods, PeriodOptions};
pub use plan::{SinkPlan, StreamPlan};
pub use rejections::RejectionLimit;
pub use replay::{
    BatchReplay, ReplayOptions, ReplayOutcome, ReplayReport, ReplaySelection, StreamReplay,
};
pub use report::{CheckReport, RunReport, StreamReport};
pub use retry::{RetryReport, StreamRetry, UnfitLetter};

use delivery::Turn;
use run_marks::keep_marks;
use spool_room::{SpooledSince, shared_spool};
use stream_run::{Outcome, StreamRun};

/// How a pipeline works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PipelineOptions {
    /// The streams to read, in this order; all that the source has where there are none.
    pub streams: Vec<StreamName>,
    /// How far before the watermark a window begins, for records that become visible late.
    pub lookback: Duration,
    /// How far before the source's present a window ends, for changes that are still being made.
    pub safety_lag: Duration,
    /// Rows at which a batch is cut.
    pub batch_rows: usize,
    /// How long a settled batch stays in the spool.
    pub spool_retention: Duration,
    /// How many bytes the spool may hold, if not any number: the oldest settled batches go first. It may
    /// be more by a sixteenth, and by what is not settled, which always stays.
    pub spool_max_bytes: Option<u64>,
    /// How long a stream stays this run's without a sign of life. It is renewed three times as often; a
    /// run on another machine that finds its holder dead waits so long.
    pub lease: Duration,
    /// What becomes of streams on their way, and how far their schemas may change.
    pub shaping: Shaping,
    /// How long the sinks of a stream wait for one of them that is taking up what an earlier run left, or
    /// has a few batches to go before deletes are looked for. Then they go on without it.
    pub patience: Duration,
    /// How many records of a stream may be rejected in a run before it fails; no limit by default.
    pub rejection_limit: RejectionLimit,
    /// What becomes of journal entries whose debits do not equal their credits.
    pub unbalanced_entries: UnbalancedEntries,
    /// Which periods are closed, and how open ones are read.
    pub periods: PeriodOptions,
}

impl Default for PipelineOptions {
    /// Two hours of lookback, two minutes of lag, batches of 8,192 rows, a day in the spool whatever
    /// that takes, leases of a minute, five seconds of patience.
    fn default() -> Self {
        Self {
            streams: Vec::new(),
            lookback: Duration::from_secs(2 * 60 * 60),
            safety_lag: Duration::from_secs(2 * 60),
            batch_rows: 8_192,
            spool_retention: Duration::from_secs(24 * 60 * 60),
            spool_max_bytes: None,
            lease: Duration::from_secs(60),
            shaping: Shaping::default(),
            patience: Duration::from_secs(5),
            rejection_limit: RejectionLimit::default(),
            unbalanced_entries: UnbalancedEntries::default(),
            periods: PeriodOptions::default(),
        }
    }
}

/// Everything that a pipeline connects.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where records come from.
    pub source: Arc<dyn Source>,
    /// Where they go: one sink or several, of different names. Each has progress of its own.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// What survives a crash.
    pub store: Arc<dyn Store>,
    /// Where payloads wait.
    pub spool: Arc<dyn Spool>,
}

/// Moves the streams of one source to one sink or several.
#[derive(Clone, Debug)]
pub struct Pipeline {
    name: String,
    parts: Parts,
    options: PipelineOptions,
    observer: Arc<dyn Observer>,
    clock: Arc<dyn Clock>,
    sleeper: Arc<dyn Sleeper>,
    hash_keys: HashKeys,
    spooled_since: SpooledSince,
}

impl Pipeline {
    /// A pipeline. Its name is part of every batch id, and of what the store knows it by: keep it.
    pub fn new(name: impl Into<String>, parts: Parts, options: PipelineOptions) -> Self {
        let (observer, clock) = (Arc::new(Unobserved), Arc::new(SystemClock));
        Self {
            name: name.into(),
            parts,
            options,
            observer,
            clock,
            sleeper: Arc::new(TokioSleeper),
            hash_keys: HashKeys::new(),
            spooled_since: SpooledSince::default(),
        }
    }

    /// Lets somebody watch.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Takes the times that rows carry (`_synced_at`) from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Waits between the renewals of leases by another sleeper than the runtime's timer.
    #[must_use]
    pub fn with_sleeper(mut self, sleeper: Arc<dyn Sleeper>) -> Self {
        self.sleeper = sleeper;
        self
    }

    /// Hashes columns by these keys, which mappings name.
    #[must_use]
    pub fn with_hash_keys(mut self, keys: HashKeys) -> Self {
        self.hash_keys = keys;
        self
    }

    /// Reads what changed since the last run, and everything where there was none.
    ///
    /// A stream that fails for a reason of its own does not stop the others: its report says why. So it
    /// does where another run holds the stream: by its host and process, since when and until when.
    ///
    /// # Errors
    ///
    /// Where the source cannot be reached or refuses the credentials, where a stream is asked for
    /// that it does not have, or where store or spool fail. What was settled until then stays, and
    /// the next run goes on from there.
    pub async fn run(&self) -> Result<RunReport> {
        let run = RunId::generate();
        let span = tracing::info_span!("run", %run, pipeline = %self.name);
        self.run_as(run).instrument(span).await
    }

    async fn run_as(&self, run: RunId) -> Result<RunReport> {
        let begun = Instant::now();
        let Parts { source, store, .. } = &self.parts;
        let destinations = self.destinations()?;
        let streams = self.chosen(source.discover().await?)?;
        let sinks: Vec<_> = destinations.iter().map(|it| it.sink.name()).collect();
        let start = RunStart {
            run,
            pipeline: self.name.clone(),
            sink: sinks.join(", "),
            company: source.company().to_owned(),
            settings: self.settings(),
        };
        store.begin_run(&start).await?;
        let ownership = self.open_spool(run).await?;
        let names: Vec<_> = streams.iter().map(|stream| stream.name.clone()).collect();
        self.observer.observe(Event::RunBegun {
            run,
            streams: &names,
        });

        let described: Vec<_> = streams.iter().cloned().map(Arc::new).collect();
        let reports = match self.complete(run, streams, &destinations).await {
            Ok(reports) => reports,
            Err(error) => {
                let told = serde_json::json!({ "failed": error.chain() });
                if let Err(also) = store.end_run(run, &told.to_string()).await {
                    // A full disk is often full for both; what came first is what to see to.
                    tracing::warn!(error = %also, "the end of the run could not be noted");
                }
                return Err(error);
            }
        };
        let checks = ledger_balances::check(self, run, &described, &reports).await?;
        self.sweep_spool(run, ownership).await?;
        let mut findings = source.findings();
        findings.extend(checks.iter().flat_map(CheckReport::finding));
        findings.extend(shared_spool(ownership));
        if !self.options.streams.is_empty() {
            // What was found of a stream that was not chosen is nobody's concern.
            let chosen = |subject: &str| names.iter().any(|name| name.as_str() == subject);
            let of_no_stream = |subject: &str| StreamName::new(subject).is_err();
            findings.retain(|it| chosen(&it.subject) || of_no_stream(&it.subject));
        }
        let told = serde_json::json!({
            "streams": &reports,
            "checks": &checks,
            "findings": &findings,
        });
        let head = store.end_run(run, &told.to_string()).await?;
        let mut report = RunReport {
            run,
            streams: reports,
            checks,
            findings,
            head,
            elapsed: begun.elapsed(),
        };
        let marks = destinations.iter().map(|to| {
            let mark = self.mark(&report, to.sink.name());
            (Arc::clone(&to.sink), mark)
        });
        let not_kept = keep_marks(marks.collect()).await;
        report.findings.extend(not_kept);
        self.observer.observe(Event::RunEnded { report: &report });
        Ok(report)
    }

    /// What a destination keeps of the run, which is nothing of what became of it in others.
    fn mark(&self, report: &RunReport, sink: &str) -> RunMark {
        let mut mark = self.mark_of(report.run, report.head);
        let mut of_this = report.clone();
        of_this.streams.retain(|stream| stream.sink == sink);
        of_this.checks.retain(|check| check.sink == sink);
        mark.is_complete = of_this.is_complete();
        mark.ties_out = of_this.ties_out();
        mark
    }

    /// Brings the streams up to date, one after the other. Sinks that are slower than the first to
    /// complete a stream go on with it while the next is read.
    ///
    /// # Errors
    ///
    /// Where a stream fails for a reason that is not its own.
    async fn complete(
        &self,
        run: RunId,
        streams: Vec<StreamDescriptor>,
        destinations: &[Destination],
    ) -> Result<Vec<StreamReport>> {
        let pipeline = Arc::new(self.clone());
        let mut reports = BTreeMap::new();
        let mut under_way = FuturesUnordered::new();
        let catching_up = Turn::default();
        for (position, stream) in streams.into_iter().enumerate() {
            let stream_run = StreamRun {
                pipeline: Arc::clone(&pipeline),
                run,
                stream: Arc::new(stream),
                catching_up: Arc::clone(&catching_up),
            };
            let (next, mut may_begin) = oneshot::channel();
            under_way.push(async move {
                let outcome = stream_run.complete(destinations, next).await;
                (position, outcome)
            });
            // Once it is complete for one sink, or over, which drops the other end.
            while let Either::Left((Some((position, outcome)), _)) =
                select(under_way.next(), &mut may_begin).await
            {
                reports.insert(position, self.ended(outcome)?);
            }
        }
        while let Some((position, outcome)) = under_way.next().await {
            reports.insert(position, self.ended(outcome)?);
        }
        Ok(reports.into_values().flatten().collect())
    }

    /// Tells how a stream ended.
    fn ended(&self, outcome: Outcome) -> Result<Vec<StreamReport>> {
        let mut reports = Vec::with_capacity(outcome.sinks.len());
        let mut first_error = None;
        let everywhere = outcome.sinks.iter().all(|(_, error)| error.is_some());
        for (report, error) in outcome.sinks {
            let event = match &error {
                None => Event::StreamEnded { report: &report },
                Some(error) => Event::StreamFailed {
                    report: &report,
                    error,
                },
            };
            self.observer.observe(event);
            first_error = first_error.or(error);
            reports.push(report);
        }
        match first_error {
            Some(error) if everywhere && !concerns_one_stream(error.kind()) => {
                Err(Arc::try_unwrap(error)
                    .unwrap_or_else(|error| Error::new(error.kind(), error.to_string())))
            }
            _ => Ok(reports),
        }
    }

    /// The sinks, which must be told apart by their names.
    fn destinations(&self) -> Result<Vec<Destination>> {
        let sinks = &self.parts.sinks;
        if sinks.is_empty() {
            let what = "a pipeline without a sink has nothing to do; give it one";
            return Err(Error::new(ErrorKind::Config, what).with("pipeline", &self.name));
        }
        let mut names = HashSet::new();
        if let Some(twice) = sinks.iter().find(|sink| !names.insert(sink.name())) {
            let what = "two sinks of a pipeline have one name, by which their progress is kept; give each its own";
            let error = Error::new(ErrorKind::Config, what).with("sink", twice.name());
            return Err(error.with("pipeline", &self.name));
        }
        let destinations = sinks.iter().map(|sink| Destination {
            sink: Arc::clone(sink),
            turn: Turn::default(),
        });
        Ok(destinations.collect())
    }

    fn chosen(&self, mut found: Vec<StreamDescriptor>) -> Result<Vec<StreamDescriptor>> {
        for stream in &found {
            stream.validate()?;
        }
        self.check_mappings(&found)?;
        if self.options.streams.is_empty() {
            return Ok(found);
        }
        let mut chosen = Vec::with_capacity(self.options.streams.len());
        for name in &self.options.streams {
            let Some(position) = found.iter().position(|stream| stream.name == *name) else {
                let what = "the source has no such stream, or it is named twice; list its streams to choose";
                let error = Error::new(ErrorKind::NotFound, what).with("stream", name.as_str());
                let findings = self.parts.source.findings();
                let told = findings.iter().find(|it| it.subject == name.as_str());
                return Err(match told {
                    Some(finding) => error.with("found", finding.to_string()),
                    None => error,
                });
            };
            chosen.push(found.swap_remove(position));
        }
        Ok(chosen)
    }

    /// What the run goes by, for the ledger.
    fn settings(&self) -> String {
        let options = &self.options;
        let settings = serde_json::json!({
            "source": self.parts.source.name(),
            "streams": options.streams,
            "lookback_seconds": options.lookback.as_secs(),
            "safety_lag_seconds": options.safety_lag.as_secs(),
            "batch_rows": options.batch_rows,
            "spool_retention_seconds": options.spool_retention.as_secs(),
            "spool_max_bytes": options.spool_max_bytes,
            "lease_seconds": options.lease.as_secs(),
            "unbalanced_entries": options.unbalanced_entries,
            "periods": options.periods,
            "shaping": options.shaping.told(&self.hash_keys),
            "patience_seconds": options.patience.as_secs(),
            "rejection_limit": options.rejection_limit,
        });
        settings.to_string()
    }

    /// Reads ahead on a task of its own, one page beyond the one in use.
    fn read_ahead(
        &self,
        request: crate::source::ReadRequest,
    ) -> mpsc::Receiver<Result<crate::batch::SourceBatch>> {
        let (sender, receiver) = mpsc::channel(1);
        let source = Arc::clone(&self.parts.source);
        let reading = async move {
            let mut pages = source.read(request);
            while let Some(page) = pages.next().await {
                // Nobody waits for the page any more: the run has failed or was dropped.
                if sender.send(page).await.is_err() {
                    break;
                }
            }
        };
        tokio::spawn(reading.in_current_span());
        receiver
    }
}

/// A sink of a run.
#[derive(Clone, Debug)]
struct Destination {
    sink: Arc<dyn Sink>,
    turn: Turn,
}

/// Whether the next stream may still succeed.
fn concerns_one_stream(kind: ErrorKind) -> bool {
    use ErrorKind::{Conflict, Data, NotFound, Permission, Protocol, Rejected, Unsupported};
    matches!(
        kind,
        Conflict | Data | NotFound | Permission | Protocol | Rejected | Unsupported
    )
}

//! The pipeline: reads streams, cuts batches, delivers and settles them, finds deletes, ties out.
//!
//! The life of a batch: its rows get ids that are functions of their content; its payload goes to
//! the spool; the ledger says that it is prepared; the sink writes it; the store settles it, which
//! moves the cursor in the same transaction. Whatever stops the process in between, the next run
//! finds the batch prepared, asks the sink, and settles it or sends the same bytes again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::clock::{Clock, Sleeper, SystemClock, TokioSleeper};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Severity};
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
mod event;
mod extraction;
mod held_lease;
mod recovery;
mod report;
mod spool_room;
mod stream_run;
mod tie_out;

pub use crate::tie_out::TieOut;
pub use event::{Event, Observer, Unobserved};
pub use report::{RunReport, StreamReport};

use spool_room::{SpooledSince, shared_spool};
use stream_run::StreamRun;

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
}

impl Default for PipelineOptions {
    /// Two hours of lookback, two minutes of lag, batches of 8,192 rows, a day in the spool whatever
    /// that takes, leases of a minute.
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
        }
    }
}

/// Everything that a pipeline connects.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where records come from.
    pub source: Arc<dyn Source>,
    /// Where they go.
    pub sink: Arc<dyn Sink>,
    /// What survives a crash.
    pub store: Arc<dyn Store>,
    /// Where payloads wait.
    pub spool: Arc<dyn Spool>,
}

/// Moves the streams of one source to one sink.
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
        let Parts {
            source,
            sink,
            store,
            ..
        } = &self.parts;
        let streams = self.chosen(source.discover().await?)?;
        let start = RunStart {
            run,
            pipeline: self.name.clone(),
            sink: sink.name().to_owned(),
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

        let pipeline = Arc::new(self.clone());
        let mut reports = Vec::with_capacity(streams.len());
        for stream in streams {
            let stream_run = StreamRun {
                pipeline: Arc::clone(&pipeline),
                run,
                stream: Arc::new(stream),
            };
            let (report, outcome) = stream_run.complete().await;
            match &outcome {
                Ok(()) => self
                    .observer
                    .observe(Event::StreamEnded { report: &report }),
                Err(error) => self.observer.observe(Event::StreamFailed {
                    report: &report,
                    error,
                }),
            }
            reports.push(report);
            if let Err(error) = outcome
                && !concerns_one_stream(error.kind())
            {
                let told = serde_json::json!({ "failed": error.chain() });
                if let Err(also) = store.end_run(run, &told.to_string()).await {
                    // A full disk is often full for both; what came first is what to see to.
                    tracing::warn!(error = %also, "the end of the run could not be noted");
                }
                return Err(error);
            }
        }
        self.sweep_spool(run, ownership).await?;
        let mut findings = source.findings();
        findings.extend(shared_spool(ownership));
        if !self.options.streams.is_empty() {
            // What was found of a stream that was not chosen is nobody's concern.
            let chosen = |subject: &str| names.iter().any(|name| name.as_str() == subject);
            let of_no_stream = |subject: &str| StreamName::new(subject).is_err();
            findings.retain(|it| chosen(&it.subject) || of_no_stream(&it.subject));
        }
        let told = serde_json::json!({ "streams": &reports, "findings": &findings });
        let head = store.end_run(run, &told.to_string()).await?;
        let mut report = RunReport {
            run,
            streams: reports,
            findings,
            head,
            elapsed: begun.elapsed(),
        };
        let kept = sink.keep_run(&self.mark(&report)).await;
        if let Err(error) = kept {
            let what = format!("the end of the run is not noted there: {}", error.chain());
            let finding = Finding::new(Severity::Warning, sink.name(), what);
            report.findings.push(finding);
        }
        self.observer.observe(Event::RunEnded { report: &report });
        Ok(report)
    }

    /// What a destination keeps of the run.
    fn mark(&self, report: &RunReport) -> RunMark {
        let company = self.parts.source.company();
        let head = (report.head.sequence, report.head.hash);
        let mut mark = RunMark::new(report.run, &self.name, company, self.clock.now(), head);
        mark.is_complete = report.is_complete();
        mark.ties_out = report.ties_out();
        mark
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
            "shaping": options.shaping.told(&self.hash_keys),
        });
        settings.to_string()
    }

    /// Reads ahead on a task of its own, one page beyond the one in use.
    fn read_ahead(
        &self,
        request: crate::source::ReadRequest,
    ) -> mpsc::Receiver<Result<crate::batch::SourceBatch>> {
        use futures_util::StreamExt as _;
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

/// Whether the next stream may still succeed.
fn concerns_one_stream(kind: ErrorKind) -> bool {
    use ErrorKind::{Conflict, Data, NotFound, Permission, Protocol, Rejected, Unsupported};
    matches!(
        kind,
        Conflict | Data | NotFound | Permission | Protocol | Rejected | Unsupported
    )
}

//! What ledger, spool, record index and hashing cost: the same records through the same pipeline into the
//! same sink with and without ledger and spool, and beside them the sink alone, with batches that were cut
//! and hashed before.
//!
//! Not a test that can fail, but a figure:
//! `cargo test --release -p sink-sql --features sqlite --test cost_of_proof -- --ignored --nocapture`.
//! `RECORDS=2200000` before it makes it so many, and `ROUNDS=3` so many rounds; two hundred thousand and
//! seven otherwise. Each round goes through all of them, so what the machine does besides falls on all; the
//! figure is the median of the rounds.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use sink_sql::{SqliteOptions, SqliteSink};
use sync_core::id::Hasher;
use sync_core::ledger::{Entry, EntryKind, Head, Verification};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions};
use sync_core::shape::{AcceptedContract, Difference};
use sync_core::spool::{FolderSpool, Spool, Spooled};
use sync_core::store::{
    BatchQuery, BatchStore, CensusStore, Claim, ContractStore, DeadLetter, Discard, FencingToken,
    KeptBatch, KeptPayload, Lease, LeaseRequest, LeaseStore, LedgerStore, Letter, LetterFilter,
    LetterId, LetterPage, LetterStore, LostBatch, PayloadStore, PeriodStore, PreparedBatch,
    ProgressStore, RecordAudit, RecordStore, Removal, ReplayStore, Replayed, Replaying, RunStart,
    Scope, Settlement, SqliteStore, UnsettledBatch, VerifiedPeriod,
};
use sync_core::{
    Batch, BatchId, BatchPlace, Checkpoint, ControlTotals, Cursor, Digest, Finding, OpenWindow,
    Operation, ReadRequest, RecordId, RecordKey, Result, RunId, Sink, Source, SourceBatch,
    StreamDescriptor, StreamName, TotalsQuery, Window,
};
use time::OffsetDateTime;

/// As many as a pipeline's batches have, so that each page is one.
const PAGE: usize = 8_192;
/// Pages whose texts differ; then they come again, with other keys.
const KINDS_OF_PAGE: usize = 25;

/// Ledger lines as they come, with forty columns.
#[derive(Debug)]
struct Lines {
    stream: StreamDescriptor,
    pages: Vec<RecordBatch>,
}

impl Lines {
    fn new(records: usize) -> Self {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = vec![
            Field::new("recordno", DataType::Int64, false),
            Field::new("whenmodified", timestamp, true),
            Field::new("batch_date", DataType::Date32, true),
            Field::new("amount", DataType::Decimal128(38, 9), true),
            Field::new("trx_amount", DataType::Decimal128(38, 9), true),
        ];
        let texts =
            (0..35).map(|number| Field::new(format!("text_{number}"), DataType::Utf8, true));
        fields.extend(texts);
        let schema = Arc::new(Schema::new(fields));
        let name = StreamName::new("gl_detail").unwrap();
        let key = vec!["recordno".to_owned()];
        let mut stream = StreamDescriptor::new(name, Arc::clone(&schema), key).unwrap();
        stream.modified = Some("whenmodified".into());
        let texts: Vec<_> = (0..KINDS_OF_PAGE).map(|page| values(page * PAGE)).collect();
        let pages = (0..records.div_ceil(PAGE))
            .map(|page| rows(&schema, page * PAGE, &texts[page % KINDS_OF_PAGE]))
            .collect();
        Self { stream, pages }
    }
}

fn rows(schema: &SchemaRef, first: usize, texts: &[ArrayRef]) -> RecordBatch {
    let numbers = || (first..first + PAGE).map(|number| number as i64);
    let times = TimestampMicrosecondArray::from_iter_values(numbers().map(|it| it * 1_000_000));
    let decimals = |factor: i128| {
        let values = numbers().map(move |it| i128::from(it) * factor * 10_000_000);
        let array = Decimal128Array::from_iter_values(values);
        array.with_precision_and_scale(38, 9).unwrap()
    };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(numbers())),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(Date32Array::from_iter_values(
            numbers().map(|it| (it / 100) as i32),
        )),
        Arc::new(decimals(17)),
        Arc::new(decimals(19)),
    ];
    columns.extend(texts.iter().cloned());
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

/// A third of the fields of a ledger line are empty; the others are codes and short names.
fn values(first: usize) -> Vec<ArrayRef> {
    let of_column = |column: i64| {
        let numbers = (first..first + PAGE).map(|number| number as i64);
        let texts = numbers.map(|it| {
            let text = format!("{:05}-{column}", it * (column + 3) % 90_001);
            (column % 3 > 0).then_some(text)
        });
        Arc::new(StringArray::from_iter(texts)) as ArrayRef
    };
    (0..35).map(of_column).collect()
}

#[async_trait]
impl Source for Lines {
    fn name(&self) -> &str {
        "lines"
    }

    fn company(&self) -> &str {
        "DEMO"
    }

    async fn now(&self) -> Result<OffsetDateTime> {
        Ok(OffsetDateTime::now_utc())
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        Ok(vec![self.stream.clone()])
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        let pages = self.pages.iter().enumerate().map(|(number, rows)| {
            let mut page = SourceBatch::new(rows.clone());
            page.cursor = Some(Cursor(number.to_string()));
            Ok(page)
        });
        stream::iter(pages).boxed()
    }

    async fn control_totals(&self, _: &TotalsQuery) -> Result<Option<ControlTotals>> {
        Ok(None)
    }
}

/// Keeps nothing but how far a run is: a window that never ends would be read again and again.
#[derive(Debug, Default)]
struct Forgetful(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    open: Option<Window>,
    watermark: Option<OffsetDateTime>,
}

fn nothing() -> Digest {
    Hasher::new("nothing").digest()
}

#[async_trait]
impl Spool for Forgetful {
    async fn put(&self, batch: &Batch) -> Result<Spooled> {
        Ok(Spooled {
            name: batch.id().to_string(),
            bytes: 0,
            digest: nothing(),
        })
    }

    async fn get(&self, _: &Spooled) -> Result<RecordBatch> {
        unreachable!("nothing is sent again")
    }

    async fn remove(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl LeaseStore for Forgetful {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Lease> {
        let now = OffsetDateTime::UNIX_EPOCH;
        Ok(Lease::granted(request, FencingToken(1), now))
    }
    async fn renew(&self, lease: &Lease, _: Duration) -> Result<Lease> {
        Ok(lease.clone())
    }
    async fn release(&self, _: &Lease) -> Result<()> {
        Ok(())
    }
    fn abandon(&self, _: &Lease) {}
    async fn leases(&self) -> Result<Vec<Lease>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ProgressStore for Forgetful {
    async fn begin_run(&self, _: &RunStart) -> Result<()> {
        Ok(())
    }
    async fn end_run(&self, _: RunId, _: &str) -> Result<Head> {
        Ok(Head::genesis())
    }
    async fn checkpoint(&self, _: &Scope) -> Result<Checkpoint> {
        let progress = self.0.lock().unwrap();
        Ok(Checkpoint {
            watermark: progress.watermark,
            open: progress.open.map(OpenWindow::new),
        })
    }
    async fn open_window(&self, _: &Claim, window: Window) -> Result<()> {
        self.0.lock().unwrap().open = Some(window);
        Ok(())
    }
    async fn advance(&self, _: &Claim, _: Option<&Cursor>, _: &[DeadLetter]) -> Result<()> {
        Ok(())
    }
    async fn note_read(&self, _: &Claim, _: u64) -> Result<()> {
        Ok(())
    }
    async fn read_of_window(&self, _: &Scope) -> Result<u64> {
        Ok(0)
    }
    async fn note_window_read(&self, _: &Claim) -> Result<()> {
        Ok(())
    }
    async fn complete_window(&self, _: &Claim) -> Result<()> {
        let mut progress = self.0.lock().unwrap();
        progress.watermark = progress.open.take().map(|window| window.until);
        Ok(())
    }
}

#[async_trait]
impl ContractStore for Forgetful {
    async fn contract(&self, _: &Scope) -> Result<Option<AcceptedContract>> {
        Ok(None)
    }
    async fn accept_contract(
        &self,
        _: &Claim,
        _: &AcceptedContract,
        _: &[Difference],
    ) -> Result<()> {
        Ok(())
    }
    async fn begin_reread(&self, _: &Claim) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl BatchStore for Forgetful {
    async fn prepare(&self, _: &Claim, _: &PreparedBatch, _: &[DeadLetter]) -> Result<Digest> {
        Ok(nothing())
    }
    async fn settle(&self, _: &Claim, _: Settlement) -> Result<()> {
        Ok(())
    }
    async fn unsettled(&self, _: &Scope) -> Result<Vec<UnsettledBatch>> {
        Ok(Vec::new())
    }
    async fn give_up(&self, _: &Claim, _: &LostBatch) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl RecordStore for Forgetful {
    async fn changed(&self, _: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>> {
        Ok(vec![true; records.len()])
    }
    async fn live_records(&self, _: &Scope) -> Result<u64> {
        Ok(0)
    }
    async fn live_by_period(&self, _: &Scope) -> Result<Option<BTreeMap<String, u64>>> {
        Ok(None)
    }
    async fn live_keys(&self, _: &Scope, _: &[RecordKey]) -> Result<Vec<RecordKey>> {
        Ok(Vec::new())
    }
    async fn keys_of_owners(&self, _: &Scope, _: &[String]) -> Result<Vec<RecordKey>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl CensusStore for Forgetful {
    async fn begin_census(&self, _: &Claim, _: Option<&[String]>) -> Result<()> {
        Ok(())
    }
    async fn count_keys(&self, _: &Claim, _: &[RecordKey]) -> Result<()> {
        Ok(())
    }
    async fn missing_keys(
        &self,
        _: &Scope,
        _: Option<&RecordKey>,
        _: usize,
    ) -> Result<Vec<RecordKey>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl PeriodStore for Forgetful {
    async fn verified_periods(&self, _: &Scope) -> Result<Vec<VerifiedPeriod>> {
        Ok(Vec::new())
    }
    async fn verify_period(&self, _: &Claim, _: &VerifiedPeriod, _: Option<&str>) -> Result<()> {
        Ok(())
    }
    async fn reopen_periods(&self, _: &Claim, _: &[String]) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl LedgerStore for Forgetful {
    async fn note(&self, _: &Claim, _: EntryKind, _: &str) -> Result<Digest> {
        Ok(nothing())
    }
    async fn audit(&self, _: &Scope, _: &RecordKey) -> Result<RecordAudit> {
        Ok(RecordAudit::default())
    }
    async fn entries(&self, _: u64, _: usize) -> Result<Vec<Entry>> {
        Ok(Vec::new())
    }
    async fn verify(&self, _: &[Digest]) -> Result<Verification> {
        let head = Head::genesis();
        Ok(Verification::Intact { head })
    }
}

#[async_trait]
impl LetterStore for Forgetful {
    async fn dead_letters(&self, _: &Scope, _: usize) -> Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }
    async fn letters(&self, _: &LetterFilter, _: LetterPage) -> Result<Vec<Letter>> {
        Ok(Vec::new())
    }
    async fn count_letters(&self, _: &LetterFilter) -> Result<u64> {
        Ok(0)
    }
    async fn discard_letters(&self, _: &Scope, _: &Discard) -> Result<()> {
        Ok(())
    }
    async fn latest_letters(&self, _: &Scope, letters: &[LetterId]) -> Result<Vec<bool>> {
        Ok(vec![true; letters.len()])
    }
    async fn supersede_letters(&self, _: &Claim, _: &[LetterId]) -> Result<()> {
        Ok(())
    }
    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        _: &[LetterId],
    ) -> Result<Digest> {
        self.prepare(claim, batch, &[]).await
    }
}

#[async_trait]
impl PayloadStore for Forgetful {
    async fn payloads(&self) -> Result<Vec<KeptPayload>> {
        Ok(Vec::new())
    }
    async fn forget_payloads(&self, _: RunId, _: &Removal) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl ReplayStore for Forgetful {
    async fn remember_stream(&self, _: &Claim, _: &StreamDescriptor) -> Result<()> {
        Ok(())
    }
    async fn remembered_stream(&self, _: &Scope) -> Result<Option<StreamDescriptor>> {
        Ok(None)
    }
    async fn batches(&self, _: &BatchQuery) -> Result<Vec<KeptBatch>> {
        Ok(Vec::new())
    }
    async fn latest(&self, _: &Scope, _: &BatchId, records: &[RecordKey]) -> Result<Vec<bool>> {
        Ok(vec![true; records.len()])
    }
    async fn begin_replay(&self, _: &Claim, _: &Replaying) -> Result<Digest> {
        Ok(Head::genesis().hash)
    }
    async fn settle_replay(&self, _: &Claim, _: &Replayed) -> Result<()> {
        Ok(())
    }
}

/// Processor time of this process so far, of all threads, in ticks of ten milliseconds.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// What a round goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The sink, and nothing else.
    Alone,
    /// The pipeline, with or without store and spool.
    Pipeline { store: bool, spool: bool },
}

const WAYS: [(&str, Way); 5] = [
    ("the sink alone", Way::Alone),
    ("neither store nor spool", of(false, false)),
    ("the spool alone", of(false, true)),
    ("the store alone", of(true, false)),
    ("both", of(true, true)),
];

const fn of(store: bool, spool: bool) -> Way {
    Way::Pipeline { store, spool }
}

/// The batches that the pipeline cuts.
fn batches(source: &Lines) -> Vec<Batch> {
    let stream = Arc::new(source.stream.clone());
    let until = OffsetDateTime::now_utc();
    let numbered = (0..).zip(&source.pages);
    let batch = |(ordinal, rows)| {
        let place = BatchPlace {
            pipeline: "books".into(),
            company: "DEMO".into(),
            operation: Operation::Upsert,
            window: Window { from: None, until },
            ordinal,
        };
        Batch::new(Arc::clone(&stream), place, rows, until).unwrap()
    };
    numbered.map(batch).collect()
}

/// One first run; processor and wall time in seconds.
fn run(source: &Arc<Lines>, batches: &[Batch], folder: &Path, way: Way) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let sink = SqliteSink::open(folder.join("data.db"), SqliteOptions::default()).unwrap();
    let Way::Pipeline { store, spool } = way else {
        runtime.block_on(async {
            let plan = sink.plan(&source.stream).await.unwrap();
            sink.prepare(&plan).await.unwrap();
        });
        let (ticks, begun) = (processor_ticks(), Instant::now());
        runtime.block_on(async {
            for batch in batches {
                sink.write(batch).await.unwrap();
            }
            sink.flush(&source.stream.name).await.unwrap();
        });
        return (seconds_since(ticks), begun.elapsed().as_secs_f64());
    };
    let forgetful = Arc::new(Forgetful::default());
    let parts = Parts {
        source: Arc::clone(source) as _,
        sinks: vec![Arc::new(sink)],
        store: match store {
            true => Arc::new(SqliteStore::open(folder.join("state.db")).unwrap()),
            false => Arc::clone(&forgetful) as _,
        },
        spool: match spool {
            true => Arc::new(FolderSpool::open(folder.join("spool")).unwrap()),
            false => forgetful,
        },
    };
    let pipeline = Pipeline::new("books", parts, PipelineOptions::default());
    let (ticks, begun) = (processor_ticks(), Instant::now());
    let report = runtime.block_on(pipeline.run()).unwrap();
    let taken = (seconds_since(ticks), begun.elapsed().as_secs_f64());
    let records: usize = source.pages.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(report.streams[0].written, records as u64, "{report:?}");
    taken
}

fn seconds_since(ticks: u64) -> f64 {
    (processor_ticks() - ticks) as f64 / 100.0
}

/// The middle one, the least and the most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [
        values[values.len() / 2],
        values[0],
        values[values.len() - 1],
    ]
}

#[test]
#[ignore = "a figure, of some minutes"]
fn with_and_without_ledger_and_spool() {
    let number = |name: &str, otherwise: usize| {
        std::env::var(name).map_or(otherwise, |number| number.parse().unwrap())
    };
    let source = Arc::new(Lines::new(number("RECORDS", 200_000)));
    let begun = processor_ticks();
    let batches = batches(&source);
    let hashing = seconds_since(begun);
    let records: usize = batches.iter().map(Batch::len).sum();
    println!("{records} records, cutting and hashing them once: {hashing:.2} s of processor time");

    let rounds = number("ROUNDS", 7);
    let mut times = vec![Vec::with_capacity(rounds); WAYS.len()];
    for _ in 0..rounds {
        for ((_, way), times) in WAYS.iter().zip(&mut times) {
            let folder = tempfile::tempdir().unwrap();
            times.push(run(&source, &batches, folder.path(), *way));
        }
    }
    for ((name, _), times) in WAYS.iter().zip(&times) {
        let [processor, ..] = spread(times.iter().map(|(processor, _)| *processor).collect());
        let [wall, ..] = spread(times.iter().map(|(_, wall)| *wall).collect());
        let speed = records as f64 / wall;
        println!(
            "{name:>24}: {processor:.2} s of processor time, {wall:.2} s, {speed:.0} records/s"
        );
    }
    // Against what stands in the same round, because the machine is another one in the next.
    let with = &times[WAYS.len() - 1];
    for (what, without) in [
        ("ledger and spool cost", &times[1]),
        (
            "ledger, spool, hashing and all of the pipeline cost",
            &times[0],
        ),
    ] {
        let lost = without.iter().zip(with);
        let lost = lost.map(|((_, without), (_, with))| 100.0 * (1.0 - without / with));
        let [median, least, most] = spread(lost.collect());
        println!("{what} {median:.1} % of throughput ({least:.1} to {most:.1})");
    }
}

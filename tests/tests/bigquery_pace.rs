//! How near a million ledger lines come to what source and upload allow alone.
//!
//! Not a test that can fail, but a figure, of the simulator at 50 ms an answer:
//! `cargo test --release -p intacct-sync-tests --test bigquery_pace -- --ignored --nocapture`.
//! `RECORDS=100000` before it makes it so many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::join;
use futures_util::stream::{self, BoxStream};
use intacct_sync_tests::{DATASET, Warehouse};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions};
use sync_core::spool::FolderSpool;
use sync_core::store::SqliteStore;
use sync_core::{
    Batch, BatchPlace, ControlTotals, Cursor, Finding, Operation, ReadRequest, Result, Source,
    SourceBatch, StreamDescriptor, StreamName, TotalsQuery, Window,
};
use time::OffsetDateTime;
use vendor_sims::bigquery::{Limits, RunningSimulator};

const PAGE: usize = 2_000;
/// Every merge asks BigQuery a few times, so batches are large; the first and the last have nothing beside them.
const BATCH: usize = 20_000;
const TEXTS: usize = 20;
const LATENCY: Duration = Duration::from_millis(50);

/// Ledger lines that come page by page, each so long after the one before.
#[derive(Debug)]
struct Lines {
    stream: Arc<StreamDescriptor>,
    records: usize,
    a_page: Duration,
}

fn lines() -> Arc<StreamDescriptor> {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("recordno", DataType::Int64, false),
        Field::new("whenmodified", timestamp, true),
        Field::new("entry_date", DataType::Date32, true),
        Field::new("amount", DataType::Decimal128(38, 9), true),
        Field::new("trx_amount", DataType::Decimal128(38, 9), true),
    ];
    let texts = (0..TEXTS).map(|text| Field::new(format!("text_{text}"), DataType::Utf8, true));
    fields.extend(texts);
    let name = StreamName::new("gl_detail").unwrap();
    let schema = Arc::new(Schema::new(fields));
    let mut stream = StreamDescriptor::new(name, schema, vec!["recordno".to_owned()]).unwrap();
    stream.modified = Some("whenmodified".into());
    Arc::new(stream)
}

fn rows(stream: &StreamDescriptor, first: usize, count: usize) -> RecordBatch {
    let numbers = || (first..first + count).map(|number| number as i64);
    let times = TimestampMicrosecondArray::from_iter_values(numbers().map(|it| it * 1_000_000));
    let decimals = |factor: i128| {
        let values = numbers().map(move |it| i128::from(it) * factor * 10_000_000);
        let array = Decimal128Array::from_iter_values(values);
        array.with_precision_and_scale(38, 9).unwrap()
    };
    let days = numbers().map(|it| (it / 1_000) as i32);
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(numbers())),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(Date32Array::from_iter_values(days)),
        Arc::new(decimals(17)),
        Arc::new(decimals(19)),
    ];
    for column in 0..TEXTS as i64 {
        let texts = numbers().map(|it| {
            let text = format!("{:05}-{column}", it * (column + 3) % 90_001);
            (column % 3 > 0).then_some(text)
        });
        columns.push(Arc::new(StringArray::from_iter(texts)));
    }
    RecordBatch::try_new(Arc::clone(&stream.schema), columns).unwrap()
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
        Ok(vec![(*self.stream).clone()])
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        let begun = Instant::now();
        let pages = stream::iter((0..self.records).step_by(PAGE)).enumerate();
        let pages = pages.then(move |(number, first)| async move {
            let mut page = SourceBatch::new(rows(&self.stream, first, PAGE));
            page.cursor = Some(Cursor(number.to_string()));
            // As a gateway that never waits for whoever reads: pages that are late come at once.
            let due = self.a_page * (number as u32 + 1);
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            Ok(page)
        });
        pages.boxed()
    }

    async fn control_totals(&self, _: &TotalsQuery) -> Result<Option<ControlTotals>> {
        Ok(None)
    }
}

async fn warehouse() -> (RunningSimulator, Warehouse) {
    let simulator = RunningSimulator::builder()
        .without_authentication()
        .dataset(DATASET, "EU")
        .job_polls(0)
        .latency(LATENCY)
        .limits(Limits::without_rates());
    let simulator = simulator.start().await.unwrap();
    let warehouse = Warehouse::bigquery(simulator.url()).unwrap();
    (simulator, warehouse)
}

/// What the sink takes where all batches are there already, each staged while the one before it is written.
async fn upload(records: usize) -> Duration {
    let (simulator, warehouse) = warehouse().await;
    let (stream, sink) = (lines(), warehouse.as_sink());
    sink.prepare(&sink.plan(&stream).await.unwrap())
        .await
        .unwrap();
    let until = OffsetDateTime::now_utc();
    let batch = |ordinal: usize| {
        let first = ordinal * BATCH;
        let place = BatchPlace {
            pipeline: "books".into(),
            company: "DEMO".into(),
            operation: Operation::Upsert,
            window: Window { from: None, until },
            ordinal: ordinal as u64,
        };
        let rows = rows(&stream, first, BATCH.min(records - first));
        Batch::new(Arc::clone(&stream), place, &rows, until).unwrap()
    };
    let batches = records.div_ceil(BATCH);
    let mut ready = batch(0);
    let begun = Instant::now();
    sink.stage(&ready).await.unwrap();
    let mut taken = begun.elapsed();
    for next in 1..=batches {
        let next = (next < batches).then(|| batch(next));
        let begun = Instant::now();
        let staging = async {
            if let Some(next) = &next {
                sink.stage(next).await.unwrap();
            }
        };
        let (receipt, ()) = join(sink.write(&ready), staging).await;
        taken += begun.elapsed();
        assert!(receipt.unwrap().rejected.is_empty());
        ready = next.unwrap_or(ready);
    }
    assert_eq!(simulator.row_count(DATASET, "gl_detail").unwrap(), records);
    taken
}

/// What the whole pipeline takes, its ledger and spool included.
async fn pipeline(folder: &Path, records: usize, a_page: Duration) -> Duration {
    let (simulator, warehouse) = warehouse().await;
    let source = Lines {
        stream: lines(),
        records,
        a_page,
    };
    let parts = Parts {
        source: Arc::new(source),
        sinks: vec![warehouse.as_sink()],
        store: Arc::new(SqliteStore::open(folder.join("state.db")).unwrap()),
        spool: Arc::new(FolderSpool::open(folder.join("spool")).unwrap()),
    };
    let mut options = PipelineOptions::default();
    options.batch_rows = BATCH;
    let pipeline = Pipeline::new("books", parts, options);
    let begun = Instant::now();
    let report = pipeline.run().await.unwrap();
    let taken = begun.elapsed();
    assert_eq!(report.streams[0].written, records as u64, "{report:#?}");
    assert_eq!(simulator.row_count(DATASET, "gl_detail").unwrap(), records);
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure, of minutes"]
async fn a_million_ledger_lines() {
    let records = std::env::var("RECORDS").map_or(1_000_000, |number| number.parse().unwrap());
    let uploaded = upload(records).await;
    println!(
        "{records} lines, upload alone: {:.1} s",
        uploaded.as_secs_f64()
    );
    // The source takes half as long as the upload, as long, and twice as long.
    for factor in [0.5, 1.0, 2.0] {
        let read = uploaded.mul_f64(factor);
        let folder = tempfile::tempdir().unwrap();
        let pages = records.div_ceil(PAGE) as u32;
        let taken = pipeline(folder.path(), records, read / pages).await;
        let share = uploaded.max(read).as_secs_f64() / taken.as_secs_f64();
        println!(
            "source alone: {:.1} s; both: {:.1} s, {:.0} % of the pace of the slower",
            read.as_secs_f64(),
            taken.as_secs_f64(),
            share * 100.0
        );
    }
}

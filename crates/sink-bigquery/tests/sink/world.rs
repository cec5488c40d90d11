//! A dataset of its own for each test, a stream, and batches of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use sink_bigquery::auth::Anonymous;
use sink_bigquery::client::{Dataset, QueryRequest};
use sink_bigquery::pacing::{Limits, PacingOptions};
use sink_bigquery::sink::{BigQuerySink, BigQuerySinkOptions};
use sink_bigquery::{BigQuery, DatasetId, DatasetRef, Location, Options, ProjectId};
use sync_core::clock::ManualClock;
use sync_core::{
    Batch, BatchPlace, Operation, Receipt, Sink as _, StreamDescriptor, StreamName, Window,
};
use sync_http::{Clock, Moment, Sleeper, Timing};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use vendor_sims::bigquery::RunningSimulator;

static DATASETS: AtomicU64 = AtomicU64::new(0);

/// A dataset that no other test has.
pub(crate) struct World {
    pub(crate) sink: BigQuerySink,
    pub(crate) dataset: DatasetRef,
    pub(crate) client: BigQuery,
    /// None where it is the emulator.
    pub(crate) simulator: Option<RunningSimulator>,
}

/// When all begins.
pub(crate) const BEGINNING: OffsetDateTime = datetime!(2026-01-31 18:00 UTC);

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|options| options).await
    }

    pub(crate) async fn with(
        change: impl FnOnce(BigQuerySinkOptions) -> BigQuerySinkOptions,
    ) -> Self {
        Self::in_time(Timing::system(), change).await
    }

    /// A dataset whose client waits for nothing: its clock goes on instead.
    pub(crate) async fn hurried(
        change: impl FnOnce(BigQuerySinkOptions) -> BigQuerySinkOptions,
    ) -> Self {
        let clock = Arc::new(Hurry::default());
        Self::in_time(Timing::new(Arc::clone(&clock) as _, clock), change).await
    }

    async fn in_time(
        timing: Timing,
        change: impl FnOnce(BigQuerySinkOptions) -> BigQuerySinkOptions,
    ) -> Self {
        let (endpoint, simulator) = warehouse().await;
        let mut limits = Limits::default();
        for limit in [
            &mut limits.changes_per_table,
            &mut limits.statements_per_table,
        ] {
            limit.amount = 1_000_000;
        }
        let options = Options::new(ProjectId::new("demo").unwrap())
            .unwrap()
            .with_endpoint(endpoint.parse().unwrap())
            .with_timing(timing)
            .with_pacing(PacingOptions::default().with_limits(limits));
        let client = BigQuery::new(options, Arc::new(Anonymous)).unwrap();
        let number = DATASETS.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let dataset = DatasetRef::new(
            ProjectId::new("demo").unwrap(),
            DatasetId::new(name).unwrap(),
        );
        let made = Dataset::new(dataset.clone(), Location::new("EU").unwrap());
        client.datasets().insert(&made).await.unwrap();
        let options =
            BigQuerySinkOptions::new(dataset.clone()).clock(Arc::new(ManualClock::at(BEGINNING)));
        Self {
            sink: BigQuerySink::new(client.clone(), change(options)),
            dataset,
            client: client.in_location(Location::new("EU").unwrap()),
            simulator,
        }
    }

    /// A second dataset of the same project, with the tables of [`vendor`].
    pub(crate) async fn beside(&self) -> Self {
        let name = format!("{}_beside", self.dataset.dataset_id);
        let dataset = DatasetRef::new(
            ProjectId::new("demo").unwrap(),
            DatasetId::new(name).unwrap(),
        );
        let made = Dataset::new(dataset.clone(), Location::new("EU").unwrap());
        self.client.datasets().insert(&made).await.unwrap();
        let options =
            BigQuerySinkOptions::new(dataset.clone()).clock(Arc::new(ManualClock::at(BEGINNING)));
        let beside = Self {
            sink: BigQuerySink::new(self.client.clone(), options),
            dataset,
            client: self.client.clone(),
            simulator: None,
        };
        beside.prepare(&vendor()).await;
        beside
    }

    pub(crate) async fn prepare(&self, stream: &StreamDescriptor) {
        let plan = self.sink.plan(stream).await.unwrap();
        self.sink.prepare(&plan).await.unwrap();
    }

    /// A dataset with the tables of [`vendor`].
    pub(crate) async fn of_vendors() -> Self {
        let world = Self::new().await;
        world.prepare(&vendor()).await;
        world
    }

    pub(crate) async fn write(&self, batch: &Batch) -> Receipt {
        self.sink.write(batch).await.unwrap()
    }

    /// The rows of a query, cell by cell; `-` for null.
    pub(crate) async fn ask(&self, sql: &str) -> Vec<String> {
        let request = QueryRequest::new(sql).with_default_dataset(self.dataset.clone());
        let rows = self.client.query(request).await.unwrap();
        let columns: Vec<_> = rows
            .schema()
            .fields
            .iter()
            .map(|it| it.name.clone())
            .collect();
        let rows = rows.all().await.unwrap().into_iter().map(|row| {
            let cells = columns
                .iter()
                .map(|name| row.text(name).unwrap().unwrap_or("-").to_owned());
            cells.collect::<Vec<_>>().join("|")
        });
        rows.collect()
    }

    /// Changes something behind the sink's back.
    pub(crate) async fn meddle(&self, sql: &str) {
        let request = QueryRequest::new(sql).with_default_dataset(self.dataset.clone());
        self.client.query(request).await.unwrap();
    }

    /// All vendors, in the order of their ids.
    pub(crate) async fn vendors(&self) -> Vec<String> {
        self.ask("SELECT id, name, amount, _deleted FROM vendor ORDER BY id")
            .await
    }
}

/// A clock that goes on by what others would wait.
#[derive(Debug, Default)]
struct Hurry(Mutex<std::time::Duration>);

impl Clock for Hurry {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Moment {
        Moment::from_origin(*self.0.lock().unwrap())
    }
}

#[async_trait]
impl Sleeper for Hurry {
    async fn sleep(&self, duration: std::time::Duration) {
        *self.0.lock().unwrap() += duration;
        tokio::task::yield_now().await;
    }
}

/// Where the warehouse is, and the simulator that it is, if it is one.
async fn warehouse() -> (String, Option<RunningSimulator>) {
    if let Ok(host) = std::env::var(sink_bigquery::client::EMULATOR_HOST) {
        let url = if host.contains("://") {
            host
        } else {
            format!("http://{host}/")
        };
        return (url, None);
    }
    let simulator = RunningSimulator::builder()
        .project("demo")
        .without_authentication()
        .limits(vendor_sims::bigquery::Limits::without_rates())
        .streaming_delay(std::time::Duration::ZERO)
        .start()
        .await
        .unwrap();
    (simulator.url().to_owned(), Some(simulator))
}

pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Vendors: `id`, `name`, `amount`, `day`, `changed`.
pub(crate) fn vendor() -> StreamDescriptor {
    let fields = vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(38, 9), true),
        Field::new("day", DataType::Date32, true),
        Field::new("changed", timestamp(), true),
    ];
    let mut stream = of(fields);
    stream.modified = Some("changed".into());
    stream.totals.sums = vec!["amount".into()];
    stream
}

pub(crate) fn of(fields: Vec<Field>) -> StreamDescriptor {
    let name = StreamName::new("vendor").unwrap();
    StreamDescriptor::new(name, Arc::new(Schema::new(fields)), vec!["id".into()]).unwrap()
}

/// A vendor: id, name, and amount in cents. Its day and change are functions of these.
pub(crate) type Vendor<'a> = (&'a str, &'a str, i128);

pub(crate) fn rows(stream: &StreamDescriptor, vendors: &[Vendor<'_>]) -> RecordBatch {
    let amounts = vendors.iter().map(|it| Some(it.2 * 10_000_000));
    let amounts = Decimal128Array::from_iter(amounts).with_precision_and_scale(38, 9);
    let changed = BEGINNING.unix_timestamp() * 1_000_000;
    let changed = vendors
        .iter()
        .map(|it| changed - 1_000_000 * (it.2 as i64 % 3_600));
    let columns = stream.schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "id" => Arc::new(StringArray::from_iter_values(vendors.iter().map(|it| it.0))),
            "amount" => Arc::new(amounts.as_ref().unwrap().clone()),
            "day" => Arc::new(Date32Array::from_iter_values(
                vendors.iter().map(|it| 20_454 + it.2 as i32 % 60),
            )),
            "changed" => Arc::new(
                TimestampMicrosecondArray::from_iter_values(changed.clone()).with_timezone("UTC"),
            ),
            "number" => Arc::new(Int64Array::from_iter_values(
                vendors.iter().map(|it| it.2 as i64),
            )),
            _ => Arc::new(StringArray::from_iter_values(vendors.iter().map(|it| it.1))),
        }
    });
    RecordBatch::try_new(Arc::clone(&stream.schema), columns.collect()).unwrap()
}

/// The batch of this number in the window of an hour.
pub(crate) fn batch(
    stream: &StreamDescriptor,
    (hour, ordinal): (i64, u64),
    vendors: &[Vendor<'_>],
) -> Batch {
    let rows = rows(stream, vendors);
    placed(stream, (hour, ordinal), Operation::Upsert, &rows)
}

/// A batch of deletes.
pub(crate) fn deletes(
    stream: &StreamDescriptor,
    (hour, ordinal): (i64, u64),
    ids: &[&str],
) -> Batch {
    let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
    let schema = Schema::new(vec![Field::new("id", DataType::Utf8, false)]);
    let rows = RecordBatch::try_new(Arc::new(schema), vec![ids]).unwrap();
    placed(stream, (hour, ordinal), Operation::Delete, &rows)
}

pub(crate) fn placed(
    stream: &StreamDescriptor,
    (hour, ordinal): (i64, u64),
    operation: Operation,
    rows: &RecordBatch,
) -> Batch {
    let until = BEGINNING + Duration::hours(hour);
    let place = BatchPlace {
        pipeline: "books".into(),
        company: "DEMO".into(),
        operation,
        window: Window {
            from: (hour > 0).then_some(until - Duration::hours(1)),
            until,
        },
        ordinal,
    };
    Batch::new(Arc::new(stream.clone()), place, rows, until).unwrap()
}

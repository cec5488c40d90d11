//! The client with a warehouse that works: the simulator with its limits, delays and buffers on, or the emulator that
//! `BIGQUERY_EMULATOR_HOST` names.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use sink_bigquery::auth::{
    Anonymous, AuthOptions, Environment, ServiceAccount, ServiceAccountKey, TokenProvider,
};
use sink_bigquery::client::{
    Dataset, EMULATOR_HOST, Field, FieldType, Format, FreshTables, InsertOptions, InsertRow,
    LoadJob, Parameter, QueryJob, QueryRequest, Table, TablePatch, TableSchema, ndjson,
};
use sink_bigquery::{BigQuery, JobId, JobTrouble, Options, Reason};
use sync_http::{ManualClock, Sleeper, Timing};
use time::OffsetDateTime;
use vendor_sims::bigquery::{Handle, RunningSimulator};

/// A clock that the client and the simulator share.
#[derive(Clone, Debug)]
struct SharedTime {
    clock: ManualClock,
    simulator: Handle,
}

impl SharedTime {
    fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
        self.simulator.advance(duration);
    }
}

#[async_trait]
impl Sleeper for SharedTime {
    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
        self.simulator.advance(duration);
    }
}

struct World {
    client: BigQuery,
    /// None at an emulator.
    simulated: Option<(RunningSimulator, SharedTime)>,
    /// Job ids are used once and for ever, also at an emulator that keeps its data.
    run: u64,
}

impl World {
    async fn new() -> Self {
        crate::logs::watch();
        let run = fastrand::u64(..);
        let environment = Environment::of_process();
        if environment.text(EMULATOR_HOST).is_some() {
            let options = options().with_emulator_of(&environment).unwrap();
            let client = BigQuery::new(options, Arc::new(Anonymous)).unwrap();
            return Self {
                client,
                simulated: None,
                run,
            };
        }
        // Tokens are checked against the simulator's clock, the server's dates tell the machine's.
        let now = OffsetDateTime::now_utc();
        let simulator = RunningSimulator::builder()
            .project("demo")
            .now(now)
            .start()
            .await
            .unwrap();
        let time = SharedTime {
            clock: ManualClock::new(now),
            simulator: simulator.clone(),
        };
        let timing = Timing::new(Arc::new(time.clock.clone()), Arc::new(time.clone()));
        let key = SecretString::from(simulator.key_file());
        let auth = AuthOptions::default()
            .trusting(simulator.url().trim_end_matches('/'))
            .with_timing(timing.clone());
        let key = ServiceAccountKey::from_text(&key).unwrap();
        let account: Arc<dyn TokenProvider> = Arc::new(ServiceAccount::new(key, &auth).unwrap());
        let options = options()
            .with_endpoint(simulator.url().parse().unwrap())
            .with_timing(timing);
        let client = BigQuery::new(options, account).unwrap();
        Self {
            client,
            simulated: Some((simulator, time)),
            run,
        }
    }

    fn job(&self, name: &str) -> JobId {
        JobId::new(format!("story-{:016x}-{name}", self.run)).unwrap()
    }

    async fn table(&self, name: &str) -> Table {
        let dataset = self
            .client
            .dataset(&format!("story_{:016x}", self.run))
            .unwrap();
        let location = self.client.location().unwrap().clone();
        self.client
            .datasets()
            .insert(&Dataset::new(dataset.clone(), location))
            .await
            .unwrap();
        let reference = dataset.table(name.parse().unwrap());
        let table = Table::new(reference)
            .with_schema(schema())
            .with_clustering(["n"]);
        self.client.tables().insert(&table).await.unwrap()
    }

    async fn total(&self, table: &Table) -> String {
        let sql = format!(
            "SELECT COUNT(*) AS n, SUM(due) AS due FROM `{}`",
            table.table_reference
        );
        let rows = self
            .client
            .query(QueryRequest::new(sql))
            .await
            .unwrap()
            .all()
            .await
            .unwrap();
        format!(
            "{} {}",
            rows[0].text("n").unwrap().unwrap(),
            rows[0].text("due").unwrap().unwrap_or("null")
        )
    }
}

fn options() -> Options {
    Options::new("demo".parse().unwrap())
        .unwrap()
        .with_location("US".parse().unwrap())
}

fn schema() -> TableSchema {
    TableSchema::new([
        Field::new("n", FieldType::Int64).required(),
        Field::new("due", FieldType::Numeric),
        Field::new("at", FieldType::Timestamp),
    ])
}

fn bill(number: i64, due: &str) -> serde_json::Value {
    json!({"n": number.to_string(), "due": due, "at": "2026-01-31T10:11:12.000001Z"})
}

#[tokio::test]
async fn rows_are_loaded_once_in_one_request_or_in_pieces_and_read_back_page_by_page() {
    let world = World::new().await;
    let table = world.table("bill").await;
    let jobs = world.client.jobs();
    let load = LoadJob::new(table.table_reference.clone(), Format::Ndjson).with_schema(schema());
    let rows = ndjson([bill(1, "19.90"), bill(2, "-0.000000001")]).unwrap();
    let small = world.job("small");
    jobs.run_load(&small, &load, rows.clone()).await.unwrap();
    assert!(jobs.insert_load(&small, &load, rows).await.unwrap().existed);

    let rows = ndjson((3..=12_000).map(|number| bill(number, "0.01"))).unwrap();
    let pieces = load.clone().with_upload_sizes(1000, 256 * 1024);
    assert!(rows.len() > 2 * 256 * 1024);
    let job = jobs
        .run_load(&world.job("large"), &pieces, rows)
        .await
        .unwrap();
    assert_eq!(job.statistics.load.unwrap().output_rows, Some(11_998));

    let bad = ndjson([bill(9001, "1"), json!({"n": "x"})]).unwrap();
    let error = jobs
        .run_load(&world.job("bad"), &load, bad)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.job(),
            Some(JobTrouble::Failed {
                may_run_again: false,
                ..
            })
        ),
        "{error:?}"
    );

    let sql = format!(
        "SELECT n, due, at FROM `{}` WHERE n > @after ORDER BY n",
        table.table_reference
    );
    let request = QueryRequest::new(sql)
        .with_parameter(Parameter::int64("after", 1))
        .with_page_rows(1500);
    let rows = world.client.query(request).await.unwrap();
    assert_eq!(rows.total_rows(), Some(11_999));
    let rows = rows.all().await.unwrap();
    let numbers = rows.iter().map(|row| row.int64("n").unwrap().unwrap());
    assert!(numbers.eq(2..=12_000));
    assert_eq!(rows[0].text("due").unwrap(), Some("-0.000000001"));
    assert_eq!(rows[0].timestamp("at").unwrap().unwrap().microsecond(), 1);
}

#[tokio::test]
async fn a_statement_changes_a_table_once_and_columns_are_added() {
    let world = World::new().await;
    let table = world.table("bill").await;
    let load = LoadJob::new(table.table_reference.clone(), Format::Ndjson);
    let rows = ndjson((0..10).map(|number| bill(number, "1"))).unwrap();
    world
        .client
        .jobs()
        .run_load(&world.job("load"), &load, rows)
        .await
        .unwrap();

    let sql = format!(
        "UPDATE `{}` SET due = due + @more WHERE n < 5",
        table.table_reference
    );
    let change = QueryJob::new(sql)
        .with_parameter(Parameter::new(
            "more",
            sink_bigquery::client::Value::numeric("0.50").unwrap(),
        ))
        .changing(table.table_reference.clone());
    for _ in 0..2 {
        let job = world
            .client
            .jobs()
            .run_query(&world.job("change"), &change)
            .await
            .unwrap();
        assert_eq!(job.statistics.query.unwrap().num_dml_affected_rows, Some(5));
    }
    assert_eq!(world.total(&table).await, "10 12.5");

    let mut wider = schema();
    wider.fields.push(Field::new("note", FieldType::String));
    let tables = world.client.tables();
    let before = tables.get(&table.table_reference).await.unwrap();
    let patch = TablePatch::of_schema(wider.clone());
    tables
        .patch(&table.table_reference, &patch, before.etag.as_deref())
        .await
        .unwrap();
    let error = tables
        .patch(&table.table_reference, &patch, before.etag.as_deref())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::ConditionNotMet);
    let after = tables.get(&table.table_reference).await.unwrap();
    assert_eq!(after.schema.unwrap().fields.len(), 4);
    assert_eq!(
        tables
            .list(&table.table_reference.dataset())
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn rows_are_streamed_and_changed_once_the_warehouse_lets_them_be() {
    let world = World::new().await;
    let Some((simulator, time)) = &world.simulated else {
        // An emulator has neither the delay nor the buffer.
        return;
    };
    let table = world.table("landing").await;
    let reference = &table.table_reference;
    let rows: Vec<_> = (0..1200)
        .map(|number| {
            let row = if number == 700 {
                json!({"n": "x"})
            } else {
                bill(number, "0.01")
            };
            InsertRow::new(format!("bill-{number}"), &row).unwrap()
        })
        .collect();
    let refusing = InsertOptions::default();
    let failure = world
        .client
        .tabledata()
        .insert_all(reference, &rows, &refusing)
        .await
        .unwrap_err();
    assert_eq!(failure.error.reason(), Reason::FreshTable);
    assert_eq!(
        simulator
            .row_count(&reference.dataset_id.to_string(), "landing")
            .unwrap(),
        0
    );

    let waiting =
        InsertOptions::default().with_fresh_tables(FreshTables::Wait, Duration::from_secs(600));
    let outcome = world
        .client
        .tabledata()
        .insert_all(reference, &rows, &waiting)
        .await
        .unwrap();
    assert_eq!(
        (
            outcome.inserted,
            outcome.invalid.len(),
            outcome.invalid[0].index
        ),
        (1199, 1, 700)
    );
    assert_eq!(world.total(&table).await, "1199 11.99");

    // A token that is taken back costs nothing but another.
    assert!(simulator.revoke_tokens() > 0);
    let change = QueryJob::new(format!("DELETE FROM `{reference}` WHERE n < 100"))
        .changing(reference.clone());
    let error = world
        .client
        .jobs()
        .run_query(&world.job("change"), &change)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::StreamingBuffer, "{error}");
    assert!(
        matches!(
            error.job(),
            Some(JobTrouble::Failed {
                may_run_again: true,
                ..
            })
        ),
        "{error:?}"
    );
    time.advance(Duration::from_secs(31 * 60));
    world
        .client
        .jobs()
        .run_query(&world.job("change-g1"), &change)
        .await
        .unwrap();
    assert_eq!(world.total(&table).await, "1099 10.99");
}

#[tokio::test]
async fn what_the_pace_lets_through_the_warehouse_takes() {
    let world = World::new().await;
    let table = world.table("bill").await;
    let load = LoadJob::new(table.table_reference.clone(), Format::Ndjson);
    for number in 0..8 {
        let rows = ndjson([bill(number, "1")]).unwrap();
        world
            .client
            .jobs()
            .run_load(&world.job(&format!("load-{number}")), &load, rows)
            .await
            .unwrap();
        let patch = TablePatch::of_schema(schema());
        world
            .client
            .tables()
            .patch(&table.table_reference, &patch, None)
            .await
            .unwrap();
    }
    assert_eq!(world.total(&table).await, "8 8");
    if let Some((simulator, time)) = &world.simulated {
        let statuses = simulator.stats().statuses;
        assert!(statuses.keys().all(|status| *status < 400), "{statuses:?}");
        assert!(!time.clock.sleeps().is_empty());
    }
}

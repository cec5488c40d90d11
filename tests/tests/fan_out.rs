//! One company, one extraction, two warehouses: one of them fails for a run and catches up.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use intacct_client::Client;
use intacct_client::source::IntacctSource;
use intacct_sim::{Edit, Scale, Simulator};
use intacct_sync_postgres_fixture::Server;
use intacct_sync_tests::{Warehouse, settings};
use sync_core::pipeline::{
    Parts, Pipeline, PipelineOptions, ReplayOptions, ReplaySelection, RunReport,
};
use sync_core::shape::{ColumnMapping, Shaping, StreamMapping};
use sync_core::spool::FolderSpool;
use sync_core::store::{LedgerStore as _, LetterFilter, SqliteStore};
use sync_core::{RunId, StreamName};

const STREAMS: [&str; 4] = ["gl_detail", "gl_batch", "vendor", "ap_bill"];

/// A run of a process of its own: nothing is carried over but what lies in the folder.
async fn run(gateway: &str, folder: &Path, warehouses: &[Warehouse; 2]) -> RunReport {
    let pipeline = pipeline(gateway, folder, warehouses, Shaping::default());
    pipeline.run().await.unwrap()
}

fn pipeline(
    gateway: &str,
    folder: &Path,
    warehouses: &[Warehouse; 2],
    shaping: Shaping,
) -> Pipeline {
    let settings = settings(gateway, "sim-user-password");
    let parts = Parts {
        source: Arc::new(IntacctSource::new(Client::new(settings).unwrap())),
        sinks: warehouses.iter().map(Warehouse::as_sink).collect(),
        store: Arc::new(SqliteStore::open(folder.join("sync-state.db")).unwrap()),
        spool: Arc::new(FolderSpool::open(folder.join("spool")).unwrap()),
    };
    let mut options = PipelineOptions::default();
    options.batch_rows = 200;
    let streams = STREAMS.iter().map(|name| StreamName::new(*name).unwrap());
    options.streams = streams.collect();
    options.shaping = shaping;
    Pipeline::new("books", parts, options)
}

/// What a warehouse holds of a stream: the ids of all rows' states, which are hashes of their content.
async fn holds(warehouse: &Warehouse, stream: &str) -> Vec<Option<String>> {
    let sql = format!("SELECT _record_id FROM {stream} WHERE NOT _deleted ORDER BY _record_id");
    let rows = warehouse.query(sql).await.unwrap().rows;
    rows.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_warehouse_that_failed_catches_up_from_the_spool() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let simulator = Simulator::builder()
        .seed(29)
        .scale(Scale::Tiny)
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let warehouses = [
        Warehouse::sqlite(folder.path()).unwrap(),
        Warehouse::postgres(&database.settings()).unwrap(),
    ];
    let of = |report: &RunReport, sink: &str| {
        let of_sink = report.streams.iter().filter(|stream| stream.sink == sink);
        of_sink.cloned().collect::<Vec<_>>()
    };

    let report = run(simulator.url(), folder.path(), &warehouses).await;
    assert!(report.ties_out(), "{report:#?}");
    assert_eq!(report.streams.len(), 2 * STREAMS.len());

    // The database takes no batch any more; the other warehouse has its day all the same.
    database.ask(
        "CREATE FUNCTION sage_intacct.refuse() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN RAISE EXCEPTION ''closed''; END';
         CREATE TRIGGER refuse BEFORE INSERT ON sage_intacct.sync_batch
             EXECUTE FUNCTION sage_intacct.refuse()",
    );
    simulator.company().apply_round(1).unwrap();
    let report = run(simulator.url(), folder.path(), &warehouses).await;
    assert!(!report.is_complete());
    let (sqlite, postgres) = (of(&report, "sqlite"), of(&report, "postgres"));
    assert!(sqlite.iter().all(|it| it.tie_out.is_equal()), "{sqlite:#?}");
    assert!(sqlite.iter().any(|it| it.deleted > 0));
    let failed = postgres.iter().filter(|it| it.error.is_some()).count();
    let changed = sqlite
        .iter()
        .filter(|it| it.written + it.deleted > 0)
        .count();
    assert!(changed > 1, "{sqlite:#?}");
    assert_eq!(failed, changed, "{postgres:#?}");
    let written: u64 = postgres.iter().map(|it| it.written + it.deleted).sum();
    assert_eq!(written, 0);

    database.ask("DROP TRIGGER refuse ON sage_intacct.sync_batch");
    let report = run(simulator.url(), folder.path(), &warehouses).await;
    assert!(report.ties_out(), "{report:#?}");
    let caught_up = of(&report, "postgres");
    let delivered: u64 = caught_up.iter().map(|it| it.written + it.deleted).sum();
    let expected: u64 = sqlite.iter().map(|it| it.written + it.deleted).sum();
    assert_eq!(delivered, expected);
    // It shared what there was to read since, and got the rest from the spool.
    assert!(caught_up.iter().map(|it| it.recovered).sum::<u64>() > 0);
    for (one, other) in of(&report, "sqlite").iter().zip(&caught_up) {
        assert_eq!(one.read, other.read, "{report:#?}");
        assert_eq!(one.window, other.window);
    }
    for stream in STREAMS {
        let [sqlite, postgres] = &warehouses;
        let (one, other) = (holds(sqlite, stream).await, holds(postgres, stream).await);
        assert!(!one.is_empty());
        assert_eq!(one, other, "{stream}");
    }
    let store = SqliteStore::open(folder.path().join("sync-state.db")).unwrap();
    for warehouse in &warehouses {
        let known = warehouse.as_sink().ledger_entries("books").await.unwrap();
        assert!(store.verify(&known).await.unwrap().is_intact());
    }
}

/// Whether a warehouse keeps the end of a run.
async fn knows(warehouse: &Warehouse, run: RunId) -> bool {
    let sql = format!("SELECT run_id FROM sync_run WHERE run_id = '{run}'");
    !warehouse.query(sql).await.unwrap().rows.is_empty()
}

async fn assert_alike(folder: &Path, [one, other]: &[Warehouse; 2]) {
    for stream in STREAMS {
        let (one, other) = (holds(one, stream).await, holds(other, stream).await);
        assert!(!one.is_empty());
        assert_eq!(one, other, "{stream}");
    }
    let store = SqliteStore::open(folder.join("sync-state.db")).unwrap();
    for warehouse in [one, other] {
        let known = warehouse.as_sink().ledger_entries("books").await.unwrap();
        assert!(store.verify(&known).await.unwrap().is_intact());
    }
}

// A statement asked beside the pipeline holds its thread up; a connection needs another to end a transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_warehouse_refused_or_lost_is_sent_again_to_it_alone() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let simulator = Simulator::builder().seed(31).scale(Scale::Tiny).start();
    let simulator = simulator.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let warehouses = [
        Warehouse::sqlite(folder.path()).unwrap(),
        Warehouse::postgres(&database.settings()).unwrap(),
    ];
    let [sqlite, postgres] = &warehouses;
    let whole = run(simulator.url(), folder.path(), &warehouses).await;
    assert!(whole.ties_out(), "{whole:#?}");

    database.ask(
        "ALTER TABLE sage_intacct.vendor ADD CONSTRAINT short CHECK (comments <> 'refused') NOT VALID",
    );
    let vendors = simulator.company().records("VENDOR").unwrap();
    let number = vendors[1].iter().find(|(name, _)| name == "RECORDNO");
    let number = number.unwrap().1.clone().unwrap();
    let edit = Edit::update("VENDOR", number).set("COMMENTS", "refused");
    simulator.company().edit(&edit).unwrap();
    simulator.company().advance_clock(3600);
    let report = run(simulator.url(), folder.path(), &warehouses).await;
    let rejected = report.streams.iter().filter(|it| it.rejected > 0);
    let rejected: Vec<_> = rejected.map(|it| (it.sink.as_str(), it.rejected)).collect();
    assert_eq!(rejected, [("postgres", 1)]);
    assert_ne!(
        holds(sqlite, "vendor").await,
        holds(postgres, "vendor").await
    );

    database.ask("ALTER TABLE sage_intacct.vendor DROP CONSTRAINT short");
    let again = || {
        pipeline(
            simulator.url(),
            folder.path(),
            &warehouses,
            Shaping::default(),
        )
    };
    let retried = again()
        .retry_letters(&LetterFilter::default())
        .await
        .unwrap();
    let [of_postgres] = &retried.streams[..] else {
        panic!("{retried:#?}")
    };
    assert_eq!(
        (of_postgres.sink.as_str(), of_postgres.resolved),
        ("postgres", 1)
    );
    assert!(knows(postgres, retried.run).await && !knows(sqlite, retried.run).await);
    assert_alike(folder.path(), &warehouses).await;

    // A table is lost, and with it what was known of its batches.
    let file = rusqlite::Connection::open(folder.path().join("finance.db")).unwrap();
    file.execute_batch("DELETE FROM vendor; DELETE FROM sync_batch WHERE stream = 'vendor'")
        .unwrap();
    drop(file);
    let mut options = ReplayOptions::default();
    options.streams = vec![StreamName::new("vendor").unwrap()];
    options.sinks = vec!["sqlite".to_owned()];
    let everything = ReplaySelection::Window {
        from: None,
        until: simulator.company().now() + Duration::from_secs(1_000_000_000),
    };
    let replayed = again().replay(&everything, &options).await.unwrap();
    assert!(replayed.is_complete(), "{replayed:#?}");
    assert!(knows(sqlite, replayed.run).await && !knows(postgres, replayed.run).await);
    assert_alike(folder.path(), &warehouses).await;
    simulator.company().advance_clock(3600);
    let report = run(simulator.url(), folder.path(), &warehouses).await;
    assert!(report.ties_out(), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_changes_is_promised_once_and_kept_by_both() {
    let Some(server) = Server::shared() else {
        return;
    };
    let database = server.database();
    let simulator = Simulator::builder().seed(37).scale(Scale::Tiny).start();
    let simulator = simulator.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let warehouses = [
        Warehouse::sqlite(folder.path()).unwrap(),
        Warehouse::postgres(&database.settings()).unwrap(),
    ];
    let whole = run(simulator.url(), folder.path(), &warehouses).await;
    assert!(whole.ties_out(), "{whole:#?}");

    // One of them takes nothing on the day on which a column gets another name.
    database.ask(
        "CREATE FUNCTION sage_intacct.refuse() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN RAISE EXCEPTION ''closed''; END';
         CREATE TRIGGER refuse BEFORE INSERT ON sage_intacct.sync_batch
             EXECUTE FUNCTION sage_intacct.refuse()",
    );
    let vendor = StreamName::new("vendor").unwrap();
    let mapping = StreamMapping::default().column("name", ColumnMapping::rename("vendor_name"));
    let shaping = Shaping::default().stream(vendor, mapping);
    let renamed = || pipeline(simulator.url(), folder.path(), &warehouses, shaping.clone());
    simulator.company().advance_clock(3600);
    let report = renamed().run().await.unwrap();
    let of_vendors = report
        .streams
        .iter()
        .filter(|it| it.stream.as_str() == "vendor");
    let failed: Vec<_> = of_vendors
        .map(|it| (it.sink.as_str(), it.error.is_some()))
        .collect();
    assert_eq!(failed, [("sqlite", false), ("postgres", true)]);

    database.ask("DROP TRIGGER refuse ON sage_intacct.sync_batch");
    simulator.company().advance_clock(3600);
    let report = renamed().run().await.unwrap();
    assert!(report.ties_out(), "{report:#?}");
    assert_alike(folder.path(), &warehouses).await;
    for warehouse in &warehouses {
        let sql = "SELECT vendor_name FROM vendor WHERE NOT _deleted AND vendor_name IS NULL";
        assert!(warehouse.query(sql).await.unwrap().rows.is_empty());
        let sql = "SELECT name FROM vendor WHERE NOT _deleted AND name IS NOT NULL";
        assert!(
            warehouse.query(sql).await.unwrap().rows.is_empty(),
            "read whole once more"
        );
    }
    let store = SqliteStore::open(folder.path().join("sync-state.db")).unwrap();
    let entries = store.entries(0, 100_000).await.unwrap();
    let promised = entries.iter().filter(|entry| {
        let body: serde_json::Value = serde_json::from_str(&entry.body).unwrap();
        let differences = body["differences"].as_array();
        body["scope"]["stream"] == "vendor" && differences.is_some_and(|it| !it.is_empty())
    });
    assert_eq!(promised.count(), 1);
}

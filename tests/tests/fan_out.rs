//! One company, one extraction, two warehouses: one of them fails for a run and catches up.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use intacct_client::Client;
use intacct_client::source::IntacctSource;
use intacct_sim::{Scale, Simulator};
use intacct_sync_postgres_fixture::Server;
use intacct_sync_tests::{Warehouse, settings};
use sync_core::StreamName;
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions, RunReport};
use sync_core::spool::FolderSpool;
use sync_core::store::{LedgerStore as _, SqliteStore};

const STREAMS: [&str; 4] = ["gl_detail", "gl_batch", "vendor", "ap_bill"];

/// A run of a process of its own: nothing is carried over but what lies in the folder.
async fn run(gateway: &str, folder: &Path, warehouses: &[Warehouse; 2]) -> RunReport {
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
    let pipeline = Pipeline::new("books", parts, options);
    pipeline.run().await.unwrap()
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

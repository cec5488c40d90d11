//! A company's days, from its gateway to a dataset of BigQuery.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use intacct_sim::{RunningSimulator, Scale, Simulator};
use intacct_sync_tests::{DATASET, Road, Warehouse, bigquery, logs, settings};
use sink_bigquery::sink::{BigQuerySink, Mode};
use sync_core::store::LedgerStore as _;
use tempfile::TempDir;
use vendor_sims::bigquery as simulated;

async fn dataset() -> simulated::RunningSimulator {
    simulated::RunningSimulator::builder()
        .without_authentication()
        .dataset(DATASET, "EU")
        .job_polls(0)
        .limits(simulated::Limits::without_rates())
        .start()
        .await
        .unwrap()
}

async fn company(seed: u64) -> RunningSimulator {
    let company = Simulator::builder().seed(seed).scale(Scale::Tiny);
    company.start().await.unwrap()
}

fn road(company: &RunningSimulator, to: Warehouse, folder: &TempDir, streams: &[&str]) -> Road {
    logs::watch().forbid(["sim-user-password", "sim-sender-password"]);
    let settings = settings(company.url(), "sim-user-password");
    Road::into(to, settings, folder.path(), streams).unwrap()
}

async fn lines(road: &Road, sql: &str) -> Vec<String> {
    let rows = road.sink.query(sql).await.unwrap().rows;
    rows.into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join("|"))
        .collect()
}

/// The values of a field of all the company's live records, by their numbers.
fn live(company: &RunningSimulator, object: &str, field: &str) -> Vec<String> {
    let records = company.company().records(object).unwrap();
    let mut live: Vec<_> = records
        .into_iter()
        .map(|record| {
            let of = |name: &str| {
                let found = record.iter().find(|(field, _)| field == name);
                found.and_then(|(_, value)| value.clone())
            };
            format!(
                "{}|{}",
                of("RECORDNO").unwrap(),
                of(field).unwrap_or_default()
            )
        })
        .collect();
    live.sort();
    live
}

/// Three days with everything that can happen in them; on the last the connection is new.
#[tokio::test]
async fn three_days_of_a_company_tie_out_every_evening() {
    let (company, dataset) = (company(11).await, dataset().await);
    let folder = tempfile::tempdir().unwrap();
    for day in 0..3 {
        if day > 0 {
            company.company().apply_round(day).unwrap();
        }
        let to = Warehouse::bigquery(dataset.url()).unwrap();
        let road = road(&company, to, &folder, &[]);
        let report = road.pipeline.run().await.unwrap();
        assert!(report.ties_out(), "day {day}: {report:#?}");
        assert_eq!(report.streams.len(), 19);
        let known = road.sink.as_sink().ledger_entries("books").await.unwrap();
        assert!(road.store.verify(&known).await.unwrap().is_intact());
        assert!(!known.is_empty());
    }

    let to = Warehouse::bigquery(dataset.url()).unwrap();
    let road = road(&company, to, &folder, &[]);
    // Record for record, what is there is what the company has.
    let titles = "SELECT recordno, IFNULL(name, '') AS name FROM vendor WHERE NOT _deleted";
    let mut arrived = lines(&road, titles).await;
    arrived.sort();
    let expected = live(&company, "VENDOR", "NAME");
    assert_eq!(arrived, expected);
    // A deleted bill stays, marked; its lines do not.
    let gone = lines(&road, "SELECT recordno FROM ap_bill WHERE _deleted").await;
    assert!(!gone.is_empty());
    let orphans = "SELECT COUNT(*) AS n FROM ap_bill_item WHERE recordkey IN
                   (SELECT recordno FROM ap_bill WHERE _deleted)";
    assert_eq!(lines(&road, orphans).await, ["0"]);
    // Debits equal credits in every entry and book, to the cent.
    let unbalanced = "SELECT batchkey, bookid, SUM(amount) AS net FROM gl_detail
        WHERE NOT _deleted GROUP BY batchkey, bookid HAVING SUM(amount) <> 0";
    assert_eq!(lines(&road, unbalanced).await, Vec::<String>::new());
    let verdicts = "SELECT verdict, COUNT(*) AS n FROM sync_tie_out
        WHERE number = 0 AND checked = 'control_totals' GROUP BY verdict";
    assert_eq!(lines(&road, verdicts).await, ["equal|57"]);
    assert_eq!(
        lines(&road, "SELECT COUNT(*) AS n FROM sync_run").await,
        ["3"]
    );
    // Nothing is left behind.
    let staged = dataset.tables(DATASET).unwrap();
    let staged = staged.iter().filter(|name| name.starts_with("_staged"));
    assert_eq!(staged.count(), 0);
    logs::watch().assert_clean();
}

/// What a person changes in the warehouse is found, and named.
#[tokio::test]
async fn what_is_changed_by_hand_is_found() {
    let (company, dataset) = (company(5).await, dataset().await);
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let to = Warehouse::bigquery(dataset.url()).unwrap();
        road(&company, to, &folder, &["ap_bill"])
    };
    assert!(open().pipeline.run().await.unwrap().ties_out());
    let [some] = &lines(
        &open(),
        "SELECT recordno FROM ap_bill ORDER BY recordno LIMIT 1",
    )
    .await[..] else {
        panic!("one bill")
    };
    let change = format!("UPDATE ap_bill SET totaldue = totaldue + 1 WHERE recordno = '{some}'");
    lines(&open(), &change).await;
    let report = open().pipeline.run().await.unwrap();
    assert!(!report.ties_out(), "{report:#?}");
    let told = "SELECT explanation FROM sync_tie_out WHERE measure = 'totaldue' AND number > 0";
    let told = lines(&open(), told).await;
    assert!(
        told.iter()
            .any(|it| it.contains("changed in the destination")),
        "{told:?}"
    );
}

/// Streamed rows: the view shows what the company has, also after edits and deletes.
#[tokio::test]
async fn what_is_streamed_ties_out_by_the_view() {
    let (company, dataset) = (company(7).await, dataset().await);
    let folder = tempfile::tempdir().unwrap();
    for day in 0..3 {
        if day > 0 {
            company.company().apply_round(day).unwrap();
            // The landing tables are old enough for streaming from now on.
            dataset.advance(std::time::Duration::from_secs(3_600));
        }
        let (client, mut options) = bigquery(dataset.url()).unwrap();
        options = options.mode(Mode::Streaming);
        if day > 0 {
            options.cold_table = std::time::Duration::ZERO;
        }
        let to = Warehouse::BigQuery(BigQuerySink::new(client, options).into());
        let streams = ["vendor", "ap_bill", "ap_bill_item", "gl_detail"];
        let road = road(&company, to, &folder, &streams);
        let report = road.pipeline.run().await.unwrap();
        assert!(report.ties_out(), "day {day}: {report:#?}");
        let titles = "SELECT recordno, IFNULL(name, '') AS name FROM vendor WHERE NOT _deleted";
        let mut arrived = lines(&road, titles).await;
        arrived.sort();
        assert_eq!(arrived, live(&company, "VENDOR", "NAME"));
    }
    let to = Warehouse::bigquery(dataset.url()).unwrap();
    let road = road(&company, to, &folder, &["vendor"]);
    let landed = lines(&road, "SELECT COUNT(*) AS n FROM gl_detail_landing").await;
    let shown = lines(&road, "SELECT COUNT(*) AS n FROM gl_detail").await;
    let number = |lines: &[String]| lines[0].parse::<u64>().unwrap();
    assert!(number(&landed) > number(&shown), "{landed:?} {shown:?}");
}

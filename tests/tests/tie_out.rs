//! What a person reads of a warehouse that does not equal the books: which group, by how much, and why.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use intacct_sim::{CompanyHandle, Edit, RunningSimulator, Scale, Simulator};
use intacct_sync_postgres_fixture::{Database, Server};
use intacct_sync_tests::{Road, Warehouse, settings};
use sync_core::pipeline::{RunReport, TieOut};
use sync_core::tie_out::{Difference, Reason};
use tempfile::TempDir;

/// A warehouse that has been filled, and a way to lay hands on it.
struct World {
    simulator: RunningSimulator,
    folder: TempDir,
    database: Option<Database<'static>>,
}

intacct_sync_tests::of_both_warehouses! {
    an_untouched_warehouse_equals_the_books
    a_row_that_is_gone_is_told_by_its_key
    a_cent_is_told_in_every_grouping
    a_row_that_nobody_delivered_is_told
    a_refused_record_explains_its_difference
    what_changes_after_the_window_is_left_out_of_both_sides
}

const STREAMS: [&str; 3] = ["vendor", "ap_bill", "gl_detail"];

impl World {
    async fn new(server: Option<&'static Server>) -> Self {
        Self::of(
            server,
            Simulator::builder()
                .seed(21)
                .scale(Scale::Tiny)
                .start()
                .await
                .unwrap(),
        )
    }

    fn of(server: Option<&'static Server>, simulator: RunningSimulator) -> Self {
        Self {
            simulator,
            folder: tempfile::tempdir().unwrap(),
            database: server.map(Server::database),
        }
    }

    fn road(&self, streams: &[&str]) -> Road {
        let warehouse = match &self.database {
            None => Warehouse::sqlite(self.folder.path()),
            Some(database) => Warehouse::postgres(&database.settings()),
        };
        let settings = settings(self.simulator.url(), "sim-user-password");
        Road::into(warehouse.unwrap(), settings, self.folder.path(), streams).unwrap()
    }

    async fn run(&self) -> RunReport {
        self.road(&STREAMS).pipeline.run().await.unwrap()
    }

    /// Changes the warehouse behind everybody's back.
    fn tamper(&self, statement: &str) {
        match &self.database {
            None => {
                let path = self.folder.path().join("finance.db");
                let file = rusqlite::Connection::open(path).unwrap();
                file.execute_batch(statement).unwrap();
            }
            Some(database) => {
                database.ask(&format!("SET search_path = sage_intacct; {statement}"));
            }
        }
    }

    async fn lines(&self, sql: &str) -> Vec<String> {
        let rows = self.road(&STREAMS).sink.query(sql).await.unwrap().rows;
        let lines = rows.into_iter().map(|row| {
            let cells = row.into_iter().map(Option::unwrap_or_default);
            cells.collect::<Vec<_>>().join("|")
        });
        lines.collect()
    }

    /// A ledger line: its key, book, account, location and day.
    async fn a_line(&self) -> [String; 5] {
        let sql = "SELECT recordno, bookid, accountno, locationid, entry_date FROM gl_detail
                   WHERE debitamount > '0' AND locationid IS NOT NULL ORDER BY recordno LIMIT 1";
        let sql = match self.database {
            None => sql.to_owned(),
            Some(_) => sql.replace("'0'", "0"),
        };
        let lines = self.lines(&sql).await;
        let mut parts = lines[0].split('|').map(str::to_owned);
        std::array::from_fn(|_| parts.next().unwrap())
    }
}

fn of_stream<'r>(report: &'r RunReport, stream: &str) -> &'r TieOut {
    let mut streams = report.streams.iter();
    let found = streams.find(|it| it.stream.as_str() == stream).unwrap();
    &found.tie_out
}

/// The reasons of differences with the keys that they name.
fn told(differences: &[Difference]) -> Vec<(Reason, Vec<String>)> {
    let explanations = differences.iter().flat_map(|it| &it.explanations);
    let mut told: Vec<_> = explanations
        .map(|it| (it.reason, it.keys.iter().map(ToString::to_string).collect()))
        .collect();
    told.sort();
    told.dedup();
    told
}

async fn an_untouched_warehouse_equals_the_books(server: Option<&'static Server>) {
    let world = World::new(server).await;
    let report = world.run().await;
    assert!(report.ties_out(), "{report:#?}");
    let run = report.run.to_string();
    // A reader of the warehouse sees it beside the data, with the ledger's word for it.
    let verdicts = "SELECT stream, verdict, source_value, destination_value, difference, ledger_entry
                    FROM sync_tie_out WHERE number = 0 AND checked = 'control_totals' ORDER BY stream";
    let lines = world.lines(verdicts).await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    let store = world.road(&STREAMS).store;
    let entries = sync_core::store::LedgerStore::entries(&*store, 0, 10_000)
        .await
        .unwrap();
    for line in lines {
        let cells: Vec<_> = line.split('|').collect();
        assert_eq!((cells[1], cells[2]), ("equal", cells[3]), "{line}");
        assert!(cells[4].starts_with('0'), "{line}");
        let entry = entries
            .iter()
            .find(|it| it.hash.to_string() == cells[5])
            .unwrap();
        assert_eq!(entry.kind, "tied_out");
        assert_eq!(entry.run.unwrap().to_string(), run);
    }
    let TieOut::Equal { groups, sums, .. } = of_stream(&report, "gl_detail") else {
        panic!("{report:#?}")
    };
    // By book and account, by book and location, by book and day.
    let counted = "SELECT count(DISTINCT bookid || accountno)
                       + count(DISTINCT bookid || coalesce(locationid, ''))
                       + count(DISTINCT bookid || entry_date) FROM gl_detail";
    assert_eq!(world.lines(counted).await, [groups.to_string()]);
    assert_eq!(*sums, 4);
}

async fn a_row_that_is_gone_is_told_by_its_key(server: Option<&'static Server>) {
    let world = World::new(server).await;
    world.run().await;
    let [key, book, account, ..] = world.a_line().await;
    world.tamper(&format!("DELETE FROM gl_detail WHERE recordno = '{key}'"));
    world.simulator.company().advance_clock(3600);
    let report = world.run().await;
    assert!(!report.ties_out() && !report.is_explained());
    let TieOut::Different { differences, .. } = of_stream(&report, "gl_detail") else {
        panic!("{report:#?}")
    };
    assert_eq!(
        told(differences),
        [(Reason::RemovedFromDestination, vec![key.clone()])]
    );
    assert!(
        differences.iter().all(|it| it.accounted_for),
        "{differences:#?}"
    );
    assert!(of_stream(&report, "ap_bill").is_equal());
    let rows = format!(
        "SELECT difference, explanation FROM sync_tie_out WHERE run = '{}' AND stream = 'gl_detail'
         AND number > 0 AND measure = 'records' AND book = '{book}' AND account = '{account}'",
        report.run
    );
    let rows = world.lines(&rows).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(
        rows[0].starts_with('1') && rows[0].contains(&key),
        "{rows:?}"
    );
    let verdict = "SELECT verdict FROM sync_tie_out WHERE stream = 'gl_detail' AND number = 0
                   ORDER BY compared_at DESC LIMIT 1";
    assert_eq!(world.lines(verdict).await, ["different"]);
}

async fn a_cent_is_told_in_every_grouping(server: Option<&'static Server>) {
    let world = World::new(server).await;
    world.run().await;
    let [key, book, account, location, day] = world.a_line().await;
    let now = world
        .lines(&format!(
            "SELECT amount FROM gl_detail WHERE recordno = '{key}'"
        ))
        .await;
    let amount: sync_core::Decimal = now[0].parse().unwrap();
    let cent = "0.01".parse().unwrap();
    let more = amount.checked_add(cent).unwrap();
    world.tamper(&format!(
        "UPDATE gl_detail SET amount = '{more}' WHERE recordno = '{key}'"
    ));
    world.simulator.company().advance_clock(3600);
    let report = world.run().await;
    let differences = of_stream(&report, "gl_detail").differences();
    assert_eq!(
        told(differences),
        [(Reason::ChangedInDestination, vec![key])]
    );
    let groups: Vec<_> = differences.iter().map(|it| it.group.clone()).collect();
    assert_eq!(
        groups,
        [
            vec![book.clone(), account],
            vec![book.clone(), location],
            vec![book, day]
        ]
    );
    for difference in differences {
        assert_eq!(difference.measure, "amount");
        let by = difference.difference().unwrap();
        assert_eq!(
            by.checked_add(cent),
            Some(sync_core::Decimal::ZERO),
            "{difference}"
        );
    }
    assert!(!report.is_explained());
}

async fn a_row_that_nobody_delivered_is_told(server: Option<&'static Server>) {
    let world = World::new(server).await;
    world.run().await;
    world.tamper(
        "CREATE TABLE one AS SELECT * FROM ap_bill ORDER BY recordno LIMIT 1;
         UPDATE one SET recordno = '999999';
         INSERT INTO ap_bill (recordno, state, totalentered, _record_id, _batch_id, _synced_at, _deleted)
         SELECT recordno, state, totalentered, _record_id, _batch_id, _synced_at, _deleted FROM one;
         DROP TABLE one;",
    );
    world.simulator.company().advance_clock(3600);
    let report = world.run().await;
    let differences = of_stream(&report, "ap_bill").differences();
    assert_eq!(
        told(differences),
        [(Reason::AddedToDestination, vec!["999999".to_owned()])]
    );
    assert!(!report.is_explained(), "{report:#?}");
}

async fn a_refused_record_explains_its_difference(server: Option<&'static Server>) {
    let world = World::new(server).await;
    let road = world.road(&STREAMS);
    // The tables are there before the first row, so that somebody can forbid one.
    let streams = sync_core::Source::discover(&*road.source).await.unwrap();
    let bills = streams
        .iter()
        .find(|it| it.name.as_str() == "ap_bill")
        .unwrap();
    let sink = road.sink.as_sink();
    sink.prepare(&sink.plan(bills).await.unwrap())
        .await
        .unwrap();
    let refused = value(
        &world.simulator.company().records("APBILL").unwrap()[3],
        "RECORDNO",
    );
    world.tamper(&format!(
        "CREATE TABLE forbidden (recordno text); INSERT INTO forbidden VALUES ('{refused}')"
    ));
    world.tamper(match world.database {
        None => {
            "CREATE TRIGGER no_such_bill BEFORE INSERT ON ap_bill
             WHEN NEW.recordno IN (SELECT recordno FROM forbidden)
             BEGIN SELECT RAISE(ABORT, 'no such bill'); END"
        }
        Some(_) => {
            "CREATE FUNCTION no_such_bill() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN IF NEW.recordno IN (SELECT recordno FROM sage_intacct.forbidden)
                    THEN RAISE check_violation; END IF; RETURN NEW; END';
             CREATE TRIGGER no_such_bill BEFORE INSERT ON ap_bill
             FOR EACH ROW EXECUTE FUNCTION no_such_bill()"
        }
    });
    let report = world.run().await;
    assert_eq!(report.rejected(), 1);
    let TieOut::Explained { differences, .. } = of_stream(&report, "ap_bill") else {
        panic!("{report:#?}")
    };
    assert_eq!(told(differences), [(Reason::Rejected, vec![refused])]);
    assert!(!report.ties_out() && report.is_explained());
}

/// Bills and their lines change with every call of the reader, while it reads and while it compares.
async fn what_changes_after_the_window_is_left_out_of_both_sides(server: Option<&'static Server>) {
    let simulator = Simulator::builder()
        .seed(22)
        .scale(Scale::Tiny)
        .before_call(|number, company| {
            if number > 20 {
                company.advance_clock(1);
                edit_some_bill(company, number);
            }
        });
    let world = World::of(server, simulator.start().await.unwrap());
    let mut left_out = 0;
    for _ in 0..3 {
        let report = world.run().await;
        assert!(report.ties_out(), "{report:#?}");
        for stream in ["ap_bill", "gl_detail"] {
            if let TieOut::Equal { in_flight, .. } = of_stream(&report, stream) {
                left_out += in_flight;
            }
        }
        world.simulator.company().advance_clock(600);
    }
    assert!(left_out > 0);
}

fn edit_some_bill(company: &CompanyHandle, number: u64) {
    let items = company.records("APBILLITEM").unwrap();
    let tried =
        (0..items.len() as u64).map(|step| &items[((number + step) % items.len() as u64) as usize]);
    for item in tried {
        let edit = Edit::update("APBILLITEM", value(item, "RECORDNO"))
            .set("TRX_AMOUNT", format!("{}.17", 100 + number));
        // One of a bill that is paid in part stays as it is.
        if company.edit(&edit).is_ok() {
            return;
        }
    }
}

fn value(record: &[(String, Option<String>)], field: &str) -> String {
    let found = record.iter().find(|(name, _)| name == field);
    found.unwrap().1.clone().unwrap()
}

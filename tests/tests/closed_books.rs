//! What a controller must be told of the books: changes in closed periods, changes that nobody announced,
//! entries that do not balance, balances that are not what the lines add up to.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use intacct_sim::{Edit, RunningSimulator, Scale, Simulator, Stamp};
use intacct_sync_postgres_fixture::{Database, Server};
use intacct_sync_tests::{Road, Warehouse, settings};
use sync_core::pipeline::{OpenPeriods, PipelineOptions, RunReport, TieOut, UnbalancedEntries};
use sync_core::store::LedgerStore as _;
use sync_core::{Severity, StreamName};
use tempfile::TempDir;
use time::macros::date;

struct World {
    simulator: RunningSimulator,
    folder: TempDir,
    database: Option<Database<'static>>,
    options: PipelineOptions,
}

intacct_sync_tests::of_both_warehouses! {
    a_change_in_a_closed_period_is_an_alert_of_its_own
    what_changed_without_saying_so_is_found_in_open_periods
    an_entry_that_does_not_balance_is_told_before_it_is_sent
    balances_are_what_the_lines_add_up_to
}

impl World {
    async fn new(server: Option<&'static Server>, streams: &[&str]) -> Self {
        let simulator = Simulator::builder().seed(31).scale(Scale::Tiny);
        let mut options = PipelineOptions::default();
        options.streams = streams
            .iter()
            .map(|name| StreamName::new(*name).unwrap())
            .collect();
        Self {
            simulator: simulator.start().await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
            database: server.map(Server::database),
            options,
        }
    }

    fn road(&self) -> Road {
        let warehouse = match &self.database {
            None => Warehouse::sqlite(self.folder.path()),
            Some(database) => Warehouse::postgres(&database.settings()),
        };
        let settings = settings(self.simulator.url(), "sim-user-password");
        let options = self.options.clone();
        Road::with(warehouse.unwrap(), settings, self.folder.path(), options).unwrap()
    }

    async fn run(&self) -> RunReport {
        self.road().pipeline.run().await.unwrap()
    }

    /// An hour later.
    async fn run_later(&self) -> RunReport {
        self.simulator.company().advance_clock(3600);
        self.run().await
    }

    async fn lines(&self, sql: &str) -> Vec<String> {
        let rows = self.road().sink.query(sql).await.unwrap().rows;
        let lines = rows.into_iter().map(|row| {
            let cells = row.into_iter().map(Option::unwrap_or_default);
            cells.collect::<Vec<_>>().join("|")
        });
        lines.collect()
    }

    /// What the warehouse says of a check in a run, a line each.
    async fn told(&self, run: &RunReport, check: &str) -> Vec<String> {
        let sql = format!(
            "SELECT number, verdict, measure, period, account, explanation FROM sync_tie_out
             WHERE run = '{}' AND checked = '{check}' ORDER BY number",
            run.run
        );
        self.lines(&sql).await
    }

    /// The kinds of the ledger's entries that this run wrote.
    async fn kinds(&self, run: &RunReport) -> Vec<String> {
        let entries = self.road().store.entries(0, 100_000).await.unwrap();
        let of_run = entries
            .into_iter()
            .filter(|entry| entry.run == Some(run.run));
        of_run.map(|entry| entry.kind).collect()
    }
}

fn warnings(report: &RunReport) -> Vec<String> {
    let of_streams = report.streams.iter().flat_map(|stream| &stream.findings);
    let all = of_streams.chain(&report.findings);
    let worse = all.filter(|finding| finding.severity > Severity::Info);
    worse.map(ToString::to_string).collect()
}

fn value(record: &[(String, Option<String>)], field: &str) -> String {
    let found = record.iter().find(|(name, _)| name == field).unwrap();
    found.1.clone().unwrap_or_default()
}

async fn a_change_in_a_closed_period_is_an_alert_of_its_own(server: Option<&'static Server>) {
    let mut world = World::new(server, &["gl_detail"]).await;
    world.options.periods.closed_through = Some(date!(2025 - 12 - 31));
    let first = world.run().await;
    assert!(first.ties_out(), "{first:#?}");
    assert_eq!(warnings(&first), Vec::<String>::new());
    let verified = world.kinds(&first).await;
    let verified = verified
        .iter()
        .filter(|kind| *kind == "period_verified")
        .count();
    let months = "SELECT count(DISTINCT substr(CAST(entry_date AS text), 1, 7)) FROM gl_detail
                  WHERE entry_date <= '2025-12-31'";
    assert_eq!(world.lines(months).await, [verified.to_string()]);
    assert!(verified > 3, "{verified}");
    let told = world.told(&first, "closed_period").await;
    assert!(
        told.len() == 1 && told[0].starts_with("0|equal"),
        "{told:?}"
    );

    // A quiet hour reads no closed period again; neither does an entry in an open one.
    let entry = Edit::create("GLBATCH").set("BATCH_DATE", "01/15/2026");
    world.simulator.company().edit(&entry).unwrap();
    let second = world.run_later().await;
    assert!(second.streams[0].written > 0, "{second:#?}");
    assert_eq!(warnings(&second), Vec::<String>::new());

    let entry = Edit::create("GLBATCH").set("BATCH_DATE", "12/15/2025");
    world.simulator.company().edit(&entry).unwrap();
    let third = world.run_later().await;
    assert!(third.ties_out(), "the change is delivered: {third:#?}");
    let warned = warnings(&third);
    assert!(
        warned.iter().any(|it| it.contains("closed period 2025-12")),
        "{warned:?}"
    );
    assert!(
        world
            .kinds(&third)
            .await
            .contains(&"closed_period_changed".to_owned())
    );
    let told = world.told(&third, "closed_period").await;
    assert!(told[0].starts_with("0|different"), "{told:?}");
    assert!(
        told[1..].iter().all(|line| line.contains("|2025-12|")),
        "{told:?}"
    );
    assert!(
        told[1..].iter().any(|line| line.contains("|records|")),
        "{told:?}"
    );

    // It is told once; and a text that is changed is told too, though no figure moves.
    let fourth = world.run_later().await;
    assert_eq!(warnings(&fourth), Vec::<String>::new());
    let key = "SELECT batchkey FROM gl_detail WHERE entry_date <= '2025-12-31'";
    let entries = world.lines(key).await;
    let company = world.simulator.company();
    let title = |entry: &&String| {
        let edit = Edit::update("GLBATCH", *entry).set("BATCH_TITLE", "restated");
        company.edit(&edit).is_ok()
    };
    assert!(
        entries.iter().any(|entry| title(&entry)),
        "no entry can be edited"
    );
    let fifth = world.run_later().await;
    let warned = warnings(&fifth);
    assert!(
        warned.iter().any(|it| it.contains("closed period 20")),
        "{warned:?}"
    );
    // Neither is one overlooked that says an old time of change: the totals of the month are other ones.
    let numbers = company.records("GLDETAIL").unwrap();
    let numbers = numbers
        .iter()
        .map(|line| value(line, "RECORDNO").parse::<u64>().unwrap());
    let last = numbers.max().unwrap();
    let entry = Edit::create("GLBATCH").set("BATCH_DATE", "11/15/2025");
    company.edit(&entry).unwrap();
    let stamp = Stamp::at("GLDETAIL", "01/01/2026 12:00:00").between(last + 1, u64::MAX);
    assert!(company.stamp(&stamp).unwrap() > 0);
    let hidden = world.run_later().await;
    let warned = warnings(&hidden);
    assert!(
        warned.iter().any(|it| it.contains("closed period 2025-11")),
        "{warned:?}"
    );
    assert!(hidden.ties_out(), "it is delivered: {hidden:#?}");
    // Once it is open again, it is nobody's business.
    world.options.periods.closed_through = Some(date!(2025 - 10 - 31));
    let sixth = world.run_later().await;
    assert!(
        world
            .kinds(&sixth)
            .await
            .contains(&"periods_reopened".to_owned())
    );
    assert_eq!(warnings(&sixth), Vec::<String>::new());
}

async fn what_changed_without_saying_so_is_found_in_open_periods(server: Option<&'static Server>) {
    let mut world = World::new(server, &["gl_detail"]).await;
    world.run().await;
    let company = world.simulator.company();
    let before = company.records("GLDETAIL").unwrap();
    // A text of a line is changed, and the line says that it was not.
    let line = before.iter().find(|line| {
        let edit = Edit::update("GLENTRY", value(line, "GLENTRYKEY"));
        let edit = edit.set("DESCRIPTION", "drifted");
        company.edit(&edit).is_ok()
    });
    let key: u64 = value(line.unwrap(), "RECORDNO").parse().unwrap();
    let stamp = Stamp::at("GLDETAIL", value(line.unwrap(), "WHENMODIFIED")).between(key, key);
    company.stamp(&stamp).unwrap();
    let text = format!(
        "SELECT count(*) FROM gl_detail WHERE recordno = '{key}' AND
                        (description = 'drifted' OR entrydescription = 'drifted')"
    );
    let unnoticed = world.run_later().await;
    assert!(unnoticed.ties_out(), "no figure differs: {unnoticed:#?}");
    assert_eq!(world.lines(&text).await, ["0"]);

    world.options.periods.open = OpenPeriods::ReadWhole;
    let found = world.run_later().await;
    assert_eq!(world.lines(&text).await, ["1"]);
    let warned = warnings(&found);
    assert!(
        warned.iter().any(|it| it.contains(&key.to_string())),
        "{warned:?}"
    );
    assert!(
        world
            .kinds(&found)
            .await
            .contains(&"drift_found".to_owned())
    );
    assert!(found.ties_out(), "{found:#?}");
    assert_eq!(found.streams[0].written, 1, "{found:#?}");
    let quiet = world.run_later().await;
    assert_eq!(warnings(&quiet), Vec::<String>::new());
}

async fn an_entry_that_does_not_balance_is_told_before_it_is_sent(server: Option<&'static Server>) {
    let mut world = World::new(server, &["gl_detail"]).await;
    let balanced = world.run().await;
    assert_eq!(warnings(&balanced), Vec::<String>::new());
    let told = world.told(&balanced, "journal_entries").await;
    assert!(
        told.len() == 1 && told[0].starts_with("0|equal"),
        "{told:?}"
    );

    // One line of an entry comes again by itself, which is no reason to doubt the entry.
    let company = world.simulator.company();
    let line = "SELECT recordno, batchkey FROM gl_detail ORDER BY recordno LIMIT 1";
    let line = world.lines(line).await.remove(0);
    let (line, entry) = line.split_once('|').unwrap();
    let number: u64 = line.parse().unwrap();
    let stamp = Stamp::at("GLDETAIL", "01/31/2026 18:10:00").between(number, number);
    company.stamp(&stamp).unwrap();
    let alone = world.run_later().await;
    assert_eq!((alone.streams[0].written, warnings(&alone)), (1, vec![]));

    let lines = company.records("GLDETAIL").unwrap();
    let of_ledger = lines
        .iter()
        .find(|it| value(it, "RECORDNO") == line)
        .unwrap();
    company
        .unbalance(value(of_ledger, "GLENTRYKEY"), 1)
        .unwrap();
    world.options.unbalanced_entries = UnbalancedEntries::Stop;
    let stopped = world.run_later().await;
    let error = stopped.streams[0].error.clone().unwrap();
    assert!(
        error.contains(entry) && error.contains("difference"),
        "{error}"
    );
    let kinds = world.kinds(&stopped).await;
    assert!(
        kinds.contains(&"entries_unbalanced".to_owned()),
        "{kinds:?}"
    );
    assert!(!kinds.contains(&"batch_prepared".to_owned()), "{kinds:?}");

    world.options.unbalanced_entries = UnbalancedEntries::Told;
    let sent = world.run_later().await;
    assert!(
        sent.ties_out(),
        "the warehouse equals the books as they are: {sent:#?}"
    );
    let warned = warnings(&sent);
    assert!(
        warned
            .iter()
            .any(|it| it.contains(entry) && it.contains("0.01")),
        "{warned:?}"
    );
    let kinds = world.kinds(&sent).await;
    let at = |kind: &str| kinds.iter().position(|it| it == kind).unwrap();
    assert!(at("entries_unbalanced") < at("batch_prepared"), "{kinds:?}");
    let told = world.told(&sent, "journal_entries").await;
    assert!(
        told[0].starts_with("0|different") && told.len() == 2,
        "{told:?}"
    );
}

async fn balances_are_what_the_lines_add_up_to(server: Option<&'static Server>) {
    let streams = ["reporting_period", "gl_detail", "gl_account_balance"];
    let mut world = World::new(server, &streams).await;
    let report = world.run().await;
    let TieOut::Equal { records, .. } = &report.checks[0].tie_out else {
        panic!("{:#?}", report.checks)
    };
    assert!(*records > 50, "{records}");
    assert!(report.ties_out(), "{report:#?}");
    let told = world.told(&report, "ledger_balances").await;
    assert!(
        told.len() == 1 && told[0].starts_with("0|equal"),
        "{told:?}"
    );

    // An entry that balances have and lines do not: it was posted after the window, before the balances.
    let entry = Edit::create("GLBATCH").set("BATCH_DATE", "01/15/2026");
    world.simulator.company().edit(&entry).unwrap();
    let posted = world.run().await;
    assert!(posted.checks[0].tie_out.holds(), "{:#?}", posted.checks);
    assert!(posted.ties_out(), "{posted:#?}");

    // Without the ledger's lines, nothing is compared, and that is said.
    let lines = std::mem::replace(
        &mut world.options.streams,
        vec![
            "reporting_period".parse().unwrap(),
            "gl_account_balance".parse().unwrap(),
        ],
    );
    let report = world.run_later().await;
    assert_eq!(report.checks[0].tie_out.verdict(), "not_compared");
    assert!(
        report
            .findings
            .iter()
            .any(|it| it.message.contains("gl_detail"))
    );
    world.options.streams = lines;

    let line = "SELECT recordno, accountno, debitamount FROM gl_detail
                WHERE creditamount = ZERO ORDER BY recordno LIMIT 1";
    let line = match &world.database {
        None => line.replace("ZERO", "'0.00'"),
        Some(_) => line.replace("ZERO", "0"),
    };
    let line = world.lines(&line).await.remove(0);
    let [key, account, debit] = line.split('|').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    let more: sync_core::Decimal = debit.parse().unwrap();
    let more = more.checked_add("0.01".parse().unwrap()).unwrap();
    let statement = format!("UPDATE gl_detail SET debitamount = '{more}' WHERE recordno = '{key}'");
    match &world.database {
        None => {
            let file = rusqlite::Connection::open(world.folder.path().join("finance.db")).unwrap();
            file.execute_batch(&statement).unwrap();
        }
        Some(database) => {
            database.ask(&format!("SET search_path = sage_intacct; {statement}"));
        }
    }
    let report = world.run_later().await;
    let differences = report.checks[0].tie_out.differences();
    assert!(!differences.is_empty(), "{:#?}", report.checks);
    assert!(
        differences.iter().all(|it| it.group[2] == account),
        "{differences:#?}"
    );
    assert!(
        differences.iter().any(|it| it.measure == "debits"),
        "{differences:#?}"
    );
    assert!(!report.ties_out());
}

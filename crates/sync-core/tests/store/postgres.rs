//! What only the shared store meets.

use std::sync::Arc;

use async_trait::async_trait;
use intacct_sync_postgres_fixture::{Database, Server, Stop};
use secrecy::SecretString;
use sync_core::clock::ManualClock;
use sync_core::ledger::EntryKind;
use sync_core::store::{LedgerStore as _, PostgresStore, PostgresStoreOptions, Store};
use sync_core::{ErrorKind, Operation};

use crate::given::{self, *};

/// A store in a database of its own.
pub(crate) struct Home<'a> {
    database: Database<'a>,
    clock: Arc<ManualClock>,
}

impl Home<'static> {
    /// On the server of this test binary; none where there is no Postgres.
    pub(crate) fn new() -> Option<Self> {
        Server::shared().map(Home::on)
    }
}

impl<'a> Home<'a> {
    fn on(server: &'a Server) -> Self {
        Self {
            database: server.database(),
            clock: Arc::new(ManualClock::at(start())),
        }
    }

    fn options(&self) -> PostgresStoreOptions {
        let mut options = PostgresStoreOptions::default();
        options.clock = Arc::clone(&self.clock) as _;
        options
    }

    async fn open_with(&self, options: PostgresStoreOptions) -> sync_core::Result<PostgresStore> {
        let settings = SecretString::from(self.database.settings());
        PostgresStore::open(&settings, options).await
    }
}

#[async_trait]
impl given::Home for Home<'_> {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.open_with(self.options()).await.unwrap())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn tamper(&self, statements: &str) {
        self.database
            .ask(&format!("SET search_path = intacct_sync; {statements}"));
    }

    fn bytes(&self, bytes: &[u8], is_text: bool) -> Option<String> {
        if !is_text {
            return Some(format!("'\\x{}'", hex(bytes)));
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let quoted = text.replace('\'', "''");
        (!text.contains('\0')).then(|| format!("'{quoted}'"))
    }

    fn cases(&self) -> u32 {
        48
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_is_waited_for_and_nothing_is_done_twice() {
    let Some(server) = Server::start() else {
        return;
    };
    let home = Home::on(&server);
    let store = given::Home::open(&home).await;
    let claim = running(&store).await;
    store.open_window(&claim, window(1)).await.unwrap();
    for (round, how) in [Stop::Immediate, Stop::Fast].into_iter().enumerate() {
        let batch = prepared(&claim, &format!("batch {round}"), 1, round as u64);
        store.prepare(&claim, &batch, &[]).await.unwrap();
        server.stop(how);
        let settling = {
            let (store, claim) = (Arc::clone(&store), claim.clone());
            let settled = settlement(&batch, &[("1", "a")]);
            tokio::spawn(async move { store.settle(&claim, settled).await })
        };
        server.resume();
        settling.await.unwrap().unwrap();
        assert_eq!(store.unsettled(&claim.scope).await.unwrap(), []);
    }
    // Two prepared and two settled, behind the settings, the run and the window.
    let verdict = store.verify(&[]).await.unwrap().to_string();
    assert!(verdict.starts_with("intact, 7 entries"), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_an_error_that_says_so() {
    let Some(server) = Server::start() else {
        return;
    };
    let home = Home::on(&server);
    let mut options = home.options();
    options.patience = std::time::Duration::ZERO;
    let store = home.open_with(options).await.unwrap();
    server.stop(Stop::Fast);
    let error = store.entries(0, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_exhausted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_start_together_make_one_store() {
    let Some(home) = Home::new() else { return };
    let opened = futures_util::future::join_all((0..6).map(|_| given::Home::open(&home))).await;
    for (number, store) in opened.iter().enumerate() {
        let claim = running_on(store, &format!("stream_{number}")).await;
        store.note(&claim, EntryKind::TiedOut, "{}").await.unwrap();
    }
    assert!(opened[0].verify(&[]).await.unwrap().is_intact());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_in_two_schemas_know_nothing_of_each_other() {
    let Some(home) = Home::new() else { return };
    let mut options = home.options();
    options.schema = "another \"one\"; --".into();
    let other: Arc<dyn Store> = Arc::new(home.open_with(options).await.unwrap());
    let store = given::Home::open(&home).await;
    let claim = running(&store).await;
    deliver(&store, &claim, "first", Operation::Upsert, &[("1", "a")]).await;
    assert_eq!(other.entries(0, 9).await.unwrap(), []);
    let theirs = running(&other).await;
    assert_eq!(other.live_records(&theirs.scope).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_no_store_is_left_alone() {
    let Some(home) = Home::new() else { return };
    home.database
        .ask("CREATE SCHEMA intacct_sync; CREATE TABLE intacct_sync.theirs (n INT)");
    let error = home.open_with(home.options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    home.database.ask(
        "DROP TABLE intacct_sync.theirs;
         CREATE TABLE intacct_sync.store_version (version BIGINT);
         INSERT INTO intacct_sync.store_version VALUES (99)",
    );
    let error = home.open_with(home.options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_version_3_is_brought_up_to_date() {
    let Some(home) = Home::new() else { return };
    let store = given::Home::open(&home).await;
    let claim = running(&store).await;
    store.open_window(&claim, window(1)).await.unwrap();
    given::Home::tamper(
        &home,
        "DROP TABLE verified_periods; DROP TABLE retried_letters; DROP TABLE contracts; DROP TABLE rereads;
         ALTER TABLE batches DROP COLUMN letters_before;
         ALTER TABLE scopes DROP COLUMN window_is_read;
         ALTER TABLE scopes DROP COLUMN descriptor, DROP COLUMN window_records_read;
         ALTER TABLE dead_letters DROP COLUMN class, DROP COLUMN fault, DROP COLUMN status,
             DROP COLUMN attempts, DROP COLUMN attempted_at, DROP COLUMN attempt_reason,
             DROP COLUMN closed_at, DROP COLUMN resolved_by, DROP COLUMN note,
             DROP COLUMN closed_by;
         UPDATE store_version SET version = 3;",
    );
    let letters = [
        ("1", r#"{"column":"amount"}"#),
        ("2", r#"{"column":"odd","text":"\u0000"}"#),
    ];
    for (key, letter) in letters {
        let run = claim.run;
        given::Home::tamper(
            &home,
            &format!(
                "INSERT INTO dead_letters (scope, fingerprint, run, at, letter, key)
                 SELECT scope, '\\x0{key}', '{run}', '', '{letter}', '{key}' FROM scopes"
            ),
        );
    }
    drop(store);
    let store = given::Home::open(&home).await;
    deliver(&store, &claim, "first", Operation::Upsert, &[("1", "a")]).await;
    let found = home
        .database
        .ask("SELECT key, class, fault, status FROM intacct_sync.dead_letters ORDER BY key");
    assert_eq!(found, "1|unreadable|amount|resolved\n2|unreadable||open");
}

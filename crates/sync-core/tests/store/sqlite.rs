//! What only the embedded store meets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};
use sync_core::clock::ManualClock;
use sync_core::ledger::EntryKind;
use sync_core::store::{SqliteStore, SqliteStoreOptions, Store};
use sync_core::{ErrorKind, Operation, Retry, RunId};

use crate::given::{self, *};

/// A store in a folder of its own.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(start())),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn open_impatiently(&self) -> Arc<dyn Store> {
        let mut options = SqliteStoreOptions::default();
        options.clock = Arc::clone(&self.clock) as _;
        options.patience = Duration::ZERO;
        Arc::new(SqliteStore::open_with(self.path(), options).unwrap())
    }

    fn connection(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

#[async_trait]
impl given::Home for Home {
    async fn open(&self) -> Arc<dyn Store> {
        let mut options = SqliteStoreOptions::default();
        options.clock = Arc::clone(&self.clock) as _;
        Arc::new(SqliteStore::open_with(self.path(), options).unwrap())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn tamper(&self, statements: &str) {
        self.connection().execute_batch(statements).unwrap();
    }

    fn bytes(&self, bytes: &[u8], is_text: bool) -> Option<String> {
        let literal = format!("x'{}'", hex(bytes));
        Some(if is_text {
            // Also such as are no UTF-8.
            format!("CAST({literal} AS TEXT)")
        } else {
            literal
        })
    }

    fn cases(&self) -> u32 {
        512
    }
}

#[tokio::test]
async fn a_store_that_another_program_is_writing_to_says_so_and_keeps_nothing_of_the_change() {
    let home = Home::new();
    let store = home.open_impatiently();
    let claim = running(&store).await;
    let waiting = prepared(&claim, "waiting", 1, 0);
    store.prepare(&claim, &waiting, &[]).await.unwrap();
    let before = store.entries(0, 99).await.unwrap();

    let mut other = home.connection();
    let holding = other
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let settled = settlement(&waiting, &[("1", "a")]);
    for outcome in [
        store.settle(&claim, settled.clone()).await,
        store.note(&claim, EntryKind::TiedOut, "{}").await.map(drop),
        store
            .acquire(&request("other", RunId::generate(), "here", 1))
            .await
            .map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Unavailable, Retry::Backoff)
        );
        assert!(
            error
                .to_string()
                .contains("another program holds the store"),
            "{error}"
        );
    }
    // What is there can be read meanwhile.
    assert_eq!(store.entries(0, 99).await.unwrap(), before);
    drop(holding);
    store.settle(&claim, settled).await.unwrap();
    assert_eq!(store.live_records(&claim.scope).await.unwrap(), 1);
    assert!(store.verify(&[]).await.unwrap().is_intact());
}

#[tokio::test]
async fn a_holder_on_this_machine_that_was_killed_need_not_be_waited_for() {
    let home = Home::new();
    let dead = given::Home::open(&home).await;
    let claim = running(&dead).await;
    let store = given::Home::open(&home).await;
    let ask = |host| request("entry", RunId::generate(), host, 2);
    store.acquire(&ask("here")).await.unwrap_err();
    // As the operating system does when a process ends.
    drop(dead);
    // A machine elsewhere cannot know.
    store.acquire(&ask("elsewhere")).await.unwrap_err();
    let lease = store.acquire(&ask("here")).await.unwrap();
    assert!(lease.token > claim.token);
    drop(store);
    let left = std::fs::read_dir(home.folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().contains("holder")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_store_is_left_alone() {
    let home = Home::new();
    home.connection()
        .execute_batch("CREATE TABLE theirs (n INT)")
        .unwrap();
    let error = SqliteStore::open(home.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    home.connection()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let error = SqliteStore::open(home.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// Not a goal but a figure: `cargo test --release -p sync-core --test store -- --ignored --nocapture ten_million`.
#[tokio::test]
#[ignore = "writes ten million records: some minutes and two gigabytes"]
#[allow(clippy::print_stdout)]
async fn an_audit_among_ten_million_records_is_one_look_up() {
    let home = Home::new();
    let store = given::Home::open(&home).await;
    let claim = running(&store).await;
    deliver(&store, &claim, "first", Operation::Upsert, &[("0", "a")]).await;
    given::Home::tamper(
        &home,
        "PRAGMA synchronous = OFF;
         BEGIN;
         WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n <= 10000)
         INSERT INTO batches (number, scope, batch, run, place, rows, entry, prepared_at,
                              settled_at, job, origins)
         SELECT n, 1, printf('%032x', n), run, place, 1000, entry, prepared_at, settled_at,
                'job-' || n, '[{\"rows\":1000,\"origin\":{\"page\":7,\"request\":\"c7\"}}]'
         FROM n, batches WHERE number = 1;
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000000)
         INSERT INTO records (scope, key, record, batch, period, row)
         SELECT 1, printf('%08d', n), randomblob(16), n / 1000 + 1, '2026-01-31', n % 1000 FROM n;
         COMMIT",
    );
    assert_eq!(store.live_records(&claim.scope).await.unwrap(), 10_000_001);
    let mut random = 88_172_645_463_325_252_u64;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..2_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = random % 9_999_000 + 1;
        let begun = std::time::Instant::now();
        let audit = store
            .audit(&claim.scope, &key(&format!("{number:08}")))
            .await
            .unwrap();
        times.push(begun.elapsed());
        let last = audit.last.unwrap();
        assert_eq!(last.origin.unwrap().request, "c7");
        assert_eq!(last.row, Some(number % 1000));
    }
    times.sort();
    let size = std::fs::metadata(home.path()).unwrap().len() >> 20;
    println!(
        "2,000 audits among 10,000,001 records ({size} MiB): median {:?}, 99th percentile {:?}",
        times[1_000], times[1_980]
    );
}

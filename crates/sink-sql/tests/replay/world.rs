//! Books, a destination, a store, and what a person does to the destination behind everybody's back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use intacct_sync_postgres_fixture::{Database, Server};
use secrecy::SecretString;
use sink_sql::{PostgresOptions, PostgresSink, SqliteOptions, SqliteSink};
use sync_core::ledger::{Entry, Head};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions, RejectionLimit, RunReport};
use sync_core::shape::Shaping;
use sync_core::spool::FolderSpool;
use sync_core::store::{
    Letter, LetterFilter, LetterPage, LetterStatus, PostgresStore, PostgresStoreOptions, Scope,
    SqliteStore, Store,
};
use sync_core::{RecordKey, RunId, Sink};

use crate::books::Books;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) struct World {
    pub(crate) books: Arc<Books>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) limit: RejectionLimit,
    pub(crate) shaping: Shaping,
    pub(crate) folder: tempfile::TempDir,
    outside: Outside,
}

/// The destination without its sink.
enum Outside {
    Sqlite(PathBuf),
    Postgres(&'static Database<'static>, String),
}

impl World {
    pub(crate) async fn new(store: Engine, sink: Engine) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = match store {
            Engine::Sqlite => Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap()),
            Engine::Postgres => {
                let mut options = PostgresStoreOptions::default();
                options.schema = fresh("state");
                let settings = SecretString::from(database()?.settings());
                Arc::new(PostgresStore::open(&settings, options).await.unwrap())
            }
        };
        let (sink, outside): (Arc<dyn Sink>, _) = match sink {
            Engine::Sqlite => {
                let path = folder.path().join("finance.db");
                let sink = SqliteSink::open(&path, SqliteOptions::default()).unwrap();
                (Arc::new(sink), Outside::Sqlite(path))
            }
            Engine::Postgres => {
                let (database, schema) = (database()?, fresh("finance"));
                let options = PostgresOptions::default().schema(&schema);
                let settings = SecretString::from(database.settings());
                let sink = PostgresSink::open(&settings, options).unwrap();
                (Arc::new(sink), Outside::Postgres(database, schema))
            }
        };
        Some(Self {
            books: Arc::new(Books::new()),
            store,
            sink,
            limit: RejectionLimit::default(),
            shaping: Shaping::default(),
            folder,
            outside,
        })
    }

    /// Batches of four records.
    pub(crate) fn pipeline(&self) -> Pipeline {
        let parts = Parts {
            source: Arc::clone(&self.books) as _,
            sinks: vec![Arc::clone(&self.sink)],
            store: Arc::clone(&self.store),
            spool: Arc::new(FolderSpool::open(self.folder.path().join("spool")).unwrap()),
        };
        let mut options = PipelineOptions::default();
        options.batch_rows = 4;
        options.rejection_limit = self.limit;
        options.shaping = self.shaping.clone();
        Pipeline::new("books", parts, options)
    }

    /// An hour later, all that changed is read.
    pub(crate) async fn run(&self) -> RunReport {
        self.books.pass();
        self.pipeline().run().await.unwrap()
    }

    /// As [`World::run`], without an error in any stream.
    pub(crate) async fn run_whole(&self) -> RunId {
        let report = self.run().await;
        assert!(report.is_complete(), "{report:?}");
        report.run
    }

    /// `@` stands for the schema.
    pub(crate) fn outside(&self, statements: &str) -> String {
        match &self.outside {
            Outside::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection
                    .busy_timeout(std::time::Duration::from_secs(20))
                    .unwrap();
                let statements = statements.replace("@.", "");
                connection.execute_batch(&statements).unwrap();
                String::new()
            }
            Outside::Postgres(database, schema) => database.ask(&statements.replace('@', schema)),
        }
    }

    /// One column of text.
    pub(crate) fn lines(&self, query: &str) -> Vec<String> {
        match &self.outside {
            Outside::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut query = connection.prepare(&query.replace("@.", "")).unwrap();
                let rows = query.query_map([], |row| row.get(0)).unwrap();
                rows.collect::<rusqlite::Result<_>>().unwrap()
            }
            Outside::Postgres(..) => {
                let answer = self.outside(query);
                answer.lines().map(str::to_owned).collect()
            }
        }
    }

    /// The live rows, as [`Books::rows`] has them.
    pub(crate) fn rows(&self) -> Vec<String> {
        let cents = "CAST(CAST(amount AS numeric) * 100 AS integer)";
        self.lines(&format!(
            "SELECT recordno || '|' || name || '|' || {cents} FROM @.entry WHERE NOT _deleted
             ORDER BY recordno"
        ))
    }

    /// The live rows with the ids that they came with.
    pub(crate) fn rows_with_ids(&self) -> Vec<String> {
        self.lines(
            "SELECT recordno || '|' || _record_id || '|' || _batch_id || '|' || _synced_at
             FROM @.entry WHERE NOT _deleted ORDER BY recordno",
        )
    }

    pub(crate) fn assert_equal(&self) {
        assert_eq!(self.rows(), self.books.rows());
    }

    /// From now on the destination refuses entries that are called `bad`.
    pub(crate) fn refuse_bad(&self) {
        self.outside(match self.outside {
            Outside::Sqlite(_) => {
                "CREATE TRIGGER no_bad BEFORE INSERT ON entry WHEN NEW.name = 'bad'
                 BEGIN SELECT RAISE(ABORT, 'a bad name'); END"
            }
            Outside::Postgres(..) => {
                "ALTER TABLE @.entry ADD CONSTRAINT no_bad CHECK (name <> 'bad') NOT VALID"
            }
        });
    }

    pub(crate) fn mend(&self) {
        self.outside(match self.outside {
            Outside::Sqlite(_) => "DROP TRIGGER no_bad",
            Outside::Postgres(..) => "ALTER TABLE @.entry DROP CONSTRAINT no_bad",
        });
    }

    /// From now on the destination refuses every delete.
    pub(crate) fn refuse_deletes(&self) {
        self.outside(match self.outside {
            Outside::Sqlite(_) => {
                "CREATE TRIGGER no_bad BEFORE UPDATE ON entry WHEN NEW._deleted
                 BEGIN SELECT RAISE(ABORT, 'nothing goes'); END"
            }
            Outside::Postgres(..) => {
                "ALTER TABLE @.entry ADD CONSTRAINT no_bad CHECK (NOT _deleted) NOT VALID"
            }
        });
    }

    pub(crate) async fn letters(&self) -> Vec<Letter> {
        let page = LetterPage {
            after: None,
            limit: 99,
        };
        let filter = LetterFilter::of(&self.scope());
        self.store.letters(&filter, page).await.unwrap()
    }

    pub(crate) async fn statuses(&self) -> Vec<(String, LetterStatus, u64)> {
        let letters = self.letters().await.into_iter();
        let statuses = letters.map(|letter| {
            let key = letter.content.key.unwrap_or(RecordKey::new(["?"]));
            (key.to_string(), letter.status, letter.attempts)
        });
        statuses.collect()
    }

    pub(crate) async fn entries(&self) -> Vec<Entry> {
        self.store.entries(0, 9_999).await.unwrap()
    }

    /// The bodies of the ledger's entries of a run, with their kinds.
    pub(crate) async fn told_by(&self, run: RunId) -> Vec<(String, serde_json::Value)> {
        let entries = self.entries().await.into_iter();
        let of_run = entries.filter(|entry| entry.run == Some(run));
        of_run
            .map(|entry| (entry.kind, serde_json::from_str(&entry.body).unwrap()))
            .collect()
    }

    pub(crate) async fn assert_intact(&self) {
        let known = self.sink.ledger_entries("books").await.unwrap();
        let verdict = self.store.verify(&known).await.unwrap();
        assert!(verdict.is_intact(), "{verdict}");
    }

    /// Whether the destination keeps the end of the ledger's chain as this run left it.
    pub(crate) fn assert_marked(&self, run: RunId, head: Head) {
        let marks = self.lines(
            "SELECT run_id || ' ' || ledger_sequence || ' ' || ledger_entry FROM @.sync_run",
        );
        let mark = format!("{run} {} {}", head.sequence, head.hash);
        assert!(marks.contains(&mark), "{mark} is none of {marks:?}");
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope {
            pipeline: "books".into(),
            sink: self.sink.name().to_owned(),
            stream: "entry".parse().unwrap(),
        }
    }

    /// Files of spooled payloads, by the batches' ids in their names.
    pub(crate) fn payload(&self, batch: sync_core::BatchId) -> PathBuf {
        let folder = self.folder.path().join("spool").join("entry");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path());
        let of_batch = |path: &PathBuf| path.to_string_lossy().contains(&batch.to_string());
        files.into_iter().find(of_batch).unwrap()
    }
}

pub(crate) fn key(number: i64) -> RecordKey {
    RecordKey::new([number.to_string().as_str()])
}

fn database() -> Option<&'static Database<'static>> {
    static DATABASE: OnceLock<Option<Database<'static>>> = OnceLock::new();
    let made = DATABASE.get_or_init(|| Server::shared().map(Server::database));
    made.as_ref()
}

fn fresh(what: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{what}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

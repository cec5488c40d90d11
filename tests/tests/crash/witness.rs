//! A witness in the destination: triggers that note every write of a row, in the transaction that makes
//! it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rusqlite::Connection;
use sync_core::StreamDescriptor;
use sync_core::postgres::tokio_postgres::{self, Client, NoTls};

use crate::home::{Engine, Home};

/// What was seen, by stream and batch: how many rows were put there, and how many different ones. Rows
/// that were removed are noted under no batch.
pub(crate) type Seen = BTreeMap<(String, Option<String>), Writes>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    pub(crate) rows: u64,
    pub(crate) records: u64,
}

/// Where to look.
pub(crate) struct Witness {
    home: Home,
}

/// What both engines understand.
const SEEN: &str =
    "SELECT stream, batch, count(*), count(DISTINCT key) FROM witness_of_writes GROUP BY 1, 2";

/// Between a batch's rows and its marker some time passes, so that kills fall in between.
const SLOW_MARKER: &str = "
    CREATE TRIGGER IF NOT EXISTS slow_marker BEFORE INSERT ON sync_batch BEGIN
        SELECT count(*) FROM (
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2500) SELECT i FROM n
        );
    END;";

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Witness").field(&self.home).finish()
    }
}

impl Witness {
    pub(crate) fn of(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// Begins to watch a stream's table, unless it is watched already.
    pub(crate) async fn watch(&self, stream: &StreamDescriptor) {
        let table = stream.name.as_str();
        let key = |row: &str| {
            let columns = stream.key.iter().map(|column| format!("{row}.{column}"));
            columns.collect::<Vec<_>>().join(" || '/' || ")
        };
        match self.home.sink {
            Engine::Sqlite => {
                let trigger = |of: &str, row: &str, batch: &str| {
                    format!(
                        "CREATE TRIGGER IF NOT EXISTS {table}_{of} AFTER {of} ON {table} BEGIN
                             INSERT INTO witness_of_writes VALUES ('{table}', {batch}, {});
                         END;",
                        key(row)
                    )
                };
                let statements = [
                    "BEGIN IMMEDIATE;
                     CREATE TABLE IF NOT EXISTS witness_of_writes (stream TEXT, batch TEXT, key TEXT);"
                        .to_owned(),
                    SLOW_MARKER.to_owned(),
                    trigger("insert", "new", "new._batch_id"),
                    trigger("update", "new", "new._batch_id"),
                    trigger("delete", "old", "NULL"),
                    "COMMIT".to_owned(),
                ];
                self.file().execute_batch(&statements.concat()).unwrap();
            }
            Engine::Postgres => {
                // The session's locks keep two processes apart, which both begin to watch.
                let statements = format!(
                    "BEGIN;
                     SELECT pg_advisory_xact_lock(1);
                     CREATE TABLE IF NOT EXISTS witness_of_writes (stream TEXT, batch TEXT, key TEXT);
                     CREATE OR REPLACE FUNCTION witness_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                         IF TG_OP = 'DELETE' THEN
                             INSERT INTO public.witness_of_writes VALUES ('{table}', NULL, {});
                         ELSE
                             INSERT INTO public.witness_of_writes VALUES ('{table}', NEW._batch_id, {});
                         END IF;
                         RETURN NULL;
                     END $$;
                     CREATE OR REPLACE FUNCTION slow_marker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                         PERFORM pg_sleep(0.002);
                         RETURN NEW;
                     END $$;
                     DO $$ BEGIN
                         IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'slow_marker') THEN
                             CREATE TRIGGER slow_marker BEFORE INSERT ON sage_intacct.sync_batch
                                 FOR EACH ROW EXECUTE FUNCTION public.slow_marker();
                         END IF;
                         IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'witness_{table}') THEN
                             CREATE TRIGGER witness_{table} AFTER INSERT OR UPDATE OR DELETE
                                 ON sage_intacct.{table} FOR EACH ROW EXECUTE FUNCTION public.witness_{table}();
                         END IF;
                     END $$;
                     COMMIT;",
                    key("OLD"),
                    key("NEW"),
                );
                let session = self.session().await;
                session.batch_execute(&statements).await.unwrap();
            }
            // There are no triggers.
            Engine::BigQuery | Engine::BigQueryStreaming => {}
        }
    }

    /// Nothing where the destination has no triggers.
    pub(crate) async fn seen(&self) -> Option<Seen> {
        let writes = |rows: i64, records: i64| Writes {
            rows: rows.unsigned_abs(),
            records: records.unsigned_abs(),
        };
        match self.home.sink {
            Engine::Sqlite => {
                let file = self.file();
                let mut select = file.prepare(SEEN).unwrap();
                let seen = select.query_map([], |row| {
                    Ok(((row.get(0)?, row.get(1)?), writes(row.get(2)?, row.get(3)?)))
                });
                Some(seen.unwrap().map(Result::unwrap).collect())
            }
            Engine::Postgres => {
                let session = self.session().await;
                let rows = session.query(SEEN, &[]).await.unwrap();
                let seen = rows
                    .iter()
                    .map(|row| ((row.get(0), row.get(1)), writes(row.get(2), row.get(3))));
                Some(seen.collect())
            }
            Engine::BigQuery | Engine::BigQueryStreaming => None,
        }
    }

    async fn session(&self) -> Client {
        let settings = self.home.settings();
        let (session, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
        tokio::spawn(connection);
        session
    }

    fn file(&self) -> Connection {
        let file = Connection::open(self.home.file()).unwrap();
        file.busy_timeout(Duration::from_secs(60)).unwrap();
        file
    }
}

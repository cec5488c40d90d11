//! A transaction that changes the store: what all changes have in common.

use std::sync::Mutex;

use deadpool_postgres::Transaction;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::leases::unpoisoned;
use super::{Shared, leases};
use crate::error::{Phase, Result};
use crate::id::RunId;
use crate::ledger::{EntryKind, Head};
use crate::postgres::{Session, failed};
use crate::store::lease_rules::{fenced, unleased};
use crate::store::stored::{digest, signed, unsigned};
use crate::store::wording::Told;
use crate::store::{Claim, Scope};
use crate::window::rfc3339;

/// One writer at a time appends to the ledger of a schema.
const LOCK_LEDGER: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('ledger of ' || current_schema(), 0))";

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A transaction, and the time that it notes.
pub(super) struct Change<'a> {
    transaction: Transaction<'a>,
    pub(super) shared: &'a Shared,
    pub(super) at: OffsetDateTime,
    pub(super) now: String,
    /// The last entry that it appended.
    head: Mutex<Option<Head>>,
}

/// A change of which it is not known whether it was committed: its last entry, and what it gives.
pub(super) type Unsure<T> = Option<(Head, T)>;

impl<'a> Change<'a> {
    pub(super) async fn begin(session: &'a mut Session, shared: &'a Shared) -> Result<Self> {
        let transaction = session.transaction().await.map_err(refused)?;
        let at = shared.clock.now();
        Ok(Self {
            transaction,
            shared,
            at,
            now: rfc3339(at),
            head: Mutex::new(None),
        })
    }

    /// Commits. Where the answer is lost, what there is to ask for is left in `unsure`.
    pub(super) async fn commit<T>(self, value: T, unsure: &mut Unsure<T>) -> Result<T> {
        let head = unpoisoned(&self.head).take();
        let error = match self.transaction.commit().await {
            Ok(()) => return Ok(value),
            Err(error) => refused(error),
        };
        if error.phase() == Phase::MaybeReceived {
            // What appends nothing has the same effect twice as once.
            *unsure = head.map(|head| (head, value));
        }
        Err(error)
    }

    /// Refuses a change by a run whose lease is not the one in force, and keeps it in force until this
    /// transaction has ended.
    pub(super) async fn fence(&self, claim: Option<&Claim>) -> Result<()> {
        let Some(claim) = claim else { return Ok(()) };
        let Scope {
            pipeline, stream, ..
        } = &claim.scope;
        match leases::stored(self, pipeline, stream, leases::Lock::Share).await? {
            Some(stored) if stored.lease.token != claim.token => Err(fenced(&stored.lease)),
            Some(stored) if stored.held => Ok(()),
            _ => Err(unleased(claim)),
        }
    }

    pub(super) async fn execute(&self, statement: &str, values: Values<'_>) -> Result<u64> {
        let prepared = self.transaction.prepare_cached(statement).await;
        let prepared = prepared.map_err(refused)?;
        let done = self.transaction.execute(&prepared, values).await;
        done.map_err(refused)
    }

    pub(super) async fn row(&self, statement: &str, values: Values<'_>) -> Result<Option<Row>> {
        let prepared = self.transaction.prepare_cached(statement).await;
        let prepared = prepared.map_err(refused)?;
        let row = self.transaction.query_opt(&prepared, values).await;
        row.map_err(refused)
    }

    pub(super) async fn rows(&self, statement: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let prepared = self.transaction.prepare_cached(statement).await;
        let prepared = prepared.map_err(refused)?;
        let rows = self.transaction.query(&prepared, values).await;
        rows.map_err(refused)
    }

    pub(super) async fn tell(&self, run: Option<RunId>, told: &Told) -> Result<Head> {
        self.append(run, told.kind, &told.body).await
    }

    pub(super) async fn append(
        &self,
        run: Option<RunId>,
        kind: EntryKind,
        body: &str,
    ) -> Result<Head> {
        self.execute(LOCK_LEDGER, &[]).await?;
        let select = "SELECT sequence, hash FROM ledger ORDER BY sequence DESC LIMIT 1";
        let last = match self.row(select, &[]).await? {
            None => Head::genesis(),
            Some(row) => Head {
                sequence: unsigned(row.get(0)),
                hash: digest(row.get(1))?,
            },
        };
        let head = last.followed_by(&self.now, run, kind.as_str(), body);
        let insert = "INSERT INTO ledger (sequence, at, run, kind, body, hash)
                      VALUES ($1, $2, $3, $4, $5, $6)";
        let (sequence, run) = (signed(head.sequence), run.map(|run| run.to_string()));
        let hash = head.hash.as_bytes().as_slice();
        let values: Values<'_> = &[&sequence, &self.now, &run, &kind.as_str(), &body, &hash];
        self.execute(insert, values).await?;
        *unpoisoned(&self.head) = Some(head);
        Ok(head)
    }

    /// The number of a scope, which is made where it is new.
    pub(super) async fn scope(&self, scope: &Scope) -> Result<i64> {
        let Scope {
            pipeline,
            sink,
            stream,
        } = scope;
        let stream = stream.as_str();
        let values: Values<'_> = &[pipeline, sink, &stream];
        if let Some(row) = self.row(SCOPE, values).await? {
            return Ok(row.get(0));
        }
        let insert = "INSERT INTO scopes (pipeline, sink, stream) VALUES ($1, $2, $3)
                      ON CONFLICT (pipeline, sink, stream) DO UPDATE SET sink = excluded.sink
                      RETURNING scope";
        let row = self.row(insert, values).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }
}

const SCOPE: &str = "SELECT scope FROM scopes WHERE pipeline = $1 AND sink = $2 AND stream = $3";

/// What an unsure change gives, if it was committed after all.
pub(super) async fn landed<T>(session: &mut Session, unsure: &mut Unsure<T>) -> Result<Option<T>> {
    let Some((head, _)) = unsure else {
        return Ok(None);
    };
    let transaction = session.transaction().await.map_err(refused)?;
    // Whoever still commits it holds this lock until it is done.
    transaction
        .execute(LOCK_LEDGER, &[])
        .await
        .map_err(refused)?;
    let select = "SELECT EXISTS (SELECT 1 FROM ledger WHERE sequence = $1 AND hash = $2)";
    let (sequence, hash) = (signed(head.sequence), head.hash.as_bytes().as_slice());
    let row = transaction.query_one(select, &[&sequence, &hash]).await;
    let is_there: bool = row.map_err(refused)?.get(0);
    let value = unsure.take().map(|(_, value)| value);
    Ok(value.filter(|_| is_there))
}

pub(super) async fn scope_number(session: &Session, scope: &Scope) -> Result<Option<i64>> {
    let Scope {
        pipeline,
        sink,
        stream,
    } = scope;
    let rows = rows(session, SCOPE, &[pipeline, sink, &stream.as_str()]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

pub(super) async fn rows(
    session: &Session,
    statement: &str,
    values: Values<'_>,
) -> Result<Vec<Row>> {
    let prepared = session.prepare_cached(statement).await.map_err(refused)?;
    session.query(&prepared, values).await.map_err(refused)
}

pub(super) fn refused(error: tokio_postgres::Error) -> crate::Error {
    failed("the store cannot be read or changed", error)
}

#[cfg(all(test, unix))]
mod tests {
    use intacct_sync_postgres_fixture::Server;

    use super::*;
    use crate::store::{PostgresStore, PostgresStoreOptions};

    #[tokio::test]
    async fn a_change_of_which_the_answer_was_lost_is_found_by_its_entry() {
        let Some(server) = Server::shared() else {
            return;
        };
        let settings = server.database().settings().into();
        let store = PostgresStore::open(&settings, PostgresStoreOptions::default());
        let store = store.await.unwrap();
        let mut session = store.session().await.unwrap();
        let mut append = async |commit: bool| {
            let change = Change::begin(&mut session, &store.shared).await.unwrap();
            let head = change.append(None, EntryKind::TiedOut, "{}").await.unwrap();
            if commit {
                change.commit((), &mut None).await.unwrap();
            }
            head
        };
        let (kept, lost) = (append(true).await, append(false).await);
        let mut unsure = Some((kept, "kept"));
        let found = landed(&mut session, &mut unsure).await.unwrap();
        assert_eq!((found, unsure), (Some("kept"), None));
        // What was rolled back is to be done again.
        let mut unsure = Some((lost, "lost"));
        let found = landed(&mut session, &mut unsure).await.unwrap();
        assert_eq!((found, unsure), (None, None));
    }
}

//! Where the tables stand, and transactions there.

use std::sync::Arc;

use secrecy::SecretString;
use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::tokio_postgres::IsolationLevel;
use sync_core::postgres::{Database, Session, failed};
use sync_core::{Phase, Receipt, Result};
use time::OffsetDateTime;

use super::dialect::Postgres;
use super::options::PostgresOptions;
use crate::bookkeeping::stored_now;

/// One schema of a database. Cloning gives another handle on the same sessions.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) database: Database,
    pub(super) dialect: Postgres,
    pub(super) options: Arc<PostgresOptions>,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Reading,
    Writing,
}

impl Place {
    pub(super) fn new(connection: &SecretString, options: PostgresOptions) -> Result<Self> {
        Ok(Self {
            database: Database::new(connection, &options.connection())?,
            dialect: Postgres::new(&options.schema)?,
            options: Arc::new(options),
        })
    }

    pub(super) async fn session(&self) -> Result<Session> {
        self.database.session().await
    }

    /// Begins a transaction that is rolled back unless it is committed.
    pub(super) async fn begin<'s>(
        &self,
        session: &'s mut Session,
        purpose: Purpose,
    ) -> Result<Transaction<'s>> {
        // A session that the server ended while it was not used shows it only now.
        let mut attempts = self.options.sessions;
        while attempts > 0 && session.batch_execute("").await.is_err() {
            *session = self.session().await?;
            attempts -= 1;
        }
        // What a statement that waited for a lock then sees rests on this level.
        let begun = session
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted)
            .read_only(purpose == Purpose::Reading)
            .start()
            .await;
        self.name(
            begun.map_err(|cause| {
                failed("no transaction can be begun", cause).in_phase(Phase::NotSent)
            }),
        )
    }

    pub(super) async fn commit(&self, transaction: Transaction<'_>, doing: &str) -> Result<()> {
        // Where the answer is lost, whether it is committed is known only once it is looked up.
        let committed = transaction.commit().await;
        self.name(committed.map_err(|cause| failed(doing, cause).in_phase(Phase::MaybeReceived)))
    }

    /// Says which schema of which database it was about.
    pub(super) fn name<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| {
            if error.context().any(|(name, _)| name == "database") {
                return error;
            }
            error
                .with("database", self.database.shown())
                .with("schema", self.dialect.schema())
        })
    }

    /// Commits what was written, or rolls it back.
    pub(super) async fn end(
        &self,
        transaction: Transaction<'_>,
        written: Result<Receipt>,
    ) -> Result<Receipt> {
        match self.name(written) {
            Ok(receipt) => {
                self.commit(transaction, "the batch cannot be committed")
                    .await?;
                Ok(receipt)
            }
            Err(error) => {
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    /// Now, as it is stored.
    pub(super) fn now(&self) -> OffsetDateTime {
        stored_now(self.options.clock.as_ref())
    }
}

/// Closes a session instead of giving it back. A `COPY` that the server refused leaves answers behind that
/// the next user of the session would take for its own.
pub(super) fn close(session: Session) {
    drop(Session::take(session));
}

//! The destination.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use sync_core::capabilities::Guarantee;
use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::tokio_postgres::IsolationLevel;
use sync_core::postgres::{Database, Session, failed};
use sync_core::{
    Batch, BatchId, Capabilities, ControlTotals, Digest, Error, Finding, FlushReceipt, Landed,
    Phase, Receipt, Result, RunMark, SchemaPlan, Severity, Sink, StreamDescriptor, StreamName,
    TieOutRecord, TotalsQuery,
};

use super::check;
use super::dialect::Postgres;
use super::options::PostgresOptions;
use super::query;
use super::schema;
use super::tie_out;
use super::totals;
use super::write;
use crate::bookkeeping::{RunRow, stored_now};
use crate::delivery::{Delivery, Marked, told};
use crate::rows::Rows;

/// Bigger batches would only make a transaction longer, and cost more to write again.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// One schema of a Postgres database as a destination, exactly once: a batch's rows and the mark that
/// they are there are one transaction.
///
/// Its async functions need a tokio runtime. Cloning gives another handle on the same sessions.
///
/// ```no_run
/// use secrecy::SecretString;
/// use sink_sql::{PostgresOptions, PostgresSink};
/// use sync_core::Sink;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = SecretString::from(std::fs::read_to_string("/run/secrets/postgres")?.trim());
/// let sink = PostgresSink::open(&connection, PostgresOptions::default().schema("books"))?;
/// for finding in sink.check().await? {
///     println!("{finding}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresSink {
    database: Database,
    dialect: Postgres,
    options: Arc<PostgresOptions>,
}

impl fmt::Debug for PostgresSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSink")
            .field("database", &self.database.shown())
            .field("schema", &self.dialect.schema())
            .field("options", &self.options)
            .finish()
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Reading,
    Writing,
}

impl PostgresSink {
    /// Takes a connection string, in one of the forms that `libpq` takes (postgresql.org, Connection
    /// Strings): `postgres://user:password@host/database`, or
    /// `host=... dbname=... user=... password=...`. Connects once there is something to do.
    ///
    /// A server on another machine must encrypt, and show a certificate for its name from an authority
    /// that is trusted, unless the string says `sslmode=disable`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](sync_core::ErrorKind::Config) where the string, the name of the schema or
    /// the file of authorities cannot be read.
    pub fn open(connection: &SecretString, options: PostgresOptions) -> Result<Self> {
        Ok(Self {
            database: Database::new(connection, &options.connection())?,
            dialect: Postgres::new(&options.schema)?,
            options: Arc::new(options),
        })
    }

    /// The schema that holds the tables.
    pub fn schema(&self) -> &str {
        self.dialect.schema()
    }

    /// Answers one query that reads, holding all rows in memory as the server writes them. Tables are
    /// looked for in the schema.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Permission`](sync_core::ErrorKind::Permission) for a statement that would change
    /// something, [`ErrorKind::Rejected`](sync_core::ErrorKind::Rejected) for one that Postgres does
    /// not understand and for more than one.
    pub async fn query(&self, sql: impl AsRef<str> + Send) -> Result<Rows> {
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Reading).await?;
        self.name(query::query(&transaction, &self.dialect, sql.as_ref()).await)
    }

    async fn session(&self) -> Result<Session> {
        self.database.session().await
    }

    /// Begins a transaction that is rolled back unless it is committed.
    async fn begin<'s>(
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

    async fn commit(&self, transaction: Transaction<'_>, doing: &str) -> Result<()> {
        // Where the answer is lost, whether it is committed is known only once it is looked up.
        let committed = transaction.commit().await;
        self.name(committed.map_err(|cause| failed(doing, cause).in_phase(Phase::MaybeReceived)))
    }

    /// Says which schema of which database it was about.
    fn name<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| {
            if error.context().any(|(name, _)| name == "database") {
                return error;
            }
            error
                .with("database", self.database.shown())
                .with("schema", self.dialect.schema())
        })
    }

    async fn write_batch(&self, batch: &Batch, marked: Marked) -> Result<Receipt> {
        let delivery = Delivery::of(batch, marked);
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Writing).await?;
        let at = stored_now(self.options.clock.as_ref());
        let written = write::write(&transaction, &self.dialect, &delivery, batch.keys(), at).await;
        match self.name(written) {
            Ok(receipt) => {
                self.commit(transaction, "the batch cannot be committed")
                    .await?;
                Ok(receipt)
            }
            Err(error) => {
                let _ = transaction.rollback().await;
                // A `COPY` that the server refused leaves answers behind that the next user of the session
                // would take for its own.
                drop(Session::take(session));
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Sink for PostgresSink {
    fn name(&self) -> &str {
        "postgres"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::upserting(Guarantee::ExactlyOnce);
        capabilities.max_batch_bytes = MAX_BATCH_BYTES;
        capabilities
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        let subject = format!(
            "schema {} of Postgres {}",
            self.dialect.schema(),
            self.database.shown()
        );
        let unreachable = |error: Error| {
            Ok(vec![Finding::new(
                Severity::Failure,
                &subject,
                error.chain(),
            )])
        };
        let mut session = match self.session().await {
            Ok(session) => session,
            Err(error) => return unreachable(error),
        };
        match self.begin(&mut session, Purpose::Reading).await {
            Ok(transaction) => {
                let clock = self.options.clock.as_ref();
                Ok(check::check(&transaction, &self.dialect, &subject, clock).await)
            }
            Err(error) => unreachable(error),
        }
    }

    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Reading).await?;
        let reporting = self.options.reporting_columns;
        self.name(schema::plan(&transaction, &self.dialect, stream, reporting).await)
    }

    async fn prepare(&self, plan: &SchemaPlan) -> Result<()> {
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Writing).await?;
        let reporting = self.options.reporting_columns;
        self.name(schema::prepare(&transaction, &self.dialect, plan, reporting).await)?;
        self.commit(transaction, "the tables cannot be changed")
            .await
    }

    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        told(batch, self.write_batch(batch, Marked::Stays).await)
    }

    async fn rewrite(&self, batch: &Batch) -> Result<Receipt> {
        told(batch, self.write_batch(batch, Marked::IsRewritten).await)
    }

    async fn flush(&self, _stream: &StreamName) -> Result<FlushReceipt> {
        // Every batch is durable as soon as its transaction is committed.
        Ok(FlushReceipt::default())
    }

    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Reading).await?;
        let receipt = self.name(write::landed(&transaction, &self.dialect, *batch).await)?;
        Ok(receipt.map_or(Landed::No, Landed::Yes))
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Reading).await?;
        self.name(totals::control_totals(&transaction, &self.dialect, query).await)
            .map(Some)
    }

    async fn keep_run(&self, run: &RunMark) -> Result<()> {
        let row = RunRow::of(run)?;
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Writing).await?;
        self.name(write::note_run(&transaction, &self.dialect, &row).await)?;
        self.commit(transaction, "the end of the run cannot be noted")
            .await
    }

    async fn record_tie_out(&self, record: &TieOutRecord) -> Result<()> {
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Writing).await?;
        self.name(tie_out::record(&transaction, &self.dialect, record).await)?;
        self.commit(transaction, "the outcome of a comparison cannot be kept")
            .await
    }

    async fn ledger_entries(&self, pipeline: &str) -> Result<Vec<Digest>> {
        let mut session = self.session().await?;
        let transaction = self.begin(&mut session, Purpose::Reading).await?;
        self.name(write::ledger_entries(&transaction, &self.dialect, pipeline).await)
    }
}

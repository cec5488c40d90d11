//! The destination.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use sync_core::capabilities::Guarantee;
use sync_core::{
    Batch, BatchId, Capabilities, ControlTotals, Digest, Error, Finding, FlushReceipt, Landed,
    Receipt, Result, RunMark, SchemaPlan, Severity, Sink, StreamDescriptor, StreamName,
    TieOutRecord, TotalsQuery,
};

use super::ahead::Ahead;
use super::check;
use super::options::PostgresOptions;
use super::place::{Place, Purpose, close};
use super::query;
use super::schema;
use super::tie_out;
use super::totals;
use super::write::{self, Reached};
use crate::bookkeeping::RunRow;
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
    place: Place,
    ahead: Arc<Ahead>,
}

impl fmt::Debug for PostgresSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSink")
            .field("database", &self.place.database.shown())
            .field("schema", &self.place.dialect.schema())
            .field("options", &self.place.options)
            .finish()
    }
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
        let ahead = Ahead::of(options.sessions);
        let place = Place::new(connection, options)?;
        Ok(Self {
            place,
            ahead: Arc::new(ahead),
        })
    }

    /// The schema that holds the tables.
    pub fn schema(&self) -> &str {
        self.place.dialect.schema()
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
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Reading).await?;
        self.place
            .name(query::query(&transaction, &self.place.dialect, sql.as_ref()).await)
    }

    async fn write_batch(&self, batch: &Batch, marked: Marked) -> Result<Receipt> {
        if let Some(waiting) = self.ahead.take(batch, marked)
            && let Some(receipt) = waiting.go_on(Delivery::of(batch, marked)).await?
        {
            return Ok(receipt);
        }
        let (place, delivery) = (&self.place, Delivery::of(batch, marked));
        let mut session = place.session().await?;
        let transaction = place.begin(&mut session, Purpose::Writing).await?;
        let (at, reached) = (place.now(), Reached::Nothing(batch.keys()));
        let written = write::write(&transaction, &place.dialect, &delivery, reached, at).await;
        let written = place.end(transaction, written).await;
        written.inspect_err(|_| close(session))
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
            self.place.dialect.schema(),
            self.place.database.shown()
        );
        let unreachable = |error: Error| {
            Ok(vec![Finding::new(
                Severity::Failure,
                &subject,
                error.chain(),
            )])
        };
        let mut session = match self.place.session().await {
            Ok(session) => session,
            Err(error) => return unreachable(error),
        };
        match self.place.begin(&mut session, Purpose::Reading).await {
            Ok(transaction) => {
                let clock = self.place.options.clock.as_ref();
                Ok(check::check(&transaction, &self.place.dialect, &subject, clock).await)
            }
            Err(error) => unreachable(error),
        }
    }

    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Reading).await?;
        let reporting = self.place.options.reporting_columns;
        self.place
            .name(schema::plan(&transaction, &self.place.dialect, stream, reporting).await)
    }

    async fn prepare(&self, plan: &SchemaPlan) -> Result<()> {
        self.ahead.forget(&plan.stream.name);
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Writing).await?;
        let reporting = self.place.options.reporting_columns;
        self.place
            .name(schema::prepare(&transaction, &self.place.dialect, plan, reporting).await)?;
        self.place
            .commit(transaction, "the tables cannot be changed")
            .await
    }

    async fn stage(&self, batch: &Batch) -> Result<()> {
        if let Err(error) = self.ahead.stage(&self.place, batch).await {
            // Writing meets with the same, and does not give up where it was only for this.
            let (stream, id) = (batch.stream().name.as_str(), batch.id());
            tracing::debug!(%stream, batch = %id, kind = %error.kind(), "batch not staged");
        }
        Ok(())
    }

    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        told(batch, self.write_batch(batch, Marked::Stays).await)
    }

    async fn rewrite(&self, batch: &Batch) -> Result<Receipt> {
        told(batch, self.write_batch(batch, Marked::IsRewritten).await)
    }

    async fn flush(&self, stream: &StreamName) -> Result<FlushReceipt> {
        self.ahead.forget(stream);
        // Every batch is durable as soon as its transaction is committed.
        Ok(FlushReceipt::default())
    }

    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Reading).await?;
        let receipt = self
            .place
            .name(write::landed(&transaction, &self.place.dialect, *batch).await)?;
        Ok(receipt.map_or(Landed::No, Landed::Yes))
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Reading).await?;
        self.place
            .name(totals::control_totals(&transaction, &self.place.dialect, query).await)
            .map(Some)
    }

    async fn keep_run(&self, run: &RunMark) -> Result<()> {
        let row = RunRow::of(run)?;
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Writing).await?;
        self.place
            .name(write::note_run(&transaction, &self.place.dialect, &row).await)?;
        self.place
            .commit(transaction, "the end of the run cannot be noted")
            .await
    }

    async fn record_tie_out(&self, record: &TieOutRecord) -> Result<()> {
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Writing).await?;
        self.place
            .name(tie_out::record(&transaction, &self.place.dialect, record).await)?;
        self.place
            .commit(transaction, "the outcome of a comparison cannot be kept")
            .await
    }

    async fn ledger_entries(&self, pipeline: &str) -> Result<Vec<Digest>> {
        let mut session = self.place.session().await?;
        let transaction = self.place.begin(&mut session, Purpose::Reading).await?;
        self.place
            .name(write::ledger_entries(&transaction, &self.place.dialect, pipeline).await)
    }
}

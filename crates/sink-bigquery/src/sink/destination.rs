//! The destination.

use std::sync::Arc;

use async_trait::async_trait;
use sync_core::capabilities::{Guarantee, WriteMode};
use sync_core::totals::ControlTotals;
use sync_core::{
    Batch, BatchId, Capabilities, Digest, Error, ErrorKind, Finding, FlushReceipt, Landed, Receipt,
    Result, RunMark, SchemaPlan, Sink, StreamDescriptor, StreamName, TieOutRecord, TotalsQuery,
};
use time::OffsetDateTime;

use super::bookkeeping;
use super::check;
use super::failure::while_doing;
use super::moment;
use super::options::{BigQuerySinkOptions, Mode};
use super::schema;
use super::staged::{self, Marked};
use super::totals;
use super::warehouse::Warehouse;
use super::{streamed, table};
use crate::client::BigQuery;

/// Larger batches would not load faster, and cost more to send again.
const MOST_BATCH_BYTES: usize = 64 << 20;

/// A dataset of BigQuery as a destination.
///
/// A batch takes effect once, whatever is cut off or killed in between: see [`Mode`]. Its async functions need
/// a tokio runtime. Cloning gives another handle on the same client.
#[derive(Clone, Debug)]
pub struct BigQuerySink {
    warehouse: Arc<Warehouse>,
}

impl BigQuerySink {
    /// Writes by this client. Connects once there is something to do.
    pub fn new(client: BigQuery, options: BigQuerySinkOptions) -> Self {
        Self {
            warehouse: Arc::new(Warehouse::new(client, options)),
        }
    }

    /// The client.
    pub fn client(&self) -> &BigQuery {
        self.warehouse.client()
    }

    /// How it writes.
    pub fn options(&self) -> &BigQuerySinkOptions {
        self.warehouse.options()
    }

    fn now(&self) -> OffsetDateTime {
        moment::cut(self.warehouse.options().clock.now())
    }

    async fn write_batch(&self, batch: &Batch, marked: Marked) -> Result<Receipt> {
        let written = match self.warehouse.options().mode {
            Mode::StagedMerge => staged::write(&self.warehouse, batch, marked, self.now()).await,
            Mode::Streaming => streamed::write(&self.warehouse, batch, marked, self.now()).await,
        };
        told(batch, self.name_dataset(written))
    }

    /// Says which dataset it was about.
    fn name_dataset<T>(&self, done: Result<T>) -> Result<T> {
        let dataset = &self.warehouse.options().dataset;
        done.map_err(|error| error.with("dataset", dataset.to_string()))
    }
}

#[async_trait]
impl Sink for BigQuerySink {
    fn name(&self) -> &str {
        "bigquery"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::upserting(Guarantee::EffectivelyOnce);
        capabilities.write_modes = vec![WriteMode::Upsert];
        capabilities.max_batch_bytes = MOST_BATCH_BYTES;
        capabilities
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(check::check(&self.warehouse).await)
    }

    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        self.name_dataset(schema::plan(&self.warehouse, stream).await)
    }

    async fn prepare(&self, plan: &SchemaPlan) -> Result<()> {
        self.name_dataset(schema::prepare(&self.warehouse, plan).await)
    }

    async fn stage(&self, batch: &Batch) -> Result<()> {
        let staged = match self.warehouse.options().mode {
            Mode::StagedMerge => staged::stage(&self.warehouse, batch).await,
            // What is streamed is seen at once.
            Mode::Streaming => Ok(()),
        };
        about(batch, self.name_dataset(staged))
    }

    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        self.write_batch(batch, Marked::Stays).await
    }

    async fn rewrite(&self, batch: &Batch) -> Result<Receipt> {
        self.write_batch(batch, Marked::IsRewritten).await
    }

    async fn flush(&self, _stream: &StreamName) -> Result<FlushReceipt> {
        // What a batch's mark tells of is in its table to stay.
        Ok(FlushReceipt::default())
    }

    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        let landed = match self.warehouse.options().mode {
            Mode::StagedMerge => staged::lookup(&self.warehouse, *batch).await,
            Mode::Streaming => streamed::lookup(&self.warehouse, *batch).await,
        };
        self.name_dataset(landed)
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        self.name_dataset(self.totals(query).await).map(Some)
    }

    async fn keep_run(&self, run: &RunMark) -> Result<()> {
        let request = bookkeeping::note_run(&self.warehouse.quoted(bookkeeping::RUNS), run)?;
        self.name_dataset(self.keep("run", &request, bookkeeping::RUNS).await)
    }

    async fn record_tie_out(&self, record: &TieOutRecord) -> Result<()> {
        let tie_outs = self.warehouse.quoted(bookkeeping::TIE_OUTS);
        let request = bookkeeping::note_tie_out(&tie_outs, record)?;
        self.name_dataset(self.keep("tieout", &request, bookkeeping::TIE_OUTS).await)
    }

    async fn ledger_entries(&self, pipeline: &str) -> Result<Vec<Digest>> {
        self.name_dataset(self.entries(pipeline).await)
    }
}

impl BigQuerySink {
    async fn totals(&self, query: &TotalsQuery) -> Result<ControlTotals> {
        const DOING: &str = "the totals cannot be taken";
        let stream = &query.stream;
        schema::prepared(&self.warehouse, stream).await?;
        let name = table::Table::of(stream, self.warehouse.options().reporting_columns)?.name;
        let asked = totals::ask(&self.warehouse.quoted(&name), query)?;
        let mut found = ControlTotals::default();
        let Some(rows) = self.warehouse.read(DOING, &asked.request, &name).await? else {
            return Err(schema::not_prepared(stream));
        };
        let failed = while_doing(DOING);
        for row in rows {
            let cell = |name: String| Ok(row.text(&name).map_err(failed)?.map(str::to_owned));
            let key = (0..asked.groups.len()).map(|place| cell(format!("g{place}")));
            let key = key.collect::<Result<Vec<_>>>()?;
            let sums = (0..asked.sums).map(|place| cell(format!("s{place}")));
            let sums = sums.collect::<Result<Vec<_>>>()?;
            let records = row.int64("records").map_err(failed)?.unwrap_or_default();
            totals::add(&mut found, &asked.groups, key, records.unsigned_abs(), sums)?;
        }
        Ok(found)
    }

    /// Notes something. Where no stream has been prepared there are no data to stand beside.
    async fn keep(&self, what: &str, request: &super::request::Request, table: &str) -> Result<()> {
        let reference = self.warehouse.reference(table)?;
        match self.warehouse.change(what, request, &reference).await {
            Err(error)
                if error.kind() == ErrorKind::NotFound && !self.warehouse.has(table).await? =>
            {
                Ok(())
            }
            kept => kept,
        }
    }

    async fn entries(&self, pipeline: &str) -> Result<Vec<Digest>> {
        const DOING: &str = "the batches cannot be looked up";
        let mut entries = Vec::new();
        for table in bookkeeping::WITH_LEDGER_ENTRIES {
            let request = bookkeeping::ledger_entries(&self.warehouse.quoted(table), pipeline);
            let rows = self.warehouse.read(DOING, &request, table).await?;
            for row in rows.unwrap_or_default() {
                let entry = row.text("ledger_entry").map_err(while_doing(DOING))?;
                entries.push(entry.unwrap_or_default().parse()?);
            }
        }
        Ok(entries)
    }
}

/// Tells what became of a batch.
fn told(batch: &Batch, written: Result<Receipt>) -> Result<Receipt> {
    let (stream, id) = (batch.stream().name.as_str(), batch.id());
    match &written {
        Ok(receipt) => tracing::debug!(
            %stream,
            batch = %id,
            rows = batch.len(),
            rejected = receipt.rejected.len(),
            "batch written"
        ),
        Err(error) => {
            tracing::debug!(%stream, batch = %id, kind = %error.kind(), "batch not written");
        }
    }
    about(batch, written)
}

/// Says in an error which batch it was.
fn about<T>(batch: &Batch, done: Result<T>) -> Result<T> {
    let (stream, id) = (batch.stream().name.as_str(), batch.id());
    done.map_err(|error: Error| {
        let told = error.context().any(|(name, _)| name == "stream");
        let error = if told {
            error
        } else {
            error.with("stream", stream)
        };
        error.with("batch", id.to_string())
    })
}

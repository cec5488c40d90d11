//! Where records go.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::batch::Batch;
use crate::capabilities::Capabilities;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::id::{BatchId, Digest};
use crate::plan::SchemaPlan;
use crate::receipt::{FlushReceipt, Landed, Receipt};
use crate::run_mark::RunMark;
use crate::stream::{StreamDescriptor, StreamName};
use crate::tie_out::TieOutRecord;
use crate::totals::{ControlTotals, TotalsQuery};

/// A destination.
#[async_trait]
pub trait Sink: Debug + Send + Sync {
    /// What tells this sink from others of a pipeline, such as `sqlite`.
    fn name(&self) -> &str;

    /// Limits and guarantees.
    fn capabilities(&self) -> Capabilities;

    /// What a person must know before a run: permissions, space, versions.
    async fn check(&self) -> Result<Vec<Finding>>;

    /// What must change before this stream can be written. Changes nothing.
    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan>;

    /// Carries out a plan. Doing so twice has the same effect as once.
    async fn prepare(&self, plan: &SchemaPlan) -> Result<()>;

    /// Brings a batch as near to its table as can be without anybody seeing it, while batches before it
    /// are still written: uploaded, or copied beside the table. By default there is no such place.
    ///
    /// It saves time and promises nothing: [`Sink::write`] of the same batch may come next, or later in
    /// another process, or never, and has the same effect without it.
    /// One batch of a stream is staged at a time, in the order in which they are written, and the next
    /// only once the one before it is being written, or waits for nothing but its turn. Where staging fails, the batch is not written, and
    /// those before it are. Batches of other streams may be staged and written meanwhile; what comes
    /// from the spool because the sink was away is not staged.
    async fn stage(&self, batch: &Batch) -> Result<()> {
        let _ = batch;
        Ok(())
    }

    /// Writes a batch. The same batch id twice has the same effect as once.
    async fn write(&self, batch: &Batch) -> Result<Receipt>;

    /// Writes a batch's rows although the batch is there already, as a person asked for: rows that are
    /// there are replaced, and the destination's mark of the batch tells of this writing. A batch of which
    /// [some rows are left out](Batch::of_whole) leaves what the mark says of the others as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the sink cannot do this at all.
    async fn rewrite(&self, batch: &Batch) -> Result<Receipt> {
        let what =
            "this sink cannot write a batch that it has already; replay what is missing alone";
        Err(Error::new(ErrorKind::Unsupported, what)
            .with("sink", self.name())
            .with("batch", batch.id().to_string()))
    }

    /// Makes all that was written of a stream durable, then lets readers see it.
    async fn flush(&self, stream: &StreamName) -> Result<FlushReceipt>;

    /// Whether a batch is there: asked after a crash.
    async fn lookup(&self, batch: &BatchId) -> Result<Landed>;

    /// Counts and sums of the live rows, where the destination can tell them.
    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>>;

    /// Keeps beside the data how a run ended, and the ledger's head at its end. The same run twice is the
    /// same as once.
    async fn keep_run(&self, run: &RunMark) -> Result<()> {
        let _ = run;
        Ok(())
    }

    /// Keeps the outcome of a comparison beside the data, in the place of an earlier one of the same run,
    /// stream and check. A destination that has no place for it does nothing.
    async fn record_tie_out(&self, record: &TieOutRecord) -> Result<()> {
        let _ = record;
        Ok(())
    }

    /// The hashes of ledger entries that the destination keeps beside the data of a pipeline: what
    /// [`Batch::ledger_entry`] gave with each batch, and what [`Sink::keep_run`] was given. A ledger that does not hold all of them is not the
    /// one that the data came with, or its end was cut off.
    async fn ledger_entries(&self, pipeline: &str) -> Result<Vec<Digest>> {
        let _ = pipeline;
        Ok(Vec::new())
    }
}

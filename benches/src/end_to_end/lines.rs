//! A file of NDJSON lines as a sink: what a loader of the Singer kind writes.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sync_core::capabilities::Guarantee;
use sync_core::{
    Batch, BatchId, Capabilities, ControlTotals, Error, ErrorKind, Finding, FlushReceipt, Landed,
    Receipt, Result, SchemaPlan, Sink, StreamDescriptor, StreamName, TotalsQuery,
};
use time::OffsetDateTime;

/// Appends batches, and makes them durable one by one.
#[derive(Debug)]
pub(super) struct LinesFile {
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    lines: Vec<u8>,
}

impl LinesFile {
    pub(super) fn create(path: &Path) -> crate::parsing::Result<Self> {
        let (file, lines) = (File::create(path)?, Vec::new());
        Ok(Self {
            open: Mutex::new(Open { file, lines }),
        })
    }

    fn append(&self, batch: &Batch) -> crate::parsing::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { file, lines } = &mut *open;
        super::write_lines(batch.rows(), file, lines)?;
        Ok(file.sync_data()?)
    }
}

#[async_trait]
impl Sink for LinesFile {
    fn name(&self) -> &str {
        "ndjson"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::upserting(Guarantee::AtLeastOnce)
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        Ok(SchemaPlan::new(
            Arc::new(stream.clone()),
            Vec::new(),
            Vec::new(),
        ))
    }

    async fn prepare(&self, _: &SchemaPlan) -> Result<()> {
        Ok(())
    }

    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        self.append(batch)
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        Ok(Receipt::durable(batch.id(), OffsetDateTime::now_utc()))
    }

    async fn flush(&self, _: &StreamName) -> Result<FlushReceipt> {
        Ok(FlushReceipt::default())
    }

    async fn lookup(&self, _: &BatchId) -> Result<Landed> {
        Ok(Landed::Unknown)
    }

    async fn control_totals(&self, _: &TotalsQuery) -> Result<Option<ControlTotals>> {
        Ok(None)
    }
}

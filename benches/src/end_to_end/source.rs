//! The paced gateway as a source of the pipeline: one stream, of vendors.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use intacct_client::Client;
use sync_core::{
    ControlTotals, Error, ErrorKind, Finding, ReadRequest, Source, SourceBatch, StreamDescriptor,
    StreamName, TotalsQuery,
};
use time::OffsetDateTime;

use super::{schema, spec};
use crate::paging::paced_reading::window;
use crate::parsing::Result;

/// What `IntacctSource` reads of an object, without asking first what the company has.
#[derive(Debug)]
pub(super) struct GatewaySource {
    client: Client,
    records: usize,
    stream: StreamDescriptor,
}

impl GatewaySource {
    pub(super) fn new(client: Client, records: usize) -> Result<Self> {
        let name = StreamName::new("vendor")?;
        let mut stream = StreamDescriptor::new(name, schema(), vec!["recordno".to_owned()])?;
        stream.modified = Some("whenmodified".to_owned());
        Ok(Self {
            client,
            records,
            stream,
        })
    }
}

#[async_trait]
impl Source for GatewaySource {
    fn name(&self) -> &str {
        "paced gateway"
    }

    fn company(&self) -> &str {
        "DEMO"
    }

    async fn now(&self) -> sync_core::Result<OffsetDateTime> {
        Ok(window(self.records).high() + time::Duration::HOUR)
    }

    async fn check(&self) -> sync_core::Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn discover(&self) -> sync_core::Result<Vec<StreamDescriptor>> {
        Ok(vec![self.stream.clone()])
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'_, sync_core::Result<SourceBatch>> {
        let spec = match spec(self.records) {
            Ok(spec) => spec,
            Err(error) => {
                let error = Error::new(ErrorKind::Internal, error.to_string());
                return futures_util::stream::iter([Err(error)]).boxed();
            }
        };
        let pages = self
            .client
            .walk(spec, SchemaRef::clone(&self.stream.schema), None);
        let batch = |rows: RecordBatch| SourceBatch::new(rows);
        pages
            .map_ok(move |page| {
                let mut read = batch(page.records.batch);
                read.cursor = page.cursor.map(|at| sync_core::Cursor(at.to_string()));
                read.remaining = page.remaining;
                read
            })
            .map_err(Error::from)
            .boxed()
    }

    async fn control_totals(&self, _: &TotalsQuery) -> sync_core::Result<Option<ControlTotals>> {
        Ok(None)
    }
}

//! Finding records that are gone at the source.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Schema};

use super::Parts;
use super::event::Event;
use super::stream_run::StreamRun;
use crate::batch::{Operation, RecordKey, UnreadableRecord, record_keys};
use crate::error::{Error, ErrorKind, Result};
use crate::source::ReadRequest;
use crate::stream::DeleteDetection;
use crate::totals::{ControlTotals, TotalsQuery};
use crate::window::Window;

/// Deletes are cut into batches of this many keys.
const KEYS_A_BATCH: usize = 4_096;

impl StreamRun<'_> {
    /// Delivers the deletes of a window whose changes are all settled. Gives the source's totals
    /// where it had to ask for them and they still hold.
    pub(super) async fn find_deletes(
        &mut self,
        window: Window,
        next_ordinal: u64,
    ) -> Result<Option<ControlTotals>> {
        match self.stream.delete_detection {
            DeleteDetection::None => return Ok(None),
            DeleteDetection::FullRead => self.keyless.iter().try_for_each(refuse_keyless)?,
            DeleteDetection::KeySet => {
                let totals = self.totals_of_as_many(window).await?;
                if totals.is_some() {
                    return Ok(totals);
                }
                self.list_keys().await?;
            }
        }
        self.deliver_deletes(window, next_ordinal).await?;
        Ok(None)
    }

    async fn deliver_deletes(&mut self, window: Window, mut next_ordinal: u64) -> Result<()> {
        let store = Arc::clone(&self.parts().store);
        let mut after = None;
        loop {
            let keys = store
                .missing_keys(&self.scope, after.as_ref(), KEYS_A_BATCH)
                .await?;
            let Some(last) = keys.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let rows = self.key_rows(&keys)?;
            let place = self.place(Operation::Delete, window, next_ordinal);
            next_ordinal += 1;
            let ready = self.ready(place, &rows, None, &[]).await?;
            let receipt = self.parts().sink.write(&ready.batch).await?;
            self.settle(&ready, receipt).await?;
        }
    }

    /// The source's totals, if it has as many records as were delivered.
    ///
    /// Every delivered record was in the source, so equal numbers mean equal sets, unless a record
    /// became visible late and another was deleted meanwhile; the next run's lookback delivers the
    /// late one, and then the numbers differ.
    async fn totals_of_as_many(&self, window: Window) -> Result<Option<ControlTotals>> {
        let Parts { source, store, .. } = self.parts();
        let query = TotalsQuery::of(Arc::clone(&self.stream)).modified_before(window.until);
        let totals = source.control_totals(&query).await?;
        let live = store.live_records(&self.scope).await?;
        Ok(totals.filter(|totals| totals.records() == live))
    }

    async fn list_keys(&self) -> Result<()> {
        let store = &self.parts().store;
        store.begin_census(&self.scope).await?;
        let mut pages = self
            .pipeline
            .read_ahead(ReadRequest::keys(Arc::clone(&self.stream)));
        let mut listed = 0;
        while let Some(page) = pages.recv().await {
            let page = page?;
            page.rejected.iter().try_for_each(refuse_keyless)?;
            let keys = record_keys(&self.stream, &page.rows)?;
            listed += keys.len() as u64;
            store.count_keys(&self.scope, &keys).await?;
            self.observe(Event::KeysListed {
                stream: &self.stream.name,
                keys: listed,
            });
        }
        Ok(())
    }

    /// Keys as rows that hold the key columns only.
    fn key_rows(&self, keys: &[RecordKey]) -> Result<RecordBatch> {
        let not_keys = |error: Option<ArrowError>| {
            let what = "the store's keys do not fit the stream's key columns";
            let plain = Error::new(ErrorKind::Internal, what);
            match error {
                Some(error) => plain.caused_by(error),
                None => plain,
            }
        };
        let mut fields = Vec::with_capacity(self.stream.key.len());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.stream.key.len());
        for (position, name) in self.stream.key.iter().enumerate() {
            let field = self.stream.field(name)?;
            let mut texts = Vec::with_capacity(keys.len());
            for key in keys {
                texts.push(key.values().nth(position).ok_or_else(|| not_keys(None))?);
            }
            columns.push(match field.data_type() {
                DataType::Utf8 => Arc::new(StringArray::from(texts)),
                DataType::Int64 => {
                    let numbers = texts.iter().map(|text| text.parse().ok());
                    let numbers: Option<Vec<i64>> = numbers.collect();
                    let numbers = numbers.ok_or_else(|| not_keys(None))?;
                    Arc::new(Int64Array::from(numbers))
                }
                other => {
                    let what = "a key column is text or a whole number";
                    let error = Error::new(ErrorKind::Unsupported, what).with("column", name);
                    return Err(error.with("type", other.to_string()));
                }
            });
            fields.push(field.clone());
        }
        let schema = Arc::new(Schema::new(fields));
        RecordBatch::try_new(schema, columns).map_err(|error| not_keys(Some(error)))
    }
}

fn refuse_keyless(record: &UnreadableRecord) -> Result<()> {
    let what = "a key cannot be read, so it is not known which records were deleted";
    let error = Error::new(ErrorKind::Data, what).with("column", &record.column);
    Err(error.with("reason", &record.reason))
}

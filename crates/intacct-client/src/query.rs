//! `query` by offset.
//!
//! Each offset is a query of its own (developer.intacct.com, Queries): records that come or go between two pages
//! shift all later ones. That is noticed, not prevented; [`walk`](crate::walk) prevents it.

use intacct_xml::request::{Function, Query};
use intacct_xml::response::Records;
use serde::de::DeserializeOwned;
use sync_http::Retry;

use crate::batch::Batching;
use crate::client::{Client, Work};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::describe;
use crate::page::{Page, Pager, Pages};
use crate::transport::new_control_id;

impl Client {
    /// The pages of a query, as structs, from the query's offset to its end.
    ///
    /// For aggregates, for small objects, and for those without a key. The order must be given, or it differs from page
    /// to page. A page that times out or is too large is asked for again in smaller ones.
    ///
    /// The stream ends with an error of kind `Conflict` and reason [`Reason::TotalChanged`] when the number of records
    /// changes while they are read, or does not come out in the end: what was read may then have gaps and doubles;
    /// start again.
    pub fn query_as<T: DeserializeOwned + Send + 'static>(
        &self,
        query: Query,
    ) -> Pages<Page<Vec<T>>> {
        self.query_into(query, Records::<T>::new())
    }

    /// The pages of a query as Arrow batches; otherwise as [`query_as`](Self::query_as).
    #[cfg(feature = "arrow")]
    pub fn query_batches(
        &self,
        query: Query,
        schema: arrow_schema::SchemaRef,
    ) -> Pages<Page<intacct_xml::response::Page>> {
        match self.columns(schema) {
            Ok(columns) => self.query_into(query, columns),
            Err(error) => Pages::failed(error),
        }
    }

    fn query_into<B: Batching>(&self, query: Query, batching: B) -> Pages<Page<B::Records>> {
        let client = self.clone();
        Pages::new(OffsetPager {
            client,
            query,
            batching,
            number: 0,
            read: 0,
            total: None,
            ended: false,
        })
    }

    /// Arrow columns of a schema, in the zone of the source.
    #[cfg(feature = "arrow")]
    pub(crate) fn columns(
        &self,
        schema: arrow_schema::SchemaRef,
    ) -> Result<intacct_xml::response::Columns> {
        use intacct_xml::response::{ColumnOptions, Columns};
        let options = ColumnOptions::default().with_source_offset(self.source_offset()?);
        Columns::new(schema, options)
            .map_err(|source| Error::invalid("the schema cannot be filled").caused_by(source))
    }
}

struct OffsetPager<B> {
    client: Client,
    /// With the offset of the next page.
    query: Query,
    batching: B,
    number: u64,
    /// Records read so far.
    read: u64,
    /// Records from the first offset on, as the first page said.
    total: Option<u64>,
    ended: bool,
}

impl<B: Batching> Pager for OffsetPager<B> {
    type Page = Page<B::Records>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        if self.ended {
            return Ok(None);
        }
        let (functions, sent) = loop {
            let functions = [Function::new(new_control_id()?, self.query.clone())];
            let work =
                Work::one(&functions).with_page(self.client.config(), self.query.page_size());
            match self.client.send(work, self.batching.target()).await {
                Ok(sent) => break (functions, sent),
                Err(error) => self.shrink(error)?,
            }
        };
        let [function] = &functions;
        let result = sent.result(function)?;
        let count = result.records;
        let wrong = |what| describe(what, function);
        let data = result.data.clone().unwrap_or_default();
        let Some(reported) = data.total_count else {
            return Err(wrong(missing("totalcount")));
        };
        let total = *self
            .total
            .get_or_insert(reported.saturating_sub(self.query.offset()));
        let first_offset = self.query.offset().saturating_sub(self.read);
        let read = self.read.saturating_add(count);
        if reported.saturating_sub(first_offset) != total {
            return Err(wrong(changed(total, reported.saturating_sub(first_offset))));
        }
        let more = data
            .remaining
            .map_or(read < total, |remaining| remaining > 0);
        if read > total || (!more || count == 0) && read != total {
            return Err(wrong(changed(total, read)));
        }
        let records = self.batching.take(0..)?;
        let page = Page {
            records,
            number: self.number,
            count,
            total: Some(total),
            dropped_characters: sent.response().dropped_characters,
        };
        self.number += 1;
        self.read = read;
        self.ended = !more;
        self.query = self
            .query
            .clone()
            .with_offset(first_offset.saturating_add(read));
        // Nothing at all is no page.
        Ok((count > 0 || self.number == 1).then_some(page))
    }
}

impl<B: Batching> OffsetPager<B> {
    /// Prepares the same request for fewer records, if that may help.
    fn shrink(&mut self, error: Error) -> Result<()> {
        let smaller = smaller_page(&self.client, self.query.page_size(), error)?;
        self.query = self
            .query
            .clone()
            .with_page_size(smaller)
            .map_err(Error::unwritable)?;
        Ok(())
    }
}

/// The page size to try after a page of this size failed, or its error again where asking for less does not help.
pub(crate) fn smaller_page(client: &Client, size: u32, error: Error) -> Result<u32> {
    let for_its_size = error.kind() == ErrorKind::Timeout || error.reason() == Reason::TooLarge;
    match client.config().smaller_page(size).filter(|_| for_its_size) {
        Some(smaller) => {
            tracing::warn!(page_size = smaller, %error, "a page was too much, asking for a smaller one");
            Ok(smaller)
        }
        None => Err(error),
    }
}

pub(crate) fn missing(attribute: &str) -> Error {
    let message = format!("the answer does not say {attribute}, so that the end cannot be told");
    Error::new(ErrorKind::Protocol, Reason::Envelope, message)
}

pub(crate) fn changed(expected: u64, found: u64) -> Error {
    let message = "the result changed while it was read: start the query again";
    Error::new(ErrorKind::Conflict, Reason::TotalChanged, message)
        .retrying(Retry::Backoff)
        .with("expected", expected.to_string())
        .with("found", found.to_string())
}

//! `readByQuery` and `readMore`, the legacy read.
//!
//! developer.intacct.com, Queries, legacy. The rest of a result belongs to the session and the endpoint that began it.

use intacct_xml::request::{Call, Function, ReadByQuery, ReadMore};
use intacct_xml::response::Records;
use serde::de::DeserializeOwned;
use sync_http::Token;

use crate::batch::Batching;
use crate::client::{Client, Work};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::describe;
use crate::page::{Page, Pager, Pages};
use crate::query::{changed, missing, smaller_page};
use crate::session::Session;
use crate::transport::new_control_id;

impl Client {
    /// The pages of a `readByQuery`, as structs. A page is asked for only when the one before is whole.
    ///
    /// The stream ends with an error of kind `Conflict` when the rest cannot be had: reason [`Reason::CursorLost`] when
    /// the gateway does not go on (its result id expired, or the session did), [`Reason::TotalChanged`] when a page
    /// is missing or the number of records does not come out. Start the query again.
    pub fn read_by_query_as<T: DeserializeOwned + Send + 'static>(
        &self,
        read: ReadByQuery,
    ) -> Pages<Page<Vec<T>>> {
        self.read_by_query_into(read, Records::<T>::new())
    }

    /// The pages of a `readByQuery` as Arrow batches; otherwise as [`read_by_query_as`](Self::read_by_query_as).
    #[cfg(feature = "arrow")]
    pub fn read_by_query_batches(
        &self,
        read: ReadByQuery,
        schema: arrow_schema::SchemaRef,
    ) -> Pages<Page<intacct_xml::response::Page>> {
        match self.columns(schema) {
            Ok(columns) => self.read_by_query_into(read, columns),
            Err(error) => Pages::failed(error),
        }
    }

    fn read_by_query_into<B: Batching>(
        &self,
        read: ReadByQuery,
        batching: B,
    ) -> Pages<Page<B::Records>> {
        let client = self.clone();
        Pages::new(ResultPager {
            client,
            read,
            batching,
            number: 0,
            rest: Rest::NotBegun,
        })
    }
}

struct ResultPager<B> {
    client: Client,
    read: ReadByQuery,
    batching: B,
    number: u64,
    rest: Rest,
}

enum Rest {
    NotBegun,
    /// What is left, and where it is.
    More {
        result_id: String,
        session: Token<Session>,
        read: u64,
        total: u64,
        remaining: u64,
    },
    Nothing,
}

impl<B: Batching> Pager for ResultPager<B> {
    type Page = Page<B::Records>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        let (functions, sent) = loop {
            let Some(call) = self.next_call()? else {
                return Ok(None);
            };
            let functions = [Function::new(new_control_id()?, call)];
            let work = Work::one(&functions);
            let work = match &self.rest {
                Rest::More { session, .. } => work.bound_to(session),
                _ => work.with_page(self.client.config(), self.read.page_size()),
            };
            match self.client.send(work, self.batching.target()).await {
                Ok(sent) => break (functions, sent),
                Err(error) if matches!(self.rest, Rest::More { .. }) => {
                    return Err(self.describe(lost(error)));
                }
                Err(error) => {
                    let smaller = smaller_page(&self.client, self.read.page_size(), error)?;
                    self.read = self
                        .read
                        .clone()
                        .with_page_size(smaller)
                        .map_err(Error::unwritable)?;
                }
            }
        };
        let [function] = &functions;
        let wrong = |error| self.describe(describe(error, function));
        let result = sent.result(function)?;
        let count = result.records;
        let data = result.data.clone().unwrap_or_default();
        let Some(remaining) = data.remaining else {
            return Err(wrong(missing("numremaining")));
        };
        let Some(total) = data.total_count else {
            return Err(wrong(missing("totalcount")));
        };
        let (read_before, total_before, expected) = match &self.rest {
            Rest::More {
                read,
                total,
                remaining,
                ..
            } => (*read, *total, *remaining),
            _ => (0, total, total),
        };
        let read = read_before.saturating_add(count);
        // A request that was repeated may have moved the gateway's cursor twice: then a page is missing, and what
        // is left is less than it should be.
        if total != total_before || count.saturating_add(remaining) != expected {
            return Err(wrong(changed(expected, count.saturating_add(remaining))));
        }
        if remaining > 0 && count == 0 {
            return Err(wrong(changed(total, read)));
        }
        self.rest = if remaining == 0 {
            Rest::Nothing
        } else {
            let known = match &self.rest {
                Rest::More { result_id, .. } => Some(result_id.clone()),
                _ => None,
            };
            let Some(result_id) = data.result_id.or(known) else {
                return Err(wrong(missing("resultId")));
            };
            Rest::More {
                result_id,
                session: sent.session.clone(),
                read,
                total,
                remaining,
            }
        };
        let records = self.batching.take(0..)?;
        let page = Page {
            records,
            number: self.number,
            count,
            total: Some(total),
            dropped_characters: sent.response().dropped_characters,
        };
        self.number += 1;
        Ok(Some(page))
    }
}

impl<B: Batching> ResultPager<B> {
    fn next_call(&self) -> Result<Option<Call>> {
        Ok(match &self.rest {
            Rest::Nothing => None,
            Rest::NotBegun => Some(self.read.clone().into()),
            Rest::More { result_id, .. } => Some(
                ReadMore::new(result_id.clone())
                    .map_err(Error::unwritable)?
                    .into(),
            ),
        })
    }

    /// `readMore` does not name its object.
    fn describe(&self, error: Error) -> Error {
        if error.context().iter().any(|(name, _)| *name == "object") {
            return error;
        }
        error.with_context("object", self.read.object().as_str())
    }
}

/// What the gateway says about a result id that it does not know is not published: any refusal of the function, and the
/// end of its session, mean that. What may pass by itself has been retried already and stays what it is.
fn lost(error: Error) -> Error {
    let refused = error.level().is_some() && !error.is_transient();
    if !refused && error.reason() != Reason::SessionExpired {
        return error;
    }
    let message = "cursor lost: the rest of the result can no longer be had; start the query again";
    let errors = error.gateway_errors().to_vec();
    Error::new(ErrorKind::Conflict, Reason::CursorLost, message)
        .with_gateway_errors(&errors)
        .with_context("function", "readMore")
        .because(error)
}

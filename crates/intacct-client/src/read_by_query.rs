//! `readByQuery`, `readView` and `readMore`, the legacy reads.
//!
//! developer.intacct.com, Queries, legacy. The rest of a result belongs to the session and the endpoint that began it.

use intacct_xml::request::{Call, Function, ReadByQuery, ReadMore, ReadView};
use intacct_xml::response::Records;
use serde::de::DeserializeOwned;
use sync_http::Token;

use crate::batch::Batching;
use crate::client::{Client, Work};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::describe;
use crate::listing::Progress;
use crate::page::{Page, Pager, Pages};
use crate::query::{missing, smaller_page};
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
        self.read_result_into(read.into(), Records::<T>::new())
    }

    /// The pages of a `readByQuery` as Arrow batches; otherwise as [`read_by_query_as`](Self::read_by_query_as).
    #[cfg(feature = "arrow")]
    pub fn read_by_query_batches(
        &self,
        read: ReadByQuery,
        schema: arrow_schema::SchemaRef,
    ) -> Pages<Page<intacct_xml::response::Page>> {
        match self.columns(schema) {
            Ok(columns) => self.read_result_into(read.into(), columns),
            Err(error) => Pages::failed(error),
        }
    }

    /// The pages of a view of the user interface, as structs; otherwise as
    /// [`read_by_query_as`](Self::read_by_query_as).
    pub fn read_view_as<T: DeserializeOwned + Send + 'static>(
        &self,
        read: ReadView,
    ) -> Pages<Page<Vec<T>>> {
        self.read_result_into(read.into(), Records::<T>::new())
    }

    fn read_result_into<B: Batching>(&self, read: Start, batching: B) -> Pages<Page<B::Records>> {
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

/// What begins a result.
enum Start {
    Query(ReadByQuery),
    View(ReadView),
}

impl From<ReadByQuery> for Start {
    fn from(read: ReadByQuery) -> Self {
        Self::Query(read)
    }
}

impl From<ReadView> for Start {
    fn from(read: ReadView) -> Self {
        Self::View(read)
    }
}

impl Start {
    fn call(&self) -> Call {
        match self {
            Self::Query(read) => read.clone().into(),
            Self::View(read) => read.clone().into(),
        }
    }

    fn page_size(&self) -> u32 {
        match self {
            Self::Query(read) => read.page_size(),
            Self::View(read) => read.page_size(),
        }
    }

    fn with_page_size(&self, size: u32) -> Result<Self> {
        let smaller = match self {
            Self::Query(read) => read.clone().with_page_size(size).map(Self::Query),
            Self::View(read) => read.clone().with_page_size(size).map(Self::View),
        };
        smaller.map_err(Error::unwritable)
    }

    /// What it reads, for errors.
    fn named(&self) -> (&'static str, &str) {
        match self {
            Self::Query(read) => ("object", read.object().as_str()),
            Self::View(read) => ("view", read.view()),
        }
    }
}

struct ResultPager<B> {
    client: Client,
    read: Start,
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
        progress: Progress,
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
                    self.read = self.read.with_page_size(smaller)?;
                }
            }
        };
        let [function] = &functions;
        let wrong = |error| self.describe(describe(error, function));
        let result = sent.result(function)?;
        let count = result.records;
        let data = result.data.clone().unwrap_or_default();
        let before = match &self.rest {
            Rest::More { progress, .. } => Some(*progress),
            _ => None,
        };
        let progress = Progress::after(before, &data, count).map_err(&wrong)?;
        self.rest = if progress.remaining == 0 {
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
                progress,
            }
        };
        let records = self.batching.take(0..)?;
        let page = Page {
            records,
            number: self.number,
            count,
            total: Some(progress.total),
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
            Rest::NotBegun => Some(self.read.call()),
            Rest::More { result_id, .. } => Some(
                ReadMore::new(result_id.clone())
                    .map_err(Error::unwritable)?
                    .into(),
            ),
        })
    }

    /// `readMore` does not name its object.
    fn describe(&self, error: Error) -> Error {
        let (what, name) = self.read.named();
        if error.fact(what).is_some() {
            return error;
        }
        error.with(what, name)
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
    cursor_lost(error, message)
}

/// The error for what is left of a result that is gone.
pub(crate) fn cursor_lost(error: Error, message: &str) -> Error {
    let errors = error.gateway_errors().to_vec();
    Error::new(ErrorKind::Conflict, Reason::CursorLost, message)
        .retrying(sync_http::Retry::Backoff)
        .with_gateway_errors(&errors)
        .with("function", "readMore")
        .caused_by(error)
}

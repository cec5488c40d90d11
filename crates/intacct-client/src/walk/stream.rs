//! A walk against the gateway.

use intacct_xml::request::Function;
use intacct_xml::response::Records;
use serde::de::DeserializeOwned;

use super::cursor::Cursor;
use super::keys::{Keys, Noting};
use super::machine::Walk;
use super::spec::WalkSpec;
use crate::batch::Batching;
use crate::client::{Client, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::function::describe;
use crate::page::{Pager, Pages};
use crate::query::smaller_page;
use crate::transport::new_control_id;

/// A page of a walk: records that no earlier page had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WalkPage<R> {
    /// The records: a `Vec` of structs, or an Arrow page with its rejected records.
    pub records: R,
    /// Everything up to here has been released, with this page: a walk resumed from it goes on behind.
    pub cursor: Option<Cursor>,
    /// Which page it is, counted from 0.
    pub number: u64,
    /// How many records of the answer are new, ones that were rejected included.
    pub released: u64,
    /// How many more records the query had that this page answers. Not the whole rest of the walk, which may take
    /// further queries.
    pub remaining: Option<u64>,
    /// How many characters that XML forbids were dropped from the answer.
    pub dropped_characters: u64,
}

impl Client {
    /// Walks over records and gives them as structs; from a cursor on, if there is one.
    ///
    /// Page size and zone of the source are the client's. A page that times out or is too large is asked for again in
    /// smaller ones. Which fields are read is for the spec to say.
    pub fn walk_as<T: DeserializeOwned + Send + 'static>(
        &self,
        spec: WalkSpec,
        resume: Option<Cursor>,
    ) -> Pages<WalkPage<Vec<T>>> {
        let keys = Keys::new(spec.key().clone(), spec.modified().cloned());
        self.walk_into(spec, resume, keys, Records::<T>::new())
    }

    /// Walks over records and gives them as Arrow batches; from a cursor on, if there is one.
    ///
    /// The fields that are read are those of the schema (metadata `intacct.name`, else the name in upper case), the
    /// key and the modified field. Otherwise as [`walk_as`](Self::walk_as).
    #[cfg(feature = "arrow")]
    pub fn walk(
        &self,
        spec: WalkSpec,
        schema: arrow_schema::SchemaRef,
        resume: Option<Cursor>,
    ) -> Pages<WalkPage<intacct_xml::response::Page>> {
        use intacct_xml::FieldName;
        use intacct_xml::response::WIRE_NAME;

        let names = schema.fields().iter().map(|field| {
            let name = field.metadata().get(WIRE_NAME).cloned();
            FieldName::new(name.unwrap_or_else(|| field.name().to_uppercase()))
        });
        let fields = names
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(Error::unwritable);
        match (fields, self.columns(schema)) {
            (Ok(fields), Ok(columns)) => {
                let keys =
                    Keys::new(spec.key().clone(), spec.modified().cloned()).hiding_all_but(&fields);
                self.walk_into(spec.with_fields(fields), resume, keys, columns)
            }
            (Err(error), _) | (_, Err(error)) => Pages::failed(error),
        }
    }

    fn walk_into<B: Batching>(
        &self,
        spec: WalkSpec,
        resume: Option<Cursor>,
        keys: Keys,
        batching: B,
    ) -> Pages<WalkPage<B::Records>> {
        let config = self.config();
        let spec = spec.with_source_offset(config.source_offset);
        let walk = spec
            .with_page_size(config.page_size)
            .and_then(|spec| match resume {
                Some(cursor) => Walk::resume(spec, cursor),
                None => Ok(Walk::new(spec)),
            });
        match walk {
            Ok(walk) => {
                let client = self.clone();
                Pages::new(WalkPager {
                    client,
                    walk,
                    keys,
                    batching,
                    number: 0,
                })
            }
            Err(error) => Pages::failed(error),
        }
    }
}

struct WalkPager<B> {
    client: Client,
    walk: Walk,
    keys: Keys,
    batching: B,
    number: u64,
}

impl<B: Batching> Pager for WalkPager<B> {
    type Page = WalkPage<B::Records>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        loop {
            let Some(query) = self.walk.next_query()? else {
                return Ok(None);
            };
            let functions = [Function::new(new_control_id()?, query)];
            let mut noting = Noting {
                keys: &mut self.keys,
                target: self.batching.target(),
            };
            let work = Work::one(&functions).with_page(self.client.config(), self.walk.page_size());
            let sent = match self.client.send(work, &mut noting).await {
                Ok(sent) => sent,
                Err(error) => {
                    self.lighten(error)?;
                    continue;
                }
            };
            let [function] = &functions;
            let result = sent.result(function)?;
            let remaining = result.data.as_ref().and_then(|data| data.remaining);
            let released = self
                .walk
                .accept(&self.keys.rows(), remaining)
                .map_err(|error| describe(error, function))?;
            let count = result.records.saturating_sub(released.from as u64);
            let records = self.batching.take(released.from..)?;
            if count == 0 {
                // Passes that bring nothing new are no pages.
                continue;
            }
            let page = WalkPage {
                records,
                cursor: released.cursor,
                number: self.number,
                released: count,
                remaining,
                dropped_characters: sent.response().dropped_characters,
            };
            self.number += 1;
            return Ok(Some(page));
        }
    }
}

impl<B> WalkPager<B> {
    /// Prepares a lighter query after one that was too much, or gives its error back.
    fn lighten(&mut self, error: Error) -> Result<()> {
        let narrowed = error.kind() == ErrorKind::Timeout && self.walk.narrow();
        match smaller_page(&self.client, self.walk.page_size(), error) {
            Ok(smaller) => self.walk.set_page_size(smaller),
            Err(_) if narrowed => {
                tracing::warn!("a page took too long, reading a part of the window");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

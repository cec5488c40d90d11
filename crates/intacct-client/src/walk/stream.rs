//! A walk against the gateway.

use std::collections::VecDeque;

use intacct_xml::request::Function;
use intacct_xml::response::Records;
use serde::de::DeserializeOwned;

use super::cursor::Cursor;
use super::keys::{Keys, Noting};
use super::machine::Walk;
use super::offset::{OffsetSpec, OffsetWalk};
use super::pace::Pace;
use super::parallel::{Part, PartsPager, parts};
use super::spec::{Refusals, WalkSpec};
use crate::batch::Batching;
use crate::client::{Client, Work};
use crate::config::ClientConfig;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::describe;
use crate::page::{Pager, Pages};
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

/// Pages that go well before a larger one is tried again.
const PATIENCE: u32 = 4;

impl Client {
    /// Walks over records and gives them as structs; from a cursor on, if there is one.
    ///
    /// Page size and zone of the source are the client's. A page that times out or is too large is asked for again in
    /// smaller ones, which grow again; a window that times out is read in parts. Where the client may send several
    /// requests at once, so many parts of a window are read ahead. Which fields are read is for the spec to say.
    pub fn walk_as<T: DeserializeOwned + Send + 'static>(
        &self,
        spec: WalkSpec,
        resume: Option<Cursor>,
    ) -> Pages<WalkPage<Vec<T>>> {
        let keys = |spec: &WalkSpec| Keys::new([spec.key().clone()], spec.modified().cloned());
        self.walk_into(spec, resume, move |spec| {
            Ok((keys(spec), Records::<T>::new()))
        })
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
        let fields = match fields_of(&schema) {
            Ok(fields) => fields,
            Err(error) => return Pages::failed(error),
        };
        let client = self.clone();
        let hidden = fields.clone();
        self.walk_into(spec.with_fields(fields), resume, move |spec| {
            let keys = Keys::new([spec.key().clone()], spec.modified().cloned());
            let columns = client.columns(std::sync::Arc::clone(&schema))?;
            Ok((keys.hiding_all_but(&hidden), columns))
        })
    }

    /// Walks over all records of an object by offset and gives them as structs: for objects that have several key
    /// fields.
    ///
    /// The stream ends with an error of kind `Conflict` and reason [`Reason::TotalChanged`] when the records are seen to
    /// move: what was read may then have gaps; start again.
    pub fn walk_by_offset_as<T: DeserializeOwned + Send + 'static>(
        &self,
        spec: OffsetSpec,
    ) -> Pages<WalkPage<Vec<T>>> {
        let keys = Keys::new(spec.keys.clone(), None);
        self.offset_into(spec, keys, Records::<T>::new())
    }

    /// The same as Arrow batches, with the fields of the schema.
    #[cfg(feature = "arrow")]
    pub fn walk_by_offset(
        &self,
        spec: OffsetSpec,
        schema: arrow_schema::SchemaRef,
    ) -> Pages<WalkPage<intacct_xml::response::Page>> {
        match (fields_of(&schema), self.columns(schema)) {
            (Ok(fields), Ok(columns)) => {
                let keys = Keys::new(spec.keys.clone(), None).hiding_all_but(&fields);
                self.offset_into(spec.with_fields(fields), keys, columns)
            }
            (Err(error), _) | (_, Err(error)) => Pages::failed(error),
        }
    }

    fn walk_into<B: Batching>(
        &self,
        spec: WalkSpec,
        resume: Option<Cursor>,
        target: impl FnMut(&WalkSpec) -> Result<(Keys, B)> + Send + 'static,
    ) -> Pages<WalkPage<B::Records>> {
        let config = self.config();
        let spec = self.source_offset().and_then(|offset| {
            spec.with_source_offset(offset)
                .with_page_size(config.page_size)
        });
        let at_once = self.limits().options().concurrency.unwrap_or(1);
        match spec {
            Ok(spec) if at_once > 1 && spec.modified().is_some() => Pages::new(Planned {
                client: self.clone(),
                at_once,
                plan: Some((spec, resume, Box::new(target))),
                pager: None,
            }),
            Ok(spec) => self.open_walk((spec, resume), &mut { target }),
            Err(error) => Pages::failed(error),
        }
    }

    fn open_walk<B: Batching>(
        &self,
        (spec, resume): Part,
        target: &mut (impl FnMut(&WalkSpec) -> Result<(Keys, B)> + ?Sized),
    ) -> Pages<WalkPage<B::Records>> {
        let made = target(&spec);
        let walk = match resume {
            Some(cursor) => Walk::resume(spec, cursor),
            None => Ok(Walk::new(spec)),
        };
        match (walk, made) {
            (Ok(walk), Ok((keys, batching))) => Pages::new(WalkPager {
                pace: pace(self.config()),
                client: self.clone(),
                walk,
                keys,
                batching,
                number: 0,
            }),
            (Err(error), _) | (_, Err(error)) => Pages::failed(error),
        }
    }

    fn offset_into<B: Batching>(
        &self,
        spec: OffsetSpec,
        keys: Keys,
        batching: B,
    ) -> Pages<WalkPage<B::Records>> {
        let page_size = self.config().page_size.max(2);
        match spec.with_page_size(page_size) {
            Ok(spec) => Pages::new(OffsetWalkPager {
                pace: pace(self.config()),
                client: self.clone(),
                walk: OffsetWalk::new(spec),
                keys,
                batching,
                number: 0,
            }),
            Err(error) => Pages::failed(error),
        }
    }
}

fn pace(config: &ClientConfig) -> Pace {
    let (least, most) = (config.min_page_size, config.page_size);
    Pace::new(u64::from(least), u64::from(most), PATIENCE)
}

#[cfg(feature = "arrow")]
fn fields_of(schema: &arrow_schema::Schema) -> Result<Vec<intacct_xml::FieldName>> {
    use intacct_xml::FieldName;
    use intacct_xml::response::WIRE_NAME;

    let names = schema.fields().iter().map(|field| {
        let name = field.metadata().get(WIRE_NAME).cloned();
        FieldName::new(name.unwrap_or_else(|| field.name().to_uppercase()))
    });
    names
        .collect::<std::result::Result<_, _>>()
        .map_err(Error::unwritable)
}

type MakeTarget<B> = Box<dyn FnMut(&WalkSpec) -> Result<(Keys, B)> + Send>;

/// A walk that may be parted, before it is known into what.
struct Planned<B: Batching> {
    client: Client,
    at_once: usize,
    plan: Option<(WalkSpec, Option<Cursor>, MakeTarget<B>)>,
    pager: Option<PartsPager<B::Records>>,
}

impl<B: Batching> Pager for Planned<B> {
    type Page = WalkPage<B::Records>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        if let Some((spec, resume, mut target)) = self.plan.take() {
            let left = parts(&self.client, &spec, resume.as_ref()).await?;
            let whole = || VecDeque::from([(spec, resume)]);
            let client = self.client.clone();
            self.pager = Some(PartsPager {
                at_once: self.at_once,
                left: left.unwrap_or_else(whole),
                open: Box::new(move |part| client.open_walk(part, &mut *target)),
                reading: VecDeque::new(),
                number: 0,
            });
        }
        match &mut self.pager {
            Some(pager) => pager.next_page().await,
            None => Ok(None),
        }
    }
}

struct WalkPager<B> {
    client: Client,
    walk: Walk,
    pace: Pace,
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
            if self.pace.went_well() {
                self.walk.set_page_size(page_size(&self.pace))?;
            }
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
        let refused = matches!(error.reason(), Reason::Function | Reason::Processing)
            && self.walk.spec().refusals == Refusals::Narrow;
        let too_slow = error.kind() == ErrorKind::Timeout;
        let narrowed = (too_slow || refused) && self.walk.narrow();
        let smaller = is_for_its_size(&error) && self.pace.slow_down();
        if smaller {
            self.walk.set_page_size(page_size(&self.pace))?;
        }
        if !narrowed && !smaller {
            return Err(error);
        }
        let page_size = self.walk.page_size();
        tracing::warn!(page_size, narrowed, %error, "a page was too much, asking for less");
        Ok(())
    }
}

struct OffsetWalkPager<B> {
    client: Client,
    walk: OffsetWalk,
    pace: Pace,
    keys: Keys,
    batching: B,
    number: u64,
}

impl<B: Batching> Pager for OffsetWalkPager<B> {
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
                Err(error) if is_for_its_size(&error) && self.pace.slow_down() => {
                    self.walk.set_page_size(page_size(&self.pace).max(2))?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let [function] = &functions;
            let result = sent.result(function)?;
            let data = result.data.clone().unwrap_or_default();
            let released = self
                .walk
                .accept(&self.keys.joined(), data.total_count, data.remaining)
                .map_err(|error| describe(error, function))?;
            let count = result.records.saturating_sub(released.from as u64);
            let records = self.batching.take(released.from..)?;
            if self.pace.went_well() {
                self.walk.set_page_size(page_size(&self.pace).max(2))?;
            }
            if count == 0 {
                continue;
            }
            let page = WalkPage {
                records,
                cursor: None,
                number: self.number,
                released: count,
                remaining: data.remaining,
                dropped_characters: sent.response().dropped_characters,
            };
            self.number += 1;
            return Ok(Some(page));
        }
    }
}

fn is_for_its_size(error: &Error) -> bool {
    error.kind() == ErrorKind::Timeout || error.reason() == Reason::TooLarge
}

fn page_size(pace: &Pace) -> u32 {
    u32::try_from(pace.now()).unwrap_or(u32::MAX)
}

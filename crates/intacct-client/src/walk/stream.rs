//! A walk against the gateway.

use intacct_xml::response::Records;
use serde::de::DeserializeOwned;

use super::cursor::Cursor;
use super::keys::Keys;
use super::machine::Walk;
use super::offset::{OffsetSpec, OffsetWalk};
use super::pager::WalkPager;
use super::parallel::PartsPager;
use super::spec::WalkSpec;
use crate::batch::Batching;
use crate::client::Client;
#[cfg(feature = "arrow")]
use crate::error::Error;
use crate::error::Result;
use crate::page::Pages;

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
    /// The control id of the function that this page answers.
    pub control_id: String,
}

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
    /// The stream ends with an error of kind `Conflict` and reason [`Reason::TotalChanged`](crate::Reason::TotalChanged) when the records are seen to
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
            Ok(spec) if at_once > 1 && spec.modified().is_some() => {
                let target = Box::new(target);
                Pages::new(PartsPager::new(self, at_once, (spec, resume), target))
            }
            Ok(spec) => match walk_pager(self, (spec, resume), &mut { target }) {
                Ok(pager) => Pages::new(pager),
                Err(error) => Pages::failed(error),
            },
            Err(error) => Pages::failed(error),
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
            Ok(spec) => Pages::new(WalkPager::new(self, OffsetWalk::new(spec), keys, batching)),
            Err(error) => Pages::failed(error),
        }
    }
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

/// Makes what the pages of a walk are read into.
pub(super) type MakeTarget<B> = Box<dyn FnMut(&WalkSpec) -> Result<(Keys, B)> + Send>;

/// The pages of one walk, from a cursor on if there is one.
pub(super) fn walk_pager<B: Batching>(
    client: &Client,
    (spec, resume): (WalkSpec, Option<Cursor>),
    target: &mut dyn FnMut(&WalkSpec) -> Result<(Keys, B)>,
) -> Result<WalkPager<Walk, B>> {
    let (keys, batching) = target(&spec)?;
    let walk = match resume {
        Some(cursor) => Walk::resume(spec, cursor)?,
        None => Walk::new(spec),
    };
    Ok(WalkPager::new(client, walk, keys, batching))
}

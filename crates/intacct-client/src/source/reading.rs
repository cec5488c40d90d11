//! How a contract's records are read.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use intacct_xml::request::{Filter, Order, Query, QueryOptions, Value};
use intacct_xml::response::Page;
use sync_core::{Cursor, Error, ErrorKind, Result, SourceBatch, Window};

use super::blueprint::HierarchyFields;
use super::contract::Contract;
use super::hierarchy::{Paths, Tree};
use super::notes::Notes;
use super::request_error;
use crate::walk::{self, NullPass, OffsetSpec, WalkPage, WalkSpec, WalkWindow};
use crate::{Client, Pages};

/// Pages of records or keys.
pub(super) type Batches = BoxStream<'static, Result<SourceBatch>>;

/// One stream of one company, about to be read.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) client: Client,
    pub(super) contract: Arc<Contract>,
    pub(super) notes: Arc<Notes>,
}

impl Reader {
    /// The key columns of all records.
    pub(super) fn keys(&self) -> Batches {
        let schema = Arc::clone(&self.contract.wire_keys);
        match self.by_key() {
            Ok(spec) => {
                let contract = Arc::clone(&self.contract);
                let pages = self.client.walk(spec, schema, None);
                let described = move |page: WalkPage<Page>| {
                    let rows = contract.as_described(page.records.batch.clone(), None)?;
                    Ok(batch(&contract, rows, page))
                };
                pages.map(move |page| described(page?)).boxed()
            }
            Err(error) => failed(error),
        }
    }

    /// All records, in the order of their key.
    pub(super) fn whole(&self) -> Batches {
        let schema = Arc::clone(&self.contract.wire_schema);
        match self.by_key() {
            Ok(spec) => self.described(self.client.walk(spec, schema, None), None),
            Err(error) => failed(error),
        }
    }

    /// All records by offset, in the order of their keys. Where they move meanwhile, it ends with an error
    /// that asks for another try.
    pub(super) fn by_offset(&self) -> Batches {
        let contract = &self.contract;
        let spec = OffsetSpec::new(contract.object.clone(), contract.key.iter().cloned());
        let mut spec = match spec {
            Ok(spec) => spec.with_options(options()),
            Err(error) => return failed(error.into()),
        };
        if let Some(filter) = &contract.filter {
            spec = spec.with_filter(filter.clone());
        }
        if let Some(id) = &contract.doc_par_id {
            spec = spec.with_doc_par_id(id);
        }
        let schema = Arc::clone(&contract.wire_schema);
        self.described(self.client.walk_by_offset(spec, schema), None)
    }

    /// The records that were modified in a window, and those that say no time, behind a cursor.
    pub(super) fn changes(&self, window: Window, after: Option<Cursor>) -> Batches {
        let in_tree = matches!(
            self.contract.hierarchy,
            Some(HierarchyFields::Parents { .. })
        );
        // Which records changed before an interruption is not known any more, and with them go those
        // that stand below: the window is read from its beginning.
        let after = after.filter(|_| !in_tree);
        let after = after.map(|cursor| cursor.0.parse::<walk::Cursor>());
        let schema = Arc::clone(&self.contract.wire_schema);
        match (self.by_modified(window), after.transpose()) {
            (Ok(spec), Ok(after)) => {
                let pages = self.client.walk(spec, schema, after);
                self.described(pages, Some(window))
            }
            (Err(error), _) => failed(error),
            (_, Err(error)) => failed(error.into()),
        }
    }

    fn by_key(&self) -> Result<WalkSpec> {
        let contract = &self.contract;
        let spec = WalkSpec::by_key(contract.object.clone(), contract.only_key()?.clone())?;
        Ok(self.narrowed(spec))
    }

    fn by_modified(&self, window: Window) -> Result<WalkSpec> {
        let contract = &self.contract;
        let modified = contract.descriptor.modified.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "a stream without a time of change is read by windows",
            )
        })?;
        let modified = contract.field_of(modified)?;
        let key = contract.only_key()?.clone();
        let bounds = WalkWindow::new(window.from, window.until);
        let spec = WalkSpec::by_modified(contract.object.clone(), key, modified, bounds)?;
        let nulls = match self.created_in(window) {
            Some(filter) => NullPass::Matching(filter),
            None => NullPass::All,
        };
        Ok(self.narrowed(spec.with_null_pass(nulls)))
    }

    /// Which of the records that say no time of change belong to a window: those that were made in it,
    /// where the system says when that was. Those that do not say that either belong to all windows.
    pub(super) fn created_in(&self, window: Window) -> Option<Filter> {
        let created = self.contract.created.clone()?;
        let offset = self.client.config().source_offset;
        let value = |at| Value::instant(at, offset);
        let below = Filter::less_than(created.clone(), value(window.until));
        let inside = match window.from {
            Some(from) => Filter::greater_than_or_equal_to(created.clone(), value(from)).and(below),
            None => below,
        };
        Some(inside.or(Filter::is_null(created)))
    }

    fn narrowed(&self, spec: WalkSpec) -> WalkSpec {
        let spec = spec.with_options(options());
        let spec = match &self.contract.filter {
            Some(filter) => spec.with_filter(filter.clone()),
            None => spec,
        };
        match &self.contract.doc_par_id {
            Some(id) => spec.with_doc_par_id(id),
            None => spec,
        }
    }

    /// Pages as the stream promises them; behind those of a dimension's window, the records whose path
    /// changed because one above them did.
    fn described(&self, pages: Pages<WalkPage<Page>>, window: Option<Window>) -> Batches {
        let rows = Rows {
            reader: self.clone(),
            window,
            pages,
            tree: None,
            changed: HashSet::new(),
            below: None,
            ready: VecDeque::new(),
        };
        let next = |mut rows: Rows| async move {
            let batch = rows.next().await?;
            Ok::<_, Error>(batch.map(|batch| (batch, rows)))
        };
        stream::try_unfold(rows, next).boxed()
    }
}

/// The books of a company are those of all its entities, their private records included.
pub(super) fn options() -> QueryOptions {
    QueryOptions {
        show_private: true,
        ..QueryOptions::default()
    }
}

/// Pages on their way to rows with paths.
struct Rows {
    reader: Reader,
    window: Option<Window>,
    pages: Pages<WalkPage<Page>>,
    /// Read once there is a record to place in it.
    tree: Option<Tree>,
    /// The ids of the records that were read.
    changed: HashSet<String>,
    /// The record numbers that are still to be read again.
    below: Option<Vec<String>>,
    ready: VecDeque<SourceBatch>,
}

/// Records that are read again with one query.
const RECORDS_A_QUERY: usize = 500;

impl Rows {
    async fn next(&mut self) -> Result<Option<SourceBatch>> {
        if self.below.is_none() {
            if let Some(page) = self.pages.try_next().await? {
                let rows = self.with_paths(page.records.batch.clone()).await?;
                return Ok(Some(batch(&self.reader.contract, rows, page)));
            }
            let below = self.tree.as_ref().map(|tree| tree.below(&self.changed));
            self.below = Some(below.unwrap_or_default());
        }
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            let left = self.below.as_mut().map(|below| {
                let chunk = below.len().min(RECORDS_A_QUERY);
                below.drain(..chunk).collect::<Vec<_>>()
            });
            match left {
                Some(records) if !records.is_empty() => self.again(&records).await?,
                _ => return Ok(None),
            }
        }
    }

    async fn with_paths(
        &mut self,
        rows: arrow_array::RecordBatch,
    ) -> Result<arrow_array::RecordBatch> {
        let Reader {
            client,
            contract,
            notes,
        } = self.reader.clone();
        let paths = match &contract.hierarchy {
            None => return contract.as_described(rows, None),
            Some(HierarchyFields::Levels(levels)) => Paths::of_levels(&contract, &rows, levels)?,
            Some(HierarchyFields::Parents { id, parent }) => {
                let tree = match self.tree.take() {
                    Some(tree) => tree,
                    None => Tree::read(&client, &contract).await?,
                };
                let paths = Paths::in_tree(&contract, &rows, id, parent, &tree);
                self.tree = Some(tree);
                paths?
            }
        };
        for flaw in &paths.flaws {
            notes.add_flaw(contract.descriptor.name.as_str(), flaw);
        }
        self.changed.extend(paths.ids);
        contract.as_described(rows, Some(paths.column))
    }

    /// Records by their numbers, as far as they belong to this window or an earlier one.
    async fn again(&mut self, records: &[String]) -> Result<()> {
        let contract = Arc::clone(&self.reader.contract);
        let client = self.reader.client.clone();
        let key = contract.only_key()?.clone();
        let these = Filter::one_of(key.clone(), records.iter().map(String::as_str));
        let mut filter = these.map_err(request_error)?;
        if let (Some(window), Some(modified)) = (self.window, &contract.descriptor.modified) {
            let modified = contract.field_of(modified)?;
            let until = Value::instant(window.until, client.config().source_offset);
            let never = Filter::is_null(modified.clone());
            filter = filter.and(Filter::less_than(modified, until).or(never));
        }
        let query = Query::new(contract.object.clone(), contract.select.iter().cloned())
            .map_err(request_error)?
            .with_filter(filter)
            .with_order([Order::ascending(key)])
            .with_options(options());
        let schema = Arc::clone(&contract.wire_schema);
        let pages: Vec<_> = client.query_batches(query, schema).try_collect().await?;
        for page in pages {
            let rows = self.with_paths(page.records.batch).await?;
            let mut batch = SourceBatch::new(rows);
            let rejected = page.records.rejected.into_iter();
            batch.rejected = rejected.map(|record| contract.unreadable(record)).collect();
            self.ready.push_back(batch);
        }
        Ok(())
    }
}

fn batch(contract: &Contract, rows: arrow_array::RecordBatch, page: WalkPage<Page>) -> SourceBatch {
    let mut batch = SourceBatch::new(rows);
    let rejected = page.records.rejected.into_iter();
    batch.rejected = rejected.map(|record| contract.unreadable(record)).collect();
    batch.cursor = page.cursor.map(|cursor| Cursor(cursor.to_string()));
    batch.remaining = page.remaining;
    batch
}

pub(super) fn failed(error: Error) -> Batches {
    stream::once(async { Err(error) }).into_stream().boxed()
}

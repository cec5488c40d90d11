//! How a contract's records are read.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use intacct_xml::FieldName;
use intacct_xml::request::{Aggregate, Filter, Order, Query, QueryOptions, Selection, Value};
use intacct_xml::response::{Page, RejectedRecord};
use intacct_xml::values::parse_date;
use sync_core::{
    Condition, Cursor, Error, ErrorKind, Origin, PeriodDay, RecordKey, RecordTexts, Reread, Result,
    SourceBatch, Window,
};
use time::Date;

use super::blueprint::HierarchyFields;
use super::conditions;
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
    /// The key columns of all records; those of a ledger one year after the other, so that it is never asked
    /// for without a filter.
    pub(super) fn all_keys(&self) -> Batches {
        if self.contract.descriptor.period.is_none() {
            return self.keys();
        }
        let reader = self.clone();
        let days = async move {
            Ok::<_, Error>(match reader.years().await? {
                Some(years) => reader.within(years),
                // What is left out of a listing counts as deleted: rather slow than wrong.
                None => reader.keys(),
            })
        };
        stream::once(days).try_flatten().boxed()
    }

    /// A filter for each year that has records, and one for those that say no day; none where the gateway
    /// does not tell which years those are.
    async fn years(&self) -> Result<Option<Vec<Filter>>> {
        let (field, modified) = (self.period()?, self.contract.descriptor.modified.as_deref());
        let select = [Aggregate::Minimum, Aggregate::Maximum]
            .map(|aggregate| Selection::Aggregate(aggregate, field.clone()));
        let mut query = Query::new(self.contract.object.clone(), select)
            .map_err(request_error)?
            .with_options(options());
        if let Some(modified) = modified {
            let now = self.client.source_time().await? + time::Duration::DAY;
            let now = Value::instant(now, self.client.config().source_offset);
            let modified = self.contract.field_of(modified)?;
            query = query.with_filter(
                Filter::less_than(modified.clone(), now).or(Filter::is_null(modified)),
            );
        }
        let mut pages = self
            .client
            .query_as::<HashMap<String, Option<String>>>(query);
        let told = pages
            .try_next()
            .await?
            .and_then(|page| page.records.into_iter().next());
        let mut told = told.unwrap_or_default();
        let mut year = |function: &str| {
            let text = told.remove(&format!("{function}.{field}")).flatten();
            text.and_then(|text| parse_date(&text).ok()).map(Date::year)
        };
        let (Some(first), Some(last)) = (year("MIN"), year("MAX")) else {
            return Ok(None);
        };
        let mut filters = Vec::new();
        for year in first..=last {
            let from = Date::from_calendar_date(year, time::Month::January, 1);
            let to = Date::from_calendar_date(year, time::Month::December, 31);
            let (Ok(from), Ok(to)) = (from, to) else {
                return Ok(None);
            };
            filters.push(Filter::between(field.clone(), from, to));
        }
        filters.push(Filter::is_null(field));
        Ok(Some(filters))
    }

    /// The key columns of the records that the contract's filter takes.
    fn keys(&self) -> Batches {
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

    /// The key columns of the records of some days, one month after the other, so that a ledger is never
    /// asked for without a filter.
    pub(super) fn keys_of(&self, days: &[PeriodDay]) -> Batches {
        match self.months(days) {
            Ok(filters) => self.within(filters),
            Err(error) => failed(error),
        }
    }

    /// The key columns of the records that each of the filters takes.
    fn within(&self, filters: Vec<Filter>) -> Batches {
        let reader = self.clone();
        let of_part = move |filter: Filter| {
            let contract = match &reader.contract.filter {
                Some(own) => own.clone().and(filter),
                None => filter,
            };
            let mut narrowed = (*reader.contract).clone();
            narrowed.filter = Some(contract);
            let reader = Self {
                contract: Arc::new(narrowed),
                ..reader.clone()
            };
            reader.keys()
        };
        stream::iter(filters).map(of_part).flatten().boxed()
    }

    /// The records that meet conditions, in the order of their key.
    pub(super) fn matching(&self, conditions: &[Condition]) -> Batches {
        let filters = conditions::filters(&self.contract, conditions);
        let filter = filters.and_then(|mut filters| {
            filters.extend(self.contract.filter.clone());
            Ok(match filters.is_empty() {
                true => None,
                false => Some(Filter::all(filters).map_err(request_error)?),
            })
        });
        let mut narrowed = (*self.contract).clone();
        match filter {
            Ok(filter) => narrowed.filter = filter,
            Err(error) => return failed(error),
        }
        let contract = Arc::new(narrowed);
        let reader = Self {
            contract,
            ..self.clone()
        };
        reader.whole()
    }

    fn period(&self) -> Result<FieldName> {
        let contract = &self.contract;
        let period = contract.descriptor.period.as_deref().ok_or_else(|| {
            let what = "a stream without periods is compared by them";
            Error::new(ErrorKind::Internal, what).with("object", contract.object.as_str())
        })?;
        contract.field_of(period)
    }

    fn months(&self, days: &[PeriodDay]) -> Result<Vec<Filter>> {
        let field = self.period()?;
        let mut months: BTreeMap<_, (Date, Date)> = BTreeMap::new();
        for day in days.iter().flatten().copied() {
            let month = (day.year(), u8::from(day.month()));
            let (first, last) = months.entry(month).or_insert((day, day));
            (*first, *last) = ((*first).min(day), (*last).max(day));
        }
        let months = months.into_values();
        let mut filters: Vec<_> = months
            .map(|(first, last)| Filter::between(field.clone(), first, last))
            .collect();
        if days.contains(&None) {
            filters.push(Filter::is_null(field));
        }
        Ok(filters)
    }

    /// Which of these records exist.
    pub(super) async fn existing(&self, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
        let key = self.contract.only_key()?.clone();
        let mut existing = Vec::new();
        for keys in keys.chunks(KEYS_A_QUERY) {
            let these = Filter::one_of(key.clone(), keys.iter().map(RecordKey::as_str));
            let spec = WalkSpec::by_key(self.contract.object.clone(), key.clone())?;
            let spec = spec
                .with_filter(these.map_err(request_error)?)
                .with_options(options());
            let mut pages = self
                .client
                .walk_as::<HashMap<String, Option<String>>>(spec, None);
            while let Some(page) = pages.try_next().await? {
                let found = page.records.into_iter();
                let found = found.filter_map(|mut record| record.remove(key.as_str()).flatten());
                existing.extend(found.map(|text| RecordKey::new([text.as_str()])));
            }
        }
        Ok(existing)
    }

    /// Records from their texts, as a page of them would bring them.
    pub(super) async fn reread(&self, records: &[RecordTexts]) -> Result<Vec<Reread>> {
        let unread = |error| {
            Error::new(
                ErrorKind::Data,
                "records cannot be read again from their texts",
            )
            .caused_by(error)
        };
        let mut columns = self
            .client
            .columns(Arc::clone(&self.contract.wire_schema))?;
        for record in records {
            columns.push_record(record).map_err(unread)?;
        }
        let page = columns.finish().map_err(unread)?;
        let rows = Placed::new(self).with_paths(page.batch).await?;
        let mut rejected = page.rejected.into_iter().peekable();
        let mut read = 0..rows.num_rows();
        let reread =
            (0..).map_while(
                |place| match rejected.next_if(|record| record.ordinal == place) {
                    Some(record) => Some(Err(self.contract.unreadable(record))),
                    None => read.next().map(|row| Ok(rows.slice(row, 1))),
                },
            );
        Ok(reread.collect())
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
            placed: Placed::new(self),
            window,
            pages,
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
    placed: Placed,
    window: Option<Window>,
    pages: Pages<WalkPage<Page>>,
    /// The record numbers that are still to be read again.
    below: Option<Vec<String>>,
    ready: VecDeque<SourceBatch>,
}

/// Records that are asked for by their keys in one query: the most that a filter takes.
const KEYS_A_QUERY: usize = 1_000;
/// Records that are read again with one query.
const RECORDS_A_QUERY: usize = 500;

impl Rows {
    async fn next(&mut self) -> Result<Option<SourceBatch>> {
        if self.below.is_none() {
            if let Some(page) = self.pages.try_next().await? {
                self.placed.note(&page.records.rejected);
                let rows = self.placed.with_paths(page.records.batch.clone()).await?;
                return Ok(Some(batch(&self.placed.reader.contract, rows, page)));
            }
            let below = self.placed.below();
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

    /// Records by their numbers, as far as they belong to this window or an earlier one.
    async fn again(&mut self, records: &[String]) -> Result<()> {
        let contract = Arc::clone(&self.placed.reader.contract);
        let client = self.placed.reader.client.clone();
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
            let rows = self.placed.with_paths(page.records.batch).await?;
            let mut batch = SourceBatch::new(rows);
            let rejected = page.records.rejected.into_iter();
            batch.rejected = rejected.map(|record| contract.unreadable(record)).collect();
            self.ready.push_back(batch);
        }
        Ok(())
    }
}

/// Rows with their places in a hierarchy.
struct Placed {
    reader: Reader,
    /// Read once there is a record to place in it.
    tree: Option<Tree>,
    /// The ids of the records that were read.
    changed: HashSet<String>,
}

impl Placed {
    fn new(reader: &Reader) -> Self {
        Self {
            reader: reader.clone(),
            tree: None,
            changed: HashSet::new(),
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

    /// Records that were read, and cannot be kept: they need not be read again, and what stands below them
    /// must be.
    fn note(&mut self, rejected: &[RejectedRecord]) {
        let Some(HierarchyFields::Parents { id, .. }) = &self.reader.contract.hierarchy else {
            return;
        };
        let fields = rejected.iter().flat_map(|record| &record.fields);
        let ids = fields
            .filter(|(name, _)| name == id)
            .filter_map(|(_, text)| text.clone());
        self.changed.extend(ids);
    }

    /// The numbers of the records that stand below those that were read; none where there is no tree.
    fn below(&self) -> Option<Vec<String>> {
        self.tree.as_ref().map(|tree| tree.below(&self.changed))
    }
}

fn batch(contract: &Contract, rows: arrow_array::RecordBatch, page: WalkPage<Page>) -> SourceBatch {
    let mut batch = SourceBatch::new(rows);
    let rejected = page.records.rejected.into_iter();
    batch.rejected = rejected.map(|record| contract.unreadable(record)).collect();
    batch.cursor = page.cursor.map(|cursor| Cursor(cursor.to_string()));
    batch.remaining = page.remaining;
    batch.origin = Some(Origin::new(page.number, page.control_id));
    batch
}

pub(super) fn failed(error: Error) -> Batches {
    stream::once(async { Err(error) }).into_stream().boxed()
}

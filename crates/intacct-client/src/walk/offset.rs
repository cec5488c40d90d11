//! Reading a whole object by offset, for objects that no single field leads through.
//!
//! Each offset is a query of its own (developer.intacct.com, Queries), so a record that comes or goes
//! between two pages shifts all later ones. That cannot be prevented here, but it is noticed: the total
//! must stay what it was, and each page begins with the last record of the one before.

use intacct_xml::request::{Filter, Order, Query, QueryOptions};
use intacct_xml::{FieldName, ObjectName};

use super::machine::Released;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::query::{changed, missing};

/// What an [`OffsetWalk`] reads, and which fields tell its records apart.
#[derive(Clone, Debug)]
pub struct OffsetSpec {
    object: ObjectName,
    select: Vec<FieldName>,
    pub(super) keys: Vec<FieldName>,
    filter: Option<Filter>,
    options: QueryOptions,
    doc_par_id: Option<String>,
    page_size: u32,
}

impl OffsetSpec {
    /// Everything of an object, in the order of fields that together are different for each record.
    ///
    /// # Errors
    /// `Config` without such a field.
    pub fn new(object: ObjectName, keys: impl IntoIterator<Item = FieldName>) -> Result<Self> {
        let keys: Vec<_> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(Error::invalid(
                "no field tells the records apart; name those that do",
            ));
        }
        Ok(Self {
            object,
            select: keys.clone(),
            keys,
            filter: None,
            options: QueryOptions::default(),
            doc_par_id: None,
            page_size: Query::LARGEST_PAGE,
        })
    }

    /// The same walk reading these fields too.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = FieldName>) -> Self {
        for field in fields {
            if !self.select.contains(&field) {
                self.select.push(field);
            }
        }
        self
    }

    /// The same walk over the records that match this filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The same walk with these options of its queries.
    #[must_use]
    pub fn with_options(mut self, options: QueryOptions) -> Self {
        self.options = options;
        self
    }

    /// The same walk over one transaction definition.
    #[must_use]
    pub fn with_doc_par_id(mut self, doc_par_id: impl Into<String>) -> Self {
        self.doc_par_id = Some(doc_par_id.into());
        self
    }

    /// The same walk in pages of 2 to 2000 records: each repeats the last one of the page before.
    ///
    /// # Errors
    /// `Config` for another size.
    pub fn with_page_size(mut self, page_size: u32) -> Result<Self> {
        if !(2..=Query::LARGEST_PAGE).contains(&page_size) {
            let message =
                format!("a walk by offset in pages of {page_size} records; set 2 to 2000");
            return Err(Error::invalid(message));
        }
        self.page_size = page_size;
        Ok(self)
    }
}

/// A walk by offset as a state machine: ask for the [next query](Self::next_query), send it, hand in
/// what came, release what it says, until there is no next query.
///
/// It ends with an error as soon as the records are seen to have moved; then all of them must be read
/// again. What it has released until it ends well are exactly the records that were there all the time,
/// each once, and perhaps some that came or went meanwhile.
#[derive(Clone, Debug)]
pub struct OffsetWalk {
    spec: OffsetSpec,
    read: u64,
    total: Option<u64>,
    /// The key of the last record.
    last: Option<String>,
    done: bool,
}

impl OffsetWalk {
    /// A walk from its beginning.
    #[must_use]
    pub fn new(spec: OffsetSpec) -> Self {
        Self {
            spec,
            read: 0,
            total: None,
            last: None,
            done: false,
        }
    }

    /// What the walk reads.
    #[must_use]
    pub fn spec(&self) -> &OffsetSpec {
        &self.spec
    }

    /// How many records the next query asks for.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        self.spec.page_size
    }

    /// Asks for this many records from now on, 2 to 2000.
    ///
    /// # Errors
    /// `Config` for another size.
    pub fn set_page_size(&mut self, page_size: u32) -> Result<()> {
        self.spec = self.spec.clone().with_page_size(page_size)?;
        Ok(())
    }

    /// The query to send now; none when the walk is done.
    ///
    /// # Errors
    /// `Config` when the query cannot be written.
    pub fn next_query(&self) -> Result<Option<Query>> {
        if self.done {
            return Ok(None);
        }
        let spec = &self.spec;
        let query = Query::new(spec.object.clone(), spec.select.iter().cloned())
            .and_then(|query| query.with_page_size(spec.page_size))
            .map_err(Error::unwritable)?
            .with_order(spec.keys.iter().cloned().map(Order::ascending))
            .with_options(spec.options)
            .with_offset(self.read.saturating_sub(u64::from(self.last.is_some())));
        let query = match &spec.filter {
            Some(filter) => query.with_filter(filter.clone()),
            None => query,
        };
        Ok(Some(match &spec.doc_par_id {
            Some(id) => query.with_doc_par_id(id),
            None => query,
        }))
    }

    /// Takes in the answer: the keys of its records in their order (the values of several fields in one
    /// text), how many the whole result has (`totalcount`), and how many come behind these
    /// (`numremaining`).
    ///
    /// # Errors
    /// `Conflict` with [`Reason::TotalChanged`] when the records have moved: start again. `Protocol`
    /// when the answer has no total, or two records share a key.
    pub fn accept(
        &mut self,
        keys: &[String],
        total: Option<u64>,
        remaining: Option<u64>,
    ) -> Result<Released> {
        let reported = total.ok_or_else(|| missing("totalcount"))?;
        let total = *self.total.get_or_insert(reported);
        if reported != total {
            return Err(changed(total, reported));
        }
        let from = usize::from(self.last.is_some());
        if self.last.is_some() && keys.first() != self.last.as_ref() {
            return Err(moved());
        }
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            let message = "two records have the same key: name the fields that tell them apart";
            return Err(Error::new(
                ErrorKind::Protocol,
                Reason::OrderBroken,
                message,
            ));
        }
        let new = keys.len().saturating_sub(from) as u64;
        let read = self.read.saturating_add(new);
        let more = remaining.map_or(read < total, |remaining| remaining > 0);
        if read > total || (read != total && (!more || new == 0)) {
            return Err(changed(total, read));
        }
        self.read = read;
        self.done = !more || read == total;
        self.last = keys.last().cloned();
        Ok(Released { from, cursor: None })
    }
}

fn moved() -> Error {
    let message = "the records moved while they were read: start again";
    Error::new(ErrorKind::Conflict, Reason::TotalChanged, message).retrying(crate::Retry::Backoff)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use intacct_xml::{FieldName, ObjectName};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::{OffsetSpec, OffsetWalk};
    use crate::error::{ErrorKind, Reason};

    fn walk(page_size: u32) -> OffsetWalk {
        let keys = ["BOOKID", "ACCOUNTNO"].map(|name| FieldName::new(name).unwrap());
        let spec = OffsetSpec::new(ObjectName::new("VIEW").unwrap(), keys).unwrap();
        OffsetWalk::new(spec.with_page_size(page_size).unwrap())
    }

    #[derive(Clone, Debug)]
    enum Change {
        Nothing,
        Delete(Index),
        Create(u32),
        /// One goes and one comes: the total stays.
        Replace(Index, u32),
        PageSize(u32),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let change = prop_oneof![
            12 => Just(Change::Nothing),
            1 => any::<Index>().prop_map(Change::Delete),
            1 => (0_u32..400).prop_map(Change::Create),
            2 => (any::<Index>(), 0_u32..400).prop_map(|(index, key)| Change::Replace(index, key)),
            2 => (2_u32..7).prop_map(Change::PageSize),
        ];
        proptest::collection::vec(change, 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// A walk that ends well has every record that was there all the time, once.
        #[test]
        fn what_stays_comes_once_or_the_walk_says_so(
            table in proptest::collection::btree_set(0_u32..400, 0..40),
            changes in changes(),
            page_size in 2_u32..7,
            tells: bool,
        ) {
            let mut table: BTreeSet<String> = table.into_iter().map(|key| format!("{key:04}")).collect();
            let mut untouched = table.clone();
            let mut released: BTreeMap<String, u32> = BTreeMap::new();
            let mut walk = walk(page_size);
            let mut changes = changes.into_iter();
            while let Some(query) = walk.next_query().unwrap() {
                let offset = usize::try_from(query.offset()).unwrap();
                let size = usize::try_from(query.page_size()).unwrap();
                let page: Vec<String> = table.iter().skip(offset).take(size).cloned().collect();
                let remaining = table.len().saturating_sub(offset + page.len()) as u64;
                let total = table.len() as u64;
                let taken = match walk.accept(&page, Some(total), tells.then_some(remaining)) {
                    Ok(taken) => taken,
                    Err(error) => {
                        prop_assert_eq!((error.kind(), error.reason()), (ErrorKind::Conflict, Reason::TotalChanged));
                        return Ok(());
                    }
                };
                for key in &page[taken.from..] {
                    *released.entry(key.clone()).or_default() += 1;
                }
                let pick = |table: &BTreeSet<String>, index: Index| {
                    (!table.is_empty()).then(|| table.iter().nth(index.index(table.len())).unwrap().clone())
                };
                match changes.next().unwrap_or(Change::Nothing) {
                    Change::Nothing => {}
                    Change::PageSize(size) => walk.set_page_size(size).unwrap(),
                    Change::Create(key) => { table.insert(format!("{key:04}")); }
                    Change::Delete(index) => if let Some(key) = pick(&table, index) {
                        table.remove(&key);
                        untouched.remove(&key);
                    },
                    Change::Replace(index, new) => if let Some(key) = pick(&table, index) {
                        table.remove(&key);
                        untouched.remove(&key);
                        table.insert(format!("{new:04}"));
                    },
                }
            }
            for key in &untouched {
                prop_assert_eq!(released.get(key), Some(&1), "record {}", key);
            }
            prop_assert!(released.values().all(|times| *times == 1));
        }
    }

    #[test]
    fn records_that_cannot_be_told_apart_are_refused() {
        let keys = ["a", "b", "b"].map(str::to_owned);
        let error = walk(5).accept(&keys, Some(3), Some(0)).unwrap_err();
        assert_eq!(error.reason(), Reason::OrderBroken);
        assert!(
            walk(5).accept(&keys[..2], None, Some(0)).is_err(),
            "an answer without a total"
        );
    }
}

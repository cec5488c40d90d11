//! Finding records that are gone at the source.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Schema};
use futures_util::TryStreamExt as _;
use time::Date;

use super::Parts;
use super::event::Event;
use super::extraction::{Extraction, Halting, Piece};
use crate::batch::{Operation, RecordKey, UnreadableRecord, record_keys};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Deletion, ReadRequest};
use crate::store::LetterStatus::{Discarded, Open, Retried, Superseded};
use crate::store::{LetterFilter, LetterPage, Scope};
use crate::stream::{DeleteDetection, TotalsShape};
use crate::totals::{ControlTotals, TotalsQuery};

/// Deletes are cut into batches of this many keys.
const KEYS_A_BATCH: usize = 4_096;

/// Most days whose keys are compared by themselves; where more differ, all keys are.
const MOST_DAYS: usize = 1_000;

/// Where a stream has more dead letters, numbers of records tell nothing of deletes, and keys are compared.
const MOST_LETTERS: usize = 10_000;
/// Dead letters that are in memory at once.
const LETTERS_A_PAGE: usize = 500;

impl Extraction {
    /// Hands over the deletes of a window whose changes are all handed over. Gives the source's totals
    /// where it had to ask for them and they still hold.
    ///
    /// The source is asked once for all sinks. What is gone for a sink that has everything, its own index
    /// says. One that is not in step will have what its index says and what waits for it, which has
    /// arrived in those that are in step: so it gets the deletes of all. The one record that this can
    /// miss, refused by those and taken by it and gone in between, is found with the next window, when
    /// its numbers differ.
    pub(super) async fn find_deletes(&mut self) -> Halting<Option<ControlTotals>> {
        match self.stream.delete_detection {
            DeleteDetection::None => return Ok(None),
            DeleteDetection::FullRead => {
                self.keyless.iter().try_for_each(refuse_keyless)?;
                self.deliver_missing(Certainty::Whole).await?;
                return Ok(None);
            }
            DeleteDetection::KeySet => {}
            DeleteDetection::AuditHistory => {
                let told = match self.told().await {
                    Ok(told) => told,
                    // What reaches beyond that list stops the comparison too, and that says so.
                    Err(error) => {
                        let error = error.chain();
                        tracing::warn!(stream = %self.stream.name, error, "comparing keys instead");
                        for member in &self.members {
                            member.to.report().delete_detection = DeleteDetection::KeySet;
                        }
                        Vec::new()
                    }
                };
                let unnamed = |deletion: &Deletion| matches!(deletion, Deletion::Unknown(_));
                let is_whole = !told.iter().any(unnamed);
                self.deliver_told(told).await?;
                if !is_whole {
                    self.list_keys().await?;
                    self.deliver_missing(Certainty::Whole).await?;
                    return Ok(None);
                }
            }
        }
        let in_step = self.in_step().await?;
        let undelivered = self.undelivered(&in_step).await?;
        let totals = self.totals_of_as_many(&in_step, &undelivered).await?;
        if totals.is_some() {
            return Ok(totals);
        }
        let days = if undelivered.iter().all(|it| *it == Some(0)) {
            self.days_that_differ(&in_step).await?
        } else {
            // A day with as many rejected records as deleted ones would look unchanged.
            None
        };
        let certainty = match days {
            Some(days) => {
                self.list_keys_of(days).await?;
                Certainty::InParts
            }
            None => {
                self.list_keys().await?;
                Certainty::Whole
            }
        };
        self.deliver_missing(certainty).await?;
        Ok(None)
    }

    /// What the source itself says was deleted.
    async fn told(&self) -> Result<Vec<Deletion>> {
        if self.window.from.is_none() {
            // What was deleted before anything was delivered is nothing to deliver.
            return Ok(Vec::new());
        }
        let source = &self.pipeline.parts.source;
        let told = source.deletions(Arc::clone(&self.stream), self.window);
        told.try_concat().await
    }

    async fn deliver_told(&mut self, told: Vec<Deletion>) -> Halting<()> {
        let (mut keys, mut owners) = (Vec::new(), Vec::new());
        for deletion in told {
            match deletion {
                Deletion::Record(key) => keys.push(key),
                Deletion::Group(owner) => owners.push(owner),
                Deletion::Unknown(_) => {}
            }
        }
        if keys.is_empty() && owners.is_empty() {
            return Ok(());
        }
        let in_step = self.in_step().await?;
        let store = Arc::clone(&self.pipeline.parts.store);
        let mut gone = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let scope = member.to.scope();
            let mut own: BTreeSet<_> = store.live_keys(scope, &keys).await?.into_iter().collect();
            own.extend(store.keys_of_owners(scope, &owners).await?);
            gone.push(own);
        }
        let of_any: BTreeSet<_> = gone.iter().flatten().cloned().collect();
        let of_any: Vec<_> = of_any.into_iter().collect();
        for keys in of_any.chunks(KEYS_A_BATCH) {
            // What was made again under the same key lives.
            let keys = self.without_existing(keys.to_vec()).await?;
            self.deliver_gone(keys, &gone, &in_step).await?;
        }
        Ok(())
    }

    /// Delivers the records that the census has not seen.
    async fn deliver_missing(&mut self, certainty: Certainty) -> Halting<()> {
        let in_step = self.in_step().await?;
        let store = Arc::clone(&self.pipeline.parts.store);
        let mut after: Option<RecordKey> = None;
        loop {
            let mut gone = Vec::with_capacity(self.members.len());
            // Up to where the keys of all of them are known.
            let mut up_to: Option<RecordKey> = None;
            for member in &self.members {
                let scope = member.to.scope();
                let keys = store.missing_keys(scope, after.as_ref(), KEYS_A_BATCH);
                let keys = keys.await?;
                if keys.len() == KEYS_A_BATCH {
                    let last = keys.last();
                    up_to = up_to.iter().chain(last).min().cloned();
                }
                gone.push(keys.into_iter().collect::<BTreeSet<_>>());
            }
            let of_any: BTreeSet<_> = gone.iter().flatten().cloned().collect();
            let known = |key: &RecordKey| up_to.as_ref().is_none_or(|up_to| key <= up_to);
            let mut keys: Vec<_> = of_any.into_iter().filter(known).collect();
            if certainty == Certainty::InParts {
                // A record may have moved to a day that was not listed.
                keys = self.without_existing(keys).await?;
            }
            self.deliver_gone(keys, &gone, &in_step).await?;
            if up_to.is_none() {
                return Ok(());
            }
            after = up_to;
        }
    }

    /// As a census of some periods found: each key is asked for before it is taken for gone.
    pub(super) async fn deliver_missing_in_parts(&mut self) -> Halting<()> {
        self.deliver_missing(Certainty::InParts).await
    }

    /// Hands deletes over: to a sink that is in step those of what it has, to the others all.
    async fn deliver_gone(
        &mut self,
        keys: Vec<RecordKey>,
        gone: &[BTreeSet<RecordKey>],
        in_step: &[bool],
    ) -> Halting<()> {
        // Sinks with the same keys share a batch: mostly all of them.
        let mut shares: BTreeMap<Vec<RecordKey>, Vec<usize>> = BTreeMap::new();
        for (member, (own, in_step)) in gone.iter().zip(in_step).enumerate() {
            let its = |key: &&RecordKey| !in_step || own.contains(*key);
            let its: Vec<_> = keys.iter().filter(its).cloned().collect();
            shares.entry(its).or_default().push(member);
        }
        for (keys, members) in shares {
            for keys in keys.chunks(KEYS_A_BATCH) {
                let records = self.identified(self.key_rows(keys)?)?;
                let piece = Piece {
                    origins: Vec::new(),
                    cursor: None,
                    unreadable: &[],
                };
                self.deliver(Operation::Delete, records, piece, &members)
                    .await?;
            }
        }
        Ok(())
    }

    async fn without_existing(&self, mut keys: Vec<RecordKey>) -> Result<Vec<RecordKey>> {
        if keys.is_empty() {
            return Ok(keys);
        }
        let source = &self.pipeline.parts.source;
        if let Some(existing) = source.existing(&self.stream, &keys).await? {
            let existing: HashSet<_> = existing.into_iter().collect();
            keys.retain(|key| !existing.contains(key));
        }
        Ok(keys)
    }

    /// For each sink that is in step, how many records the source has that were rejected on the way to it
    /// and never delivered; none where that cannot be told.
    async fn undelivered(&self, in_step: &[bool]) -> Result<Vec<Option<u64>>> {
        let mut undelivered = Vec::new();
        for scope in self.scopes(in_step) {
            undelivered.push(self.undelivered_to(scope).await?);
        }
        Ok(undelivered)
    }

    async fn undelivered_to(&self, scope: &Scope) -> Result<Option<u64>> {
        let Parts { source, store, .. } = &self.pipeline.parts;
        let mut filter = LetterFilter::of(scope);
        // What is resolved was delivered.
        filter.statuses = vec![Open, Retried, Superseded, Discarded];
        let (mut after, mut letters) = (None, 0);
        let mut undelivered: HashSet<RecordKey> = HashSet::new();
        loop {
            let limit = LETTERS_A_PAGE;
            let page = store.letters(&filter, LetterPage { after, limit }).await?;
            let Some(last) = page.last() else {
                return Ok(Some(undelivered.len() as u64));
            };
            after = Some(last.id);
            letters += page.len();
            let keys = page.into_iter().map(|letter| letter.content.key);
            let keys: Option<BTreeSet<_>> = keys.collect();
            let Some(keys) = keys.filter(|_| letters <= MOST_LETTERS) else {
                return Ok(None);
            };
            let mut keys: Vec<_> = keys.into_iter().collect();
            let live = store.live_keys(scope, &keys).await?;
            let live: HashSet<_> = live.into_iter().collect();
            keys.retain(|key| !live.contains(key) && !undelivered.contains(key));
            if keys.is_empty() {
                continue;
            }
            match source.existing(&self.stream, &keys).await? {
                Some(existing) => undelivered.extend(existing),
                None => return Ok(None),
            }
        }
    }

    /// The source's totals, if it has as many records as were delivered to each sink that is in step,
    /// besides those that were rejected.
    ///
    /// Every delivered record was in the source, so equal numbers mean equal sets, unless a record
    /// became visible late and another was deleted meanwhile; the next run's lookback delivers the
    /// late one, and then the numbers differ.
    async fn totals_of_as_many(
        &self,
        in_step: &[bool],
        undelivered: &[Option<u64>],
    ) -> Result<Option<ControlTotals>> {
        let Parts { source, store, .. } = &self.pipeline.parts;
        let query = TotalsQuery::of(Arc::clone(&self.stream)).modified_before(self.window.until);
        let Some(totals) = source.control_totals(&query).await? else {
            return Ok(None);
        };
        for (scope, undelivered) in self.scopes(in_step).zip(undelivered) {
            let live = store.live_records(scope).await?;
            if undelivered.map(|undelivered| live + undelivered) != Some(totals.records()) {
                return Ok(None);
            }
        }
        Ok(Some(totals))
    }

    /// The days of the period column on which the two sides have not as many records; none where all
    /// keys are to be compared.
    async fn days_that_differ(&self, in_step: &[bool]) -> Result<Option<Vec<String>>> {
        let Some(period) = &self.stream.period else {
            return Ok(None);
        };
        let Parts { source, store, .. } = &self.pipeline.parts;
        let mut ours = Vec::new();
        for scope in self.scopes(in_step) {
            match store.live_by_period(scope).await? {
                Some(days) => ours.push(days),
                None => return Ok(None),
            }
        }
        let mut by_day = (*self.stream).clone();
        by_day.totals = TotalsShape {
            group_by: vec![period.clone()],
            ..TotalsShape::default()
        };
        let query = TotalsQuery::of(Arc::new(by_day)).modified_before(self.window.until);
        let Some(totals) = source.control_totals(&query).await? else {
            return Ok(None);
        };
        let mut theirs: BTreeMap<String, u64> = BTreeMap::new();
        for (key, group) in totals.groups {
            theirs.insert(key.concat(), group.records);
        }
        let mut days = BTreeSet::new();
        for ours in &ours {
            let either = ours.keys().chain(theirs.keys());
            days.extend(either.filter(|day| ours.get(*day) != theirs.get(*day)));
        }
        let days: Vec<String> = days.into_iter().cloned().collect();
        // Where the numbers of all days agree, the books have changed since they were counted.
        Ok((1..=MOST_DAYS).contains(&days.len()).then_some(days))
    }

    async fn list_keys_of(&self, days: Vec<String>) -> Result<()> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        let parsed = days.iter().map(|day| match day.as_str() {
            "" => Ok(None),
            day => Date::parse(day, format).map(Some),
        });
        let periods = parsed.collect::<std::result::Result<Vec<_>, _>>();
        let periods = periods.map_err(|error| {
            let what = "a day of the control totals is not written as 2026-01-31";
            Error::new(ErrorKind::Protocol, what).caused_by(error)
        })?;
        self.begin_census(Some(&days)).await?;
        let request = ReadRequest::keys_of_periods(Arc::clone(&self.stream), periods);
        self.take_census(request).await
    }

    async fn list_keys(&self) -> Result<()> {
        self.begin_census(None).await?;
        self.take_census(ReadRequest::keys(Arc::clone(&self.stream)))
            .await
    }

    async fn take_census(&self, request: ReadRequest) -> Result<()> {
        let mut pages = self.pipeline.read_ahead(request);
        let mut listed = 0;
        while let Some(page) = pages.recv().await {
            let page = page?;
            page.rejected.iter().try_for_each(refuse_keyless)?;
            let keys = record_keys(&self.stream, &page.rows)?;
            listed += keys.len() as u64;
            self.count_keys(&keys).await?;
            self.pipeline.observer.observe(Event::KeysListed {
                stream: &self.stream.name,
                keys: listed,
            });
        }
        Ok(())
    }

    /// A census is taken once, and counted for each sink, since each has keys of its own to miss in it.
    pub(super) async fn begin_census(&self, periods: Option<&[String]>) -> Result<()> {
        let store = &self.pipeline.parts.store;
        for member in &self.members {
            store.begin_census(&member.to.claim, periods).await?;
        }
        Ok(())
    }

    pub(super) async fn count_keys(&self, keys: &[RecordKey]) -> Result<()> {
        let store = &self.pipeline.parts.store;
        for member in &self.members {
            store.count_keys(&member.to.claim, keys).await?;
        }
        Ok(())
    }

    /// The scopes of those that are in step.
    fn scopes(&self, in_step: &[bool]) -> impl Iterator<Item = &Scope> {
        let members = self.members.iter().zip(in_step);
        members
            .filter(|(_, in_step)| **in_step)
            .map(|(member, _)| member.to.scope())
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

/// What a census is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// What is not in it is gone.
    Whole,
    /// What is not in it is to be asked for.
    InParts,
}

fn refuse_keyless(record: &UnreadableRecord) -> Result<()> {
    let what = "a key cannot be read, so it is not known which records were deleted";
    let error = Error::new(ErrorKind::Data, what).with("column", &record.column);
    Err(error.with("reason", &record.reason))
}

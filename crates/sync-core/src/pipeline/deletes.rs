//! Finding records that are gone at the source.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Schema};
use futures_util::TryStreamExt as _;
use time::Date;

use super::Parts;
use super::delivery::Piece;
use super::event::Event;
use super::extraction::Extraction;
use crate::batch::{Operation, RecordKey, UnreadableRecord, record_keys};
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Deletion, ReadRequest};
use crate::stream::{DeleteDetection, TotalsShape};
use crate::totals::{ControlTotals, TotalsQuery};

/// Deletes are cut into batches of this many keys.
const KEYS_A_BATCH: usize = 4_096;

/// Most days whose keys are compared by themselves; where more differ, all keys are.
const MOST_DAYS: usize = 1_000;

impl Extraction {
    /// Delivers the deletes of a window whose changes are all settled. Gives the source's totals
    /// where it had to ask for them and they still hold.
    pub(super) async fn find_deletes(&mut self) -> Result<Option<ControlTotals>> {
        match self.stream().delete_detection {
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
                        tracing::warn!(stream = %self.stream().name, error, "comparing keys instead");
                        self.to.report().delete_detection = DeleteDetection::KeySet;
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
        let totals = self.totals_of_as_many().await?;
        if totals.is_some() {
            return Ok(totals);
        }
        let certainty = match self.days_that_differ().await? {
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
        let source = &self.to.parts().source;
        let told = source.deletions(Arc::clone(self.stream()), self.window);
        told.try_concat().await
    }

    async fn deliver_told(&mut self, told: Vec<Deletion>) -> Result<()> {
        let (mut keys, mut owners) = (Vec::new(), Vec::new());
        for deletion in told {
            match deletion {
                Deletion::Record(key) => keys.push(key),
                Deletion::Group(owner) => owners.push(owner),
                Deletion::Unknown(_) => {}
            }
        }
        let store = Arc::clone(&self.to.parts().store);
        let mut gone = store.live_keys(self.to.scope(), &keys).await?;
        gone.extend(store.keys_of_owners(self.to.scope(), &owners).await?);
        gone.sort();
        gone.dedup();
        for keys in gone.chunks(KEYS_A_BATCH) {
            // What was made again under the same key lives.
            let keys = self.without_existing(keys.to_vec()).await?;
            self.deliver_deletes(&keys).await?;
        }
        Ok(())
    }

    /// Delivers the records that the census has not seen.
    async fn deliver_missing(&mut self, certainty: Certainty) -> Result<()> {
        let store = Arc::clone(&self.to.parts().store);
        let mut after = None;
        loop {
            let mut keys = store
                .missing_keys(self.to.scope(), after.as_ref(), KEYS_A_BATCH)
                .await?;
            let Some(last) = keys.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            if certainty == Certainty::InParts {
                // A record may have moved to a day that was not listed.
                keys = self.without_existing(keys).await?;
            }
            self.deliver_deletes(&keys).await?;
        }
    }

    async fn deliver_deletes(&mut self, keys: &[RecordKey]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let records = self.identified(self.key_rows(keys)?)?;
        let place = self.next_place(Operation::Delete);
        let piece = Piece {
            records,
            origins: Vec::new(),
            cursor: None,
            unreadable: &[],
        };
        let ready = self.to.ready(place, piece).await?;
        let receipt = self.to.sink.write(&ready.batch).await?;
        self.to.settle(&ready, receipt).await
    }

    async fn without_existing(&self, mut keys: Vec<RecordKey>) -> Result<Vec<RecordKey>> {
        if keys.is_empty() {
            return Ok(keys);
        }
        let source = &self.to.parts().source;
        if let Some(existing) = source.existing(self.stream(), &keys).await? {
            let existing: HashSet<_> = existing.into_iter().collect();
            keys.retain(|key| !existing.contains(key));
        }
        Ok(keys)
    }

    /// The source's totals, if it has as many records as were delivered.
    ///
    /// Every delivered record was in the source, so equal numbers mean equal sets, unless a record
    /// became visible late and another was deleted meanwhile; the next run's lookback delivers the
    /// late one, and then the numbers differ.
    async fn totals_of_as_many(&self) -> Result<Option<ControlTotals>> {
        let Parts { source, store, .. } = self.to.parts();
        let query = TotalsQuery::of(Arc::clone(self.stream())).modified_before(self.window.until);
        let totals = source.control_totals(&query).await?;
        let live = store.live_records(self.to.scope()).await?;
        Ok(totals.filter(|totals| totals.records() == live))
    }

    /// The days of the period column on which the two sides have not as many records; none where all
    /// keys are to be compared.
    async fn days_that_differ(&self) -> Result<Option<Vec<String>>> {
        let Some(period) = &self.stream().period else {
            return Ok(None);
        };
        let Parts { source, store, .. } = self.to.parts();
        let Some(ours) = store.live_by_period(self.to.scope()).await? else {
            return Ok(None);
        };
        let mut by_day = (**self.stream()).clone();
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
        let days: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
        let days: Vec<String> = days
            .into_iter()
            .filter(|day| ours.get(day) != theirs.get(day))
            .collect();
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
        let store = &self.to.parts().store;
        store.begin_census(&self.to.claim, Some(&days)).await?;
        let request = ReadRequest::keys_of_periods(Arc::clone(self.stream()), periods);
        self.take_census(request).await
    }

    async fn list_keys(&self) -> Result<()> {
        self.to
            .parts()
            .store
            .begin_census(&self.to.claim, None)
            .await?;
        self.take_census(ReadRequest::keys(Arc::clone(self.stream())))
            .await
    }

    async fn take_census(&self, request: ReadRequest) -> Result<()> {
        let store = &self.to.parts().store;
        let mut pages = self.to.pipeline.read_ahead(request);
        let mut listed = 0;
        while let Some(page) = pages.recv().await {
            let page = page?;
            page.rejected.iter().try_for_each(refuse_keyless)?;
            let keys = record_keys(self.stream(), &page.rows)?;
            listed += keys.len() as u64;
            store.count_keys(&self.to.claim, &keys).await?;
            self.to.observe(Event::KeysListed {
                stream: &self.stream().name,
                keys: listed,
            });
        }
        Ok(())
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
        let mut fields = Vec::with_capacity(self.stream().key.len());
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.stream().key.len());
        for (position, name) in self.stream().key.iter().enumerate() {
            let field = self.stream().field(name)?;
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

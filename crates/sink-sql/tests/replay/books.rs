//! Books in memory: entries with a name and an amount.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use arrow_array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use sync_core::{
    ControlTotals, Cursor, DeleteDetection, Finding, ReadRequest, RecordKey, Result, Selection,
    Source, SourceBatch, StreamDescriptor, StreamName, TotalsQuery, UnreadableRecord,
};
use time::OffsetDateTime;

pub(crate) const START: i64 = 1_760_000_000;

#[derive(Clone, Debug)]
struct Entry {
    modified: i64,
    name: String,
    cents: i128,
}

/// A system of record whose time passes when it is told to.
#[derive(Debug)]
pub(crate) struct Books {
    entries: Mutex<BTreeMap<i64, Entry>>,
    /// Entries whose amount cannot be read, with its text.
    unreadable: Mutex<BTreeMap<i64, String>>,
    now: Mutex<i64>,
    /// What was asked of them, so that a replay can be seen to ask nothing.
    asked: Mutex<u64>,
    /// How often it was asked what its streams are.
    described: Mutex<u64>,
}

impl Books {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::default(),
            unreadable: Mutex::default(),
            now: Mutex::new(START),
            asked: Mutex::default(),
            described: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, key: i64, name: &str, cents: i128) {
        let modified = *self.now.lock().unwrap();
        let name = name.to_owned();
        let entry = Entry {
            modified,
            name,
            cents,
        };
        self.entries.lock().unwrap().insert(key, entry);
        self.unreadable.lock().unwrap().remove(&key);
    }

    pub(crate) fn set_unreadable(&self, key: i64, amount: &str) {
        self.set(key, "n", 0);
        let amount = amount.to_owned();
        self.unreadable.lock().unwrap().insert(key, amount);
    }

    pub(crate) fn delete(&self, key: i64) {
        self.entries.lock().unwrap().remove(&key);
    }

    /// An hour.
    pub(crate) fn pass(&self) {
        *self.now.lock().unwrap() += 3600;
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked_for_records() + *self.described.lock().unwrap()
    }

    pub(crate) fn asked_for_records(&self) -> u64 {
        *self.asked.lock().unwrap()
    }

    /// Lines as [`World::rows`](crate::world::World::rows) has them.
    pub(crate) fn rows(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let unreadable = self.unreadable.lock().unwrap();
        let readable = entries
            .iter()
            .filter(|(key, _)| !unreadable.contains_key(key));
        readable
            .map(|(key, entry)| format!("{key}|{}|{}", entry.name, entry.cents))
            .collect()
    }

    fn schema() -> SchemaRef {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new("recordno", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
            Field::new("amount", DataType::Decimal128(38, 9), true),
            Field::new("whenmodified", timestamp, true),
        ]))
    }

    fn page(&self, selection: &Selection) -> Vec<SourceBatch> {
        let entries = self.entries.lock().unwrap();
        let mut chosen: Vec<_> = entries.iter().collect();
        let keys_only = matches!(selection, Selection::Keys | Selection::KeysOfPeriods(_));
        if let Selection::Changes { window, after } = selection {
            let from = window.from.map_or(i64::MIN, OffsetDateTime::unix_timestamp);
            let until = window.until.unix_timestamp();
            chosen.retain(|(_, entry)| (from..until).contains(&entry.modified));
            chosen.sort_by_key(|(key, entry)| (entry.modified, **key));
            let after = after.as_ref().map(|Cursor(text)| {
                let (modified, key) = text.split_once('/').unwrap();
                (modified.parse().unwrap(), key.parse().unwrap())
            });
            chosen.retain(|(key, entry)| {
                after.is_none_or(|it: (i64, i64)| (entry.modified, **key) > it)
            });
        }
        let unreadable = self.unreadable.lock().unwrap();
        let pages = chosen.chunks(4).map(|page| {
            let is_bad = |key: &i64| !keys_only && unreadable.contains_key(key);
            let good: Vec<_> = page.iter().filter(|(key, _)| !is_bad(key)).collect();
            let mut batch = SourceBatch::new(rows(&good, keys_only));
            let bad: BTreeSet<_> = page.iter().map(|it| *it.0).filter(is_bad).collect();
            batch.rejected = bad
                .iter()
                .map(|key| unreadable_record(*key, &unreadable[key]))
                .collect();
            let last = page.last();
            batch.cursor = last.map(|(key, entry)| Cursor(format!("{}/{key}", entry.modified)));
            batch
        });
        pages.collect()
    }
}

fn unreadable_record(key: i64, amount: &str) -> UnreadableRecord {
    let text = key.to_string();
    UnreadableRecord {
        key: Some(RecordKey::new([text.as_str()])),
        column: "amount".into(),
        text: amount.into(),
        reason: "not a decimal number".into(),
        fields: vec![
            ("RECORDNO".into(), Some(text)),
            ("NAME".into(), Some("read, after all".into())),
            ("AMOUNT".into(), Some(amount.into())),
        ],
    }
}

fn rows(entries: &[&(&i64, &Entry)], keys_only: bool) -> RecordBatch {
    let amounts = entries.iter().map(|(_, entry)| entry.cents * 10_000_000);
    let amounts = Decimal128Array::from_iter_values(amounts);
    let times = entries.iter().map(|(_, entry)| entry.modified * 1_000_000);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let names = entries.iter().map(|(_, entry)| entry.name.as_str());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(entries.iter().map(|it| *it.0))),
        Arc::new(StringArray::from_iter_values(names)),
        Arc::new(amounts.with_precision_and_scale(38, 9).unwrap()),
        Arc::new(times),
    ];
    let all = RecordBatch::try_new(Books::schema(), columns).unwrap();
    if keys_only {
        all.project(&[0]).unwrap()
    } else {
        all
    }
}

#[async_trait]
impl Source for Books {
    fn name(&self) -> &str {
        "books"
    }

    fn company(&self) -> &str {
        "DEMO"
    }

    async fn now(&self) -> Result<OffsetDateTime> {
        *self.asked.lock().unwrap() += 1;
        Ok(OffsetDateTime::from_unix_timestamp(*self.now.lock().unwrap()).unwrap())
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        *self.asked.lock().unwrap() += 1;
        Ok(Vec::new())
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        *self.described.lock().unwrap() += 1;
        let name = StreamName::new("entry").unwrap();
        let key = vec!["recordno".to_owned()];
        let mut stream = StreamDescriptor::new(name, Self::schema(), key).unwrap();
        stream.modified = Some("whenmodified".into());
        stream.delete_detection = DeleteDetection::KeySet;
        Ok(vec![stream])
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        *self.asked.lock().unwrap() += 1;
        stream::iter(self.page(&request.selection).into_iter().map(Ok)).boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        *self.asked.lock().unwrap() += 1;
        let until = query.modified_before.map(OffsetDateTime::unix_timestamp);
        let entries = self.entries.lock().unwrap();
        let counted = entries.values();
        let counted = counted.filter(|entry| until.is_none_or(|until| entry.modified < until));
        let mut totals = ControlTotals::default();
        let records = counted.count() as u64;
        if records > 0 {
            let sums = Vec::new();
            let group = sync_core::totals::GroupTotals { records, sums };
            totals.groups.insert(Vec::new(), group);
        }
        Ok(Some(totals))
    }
}

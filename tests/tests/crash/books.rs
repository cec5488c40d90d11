//! Books that are a function of a seed and a day.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use sync_core::stream::DeleteMode;
use sync_core::totals::GroupTotals;
use sync_core::{
    Condition, ControlTotals, Cursor, Decimal, DeleteDetection, Deletion, Finding, Origin,
    ReadRequest, RecordKey, RecordTexts, Reread, Result, Selection, Source, SourceBatch,
    StreamDescriptor, StreamName, TotalsQuery, UnreadableRecord, Window,
};
use time::{Date, Duration, OffsetDateTime};

/// Records on a page. Not a divisor of the rows of a batch, so that batches end inside pages.
const PAGE: usize = 7;

/// From this day on, vendors and bills have a column more.
const WIDER_SINCE: u32 = 2;

const DAY: i64 = 86_400;

/// The present of the books on a day, in seconds since 1970.
pub(crate) fn present(day: u32) -> i64 {
    1_760_000_000 + i64::from(day) * DAY
}

/// All streams on one day.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    day: u32,
    /// Whether what could not be read can be read again.
    pub(crate) rereads: bool,
    pub(crate) streams: Vec<Book>,
}

/// One stream on one day.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) descriptor: Arc<StreamDescriptor>,
    live: BTreeMap<i64, Record>,
    /// What was deleted and is not there again, as it was last delivered, if it was.
    gone: BTreeMap<i64, Option<Record>>,
    /// What the books tell of deletes, ever.
    told: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    modified: i64,
    cents: i128,
    memo: String,
    owner: i64,
    date: i32,
    email: Option<String>,
    quality: Quality,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quality {
    Good,
    /// Its amount is not a number.
    Unreadable,
    /// Its date is of a year that no destination takes.
    Refused,
}

/// A row as the destination should have it: a text for each column of [`Book::columns`], then whether
/// it is marked as deleted.
pub(crate) type Row = (Vec<Option<String>>, bool);

impl Books {
    pub(crate) fn on(seed: u64, day: u32) -> Self {
        let mut streams = vec![
            Book::new("entry", DeleteDetection::KeySet),
            Book::new("vendor", DeleteDetection::AuditHistory),
            Book::new("account", DeleteDetection::FullRead),
            Book::new("bill", DeleteDetection::KeySet),
        ];
        for day in 0..=day {
            for (number, book) in (1..).zip(&mut streams) {
                let seed = seed.wrapping_mul(1_000_003) ^ (u64::from(day) << 8) ^ number;
                book.live_through(day, &mut fastrand::Rng::with_seed(seed));
            }
        }
        let rereads = false;
        Self {
            day,
            rereads,
            streams,
        }
    }

    /// From now on a record counts as one that the destination should have.
    pub(crate) fn mend(&mut self, stream: &StreamName, key: &RecordKey) {
        let mut books = self.streams.iter_mut();
        let book = books.find(|it| it.descriptor.name == *stream).unwrap();
        let names: Vec<_> = book.live.keys().map(|&it| (it, book.key(it))).collect();
        let number = names.iter().find(|(_, name)| name == key).unwrap().0;
        book.live.get_mut(&number).unwrap().quality = Quality::Good;
    }

    /// Whether a record is there.
    pub(crate) fn has(&self, stream: &StreamName, key: &RecordKey) -> bool {
        let book = self.book(stream);
        book.live.keys().any(|&it| book.key(it) == *key)
    }

    fn book(&self, name: &StreamName) -> &Book {
        let mut books = self.streams.iter();
        books.find(|book| book.descriptor.name == *name).unwrap()
    }
}

impl Book {
    fn new(name: &str, detection: DeleteDetection) -> Self {
        let book = Self {
            descriptor: Arc::new(descriptor(name, detection, false)),
            live: BTreeMap::new(),
            gone: BTreeMap::new(),
            told: Vec::new(),
        };
        book.descriptor.validate().unwrap();
        book
    }

    pub(crate) fn name(&self) -> &str {
        self.descriptor.name.as_str()
    }

    /// The stream's own columns, in their order.
    pub(crate) fn columns(&self) -> Vec<String> {
        let fields = self.descriptor.schema.fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    /// What the destination should hold, by key.
    pub(crate) fn expected(&self) -> BTreeMap<RecordKey, Row> {
        let good = self
            .live
            .iter()
            .filter(|(_, it)| it.quality == Quality::Good);
        let live = good.map(|(&key, record)| (key, record, false));
        let marked = self.gone.iter().filter_map(|(&key, record)| {
            let record = record.as_ref()?;
            (self.descriptor.delete_mode == DeleteMode::Mark).then_some((key, record, true))
        });
        let rows = live.chain(marked).map(|(key, record, deleted)| {
            let columns = self.columns();
            let texts = columns.iter().map(|name| text(name, key, record));
            (self.key(key), (texts.collect(), deleted))
        });
        rows.collect()
    }

    /// Keys of records that were delivered once and are gone without a trace in the destination.
    pub(crate) fn removed(&self) -> Vec<RecordKey> {
        let gone = self.gone.iter().filter(|(_, record)| record.is_some());
        let keys = gone.map(|(&key, _)| self.key(key));
        keys.filter(|_| self.descriptor.delete_mode == DeleteMode::Remove)
            .collect()
    }

    /// Whether all that the books have can be delivered.
    pub(crate) fn is_sound(&self) -> bool {
        let mut records = self.live.values();
        records.all(|record| record.quality == Quality::Good)
    }

    /// The keys of what cannot be read, and of what is refused, now.
    pub(crate) fn unfit(&self) -> [BTreeSet<RecordKey>; 2] {
        [Quality::Unreadable, Quality::Refused].map(|quality| {
            let unfit = self.live.iter().filter(|(_, it)| it.quality == quality);
            unfit.map(|(&key, _)| self.key(key)).collect()
        })
    }

    fn key(&self, key: i64) -> RecordKey {
        let texts: Vec<_> = (self.descriptor.key.iter())
            .map(|name| key_text(name, key))
            .collect();
        RecordKey::new(texts.iter().map(String::as_str))
    }

    fn live_through(&mut self, day: u32, random: &mut fastrand::Rng) {
        let name = self.name().to_owned();
        let is_wider = day >= WIDER_SINCE && matches!(name.as_str(), "vendor" | "bill");
        self.descriptor = Arc::new(descriptor(
            &name,
            self.descriptor.delete_detection,
            is_wider,
        ));
        let mut there: Vec<i64> = self.live.keys().copied().collect();
        random.shuffle(&mut there);
        let (deletes, edits) = if day == 0 { (0, 0) } else { (3, 6) };
        for key in there.drain(..deletes) {
            let last = self.live.remove(&key).unwrap();
            self.gone
                .insert(key, Some(last).filter(|it| it.quality == Quality::Good));
            self.told.push(key);
        }
        for key in there.drain(..edits) {
            let owner = self.live[&key].owner;
            let edited = Record::made(day, is_wider, owner, Quality::Good, random);
            self.live.insert(key, edited);
        }
        let gone_today = &self.told[self.told.len() - deletes..];
        let gone_before = self.gone.keys().find(|key| !gone_today.contains(key));
        if let Some(&key) = gone_before.filter(|_| random.bool()) {
            // Made again under the same key.
            self.gone.remove(&key);
            let again = Record::made(day, is_wider, key, Quality::Good, random);
            self.live.insert(key, again);
        }
        let first = i64::from(day) * 1_000 + 1;
        let end = first + if day == 0 { 24 } else { 6 };
        let mut key = first;
        while key < end {
            // Lines of one owner stand beside each other.
            let lines = if name == "entry" {
                random.i64(1..=4)
            } else {
                1
            };
            let pattern = Record::made(day, is_wider, key, Quality::Good, random);
            for line in key..key + lines {
                let mut record = pattern.clone();
                record.cents += i128::from(line);
                record.quality = match (name.as_str(), random.u8(0..8)) {
                    ("bill", 0) => Quality::Refused,
                    ("bill" | "account", 1) => Quality::Unreadable,
                    _ => Quality::Good,
                };
                self.live.insert(line, record);
            }
            key += lines;
        }
    }

    fn pages(&self, selection: &Selection) -> Vec<SourceBatch> {
        let mut chosen: Vec<(i64, &Record)> =
            self.live.iter().map(|(&key, it)| (key, it)).collect();
        let keys_only = matches!(selection, Selection::Keys | Selection::KeysOfPeriods(_));
        match selection {
            Selection::Changes { window, after } => {
                let place = |key: i64, record: &Record| match self.descriptor.modified {
                    Some(_) => (record.modified, key),
                    None => (0, key),
                };
                if self.descriptor.modified.is_some() {
                    let until = window.until.unix_timestamp();
                    let from = window.from.map_or(i64::MIN, OffsetDateTime::unix_timestamp);
                    chosen.retain(|(_, it)| (from..until).contains(&it.modified));
                }
                chosen.sort_by_key(|&(key, record)| place(key, record));
                let after = after.as_ref().map(|Cursor(text)| {
                    let (modified, key) = text.split_once('/').unwrap();
                    (modified.parse().unwrap(), key.parse().unwrap())
                });
                chosen
                    .retain(|&(key, record)| after.is_none_or(|after| place(key, record) > after));
            }
            Selection::Matching(conditions) => {
                chosen.retain(|(key, record)| meets(*key, record, conditions));
            }
            Selection::KeysOfPeriods(days) => {
                let days: BTreeSet<_> = days.iter().flatten().copied().collect();
                chosen.retain(|(_, record)| days.contains(&date(record.date).unwrap()));
            }
            _ => {}
        }
        let pages = chosen.chunks(PAGE).map(|page| {
            let is_unread =
                |it: &&(i64, &Record)| !keys_only && it.1.quality == Quality::Unreadable;
            let (bad, good): (Vec<_>, Vec<_>) = page.iter().partition(is_unread);
            let mut batch = SourceBatch::new(self.rows(&good, keys_only));
            batch.rejected = bad
                .iter()
                .map(|(key, record)| self.unreadable(*key, record))
                .collect();
            batch.cursor = page.last().map(|(key, record)| {
                let modified = if self.descriptor.modified.is_some() {
                    record.modified
                } else {
                    0
                };
                Cursor(format!("{modified}/{key}"))
            });
            batch
        });
        pages.collect()
    }

    fn rows(&self, records: &[(i64, &Record)], keys_only: bool) -> RecordBatch {
        let schema = &self.descriptor.schema;
        let wanted = |name| !keys_only || self.descriptor.key.contains(name);
        let fields = schema.fields().iter().filter(|field| wanted(field.name()));
        let fields: Vec<_> = fields.cloned().collect();
        let columns = fields.iter().map(|field| column(field, records)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    fn unreadable(&self, key: i64, record: &Record) -> UnreadableRecord {
        UnreadableRecord {
            key: Some(self.key(key)),
            column: "amount".into(),
            text: "1e5".into(),
            reason: "not a decimal number".into(),
            fields: vec![
                ("RECORDNO".into(), Some(key.to_string())),
                ("MEMO".into(), Some(record.memo.clone())),
                ("AMOUNT".into(), Some("1e5".into())),
            ],
        }
    }

    fn totals(&self, query: &TotalsQuery) -> ControlTotals {
        let until = (query.modified_before)
            .filter(|_| self.descriptor.modified.is_some())
            .map_or(i64::MAX, OffsetDateTime::unix_timestamp);
        let shape = &query.stream.totals;
        let mut sums: BTreeMap<Vec<String>, (u64, i128)> = BTreeMap::new();
        let counted = self.live.iter().filter(|(_, it)| it.modified < until);
        for (&key, record) in counted.filter(|(key, it)| meets(**key, it, &query.matching)) {
            let group = shape.group_by.iter().map(|name| {
                let text = text(name, key, record).unwrap_or_default();
                match name.as_str() {
                    "entry_date" => query.days.folded(&text).to_owned(),
                    _ => text,
                }
            });
            let (records, cents) = sums.entry(group.collect()).or_default();
            *records += 1;
            *cents += record.cents;
        }
        let groups = sums.into_iter().map(|(group, (records, cents))| {
            let sum = Decimal::new(cents, 2).unwrap();
            let sums = vec![sum; shape.sums.len()];
            (group, GroupTotals { records, sums })
        });
        let groups = groups.collect();
        ControlTotals { groups }
    }
}

impl Record {
    fn made(
        day: u32,
        is_wider: bool,
        owner: i64,
        quality: Quality,
        random: &mut fastrand::Rng,
    ) -> Self {
        let memos = [
            "Müller & Co",
            "a \"quoted\" memo",
            "0017",
            "tab\there",
            "",
            "it's",
        ];
        Self {
            // Of the whole day, so that the next run's lookback finds some of them again.
            modified: present(day) - random.i64(130..80_000),
            cents: i128::from(random.i64(-10_000_000..10_000_000)),
            memo: format!("{} {day}", random.choice(memos).unwrap()),
            owner,
            date: 20_000 + random.i32(0..20),
            email: is_wider.then(|| format!("mail{}@example.com", random.u16(..))),
            quality,
        }
    }
}

fn descriptor(name: &str, detection: DeleteDetection, is_wider: bool) -> StreamDescriptor {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = match name {
        "vendor" => vec![Field::new("vendorid", DataType::Utf8, false)],
        "account" => vec![
            Field::new("locationid", DataType::Utf8, false),
            Field::new("recordno", DataType::Int64, false),
        ],
        _ => vec![Field::new("recordno", DataType::Int64, false)],
    };
    let key = fields.iter().map(|field| field.name().clone()).collect();
    fields.extend([
        Field::new("whenmodified", timestamp, true),
        Field::new("amount", DataType::Decimal128(38, 9), true),
        Field::new("memo", DataType::Utf8, true),
        Field::new("batchno", DataType::Utf8, true),
        Field::new("entry_date", DataType::Date32, true),
    ]);
    fields.extend(is_wider.then(|| Field::new("email", DataType::Utf8, true)));
    let schema = Arc::new(Schema::new(fields));
    let mut stream = StreamDescriptor::new(StreamName::new(name).unwrap(), schema, key).unwrap();
    stream.modified = (name != "account").then(|| "whenmodified".into());
    stream.delete_detection = detection;
    stream.totals.sums = vec!["amount".into()];
    if name == "entry" {
        stream.delete_mode = DeleteMode::Remove;
        stream.keep_together = Some("batchno".into());
        stream.period = Some("entry_date".into());
        stream.totals.group_by = vec!["batchno".into()];
    }
    stream
}

fn column(field: &Field, records: &[(i64, &Record)]) -> ArrayRef {
    let name = field.name().as_str();
    match field.data_type() {
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(records.iter().map(|it| it.0))),
        DataType::Date32 => Arc::new(Date32Array::from_iter_values(
            records.iter().map(|(_, it)| stored_date(it)),
        )),
        DataType::Decimal128(..) => {
            let amounts = records.iter().map(|(_, it)| it.cents * 10_000_000);
            let amounts = Decimal128Array::from_iter_values(amounts);
            Arc::new(amounts.with_precision_and_scale(38, 9).unwrap())
        }
        DataType::Timestamp(..) => {
            let times = records.iter().map(|(_, it)| it.modified * 1_000_000);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        _ => Arc::new(StringArray::from_iter(
            records.iter().map(|&(key, record)| text(name, key, record)),
        )),
    }
}

/// A value as it is compared: times in seconds, amounts without zeros at their end.
fn text(column: &str, key: i64, record: &Record) -> Option<String> {
    match column {
        "whenmodified" => Some(record.modified.to_string()),
        "amount" => Some(
            Decimal::new(record.cents, 2)
                .unwrap()
                .normalised()
                .to_string(),
        ),
        "memo" => Some(record.memo.clone()),
        "batchno" => Some(format!("B{}", record.owner)),
        "entry_date" => date(stored_date(record)).map(|date| date.to_string()),
        "email" => record.email.clone(),
        key_column => Some(key_text(key_column, key)),
    }
}

fn meets(key: i64, record: &Record, conditions: &[Condition]) -> bool {
    conditions.iter().all(|condition| match condition {
        Condition::OneOf { column, values } => {
            values.contains(&text(column, key, record).unwrap_or_default())
        }
        Condition::Between { first, last, .. } => {
            let day = date(stored_date(record));
            day.is_some_and(|day| {
                first.is_none_or(|first| day >= first) && last.is_none_or(|last| day <= last)
            })
        }
        other => panic!("a condition that these books do not know: {other:?}"),
    })
}

fn key_text(column: &str, key: i64) -> String {
    match column {
        "vendorid" => format!("V{key:06}"),
        "locationid" => format!("E{}", key % 3),
        _ => key.to_string(),
    }
}

/// Days since 1970. Those of refused records are of the year 12,000.
fn stored_date(record: &Record) -> i32 {
    match record.quality {
        Quality::Refused => 3_663_500,
        _ => record.date,
    }
}

fn date(days: i32) -> Option<Date> {
    OffsetDateTime::UNIX_EPOCH
        .date()
        .checked_add(Duration::days(days.into()))
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
        Ok(OffsetDateTime::from_unix_timestamp(present(self.day)).unwrap())
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(vec![])
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        let streams = self.streams.iter();
        Ok(streams.map(|book| (*book.descriptor).clone()).collect())
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        let pages = self.book(&request.stream.name).pages(&request.selection);
        let pages = (0..).zip(pages).map(|(number, mut page)| {
            page.origin = Some(Origin::new(number, format!("request-{number}")));
            Ok(page)
        });
        stream::iter(pages.collect::<Vec<_>>()).boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        Ok(Some(self.book(&query.stream.name).totals(query)))
    }

    fn deletions(
        &self,
        stream: Arc<StreamDescriptor>,
        _: Window,
    ) -> BoxStream<'_, Result<Vec<Deletion>>> {
        let book = self.book(&stream.name);
        let told = book.told.chunks(PAGE).map(|keys| {
            let records = keys.iter().map(|&key| Deletion::Record(book.key(key)));
            Ok(records.collect())
        });
        stream::iter(told.collect::<Vec<_>>()).boxed()
    }

    async fn existing(
        &self,
        stream: &Arc<StreamDescriptor>,
        keys: &[RecordKey],
    ) -> Result<Option<Vec<RecordKey>>> {
        let book = self.book(&stream.name);
        let live: BTreeSet<_> = book.live.keys().map(|&key| book.key(key)).collect();
        let existing = keys.iter().filter(|key| live.contains(key));
        Ok(Some(existing.cloned().collect()))
    }

    async fn reread(
        &self,
        stream: &Arc<StreamDescriptor>,
        records: &[RecordTexts],
    ) -> Result<Option<Vec<Reread>>> {
        if !self.rereads {
            return Ok(None);
        }
        let book = self.book(&stream.name);
        let reread = records.iter().map(|fields| {
            let number = fields.iter().find(|(name, _)| name == "RECORDNO");
            let key = number.unwrap().1.as_ref().unwrap().parse().unwrap();
            Ok(book.rows(&[(key, &book.live[&key])], false))
        });
        Ok(Some(reread.collect()))
    }
}

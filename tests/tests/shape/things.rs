//! A source whose schema a test changes, the warehouses that it is delivered to, and what they hold.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{Field, Schema};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use intacct_sync_postgres_fixture::{Database, Server};
use intacct_sync_tests::Warehouse;
use secrecy::SecretString;
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions, RunReport, StreamReport};
use sync_core::shape::{ColumnKind, HashKeys, Shaping};
use sync_core::spool::FolderSpool;
use sync_core::store::{LedgerStore as _, Scope, SqliteStore};
use sync_core::stream::TotalsShape;
use sync_core::totals::GroupTotals;
use sync_core::{
    Condition, ControlTotals, Decimal, DeleteDetection, Finding, ReadRequest, RecordKey, Result,
    Selection, Source, SourceBatch, StreamDescriptor, StreamName, TotalsQuery,
};
use time::OffsetDateTime;

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

const START: i64 = 1_760_000_000;

/// Business objects of one kind: a key, a time of change, and columns that come and go.
#[derive(Debug)]
pub(crate) struct Things(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    columns: Vec<(String, ColumnKind)>,
    /// By key: when it changed, and texts by column.
    records: BTreeMap<i64, (i64, BTreeMap<String, String>)>,
    now: i64,
    totals: TotalsShape,
    /// How many records were read of each window.
    read: Vec<usize>,
}

impl Things {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            now: START,
            ..State::default()
        }))
    }

    /// The columns beside `recordno` and `whenmodified`, as `name:kind`.
    pub(crate) fn columns(&self, columns: &str) {
        let columns = columns.split_whitespace().map(|column| {
            let (name, kind) = column.split_once(':').unwrap();
            (name.to_owned(), kind.parse().unwrap())
        });
        self.0.lock().unwrap().columns = columns.collect();
    }

    pub(crate) fn totals(&self, sums: &[&str], group_by: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut state = self.0.lock().unwrap();
        state.totals.sums = owned(sums);
        state.totals.group_by = owned(group_by);
    }

    /// A record's new state.
    pub(crate) fn set(&self, key: i64, cells: &[(&str, &str)]) {
        let mut state = self.0.lock().unwrap();
        let cells = cells
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()));
        let record = (state.now, cells.collect());
        state.records.insert(key, record);
    }

    pub(crate) fn delete(&self, key: i64) {
        self.0.lock().unwrap().records.remove(&key);
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.0.lock().unwrap().now += seconds;
    }

    pub(crate) fn read_so_far(&self) -> usize {
        self.0.lock().unwrap().read.iter().sum()
    }
}

impl State {
    fn descriptor(&self) -> StreamDescriptor {
        let timestamp = ColumnKind::Timestamp.data_type();
        let mut fields = vec![
            Field::new("recordno", ColumnKind::Integer.data_type(), false),
            Field::new("whenmodified", timestamp, true),
        ];
        let own = self.columns.iter();
        fields.extend(own.map(|(name, kind)| Field::new(name, kind.data_type(), true)));
        let schema = Arc::new(Schema::new(fields));
        let name = StreamName::new("thing").unwrap();
        let mut stream = StreamDescriptor::new(name, schema, vec!["recordno".into()]).unwrap();
        stream.modified = Some("whenmodified".into());
        stream.delete_detection = DeleteDetection::KeySet;
        stream.totals = self.totals.clone();
        stream
    }

    fn matching(&self, keys: Vec<i64>, conditions: &[Condition]) -> Vec<i64> {
        let rows = self.rows(&keys);
        let met = conditions.iter().map(|it| it.met_by(&rows).unwrap());
        let met: Vec<_> = met.collect();
        let kept = keys.into_iter().enumerate();
        kept.filter(|(row, _)| met.iter().all(|it| it.value(*row)))
            .map(|(_, key)| key)
            .collect()
    }

    fn rows(&self, keys: &[i64]) -> RecordBatch {
        let stream = self.descriptor();
        let modified = keys.iter().map(|key| self.records[key].0 * 1_000_000);
        let modified = TimestampMicrosecondArray::from_iter_values(modified).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(keys.iter().copied())),
            Arc::new(modified),
        ];
        for (name, kind) in &self.columns {
            let texts = keys
                .iter()
                .map(|key| self.records[key].1.get(name).map(String::as_str));
            columns.push(array(*kind, texts));
        }
        RecordBatch::try_new(stream.schema, columns).unwrap()
    }
}

fn array<'a>(kind: ColumnKind, texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    match kind {
        ColumnKind::Text => {
            let mut cells = StringBuilder::new();
            texts.for_each(|text| cells.append_option(text));
            Arc::new(cells.finish())
        }
        ColumnKind::Integer => {
            let mut cells = Int64Builder::new();
            texts.for_each(|text| cells.append_option(text.map(|it| it.parse::<i64>().unwrap())));
            Arc::new(cells.finish())
        }
        ColumnKind::Boolean => {
            let mut cells = BooleanBuilder::new();
            texts.for_each(|text| cells.append_option(text.map(|it| it == "true")));
            Arc::new(cells.finish())
        }
        ColumnKind::Decimal { scale } => {
            let mut cells = Decimal128Builder::new().with_data_type(kind.data_type());
            let digits = |it: &str| it.parse::<Decimal>().unwrap().at_scale(scale).unwrap();
            texts.for_each(|text| cells.append_option(text.map(digits)));
            Arc::new(cells.finish())
        }
        ColumnKind::Date => {
            let mut cells = Date32Builder::new();
            texts.for_each(|text| cells.append_option(text.map(|it| it.parse::<i32>().unwrap())));
            Arc::new(cells.finish())
        }
        _ => unreachable!("no test has such a column"),
    }
}

#[async_trait]
impl Source for Things {
    fn name(&self) -> &str {
        "things"
    }

    fn company(&self) -> &str {
        "DEMO"
    }

    async fn now(&self) -> Result<OffsetDateTime> {
        Ok(OffsetDateTime::from_unix_timestamp(self.0.lock().unwrap().now).unwrap())
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        Ok(vec![self.0.lock().unwrap().descriptor()])
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        let mut state = self.0.lock().unwrap();
        assert_eq!(
            request.stream.schema,
            state.descriptor().schema,
            "asked by other names"
        );
        let mut keys: Vec<i64> = state.records.keys().copied().collect();
        let whole = match &request.selection {
            Selection::Changes { window, .. } => {
                let from = window.from.map_or(i64::MIN, OffsetDateTime::unix_timestamp);
                let until = window.until.unix_timestamp();
                keys.retain(|key| (from..until).contains(&state.records[key].0));
                state.read.push(keys.len());
                true
            }
            Selection::Matching(conditions) => {
                keys = state.matching(keys, conditions);
                true
            }
            _ => false,
        };
        let pages: Vec<_> = keys
            .chunks(3)
            .map(|keys| {
                let rows = state.rows(keys);
                Ok(SourceBatch::new(if whole {
                    rows
                } else {
                    rows.project(&[0]).unwrap()
                }))
            })
            .collect();
        stream::iter(pages).boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let state = self.0.lock().unwrap();
        let until = query
            .modified_before
            .map_or(i64::MAX, OffsetDateTime::unix_timestamp);
        let asked = &query.stream.totals;
        for name in asked.sums.iter().chain(&asked.group_by) {
            assert!(
                state.columns.iter().any(|(own, _)| own == name),
                "{name} is not ours"
            );
        }
        let mut totals = ControlTotals::default();
        for key in state.matching(state.records.keys().copied().collect(), &query.matching) {
            let (modified, cells) = &state.records[&key];
            if *modified >= until {
                continue;
            }
            let text = |name: &String| cells.get(name).cloned().unwrap_or_default();
            let key = asked.group_by.iter().map(text).collect();
            let group: &mut GroupTotals = totals.groups.entry(key).or_default();
            group.records += 1;
            group.sums.resize(asked.sums.len(), Decimal::ZERO);
            for (sum, name) in group.sums.iter_mut().zip(&asked.sums) {
                if let Some(text) = cells.get(name) {
                    *sum = sum.checked_add(text.parse().unwrap()).unwrap();
                }
            }
        }
        Ok(Some(totals))
    }

    async fn existing(
        &self,
        stream: &Arc<StreamDescriptor>,
        keys: &[RecordKey],
    ) -> Result<Option<Vec<RecordKey>>> {
        assert_eq!(stream.key, ["recordno"], "asked by other names");
        let state = self.0.lock().unwrap();
        let exists = |key: &&RecordKey| state.records.contains_key(&key.as_str().parse().unwrap());
        Ok(Some(keys.iter().filter(exists).cloned().collect()))
    }
}

/// A source on its way to one warehouse.
pub(crate) struct World {
    pub(crate) things: Arc<Things>,
    pub(crate) warehouse: Warehouse,
    pub(crate) folder: tempfile::TempDir,
    // Dropped last of all: the warehouse speaks to it.
    _database: Option<Database<'static>>,
}

impl World {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            things: Arc::new(Things::new()),
            warehouse: Warehouse::sqlite(folder.path()).unwrap(),
            folder,
            _database: None,
        }
    }

    fn postgres() -> Option<Self> {
        let database = Server::shared()?.database();
        Some(Self {
            things: Arc::new(Things::new()),
            warehouse: Warehouse::postgres(&database.settings()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            _database: Some(database),
        })
    }

    /// The same story in every warehouse that there is.
    pub(crate) async fn each<F: Future<Output = ()>>(story: impl Fn(Self) -> F) {
        story(Self::sqlite()).await;
        if let Some(world) = Self::postgres() {
            story(world).await;
        }
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::open(self.folder.path().join("state.db")).unwrap()
    }

    pub(crate) fn pipeline(&self, shaping: &str) -> Pipeline {
        let parts = Parts {
            source: Arc::clone(&self.things) as _,
            sinks: vec![self.warehouse.as_sink()],
            store: Arc::new(self.store()),
            spool: Arc::new(FolderSpool::open(self.folder.path().join("spool")).unwrap()),
        };
        let mut options = PipelineOptions::default();
        options.batch_rows = 4;
        options.shaping = shaping_of(shaping);
        let keys = HashKeys::new()
            .with("people", &SecretString::from(KEY))
            .unwrap();
        Pipeline::new("things", parts, options).with_hash_keys(keys)
    }

    /// An hour passes, and what changed in it is delivered.
    pub(crate) async fn run(&self, shaping: &str) -> RunReport {
        self.things.pass(3600);
        self.pipeline(shaping).run().await.unwrap()
    }

    /// As [`World::run`], which must complete; the report of the stream.
    pub(crate) async fn complete(&self, shaping: &str) -> StreamReport {
        let report = self.run(shaping).await;
        let [stream] = &report.streams[..] else {
            panic!("one stream")
        };
        assert_eq!(stream.error, None);
        stream.clone()
    }

    /// Rows in the order of the first column, cells parted by `|`; `-` for null.
    pub(crate) async fn rows(&self, columns: &str) -> Vec<String> {
        let order = columns.split(',').next().unwrap();
        let sql = format!("SELECT {columns} FROM thing ORDER BY {order}");
        let rows = self.warehouse.query(sql).await.unwrap().rows.into_iter();
        let line = |row: Vec<Option<String>>| {
            let cells = row.into_iter().map(|cell| cell.unwrap_or("-".into()));
            cells.collect::<Vec<_>>().join("|")
        };
        rows.map(line).collect()
    }

    pub(crate) async fn columns(&self) -> Vec<String> {
        let columns = self.warehouse.columns("thing").await.unwrap().into_iter();
        let own = columns
            .map(|(name, _)| name)
            .filter(|name| !name.starts_with('_'));
        own.collect()
    }

    pub(crate) async fn ledger(&self, kind: &str) -> Vec<serde_json::Value> {
        let entries = self.store().entries(0, 10_000).await.unwrap().into_iter();
        let of_kind = entries.filter(|entry| entry.kind == kind);
        of_kind
            .map(|entry| serde_json::from_str(&entry.body).unwrap())
            .collect()
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope {
            pipeline: "things".into(),
            sink: self.warehouse.as_sink().name().to_owned(),
            stream: StreamName::new("thing").unwrap(),
        }
    }
}

/// As TOML.
pub(crate) fn shaping_of(text: &str) -> Shaping {
    toml::from_str(text).unwrap()
}

/// Whether a finding holds all of these words.
pub(crate) fn tells(report: &StreamReport, words: &[&str]) -> bool {
    report.findings.iter().any(|finding| {
        let told = finding.to_string();
        words.iter().all(|word| told.contains(word))
    })
}

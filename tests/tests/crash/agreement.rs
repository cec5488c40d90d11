//! Whether books, destination, store and ledger agree exactly.

use std::collections::{BTreeMap, BTreeSet};

use intacct_sync_tests::Warehouse;
use serde_json::Value;
use sync_core::ledger::Entry;
use sync_core::store::{Outcome, Store};
use sync_core::{Decimal, DeleteMode, Operation, RecordKey};

use crate::books::{Book, Books, Row};
use crate::home::{Engine, Home, PIPELINE, clock};
use crate::witness::Witness;

/// What the destination keeps of a row beside its values.
struct Delivered {
    row: Row,
    record: String,
    batch: String,
}

/// A batch by the ledger.
#[derive(Debug)]
struct Told {
    stream: String,
    operation: Operation,
    rows: u64,
    rejected: u64,
}

/// Compares everything, at a time when no run is under way.
///
/// # Panics
/// Where anything differs.
pub(crate) async fn assert_agreement(home: &Home, books: &Books, now: i64) {
    judge(home, books, now, Written::Once).await;
}

/// The same after batches were sent again, so that their rows were written more than once.
pub(crate) async fn assert_agreement_after_replays(home: &Home, books: &Books, now: i64) {
    judge(home, books, now, Written::Again).await;
}

/// How often rows were written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Once,
    Again,
}

async fn judge(home: &Home, books: &Books, now: i64, written: Written) {
    let store = home.store(clock(now)).await.unwrap();
    let warehouse = match home.sink {
        Engine::Sqlite => Warehouse::sqlite(&home.folder),
        Engine::Postgres => Warehouse::postgres(&home.settings()),
        Engine::BigQuery | Engine::BigQueryStreaming => Warehouse::bigquery(&home.settings()),
    };
    let warehouse = warehouse.unwrap();
    let entries = entries(&*store).await;

    for book in &books.streams {
        let delivered = delivered(&warehouse, book).await;
        let rows: BTreeMap<_, _> = delivered
            .iter()
            .map(|(key, it)| (key.clone(), it.row.clone()))
            .collect();
        assert_eq!(rows, book.expected(), "rows of {}", book.name());
        the_store_knows_each_record(home, &*store, book, &delivered).await;
        rejected_records_are_kept_once(home, &*store, book, &entries).await;
        the_last_tie_out_is_right(book, &entries);
        the_table_was_told_of(book, &entries);
    }
    assert_eq!(store.leases().await.unwrap(), []);
    every_batch_is_told_and_applied_once(home, books, &warehouse, &entries, written).await;
    let known = warehouse.as_sink().ledger_entries(PIPELINE).await.unwrap();
    let verdict = store.verify(&known).await.unwrap();
    assert!(verdict.is_intact(), "{verdict}");
    let spool = home.spool().unwrap();
    let verdict = sync_core::spool::verify(&*store, &*spool).await.unwrap();
    assert!(verdict.is_intact(), "{verdict:?}");
}

async fn entries(store: &dyn Store) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |last| last.sequence);
        let next = store.entries(after, 1_000).await.unwrap();
        if next.is_empty() {
            return entries;
        }
        entries.extend(next);
    }
}

async fn delivered(warehouse: &Warehouse, book: &Book) -> BTreeMap<RecordKey, Delivered> {
    let columns = book.columns();
    let expressions = columns
        .iter()
        .map(|column| match (column.as_str(), warehouse) {
            ("whenmodified", Warehouse::Sqlite(_)) => "strftime('%s', whenmodified)".to_owned(),
            ("whenmodified", Warehouse::Postgres(_)) => {
                "extract(epoch FROM whenmodified)::bigint".to_owned()
            }
            ("whenmodified", Warehouse::BigQuery(_)) => {
                "UNIX_SECONDS(whenmodified) AS whenmodified".to_owned()
            }
            (other, _) => other.to_owned(),
        });
    let expressions = expressions.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {expressions}, CASE WHEN _deleted THEN 'gone' ELSE 'there' END AS state, _record_id, \
         _batch_id FROM {}",
        book.name()
    );
    let rows = warehouse.query(sql).await.unwrap().rows.into_iter();
    let delivered = rows.map(|mut cells| {
        let batch = cells.pop().flatten().unwrap();
        let record = cells.pop().flatten().unwrap();
        let deleted = cells.pop().flatten().unwrap() == "gone";
        let amount = columns
            .iter()
            .position(|column| column == "amount")
            .unwrap();
        // How many zeros stand behind an amount is the engine's own affair.
        cells[amount] = cells[amount].take().map(|text| {
            let amount: Decimal = text.parse().unwrap();
            amount.normalised().to_string()
        });
        let keys = book.descriptor.key.iter().map(|name| {
            let column = columns.iter().position(|column| column == name).unwrap();
            cells[column].as_deref().unwrap()
        });
        let key = RecordKey::new(keys);
        let row = (cells, deleted);
        (key, Delivered { row, record, batch })
    });
    delivered.collect()
}

async fn the_store_knows_each_record(
    home: &Home,
    store: &dyn Store,
    book: &Book,
    delivered: &BTreeMap<RecordKey, Delivered>,
) {
    let scope = home.scope(book.name());
    assert_eq!(store.unsettled(&scope).await.unwrap(), []);
    let checkpoint = store.checkpoint(&scope).await.unwrap();
    assert_eq!(checkpoint.open, None, "{scope}");
    let live = delivered.values().filter(|it| !it.row.1).count();
    assert_eq!(
        store.live_records(&scope).await.unwrap(),
        live as u64,
        "{scope}"
    );
    for (key, there) in delivered {
        let last = store.audit(&scope, key).await.unwrap().last;
        let last = last.unwrap_or_else(|| panic!("{scope} {key} is unknown"));
        let outcome = if there.row.1 {
            Outcome::Deleted
        } else {
            Outcome::Delivered
        };
        assert_eq!(
            (
                last.outcome,
                last.record.to_string(),
                last.batch.to_string()
            ),
            (outcome, there.record.clone(), there.batch.clone()),
            "{scope} {key}"
        );
    }
    for key in book.removed() {
        let last = store.audit(&scope, &key).await.unwrap().last;
        let outcome = last.map(|last| last.outcome);
        assert_eq!(outcome, Some(Outcome::Deleted), "{scope} {key}");
    }
}

async fn rejected_records_are_kept_once(
    home: &Home,
    store: &dyn Store,
    book: &Book,
    entries: &[Entry],
) {
    let letters = store
        .dead_letters(&home.scope(book.name()), 10_000)
        .await
        .unwrap();
    let (mut unread, mut refused) = (Vec::new(), Vec::new());
    for letter in letters {
        let key = letter.key.unwrap();
        let record = letter.fields.iter().find(|(name, _)| name == "_record_id");
        match record {
            // A column more makes another letter of it, and not another record.
            Some((_, record)) => refused.push(((record.clone(), letter.fields.len()), key)),
            None => unread.push((letter.fields, key)),
        }
    }
    let [unreadable_now, refused_now] = book.unfit();
    for (kept, now) in [
        (
            unread.iter().map(|(_, key)| key).collect::<BTreeSet<_>>(),
            unreadable_now,
        ),
        (refused.iter().map(|(_, key)| key).collect(), refused_now),
    ] {
        for key in &now {
            assert!(kept.contains(key), "{} {key} is not kept", book.name());
        }
    }
    for (what, all, different) in [
        (
            "unreadable",
            unread.len(),
            unread.iter().collect::<BTreeSet<_>>().len(),
        ),
        (
            "refused",
            refused.len(),
            refused.iter().collect::<BTreeSet<_>>().len(),
        ),
    ] {
        assert_eq!(all, different, "{what} records of {} kept", book.name());
    }
    // The lookback may send a record again that was refused; it is the same letter.
    let told: u64 = told(entries)
        .values()
        .filter(|batch| batch.stream == book.name())
        .map(|batch| batch.rejected)
        .sum();
    assert!(
        refused.len() as u64 <= told,
        "{refused:?}, refused {told} times"
    );
}

fn the_last_tie_out_is_right(book: &Book, entries: &[Entry]) {
    let last = entries.iter().rev().find_map(|entry| {
        let body = body(entry, "tied_out")?;
        (body["scope"]["stream"] == book.name()).then_some(body)
    });
    let last = last.unwrap();
    // What was rejected explains what is missing, whatever the key.
    let verdict = if book.is_sound() {
        "equal"
    } else {
        "explained"
    };
    assert_eq!(last["tie_out"]["verdict"], verdict, "{last}");
}

fn the_table_was_told_of(book: &Book, entries: &[Entry]) {
    let last = entries.iter().rev().find_map(|entry| {
        let body = body(entry, "schema_changed")?;
        let is_of_table = body["changes"].is_array();
        (is_of_table && body["scope"]["stream"] == book.name()).then_some(body)
    });
    let contract = book.descriptor.contract().to_string();
    assert_eq!(
        last.unwrap()["contract"],
        contract,
        "columns of {}",
        book.name()
    );
}

/// What the ledger says of each batch: it was prepared once and settled once, or given up and perhaps
/// prepared again.
fn told(entries: &[Entry]) -> BTreeMap<String, Told> {
    let mut told = BTreeMap::new();
    for entry in entries {
        if let Some(body) = body(entry, "batch_prepared") {
            let operation = serde_json::from_value(body["place"]["operation"].clone());
            let batch = Told {
                stream: body["scope"]["stream"].as_str().unwrap().to_owned(),
                operation: operation.unwrap(),
                rows: body["rows"].as_u64().unwrap(),
                rejected: u64::MAX,
            };
            let before = told.insert(id(&body), batch);
            assert!(before.is_none(), "prepared twice: {body}");
        } else if let Some(body) = body(entry, "batch_settled") {
            let batch = told.get_mut(&id(&body)).unwrap();
            assert_eq!(batch.rejected, u64::MAX, "settled twice: {body}");
            assert_eq!(body["rows"].as_u64(), Some(batch.rows));
            batch.rejected = body["rejected"].as_u64().unwrap();
        } else if let Some(id) = given_up(entry) {
            let batch = told.remove(&id).unwrap();
            assert_eq!(
                batch.rejected,
                u64::MAX,
                "given up when it was settled: {id}"
            );
        }
    }
    for (id, batch) in &told {
        assert_ne!(batch.rejected, u64::MAX, "never settled: {id} {batch:?}");
    }
    told
}

fn given_up(entry: &Entry) -> Option<String> {
    body(entry, "batch_given_up").map(|body| id(&body))
}

async fn every_batch_is_told_and_applied_once(
    home: &Home,
    books: &Books,
    warehouse: &Warehouse,
    entries: &[Entry],
    written: Written,
) {
    let told = told(entries);
    // Of these, what they wrote before is there too; the tables agree nevertheless.
    let given_up: BTreeSet<String> = entries.iter().filter_map(given_up).collect();
    let hashes: BTreeMap<String, String> = entries
        .iter()
        .filter_map(|entry| Some((id(&body(entry, "batch_prepared")?), entry.hash.to_string())))
        .filter(|(id, _)| !given_up.contains(id))
        .collect();
    let markers = warehouse
        .query("SELECT batch_id, ledger_entry FROM sync_batch")
        .await;
    let markers = markers.unwrap().rows.into_iter().map(|mut cells| {
        let entry = cells.pop().flatten().unwrap();
        (cells.pop().flatten().unwrap(), entry)
    });
    let markers: BTreeMap<_, _> = markers.filter(|(id, _)| !given_up.contains(id)).collect();
    assert_eq!(markers, hashes, "markers and prepared batches");
    if written == Written::Again {
        return;
    }

    let mut expected: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
    let removes = |stream: &str| {
        let mut books = books.streams.iter();
        let book = books.find(|book| book.name() == stream).unwrap();
        book.descriptor.delete_mode == DeleteMode::Remove
    };
    for (id, batch) in told {
        let rows = batch.rows - batch.rejected;
        let is_removal = batch.operation == Operation::Delete && removes(&batch.stream);
        let under = (batch.stream, (!is_removal).then_some(id));
        let was_given_up = under.1.as_ref().is_some_and(|id| given_up.contains(id));
        if rows > 0 && !was_given_up {
            *expected.entry(under).or_default() += rows;
        }
    }
    let Some(mut seen) = Witness::of(home).seen().await else {
        return;
    };
    seen.retain(|(_, batch), _| !batch.as_ref().is_some_and(|id| given_up.contains(id)));
    let rows = seen
        .iter()
        .map(|(under, writes)| (under.clone(), writes.rows));
    assert_eq!(
        rows.collect::<BTreeMap<_, _>>(),
        expected,
        "rows written, by batch"
    );
    for (under, writes) in seen.iter().filter(|((_, batch), _)| batch.is_some()) {
        assert_eq!(
            writes.rows, writes.records,
            "a row was written twice by {under:?}"
        );
    }
}

fn body(entry: &Entry, kind: &str) -> Option<Value> {
    (entry.kind == kind).then(|| serde_json::from_str(&entry.body).unwrap())
}

fn id(body: &Value) -> String {
    body["batch"].as_str().unwrap().to_owned()
}

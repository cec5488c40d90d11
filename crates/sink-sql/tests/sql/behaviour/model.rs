//! Random batches against a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sync_core::stream::TotalsShape;
use sync_core::totals::GroupTotals;
use sync_core::{Decimal, DeleteMode, StreamDescriptor, TotalsQuery};

use super::{Cell, Destination, at, decimal, deletes, integer, key_text, prepared, stream, text};
use super::{timestamp, upserts};

/// What one batch does.
#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<Record>),
    Delete(Vec<(u8, i64)>),
    /// Writes an earlier batch again.
    Again(prop::sample::Index),
}

#[derive(Clone, Debug)]
struct Record {
    key: (u8, i64),
    name: Option<String>,
    amount: Option<Decimal>,
    modified: Option<i64>,
}

/// A row of the model; `None` where a record of the destination is marked as gone.
type Model = BTreeMap<(String, i64), (bool, Record)>;

/// Whatever is written, in whatever order and however often: the table is what a map would be, and
/// its totals are those of a loop over that map.
///
/// `open` gives a fresh destination for every one of the `cases`.
pub(crate) fn table_and_totals_equal_a_model(
    mode: DeleteMode,
    cases: u32,
    open: impl Fn() -> Destination,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    });
    runner
        .run(&prop::collection::vec(step(), 1..12), |steps| {
            runtime.block_on(check(mode, &open(), steps))
        })
        .unwrap();
}

async fn check(mode: DeleteMode, to: &Destination, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let lines = lines(mode);
    prepared(to, &lines).await;
    let mut model = Model::new();
    let mut written = Vec::new();
    for (ordinal, step) in steps.into_iter().enumerate() {
        let ordinal = ordinal as u64;
        let batch = match step {
            Step::Upsert(records) => {
                let cells = records.iter().map(Record::cells).collect();
                for record in records {
                    model.insert(record.key(), (false, record));
                }
                upserts(&lines, ordinal, cells)
            }
            Step::Delete(keys) => {
                for &(entity, number) in &keys {
                    let key = (entity.to_string(), number);
                    match mode {
                        DeleteMode::Remove => drop(model.remove(&key)),
                        _ => drop(model.entry(key).and_modify(|(gone, _)| *gone = true)),
                    }
                }
                let cells = keys.iter().map(|&(entity, number)| {
                    vec![Cell::Text(entity.to_string()), Cell::Integer(number)]
                });
                deletes(&lines, ordinal, cells.collect())
            }
            Step::Again(_) if written.is_empty() => continue,
            Step::Again(which) => {
                let (batch, receipt) = which.get(&written);
                prop_assert_eq!(&to.sink.write(batch).await.unwrap(), receipt);
                continue;
            }
        };
        let receipt = to.sink.write(&batch).await.unwrap();
        prop_assert_eq!(&receipt.rejected, &[]);
        written.push((batch, receipt));
    }

    let columns = [
        "entity",
        "number",
        "name",
        "amount",
        "whenmodified",
        "_deleted",
    ];
    let mut expected: Vec<Vec<Option<String>>> = model
        .values()
        .map(|(gone, record)| record.texts(*gone))
        .collect();
    expected.sort();
    prop_assert_eq!(to.rows("line", &columns), expected);

    for bound in [None, Some(0), Some(3)] {
        let mut query = TotalsQuery::of(Arc::clone(&lines));
        query.modified_before = bound.map(at);
        let found = to.sink.control_totals(&query).await.unwrap().unwrap();
        prop_assert_eq!(found.groups, naive_totals(&model, bound));
    }
    Ok(())
}

fn naive_totals(model: &Model, bound: Option<i64>) -> BTreeMap<Vec<String>, GroupTotals> {
    let mut groups = BTreeMap::new();
    for (gone, record) in model.values() {
        let late = bound
            .zip(record.modified)
            .is_some_and(|(bound, at)| at >= bound);
        if *gone || late {
            continue;
        }
        let key = vec![record.name.clone().unwrap_or_default()];
        let group = groups.entry(key).or_insert_with(|| GroupTotals {
            records: 0,
            sums: vec![Decimal::ZERO],
        });
        group.records += 1;
        let amount = record.amount.unwrap_or(Decimal::ZERO);
        group.sums[0] = group.sums[0].checked_add(amount).unwrap();
    }
    groups
}

fn lines(mode: DeleteMode) -> Arc<StreamDescriptor> {
    let fields = vec![
        key_text("entity"),
        integer("number").with_nullable(false),
        text("name"),
        decimal("amount", 18),
        timestamp("whenmodified"),
    ];
    let mut lines = stream("line", &["entity", "number"], fields);
    let described = Arc::make_mut(&mut lines);
    described.delete_mode = mode;
    described.modified = Some("whenmodified".into());
    described.totals = TotalsShape {
        sums: vec!["amount".into()],
        group_by: vec!["name".into()],
        ..TotalsShape::default()
    };
    lines
}

impl Record {
    fn key(&self) -> (String, i64) {
        (self.key.0.to_string(), self.key.1)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Text(self.key.0.to_string()),
            Cell::Integer(self.key.1),
            self.name.clone().map_or(Cell::Null, Cell::Text),
            self.amount.map_or(Cell::Null, Cell::Decimal),
            self.modified.map_or(Cell::Null, Cell::Timestamp),
        ]
    }

    fn texts(&self, gone: bool) -> Vec<Option<String>> {
        let micros = |micros: i64| format!("1970-01-01 00:00:00.{micros:06}");
        vec![
            Some(self.key.0.to_string()),
            Some(self.key.1.to_string()),
            self.name.clone(),
            self.amount.map(|amount| amount.to_string()),
            self.modified.map(micros),
            Some(gone.to_string()),
        ]
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = (0u8..3, -2i64..3);
    prop_oneof![
        4 => prop::collection::vec(record(), 0..8).prop_map(Step::Upsert),
        2 => prop::collection::vec(key, 0..5).prop_map(Step::Delete),
        1 => any::<prop::sample::Index>().prop_map(Step::Again),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let name = prop::option::of(prop_oneof![Just(String::new()), "[a-c'\"é]{1,2}"]);
    let amount = prop_oneof![(any::<i64>(), 0u8..=18), (-100_000i64..100_000, Just(2u8)),]
        .prop_map(|(unscaled, scale)| Decimal::new(i128::from(unscaled), scale).unwrap());
    (
        (0u8..3, -2i64..3),
        name,
        prop::option::of(amount),
        prop::option::of(0i64..6),
    )
        .prop_map(|(key, name, amount, modified)| Record {
            key,
            name,
            amount,
            modified,
        })
}

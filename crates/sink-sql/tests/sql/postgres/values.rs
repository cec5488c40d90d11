//! What was sent in binary form, against what Postgres makes of it.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sync_core::column::Value;
use sync_core::{Decimal, Sink, StreamDescriptor};

use super::{Books, prepare};
use crate::behaviour::{
    Cell, boolean, date, decimal, integer, key_text, stream, text, timestamp, upserts,
};

const SCALES: [i8; 4] = [0, 9, 18, 37];

fn everything() -> Arc<StreamDescriptor> {
    let mut fields = vec![
        key_text("recordno"),
        text("words"),
        integer("number"),
        boolean("flag"),
        date("day"),
        timestamp("moment"),
    ];
    fields.extend(SCALES.map(|scale| decimal(&format!("amount_{scale}"), scale)));
    stream("everything", &["recordno"], fields)
}

/// Whatever a batch holds is what the table holds, in the words of the server.
#[test]
fn postgres_reads_what_was_meant() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(books) = runtime.block_on(Books::with_vendors()) else {
        return;
    };
    runtime.block_on(prepare(&books.sink, &everything()));
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(24)
    });
    let mut ordinal = 0;
    let ordinals = std::cell::RefCell::new(&mut ordinal);
    runner
        .run(&prop::collection::vec(values(), 1..40), |rows| {
            let mut ordinal = ordinals.borrow_mut();
            **ordinal += 1;
            runtime.block_on(check(&books, **ordinal, rows))
        })
        .unwrap();
}

async fn check(books: &Books, ordinal: u64, rows: Vec<Vec<Cell>>) -> Result<(), TestCaseError> {
    let keyed = |(key, row): (usize, &Vec<Cell>)| {
        let mut cells = vec![Cell::Text(format!("{key:03}"))];
        cells.extend(row.iter().cloned());
        cells
    };
    let cells: Vec<_> = rows.iter().enumerate().map(keyed).collect();
    let expected: Vec<Vec<Option<String>>> = cells
        .iter()
        .map(|row| row.iter().map(shown).collect())
        .collect();
    let batch = upserts(&everything(), ordinal, cells);
    let receipt = books.sink.write(&batch).await.unwrap();
    prop_assert_eq!(receipt.rejected, vec![]);
    let amounts = SCALES.map(|scale| format!("trim_scale(amount_{scale})"));
    let sql = format!(
        "SELECT recordno, words, number, flag::text, to_char(day, 'YYYY-MM-DD'), \
           to_char(moment, 'YYYY-MM-DD HH24:MI:SS.US'), {} \
         FROM everything WHERE _batch_id = '{}' ORDER BY recordno",
        amounts.join(", "),
        batch.id()
    );
    let mut there = books.sink.query(sql).await.unwrap().rows;
    for cell in there.iter_mut().flat_map(|row| &mut row[6..]).flatten() {
        *cell = cell.parse::<Decimal>().unwrap().to_string();
    }
    prop_assert_eq!(there, expected);
    Ok(())
}

fn shown(cell: &Cell) -> Option<String> {
    let value = match cell {
        Cell::Null => return None,
        Cell::Text(text) => Value::Text(text),
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Boolean(flag) => Value::Boolean(*flag),
        Cell::Date(days) => Value::Date(*days),
        Cell::Timestamp(micros) => Value::Timestamp(*micros),
        Cell::Decimal(decimal) => Value::Decimal(*decimal),
    };
    let mut text = String::new();
    value.push_to(&mut text);
    Some(text)
}

fn values() -> impl Strategy<Value = Vec<Cell>> {
    let amount = |scale: i8| {
        (0u32..=38, any::<u128>(), any::<bool>()).prop_map(move |(digits, seed, negative)| {
            let unscaled = (seed % 10u128.pow(digits)) as i128 * if negative { -1 } else { 1 };
            Cell::Decimal(Decimal::new(unscaled, scale as u8).unwrap())
        })
    };
    let mut of_every_type = vec![
        "[^\0]{0,40}".prop_map(Cell::Text).boxed(),
        any::<i64>().prop_map(Cell::Integer).boxed(),
        any::<bool>().prop_map(Cell::Boolean).boxed(),
        (-719_162i32..=2_932_896).prop_map(Cell::Date).boxed(),
        (-62_135_596_800_000_000i64..=253_402_300_799_999_999)
            .prop_map(Cell::Timestamp)
            .boxed(),
    ];
    of_every_type.extend(SCALES.map(|scale| amount(scale).boxed()));
    of_every_type
        .into_iter()
        .map(|value| prop_oneof![1 => Just(Cell::Null), 6 => value].boxed())
        .collect::<Vec<_>>()
}

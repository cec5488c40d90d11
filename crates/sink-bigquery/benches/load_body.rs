//! How fast a batch becomes the body of a load job: 200 MB a second of a core are asked for.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sink_bigquery::sink::LoadBody;
use sync_core::{Batch, BatchPlace, Operation, StreamDescriptor, StreamName, Window};
use time::macros::datetime;

const ROWS: usize = 50_000;

/// Ledger lines: twelve texts, a date, five amounts.
fn lines() -> Batch {
    let mut fields = vec![Field::new("recordno", DataType::Utf8, false)];
    let keys = (0..ROWS).map(|row| (1_000_000 + row).to_string());
    let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from_iter_values(keys))];
    let texts = [
        "accountno",
        "accounttitle",
        "bookid",
        "currency",
        "entry_state",
        "departmentid",
        "locationid",
        "vendorname",
        "description",
        "entrydescription",
        "docnumber",
    ];
    for (place, name) in texts.into_iter().enumerate() {
        fields.push(Field::new(name, DataType::Utf8, true));
        let values = (0..ROWS).map(|row| match (row + place) % 5 {
            0 => None,
            1 => Some(format!("{name} of line {row}, \"quoted\"")),
            _ => Some(format!("{place}{row:06}")),
        });
        columns.push(Arc::new(StringArray::from_iter(values)));
    }
    fields.push(Field::new("entry_date", DataType::Date32, true));
    columns.push(Arc::new(Date32Array::from_iter_values(
        (0..ROWS).map(|row| 20_000 + (row % 700) as i32),
    )));
    for name in [
        "amount",
        "debitamount",
        "creditamount",
        "trx_amount",
        "totaldue",
    ] {
        fields.push(Field::new(name, DataType::Decimal128(38, 9), true));
        let amounts = (0..ROWS).map(|row| (row as i128 * 7_919 - 100_000_000) * 10_000_000);
        let amounts = Decimal128Array::from_iter_values(amounts);
        columns.push(Arc::new(amounts.with_precision_and_scale(38, 9).unwrap()));
    }
    let schema = Arc::new(Schema::new(fields));
    let name = StreamName::new("gl_detail").unwrap();
    let key = vec!["recordno".to_owned()];
    let stream = StreamDescriptor::new(name, Arc::clone(&schema), key).unwrap();
    let rows = RecordBatch::try_new(schema, columns).unwrap();
    let until = datetime!(2026-01-31 18:00 UTC);
    let place = BatchPlace {
        pipeline: "books".into(),
        company: "DEMO".into(),
        operation: Operation::Upsert,
        window: Window { from: None, until },
        ordinal: 0,
    };
    Batch::new(Arc::new(stream), place, &rows, until).unwrap()
}

fn load_body(criterion: &mut Criterion) {
    let batch = lines();
    let bytes = LoadBody::of(&batch).unwrap().bytes().len() as u64;
    let mut group = criterion.benchmark_group("load_body");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("ledger_lines", |bencher| {
        bencher.iter(|| black_box(LoadBody::of(black_box(&batch)).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, load_body);
criterion_main!(benches);

//! What the body of a load takes on its way: no more than twice its bytes.

#![cfg(feature = "sink")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use allocation_counter::measure;
use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sink_bigquery::sink::LoadBody;
use sync_core::{Batch, BatchPlace, Operation, StreamDescriptor, StreamName, Window};
use time::macros::datetime;

/// Records of which the first are short and the last are long, so that no sample tells how long they are.
fn batch(rows: i64, long: usize) -> Batch {
    let fields = vec![
        Field::new("recordno", DataType::Int64, false),
        Field::new("amount", DataType::Decimal128(38, 9), true),
        Field::new("memo", DataType::Utf8, true),
    ];
    let amounts = (0..rows).map(|row| i128::from(row) * 12_345_678_901);
    let amounts = Decimal128Array::from_iter_values(amounts);
    let memo = "\"net\" 30, \u{e9}t\u{e9}, ".repeat(long);
    let memos = (0..rows).map(|row| (row % 3 > 0).then(|| if row < rows / 2 { "" } else { &memo }));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..rows)),
        Arc::new(amounts.with_precision_and_scale(38, 9).unwrap()),
        Arc::new(StringArray::from_iter(memos)),
    ];
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

#[test]
fn a_body_takes_no_more_than_twice_its_bytes() {
    for long in [0, 1, 40] {
        let batch = batch(50_000, long);
        let mut body = None;
        let used = measure(|| body = Some(LoadBody::of(&batch).unwrap()));
        let bytes = body.unwrap().bytes().len() as u64;
        assert!(bytes > 5_000_000, "{bytes}");
        let most = used.bytes_max;
        assert!(most <= 2 * bytes, "{most} bytes for a body of {bytes}");
    }
}

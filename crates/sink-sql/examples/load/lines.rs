//! Synthetic ledger lines.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use sync_core::stream::TotalsShape;
use sync_core::{Batch, BatchPlace, Operation, StreamDescriptor, StreamName, Window};
use time::macros::datetime;

use crate::Failure;

const TEXTS: usize = 30;
const AMOUNTS: usize = 8;
const DATES: usize = 5;
const NUMBERS: usize = 5;

/// A stream of lines as wide as those of a ledger: 50 columns.
pub(crate) fn ledger_lines() -> Result<StreamDescriptor, Failure> {
    let mut fields = vec![
        Field::new("recordno", DataType::Utf8, false),
        Field::new(
            "whenmodified",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ];
    let mut add = |count: usize, name: &str, data_type: DataType| {
        fields
            .extend((0..count).map(|n| Field::new(format!("{name}{n}"), data_type.clone(), true)));
    };
    add(TEXTS, "text", DataType::Utf8);
    add(AMOUNTS, "amount", DataType::Decimal128(38, 9));
    add(DATES, "date", DataType::Date32);
    add(NUMBERS, "number", DataType::Int64);
    let schema = Arc::new(Schema::new(fields));
    let key = vec!["recordno".to_owned()];
    let mut stream = StreamDescriptor::new(StreamName::new("ledger_line")?, schema, key)?;
    stream.modified = Some("whenmodified".to_owned());
    stream.totals = TotalsShape {
        sums: vec!["amount0".to_owned(), "amount1".to_owned()],
        group_by: vec!["text0".to_owned(), "text1".to_owned()],
        ..TotalsShape::default()
    };
    Ok(stream)
}

/// Lines of these numbers; another `pass` has other numbers in them.
pub(crate) fn lines(
    schema: &SchemaRef,
    range: Range<usize>,
    pass: u64,
) -> Result<RecordBatch, Failure> {
    let numbers = || range.clone().map(|line| line as i64);
    let seconds = 1_767_225_600_000_000i64;
    let columns = schema.fields().iter().enumerate().map(|(position, field)| {
        let column = position as i64;
        Ok(match field.data_type() {
            DataType::Utf8 if position == 0 => Arc::new(StringArray::from_iter_values(
                numbers().map(|line| line.to_string()),
            )) as ArrayRef,
            // A third of a ledger line's dimensions are empty.
            DataType::Utf8 => Arc::new(StringArray::from_iter(numbers().map(|line| {
                (position < 4 || (line + column) % 3 > 0)
                    .then(|| format!("{}-{:03}", 4000 + column, (line * column) % 40))
            }))),
            DataType::Decimal128(..) => Arc::new(
                Decimal128Array::from_iter_values(
                    numbers()
                        .map(|line| i128::from(line * 977 % 10_000_019 - 5_000_000) * 10_000_000),
                )
                .with_precision_and_scale(38, 9)?,
            ),
            DataType::Date32 => Arc::new(Date32Array::from_iter_values(
                numbers().map(|line| 20_000 + (line % 365) as i32),
            )),
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(
                numbers().map(|line| line + pass as i64),
            )),
            _ => Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    numbers().map(|line| seconds + line / 5 * 1_000_000),
                )
                .with_timezone("UTC"),
            ),
        })
    });
    let columns = columns.collect::<Result<Vec<_>, Failure>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// A batch of lines.
pub(crate) fn batch(
    stream: &Arc<StreamDescriptor>,
    rows: &RecordBatch,
    ordinal: u64,
) -> Result<Batch, Failure> {
    let until = datetime!(2026-01-31 18:02 UTC);
    let place = BatchPlace {
        pipeline: "load".to_owned(),
        company: "DEMO".to_owned(),
        operation: Operation::Upsert,
        window: Window { from: None, until },
        ordinal,
    };
    Ok(Batch::new(Arc::clone(stream), place, rows, until)?)
}

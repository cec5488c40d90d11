//! Streams and batches from few words.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use sync_core::{Batch, BatchPlace, Decimal, Operation, StreamDescriptor, StreamName, Window};
use time::OffsetDateTime;
use time::macros::datetime;

use super::Destination;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Boolean(bool),
    Date(i32),
    Timestamp(i64),
    Decimal(Decimal),
}

impl Cell {
    pub(crate) fn decimal(text: &str) -> Self {
        Self::Decimal(text.parse().unwrap())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

pub(crate) fn key_text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

pub(crate) fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

pub(crate) fn integer(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

pub(crate) fn boolean(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

pub(crate) fn date(name: &str) -> Field {
    Field::new(name, DataType::Date32, true)
}

pub(crate) fn timestamp(name: &str) -> Field {
    Field::new(
        name,
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        true,
    )
}

pub(crate) fn decimal(name: &str, scale: i8) -> Field {
    Field::new(name, DataType::Decimal128(38, scale), true)
}

pub(crate) fn stream(name: &str, key: &[&str], fields: Vec<Field>) -> Arc<StreamDescriptor> {
    let key = key.iter().map(|&name| name.to_owned()).collect();
    let schema = Arc::new(Schema::new(fields));
    Arc::new(StreamDescriptor::new(StreamName::new(name).unwrap(), schema, key).unwrap())
}

/// So many microseconds behind the epoch.
pub(crate) fn at(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap()
}

/// Plans and prepares a stream.
pub(crate) async fn prepared(to: &Destination, stream: &StreamDescriptor) {
    let plan = to.sink.plan(stream).await.unwrap();
    to.sink.prepare(&plan).await.unwrap();
}

pub(crate) fn upserts(
    stream: &Arc<StreamDescriptor>,
    ordinal: u64,
    cells: Vec<Vec<Cell>>,
) -> Batch {
    batch(stream, Operation::Upsert, ordinal, &rows(stream, cells))
}

/// `keys` hold the key columns in the order of the stream's columns.
pub(crate) fn deletes(stream: &Arc<StreamDescriptor>, ordinal: u64, keys: Vec<Vec<Cell>>) -> Batch {
    let fields = stream.schema.fields().iter();
    let of_key: Vec<Field> = fields
        .filter(|field| stream.key.contains(field.name()))
        .map(|field| field.as_ref().clone())
        .collect();
    let key: Vec<&str> = stream.key.iter().map(String::as_str).collect();
    let keys_only = self::stream(stream.name.as_str(), &key, of_key);
    batch(stream, Operation::Delete, ordinal, &rows(&keys_only, keys))
}

pub(crate) fn batch(
    stream: &Arc<StreamDescriptor>,
    operation: Operation,
    ordinal: u64,
    rows: &RecordBatch,
) -> Batch {
    let until = datetime!(2026-01-31 18:02 UTC);
    let place = BatchPlace {
        pipeline: "suite".into(),
        company: "DEMO".into(),
        operation,
        window: Window { from: None, until },
        ordinal,
    };
    Batch::new(Arc::clone(stream), place, rows, until).unwrap()
}

pub(crate) fn rows(stream: &StreamDescriptor, cells: Vec<Vec<Cell>>) -> RecordBatch {
    let fields = stream.schema.fields().iter().enumerate();
    let columns = fields.map(|(position, field)| {
        let values = cells.iter().map(|row| &row[position]);
        column(field.data_type(), values)
    });
    let columns = columns.collect();
    RecordBatch::try_new(Arc::clone(&stream.schema), columns).unwrap()
}

fn column<'a>(data_type: &DataType, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    macro_rules! values {
        ($variant:ident) => {
            cells.map(|cell| match cell {
                Cell::$variant(value) => Some(value.clone()),
                Cell::Null => None,
                other => panic!("{other:?} in a column of type {data_type}"),
            })
        };
    }
    match data_type {
        DataType::Utf8 => Arc::new(values!(Text).collect::<StringArray>()),
        DataType::Int64 => Arc::new(values!(Integer).collect::<Int64Array>()),
        DataType::Boolean => Arc::new(values!(Boolean).collect::<BooleanArray>()),
        DataType::Date32 => Arc::new(values!(Date).collect::<Date32Array>()),
        DataType::Timestamp(..) => Arc::new(
            values!(Timestamp)
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        DataType::Decimal128(precision, scale) => {
            let unscaled = cells.map(|cell| match cell {
                Cell::Decimal(value) => Some(value.at_scale(*scale as u8).unwrap()),
                _ => None,
            });
            let array: Decimal128Array = unscaled.collect();
            Arc::new(array.with_data_type(DataType::Decimal128(*precision, *scale)))
        }
        other => panic!("no column of type {other}"),
    }
}

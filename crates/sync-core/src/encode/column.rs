//! The columns of a batch as plain slices.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, TimeUnit};

use crate::decimal::MAX_DIGITS;
use crate::error::{Error, ErrorKind, Result};

pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    pub(super) values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
}

pub(super) enum Values<'a> {
    Text {
        bytes: &'a [u8],
        ends: &'a [i32],
    },
    LongText {
        bytes: &'a [u8],
        ends: &'a [i64],
    },
    Integer(&'a [i64]),
    SmallInteger(&'a [i32]),
    Unsigned(&'a [u64]),
    Decimal {
        units: &'a [i128],
        scale: u8,
    },
    Boolean(&'a BooleanBuffer),
    /// Days since 1970-01-01.
    Date(&'a [i32]),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(&'a [i64]),
}

impl<'a> Column<'a> {
    pub(super) fn all(rows: &'a RecordBatch) -> Result<Vec<Self>> {
        let fields = rows.schema_ref().fields().iter();
        fields
            .zip(rows.columns())
            .map(|(field, array)| Self::of(field.name(), array.as_ref()))
            .collect()
    }

    fn of(name: &'a str, array: &'a dyn Array) -> Result<Self> {
        let values = match array.data_type() {
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                let (bytes, ends) = (array.value_data(), array.value_offsets());
                Values::Text { bytes, ends }
            }
            DataType::LargeUtf8 => {
                let array = array.as_string::<i64>();
                let (bytes, ends) = (array.value_data(), array.value_offsets());
                Values::LongText { bytes, ends }
            }
            DataType::Int64 => Values::Integer(array.as_primitive::<Int64Type>().values()),
            DataType::Int32 => Values::SmallInteger(array.as_primitive::<Int32Type>().values()),
            DataType::UInt64 => Values::Unsigned(array.as_primitive::<UInt64Type>().values()),
            DataType::Decimal128(_, scale) if (0..=MAX_DIGITS as i8).contains(scale) => {
                Values::Decimal {
                    units: array.as_primitive::<Decimal128Type>().values(),
                    scale: scale.unsigned_abs(),
                }
            }
            DataType::Boolean => Values::Boolean(array.as_boolean().values()),
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
                Values::Timestamp(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            other => {
                let what = "a column of this type cannot be encoded; use text, whole numbers, \
                            Decimal128 with a scale of 0 to 38, Boolean, Date32 or \
                            Timestamp(Microsecond, UTC)";
                return Err(Error::new(ErrorKind::Unsupported, what)
                    .with("column", name)
                    .with("type", other.to_string()));
            }
        };
        let nulls = array.nulls();
        Ok(Self {
            name,
            values,
            nulls,
        })
    }

    #[inline(always)]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// The bytes of text in these rows.
    pub(super) fn text_bytes(&self, rows: Range<usize>) -> usize {
        match self.values {
            Values::Text { ends, .. } => (ends[rows.end] - ends[rows.start]) as usize,
            Values::LongText { ends, .. } => (ends[rows.end] - ends[rows.start]) as usize,
            _ => 0,
        }
    }
}

/// The bytes of text in these rows of all columns.
pub(super) fn text_bytes<'c, 'a: 'c>(
    columns: impl Iterator<Item = &'c Column<'a>>,
    rows: Range<usize>,
) -> usize {
    columns.map(|column| column.text_bytes(rows.clone())).sum()
}

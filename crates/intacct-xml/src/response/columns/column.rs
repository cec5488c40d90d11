//! One column under construction.

use std::sync::Arc;

use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, PrimitiveArray, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, TimeUnit};
use time::UtcOffset;

use super::bits::Bits;
use crate::error::{Error, shown};
use crate::response::predict::Block;
use crate::rewrite::Scratch;
use crate::values;

/// Values and nulls of a column. Rows can be taken back, which Arrow's own builders cannot.
pub(super) struct Column {
    name: String,
    nullable: bool,
    values: Values,
    valid: Bits,
}

enum Values {
    Text {
        bytes: Scratch,
        offsets: Vec<i32>,
    },
    Integer(Vec<i64>),
    Decimal {
        units: Vec<i128>,
        precision: u8,
        scale: u8,
    },
    Boolean(Bits),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
}

impl Column {
    pub(super) fn new(name: String, field: &Field) -> Result<Self, Error> {
        let values = match field.data_type() {
            DataType::Utf8 => Values::Text {
                bytes: Scratch::default(),
                offsets: vec![0],
            },
            DataType::Int64 => Values::Integer(Vec::new()),
            DataType::Decimal128(precision, scale) if (0..=*precision as i8).contains(scale) => {
                Values::Decimal {
                    units: Vec::new(),
                    precision: *precision,
                    scale: *scale as u8,
                }
            }
            DataType::Boolean => Values::Boolean(Bits::default()),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
                Values::Timestamp(Vec::new())
            }
            other => {
                return Err(Error::invalid(format!(
                    "the column {} has the type {other}, which no field is read as",
                    shown(field.name())
                ))
                .advise(
                    "use Utf8, Int64, Decimal128 with a scale of 0 or more, Boolean, Date32 or \
                     Timestamp(Microsecond, UTC)",
                ));
            }
        };
        let valid = Bits::default();
        Ok(Self {
            name,
            nullable: field.is_nullable(),
            values,
            valid,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_nullable(&self) -> bool {
        self.nullable
    }

    pub(super) fn len(&self) -> usize {
        self.valid.len()
    }

    /// Adds a value, or says why it is none of this column's.
    ///
    /// White space around anything but text means nothing; text keeps it.
    pub(super) fn push(&mut self, text: &str, source: UtcOffset) -> Result<(), &'static str> {
        if let Values::Text { bytes, offsets } = &mut self.values {
            let end = i32::try_from(bytes.len() + text.len())
                .map_err(|_| "the texts of the column are longer than 2 GiB")?;
            bytes.push(text.as_bytes());
            offsets.push(end);
            self.valid.push(true);
            return Ok(());
        }
        let text = text.as_bytes().trim_ascii();
        if text.is_empty() {
            if self.nullable {
                self.push_null();
            }
            return Ok(());
        }
        match &mut self.values {
            Values::Text { .. } => {}
            Values::Integer(numbers) => numbers.push(values::integer(text)?),
            Values::Decimal {
                units,
                precision,
                scale,
            } => {
                units.push(values::decimal(text, *scale, *precision)?);
            }
            Values::Boolean(bits) => bits.push(values::boolean(text)?),
            Values::Date(days) => days.push(values::date_days(text)?),
            Values::Timestamp(micros) => {
                micros.push(values::timestamp_microseconds(text, source)?);
            }
        }
        self.valid.push(true);
        Ok(())
    }

    /// Adds a field's values of several records. `None` if one of them does not fit: then it is not
    /// known how many were added.
    pub(super) fn extend(
        &mut self,
        block: &Block<'_>,
        field: usize,
        source: UtcOffset,
    ) -> Option<()> {
        let texts = block.texts(field);
        let valid = match &mut self.values {
            Values::Text { bytes, offsets } => {
                let (mut valid, mut bit) = (0, 1_u32);
                // Whether a field is empty is not to be predicted, so there is no branch on it.
                let mut ends = [0; Block::MOST_RECORDS];
                for ((text, len), end) in block.starts_of_texts(field).zip(&mut ends) {
                    bytes.push_start(text, len);
                    valid |= if len > 0 { bit } else { 0 };
                    bit <<= 1;
                    *end = bytes.len() as i32;
                }
                offsets.extend_from_slice(&ends[..block.len()]);
                // Offsets beyond it were cut, but this one's end shows it.
                i32::try_from(bytes.len()).ok()?;
                valid
            }
            Values::Integer(numbers) => extend(numbers, texts, values::integer)?,
            Values::Decimal {
                units,
                precision,
                scale,
            } => extend(units, texts, |text| {
                values::decimal(text, *scale, *precision)
            })?,
            Values::Boolean(bits) => {
                let (mut valid, mut set, mut bit) = (0, 0, 1_u32);
                for text in texts {
                    let text = text.map(<[u8]>::trim_ascii);
                    if let Some(text) = text.filter(|text| !text.is_empty()) {
                        valid |= bit;
                        set |= if values::boolean(text).ok()? { bit } else { 0 };
                    }
                    bit <<= 1;
                }
                bits.extend(set, block.len());
                valid
            }
            Values::Date(days) => extend(days, texts, values::date_days)?,
            Values::Timestamp(micros) => extend(micros, texts, |text| {
                values::timestamp_microseconds(text, source)
            })?,
        };
        let all = u32::MAX >> (32 - block.len() as u32);
        if valid != all && !self.nullable {
            return None;
        }
        self.valid.extend(valid, block.len());
        Some(())
    }

    /// Adds nulls, or `None` if there must not be any.
    pub(super) fn extend_null(&mut self, rows: usize) -> Option<()> {
        if !self.nullable {
            return None;
        }
        (0..rows).for_each(|_| self.push_null());
        Some(())
    }

    pub(super) fn push_null(&mut self) {
        match &mut self.values {
            Values::Text { bytes, offsets } => {
                // The length was checked when it was pushed.
                offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            }
            Values::Integer(numbers) => numbers.push(0),
            Values::Decimal { units, .. } => units.push(0),
            Values::Boolean(bits) => bits.push(false),
            Values::Date(days) => days.push(0),
            Values::Timestamp(micros) => micros.push(0),
        }
        self.valid.push(false);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Text { bytes, offsets } => {
                offsets.truncate(rows + 1);
                let end = offsets.last().copied().unwrap_or(0);
                bytes.truncate(usize::try_from(end).unwrap_or(0));
            }
            Values::Integer(numbers) => numbers.truncate(rows),
            Values::Decimal { units, .. } => units.truncate(rows),
            Values::Boolean(bits) => bits.truncate(rows),
            Values::Date(days) => days.truncate(rows),
            Values::Timestamp(micros) => micros.truncate(rows),
        }
        self.valid.truncate(rows);
    }

    /// The array; what remains is an empty column with room for as much again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, Error> {
        let nulls = Some(NullBuffer::new(self.valid.take()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let array: ArrayRef = match &mut self.values {
            Values::Text { bytes, offsets } => {
                let room = (bytes.len(), offsets.len());
                let bytes = std::mem::replace(bytes, Scratch::with_capacity(room.0));
                let offsets = std::mem::replace(offsets, Vec::with_capacity(room.1));
                let array = StringArray::try_new(
                    OffsetBuffer::new(ScalarBuffer::from(offsets)),
                    Buffer::from_vec(bytes.into_bytes()),
                    nulls,
                );
                if let Values::Text { offsets, .. } = &mut self.values {
                    offsets.push(0);
                }
                Arc::new(array.map_err(|_| refused())?)
            }
            Values::Integer(numbers) => Arc::new(
                PrimitiveArray::<Int64Type>::try_new(taken(numbers), nulls)
                    .map_err(|_| refused())?,
            ),
            Values::Decimal {
                units,
                precision,
                scale,
            } => Arc::new(
                Decimal128Array::try_new(taken(units), nulls)
                    .and_then(|array| array.with_precision_and_scale(*precision, *scale as i8))
                    .map_err(|_| refused())?,
            ),
            Values::Boolean(bits) => Arc::new(BooleanArray::new(bits.take(), nulls)),
            Values::Date(days) => Arc::new(
                PrimitiveArray::<Date32Type>::try_new(taken(days), nulls).map_err(|_| refused())?,
            ),
            Values::Timestamp(micros) => {
                let array: TimestampMicrosecondArray =
                    PrimitiveArray::<TimestampMicrosecondType>::try_new(taken(micros), nulls)
                        .map_err(|_| refused())?;
                Arc::new(array.with_timezone("UTC"))
            }
        };
        Ok(array)
    }
}

/// Adds values, and gives a bit for each: whether there is one.
#[inline(always)]
fn extend<'t, T: Default>(
    values: &mut Vec<T>,
    texts: impl Iterator<Item = Option<&'t [u8]>>,
    parse: impl Fn(&[u8]) -> Result<T, &'static str>,
) -> Option<u32> {
    let (mut valid, mut bit) = (0, 1_u32);
    values.reserve(Block::MOST_RECORDS);
    for text in texts {
        let text = text.map(<[u8]>::trim_ascii);
        match text.filter(|text| !text.is_empty()) {
            Some(text) => {
                values.push(parse(text).ok()?);
                valid |= bit;
            }
            None => values.push(T::default()),
        }
        bit <<= 1;
    }
    Some(valid)
}

pub(super) fn refused() -> Error {
    Error::limit("the columns of a page do not make an Arrow batch").advise("ask for smaller pages")
}

fn taken<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    let room = values.len();
    ScalarBuffer::from(std::mem::replace(values, Vec::with_capacity(room)))
}

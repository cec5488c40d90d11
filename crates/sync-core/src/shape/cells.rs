//! Columns, value by value.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_schema::DataType;

use super::kind::ColumnKind;
use crate::column::Value;
use crate::error::{Error, ErrorKind, Result};

/// A column that is being filled.
#[derive(Debug)]
pub(super) enum Cells {
    Text(StringBuilder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder, u8),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Cells {
    pub(super) fn new(data_type: &DataType, rows: usize) -> Result<Self> {
        Ok(match ColumnKind::of(data_type).ok_or_else(misfit)? {
            ColumnKind::Text => Self::Text(StringBuilder::with_capacity(rows, rows * 16)),
            ColumnKind::Integer => Self::Integer(Int64Builder::with_capacity(rows)),
            ColumnKind::Decimal { scale } => {
                let cells = Decimal128Builder::with_capacity(rows);
                Self::Decimal(cells.with_data_type(data_type.clone()), scale)
            }
            ColumnKind::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnKind::Date => Self::Date(Date32Builder::with_capacity(rows)),
            ColumnKind::Timestamp => {
                let cells = TimestampMicrosecondBuilder::with_capacity(rows);
                Self::Timestamp(cells.with_timezone("UTC"))
            }
        })
    }

    pub(super) fn push(&mut self, value: Value<'_>) -> Result<()> {
        match (self, value) {
            (Self::Text(cells), Value::Null) => cells.append_null(),
            (Self::Integer(cells), Value::Null) => cells.append_null(),
            (Self::Decimal(cells, _), Value::Null) => cells.append_null(),
            (Self::Boolean(cells), Value::Null) => cells.append_null(),
            (Self::Date(cells), Value::Null) => cells.append_null(),
            (Self::Timestamp(cells), Value::Null) => cells.append_null(),
            (Self::Text(cells), Value::Text(value)) => cells.append_value(value),
            (Self::Integer(cells), Value::Integer(value)) => cells.append_value(value),
            (Self::Decimal(cells, scale), Value::Decimal(value)) => {
                cells.append_value(value.at_scale(*scale).ok_or_else(misfit)?);
            }
            (Self::Boolean(cells), Value::Boolean(value)) => cells.append_value(value),
            (Self::Date(cells), Value::Date(value)) => cells.append_value(value),
            (Self::Timestamp(cells), Value::Timestamp(value)) => cells.append_value(value),
            _ => return Err(misfit()),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Text(mut cells) => Arc::new(cells.finish()),
            Self::Integer(mut cells) => Arc::new(cells.finish()),
            Self::Decimal(mut cells, _) => Arc::new(cells.finish()),
            Self::Boolean(mut cells) => Arc::new(cells.finish()),
            Self::Date(mut cells) => Arc::new(cells.finish()),
            Self::Timestamp(mut cells) => Arc::new(cells.finish()),
        })
    }
}

fn misfit() -> Error {
    let what = "a treated value is not of its column's type";
    Error::new(ErrorKind::Internal, what)
}

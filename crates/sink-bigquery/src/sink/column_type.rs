//! What a column holds, and what BigQuery calls it.

use arrow_schema::DataType;
use sync_core::column::is_supported;
use sync_core::{Error, ErrorKind, Result};

use crate::client::FieldType;

/// The most places behind the point that `NUMERIC` keeps (BigQuery documentation, Data types, Decimal
/// types).
pub(super) const NUMERIC_SCALE: u8 = 9;

/// The most digits before the point that `NUMERIC` keeps.
const NUMERIC_WHOLE_DIGITS: u8 = 29;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Text,
    Integer,
    Boolean,
    /// A decimal with at most nine places.
    Numeric,
    /// A decimal with more.
    BigNumeric,
    Date,
    Timestamp,
}

impl ColumnType {
    /// The type that holds every value of an Arrow type, but for those decimals that
    /// [`most_units`] is about.
    pub(super) fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            other if !is_supported(other) => {
                let what = "a table cannot have a column of this type";
                return Err(
                    Error::new(ErrorKind::Unsupported, what).with("type", other.to_string())
                );
            }
            DataType::Utf8 => Self::Text,
            DataType::Int64 => Self::Integer,
            DataType::Boolean => Self::Boolean,
            DataType::Decimal128(_, scale) if scale.unsigned_abs() <= NUMERIC_SCALE => {
                Self::Numeric
            }
            DataType::Decimal128(..) => Self::BigNumeric,
            DataType::Date32 => Self::Date,
            _ => Self::Timestamp,
        })
    }

    /// What BigQuery calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "STRING",
            Self::Integer => "INT64",
            Self::Boolean => "BOOL",
            Self::Numeric => "NUMERIC",
            Self::BigNumeric => "BIGNUMERIC",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
        }
    }

    /// The type of a column that is made for it.
    pub(super) fn field_type(self) -> FieldType {
        FieldType::from_name(self.name())
    }

    /// Whether a column that is there can become one of this type, and keeps all its values (BigQuery
    /// documentation, Data definition language, `SET DATA TYPE`).
    pub(super) fn widens(self, there: &FieldType) -> bool {
        matches!((there, self), (FieldType::Numeric, Self::BigNumeric))
    }

    /// Whether a column that is there takes all values of this type.
    pub(super) fn fits(self, there: &FieldType) -> bool {
        let is_larger = matches!((self, there), (Self::Numeric, FieldType::BigNumeric));
        *there == self.field_type() || is_larger
    }
}

/// The most that the digits of a decimal of this scale may be, where `NUMERIC` cannot hold all of
/// them: those of 38 digits with few places have more than 29 before the point.
pub(super) fn most_units(scale: u8) -> Option<i128> {
    let digits = u32::from(NUMERIC_WHOLE_DIGITS + scale);
    (scale < NUMERIC_SCALE).then(|| 10_i128.pow(digits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_held_by_their_places() {
        let of = |scale| ColumnType::of(&DataType::Decimal128(38, scale)).unwrap();
        assert_eq!(of(0), ColumnType::Numeric);
        assert_eq!(of(9), ColumnType::Numeric);
        assert_eq!(of(10), ColumnType::BigNumeric);
        assert_eq!(of(38), ColumnType::BigNumeric);
        assert_eq!(most_units(9), None);
        assert!(of(0).fits(&FieldType::BigNumeric) && !of(10).fits(&FieldType::Numeric));
        assert!(of(10).widens(&FieldType::Numeric));
        assert_eq!(most_units(2), Some(10_i128.pow(31) - 1));
    }
}

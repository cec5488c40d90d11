//! What a column holds, apart from what a database calls it.

use std::fmt;

use arrow_schema::DataType;
use sync_core::column::is_supported;
use sync_core::{Error, ErrorKind, Result};

/// The type of a column in the words of the catalogue table.
///
/// A database may hold several of them as the same type, so the catalogue remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Text,
    Integer,
    Boolean,
    Decimal {
        /// How many places it has behind the point.
        scale: u8,
    },
    Date,
    Timestamp,
}

impl ColumnType {
    /// The type that holds values of an Arrow type.
    pub(crate) fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            supported if !is_supported(supported) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "a table cannot have a column of this type",
                )
                .with("type", data_type.to_string()));
            }
            DataType::Utf8 => Self::Text,
            DataType::Int64 => Self::Integer,
            DataType::Boolean => Self::Boolean,
            DataType::Decimal128(_, scale) => Self::Decimal {
                // What is supported is not negative.
                scale: scale.unsigned_abs(),
            },
            DataType::Date32 => Self::Date,
            _ => Self::Timestamp,
        })
    }

    /// The word that the catalogue table keeps.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Decimal { .. } => "decimal",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

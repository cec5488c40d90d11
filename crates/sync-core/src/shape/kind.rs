//! What a column holds, in one word that mappings, the store and the ledger share.

use std::fmt;
use std::str::FromStr;

use arrow_schema::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::column::is_supported;
use crate::decimal::MAX_DIGITS;
use crate::error::{Error, ErrorKind};

/// What a column holds. Written as `text`, `integer`, `boolean`, `decimal(9)`, `date`, `timestamp`;
/// `decimal` alone is read as `decimal(9)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum ColumnKind {
    /// Text.
    Text,
    /// Whole numbers of 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// Decimals of 38 digits.
    Decimal {
        /// How many of the digits stand behind the point.
        scale: u8,
    },
    /// Days.
    Date,
    /// Microseconds in UTC.
    Timestamp,
}

/// The places that decimals have where nothing else is said.
pub(super) const USUAL_SCALE: u8 = 9;

impl ColumnKind {
    /// What a column of this Arrow type holds; none where no batch carries it.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            unsupported if !is_supported(unsupported) => return None,
            DataType::Utf8 => Self::Text,
            DataType::Int64 => Self::Integer,
            DataType::Boolean => Self::Boolean,
            DataType::Decimal128(_, scale) => Self::Decimal {
                scale: scale.unsigned_abs(),
            },
            DataType::Date32 => Self::Date,
            _ => Self::Timestamp,
        })
    }

    /// The Arrow type that holds it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Decimal { scale } => {
                // A scale is at most 38.
                DataType::Decimal128(MAX_DIGITS, i8::try_from(scale).unwrap_or(i8::MAX))
            }
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// The word without particulars, as it stands in the names of columns.
    pub fn word(self) -> &'static str {
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

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { scale } => write!(f, "decimal({scale})"),
            other => f.pad(other.word()),
        }
    }
}

impl FromStr for ColumnKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let scale = |text: &str| {
            let digits = text.strip_prefix("decimal(")?.strip_suffix(')')?;
            digits.parse().ok().filter(|&scale| scale <= MAX_DIGITS)
        };
        Ok(match text {
            "text" => Self::Text,
            "integer" => Self::Integer,
            "boolean" => Self::Boolean,
            "decimal" => Self::Decimal { scale: USUAL_SCALE },
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            other => match scale(other) {
                Some(scale) => Self::Decimal { scale },
                None => {
                    let what = "a column holds text, integer, boolean, decimal(0) to decimal(38), \
                                date or timestamp";
                    return Err(Error::new(ErrorKind::Config, what).with("found", other));
                }
            },
        })
    }
}

impl TryFrom<String> for ColumnKind {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ColumnKind> for String {
    fn from(kind: ColumnKind) -> Self {
        kind.to_string()
    }
}

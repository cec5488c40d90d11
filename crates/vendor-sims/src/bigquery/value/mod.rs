//! Values as BigQuery types them, and their forms on the wire.
//!
//! docs.cloud.google.com/bigquery, Data types.

mod decimal;
mod decode;
mod encode;
mod instant;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub(crate) use self::decimal::{BigNumeric, Numeric};
pub(crate) use self::decode::{Mistake, Reading, Wire, cast_text, decode, fitted, parameter};
pub(crate) use self::encode::{TimestampForm, cell, plain};
pub(crate) use self::instant::{MICROS_PER_DAY, MICROS_PER_SECOND, calendar_date, date_text};
pub(crate) use self::instant::{
    parse_date, parse_datetime, parse_time, parse_timestamp, time_text, timestamp_text, truncated,
};

/// A row of a table or of a result, shared by whoever looks at it.
pub(crate) type Row = Arc<[Value]>;

/// One value. Which type a null has is known from where it stands.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Numeric(Numeric),
    BigNumeric(Box<BigNumeric>),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01 00:00:00, of no zone.
    Datetime(i64),
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    Timestamp(i64),
    Json(Arc<serde_json::Value>),
    Array(Arc<[Value]>),
    Struct(Arc<[Value]>),
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// The type of `NULL` alone, which every other type takes in.
    Null,
    Bool,
    Int64,
    Float64,
    Numeric,
    BigNumeric,
    String,
    Bytes,
    Date,
    Time,
    Datetime,
    Timestamp,
    Json,
    Array(Box<Type>),
    Struct(Arc<[(String, Type)]>),
}

impl Type {
    /// The name in SQL and in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Null => "INT64".to_owned(),
            Self::Bool => "BOOL".to_owned(),
            Self::Int64 => "INT64".to_owned(),
            Self::Float64 => "FLOAT64".to_owned(),
            Self::Numeric => "NUMERIC".to_owned(),
            Self::BigNumeric => "BIGNUMERIC".to_owned(),
            Self::String => "STRING".to_owned(),
            Self::Bytes => "BYTES".to_owned(),
            Self::Date => "DATE".to_owned(),
            Self::Time => "TIME".to_owned(),
            Self::Datetime => "DATETIME".to_owned(),
            Self::Timestamp => "TIMESTAMP".to_owned(),
            Self::Json => "JSON".to_owned(),
            Self::Array(element) => format!("ARRAY<{}>", element.name()),
            Self::Struct(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, kind)| format!("{name} {}", kind.name()).trim().to_owned())
                    .collect();
                format!("STRUCT<{}>", fields.join(", "))
            }
        }
    }

    /// The name that resources show, which is the older one for some types.
    pub(crate) fn wire_name(&self) -> &'static str {
        match self {
            Self::Bool => "BOOLEAN",
            Self::Null | Self::Int64 => "INTEGER",
            Self::Float64 => "FLOAT",
            Self::Numeric => "NUMERIC",
            Self::BigNumeric => "BIGNUMERIC",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::Datetime => "DATETIME",
            Self::Timestamp => "TIMESTAMP",
            Self::Json => "JSON",
            Self::Array(element) => element.wire_name(),
            Self::Struct(_) => "RECORD",
        }
    }

    pub(crate) fn is_numeric(&self) -> bool {
        matches!(
            self,
            Self::Int64 | Self::Float64 | Self::Numeric | Self::BigNumeric | Self::Null
        )
    }

    /// Whether values can be compared and grouped.
    pub(crate) fn has_order(&self) -> bool {
        !matches!(self, Self::Json | Self::Array(_) | Self::Struct(_))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())
    }
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::String(Arc::from(text))
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Bytes that the value takes, as the quotas and bills of the vendor count them.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_)
            | Self::Float(_)
            | Self::Date(_)
            | Self::Time(_)
            | Self::Datetime(_)
            | Self::Timestamp(_) => 8,
            Self::Numeric(_) => 16,
            Self::BigNumeric(_) => 32,
            Self::String(text) => 2 + text.len() as u64,
            Self::Bytes(bytes) => 2 + bytes.len() as u64,
            Self::Json(value) => value.to_string().len() as u64,
            Self::Array(values) | Self::Struct(values) => values.iter().map(Self::size).sum(),
        }
    }

    /// The order of two values of one type; nulls first, as `ORDER BY` has them. NaN is the least
    /// of the numbers.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            (Self::Float(left), Self::Float(right)) => order_of_floats(*left, *right),
            (Self::Numeric(left), Self::Numeric(right)) => left.cmp(right),
            (Self::BigNumeric(left), Self::BigNumeric(right)) => left.cmp(right),
            (Self::String(left), Self::String(right)) => left.cmp(right),
            (Self::Bytes(left), Self::Bytes(right)) => left.cmp(right),
            (Self::Date(left), Self::Date(right)) => left.cmp(right),
            (Self::Time(left), Self::Time(right))
            | (Self::Datetime(left), Self::Datetime(right))
            | (Self::Timestamp(left), Self::Timestamp(right)) => left.cmp(right),
            (Self::Json(left), Self::Json(right)) => left.to_string().cmp(&right.to_string()),
            (Self::Array(left), Self::Array(right)) | (Self::Struct(left), Self::Struct(right)) => {
                let pairs = left.iter().zip(right.iter());
                pairs
                    .map(|(left, right)| left.order(right))
                    .find(|order| order.is_ne())
                    .unwrap_or_else(|| left.len().cmp(&right.len()))
            }
            // Statements are typed before they run, so that different types do not meet.
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Numeric(_) => 4,
            Self::BigNumeric(_) => 5,
            Self::String(_) => 6,
            Self::Bytes(_) => 7,
            Self::Date(_) => 8,
            Self::Time(_) => 9,
            Self::Datetime(_) => 10,
            Self::Timestamp(_) => 11,
            Self::Json(_) => 12,
            Self::Array(_) => 13,
            Self::Struct(_) => 14,
        }
    }
}

fn order_of_floats(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
    }
}

/// A value as a key of grouping, joining and distinctness: nulls are equal to each other.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub(crate) Value);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.order(&other.0).is_eq()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

fn hash<H: Hasher>(value: &Value, state: &mut H) {
    value.rank().hash(state);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(state),
        Value::Int(value)
        | Value::Time(value)
        | Value::Datetime(value)
        | Value::Timestamp(value) => {
            value.hash(state);
        }
        // Both zeros are equal.
        Value::Float(value) => (if *value == 0.0 { 0.0 } else { *value })
            .to_bits()
            .hash(state),
        Value::Numeric(value) => value.hash(state),
        Value::BigNumeric(value) => value.hash(state),
        Value::String(text) => text.hash(state),
        Value::Bytes(bytes) => bytes.hash(state),
        Value::Date(days) => days.hash(state),
        Value::Json(value) => value.to_string().hash(state),
        Value::Array(values) | Value::Struct(values) => {
            values.iter().for_each(|value| hash(value, state));
        }
    }
}

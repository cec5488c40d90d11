//! Columns of a table.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::client::int64;

/// The columns of a table, in order (BigQuery REST reference, `TableSchema`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableSchema {
    /// The columns.
    #[serde(default)]
    pub fields: Vec<Field>,
}

impl TableSchema {
    /// A schema of these columns.
    #[must_use]
    pub fn new(fields: impl IntoIterator<Item = Field>) -> Self {
        Self {
            fields: fields.into_iter().collect(),
        }
    }
}

/// One column, or one field of a struct (BigQuery REST reference, `TableFieldSchema`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Field {
    /// The name: ASCII letters, digits and `_`, at most 300; unique without regard to case.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Whether it may be null or repeats.
    #[serde(default)]
    pub mode: Mode,
    /// The fields of a struct.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Self>,
    /// What it holds, for people; at most 1024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Digits in all, of `NUMERIC(p, s)` and `BIGNUMERIC(p, s)`.
    #[serde(
        default,
        with = "int64::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub precision: Option<i64>,
    /// Digits behind the point.
    #[serde(
        default,
        with = "int64::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub scale: Option<i64>,
    /// Longest value, of `STRING(n)` and `BYTES(n)`.
    #[serde(
        default,
        with = "int64::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_length: Option<i64>,
    /// What stands in the column where nothing is given, as an expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value_expression: Option<String>,
    /// How `NUMERIC(p, s)` rounds: `ROUND_HALF_AWAY_FROM_ZERO` or `ROUND_HALF_EVEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding_mode: Option<String>,
    /// What else BigQuery says about the column, such as policy tags. It goes back as it came, so that a
    /// [patch](crate::client::Tables::patch) loses nothing.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Field {
    /// A column that may be null.
    #[must_use]
    pub fn new(name: impl Into<String>, field_type: FieldType) -> Self {
        Self {
            name: name.into(),
            field_type,
            mode: Mode::Nullable,
            fields: Vec::new(),
            description: None,
            precision: None,
            scale: None,
            max_length: None,
            default_value_expression: None,
            rounding_mode: None,
            other: Map::new(),
        }
    }

    /// The same column, never null.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.mode = Mode::Required;
        self
    }

    /// The same column as a list.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.mode = Mode::Repeated;
        self
    }

    /// The same column with this description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The same column with so many digits in all and behind the point.
    #[must_use]
    pub const fn with_digits(mut self, precision: i64, scale: i64) -> Self {
        self.precision = Some(precision);
        self.scale = Some(scale);
        self
    }

    /// The same struct with these fields.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = Self>) -> Self {
        self.fields = fields.into_iter().collect();
        self
    }
}

/// Whether a column may be null or repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum Mode {
    /// It may be null.
    #[default]
    Nullable,
    /// It is never null.
    Required,
    /// It is a list; never null, but it may be empty.
    Repeated,
}

/// The type of a column. BigQuery takes two names for some types and answers with the older; here both are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldType {
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// `INTEGER`: 64 bits.
    Int64,
    /// `FLOAT`: 64 bits.
    Float64,
    /// `BOOLEAN`.
    Bool,
    /// A point in time, in microseconds.
    Timestamp,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time without a zone.
    DateTime,
    /// A point or shape on the earth.
    Geography,
    /// A decimal of 38 digits, nine of them behind the point.
    Numeric,
    /// A decimal of 76 digits, 38 of them behind the point.
    BigNumeric,
    /// JSON.
    Json,
    /// `RECORD`.
    Struct,
    /// One that this client does not know, by the name that BigQuery gives it.
    Other(String),
}

impl FieldType {
    /// The type by either of its names, in any case of letters.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let upper = name.to_ascii_uppercase();
        match upper.as_str() {
            "STRING" => Self::String,
            "BYTES" => Self::Bytes,
            "INTEGER" | "INT64" => Self::Int64,
            "FLOAT" | "FLOAT64" => Self::Float64,
            "BOOLEAN" | "BOOL" => Self::Bool,
            "TIMESTAMP" => Self::Timestamp,
            "DATE" => Self::Date,
            "TIME" => Self::Time,
            "DATETIME" => Self::DateTime,
            "GEOGRAPHY" => Self::Geography,
            "NUMERIC" => Self::Numeric,
            "BIGNUMERIC" => Self::BigNumeric,
            "JSON" => Self::Json,
            "RECORD" | "STRUCT" => Self::Struct,
            _ => Self::Other(upper),
        }
    }

    /// The name that SQL has for it.
    #[must_use]
    pub fn sql_name(&self) -> &str {
        match self {
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Int64 => "INT64",
            Self::Float64 => "FLOAT64",
            Self::Bool => "BOOL",
            Self::Timestamp => "TIMESTAMP",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::DateTime => "DATETIME",
            Self::Geography => "GEOGRAPHY",
            Self::Numeric => "NUMERIC",
            Self::BigNumeric => "BIGNUMERIC",
            Self::Json => "JSON",
            Self::Struct => "STRUCT",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql_name())
    }
}

impl Serialize for FieldType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // In a schema the older names are the ones that every tool knows.
        serializer.serialize_str(match self {
            Self::Int64 => "INTEGER",
            Self::Float64 => "FLOAT",
            Self::Bool => "BOOLEAN",
            Self::Struct => "RECORD",
            other => other.sql_name(),
        })
    }
}

impl<'de> Deserialize<'de> for FieldType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_name(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Field, FieldType, Mode, TableSchema};

    #[test]
    fn both_names_of_a_type_are_one_and_nothing_is_lost_on_the_way_back() {
        let answered = json!({"fields": [
            {"name": "recordno", "type": "INTEGER", "mode": "REQUIRED"},
            {"name": "due", "type": "NUMERIC", "precision": "20", "scale": "2", "mode": "NULLABLE",
             "policyTags": {"names": ["projects/p/policyTags/1"]}},
            {"name": "lines", "type": "RECORD", "mode": "REPEATED", "fields": [
                {"name": "rate", "type": "FLOAT", "mode": "NULLABLE"}]},
        ]});
        let schema: TableSchema = serde_json::from_value(answered.clone()).unwrap();
        assert_eq!(
            schema.fields[0],
            Field::new("recordno", FieldType::from_name("int64")).required()
        );
        assert_eq!(schema.fields[2].mode, Mode::Repeated);
        assert_eq!(serde_json::to_value(&schema).unwrap(), answered);
    }

    #[test]
    fn a_field_without_mode_may_be_null_and_an_unknown_type_keeps_its_name() {
        let field: Field =
            serde_json::from_value(json!({"name": "a", "type": "Interval"})).unwrap();
        assert_eq!(field.mode, Mode::Nullable);
        assert_eq!(field.field_type, FieldType::Other("INTERVAL".to_owned()));
    }
}

//! Parameters of statements, each with its type.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json, json};
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, UtcOffset};

use crate::client::tables::FieldType;
use crate::error::{Error, Result};

/// A named parameter: `@name` in the statement. A parameter is never null; leave the condition out instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    name: String,
    value: Value,
}

impl Parameter {
    /// A parameter of this name, without the `@`.
    #[must_use]
    pub fn new(name: impl Into<String>, value: Value) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }

    /// Text.
    #[must_use]
    pub fn string(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(name, Value::string(value))
    }

    /// A whole number.
    #[must_use]
    pub fn int64(name: impl Into<String>, value: i64) -> Self {
        Self::new(name, Value::int64(value))
    }

    /// True or false.
    #[must_use]
    pub fn bool(name: impl Into<String>, value: bool) -> Self {
        Self::new(name, Value::bool(value))
    }

    /// A point in time, to the microsecond.
    ///
    /// # Errors
    ///
    /// As [`Value::timestamp`].
    pub fn timestamp(name: impl Into<String>, value: OffsetDateTime) -> Result<Self> {
        Ok(Self::new(name, Value::timestamp(value)?))
    }

    /// The parameter's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        json!({
            "name": self.name,
            "parameterType": self.value.value_type().json(),
            "parameterValue": self.value.json(),
        })
        .serialize(serializer)
    }
}

/// The type of a [`Value`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// A single value.
    Scalar(FieldType),
    /// A list.
    Array(Box<Self>),
    /// Named values.
    Struct(Vec<(String, Self)>),
}

impl ValueType {
    fn json(&self) -> Json {
        match self {
            Self::Scalar(scalar) => json!({"type": scalar.sql_name()}),
            Self::Array(element) => json!({"type": "ARRAY", "arrayType": element.json()}),
            Self::Struct(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, field)| json!({"name": name, "type": field.json()}))
                    .collect();
                json!({"type": "STRUCT", "structTypes": fields})
            }
        }
    }
}

/// A value with its type. Decimals are text: none ever passes through a floating-point number.
#[derive(Clone, Debug, PartialEq)]
pub struct Value(Inner);

#[derive(Clone, Debug, PartialEq)]
enum Inner {
    /// By its type and the text that BigQuery takes for it.
    Scalar(FieldType, String),
    Array(ValueType, Vec<Value>),
    Struct(Vec<(String, Value)>),
}

impl Value {
    /// Text.
    #[must_use]
    pub fn string(value: impl Into<String>) -> Self {
        Self::scalar(FieldType::String, value)
    }

    /// A whole number.
    #[must_use]
    pub fn int64(value: i64) -> Self {
        Self::scalar(FieldType::Int64, value.to_string())
    }

    /// True or false.
    #[must_use]
    pub fn bool(value: bool) -> Self {
        Self::scalar(FieldType::Bool, value.to_string())
    }

    /// A decimal of up to 29 digits before the point and nine behind it, as text: `-12.5`.
    ///
    /// # Errors
    ///
    /// `Data` when it is no such decimal.
    pub fn numeric(value: impl Into<String>) -> Result<Self> {
        Ok(Self::scalar(
            FieldType::Numeric,
            decimal(value.into(), 29, 9)?,
        ))
    }

    /// A decimal of up to 38 digits before the point and 38 behind it, as text.
    ///
    /// # Errors
    ///
    /// `Data` when it is no such decimal.
    pub fn big_numeric(value: impl Into<String>) -> Result<Self> {
        Ok(Self::scalar(
            FieldType::BigNumeric,
            decimal(value.into(), 38, 38)?,
        ))
    }

    /// A day of the years 1 to 9999.
    ///
    /// # Errors
    ///
    /// `Data` when it is in another year.
    pub fn date(value: Date) -> Result<Self> {
        let year = value.year();
        if !(1..=9999).contains(&year) {
            return Err(Error::data("BigQuery has no such day").with("year", year.to_string()));
        }
        let (month, day) = (u8::from(value.month()), value.day());
        Ok(Self::scalar(
            FieldType::Date,
            format!("{year:04}-{month:02}-{day:02}"),
        ))
    }

    /// A point in time of the years 1 to 9999, to the microsecond.
    ///
    /// # Errors
    ///
    /// `Data` when it is in another year, or finer than a microsecond.
    pub fn timestamp(value: OffsetDateTime) -> Result<Self> {
        let utc = value.checked_to_offset(UtcOffset::UTC);
        let utc = utc.filter(|utc| (1..=9999).contains(&utc.year()));
        let Some(utc) = utc.filter(|utc| utc.nanosecond() % 1000 == 0) else {
            return Err(Error::data(
                "BigQuery has no such point in time: the years are 1 to 9999, the parts microseconds",
            ));
        };
        let text = utc.format(&Rfc3339);
        let text =
            text.map_err(|source| Error::data("the time cannot be written").caused_by(source))?;
        Ok(Self::scalar(FieldType::Timestamp, text))
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(value: &[u8]) -> Self {
        Self::scalar(FieldType::Bytes, STANDARD.encode(value))
    }

    /// JSON.
    #[must_use]
    pub fn json_text(value: &Json) -> Self {
        Self::scalar(FieldType::Json, value.to_string())
    }

    /// A list of values of one type; the type is named because the list may be empty.
    ///
    /// # Errors
    ///
    /// `Config` when a value is of another type, or a list itself, which BigQuery does not nest.
    pub fn array(element: ValueType, values: Vec<Self>) -> Result<Self> {
        if matches!(element, ValueType::Array(_)) {
            return Err(Error::config(
                "a list of lists is none that BigQuery takes; put a struct between",
            ));
        }
        if values.iter().any(|value| value.value_type() != element) {
            return Err(Error::config(
                "a value of the list is of another type than the list",
            ));
        }
        Ok(Self(Inner::Array(element, values)))
    }

    /// Named values.
    #[must_use]
    pub fn structure<I: Into<String>>(fields: impl IntoIterator<Item = (I, Self)>) -> Self {
        let fields = fields.into_iter();
        Self(Inner::Struct(
            fields.map(|(name, value)| (name.into(), value)).collect(),
        ))
    }

    /// Its type.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match &self.0 {
            Inner::Scalar(scalar, _) => ValueType::Scalar(scalar.clone()),
            Inner::Array(element, _) => ValueType::Array(Box::new(element.clone())),
            Inner::Struct(fields) => {
                let types = fields.iter();
                ValueType::Struct(
                    types
                        .map(|(name, value)| (name.clone(), value.value_type()))
                        .collect(),
                )
            }
        }
    }

    fn scalar(scalar: FieldType, text: impl Into<String>) -> Self {
        Self(Inner::Scalar(scalar, text.into()))
    }

    fn json(&self) -> Json {
        match &self.0 {
            Inner::Scalar(_, text) => json!({"value": text}),
            Inner::Array(_, values) => {
                let values: Vec<_> = values.iter().map(Self::json).collect();
                json!({"arrayValues": values})
            }
            Inner::Struct(fields) => {
                let values: Map<_, _> = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), value.json()))
                    .collect();
                json!({"structValues": values})
            }
        }
    }
}

/// A decimal with so many digits at most before and behind the point, as it was given.
fn decimal(text: String, before: usize, behind: usize) -> Result<String> {
    let unsigned = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let significant = |part: &str| part.trim_start_matches('0').len();
    let is_decimal = digits(whole) && digits(fraction);
    if is_decimal && significant(whole) <= before && fraction.trim_end_matches('0').len() <= behind
    {
        return Ok(text);
    }
    let mut message = "the text is no decimal of at most ".to_owned();
    let _ = write!(
        message,
        "{before} digits before the point and {behind} behind it"
    );
    Err(Error::data(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::{date, datetime};

    use super::{Parameter, Value, ValueType};
    use crate::client::tables::FieldType;

    #[test]
    fn every_type_goes_out_as_the_reference_says() {
        let row = |key: &str, amount: &str| {
            Value::structure([
                ("k", Value::string(key)),
                ("n", Value::numeric(amount).unwrap()),
            ])
        };
        let element = row("a", "1").value_type();
        let rows = Value::array(element, vec![row("a", "19.90"), row("b", "-0.5")]).unwrap();
        let shown = serde_json::to_value(Parameter::new("rows", rows)).unwrap();
        assert_eq!(
            shown,
            json!({
                "name": "rows",
                "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRUCT", "structTypes": [
                    {"name": "k", "type": {"type": "STRING"}}, {"name": "n", "type": {"type": "NUMERIC"}}]}},
                "parameterValue": {"arrayValues": [
                    {"structValues": {"k": {"value": "a"}, "n": {"value": "19.90"}}},
                    {"structValues": {"k": {"value": "b"}, "n": {"value": "-0.5"}}}]},
            })
        );
        let scalar = |value: Value| serde_json::to_value(Parameter::new("p", value)).unwrap();
        for (value, kind, text) in [
            (Value::int64(i64::MIN), "INT64", "-9223372036854775808"),
            (Value::bool(true), "BOOL", "true"),
            (
                Value::date(date!(0987 - 01 - 02)).unwrap(),
                "DATE",
                "0987-01-02",
            ),
            (
                Value::timestamp(datetime!(2026-01-31 10:11:12.000001 -8)).unwrap(),
                "TIMESTAMP",
                "2026-01-31T18:11:12.000001Z",
            ),
            (Value::bytes(&[0xfb, 0xff]), "BYTES", "+/8="),
            (Value::json_text(&json!({"a": 1})), "JSON", "{\"a\":1}"),
        ] {
            let expected = json!({"name": "p", "parameterType": {"type": kind}, "parameterValue": {"value": text}});
            assert_eq!(scalar(value), expected);
        }
    }

    #[test]
    fn what_would_be_rounded_or_mixed_is_refused() {
        for good in [
            "0",
            "-1.5",
            "00012.500000000000",
            "9999999999999999999999999999.123456789",
        ] {
            Value::numeric(good).unwrap();
        }
        for bad in [
            "",
            ".5",
            "1.",
            "1e3",
            "+1",
            "1,5",
            "0.1234567891",
            "1.5 ",
            "--1",
            &"9".repeat(30),
        ] {
            Value::numeric(bad).unwrap_err();
        }
        let text = ValueType::Scalar(FieldType::String);
        Value::array(text.clone(), vec![Value::int64(1)]).unwrap_err();
        Value::array(ValueType::Array(Box::new(text)), Vec::new()).unwrap_err();
        Value::timestamp(datetime!(2026-01-31 10:11:12.000000001 UTC)).unwrap_err();
    }
}

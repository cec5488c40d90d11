//! Values from what callers send: rows of `insertAll`, lines of a load, parameters of a query.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::{BigNumeric, Numeric, Type, Value};
use super::{MICROS_PER_SECOND, parse_date, parse_datetime, parse_time, parse_timestamp};
use crate::bigquery::catalog::{Field, Mode, element_type};
use crate::bigquery::refusal::Refusal;

/// Doubles of so many significant digits come back as they were written.
const SAFE_DIGITS: usize = 15;

/// Which rules a value is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Those of `tabledata.insertAll`.
    Insert,
    /// Those of a load of newline-delimited JSON.
    Load,
}

/// A value of a JSON document, borrowed where it can be.
#[derive(Debug)]
pub(crate) enum Wire<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Large(u64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Wire<'a>>),
    Object(Vec<(Cow<'a, str>, Wire<'a>)>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Wire<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Wire<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Wire<'de>, E> {
                Ok(Wire::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Wire<'de>, E> {
                Ok(Wire::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Wire<'de>, E> {
                Ok(Wire::Int(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Wire<'de>, E> {
                Ok(i64::try_from(value).map_or(Wire::Large(value), Wire::Int))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Wire<'de>, E> {
                Ok(Wire::Float(value))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Wire<'de>, E> {
                Ok(Wire::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Wire<'de>, E> {
                Ok(Wire::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Wire<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Wire::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wire<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    entries.push((name, map.next_value()?));
                }
                Ok(Wire::Object(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The key of an object, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire::Text(name) => Ok(Self(name)),
            _ => Err(D::Error::custom("a key is a text")),
        }
    }
}

impl<'a> From<&'a Json> for Wire<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::Large(value),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(values) => Self::List(values.iter().map(Self::from).collect()),
            Json::Object(entries) => Self::Object(
                entries
                    .iter()
                    .map(|(name, value)| (Cow::Borrowed(name.as_str()), Self::from(value)))
                    .collect(),
            ),
        }
    }
}

impl Wire<'_> {
    fn json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Large(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::Text(text) => Json::String(text.as_ref().to_owned()),
            Self::List(values) => values.iter().map(Self::json).collect(),
            Self::Object(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(name, value)| (name.as_ref().to_owned(), value.json()))
                    .collect(),
            ),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.as_ref().to_owned(),
            other => other.json().to_string(),
        }
    }
}

/// What is wrong with a field of a row.
#[derive(Clone, Debug)]
pub(crate) struct Mistake {
    /// The column, with a dot before a nested one.
    pub(crate) location: String,
    pub(crate) message: String,
}

/// Reads a row. Columns that are missing are null.
pub(crate) fn decode(
    row: &Wire<'_>,
    fields: &[Field],
    reading: Reading,
    ignore_unknown: bool,
) -> Result<Vec<Value>, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let reader = Reader {
        reading,
        ignore_unknown,
    };
    let values = reader.record(row, fields, "", &mut mistakes);
    if mistakes.is_empty() {
        Ok(values)
    } else {
        Err(mistakes)
    }
}

struct Reader {
    reading: Reading,
    ignore_unknown: bool,
}

impl Reader {
    fn record(
        &self,
        row: &Wire<'_>,
        fields: &[Field],
        path: &str,
        mistakes: &mut Vec<Mistake>,
    ) -> Vec<Value> {
        let mut mistake = |name: &str, message: String| {
            mistakes.push(Mistake {
                location: format!("{path}{name}"),
                message,
            });
        };
        let Wire::Object(entries) = row else {
            mistake("", "This field is not a record.".to_owned());
            return Vec::new();
        };
        // Most callers send the columns in their order, with some left out.
        let mut places = vec![None; fields.len()];
        let mut next = 0;
        for (at, (name, _)) in entries.iter().enumerate() {
            let is_here = |field: &Field| field.name.eq_ignore_ascii_case(name);
            let behind = fields[next..]
                .iter()
                .position(is_here)
                .map(|place| next + place);
            match behind.or_else(|| fields[..next].iter().position(is_here)) {
                Some(place) if places[place].is_none() => {
                    places[place] = Some(at);
                    next = place + 1;
                }
                Some(_) => mistake(name, format!("duplicate field: {name}.")),
                None if self.ignore_unknown => {}
                None => mistake(name, format!("no such field: {name}.")),
            }
        }
        let mut values = Vec::with_capacity(fields.len());
        for (field, place) in fields.iter().zip(places) {
            let wire = place.map_or(&Wire::Null, |at| &entries[at].1);
            values.push(self.field(wire, field, place.is_some(), path, mistakes));
        }
        values
    }

    fn field(
        &self,
        wire: &Wire<'_>,
        field: &Field,
        given: bool,
        path: &str,
        mistakes: &mut Vec<Mistake>,
    ) -> Value {
        let mut wrong = |message: String| {
            mistakes.push(Mistake {
                location: format!("{path}{}", field.name),
                message,
            });
            Value::Null
        };
        match (field.mode, wire) {
            (Mode::Required, Wire::Null) => {
                wrong(format!("Missing required field: {}.", field.name))
            }
            (Mode::Repeated, Wire::Null) if !given || self.reading == Reading::Load => {
                Value::Array(Arc::from([]))
            }
            (Mode::Repeated, Wire::List(values)) => {
                let element = field.as_element();
                let values: Vec<_> = values
                    .iter()
                    .map(|value| self.field(value, &element, true, path, mistakes))
                    .collect();
                Value::Array(values.into())
            }
            (Mode::Repeated, _) => wrong(format!(
                "Repeated field must be imported as a JSON array. Field: {}.",
                field.name
            )),
            (_, Wire::Null) => Value::Null,
            (_, Wire::List(_)) if field.element != Type::Json => {
                wrong("Array specified for non-repeated field.".to_owned())
            }
            (_, wire) if matches!(field.element, Type::Struct(_)) => {
                let path = format!("{path}{}.", field.name);
                let values = self.record(wire, &field.fields, &path, mistakes);
                Value::Struct(values.into())
            }
            (_, wire) => match self
                .scalar(wire, field)
                .and_then(|value| fitted(value, field))
            {
                Ok(value) => value,
                Err(message) => wrong(message),
            },
        }
    }

    fn scalar(&self, wire: &Wire<'_>, field: &Field) -> Result<Value, String> {
        let loads = self.reading == Reading::Load;
        let value = match (&field.element, wire) {
            (Type::String, Wire::Text(text)) => Some(Value::text(text)),
            (Type::String, Wire::Bool(_) | Wire::Int(_) | Wire::Large(_) | Wire::Float(_)) => {
                Some(Value::text(&wire.shown()))
            }
            (Type::Int64, Wire::Int(value)) => Some(Value::Int(*value)),
            (Type::Int64, Wire::Text(text)) => text.parse().ok().map(Value::Int),
            (Type::Int64, Wire::Float(value)) if *value == value.trunc() && value.abs() < 9e15 => {
                Some(Value::Int(*value as i64))
            }
            (Type::Float64, Wire::Int(value)) => Some(Value::Float(*value as f64)),
            (Type::Float64, Wire::Large(value)) => Some(Value::Float(*value as f64)),
            (Type::Float64, Wire::Float(value)) => Some(Value::Float(*value)),
            (Type::Float64, Wire::Text(text)) => parse_float(text).map(Value::Float),
            (Type::Bool, Wire::Bool(value)) => Some(Value::Bool(*value)),
            (Type::Bool, Wire::Text(text)) => parse_bool(text, loads).map(Value::Bool),
            (Type::Bool, Wire::Int(value @ 0..=1)) if loads => Some(Value::Bool(*value == 1)),
            (Type::Numeric | Type::BigNumeric, wire) => self.decimal(wire, field),
            (Type::Date, Wire::Text(text)) => parse_date(text, loads).map(Value::Date),
            (Type::Time, Wire::Text(text)) => parse_time(text).map(Value::Time),
            (Type::Datetime, Wire::Text(text)) => parse_datetime(text, loads).map(Value::Datetime),
            (Type::Timestamp, Wire::Text(text)) => {
                parse_timestamp(text, loads).map(Value::Timestamp)
            }
            (Type::Timestamp, Wire::Int(seconds)) => {
                seconds.checked_mul(MICROS_PER_SECOND).map(Value::Timestamp)
            }
            (Type::Timestamp, Wire::Float(seconds)) => {
                let micros = seconds * MICROS_PER_SECOND as f64;
                micros
                    .is_finite()
                    .then(|| Value::Timestamp(micros.round() as i64))
            }
            (Type::Bytes, Wire::Text(text)) => STANDARD
                .decode(text.as_bytes())
                .ok()
                .map(|bytes| Value::Bytes(bytes.into())),
            // A row of insertAll holds the text of a document, a line of a load the document.
            (Type::Json, Wire::Text(text)) if !loads => serde_json::from_str(text)
                .ok()
                .map(|json| Value::Json(Arc::new(json))),
            (Type::Json, wire) => Some(Value::Json(Arc::new(wire.json()))),
            _ => None,
        };
        value.ok_or_else(|| self.complaint(wire, field))
    }

    /// A decimal in quotes is taken as it stands. One without passes through a double at the
    /// vendor's: `insertAll` refuses it here, and a load takes what a double holds exactly.
    fn decimal(&self, wire: &Wire<'_>, field: &Field) -> Option<Value> {
        let text = match wire {
            Wire::Text(text) => Cow::Borrowed(text.as_ref()),
            Wire::Int(value) if self.reading == Reading::Load => Cow::Owned(value.to_string()),
            Wire::Float(value) if self.reading == Reading::Load => {
                let text = value.to_string();
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                (digits <= SAFE_DIGITS).then_some(Cow::Owned(text))?
            }
            _ => return None,
        };
        // The type's own parameters say how to round.
        let rounds = field.precision.is_some();
        match field.element {
            Type::Numeric if rounds => Numeric::rounded(&text).map(Value::Numeric),
            Type::Numeric => Numeric::exact(&text).map(Value::Numeric),
            _ if rounds => {
                BigNumeric::rounded(&text).map(|value| Value::BigNumeric(Box::new(value)))
            }
            _ => BigNumeric::exact(&text).map(|value| Value::BigNumeric(Box::new(value))),
        }
    }

    fn complaint(&self, wire: &Wire<'_>, field: &Field) -> String {
        let shown = wire.shown();
        let kind = match &field.element {
            Type::Numeric | Type::BigNumeric => {
                return format!("Invalid {} value: {shown}", field.element);
            }
            Type::Int64 => "integer",
            Type::Float64 => "double",
            Type::Bool => "boolean",
            Type::Timestamp => "timestamp",
            Type::Date => "date",
            Type::Time => "time",
            Type::Datetime => "datetime",
            Type::Bytes => "bytes",
            Type::Json => "json",
            _ => "string",
        };
        match self.reading {
            Reading::Insert => format!("Cannot convert value to {kind} (bad value): {shown}"),
            Reading::Load => format!(
                "Could not convert value to {kind}. Field: {}; Value: {shown}",
                field.name
            ),
        }
    }
}

fn parse_bool(text: &str, loads: bool) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        "t" | "yes" | "y" | "1" if loads => Some(true),
        "f" | "no" | "n" | "0" if loads => Some(false),
        _ => None,
    }
}

/// Refuses what Rust reads and BigQuery does not.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "infinity" | "+infinity" | "inf" | "+inf" => Some(f64::INFINITY),
        "-infinity" | "-inf" => Some(f64::NEG_INFINITY),
        lower
            if lower
                .bytes()
                .any(|byte| byte.is_ascii_alphabetic() && byte != b'e') =>
        {
            None
        }
        lower => lower.parse().ok(),
    }
}

/// Keeps a value within the parameters of its column's type.
pub(crate) fn fitted(value: Value, field: &Field) -> Result<Value, String> {
    let too_long = |length: usize, most: usize| {
        Err(format!(
            "Field {}: {}({most}) has maximum length {most} but got a value with length {length}",
            field.name, field.element
        ))
    };
    match (&value, field.max_length, field.precision) {
        (Value::String(text), Some(most), _) if text.chars().count() > most => {
            too_long(text.chars().count(), most)
        }
        (Value::Bytes(bytes), Some(most), _) if bytes.len() > most => too_long(bytes.len(), most),
        (Value::Numeric(number), _, Some((precision, scale))) => number
            .round(i64::from(scale))
            .filter(|number| number.fits(precision, scale))
            .map(Value::Numeric)
            .ok_or_else(|| out_of_range(&value, field, precision, scale)),
        (Value::BigNumeric(number), _, Some((precision, scale))) => number
            .round(i64::from(scale))
            .filter(|number| number.fits(precision, scale))
            .map(|number| Value::BigNumeric(Box::new(number)))
            .ok_or_else(|| out_of_range(&value, field, precision, scale)),
        _ => Ok(value),
    }
}

fn out_of_range(value: &Value, field: &Field, precision: u32, scale: u32) -> String {
    format!(
        "Field {}: {}({precision}, {scale}) has precision {precision} and scale {scale} but got a value that is not in range: {}",
        field.name,
        field.element,
        value.to_text().unwrap_or_default()
    )
}

/// Reads a `QueryParameter`: its type and its value.
pub(crate) fn parameter(kind: &Json, value: &Json) -> Result<(Type, Value), Refusal> {
    let kind = parameter_type(kind)?;
    let value = parameter_value(&kind, value)?;
    Ok((kind, value))
}

fn parameter_type(json: &Json) -> Result<Type, Refusal> {
    let name = json["type"].as_str().unwrap_or_default();
    match name {
        "ARRAY" => Ok(Type::Array(Box::new(parameter_type(&json["arrayType"])?))),
        "STRUCT" => {
            let fields = json["structTypes"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            let fields: Result<Vec<_>, _> = fields
                .iter()
                .map(|field| {
                    let name = field["name"].as_str().unwrap_or_default().to_owned();
                    Ok((name, parameter_type(&field["type"])?))
                })
                .collect();
            Ok(Type::Struct(fields?.into()))
        }
        name => element_type(name)
            .ok_or_else(|| Refusal::invalid(format!("Invalid parameter type: {name:?}"))),
    }
}

fn parameter_value(kind: &Type, json: &Json) -> Result<Value, Refusal> {
    match kind {
        Type::Array(element) => {
            let values = json["arrayValues"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            let values: Result<Vec<_>, _> = values
                .iter()
                .map(|value| parameter_value(element, value))
                .collect();
            Ok(Value::Array(values?.into()))
        }
        Type::Struct(fields) => {
            let given = &json["structValues"];
            let values: Result<Vec<_>, _> = fields
                .iter()
                .map(|(name, kind)| parameter_value(kind, &given[name]))
                .collect();
            Ok(Value::Struct(values?.into()))
        }
        kind => match &json["value"] {
            Json::Null => Ok(Value::Null),
            Json::String(text) => cast_text(text, kind).ok_or_else(|| {
                Refusal::query(format!(
                    "Could not cast query parameter value {text:?} to {kind}"
                ))
            }),
            _ => Err(Refusal::invalid("The value of a query parameter is a text")),
        },
    }
}

/// A text as a value of a type, by the rules of a cast.
pub(crate) fn cast_text(text: &str, kind: &Type) -> Option<Value> {
    match kind {
        Type::String => Some(Value::text(text)),
        Type::Int64 => text.trim().parse().ok().map(Value::Int),
        Type::Float64 => parse_float(text.trim()).map(Value::Float),
        Type::Bool => parse_bool(text, false).map(Value::Bool),
        Type::Numeric => Numeric::rounded(text).map(Value::Numeric),
        Type::BigNumeric => {
            BigNumeric::rounded(text).map(|value| Value::BigNumeric(Box::new(value)))
        }
        Type::Date => parse_date(text.trim(), false).map(Value::Date),
        Type::Time => parse_time(text.trim()).map(Value::Time),
        Type::Datetime => parse_datetime(text.trim(), false).map(Value::Datetime),
        Type::Timestamp => parse_timestamp(text, false).map(Value::Timestamp),
        Type::Bytes => {
            let bytes = STANDARD.decode(text.as_bytes()).ok()?;
            Some(Value::Bytes(bytes.into()))
        }
        Type::Json => serde_json::from_str(text)
            .ok()
            .map(|json| Value::Json(Arc::new(json))),
        Type::Null | Type::Array(_) | Type::Struct(_) => None,
    }
}

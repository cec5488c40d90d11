//! Values as answers show them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::{MICROS_PER_SECOND, Type, Value, date_text, time_text, timestamp_text};

/// How timestamps are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimestampForm {
    /// Seconds as a floating point number, as the API does unless told otherwise.
    #[default]
    Float,
    /// Microseconds.
    Micros,
    /// ISO 8601 in UTC.
    Iso,
}

/// A value as a cell of a row: `{"v": ...}`.
pub(crate) fn cell(value: &Value, form: TimestampForm) -> Json {
    let inner = match value {
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(|value| cell(value, form)).collect();
            json!(values)
        }
        Value::Struct(values) => {
            let values: Vec<_> = values.iter().map(|value| cell(value, form)).collect();
            json!({ "f": values })
        }
        scalar => text(scalar, form).map_or(Json::Null, Json::String),
    };
    json!({ "v": inner })
}

/// A value as a test wants to see it: texts, lists and objects; timestamps in ISO 8601.
pub(crate) fn plain(value: &Value, kind: &Type) -> Json {
    match (value, kind) {
        (Value::Array(values), Type::Array(element)) => {
            values.iter().map(|value| plain(value, element)).collect()
        }
        (Value::Struct(values), Type::Struct(fields)) => {
            let pairs = values.iter().zip(fields.iter());
            Json::Object(
                pairs
                    .map(|(value, (name, kind))| (name.clone(), plain(value, kind)))
                    .collect(),
            )
        }
        (scalar, _) => text(scalar, TimestampForm::Iso).map_or(Json::Null, Json::String),
    }
}

fn text(value: &Value, form: TimestampForm) -> Option<String> {
    Some(match value {
        Value::Timestamp(micros) => match form {
            TimestampForm::Micros => micros.to_string(),
            TimestampForm::Float => float_text(*micros as f64 / MICROS_PER_SECOND as f64),
            TimestampForm::Iso => format!("{}Z", timestamp_text(*micros, 'T')),
        },
        Value::Datetime(micros) => timestamp_text(*micros, 'T'),
        Value::Array(_) | Value::Struct(_) => return None,
        other => return other.to_text(),
    })
}

/// As the vendor prints doubles: at least one digit behind the point.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        (if value > 0.0 { "Infinity" } else { "-Infinity" }).to_owned()
    } else if value == value.trunc() && value.abs() < 1e15 {
        format!("{value:.1}")
    } else {
        value.to_string()
    }
}

impl Value {
    /// The text that a cast to STRING gives; none for null and for composed values.
    pub(crate) fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::Null | Self::Array(_) | Self::Struct(_) => return None,
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => float_text(*value),
            Self::Numeric(value) => value.to_string(),
            Self::BigNumeric(value) => value.to_string(),
            Self::String(text) => text.as_ref().to_owned(),
            Self::Bytes(bytes) => STANDARD.encode(bytes),
            Self::Date(days) => date_text(*days),
            Self::Time(micros) => time_text(*micros),
            Self::Datetime(micros) => timestamp_text(*micros, ' '),
            Self::Timestamp(micros) => format!("{}+00", timestamp_text(*micros, ' ')),
            Self::Json(value) => value.to_string(),
        })
    }
}

//! Which type takes in which, and casts.
//!
//! docs.cloud.google.com/bigquery, Conversion rules.

use std::sync::Arc;

use crate::bigquery::value::{
    BigNumeric, MICROS_PER_DAY, Numeric, Type, Value, cast_text, parse_timestamp,
};

use super::plan::{Expr, Typed};

/// The type that both can be taken for without a cast.
pub(super) fn common(left: &Type, right: &Type) -> Option<Type> {
    if left == right || *right == Type::Null {
        return Some(left.clone());
    }
    if *left == Type::Null {
        return Some(right.clone());
    }
    if widens(left, right) {
        return Some(right.clone());
    }
    if widens(right, left) {
        return Some(left.clone());
    }
    None
}

/// Whether a value of `from` becomes one of `to` by itself.
fn widens(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Null, _) => true,
        (Type::Int64, Type::Numeric | Type::BigNumeric | Type::Float64)
        | (Type::Numeric, Type::BigNumeric | Type::Float64)
        | (Type::BigNumeric, Type::Float64)
        | (Type::Date, Type::Datetime) => true,
        (Type::Array(from), Type::Array(to)) => from == to || **from == Type::Null,
        _ => from == to,
    }
}

/// Makes an expression one of another type, as far as that happens without a cast.
pub(super) fn coerce(typed: &Typed, to: &Type) -> Option<Expr> {
    if typed.kind == *to {
        return Some(typed.expr.clone());
    }
    if let Expr::Literal(value) | Expr::Parameter(value) = &typed.expr {
        if value.is_null() && typed.kind == Type::Null {
            return Some(typed.expr.clone());
        }
        let from_text = matches!(
            to,
            Type::Date | Type::Datetime | Type::Time | Type::Timestamp
        );
        match (value, to) {
            (Value::String(text), to) if from_text => {
                return cast_text(text, to).map(Expr::Literal);
            }
            // A literal with a point is exact where an exact type is asked for.
            (Value::Float(number), Type::Numeric | Type::BigNumeric)
                if matches!(typed.expr, Expr::Literal(_)) =>
            {
                return cast_text(&number.to_string(), to).map(Expr::Literal);
            }
            _ => {}
        }
    }
    widens(&typed.kind, to).then(|| Expr::Cast {
        expr: Box::new(typed.expr.clone()),
        to: to.clone(),
        safe: false,
    })
}

/// Whether a cast from one type to the other exists.
pub(super) fn can_cast(from: &Type, to: &Type) -> bool {
    if from == to || *from == Type::Null {
        return true;
    }
    match (from, to) {
        (Type::Json | Type::Array(_) | Type::Struct(_), _)
        | (_, Type::Json | Type::Array(_) | Type::Struct(_)) => false,
        (Type::String, _) | (_, Type::String) => true,
        (Type::Bool, Type::Int64) | (Type::Int64, Type::Bool) => true,
        (
            Type::Date | Type::Datetime | Type::Timestamp,
            Type::Date | Type::Datetime | Type::Timestamp,
        )
        | (Type::Datetime | Type::Timestamp, Type::Time) => true,
        (from, to) => from.is_numeric() && to.is_numeric(),
    }
}

/// Casts a value. `Err` tells why it cannot be.
pub(super) fn cast(value: &Value, to: &Type) -> Result<Value, String> {
    let bad = |what: &str| {
        let shown = value.to_text().unwrap_or_default();
        Err(format!("{what}: {shown}"))
    };
    let float_to = |number: f64| match to {
        Type::Numeric => Numeric::rounded(&format!("{number:.20}")).map(Value::Numeric),
        _ => {
            BigNumeric::rounded(&format!("{number:.40}")).map(|it| Value::BigNumeric(Box::new(it)))
        }
    };
    let big = |number: BigNumeric| Value::BigNumeric(Box::new(number));
    let cast = match (value, to) {
        (Value::Null, _) => Some(Value::Null),
        (Value::String(text), Type::Bytes) => Some(Value::Bytes(text.as_bytes().into())),
        (Value::String(text), Type::Int64) => match int_text(text) {
            Some(number) => Some(Value::Int(number)),
            None => return Err(format!("Bad int64 value: {text}")),
        },
        (Value::String(text), to) => match cast_text(text, to) {
            Some(value) => Some(value),
            None => return bad(&format!("Invalid {} value", to.name().to_lowercase())),
        },
        (Value::Bytes(bytes), Type::String) => match std::str::from_utf8(bytes) {
            Ok(text) => Some(Value::text(text)),
            Err(_) => return Err("Invalid UTF-8 bytes in a cast to STRING".to_owned()),
        },
        (value, Type::String) => value.to_text().map(|text| Value::String(Arc::from(text))),
        (Value::Bool(value), Type::Int64) => Some(Value::Int(i64::from(*value))),
        (Value::Int(value), Type::Bool) => Some(Value::Bool(*value != 0)),
        (Value::Int(value), Type::Numeric) => Some(Value::Numeric(Numeric::from_int(*value))),
        (Value::Int(value), Type::BigNumeric) => Some(big(BigNumeric::from_int(*value))),
        (Value::Int(value), Type::Float64) => Some(Value::Float(*value as f64)),
        (Value::Numeric(value), Type::Int64) => value.to_int().map(Value::Int),
        (Value::Numeric(value), Type::BigNumeric) => Some(big(BigNumeric::from_numeric(*value))),
        (Value::Numeric(value), Type::Float64) => Some(Value::Float(value.to_float())),
        (Value::BigNumeric(value), Type::Int64) => value.to_int().map(Value::Int),
        (Value::BigNumeric(value), Type::Numeric) => value.to_numeric().map(Value::Numeric),
        (Value::BigNumeric(value), Type::Float64) => Some(Value::Float(value.to_float())),
        (Value::Float(value), Type::Int64) if value.is_finite() && value.abs() < 9.2e18 => {
            Some(Value::Int(value.round() as i64))
        }
        (Value::Float(value), Type::Numeric | Type::BigNumeric) if value.is_finite() => {
            float_to(*value)
        }
        (Value::Date(days), Type::Datetime) => {
            Some(Value::Datetime(i64::from(*days) * MICROS_PER_DAY))
        }
        (Value::Date(days), Type::Timestamp) => {
            Some(Value::Timestamp(i64::from(*days) * MICROS_PER_DAY))
        }
        (Value::Datetime(micros) | Value::Timestamp(micros), Type::Date) => {
            i32::try_from(micros.div_euclid(MICROS_PER_DAY))
                .ok()
                .map(Value::Date)
        }
        (Value::Datetime(micros) | Value::Timestamp(micros), Type::Time) => {
            Some(Value::Time(micros.rem_euclid(MICROS_PER_DAY)))
        }
        (Value::Datetime(micros), Type::Timestamp) => Some(Value::Timestamp(*micros)),
        (Value::Timestamp(micros), Type::Datetime) => Some(Value::Datetime(*micros)),
        (value, _) => Some(value.clone()),
    };
    match cast {
        Some(value) => Ok(value),
        None => bad(&format!("{} out of range", to.name())),
    }
}

/// Also in hexadecimal, as a cast takes it.
fn int_text(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether a text is an instant; for functions that read one.
pub(super) fn instant(text: &str) -> Option<i64> {
    parse_timestamp(text, false)
}

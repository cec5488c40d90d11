//! What functions and operators do to numbers, exactly where the type is exact.

use std::cmp::Ordering;

use crate::bigquery::value::{BigNumeric, Numeric, Value};

pub(super) fn magnitude(value: &Value) -> Result<Value, String> {
    let is_negative = sign_of(value) < 0;
    if is_negative {
        negate(value)
    } else {
        Ok(value.clone())
    }
}

fn sign_of(value: &Value) -> i64 {
    let order = match value {
        Value::Int(number) => number.cmp(&0),
        Value::Float(number) => number.partial_cmp(&0.0).unwrap_or(Ordering::Equal),
        Value::Numeric(number) => number.units().cmp(&0),
        Value::BigNumeric(number) => number.as_ref().cmp(&BigNumeric::from_int(0)),
        _ => Ordering::Equal,
    };
    order as i64
}

pub(super) fn sign(value: &Value) -> Value {
    let sign = sign_of(value);
    match value {
        Value::Float(_) => Value::Float(sign as f64),
        Value::Numeric(_) => Value::Numeric(Numeric::from_int(sign)),
        Value::BigNumeric(_) => Value::BigNumeric(Box::new(BigNumeric::from_int(sign))),
        _ => Value::Int(sign),
    }
}

pub(crate) fn negate(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::Int(number) => Value::Int(
            number
                .checked_neg()
                .ok_or_else(|| format!("integer overflow: -({number})"))?,
        ),
        Value::Float(number) => Value::Float(-number),
        Value::Numeric(number) => Value::Numeric(number.negate()),
        Value::BigNumeric(number) => Value::BigNumeric(Box::new(
            number
                .negate()
                .ok_or_else(|| "bignumeric overflow".to_owned())?,
        )),
        other => other.clone(),
    })
}

pub(super) fn round(value: &Value, digits: i64) -> Result<Value, String> {
    Ok(match value {
        Value::Numeric(number) => Value::Numeric(
            number
                .round(digits)
                .ok_or_else(|| "numeric overflow".to_owned())?,
        ),
        Value::BigNumeric(number) => Value::BigNumeric(Box::new(
            number
                .round(digits)
                .ok_or_else(|| "bignumeric overflow".to_owned())?,
        )),
        Value::Float(number) => {
            let power = 10_f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or_default());
            Value::Float((number * power).round() / power)
        }
        other => other.clone(),
    })
}

/// Divides values of one type.
pub(crate) fn divide(left: &Value, right: &Value) -> Result<Value, String> {
    let zero = || {
        let (left, right) = (left.to_text(), right.to_text());
        let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
        format!("division by zero: {left} / {right}")
    };
    if sign_of(right) == 0 {
        return Err(zero());
    }
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => Ok(Value::Float(left / right)),
        (Value::Numeric(left), Value::Numeric(right)) => left
            .divide(*right)
            .map(Value::Numeric)
            .ok_or_else(|| format!("numeric overflow: {left} / {right}")),
        (Value::BigNumeric(left), Value::BigNumeric(right)) => left
            .divide(right)
            .map(|it| Value::BigNumeric(Box::new(it)))
            .ok_or_else(|| format!("bignumeric overflow: {left} / {right}")),
        _ => Err(zero()),
    }
}

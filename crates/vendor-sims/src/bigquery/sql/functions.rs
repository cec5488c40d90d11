//! Scalar functions: which there are, what they take, what they give.
//!
//! docs.cloud.google.com/bigquery, Functions, operators, and conditionals.

use std::fmt::Write as _;

use crate::bigquery::value::{
    MICROS_PER_DAY, MICROS_PER_SECOND, Type, Value, calendar_date, timestamp_text, truncated,
};

use super::cast::{coerce, common, instant};
use super::plan::{Expr, Typed};

/// A scalar function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Coalesce,
    Concat,
    Lower,
    Upper,
    Length,
    Substr,
    Trim,
    LeftTrim,
    RightTrim,
    StartsWith,
    EndsWith,
    Replace,
    Absolute,
    Sign,
    Round,
    Modulo,
    SafeDivide,
    Greatest,
    Least,
    FormatDate,
    FormatTimestamp,
    DateTrunc,
    TimestampTrunc,
    Date,
    Timestamp,
    TimestampMicros,
    TimestampMillis,
    TimestampSeconds,
    UnixMicros,
    UnixMillis,
    UnixSeconds,
    ArrayLength,
    NullIf,
}

/// Resolves a call: the function, its arguments with their types settled, and the type it gives.
/// `Ok(None)` for a name that is not known.
pub(super) fn resolve(name: &str, arguments: &[Typed]) -> Result<Option<Typed>, String> {
    let kinds: Vec<_> = arguments.iter().map(|it| &it.kind).collect();
    let text = &Type::String;
    let (function, takes, gives): (Function, Vec<Type>, Type) = match (name, kinds.as_slice()) {
        ("COALESCE", [_, ..]) | ("IFNULL", [_, _]) => {
            let kind = shared(arguments, name)?;
            (Function::Coalesce, vec![kind.clone(); kinds.len()], kind)
        }
        ("NULLIF", [_, _]) => {
            let kind = shared(arguments, name)?;
            (Function::NullIf, vec![kind.clone(); 2], kind)
        }
        ("GREATEST" | "LEAST", [_, ..]) => {
            let kind = shared(arguments, name)?;
            let function = if name == "LEAST" {
                Function::Least
            } else {
                Function::Greatest
            };
            (function, vec![kind.clone(); kinds.len()], kind)
        }
        ("CONCAT", [_, ..]) => (
            Function::Concat,
            vec![Type::String; kinds.len()],
            Type::String,
        ),
        ("LOWER", [_]) => one(Function::Lower, text, Type::String),
        ("UPPER", [_]) => one(Function::Upper, text, Type::String),
        ("LENGTH" | "CHAR_LENGTH", [_]) => one(Function::Length, text, Type::Int64),
        ("TRIM", [_]) => one(Function::Trim, text, Type::String),
        ("LTRIM", [_]) => one(Function::LeftTrim, text, Type::String),
        ("RTRIM", [_]) => one(Function::RightTrim, text, Type::String),
        ("SUBSTR" | "SUBSTRING", [_, _]) => (
            Function::Substr,
            vec![Type::String, Type::Int64],
            Type::String,
        ),
        ("SUBSTR" | "SUBSTRING", [_, _, _]) => (
            Function::Substr,
            vec![Type::String, Type::Int64, Type::Int64],
            Type::String,
        ),
        ("STARTS_WITH", [_, _]) => (Function::StartsWith, vec![Type::String; 2], Type::Bool),
        ("ENDS_WITH", [_, _]) => (Function::EndsWith, vec![Type::String; 2], Type::Bool),
        ("REPLACE", [_, _, _]) => (Function::Replace, vec![Type::String; 3], Type::String),
        ("ABS", [kind]) if kind.is_numeric() => one(Function::Absolute, kind, (*kind).clone()),
        ("SIGN", [kind]) if kind.is_numeric() => one(Function::Sign, kind, (*kind).clone()),
        ("ROUND", [kind]) if kind.is_numeric() => {
            let kind = rounds(kind);
            one(Function::Round, &kind, kind.clone())
        }
        ("ROUND", [kind, _]) if kind.is_numeric() => {
            let kind = rounds(kind);
            (Function::Round, vec![kind.clone(), Type::Int64], kind)
        }
        ("MOD", [Type::Int64, Type::Int64]) => {
            (Function::Modulo, vec![Type::Int64; 2], Type::Int64)
        }
        ("SAFE_DIVIDE", [_, _]) => {
            let kind = rounds(&shared(arguments, name)?);
            (Function::SafeDivide, vec![kind.clone(); 2], kind)
        }
        ("FORMAT_DATE", [_, _]) => (
            Function::FormatDate,
            vec![Type::String, Type::Date],
            Type::String,
        ),
        ("FORMAT_TIMESTAMP", [_, _]) => (
            Function::FormatTimestamp,
            vec![Type::String, Type::Timestamp],
            Type::String,
        ),
        ("FORMAT_TIMESTAMP", [_, _, _]) => (
            Function::FormatTimestamp,
            vec![Type::String, Type::Timestamp, Type::String],
            Type::String,
        ),
        ("DATE_TRUNC", [_, _]) => (
            Function::DateTrunc,
            vec![Type::Date, Type::String],
            Type::Date,
        ),
        ("TIMESTAMP_TRUNC", [_, _]) => (
            Function::TimestampTrunc,
            vec![Type::Timestamp, Type::String],
            Type::Timestamp,
        ),
        ("DATE", [Type::Timestamp | Type::Datetime]) => one(Function::Date, kinds[0], Type::Date),
        ("TIMESTAMP", [Type::String]) => one(Function::Timestamp, text, Type::Timestamp),
        ("TIMESTAMP", [Type::Date | Type::Datetime]) => {
            one(Function::Timestamp, kinds[0], Type::Timestamp)
        }
        ("TIMESTAMP_MICROS", [_]) => one(Function::TimestampMicros, &Type::Int64, Type::Timestamp),
        ("TIMESTAMP_MILLIS", [_]) => one(Function::TimestampMillis, &Type::Int64, Type::Timestamp),
        ("TIMESTAMP_SECONDS", [_]) => {
            one(Function::TimestampSeconds, &Type::Int64, Type::Timestamp)
        }
        ("UNIX_MICROS", [_]) => one(Function::UnixMicros, &Type::Timestamp, Type::Int64),
        ("UNIX_MILLIS", [_]) => one(Function::UnixMillis, &Type::Timestamp, Type::Int64),
        ("UNIX_SECONDS", [_]) => one(Function::UnixSeconds, &Type::Timestamp, Type::Int64),
        ("ARRAY_LENGTH", [kind @ Type::Array(_)]) => one(Function::ArrayLength, kind, Type::Int64),
        _ => return Ok(None),
    };
    let settled: Option<Vec<_>> = arguments
        .iter()
        .zip(&takes)
        .map(|(argument, to)| coerce(argument, to))
        .collect();
    let Some(settled) = settled else {
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        return Err(format!(
            "No matching signature for function {name} for argument types: {}",
            kinds.join(", ")
        ));
    };
    Ok(Some(Typed {
        expr: Expr::Call(function, settled),
        kind: gives,
    }))
}

fn one(function: Function, takes: &Type, gives: Type) -> (Function, Vec<Type>, Type) {
    (function, vec![takes.clone()], gives)
}

/// Integers are rounded and divided as doubles.
fn rounds(kind: &Type) -> Type {
    match kind {
        Type::Int64 | Type::Null => Type::Float64,
        kind => kind.clone(),
    }
}

fn shared(arguments: &[Typed], name: &str) -> Result<Type, String> {
    let mut kind = Type::Null;
    // A text that is written out takes the type of what stands beside it.
    let is_text = |it: &&Typed| {
        it.kind == Type::String && matches!(it.expr, Expr::Literal(_) | Expr::Parameter(_))
    };
    for argument in arguments.iter().filter(|it| !is_text(it)) {
        kind = common(&kind, &argument.kind).ok_or_else(|| mismatch(arguments, name))?;
    }
    if arguments.iter().any(|it| is_text(&it)) && kind == Type::Null {
        kind = Type::String;
    }
    if arguments.iter().all(|it| coerce(it, &kind).is_some()) {
        Ok(kind)
    } else {
        Err(mismatch(arguments, name))
    }
}

fn mismatch(arguments: &[Typed], name: &str) -> String {
    let kinds: Vec<_> = arguments.iter().map(|it| it.kind.name()).collect();
    format!(
        "No matching signature for function {name} for argument types: {}",
        kinds.join(", ")
    )
}

/// The type that several expressions share, for `CASE`, `IF` and lists.
pub(super) fn shared_type(arguments: &[Typed], name: &str) -> Result<Type, String> {
    shared(arguments, name)
}

/// Calls a function. All but a few give null for a null.
pub(super) fn call(function: Function, values: &[Value]) -> Result<Value, String> {
    match (function, values) {
        (Function::Coalesce, values) => {
            return Ok(values
                .iter()
                .find(|it| !it.is_null())
                .cloned()
                .unwrap_or(Value::Null));
        }
        (Function::NullIf, [value, other]) => {
            let same = !value.is_null() && !other.is_null() && value.order(other).is_eq();
            return Ok(if same { Value::Null } else { value.clone() });
        }
        (_, values) if values.iter().any(Value::is_null) => return Ok(Value::Null),
        _ => {}
    }
    Ok(match (function, values) {
        (Function::Concat, values) => {
            Value::text(&values.iter().filter_map(Value::to_text).collect::<String>())
        }
        (Function::Lower, [Value::String(text)]) => Value::text(&text.to_lowercase()),
        (Function::Upper, [Value::String(text)]) => Value::text(&text.to_uppercase()),
        (Function::Length, [Value::String(text)]) => Value::Int(text.chars().count() as i64),
        (Function::Trim, [Value::String(text)]) => Value::text(text.trim()),
        (Function::LeftTrim, [Value::String(text)]) => Value::text(text.trim_start()),
        (Function::RightTrim, [Value::String(text)]) => Value::text(text.trim_end()),
        (Function::Substr, [Value::String(text), Value::Int(from), rest @ ..]) => {
            substr(text, *from, rest)?
        }
        (Function::StartsWith, [Value::String(text), Value::String(start)]) => {
            Value::Bool(text.starts_with(start.as_ref()))
        }
        (Function::EndsWith, [Value::String(text), Value::String(end)]) => {
            Value::Bool(text.ends_with(end.as_ref()))
        }
        (Function::Replace, [Value::String(text), Value::String(old), Value::String(new)]) => {
            let replaced = if old.is_empty() {
                text.to_string()
            } else {
                text.replace(old.as_ref(), new)
            };
            Value::text(&replaced)
        }
        (Function::Absolute, [value]) => magnitude(value)?,
        (Function::Sign, [value]) => sign(value),
        (Function::Round, [value, rest @ ..]) => {
            let digits = match rest {
                [Value::Int(digits)] => *digits,
                _ => 0,
            };
            round(value, digits)?
        }
        (Function::Modulo, [Value::Int(left), Value::Int(right)]) => left
            .checked_rem(*right)
            .map(Value::Int)
            .ok_or_else(|| format!("division by zero: MOD({left}, {right})"))?,
        (Function::SafeDivide, [left, right]) => divide(left, right).unwrap_or(Value::Null),
        (Function::Greatest, values) => best(values, std::cmp::Ordering::Greater),
        (Function::Least, values) => best(values, std::cmp::Ordering::Less),
        (Function::FormatDate, [Value::String(format), Value::Date(days)]) => {
            Value::text(&formatted(format, i64::from(*days) * MICROS_PER_DAY)?)
        }
        (
            Function::FormatTimestamp,
            [Value::String(format), Value::Timestamp(micros), zone @ ..],
        ) => {
            if let [Value::String(zone)] = zone
                && !matches!(zone.as_ref(), "UTC" | "Etc/UTC" | "+00:00" | "Z")
            {
                return Err(format!(
                    "the simulator knows no time zone but UTC, not {zone}"
                ));
            }
            Value::text(&formatted(format, *micros)?)
        }
        (Function::DateTrunc, [Value::Date(days), Value::String(unit)]) => {
            let micros = i64::from(*days) * MICROS_PER_DAY;
            let start = truncated(micros, unit, &Type::Date);
            start
                .and_then(|micros| i32::try_from(micros / MICROS_PER_DAY).ok())
                .map(Value::Date)
                .ok_or_else(|| format!("the simulator does not truncate dates to {unit}"))?
        }
        (Function::TimestampTrunc, [Value::Timestamp(micros), Value::String(unit)]) => {
            truncated(*micros, unit, &Type::Timestamp)
                .map(Value::Timestamp)
                .ok_or_else(|| format!("the simulator does not truncate timestamps to {unit}"))?
        }
        (Function::Date, [Value::Timestamp(micros) | Value::Datetime(micros)]) => {
            let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY));
            Value::Date(days.map_err(|_| "date out of range".to_owned())?)
        }
        (Function::Timestamp, [Value::String(text)]) => instant(text)
            .map(Value::Timestamp)
            .ok_or_else(|| format!("Invalid timestamp: '{text}'"))?,
        (Function::Timestamp, [Value::Datetime(micros)]) => Value::Timestamp(*micros),
        (Function::Timestamp, [Value::Date(days)]) => {
            Value::Timestamp(i64::from(*days) * MICROS_PER_DAY)
        }
        (Function::TimestampMicros, [Value::Int(micros)]) => Value::Timestamp(*micros),
        (Function::TimestampMillis, [Value::Int(millis)]) => {
            Value::Timestamp(millis.checked_mul(1000).ok_or("timestamp out of range")?)
        }
        (Function::TimestampSeconds, [Value::Int(seconds)]) => {
            let micros = seconds.checked_mul(MICROS_PER_SECOND);
            Value::Timestamp(micros.ok_or("timestamp out of range")?)
        }
        (Function::UnixMicros, [Value::Timestamp(micros)]) => Value::Int(*micros),
        (Function::UnixMillis, [Value::Timestamp(micros)]) => Value::Int(micros.div_euclid(1000)),
        (Function::UnixSeconds, [Value::Timestamp(micros)]) => {
            Value::Int(micros.div_euclid(MICROS_PER_SECOND))
        }
        (Function::ArrayLength, [Value::Array(values)]) => Value::Int(values.len() as i64),
        (function, _) => {
            return Err(format!(
                "{function:?} was called with other types than it takes"
            ));
        }
    })
}

fn best(values: &[Value], wanted: std::cmp::Ordering) -> Value {
    let mut values = values.iter();
    let mut best = values.next().cloned().unwrap_or(Value::Null);
    for value in values {
        if value.order(&best) == wanted {
            best = value.clone();
        }
    }
    best
}

fn substr(text: &str, from: i64, rest: &[Value]) -> Result<Value, String> {
    let length = text.chars().count() as i64;
    let start = match from {
        0 | 1 => 0,
        from if from > 0 => from - 1,
        from => (length + from).max(0),
    };
    let take = match rest {
        [Value::Int(take)] if *take < 0 => {
            return Err("Third argument in SUBSTR() cannot be negative".to_owned());
        }
        [Value::Int(take)] => *take,
        _ => length,
    };
    let skip = usize::try_from(start).unwrap_or(usize::MAX);
    let take = usize::try_from(take).unwrap_or_default();
    Ok(Value::text(
        &text.chars().skip(skip).take(take).collect::<String>(),
    ))
}

fn magnitude(value: &Value) -> Result<Value, String> {
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
        Value::Float(number) => number
            .partial_cmp(&0.0)
            .unwrap_or(std::cmp::Ordering::Equal),
        Value::Numeric(number) => number.units().cmp(&0),
        Value::BigNumeric(number) => number
            .as_ref()
            .cmp(&crate::bigquery::value::BigNumeric::from_int(0)),
        _ => std::cmp::Ordering::Equal,
    };
    order as i64
}

fn sign(value: &Value) -> Value {
    let sign = sign_of(value);
    match value {
        Value::Float(_) => Value::Float(sign as f64),
        Value::Numeric(_) => Value::Numeric(crate::bigquery::value::Numeric::from_int(sign)),
        Value::BigNumeric(_) => {
            Value::BigNumeric(Box::new(crate::bigquery::value::BigNumeric::from_int(sign)))
        }
        _ => Value::Int(sign),
    }
}

pub(super) fn negate(value: &Value) -> Result<Value, String> {
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

fn round(value: &Value, digits: i64) -> Result<Value, String> {
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
pub(super) fn divide(left: &Value, right: &Value) -> Result<Value, String> {
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

/// The elements of a format that are known here; others are refused rather than guessed.
fn formatted(format: &str, micros: i64) -> Result<String, String> {
    let day = calendar_date(i32::try_from(micros.div_euclid(MICROS_PER_DAY)).unwrap_or_default());
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let seconds = of_day / MICROS_PER_SECOND;
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(letter) = rest.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let element: String = match rest.next() {
            Some('E') => {
                let tail: String = rest.by_ref().take(2).collect();
                format!("E{tail}")
            }
            Some(letter) => letter.to_string(),
            None => String::new(),
        };
        let written = match element.as_str() {
            "Y" => write!(out, "{:04}", day.year),
            "m" => write!(out, "{:02}", day.month),
            "d" => write!(out, "{:02}", day.day),
            "F" => write!(out, "{:04}-{:02}-{:02}", day.year, day.month, day.day),
            "H" => write!(out, "{:02}", seconds / 3600),
            "M" => write!(out, "{:02}", seconds / 60 % 60),
            "S" => write!(out, "{:02}", seconds % 60),
            "T" => write!(
                out,
                "{}",
                &timestamp_text(seconds * MICROS_PER_SECOND, ' ')[11..]
            ),
            "E6S" => write!(out, "{:02}.{:06}", seconds % 60, of_day % MICROS_PER_SECOND),
            "E3S" => write!(
                out,
                "{:02}.{:03}",
                seconds % 60,
                of_day % MICROS_PER_SECOND / 1000
            ),
            "Q" => write!(out, "{}", (day.month - 1) / 3 + 1),
            "Z" => write!(out, "UTC"),
            "s" => write!(out, "{}", micros.div_euclid(MICROS_PER_SECOND)),
            "%" => write!(out, "%"),
            other => {
                return Err(format!(
                    "the simulator does not know the format element %{other}"
                ));
            }
        };
        written.map_err(|error| error.to_string())?;
    }
    Ok(out)
}

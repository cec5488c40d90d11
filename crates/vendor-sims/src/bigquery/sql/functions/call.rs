//! Calling functions with values.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::Function;
use super::number::{divide, magnitude, round, sign};
use crate::bigquery::sql::cast::instant;
use crate::bigquery::value::{
    MICROS_PER_DAY, MICROS_PER_SECOND, Type, Value, calendar_date, timestamp_text, truncated,
};

/// Calls a function. All but a few give null for a null.
pub(crate) fn call(function: Function, values: &[Value]) -> Result<Value, String> {
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
        (Function::Greatest, values) => best(values, Ordering::Greater),
        (Function::Least, values) => best(values, Ordering::Less),
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

fn best(values: &[Value], wanted: Ordering) -> Value {
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

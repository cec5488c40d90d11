//! Scalar functions: which there are, what they take, what they give.
//!
//! docs.cloud.google.com/bigquery, Functions, operators, and conditionals.

mod call;
mod number;

pub(crate) use self::call::call;
pub(crate) use self::number::{divide, negate};
use crate::bigquery::sql::cast::{coerce, common};
use crate::bigquery::sql::plan::{Expr, Typed};
use crate::bigquery::value::Type;

/// A scalar function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
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
pub(crate) fn resolve(name: &str, arguments: &[Typed]) -> Result<Option<Typed>, String> {
    let kinds: Vec<_> = arguments.iter().map(|it| &it.kind).collect();
    let text = &Type::String;
    let (function, takes, gives): (Function, Vec<Type>, Type) = match (name, kinds.as_slice()) {
        ("COALESCE", [_, ..]) | ("IFNULL", [_, _]) => {
            let kind = shared_type(arguments, name)?;
            (Function::Coalesce, vec![kind.clone(); kinds.len()], kind)
        }
        ("NULLIF", [_, _]) => {
            let kind = shared_type(arguments, name)?;
            (Function::NullIf, vec![kind.clone(); 2], kind)
        }
        ("GREATEST" | "LEAST", [_, ..]) => {
            let kind = shared_type(arguments, name)?;
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
            let kind = rounds(&shared_type(arguments, name)?);
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
        return Err(mismatch(arguments, name));
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

/// The type that several expressions share, for `CASE`, `IF` and lists.
pub(crate) fn shared_type(arguments: &[Typed], name: &str) -> Result<Type, String> {
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

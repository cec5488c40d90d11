//! What happens to one value.

use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::{date, format_description};
use time::{Date, OffsetDateTime, PrimitiveDateTime};

use super::keys::Keyed;
use super::kind::ColumnKind;
use crate::column::Value;
use crate::decimal::Decimal;

/// A treatment that is ready to be applied.
#[derive(Clone, Debug)]
pub(super) enum Treat {
    Keep,
    Cast(ColumnKind),
    Hash(Keyed),
    Mask { keep_last: usize },
}

impl Treat {
    /// What the column holds afterwards.
    pub(super) fn kind(&self, before: ColumnKind) -> ColumnKind {
        match self {
            Self::Keep => before,
            Self::Cast(kind) => *kind,
            Self::Hash(_) | Self::Mask { .. } => ColumnKind::Text,
        }
    }

    /// Whether some value may be hidden by it on purpose.
    pub(super) fn hides(&self) -> bool {
        matches!(self, Self::Hash(_) | Self::Mask { .. })
    }

    /// The value afterwards; text of its own stands in `text`.
    ///
    /// # Errors
    ///
    /// Why the value does not fit.
    pub(super) fn apply<'a>(
        &self,
        value: Value<'a>,
        text: &'a mut String,
    ) -> Result<Value<'a>, &'static str> {
        text.clear();
        if value.is_null() {
            return Ok(Value::Null);
        }
        match self {
            Self::Keep => Ok(value),
            Self::Cast(kind) => cast(value, *kind, text),
            Self::Hash(key) => {
                let mut plain = String::new();
                let plain = as_text(value, &mut plain);
                if !plain.is_empty() {
                    key.push_hash(plain, text);
                }
                Ok(Value::Text(text))
            }
            Self::Mask { keep_last } => {
                let mut plain = String::new();
                mask(as_text(value, &mut plain), *keep_last, text);
                Ok(Value::Text(text))
            }
        }
    }
}

/// Whether a cast can be carried out for any value at all.
pub(super) fn can_cast(from: ColumnKind, to: ColumnKind) -> bool {
    use ColumnKind::{Boolean, Decimal, Integer, Text};
    from == to
        || matches!(
            (from, to),
            (Text, _) | (_, Text) | (Integer | Decimal { .. }, Integer | Decimal { .. })
        )
        || (from, to) == (Boolean, Integer)
}

/// A value from its text, as [`Value::push_to`] writes it and people write it in settings.
pub(super) fn read(text: &str, kind: ColumnKind) -> Result<Value<'_>, &'static str> {
    if text.is_empty() && kind != ColumnKind::Text {
        return Ok(Value::Null);
    }
    Ok(match kind {
        ColumnKind::Text => Value::Text(text),
        ColumnKind::Integer => Value::Integer(integer(text).ok_or(NOT_INTEGER)?),
        ColumnKind::Boolean => Value::Boolean(boolean(text).ok_or("not true or false")?),
        ColumnKind::Decimal { scale } => {
            let decimal = text.parse().map_err(|_| NOT_DECIMAL)?;
            Value::Decimal(at_scale(decimal, scale)?)
        }
        ColumnKind::Date => Value::Date(day(text).ok_or("not a date such as 2026-01-31")?),
        ColumnKind::Timestamp => {
            Value::Timestamp(moment(text).ok_or("not a time such as 2026-01-31T18:02:00Z")?)
        }
    })
}

const NOT_INTEGER: &str = "not a whole number of 64 bits without leading zeros";
const NOT_DECIMAL: &str = "not a decimal number of at most 38 digits";

fn cast<'a>(
    value: Value<'a>,
    to: ColumnKind,
    text: &'a mut String,
) -> Result<Value<'a>, &'static str> {
    match (value, to) {
        (Value::Text(value), to) => read(value, to),
        (value, ColumnKind::Text) => {
            value.push_to(text);
            Ok(Value::Text(text))
        }
        (Value::Integer(value), ColumnKind::Decimal { scale }) => {
            let decimal = Decimal::new(value.into(), 0).ok_or(NOT_DECIMAL)?;
            Ok(Value::Decimal(at_scale(decimal, scale)?))
        }
        (Value::Decimal(value), ColumnKind::Decimal { scale }) => {
            Ok(Value::Decimal(at_scale(value, scale)?))
        }
        (Value::Decimal(value), ColumnKind::Integer) => {
            let whole = value.at_scale(0).and_then(|it| i64::try_from(it).ok());
            Ok(Value::Integer(
                whole.ok_or("not a whole number of 64 bits")?,
            ))
        }
        (Value::Boolean(value), ColumnKind::Integer) => Ok(Value::Integer(value.into())),
        (value, to) if kind_of(value) == Some(to) => Ok(value),
        _ => Err("no such cast"),
    }
}

fn kind_of(value: Value<'_>) -> Option<ColumnKind> {
    Some(match value {
        Value::Null => return None,
        Value::Text(_) => ColumnKind::Text,
        Value::Integer(_) => ColumnKind::Integer,
        Value::Decimal(value) => ColumnKind::Decimal {
            scale: value.scale(),
        },
        Value::Boolean(_) => ColumnKind::Boolean,
        Value::Date(_) => ColumnKind::Date,
        Value::Timestamp(_) => ColumnKind::Timestamp,
    })
}

fn as_text<'a>(value: Value<'a>, text: &'a mut String) -> &'a str {
    match value {
        Value::Text(value) => value,
        other => {
            other.push_to(text);
            text
        }
    }
}

fn mask(plain: &str, keep_last: usize, masked: &mut String) {
    let characters = plain.chars().count();
    let kept = if characters > keep_last.saturating_mul(2) {
        keep_last
    } else {
        0
    };
    for (position, character) in plain.chars().enumerate() {
        masked.push(if position < characters - kept {
            '*'
        } else {
            character
        });
    }
}

fn at_scale(decimal: Decimal, scale: u8) -> Result<Decimal, &'static str> {
    let digits = decimal.at_scale(scale);
    let fits = digits.and_then(|digits| Decimal::new(digits, scale));
    fits.ok_or("has more digits than the column keeps, and nothing is rounded")
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    // A number of leading zeros is a code, and as a number another one.
    let is_code = digits.len() > 1 && digits.starts_with('0');
    if is_code { None } else { text.parse().ok() }
}

fn boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "t", "yes", "y"]) {
        Some(true)
    } else if is(&["false", "f", "no", "n"]) {
        Some(false)
    } else {
        None
    }
}

fn day(text: &str) -> Option<i32> {
    const ISO: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
    const AMERICAN: &[BorrowedFormatItem<'_>] = format_description!("[month]/[day]/[year]");
    const EPOCH: Date = date!(1970 - 01 - 01);
    let date = Date::parse(text, ISO).or_else(|_| Date::parse(text, AMERICAN));
    Some(date.ok()?.to_julian_day() - EPOCH.to_julian_day())
}

fn moment(text: &str) -> Option<i64> {
    const PLAIN: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    const FINE: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");
    let in_utc = |format| PrimitiveDateTime::parse(text, format).map(PrimitiveDateTime::assume_utc);
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| in_utc(PLAIN))
        .or_else(|_| in_utc(FINE));
    let nanoseconds = moment.ok()?.unix_timestamp_nanos();
    let fits = nanoseconds % 1_000 == 0;
    fits.then(|| i64::try_from(nanoseconds / 1_000).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = ColumnKind> {
        prop_oneof![
            Just(ColumnKind::Integer),
            Just(ColumnKind::Boolean),
            (0u8..=18).prop_map(|scale| ColumnKind::Decimal { scale }),
            Just(ColumnKind::Date),
            Just(ColumnKind::Timestamp),
        ]
    }

    proptest! {
        /// Whatever fits can be read back as it was: no cast rounds, cuts or guesses.
        #[test]
        fn casts_lose_nothing(
            text in r"[+-]?[0-9]{0,12}(\.[0-9]{0,12})?|[a-zA-Z]{0,5}|20[0-9]{2}-[01][0-9]-[0-3][0-9]( [012][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,7})?)?",
            to in kinds(),
        ) {
            let (mut there, mut back) = (String::new(), String::new());
            let Ok(value) = Treat::Cast(to).apply(Value::Text(&text), &mut there) else {
                return Ok(());
            };
            if text.is_empty() {
                prop_assert!(value.is_null());
                return Ok(());
            }
            prop_assert_eq!(
                match value { Value::Decimal(it) => ColumnKind::Decimal { scale: it.scale() }, other => kind_of(other).unwrap() },
                to
            );
            let Ok(Value::Text(written)) = Treat::Cast(ColumnKind::Text).apply(value, &mut back) else {
                panic!("everything becomes text")
            };
            let same = match to {
                ColumnKind::Integer => written == text.trim_start_matches('+') || text == "-0",
                ColumnKind::Decimal { .. } => written.parse::<Decimal>().unwrap() == text.parse::<Decimal>().unwrap(),
                ColumnKind::Date => written == text,
                ColumnKind::Boolean => written[..1].eq_ignore_ascii_case(&text[..1])
                    || text.eq_ignore_ascii_case("y") || text.eq_ignore_ascii_case("yes")
                    || text.eq_ignore_ascii_case("n") || text.eq_ignore_ascii_case("no"),
                _ => written.trim_end_matches('0').trim_end_matches('.').starts_with(text.trim_end_matches('0').trim_end_matches('.')),
            };
            prop_assert!(same, "{text} became {written} by way of {to}");
        }
    }

    #[test]
    fn what_does_not_fit_is_no_value() {
        let mut text = String::new();
        for (value, to) in [
            (Value::Text("007"), "integer"),
            (Value::Text("12.5"), "integer"),
            (Value::Text("9223372036854775808"), "integer"),
            (Value::Text("1e5"), "decimal"),
            (Value::Text("0.125"), "decimal(2)"),
            (Value::Text("2026-02-30"), "date"),
            (Value::Text("2026-01-31T18:02:00.0000001Z"), "timestamp"),
            (Value::Text("1"), "boolean"),
            (Value::Decimal(Decimal::new(125, 1).unwrap()), "integer"),
            (Value::Decimal(Decimal::new(125, 3).unwrap()), "decimal(2)"),
            (Value::Integer(i64::MAX), "decimal(30)"),
        ] {
            let treat = Treat::Cast(to.parse().unwrap());
            assert!(treat.apply(value, &mut text).is_err(), "{value:?} to {to}");
        }
    }

    #[test]
    fn masks_show_the_end_of_what_is_long_enough() {
        for (plain, masked) in [
            ("4111111111111111", "************1111"),
            ("12345678", "********"),
            ("Ærøskøbing", "******bing"),
            ("", ""),
        ] {
            let mut text = String::new();
            let treat = Treat::Mask { keep_last: 4 };
            assert_eq!(
                treat.apply(Value::Text(plain), &mut text),
                Ok(Value::Text(masked))
            );
        }
    }
}

//! One field of one record: its kinds, its order and its texts on the wire.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::calendar;
use crate::decimal::Decimal;

/// What a field holds.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A running number behind a prefix, padded with zeros: a text that needs no storage.
    Serial(&'static str, u64, usize),
    /// The number of a record; always written plainly.
    Key(u64),
    /// A count; may be written as `12.0`, as the gateway does at times.
    Int(i64),
    /// Hundredths of a currency unit.
    Money(i64),
    Number(Decimal),
    Date(i32),
    Instant(i64),
    /// `true` or `false`.
    Bool(bool),
    /// `T` or `F`.
    Flag(bool),
    /// A text kept exactly as it was given, read by its class when it is compared.
    Wire(&'a str, Class),
}

/// How values of a field are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Text,
    Number,
    Date,
    Instant,
    Bool,
}

/// A value in the form in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparable<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(Decimal),
    Date(i32),
    Instant(i64),
    Bool(bool),
}

impl<'a> Value<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(Cow::Borrowed(text))
        }
    }

    pub(crate) fn owned(text: String) -> Self {
        if text.is_empty() {
            Self::Null
        } else {
            Self::Text(Cow::Owned(text))
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Wire(text, _) => text.is_empty(),
            _ => false,
        }
    }

    pub(crate) fn comparable(&self) -> Comparable<'_> {
        match self {
            Self::Null => Comparable::Null,
            Self::Text(text) => Comparable::Text(Cow::Borrowed(text)),
            Self::Serial(prefix, number, width) => Comparable::Text(Cow::Owned(format!(
                "{prefix}{number:0width$}",
                width = *width
            ))),
            Self::Key(key) => Comparable::Number(Decimal {
                units: i128::from(*key),
                scale: 0,
            }),
            Self::Int(number) => Comparable::Number(Decimal::whole(*number)),
            Self::Money(cents) => Comparable::Number(Decimal::cents(*cents)),
            Self::Number(number) => Comparable::Number(*number),
            Self::Date(date) => Comparable::Date(*date),
            Self::Instant(instant) => Comparable::Instant(*instant),
            Self::Bool(yes) | Self::Flag(yes) => Comparable::Bool(*yes),
            Self::Wire(text, class) => Comparable::read(text, *class).unwrap_or(Comparable::Null),
        }
    }

    /// The number, where it is one.
    pub(crate) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Money(cents) => Some(Decimal::cents(*cents)),
            Self::Int(number) => Some(Decimal::whole(*number)),
            other => match other.comparable() {
                Comparable::Number(number) => Some(number),
                _ => None,
            },
        }
    }

    /// Writes the text of the value, not escaped. `quirk` chooses among the gateway's spellings.
    pub(crate) fn push(&self, out: &mut Vec<u8>, quirk: u32) {
        match self {
            Self::Null => {}
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Wire(text, _) => out.extend_from_slice(text.as_bytes()),
            Self::Serial(prefix, number, width) => {
                out.extend_from_slice(prefix.as_bytes());
                push_padded(out, *number, *width);
            }
            Self::Key(key) => push_padded(out, *key, 1),
            Self::Int(number) => {
                push_int(out, *number);
                if quirk % 61 == 7 {
                    out.extend_from_slice(b".0");
                }
            }
            Self::Money(cents) => push_money(out, *cents, quirk.is_multiple_of(2)),
            Self::Number(number) => number.push(out),
            Self::Date(date) => calendar::push_date(out, *date),
            Self::Instant(instant) => calendar::push_instant(out, *instant),
            Self::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
            Self::Flag(yes) => out.push(if *yes { b'T' } else { b'F' }),
        }
    }

    /// Whether the text can hold characters that XML must escape.
    pub(crate) fn needs_escape(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Wire(..))
    }
}

impl Comparable<'_> {
    /// Reads a literal or a kept text; an unreadable one gives nothing.
    pub(crate) fn read(text: &str, class: Class) -> Option<Comparable<'_>> {
        if text.is_empty() {
            return Some(Comparable::Null);
        }
        Some(match class {
            Class::Text => Comparable::Text(Cow::Borrowed(text)),
            Class::Number => Comparable::Number(Decimal::parse(text)?),
            Class::Date => Comparable::Date(calendar::parse_date(text)?),
            Class::Instant => Comparable::Instant(calendar::parse_instant(text)?),
            Class::Bool => Comparable::Bool(match text {
                "true" | "T" => true,
                "false" | "F" => false,
                _ => return None,
            }),
        })
    }

    pub(crate) fn into_owned(self) -> Comparable<'static> {
        match self {
            Self::Null => Comparable::Null,
            Self::Text(text) => Comparable::Text(Cow::Owned(text.into_owned())),
            Self::Number(number) => Comparable::Number(number),
            Self::Date(date) => Comparable::Date(date),
            Self::Instant(instant) => Comparable::Instant(instant),
            Self::Bool(yes) => Comparable::Bool(yes),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Date(_) => 3,
            Self::Instant(_) => 4,
            Self::Text(_) => 5,
        }
    }
}

impl PartialOrd for Comparable<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Comparable<'_> {
    /// Null comes before everything, so that ascending order starts with the empty fields.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Instant(a), Self::Instant(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

fn push_int(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_padded(out, number.unsigned_abs(), 1);
}

pub(crate) fn push_padded(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 24];
    let mut at = digits.len();
    let least = digits.len() - width.clamp(1, 20);
    while number > 0 || at > least {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_money(out: &mut Vec<u8>, cents: i64, bare_point: bool) {
    let size = cents.unsigned_abs();
    if cents < 0 {
        out.push(b'-');
    }
    let (whole, fraction) = (size / 100, (size % 100) as u8);
    if whole > 0 || fraction == 0 || !bare_point {
        push_padded(out, whole, 1);
    }
    if fraction > 0 {
        out.push(b'.');
        out.push(b'0' + fraction / 10);
        if fraction % 10 > 0 {
            out.push(b'0' + fraction % 10);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value<'_>, quirk: u32) -> String {
        let mut out = Vec::new();
        value.push(&mut out, quirk);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn amounts_are_written_as_the_gateway_does() {
        assert_eq!(written(&Value::Money(50), 0), ".5");
        assert_eq!(written(&Value::Money(50), 1), "0.5");
        assert_eq!(written(&Value::Money(-25), 0), "-.25");
        assert_eq!(written(&Value::Money(0), 0), "0");
        assert_eq!(written(&Value::Money(379_700), 1), "3797");
        assert_eq!(written(&Value::Money(105), 1), "1.05");
        assert_eq!(written(&Value::Int(12), 7), "12.0");
        assert_eq!(written(&Value::Serial("V", 42, 5), 0), "V00042");
    }

    #[test]
    fn nulls_come_first() {
        assert!(Value::Null.comparable() < Value::Money(-1).comparable());
        assert_eq!(
            Value::Wire("", Class::Number).comparable(),
            Comparable::Null
        );
    }
}

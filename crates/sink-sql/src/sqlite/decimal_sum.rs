//! `decimal_sum(X)`: the exact sum of decimals that are held as text.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Type, ValueRef};
use sync_core::Decimal;

/// The name, which is also that of the like function in the `sqlite3` shell's decimal extension.
pub(super) const NAME: &str = "decimal_sum";

/// Lets a connection's statements use the function.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // Innocuous, so that views which people keep in the file can use it.
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_aggregate_function(NAME, 1, flags, DecimalSum)
}

struct DecimalSum;

/// What was added up so far. Digits and scale stand by themselves, because most values have the
/// scale of the sum and then one addition of integers is all there is to do.
#[derive(Default)]
struct Sum {
    unscaled: i128,
    scale: u8,
    values: u64,
}

impl Aggregate<Sum, Option<String>> for DecimalSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> rusqlite::Result<()> {
        let added = match context.get_raw(0) {
            ValueRef::Null => return Ok(()),
            ValueRef::Integer(value) => sum.add(i128::from(value), 0),
            ValueRef::Text(text) => {
                let (unscaled, scale) = digits(text).or_else(|| parsed(text)).ok_or_else(|| {
                    let text = String::from_utf8_lossy(text);
                    let shown: String = text.chars().take(40).collect();
                    refused(format!("{NAME}: not a decimal number: {shown:?}"))
                })?;
                sum.add(unscaled, scale)
            }
            other => {
                let found = match other.data_type() {
                    Type::Real => "a float, which is not exact: sum the text",
                    _ => "bytes",
                };
                return Err(refused(format!("{NAME}: found {found}")));
            }
        };
        added.ok_or_else(|| refused(format!("{NAME}: the sum has more than 38 digits")))
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> rusqlite::Result<Option<String>> {
        let Some(sum) = sum.filter(|sum| sum.values > 0) else {
            return Ok(None);
        };
        let total = Decimal::new(sum.unscaled, sum.scale)
            .ok_or_else(|| refused(format!("{NAME}: the sum has more than 38 digits")))?;
        Ok(Some(total.to_string()))
    }
}

impl Sum {
    fn add(&mut self, unscaled: i128, scale: u8) -> Option<()> {
        self.values += 1;
        if scale == self.scale {
            self.unscaled = self.unscaled.checked_add(unscaled)?;
            return Some(());
        }
        let own = Decimal::new(self.unscaled, self.scale)?;
        let total = own.checked_add(Decimal::new(unscaled, scale)?)?;
        (self.unscaled, self.scale) = (total.unscaled(), total.scale());
        Some(())
    }
}

/// The digits and scale of `-?digits(.digits)?` where the digits fit 64 bits: the quick way.
fn digits(text: &[u8]) -> Option<(i128, u8)> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    // 18 digits and a point.
    if unsigned.is_empty() || unsigned.len() > 19 {
        return None;
    }
    let mut value: i64 = 0;
    let mut point = None;
    for (position, &byte) in unsigned.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
        } else if byte == b'.' && point.is_none() && position > 0 {
            point = Some(position);
        } else {
            return None;
        }
    }
    let places = point.map_or(0, |point| unsigned.len() - point - 1);
    let value = if negative { -value } else { value };
    Some((i128::from(value), u8::try_from(places).ok()?))
}

/// The same for any decimal.
fn parsed(text: &[u8]) -> Option<(i128, u8)> {
    let decimal: Decimal = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some((decimal.unscaled(), decimal.scale()))
}

fn refused(message: String) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(message.into())
}

/// Whether a statement failed because a sum has no exact result. SQLite keeps only the message.
pub(super) fn refuses(cause: &rusqlite::Error) -> bool {
    matches!(cause, rusqlite::Error::SqliteFailure(_, Some(message))
        if message.strip_prefix(NAME).is_some_and(|rest| rest.starts_with(": ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum_of(texts: &[String]) -> rusqlite::Result<Option<String>> {
        let connection = Connection::open_in_memory()?;
        register(&connection)?;
        connection.execute_batch("CREATE TABLE amounts (amount TEXT) STRICT")?;
        for text in texts {
            connection.execute("INSERT INTO amounts VALUES (?1)", [text])?;
        }
        connection.query_row("SELECT decimal_sum(amount) FROM amounts", [], |row| {
            row.get(0)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_sum_is_that_of_decimals(parts in prop::collection::vec((any::<i64>(), 0u8..=18), 1..40)) {
            let decimals: Vec<_> = parts.iter().map(|&(unscaled, scale)| Decimal::new(i128::from(unscaled), scale).unwrap()).collect();
            let expected = decimals.iter().try_fold(Decimal::ZERO, |sum, next| sum.checked_add(*next)).unwrap();
            let texts: Vec<_> = decimals.iter().map(ToString::to_string).collect();
            prop_assert_eq!(sum_of(&texts).unwrap(), Some(expected.to_string()));
        }

        #[test]
        fn the_quick_way_reads_what_the_careful_one_does(text in "-?[0-9.]{0,22}") {
            if let Some((unscaled, scale)) = digits(text.as_bytes()) {
                prop_assert_eq!(parsed(text.as_bytes()), Some((unscaled, scale)));
            }
        }
    }

    #[test]
    fn thirty_eight_digits_add_up_and_the_thirty_ninth_is_an_error() {
        let most = "99999999999999999999999999999999999998";
        let sum = sum_of(&[most.into(), "1".into()]).unwrap().unwrap();
        assert_eq!(sum, "99999999999999999999999999999999999999.00");
        let error = sum_of(&[most.into(), "2".into()]).unwrap_err();
        assert!(error.to_string().contains("more than 38 digits"), "{error}");
    }

    #[test]
    fn nothing_to_add_is_null_and_what_is_no_number_is_an_error() {
        assert_eq!(sum_of(&[]).unwrap(), None);
        assert!(sum_of(&["12,5".into()]).is_err());
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0));
        assert_eq!(ask("SELECT decimal_sum(NULL)").unwrap(), None);
        assert_eq!(ask("SELECT decimal_sum(7)").unwrap(), Some("7.00".into()));
        assert!(ask("SELECT decimal_sum(0.1)").is_err());
        assert!(ask("SELECT decimal_sum(x'31')").is_err());
    }
}

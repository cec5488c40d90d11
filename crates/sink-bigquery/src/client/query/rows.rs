//! Rows of a result.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use time::{Date, OffsetDateTime};

use crate::client::reason::Reason;
use crate::client::tables::TableSchema;
use crate::error::{Error, ErrorKind, Result};

/// One value of a row, as BigQuery writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cell {
    /// Nothing.
    Null,
    /// A single value of any type, as text: decimals digit by digit, timestamps in microseconds.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// The fields of a struct, in their order.
    Struct(Vec<Self>),
}

impl Cell {
    pub(super) fn from_json(value: Json) -> Result<Self> {
        match value {
            Json::Null => Ok(Self::Null),
            Json::String(text) => Ok(Self::Text(text)),
            Json::Bool(truth) => Ok(Self::Text(truth.to_string())),
            Json::Number(number) => Ok(Self::Text(number.to_string())),
            Json::Array(items) => {
                let cells = items.into_iter().map(|mut item| match item.get_mut("v") {
                    Some(value) => Self::from_json(value.take()),
                    None => Err(Error::broken("an item of a list has no value")),
                });
                Ok(Self::List(cells.collect::<Result<_>>()?))
            }
            Json::Object(_) => Ok(Self::Struct(fields(value)?)),
        }
    }
}

/// The cells in `{"f": [{"v": ...}, ...]}`.
pub(super) fn fields(mut row: Json) -> Result<Vec<Cell>> {
    let Some(Json::Array(cells)) = row.get_mut("f").map(Json::take) else {
        return Err(Error::broken("a row of the result has no fields"));
    };
    let cells = cells.into_iter().map(|mut cell| match cell.get_mut("v") {
        Some(value) => Cell::from_json(value.take()),
        None => Ok(Cell::Null),
    });
    cells.collect()
}

/// A row of a result.
#[derive(Clone, Debug)]
pub struct Row {
    pub(super) schema: Arc<TableSchema>,
    pub(super) cells: Vec<Cell>,
}

impl Row {
    /// Its cells, in the order of the columns.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The cell of a column.
    ///
    /// # Errors
    ///
    /// `Data` when there is no such column.
    pub fn cell(&self, column: &str) -> Result<&Cell> {
        let fields = self.schema.fields.iter();
        let position = fields
            .into_iter()
            .position(|field| field.name.eq_ignore_ascii_case(column));
        let cell = position.and_then(|position| self.cells.get(position));
        cell.ok_or_else(|| data("the result has no such column", column))
    }

    /// The text of a column, whatever its type: a decimal digit by digit, a day as `2026-01-31`.
    ///
    /// # Errors
    ///
    /// `Data` when there is no such column, or it is a list or struct.
    pub fn text(&self, column: &str) -> Result<Option<&str>> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            _ => Err(data(
                "the column is a list or a struct, not a single value",
                column,
            )),
        }
    }

    /// The whole number in a column.
    ///
    /// # Errors
    ///
    /// `Data` when there is no such column, or it is no whole number.
    pub fn int64(&self, column: &str) -> Result<Option<i64>> {
        self.read(column, |text| text.parse().ok())
    }

    /// The truth in a column.
    ///
    /// # Errors
    ///
    /// `Data` when there is no such column, or it is neither true nor false.
    pub fn bool(&self, column: &str) -> Result<Option<bool>> {
        self.read(column, |text| match text {
            "true" | "TRUE" => Some(true),
            "false" | "FALSE" => Some(false),
            _ => None,
        })
    }

    /// The day in a column.
    ///
    /// # Errors
    ///
    /// `Data` when there is no such column, or it is no day.
    pub fn date(&self, column: &str) -> Result<Option<Date>> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        self.read(column, |text| Date::parse(text, format).ok())
    }

    /// The point in time in a TIMESTAMP column.
    ///
    /// # Errors
    ///
    /// `Data` when there is no such column, or it is no timestamp.
    pub fn timestamp(&self, column: &str) -> Result<Option<OffsetDateTime>> {
        self.read(column, timestamp)
    }

    /// The bytes in a column.
    ///
    /// # Errors
    ///
    /// `Data` when there is no such column, or they are not base64.
    pub fn bytes(&self, column: &str) -> Result<Option<Vec<u8>>> {
        self.read(column, |text| STANDARD.decode(text).ok())
    }

    fn read<T>(&self, column: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        let Some(text) = self.text(column)? else {
            return Ok(None);
        };
        let value = read(text);
        // The value itself stays out of the message: it may be anybody's.
        value.map(Some).ok_or_else(|| {
            data(
                "the value in the column is not of the type that is asked for",
                column,
            )
        })
    }
}

/// Microseconds, as this client asks for them; or seconds with a point, as a server that does not heed it writes.
fn timestamp(text: &str) -> Option<OffsetDateTime> {
    let micros = match text.parse::<i64>() {
        Ok(micros) => i128::from(micros),
        Err(_) => seconds(text)?,
    };
    OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1000)?).ok()
}

/// The microseconds in `1769874000.5` or `1.769874E9`, exactly; what is finer is none.
fn seconds(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, unsigned) = match mantissa.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, mantissa),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || whole.len() + fraction.len() > 30 || !(-20..=20).contains(&exponent) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: i128 = digits.parse().ok()?;
    let shift = 6 + exponent - i32::try_from(fraction.len()).ok()?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let micros = if shift >= 0 {
        digits.checked_mul(power)?
    } else if digits % power == 0 {
        digits / power
    } else {
        return None;
    };
    Some(sign * micros)
}

fn data(message: &str, column: &str) -> Error {
    Error::data(message).with("column", column)
}

impl Error {
    /// A value that is not what it should be; nothing was sent for it.
    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, Reason::Invalid, message)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;
    use time::macros::{date, datetime};

    use super::{Cell, Row, fields, seconds, timestamp};
    use crate::client::tables::{Field, FieldType, TableSchema};

    fn row(cells: serde_json::Value) -> Row {
        let columns = ["n", "amount", "ok", "day", "at", "raw", "lines"];
        let fields_of = columns.map(|name| Field::new(name, FieldType::String));
        Row {
            schema: Arc::new(TableSchema::new(fields_of)),
            cells: fields(cells).unwrap(),
        }
    }

    #[test]
    fn cells_are_read_by_name_and_type() {
        let row = row(json!({"f": [
            {"v": "-9223372036854775808"}, {"v": "1679615.93"}, {"v": "true"}, {"v": "2026-01-31"},
            {"v": "1769854272000001"}, {"v": "+/8="},
            {"v": [{"v": {"f": [{"v": "a"}, {"v": null}]}}]},
        ]}));
        assert_eq!(row.int64("N").unwrap(), Some(i64::MIN));
        assert_eq!(row.text("amount").unwrap(), Some("1679615.93"));
        assert_eq!(row.bool("ok").unwrap(), Some(true));
        assert_eq!(row.date("day").unwrap(), Some(date!(2026 - 01 - 31)));
        assert_eq!(
            row.timestamp("at").unwrap(),
            Some(datetime!(2026-01-31 10:11:12.000001 UTC))
        );
        assert_eq!(row.bytes("raw").unwrap(), Some(vec![0xfb, 0xff]));
        let line = Cell::Struct(vec![Cell::Text("a".to_owned()), Cell::Null]);
        assert_eq!(row.cell("lines").unwrap(), &Cell::List(vec![line]));
        row.text("lines").unwrap_err();
        row.text("missing").unwrap_err();
        let error = row.int64("amount").unwrap_err();
        assert!(!error.to_string().contains("1679615"), "{error}");
    }

    #[test]
    fn seconds_with_a_point_are_read_exactly() {
        assert_eq!(seconds("1769854272.000001"), Some(1_769_854_272_000_001));
        assert_eq!(seconds("1.7699E9"), Some(1_769_900_000_000_000));
        assert_eq!(seconds("-0.5"), Some(-500_000));
        assert_eq!(seconds("1.0000001"), None);
        for bad in ["", "e", "nan", ".", "1e99", "--1", "1.2.3"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
        assert_eq!(timestamp("9223372036854775807"), None);
    }

    proptest! {
        #[test]
        fn no_row_makes_it_panic(text in "\\PC{0,60}", number in any::<i64>()) {
            let _ = timestamp(&text);
            if let Ok(value) = serde_json::from_str(&text) { let _ = fields(value); }
            let micros = timestamp(&number.to_string());
            if let Some(at) = micros { prop_assert_eq!(at.unix_timestamp_nanos(), i128::from(number) * 1000); }
        }
    }
}

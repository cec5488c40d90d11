//! Record for record: what the company holds against what the file holds.
//!
//! Shares nothing with the way the records came: the company's own list is read as text and turned
//! into the file's forms here, once more.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow_schema::DataType;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde::Serialize;
use serde_json::{Map, Value};
use sync_core::stream::metadata;
use sync_core::{Source as _, StreamDescriptor};

use crate::Books;
use crate::company::Company;
use crate::progress::Progress;

/// Differences that are named; more are only counted.
const NAMED: usize = 20;

/// What comparing found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    pub(crate) streams: u64,
    pub(crate) records: u64,
    pub(crate) values: u64,
    pub(crate) differences: u64,
    pub(crate) named: Vec<String>,
}

impl Comparison {
    fn differs(&mut self, what: String) {
        self.differences += 1;
        if self.named.len() < NAMED {
            self.named.push(what);
        }
    }
}

pub(crate) async fn record_for_record(
    books: &Books,
    company: &Company,
    progress: &Progress,
) -> Result<Comparison> {
    let file = Connection::open_with_flags(books.sink.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut comparison = Comparison::default();
    for stream in books.source.discover().await? {
        let stream = Arc::new(stream);
        let name = stream.name.clone();
        compare(&file, company, &stream, progress, &mut comparison)
            .await
            .with_context(|| format!("{name} cannot be compared"))?;
        comparison.streams += 1;
    }
    Ok(comparison)
}

async fn compare(
    file: &Connection,
    company: &Company,
    stream: &StreamDescriptor,
    progress: &Progress,
    comparison: &mut Comparison,
) -> Result<()> {
    let name = &stream.name;
    let count = format!("SELECT count(*) FROM \"{name}\" WHERE NOT _deleted");
    let live = u64::try_from(file.query_row(&count, [], |row| row.get::<_, i64>(0))?)?;
    let columns = columns(stream);
    let selected: Vec<_> = columns
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    let keys: Vec<_> = stream
        .key
        .iter()
        .map(|key| format!("\"{key}\" = ?"))
        .collect();
    let select = format!(
        "SELECT {} FROM \"{name}\" WHERE NOT _deleted AND {}",
        selected.join(", "),
        keys.join(" AND ")
    );
    let mut select = file.prepare(&select)?;

    let mut truth = company.truth(&object(stream)?).await?;
    let mut pending = Vec::new();
    let mut seen = 0;
    loop {
        let piece = truth.chunk().await?;
        let ended = piece.is_none();
        pending.extend_from_slice(&piece.unwrap_or_default());
        let complete = pending
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        for line in pending[..complete]
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let record: Map<String, Value> = serde_json::from_slice(line)?;
            compare_record(&mut select, stream, &columns, &record, comparison)?;
            seen += 1;
        }
        pending.drain(..complete);
        progress.set(name, seen, live.max(seen + u64::from(!ended)));
        if ended {
            break;
        }
    }
    comparison.records += seen;
    if seen != live {
        comparison.differs(format!(
            "{name}: the books have {seen} records, the file {live}"
        ));
    }
    Ok(())
}

struct Column {
    name: String,
    field: String,
    data_type: DataType,
    is_key: bool,
}

fn columns(stream: &StreamDescriptor) -> Vec<Column> {
    let column = |field: &Arc<arrow_schema::Field>| Column {
        name: field.name().clone(),
        field: field
            .metadata()
            .get(metadata::SOURCE_NAME)
            .cloned()
            .unwrap_or_default(),
        data_type: field.data_type().clone(),
        is_key: stream.key.contains(field.name()),
    };
    stream.schema.fields().iter().map(column).collect()
}

fn object(stream: &StreamDescriptor) -> Result<String> {
    let object = stream.schema.metadata().get(metadata::SOURCE_NAME).cloned();
    object.context("the stream does not say which object it is")
}

fn compare_record(
    select: &mut rusqlite::Statement<'_>,
    stream: &StreamDescriptor,
    columns: &[Column],
    record: &Map<String, Value>,
    comparison: &mut Comparison,
) -> Result<()> {
    let expected: Vec<Option<String>> = columns
        .iter()
        .map(|column| expected(stream, column, record))
        .collect();
    let by_name: HashMap<_, _> = columns
        .iter()
        .map(|column| column.name.as_str())
        .zip(&expected)
        .collect();
    let key: Vec<String> = stream
        .key
        .iter()
        .map(|name| {
            by_name
                .get(name.as_str())
                .and_then(|text| (*text).clone())
                .unwrap_or_default()
        })
        .collect();
    let mut rows = select.query(params_from_iter(&key))?;
    let Some(row) = rows.next()? else {
        comparison.differs(format!(
            "{} {}: not in the file",
            stream.name,
            key.join(" / ")
        ));
        return Ok(());
    };
    for (position, (column, expected)) in columns.iter().zip(&expected).enumerate() {
        let stored = stored(column, row.get_ref(position)?)?;
        comparison.values += 1;
        if stored != *expected {
            comparison.differs(format!(
                "{} {}, {}: the books have {expected:?}, the file {stored:?}",
                stream.name,
                key.join(" / "),
                column.name
            ));
        }
    }
    Ok(())
}

/// What the file should hold, from the company's own text.
fn expected(
    stream: &StreamDescriptor,
    column: &Column,
    record: &Map<String, Value>,
) -> Option<String> {
    let text = |field: &str| {
        record
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let found = text(&column.field);
    // A ledger line without a currency is in the company's base currency.
    let in_base = || {
        (stream.name.as_str() == "gl_detail" && column.name == "currency").then(|| text("BASECURR"))
    };
    let found = found.or_else(|| in_base().flatten());
    match found {
        None => column.is_key.then(String::new),
        Some(text) => Some(in_form(&column.data_type, text)),
    }
}

fn in_form(data_type: &DataType, text: &str) -> String {
    match data_type {
        DataType::Int64 | DataType::Decimal128(..) => plain_number(text),
        DataType::Boolean => {
            let yes = matches!(text.to_ascii_lowercase().as_str(), "true" | "t" | "y");
            String::from(if yes { "1" } else { "0" })
        }
        DataType::Date32 => iso_date(text),
        DataType::Timestamp(..) => {
            let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
            format!("{} {time}.000000", iso_date(date))
        }
        _ => text.to_owned(),
    }
}

fn stored(column: &Column, value: ValueRef<'_>) -> Result<Option<String>> {
    let text = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes)?.to_owned(),
        // Neither may ever be there; they equal nothing that is expected.
        ValueRef::Real(number) => return Ok(Some(format!("a float: {number}"))),
        ValueRef::Blob(_) => return Ok(Some("bytes".into())),
    };
    let number = matches!(column.data_type, DataType::Int64 | DataType::Decimal128(..));
    Ok(Some(if number { plain_number(&text) } else { text }))
}

/// `mm/dd/yyyy` to `yyyy-mm-dd`.
fn iso_date(text: &str) -> String {
    let parts: Vec<_> = text.split('/').collect();
    match parts[..] {
        [month, day, year] => format!("{year}-{month}-{day}"),
        _ => format!("not a date: {text}"),
    }
}

/// The digits that matter: no leading or trailing zeros, no plus, no minus before zero.
fn plain_number(text: &str) -> String {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, places) = (whole.trim_start_matches('0'), places.trim_end_matches('0'));
    if whole.is_empty() && places.is_empty() {
        return "0".into();
    }
    let sign = if negative { "-" } else { "" };
    let point = if places.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{places}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_whatever_their_zeros() {
        for (one, other) in [
            ("12.0", "12"),
            (".5", "0.50"),
            ("-.25", "-0.25"),
            ("-0", "0"),
            ("007", "7"),
        ] {
            assert_eq!(plain_number(one), plain_number(other));
        }
        assert_ne!(plain_number("10"), plain_number("1"));
        assert_ne!(plain_number("-1"), plain_number("1"));
    }
}

//! Record for record: what the company holds against what the file holds.
//!
//! Shares nothing with the way the records came: the company's own list is read as text and turned
//! into the file's forms here, once more.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow_schema::DataType;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use sync_core::stream::metadata;
use sync_core::{Source as _, StreamDescriptor};

use crate::Books;
use crate::company::Company;
use crate::options::Options;
use intacct_sync_examples::progress::Progress;

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
    options: &Options,
    company: &Company,
    progress: &Progress,
) -> Result<Comparison> {
    let streams = books.source.discover().await?;
    let file = books.destination.as_file(&options.dir, &streams).await?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(file, flags)?;
    // One state of the file for all records, and one lock instead of one for each of them.
    file.execute_batch("BEGIN")?;
    let mut comparison = Comparison::default();
    for stream in streams {
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
            let record: Record<'_> = serde_json::from_slice(line)?;
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

/// A record as the company shows it: names and texts, in an order that hardly ever changes.
struct Record<'a>(Vec<(&'a str, Option<Cow<'a, str>>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Record<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record of texts")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(64);
        while let Some((name, text)) = map.next_entry::<&str, Option<Text<'de>>>()? {
            fields.push((name, text.map(|text| text.0)));
        }
        Ok(Record(fields))
    }
}

/// Text that is borrowed from the line unless it holds an escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Record<'_> {
    /// The text of a field; none where it is empty. `place` is where it stood in the last record.
    fn text(&self, field: &str, place: &Cell<usize>) -> Option<&str> {
        let here = |&at: &usize| self.0.get(at).is_some_and(|(name, _)| *name == field);
        let at = Some(place.get()).filter(here);
        let at = at.or_else(|| self.0.iter().position(|(name, _)| *name == field))?;
        place.set(at);
        self.0[at].1.as_deref().filter(|text| !text.is_empty())
    }
}

struct Column {
    name: String,
    field: String,
    place: Cell<usize>,
    /// Another field, whose text counts where this one has none.
    fallback: Option<(&'static str, Cell<usize>)>,
    data_type: DataType,
    is_key: bool,
}

fn columns(stream: &StreamDescriptor) -> Vec<Column> {
    // A column that no field fills is made on the way: the company has nothing to compare it with.
    let field_of =
        |field: &arrow_schema::Field| field.metadata().get(metadata::SOURCE_NAME).cloned();
    let from_a_field = |field: &&Arc<arrow_schema::Field>| field_of(field).is_some();
    let column = |field: &Arc<arrow_schema::Field>| Column {
        name: field.name().clone(),
        field: field_of(field).unwrap_or_default(),
        place: Cell::default(),
        // A ledger line without a currency is in the company's base currency.
        fallback: (stream.name.as_str() == "gl_detail" && field.name() == "currency")
            .then(|| ("BASECURR", Cell::default())),
        data_type: field.data_type().clone(),
        is_key: stream.key.contains(field.name()),
    };
    let fields = stream.schema.fields().iter();
    fields.filter(from_a_field).map(column).collect()
}

fn object(stream: &StreamDescriptor) -> Result<String> {
    let object = stream.schema.metadata().get(metadata::SOURCE_NAME).cloned();
    object.context("the stream does not say which object it is")
}

fn compare_record(
    select: &mut rusqlite::Statement<'_>,
    stream: &StreamDescriptor,
    columns: &[Column],
    record: &Record<'_>,
    comparison: &mut Comparison,
) -> Result<()> {
    let key: Vec<&str> = stream
        .key
        .iter()
        .filter_map(|name| columns.iter().find(|column| column.name == *name))
        .map(|column| column.expected(record).unwrap_or_default())
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
    comparison.values += columns.len() as u64;
    for (position, column) in columns.iter().enumerate() {
        let (expected, stored) = (column.expected(record), row.get_ref(position)?);
        if !column.agrees(expected, stored) {
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

impl Column {
    /// The company's own text.
    fn expected<'a>(&self, record: &'a Record<'_>) -> Option<&'a str> {
        let other = || {
            self.fallback
                .as_ref()
                .and_then(|(field, place)| record.text(field, place))
        };
        let text = record.text(&self.field, &self.place).or_else(other);
        text.or(self.is_key.then_some(""))
    }

    /// Whether the file holds what the company's text says.
    fn agrees(&self, expected: Option<&str>, stored: ValueRef<'_>) -> bool {
        let Some(expected) = expected else {
            return stored == ValueRef::Null;
        };
        match (&self.data_type, stored) {
            (DataType::Utf8, ValueRef::Text(text)) => text == expected.as_bytes(),
            (DataType::Boolean, ValueRef::Integer(stored)) => {
                let yes = ["true", "t", "y"]
                    .iter()
                    .any(|yes| yes.eq_ignore_ascii_case(expected));
                stored == i64::from(yes)
            }
            (DataType::Int64, ValueRef::Integer(stored)) => {
                plain_number(&stored.to_string()) == plain_number(expected)
            }
            (DataType::Decimal128(..), ValueRef::Text(text)) => {
                text == expected.as_bytes()
                    || std::str::from_utf8(text)
                        .is_ok_and(|text| plain_number(text) == plain_number(expected))
            }
            (DataType::Date32, ValueRef::Text(text)) => text == iso_date(expected).as_bytes(),
            (DataType::Timestamp(..), ValueRef::Text(text)) => {
                let (date, time) = expected.split_once(' ').unwrap_or((expected, "00:00:00"));
                text == format!("{} {time}.000000", iso_date(date)).as_bytes()
            }
            // Anything else, floats above all, must not be there.
            _ => false,
        }
    }
}

/// `mm/dd/yyyy` to `yyyy-mm-dd`.
fn iso_date(text: &str) -> String {
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(month), Some(day), Some(year), None) => format!("{year}-{month}-{day}"),
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

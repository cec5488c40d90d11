//! What identifies a record, and what identifies its state.

use std::collections::HashMap;

#[cfg(feature = "pipeline")]
use arrow_array::BooleanArray;
use arrow_array::RecordBatch;
use serde::{Deserialize, Serialize};

#[cfg(feature = "pipeline")]
use super::not_a_batch;
use crate::column::{Column, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Hasher, RecordId};
use crate::stream::StreamDescriptor;

/// What identifies a record inside its stream: the values of its key columns as text, joined by
/// U+001F, which no text of a source can hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordKey(String);

impl RecordKey {
    /// A key of one or more values.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for (position, value) in values.into_iter().enumerate() {
            if position > 0 {
                text.push(Self::SEPARATOR);
            }
            text.push_str(value);
        }
        Self(text)
    }

    /// From what [`RecordKey::as_str`] gave.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The values, in the order of the key columns.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.split(Self::SEPARATOR)
    }

    const SEPARATOR: char = '\u{1f}';
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, value) in self.values().enumerate() {
            let opening = if position == 0 { "" } else { " / " };
            write!(f, "{opening}{value}")?;
        }
        Ok(())
    }
}

/// Rows with what identifies each of them and its state: hashed once, however often they are asked for.
#[derive(Clone, Debug)]
pub struct Records {
    pub(super) rows: RecordBatch,
    pub(super) keys: Vec<RecordKey>,
    pub(super) ids: Vec<RecordId>,
}

impl Records {
    /// Finds keys and ids of `rows`, as [`record_keys`] and [`record_ids`] do.
    ///
    /// # Errors
    ///
    /// As theirs.
    pub fn identified(company: &str, stream: &StreamDescriptor, rows: RecordBatch) -> Result<Self> {
        let keys = record_keys(stream, &rows)?;
        let ids = record_ids(company, stream, &rows, &keys)?;
        Ok(Self { rows, keys, ids })
    }

    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// What identifies each row.
    pub fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    /// The id of each row's state.
    pub fn ids(&self) -> &[RecordId] {
        &self.ids
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(feature = "pipeline")]
impl Records {
    /// Those that are wanted, by their rows.
    pub(crate) fn only(self, wanted: &[bool]) -> Result<Self> {
        if wanted.iter().all(|wanted| *wanted) {
            return Ok(self);
        }
        let mask = BooleanArray::from(wanted.to_vec());
        let rows = arrow_select::filter::filter_record_batch(&self.rows, &mask);
        let mut by_key = wanted.iter();
        let mut by_id = wanted.iter();
        let Self {
            mut keys, mut ids, ..
        } = self;
        keys.retain(|_| by_key.next().is_some_and(|wanted| *wanted));
        ids.retain(|_| by_id.next().is_some_and(|wanted| *wanted));
        let rows = rows.map_err(not_a_batch)?;
        Ok(Self { rows, keys, ids })
    }
}

/// The keys of `rows`.
///
/// # Errors
///
/// [`ErrorKind::Internal`] where a key column is missing, [`ErrorKind::Data`] where a key is null.
pub fn record_keys(stream: &StreamDescriptor, rows: &RecordBatch) -> Result<Vec<RecordKey>> {
    let columns: Vec<_> = stream
        .key
        .iter()
        .map(|name| Column::named(rows, name))
        .collect::<Result<_>>()?;
    (0..rows.num_rows())
        .map(|row| {
            let mut text = String::new();
            for (position, column) in columns.iter().enumerate() {
                if position > 0 {
                    text.push(RecordKey::SEPARATOR);
                }
                let value = column.value(row);
                if value.is_null() {
                    return Err(Error::new(ErrorKind::Data, "a record has no key")
                        .with("stream", stream.name.as_str())
                        .with("column", &stream.key[position]));
                }
                value.push_to(&mut text);
            }
            Ok(RecordKey(text))
        })
        .collect()
}

/// The ids of `rows`: SHA-256 over company, stream, names and types of the columns that have a value,
/// key, and those values, all in the order of the columns' names.
///
/// A column that is new and null changes no id; neither does the order of columns.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] for a column of a type that no batch carries.
pub fn record_ids(
    company: &str,
    stream: &StreamDescriptor,
    rows: &RecordBatch,
    keys: &[RecordKey],
) -> Result<Vec<RecordId>> {
    let fields = rows.schema_ref().fields().iter();
    let mut columns: Vec<_> = fields.zip(Column::all(rows)?).collect();
    columns.sort_by_key(|(field, _)| field.name());
    let domain = Hasher::new("intacct-sync/record/2")
        .part(company.as_bytes())
        .part(stream.name.as_str().as_bytes());
    let named = columns.iter();
    let names = named.map(|(field, column)| (field.name().as_bytes(), type_tag(column)));
    let mut beginnings = Beginnings::new(domain, names.collect());
    let mut content = Vec::with_capacity(1024);
    let mut text = String::new();
    let ids = keys.iter().enumerate().map(|(row, key)| {
        content.clear();
        beginnings.next_row();
        for (place, (_, column)) in columns.iter().enumerate() {
            let value = column.value(row);
            if !value.is_null() {
                beginnings.has_value(place);
                push_content(&mut content, &mut text, &value);
            }
        }
        let beginning = beginnings.of_row().clone();
        let ended = beginning.part(key.as_str().as_bytes()).part(&content);
        ended.record_id()
    });
    Ok(ids.collect())
}

/// What a record's hash begins with: the names and types of the columns that have a value in it. Few
/// sets of columns make up a batch, so each is hashed once and not once a record.
struct Beginnings<'a> {
    domain: Hasher,
    columns: Vec<(&'a [u8], u8)>,
    /// The columns of the row, a bit each.
    row: Vec<u64>,
    known: HashMap<Vec<u64>, Hasher>,
}

/// Records that all have values in other columns must not fill the memory.
const MOST_BEGINNINGS: usize = 1024;

impl<'a> Beginnings<'a> {
    fn new(domain: Hasher, columns: Vec<(&'a [u8], u8)>) -> Self {
        Self {
            domain,
            row: vec![0; columns.len().div_ceil(64)],
            columns,
            known: HashMap::new(),
        }
    }

    fn next_row(&mut self) {
        self.row.fill(0);
    }

    fn has_value(&mut self, column: usize) {
        self.row[column / 64] |= 1 << (column % 64);
    }

    fn of_row(&mut self) -> &Hasher {
        if !self.known.contains_key(&self.row) {
            if self.known.len() >= MOST_BEGINNINGS {
                self.known.clear();
            }
            let mut names = Vec::new();
            for (place, (name, tag)) in self.columns.iter().enumerate() {
                if self.row[place / 64] >> (place % 64) & 1 == 1 {
                    names.extend_from_slice(&(name.len() as u64).to_le_bytes());
                    names.extend_from_slice(name);
                    names.push(*tag);
                }
            }
            let beginning = self.domain.clone().part(&names);
            self.known.insert(self.row.clone(), beginning);
        }
        self.known.get(&self.row).unwrap_or(&self.domain)
    }
}

fn type_tag(column: &Column<'_>) -> u8 {
    match column {
        Column::Text(_) => b't',
        Column::Integer(_) => b'i',
        Column::Boolean(_) => b'b',
        Column::Date(_) => b'd',
        Column::Timestamp(_) => b's',
        Column::Decimal(..) => b'n',
    }
}

/// A value that is not null: text behind its length, all else in as many bytes as its type has.
fn push_content(content: &mut Vec<u8>, text: &mut String, value: &Value<'_>) {
    let mut put_text = |bytes: &[u8]| {
        content.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        content.extend_from_slice(bytes);
    };
    match value {
        Value::Null => {}
        Value::Text(value) => put_text(value.as_bytes()),
        Value::Decimal(_) => {
            // As text, so that the same amount at another scale is the same content.
            text.clear();
            value.push_to(text);
            put_text(text.as_bytes());
        }
        Value::Integer(value) | Value::Timestamp(value) => {
            content.extend_from_slice(&value.to_le_bytes());
        }
        Value::Boolean(value) => content.push(u8::from(*value)),
        Value::Date(value) => content.extend_from_slice(&value.to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    type Row = (Option<String>, Option<String>, Option<i64>, Option<i64>);

    fn ids(rows: &[Row], scale: i8, order: &[usize], with_new_column: bool) -> Vec<RecordId> {
        let texts = |of: fn(&Row) -> Option<&str>| StringArray::from_iter(rows.iter().map(of));
        let factor = 10_i128.pow(scale.unsigned_abs() as u32 - 2);
        let amounts = rows
            .iter()
            .map(|row| row.3.map(|it| i128::from(it) * factor));
        let amounts = Decimal128Array::from_iter(amounts).with_precision_and_scale(38, scale);
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("a", Arc::new(texts(|row| row.0.as_deref()))),
            ("b", Arc::new(texts(|row| row.1.as_deref()))),
            (
                "count",
                Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.2))),
            ),
            ("amount", Arc::new(amounts.unwrap())),
        ];
        columns = order.iter().map(|place| columns[*place].clone()).collect();
        columns.push(("key", Arc::new(Int64Array::from(vec![7; rows.len()]))));
        if with_new_column {
            columns.push(("c", Arc::new(StringArray::new_null(rows.len()))));
        }
        let field = |(name, column): &(&str, ArrayRef)| {
            Field::new(*name, column.data_type().clone(), *name != "key")
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let name = "entry".parse().unwrap();
        let stream = StreamDescriptor::new(name, schema, vec!["key".into()]).unwrap();
        let keys = record_keys(&stream, &batch).unwrap();
        record_ids("DEMO", &stream, &batch, &keys).unwrap()
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("[ab]{0,2}")
    }

    proptest! {
        /// States have one id if they are equal, whatever the order of columns, columns that are new and
        /// empty, and the scale of amounts; and another if they are not.
        #[test]
        fn equal_states_and_no_others_have_equal_ids(
            rows in prop::collection::vec(
                (text(), text(), prop::option::of(-1_i64..2), prop::option::of(-1_i64..2)),
                1..30,
            ),
            order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
            new_column: bool,
            scale in 2_i8..12,
        ) {
            let plain = ids(&rows, 2, &[0, 1, 2, 3], false);
            prop_assert_eq!(&ids(&rows, scale, &order, new_column), &plain);
            for (row, id) in rows.iter().zip(&plain) {
                for (other, other_id) in rows.iter().zip(&plain) {
                    prop_assert_eq!(row == other, id == other_id);
                }
            }
        }
    }

    #[test]
    fn the_type_of_a_value_is_a_part_of_its_state() {
        let rows = |column: ArrayRef| {
            let key: ArrayRef = Arc::new(Int64Array::from(vec![7]));
            let fields = vec![
                Field::new("key", DataType::Int64, false),
                Field::new("value", column.data_type().clone(), true),
            ];
            let schema = Arc::new(Schema::new(fields));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![key, column]).unwrap();
            let name = "entry".parse().unwrap();
            let stream = StreamDescriptor::new(name, schema, vec!["key".into()]).unwrap();
            record_ids("DEMO", &stream, &batch, &[RecordKey::new(["7"])]).unwrap()
        };
        let decimal = Decimal128Array::from(vec![100]).with_precision_and_scale(38, 2);
        let as_text = rows(Arc::new(StringArray::from(vec!["1.00"])));
        assert_ne!(rows(Arc::new(decimal.unwrap())), as_text);
    }
}

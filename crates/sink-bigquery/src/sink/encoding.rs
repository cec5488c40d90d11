//! Rows of a batch as the lines that a load job reads, and as the rows that are streamed.
//!
//! BigQuery documentation, "Loading JSON data": whole numbers and decimals are written as strings, because
//! a number would pass through a float on its way.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array as _, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use sync_core::batch::system;
use sync_core::encode::{JsonOptions, JsonRows, Layout, Nulls, Numbers, Unwritable};
use sync_core::{Batch, Error, ErrorKind, Operation, Rejection, RejectionClass, Result};

use super::column_type::most_units;
use super::moment;
use super::names;
use super::table::{ROW, VERSION};

/// The most bytes of a line (BigQuery documentation, Quotas and limits, Load jobs).
const MOST_LINE_BYTES: usize = 100 << 20;

/// Texts of fewer bytes make no line that is too long: JSON makes six bytes of one at most.
const MOST_HARMLESS_BYTES: usize = MOST_LINE_BYTES / 8;

/// How many rows are written at once; the first of them tell how long a row is.
const PIECE: usize = 256;

/// The columns that are the same in each row of a batch: the statement that merges them says them once.
pub(super) const SAID_ONCE: [&str; 3] = [system::BATCH_ID, system::SYNCED_AT, system::DELETED];

/// What is sent of a batch: its rows with BigQuery's names of columns, and their numbers.
#[derive(Debug)]
pub(super) struct Sendable {
    rows: RecordBatch,
    /// The rows that are sent, in their order.
    ranges: Vec<Range<usize>>,
    /// The rows that cannot be.
    rejected: Vec<Rejection>,
}

/// The body of a load job that brings a batch's rows to their staging table: NDJSON, a line a record.
///
/// It is as long as the memory that it takes, but for an eighth.
#[derive(Debug, Default)]
pub struct LoadBody {
    pub(super) bytes: Bytes,
    /// How many rows it has.
    pub(super) rows: usize,
    /// The rows that it could not take.
    pub(super) rejected: Vec<Rejection>,
}

impl LoadBody {
    /// Of each record of a batch its last row, without the columns that are the same in each; of records that
    /// are gone, what identifies them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] where the rows are not those of the batch's stream.
    pub fn of(batch: &Batch) -> Result<Self> {
        Sendable::staged(batch)?.lines()
    }

    /// The lines.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of the batch that BigQuery could not hold without loss, and why.
    pub fn rejected(&self) -> &[Rejection] {
        &self.rejected
    }
}

impl Sendable {
    /// What is uploaded of a batch: of each record its last row, without the columns of [`SAID_ONCE`]; of
    /// records that are gone, what identifies them.
    pub(super) fn staged(batch: &Batch) -> Result<Self> {
        Self::of(batch, |name| match batch.operation() {
            Operation::Upsert => !SAID_ONCE.contains(&name),
            Operation::Delete => {
                name == system::RECORD_ID || batch.stream().key.iter().any(|key| key == name)
            }
        })
    }

    /// What is streamed of a batch: of each record its last row, with all columns.
    pub(super) fn streamed(batch: &Batch) -> Result<Self> {
        let version = moment::version(batch.place());
        let versions = StringArray::from_iter_values(std::iter::repeat_n(version, batch.len()));
        let field = Field::new(VERSION, DataType::Utf8, false);
        Self::with(batch, |_| true, vec![(field, Arc::new(versions))])
    }

    fn of(batch: &Batch, is_sent: impl Fn(&str) -> bool) -> Result<Self> {
        Self::with(batch, is_sent, Vec::new())
    }

    fn with(
        batch: &Batch,
        is_sent: impl Fn(&str) -> bool,
        more: Vec<(Field, ArrayRef)>,
    ) -> Result<Self> {
        let numbers = (0..batch.len()).map(|row| batch.row_of_whole(row) as i64);
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        let number = (Field::new(ROW, DataType::Int64, false), numbers);
        let (mut fields, mut columns): (Vec<_>, Vec<_>) =
            std::iter::once(number).chain(more).unzip();
        let schema = batch.rows().schema_ref();
        for (field, column) in schema.fields().iter().zip(batch.rows().columns()) {
            if is_sent(field.name()) {
                let nullable = field.is_nullable();
                let name = names::folded(field.name());
                fields.push(Field::new(name, field.data_type().clone(), nullable));
                columns.push(Arc::clone(column));
            }
        }
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
        let rows = rows.map_err(|error| {
            let what = "the rows of a batch cannot be numbered";
            Error::new(ErrorKind::Internal, what).caused_by(error)
        })?;
        let mut rejected = too_large(&rows);
        rejected.extend(too_long(&rows)?);
        rejected.sort_by_key(|rejection| rejection.row);
        rejected.dedup_by_key(|rejection| rejection.row);
        let unfit: HashSet<usize> = rejected.iter().map(|rejection| rejection.row).collect();
        Ok(Self {
            ranges: ranges(last_of_each_record(batch), &unfit),
            rows,
            rejected,
        })
    }

    /// The rows.
    pub(super) fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The rows that are sent, in their order.
    pub(super) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// The rows that cannot be.
    pub(super) fn rejected(&self) -> &[Rejection] {
        &self.rejected
    }

    /// The body of a load job.
    ///
    /// The first rows tell how much room it needs. Where the others are longer, they are written once to be
    /// counted: a buffer that grows by doubling would for a moment take three times what is in it.
    pub(super) fn lines(&self) -> Result<LoadBody> {
        let lines = JsonRows::new(&self.rows, &options(Layout::Lines))?;
        let mut body = Vec::new();
        let mut rejected = self.rejected.clone();
        let (mut rows, mut piece) = (0, Vec::new());
        let mut left: usize = self.ranges.iter().map(Range::len).sum();
        let pieces = self.ranges.iter().flat_map(in_pieces);
        for (number, range) in pieces.clone().enumerate() {
            piece.clear();
            let written = write(&lines, range.clone(), &mut piece, &mut rejected);
            if body.capacity() - body.len() < piece.len() {
                let needed = match number {
                    0 => piece.len() / range.len() * left / 8 * 9,
                    _ => pieces
                        .clone()
                        .skip(number)
                        .map(|range| {
                            let mut counted = Vec::new();
                            write(&lines, range, &mut counted, &mut Vec::new());
                            counted.len()
                        })
                        .sum(),
                };
                body.reserve_exact(needed.max(piece.len()));
            }
            body.extend_from_slice(&piece);
            rows += written;
            left -= range.len();
        }
        rejected.sort_by_key(|rejection| rejection.row);
        Ok(LoadBody {
            bytes: Bytes::from(body),
            rows,
            rejected,
        })
    }
}

/// The range in parts of as many rows as are written at once.
fn in_pieces(range: &Range<usize>) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
    let range = range.clone();
    let starts = range.clone().step_by(PIECE);
    starts.map(move |start| start..range.end.min(start + PIECE))
}

/// Appends rows and says how many; those that cannot be written are rejected.
fn write(
    lines: &JsonRows<'_>,
    range: Range<usize>,
    out: &mut Vec<u8>,
    rejected: &mut Vec<Rejection>,
) -> usize {
    let (mut row, mut written) = (range.start, 0);
    while row < range.end {
        match lines.append(row..range.end, usize::MAX, out) {
            Ok(reached) => {
                written += reached - row;
                row = reached;
            }
            Err(unwritable) => {
                written += unwritable.row - row;
                row = unwritable.row + 1;
                rejected.push(unfit(unwritable));
            }
        }
    }
    written
}

/// How rows are written.
pub(super) fn options(layout: Layout) -> JsonOptions {
    let mut options = JsonOptions::new(layout);
    options.nulls = Nulls::Omitted;
    options.decimals = Numbers::Strings;
    options.integers = Numbers::Strings;
    options
}

/// Which rows are the last of their records: a record may come twice in a batch.
fn last_of_each_record(batch: &Batch) -> Vec<bool> {
    let mut seen = HashSet::with_capacity(batch.len());
    let mut last: Vec<bool> = batch
        .keys()
        .iter()
        .rev()
        .map(|key| seen.insert(key))
        .collect();
    last.reverse();
    last
}

fn ranges(wanted: Vec<bool>, unfit: &HashSet<usize>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (row, wanted) in wanted.into_iter().enumerate() {
        if !wanted || unfit.contains(&row) {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == row => last.end = row + 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}

/// The rows with a decimal of more digits before the point than its column holds.
fn too_large(rows: &RecordBatch) -> Vec<Rejection> {
    let mut rejected: Vec<Rejection> = Vec::new();
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let DataType::Decimal128(_, scale) = field.data_type() else {
            continue;
        };
        let Some(most) = most_units(scale.unsigned_abs()) else {
            continue;
        };
        let units = column.as_primitive::<Decimal128Type>();
        for (row, unit) in units.values().iter().enumerate() {
            if unit.unsigned_abs() > most.unsigned_abs() && column.is_valid(row) {
                rejected.push(Rejection {
                    row,
                    column: Some(field.name().clone()),
                    class: RejectionClass::Unfit,
                    reason:
                        "a number with more than 29 digits before the point, which no NUMERIC holds"
                            .to_owned(),
                });
            }
        }
    }
    rejected
}

/// The rejection of a row that cannot be written.
pub(super) fn unfit(unwritable: Unwritable) -> Rejection {
    Rejection {
        row: unwritable.row,
        column: Some(unwritable.column),
        class: RejectionClass::Unfit,
        reason: unwritable.reason.to_owned(),
    }
}

/// The rows that are too long for a line.
fn too_long(rows: &RecordBatch) -> Result<Vec<Rejection>> {
    let texts = rows
        .columns()
        .iter()
        .filter_map(|column| column.as_string_opt::<i32>());
    let texts: Vec<_> = texts.collect();
    if texts
        .iter()
        .map(|text| text.value_data().len())
        .sum::<usize>()
        < MOST_HARMLESS_BYTES
    {
        return Ok(Vec::new());
    }
    let lines = JsonRows::new(rows, &options(Layout::Lines))?;
    let mut rejected = Vec::new();
    for row in 0..rows.num_rows() {
        let length = |text: &&StringArray| text.value_length(row).unsigned_abs() as usize;
        if texts.iter().map(length).sum::<usize>() < MOST_HARMLESS_BYTES {
            continue;
        }
        let mut line = Vec::new();
        if let Ok(reached) = lines.append(row..row + 1, MOST_LINE_BYTES, &mut line)
            && reached == row
        {
            rejected.push(Rejection {
                row,
                column: None,
                class: RejectionClass::Unfit,
                reason: "a record of more than 100 MiB, which no load job takes".to_owned(),
            });
        }
    }
    Ok(rejected)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow_array::{BooleanArray, Date32Array, Decimal128Array, TimestampMicrosecondArray};
    use proptest::prelude::*;
    use sync_core::{BatchPlace, Decimal, StreamDescriptor, StreamName, Window};
    use time::macros::datetime;

    use super::*;

    fn batch(columns: Vec<(&str, bool, ArrayRef)>, operation: Operation) -> Batch {
        let fields = columns.iter().map(|(name, nullable, column)| {
            Field::new(*name, column.data_type().clone(), *nullable)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let name = StreamName::new("vendor").unwrap();
        let key = vec!["id".to_owned()];
        let stream = Arc::new(StreamDescriptor::new(name, Arc::clone(&schema), key).unwrap());
        let columns = columns.into_iter().map(|(.., column)| column).collect();
        let rows = RecordBatch::try_new(schema, columns).unwrap();
        let place = BatchPlace {
            pipeline: "books".into(),
            company: "DEMO".into(),
            operation,
            window: Window {
                from: None,
                until: datetime!(2026-01-31 18:00 UTC),
            },
            ordinal: 0,
        };
        Batch::new(stream, place, &rows, datetime!(2026-01-31 18:01 UTC)).unwrap()
    }

    fn lines(batch: &Batch) -> (Vec<serde_json::Value>, LoadBody) {
        let body = Sendable::staged(batch).unwrap().lines().unwrap();
        let text = String::from_utf8(body.bytes.to_vec()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (lines.collect(), body)
    }

    fn texts<const N: usize>(texts: [&str; N]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    #[test]
    fn a_record_that_comes_twice_is_sent_as_it_was_last() {
        let batch = batch(
            vec![
                ("id", false, texts(["1", "2", "1"])),
                ("name", true, texts(["old", "other", "new"])),
            ],
            Operation::Upsert,
        );
        let (lines, body) = lines(&batch);
        assert_eq!(body.rows, 2);
        assert_eq!(lines[0]["name"], "other");
        assert_eq!(
            (&lines[1]["name"], &lines[1]["_row"]),
            (&"new".into(), &"2".into())
        );
        // What is the same for all rows is not uploaded with each.
        assert!(lines[0].get("_batch_id").is_none() && lines[0].get("_deleted").is_none());
        assert!(lines[0].get("_record_id").is_some());
    }

    #[test]
    fn of_a_record_that_is_gone_its_key_is_sent() {
        let batch = batch(vec![("id", false, texts(["1"]))], Operation::Delete);
        let (lines, _) = lines(&batch);
        let names: Vec<_> = lines[0].as_object().unwrap().keys().collect();
        assert_eq!(names, ["_record_id", "_row", "id"]);
    }

    #[test]
    fn what_no_column_holds_is_rejected_and_the_rest_is_sent() {
        let most = 10_i128.pow(31);
        let amounts = Decimal128Array::from(vec![most - 1, most, 1 - most, -most]);
        let amounts = amounts.with_precision_and_scale(38, 2).unwrap();
        let days = Date32Array::from(vec![0, 0, i32::MAX, 0]);
        let batch = batch(
            vec![
                ("id", false, texts(["1", "2", "3", "4"])),
                ("amount", true, Arc::new(amounts)),
                ("day", true, Arc::new(days)),
            ],
            Operation::Upsert,
        );
        let (lines, body) = lines(&batch);
        assert_eq!(body.rows, 1);
        assert_eq!(lines[0]["amount"], "99999999999999999999999999999.99");
        let rejected = body.rejected.iter();
        let rejected: Vec<_> = rejected
            .map(|it| (it.row, it.column.as_deref(), it.class))
            .collect();
        let unfit = RejectionClass::Unfit;
        assert_eq!(
            rejected,
            [
                (1, Some("amount"), unfit),
                (2, Some("day"), unfit),
                (3, Some("amount"), unfit)
            ]
        );
    }

    proptest! {
        #[test]
        fn what_is_sent_says_what_the_rows_hold(
            rows in prop::collection::btree_map(
                "[a-z0-9]{1,4}",
                (
                    prop::option::of(".{0,12}"),
                    prop::option::of(-10_i128.pow(37)..10_i128.pow(37)),
                    prop::option::of(any::<bool>()),
                    prop::option::of(any::<i64>()),
                    prop::option::of(-719_162_i32..2_932_896),
                    prop::option::of(-62_135_596_800_000_000_i64..253_402_300_799_999_999),
                ),
                1..12,
            )
        ) {
            let rows: BTreeMap<_, _> = rows;
            let values: Vec<_> = rows.values().cloned().collect();
            let rates = Decimal128Array::from_iter(values.iter().map(|it| it.1));
            let moments = TimestampMicrosecondArray::from_iter(values.iter().map(|it| it.5));
            let batch = batch(
                vec![
                    ("id", false, Arc::new(StringArray::from_iter_values(rows.keys()))),
                    ("name", true, Arc::new(StringArray::from_iter(values.iter().map(|it| it.0.clone())))),
                    ("rate", true, Arc::new(rates.with_precision_and_scale(38, 18).unwrap())),
                    ("open", true, Arc::new(BooleanArray::from_iter(values.iter().map(|it| it.2)))),
                    ("number", true, Arc::new(Int64Array::from_iter(values.iter().map(|it| it.3)))),
                    ("day", true, Arc::new(Date32Array::from_iter(values.iter().map(|it| it.4)))),
                    ("at", true, Arc::new(moments.with_timezone("UTC"))),
                ],
                Operation::Upsert,
            );
            let (lines, body) = lines(&batch);
            prop_assert_eq!(body.rows, rows.len());
            prop_assert!(body.rejected.is_empty());
            for (line, (id, (name, rate, open, number, day, at))) in lines.iter().zip(&rows) {
                let text = |name: &str| line.get(name).map(|it| it.as_str().unwrap().to_owned());
                prop_assert_eq!(text("id").unwrap(), id.clone());
                prop_assert_eq!(text("name"), name.clone());
                let sent = text("rate").map(|it| it.parse::<Decimal>().unwrap());
                prop_assert_eq!(sent, rate.map(|units| Decimal::new(units, 18).unwrap()));
                prop_assert_eq!(line.get("open").map(|it| it.as_bool().unwrap()), *open);
                prop_assert_eq!(text("number"), number.map(|it| it.to_string()));
                prop_assert_eq!(text("day").map(|it| it.len()), day.map(|_| 10));
                prop_assert_eq!(text("at").is_some(), at.is_some());
            }
        }
    }
}

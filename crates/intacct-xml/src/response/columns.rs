//! Records as Arrow columns.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, SchemaRef};
use time::UtcOffset;

use self::column::Column;
use super::predict::Block;
use super::target::{DataStart, RecordEnd, RecordTarget};
use crate::error::{Error, shown};

mod bits;
mod column;

/// The key of a schema field's metadata under which its name in the answer stands, such as
/// `DISPLAYCONTACT.MAILADDRESS.CITY`. Without it the name is the field's own in upper case.
pub const WIRE_NAME: &str = "intacct.name";

/// Fills a [`RecordBatch`] of a given schema.
///
/// | column type | text |
/// |---|---|
/// | `Utf8` | as it is |
/// | `Int64` | `12`, `12.0` |
/// | `Decimal128(p, s)` | exact, or the record is rejected: never a rounding |
/// | `Boolean` | `true`/`false`, `T`/`F`, `Y`/`N`, in any case |
/// | `Date32` | `mm/dd/yyyy` |
/// | `Timestamp(Microsecond, "UTC")` | `mm/dd/yyyy hh:mm:ss` or `mm/dd/yyyy`, in the zone of the source |
///
/// Empty and absent elements are null. White space around numbers, booleans, dates and timestamps
/// means nothing; texts keep it.
/// A record with a value that does not fit is left out of the batch and kept whole, as text, in
/// [`Page::rejected`]; the others go on.
/// Elements that the schema does not have are counted in [`Page::unknown_fields`].
///
/// One page at a time: call [`finish`](Self::finish) after each answer. After one that could not be
/// read to its end there is nothing to take out.
pub struct Columns {
    schema: SchemaRef,
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    places: Places,
    options: ColumnOptions,
    /// The records in the columns.
    rows: usize,
    /// The records read, rejected ones too.
    ordinal: u64,
    /// Where the next field is expected: answers repeat their order.
    next: usize,
    /// How many groups are open.
    depth: usize,
    problem: Option<Problem>,
    /// The rejected record that is being read again, and the path to the group that is open in it.
    setting_aside: Option<(RejectedRecord, Vec<String>)>,
    has_data: bool,
    rejected: Vec<RejectedRecord>,
    unknown_fields: BTreeMap<String, u64>,
}

/// Settings of [`Columns`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ColumnOptions {
    /// The zone that the source writes its timestamps in. Default: UTC.
    ///
    /// It is the API user's, and not published: the user's `gmtoffset` says it.
    pub source_offset: UtcOffset,
}

/// What one answer gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The records that fit the schema, in the order of the answer.
    pub batch: RecordBatch,
    /// The records that do not.
    pub rejected: Vec<RejectedRecord>,
    /// How often each element came that the schema does not have.
    pub unknown_fields: BTreeMap<String, u64>,
}

/// A record with a value that does not fit its column, whole and as text.
///
/// `Debug` leaves the values out.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectedRecord {
    /// Its place in the answer, counted from 0, rejected records included.
    pub ordinal: u64,
    /// The fields in order; those of groups with their path, as `APBILLITEMS/apbillitem/LINE_NO`.
    pub fields: Vec<(String, Option<String>)>,
    /// The field that does not fit, or is missing.
    pub field: String,
    /// Its text.
    pub text: Option<String>,
    /// Why it does not fit.
    pub reason: String,
}

/// Where the fields of a layout go.
#[derive(Default)]
struct Places {
    layout: Option<u64>,
    /// By column: the field.
    by_column: Vec<Option<usize>>,
    /// The fields without a column.
    unknown: Vec<usize>,
}

impl Places {
    fn of(block: &Block<'_>, columns: &[Column], by_name: &HashMap<String, usize>) -> Self {
        let by_column = columns.iter().map(|column| block.place(column.name()));
        let names = block.names().iter().enumerate();
        Self {
            layout: Some(block.layout_id()),
            by_column: by_column.collect(),
            unknown: names
                .filter(|(_, name)| !by_name.contains_key(*name))
                .map(|(field, _)| field)
                .collect(),
        }
    }
}

/// The first thing that is wrong with the record being read.
struct Problem {
    field: String,
    text: Option<String>,
    reason: &'static str,
}

impl Default for ColumnOptions {
    fn default() -> Self {
        Self {
            source_offset: UtcOffset::UTC,
        }
    }
}

impl ColumnOptions {
    /// Sets the zone that the source writes its timestamps in.
    #[must_use]
    pub fn with_source_offset(mut self, offset: UtcOffset) -> Self {
        self.source_offset = offset;
        self
    }
}

impl Columns {
    /// Columns for the schema.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a column type that is not in the table
    /// above, and for two columns with the same name in the answer.
    pub fn new(schema: SchemaRef, options: ColumnOptions) -> Result<Self, Error> {
        let mut columns = Vec::with_capacity(schema.fields().len());
        let mut by_name = HashMap::new();
        for field in schema.fields() {
            let name = wire_name(field);
            if by_name.insert(name.clone(), columns.len()).is_some() {
                return Err(Error::invalid(format!(
                    "two columns of the schema have the wire name {}",
                    shown(&name)
                ))
                .advise(format!("correct the metadata {WIRE_NAME}")));
            }
            columns.push(Column::new(name, field)?);
        }
        Ok(Self {
            schema,
            columns,
            by_name,
            places: Places::default(),
            options,
            rows: 0,
            ordinal: 0,
            next: 0,
            depth: 0,
            problem: None,
            setting_aside: None,
            has_data: false,
            rejected: Vec::new(),
            unknown_fields: BTreeMap::new(),
        })
    }

    /// Adds a record from its texts, as if an answer had brought it: one that was rejected, with the fields
    /// that [`RejectedRecord::fields`] has of it. It comes into the batch, or is rejected again, as it would
    /// be there.
    ///
    /// # Errors
    /// None that a record can bring about.
    pub fn push_record(&mut self, fields: &[(String, Option<String>)]) -> Result<(), Error> {
        loop {
            self.begin_record("")?;
            for (path, value) in fields {
                let mut groups: Vec<&str> = path.split('/').collect();
                let name = groups.pop().unwrap_or_default();
                for group in &groups {
                    self.begin_group(group)?;
                }
                match (name, value) {
                    (TEXT, Some(text)) => self.text(text)?,
                    _ => self.field(name, value.as_deref())?,
                }
                for group in groups.iter().rev() {
                    self.end_group(group)?;
                }
            }
            if let RecordEnd::Done = self.end_record()? {
                return Ok(());
            }
        }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many records of the answer fit so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the page out.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) if Arrow refuses the columns, for instance for
    /// more than 2 GiB of text in one.
    pub fn finish(&mut self) -> Result<Page, Error> {
        let arrays = self
            .columns
            .iter_mut()
            .map(Column::finish)
            .collect::<Result<Vec<_>, _>>();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let page = arrays.and_then(|arrays| {
            let batch =
                RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
            batch.map_err(|_| column::refused())
        });
        let rejected = std::mem::take(&mut self.rejected);
        let unknown_fields = std::mem::take(&mut self.unknown_fields);
        self.clear();
        Ok(Page {
            batch: page?,
            rejected,
            unknown_fields,
        })
    }

    fn clear(&mut self) {
        self.columns
            .iter_mut()
            .for_each(|column| column.truncate(0));
        self.rows = 0;
        self.ordinal = 0;
        self.depth = 0;
        self.problem = None;
        self.setting_aside = None;
        self.has_data = false;
        self.rejected.clear();
        self.unknown_fields.clear();
    }

    /// Takes back what belongs to no whole record.
    fn roll_back(&mut self) {
        let rows = self.rows;
        self.columns
            .iter_mut()
            .for_each(|column| column.truncate(rows));
    }

    /// Adds records column by column; `None`, and too much in the columns, if a value does not fit.
    fn extend(&mut self, block: &Block<'_>) -> Option<()> {
        if self.places.layout != Some(block.layout_id()) {
            self.places = Places::of(block, &self.columns, &self.by_name);
        }
        let records = block.len();
        for (column, field) in self.columns.iter_mut().zip(&self.places.by_column) {
            match *field {
                Some(field) => column.extend(block, field, self.options.source_offset)?,
                None => column.extend_null(records)?,
            }
        }
        for index in 0..self.places.unknown.len() {
            let field = self.places.unknown[index];
            let occurrences = block.occurrences(field) as u64;
            if occurrences > 0 {
                self.count_unknown(&block.names()[field], occurrences);
            }
        }
        self.rows += records;
        self.ordinal += records as u64;
        Some(())
    }

    fn index_of(&mut self, name: &str) -> Option<usize> {
        let expected = self.next;
        let index = match self.columns.get(expected) {
            Some(column) if column.name() == name => expected,
            _ => *self.by_name.get(name)?,
        };
        self.next = index + 1;
        Some(index)
    }

    fn count_unknown(&mut self, name: &str, occurrences: u64) {
        match self.unknown_fields.get_mut(name) {
            Some(count) => *count += occurrences,
            None => {
                self.unknown_fields.insert(name.to_owned(), occurrences);
            }
        }
    }

    fn set_problem(&mut self, field: &str, text: Option<&str>, reason: &'static str) {
        self.problem.get_or_insert_with(|| Problem {
            field: field.to_owned(),
            text: text.map(str::to_owned),
            reason,
        });
    }

    /// Fills absent fields with null, or finds that one must not be absent.
    fn complete_row(&mut self) {
        for index in 0..self.columns.len() {
            let column = &mut self.columns[index];
            if column.len() > self.rows {
                continue;
            }
            if !column.is_nullable() {
                let name = column.name().to_owned();
                self.set_problem(&name, None, "the field is missing or empty and must not be");
                return;
            }
            column.push_null();
        }
    }
}

/// What text beside the fields is called in a rejected record.
const TEXT: &str = "#text";

/// The name that a schema field has in answers.
fn wire_name(field: &Field) -> String {
    field
        .metadata()
        .get(WIRE_NAME)
        .cloned()
        .unwrap_or_else(|| field.name().to_uppercase())
}

impl RecordTarget for Columns {
    fn begin_response(&mut self) -> Result<(), Error> {
        self.clear();
        Ok(())
    }

    fn begin_data(&mut self, _data: &DataStart<'_>) -> Result<(), Error> {
        if std::mem::replace(&mut self.has_data, true) {
            return Err(Error::protocol(
                "the answer has data of two functions for one set of columns",
            )
            .advise("give each function its own columns through Dispatch"));
        }
        Ok(())
    }

    fn begin_record(&mut self, _name: &str) -> Result<(), Error> {
        self.next = 0;
        self.depth = 0;
        Ok(())
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> Result<(), Error> {
        if let Some((record, path)) = &mut self.setting_aside {
            let path = path
                .iter()
                .map(|group| format!("{group}/"))
                .collect::<String>();
            record.fields.push((path + name, value.map(str::to_owned)));
            return Ok(());
        }
        // The columns are rolled back anyway.
        if self.depth > 0 || self.problem.is_some() {
            return Ok(());
        }
        let Some(index) = self.index_of(name) else {
            self.count_unknown(name, 1);
            return Ok(());
        };
        let column = &mut self.columns[index];
        if column.len() > self.rows {
            self.set_problem(name, value, "the field comes twice in one record");
        } else if let Some(text) = value {
            if let Err(reason) = column.push(text, self.options.source_offset) {
                self.set_problem(name, value, reason);
            }
        } else if column.is_nullable() {
            column.push_null();
        }
        Ok(())
    }

    fn begin_group(&mut self, name: &str) -> Result<(), Error> {
        if let Some((_, path)) = &mut self.setting_aside {
            path.push(name.to_owned());
            return Ok(());
        }
        if self.depth == 0 && self.problem.is_none() {
            match self.index_of(name) {
                Some(_) => self.set_problem(name, None, "elements where a value belongs"),
                None => self.count_unknown(name, 1),
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn end_group(&mut self, _name: &str) -> Result<(), Error> {
        match &mut self.setting_aside {
            Some((_, path)) => drop(path.pop()),
            None => self.depth = self.depth.saturating_sub(1),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        if self.setting_aside.is_some() {
            return self.field(TEXT, Some(text));
        }
        if self.depth == 0 {
            self.set_problem(TEXT, Some(text), "text beside the fields");
        }
        Ok(())
    }

    fn records(&mut self, block: &Block<'_>) -> Result<(), Error> {
        if self.extend(block).is_some() {
            return Ok(());
        }
        // A value does not fit. Which, and of which record, shows call by call.
        self.roll_back();
        block.replay(self)
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        if let Some((record, _)) = self.setting_aside.take() {
            self.rejected.push(record);
            self.ordinal += 1;
            return Ok(RecordEnd::Done);
        }
        if self.problem.is_none() {
            self.complete_row();
        }
        let Some(problem) = self.problem.take() else {
            self.rows += 1;
            self.ordinal += 1;
            return Ok(RecordEnd::Done);
        };
        self.roll_back();
        let record = RejectedRecord {
            ordinal: self.ordinal,
            fields: Vec::new(),
            field: problem.field,
            text: problem.text,
            reason: problem.reason.to_owned(),
        };
        self.setting_aside = Some((record, Vec::new()));
        Ok(RecordEnd::Again)
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns")
            .field("columns", &self.columns.len())
            .field("rows", &self.rows)
            .field("rejected", &self.rejected.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RejectedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("RejectedRecord")
            .field("ordinal", &self.ordinal)
            .field("field", &self.field)
            .field("reason", &self.reason)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

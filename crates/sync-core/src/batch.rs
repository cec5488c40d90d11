//! Batches: the unit of delivery, replay and audit.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::column::Column;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BatchId, Digest, Hasher, RecordId};
use crate::origin::Origin;
use crate::stream::{StreamDescriptor, StreamName};
use crate::window::{Cursor, Window, rfc3339};

mod identity;

pub use identity::{RecordKey, Records, record_ids, record_keys};

/// The columns that the pipeline adds to every row.
pub mod system {
    /// The [`RecordId`](crate::RecordId) in hex.
    pub const RECORD_ID: &str = "_record_id";
    /// The [`BatchId`](crate::BatchId) in hex.
    pub const BATCH_ID: &str = "_batch_id";
    /// When the batch was cut.
    pub const SYNCED_AT: &str = "_synced_at";
    /// When the record last changed at the source, as far as it says.
    pub const SOURCE_MODIFIED_AT: &str = "_source_modified_at";
    /// Whether the record is gone at the source.
    pub const DELETED: &str = "_deleted";
    /// All of them, in their order behind the source's own columns.
    pub const ALL: [&str; 5] = [RECORD_ID, BATCH_ID, SYNCED_AT, SOURCE_MODIFIED_AT, DELETED];
}

/// One answer of the source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceBatch {
    /// The records that could be read, with the stream's columns; key columns only where keys were asked for.
    pub rows: RecordBatch,
    /// The records of which a value does not fit its type.
    pub rejected: Vec<UnreadableRecord>,
    /// Once `rows` and `rejected` are settled, reading may go on behind this position.
    pub cursor: Option<Cursor>,
    /// How many records are still to come, where the source says.
    pub remaining: Option<u64>,
    /// What the answer is called, for an auditor to find it again, where the source says.
    pub origin: Option<Origin>,
}

impl SourceBatch {
    /// Rows without anything else to say of them.
    pub fn new(rows: RecordBatch) -> Self {
        Self {
            rows,
            rejected: Vec::new(),
            cursor: None,
            remaining: None,
            origin: None,
        }
    }
}

/// A record that was read but cannot be held without loss. It is kept whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableRecord {
    /// What identifies it, as far as that could be read.
    pub key: Option<RecordKey>,
    /// The column whose value does not fit.
    pub column: String,
    /// The value, as it came.
    pub text: String,
    /// Why it does not fit.
    pub reason: String,
    /// The whole record, as it came: names and values.
    pub fields: Vec<(String, Option<String>)>,
}

/// What a batch does to the rows that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// The rows are the records' new state.
    Upsert,
    /// The records are gone. The rows hold their key columns only.
    Delete,
}

impl Operation {
    /// The word that stands in reports and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// Where a batch stands: part of its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPlace {
    /// The pipeline's name.
    pub pipeline: String,
    /// Whose books these are.
    pub company: String,
    /// What is done with the rows.
    pub operation: Operation,
    /// The window that was read.
    pub window: Window,
    /// Its number in the window, from 0.
    pub ordinal: u64,
}

/// A bounded set of records of one stream: the unit of delivery, replay and audit.
///
/// Ids of records and of the batch are functions of content, so that the same input has the same
/// ids on any machine and a destination can recognise what it has seen.
#[derive(Clone, Debug)]
pub struct Batch {
    id: BatchId,
    stream: Arc<StreamDescriptor>,
    place: BatchPlace,
    rows: RecordBatch,
    keys: Vec<RecordKey>,
    record_ids: Vec<RecordId>,
    ledger_entry: Option<Digest>,
    /// Of a batch of which rows are left out: which ones are there, and of how many.
    part: Option<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    rows: Vec<usize>,
    of: usize,
}

impl Batch {
    /// Gives ids to `rows`, which hold the stream's columns, or its key columns where records are
    /// deleted, and adds the system columns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] where the rows lack a key column, [`ErrorKind::Data`] where a key is
    /// null, and [`ErrorKind::Unsupported`] where they have a column of a type that no batch carries.
    pub fn new(
        stream: Arc<StreamDescriptor>,
        place: BatchPlace,
        rows: &RecordBatch,
        synced_at: OffsetDateTime,
    ) -> Result<Self> {
        let records = Records::identified(&place.company, &stream, rows.clone())?;
        Self::of(stream, place, records, synced_at)
    }

    /// As [`Batch::new`], of rows that have their ids already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] where the rows lack a column that the stream declares.
    pub fn of(
        stream: Arc<StreamDescriptor>,
        place: BatchPlace,
        records: Records,
        synced_at: OffsetDateTime,
    ) -> Result<Self> {
        let Records { rows, keys, ids } = records;
        let id = batch_id(&stream.name, &place, &ids);
        let rows = with_system_columns(&stream, &place, &rows, id, &ids, synced_at)?;
        Ok(Self {
            id,
            stream,
            place,
            rows,
            keys,
            record_ids: ids,
            ledger_entry: None,
            part: None,
        })
    }

    /// Takes up a batch whose rows already hold the system columns: from the spool.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`] where the rows are not those of `id`: what was spooled is damaged.
    pub fn restore(
        id: BatchId,
        stream: Arc<StreamDescriptor>,
        place: BatchPlace,
        rows: RecordBatch,
    ) -> Result<Self> {
        let own: Vec<usize> = (0..rows.num_columns())
            .filter(|&column| !rows.schema_ref().field(column).name().starts_with('_'))
            .collect();
        let sources_own = rows.project(&own).map_err(not_a_batch)?;
        let records = Records::identified(&place.company, &stream, sources_own)?;
        let (keys, record_ids) = (records.keys, records.ids);
        if batch_id(&stream.name, &place, &record_ids) != id {
            let what = "the spooled rows are not those that the ledger names";
            return Err(Error::new(ErrorKind::Data, what).with("batch", id.to_string()));
        }
        Ok(Self {
            id,
            stream,
            place,
            rows,
            keys,
            record_ids,
            ledger_entry: None,
            part: None,
        })
    }

    /// Notes the ledger's entry that prepared this batch, for the destination to keep beside the data.
    #[must_use]
    pub fn attested(mut self, entry: Digest) -> Self {
        self.ledger_entry = Some(entry);
        self
    }

    /// The same batch without the rows that are not wanted: for a replay, which leaves out what a later
    /// batch has replaced. Its id stays, for it is still this batch's content.
    #[cfg(feature = "pipeline")]
    pub(crate) fn only(self, wanted: &[bool]) -> Result<Self> {
        if wanted.iter().all(|wanted| *wanted) {
            return Ok(self);
        }
        let records = Records {
            rows: self.rows,
            keys: self.keys,
            ids: self.record_ids,
        };
        let records = records.only(wanted)?;
        let rows = wanted.iter().enumerate().filter(|(_, wanted)| **wanted);
        Ok(Self {
            part: Some(Part {
                rows: rows.map(|(row, _)| row).collect(),
                of: wanted.len(),
            }),
            rows: records.rows,
            keys: records.keys,
            record_ids: records.ids,
            ..self
        })
    }

    /// The number that a row has in the whole batch: another one only where rows before it are left out.
    pub fn row_of_whole(&self, row: usize) -> usize {
        let part = self.part.as_ref();
        part.and_then(|part| part.rows.get(row).copied())
            .unwrap_or(row)
    }

    /// How many rows the whole batch has: more than [`Batch::len`] only where some are left out.
    pub fn of_whole(&self) -> usize {
        self.part.as_ref().map_or(self.len(), |part| part.of)
    }

    /// The id.
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// The stream whose records these are.
    pub fn stream(&self) -> &Arc<StreamDescriptor> {
        &self.stream
    }

    /// Where it stands.
    pub fn place(&self) -> &BatchPlace {
        &self.place
    }

    /// What is done with the rows.
    pub fn operation(&self) -> Operation {
        self.place.operation
    }

    /// The rows: the source's columns, then [`system::ALL`].
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// What identifies each row.
    pub fn keys(&self) -> &[RecordKey] {
        &self.keys
    }

    /// The id of each row.
    pub fn record_ids(&self) -> &[RecordId] {
        &self.record_ids
    }

    /// The hash of the ledger's entry that prepared this batch.
    pub fn ledger_entry(&self) -> Option<Digest> {
        self.ledger_entry
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0
    }
}

/// The columns of a stream's batches: the source's, then [`system::ALL`].
pub fn batch_schema(stream: &StreamDescriptor, operation: Operation) -> SchemaRef {
    let source = stream
        .schema
        .fields()
        .iter()
        .filter(|field| match operation {
            Operation::Upsert => true,
            Operation::Delete => stream.key.contains(field.name()),
        });
    Arc::new(Schema::new(
        source.cloned().chain(system_fields()).collect::<Vec<_>>(),
    ))
}

fn batch_id(stream: &StreamName, place: &BatchPlace, record_ids: &[RecordId]) -> BatchId {
    let from = place.window.from.map(rfc3339).unwrap_or_default();
    let mut hasher = Hasher::new("intacct-sync/batch/1")
        .part(place.pipeline.as_bytes())
        .part(place.company.as_bytes())
        .part(stream.as_str().as_bytes())
        .part(place.operation.as_str().as_bytes())
        .part(from.as_bytes())
        .part(rfc3339(place.window.until).as_bytes())
        .part(&place.ordinal.to_le_bytes());
    for id in record_ids {
        hasher.push(id.as_bytes());
    }
    hasher.batch_id()
}

fn system_fields() -> [Arc<Field>; 5] {
    let timestamp = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    [
        Field::new(system::RECORD_ID, DataType::Utf8, false),
        Field::new(system::BATCH_ID, DataType::Utf8, false),
        Field::new(system::SYNCED_AT, timestamp(), false),
        Field::new(system::SOURCE_MODIFIED_AT, timestamp(), true),
        Field::new(system::DELETED, DataType::Boolean, false),
    ]
    .map(Arc::new)
}

fn with_system_columns(
    stream: &StreamDescriptor,
    place: &BatchPlace,
    rows: &RecordBatch,
    id: BatchId,
    record_ids: &[RecordId],
    synced_at: OffsetDateTime,
) -> Result<RecordBatch> {
    let count = rows.num_rows();
    let synced_at = i64::try_from(synced_at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
    let modified = match &stream.modified {
        Some(name) if place.operation == Operation::Upsert => match Column::named(rows, name)? {
            Column::Timestamp(array) => array.clone(),
            _ => TimestampMicrosecondArray::new_null(count),
        },
        _ => TimestampMicrosecondArray::new_null(count),
    };
    let id = id.to_string();
    let added: [ArrayRef; 5] = [
        Arc::new(StringArray::from_iter_values(
            record_ids.iter().map(ToString::to_string),
        )),
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            &id, count,
        ))),
        Arc::new(TimestampMicrosecondArray::from_value(synced_at, count).with_timezone("UTC")),
        Arc::new(modified.with_timezone("UTC")),
        Arc::new(BooleanArray::from(vec![
            place.operation == Operation::Delete;
            count
        ])),
    ];
    let fields = rows
        .schema_ref()
        .fields()
        .iter()
        .cloned()
        .chain(system_fields());
    let columns = rows.columns().iter().cloned().chain(added).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)
        .map_err(not_a_batch)
}

fn not_a_batch(error: arrow_schema::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "the rows do not make a batch").caused_by(error)
}

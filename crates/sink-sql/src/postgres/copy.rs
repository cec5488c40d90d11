//! The rows of a batch on their way to a table, by binary COPY.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};
use bytes::Bytes;
use futures_util::SinkExt as _;
use sync_core::encode::{CopyRows, Unwritable};
use sync_core::postgres::tokio_postgres;
use sync_core::{Error, ErrorKind, RecordKey, Rejection, RejectionClass, Result};
use tokio_postgres::CopyInSink;

use super::staging::ROW;
use crate::reporting::Alias;

/// How much is sent at once, in bytes: enough that sending costs nothing, little beside a batch.
const CHUNK: usize = 128 << 10;

/// Columns of a batch, as they are sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    rows: RecordBatch,
    key: RecordBatch,
}

/// What became of the rows.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Those that were sent, in their order.
    pub(super) rows: Vec<usize>,
    /// How many of them the server took.
    pub(super) taken: u64,
    /// Those that Postgres could not hold unchanged.
    pub(super) rejected: Vec<Rejection>,
}

impl Outgoing {
    /// The named columns of a batch, behind the number of each row.
    pub(super) fn numbered(batch: &RecordBatch, names: &[&str], key: &[String]) -> Result<Self> {
        let numbers = 0..i32::try_from(batch.num_rows()).unwrap_or(i32::MAX);
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(numbers));
        let row = Arc::new(Field::new(ROW, DataType::Int32, false));
        Self::of(batch, vec![(row, numbers)], names, &[], key)
    }

    /// All columns of a batch, and these aliases behind them.
    pub(super) fn with_aliases(
        batch: &RecordBatch,
        aliases: &[&Alias],
        key: &[String],
    ) -> Result<Self> {
        let fields = batch.schema_ref().fields().iter();
        let names: Vec<_> = fields.map(|field| field.name().as_str()).collect();
        Self::of(batch, Vec::new(), &names, aliases, key)
    }

    fn of(
        batch: &RecordBatch,
        before: Vec<(FieldRef, ArrayRef)>,
        names: &[&str],
        aliases: &[&Alias],
        key: &[String],
    ) -> Result<Self> {
        let named = |name: &str| -> Result<_, ArrowError> {
            let place = batch.schema_ref().index_of(name)?;
            let field = Arc::clone(&batch.schema_ref().fields()[place]);
            Ok((field, Arc::clone(batch.column(place))))
        };
        let made = || -> Result<Self, ArrowError> {
            let mut columns = before;
            for name in names {
                columns.push(named(name)?);
            }
            for alias in aliases {
                let (field, values) = named(alias.of)?;
                let field = field.as_ref().clone().with_name(alias.name);
                columns.push((Arc::new(field), values));
            }
            let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            let places = key.iter().map(|name| batch.schema_ref().index_of(name));
            Ok(Self {
                rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?,
                key: batch.project(&places.collect::<Result<Vec<_>, _>>()?)?,
            })
        };
        made().map_err(|cause| {
            let what = "the batch lacks a column that its stream declares, or has too many rows";
            Error::new(ErrorKind::Internal, what).caused_by(cause)
        })
    }

    /// The columns that are sent.
    pub(super) fn schema(&self) -> &Schema {
        self.rows.schema_ref()
    }

    /// The columns of the key.
    pub(super) fn key(&self) -> &RecordBatch {
        &self.key
    }

    /// Which rows are to be sent: of several of one record the last, because one statement writes a
    /// row at most once.
    pub(super) fn last_of_each_record(&self, keys: &[RecordKey]) -> Result<Vec<usize>> {
        let all = 0..self.rows.num_rows();
        let mut seen = std::collections::HashSet::with_capacity(all.len());
        if keys.iter().all(|key| seen.insert(key.as_str())) {
            return Ok(all.collect());
        }
        // What cannot be sent does not take the place of what came before it.
        let mut chunks = Chunks::of(CopyRows::new(&self.rows)?, all.collect());
        while chunks.next().is_some() {}
        let fit = chunks.done.rows;
        // The texts of a key may hold what joins them, so the values themselves are compared.
        let encoded = CopyRows::new(&self.key)?;
        let mut last: HashMap<Vec<u8>, usize> = HashMap::with_capacity(fit.len());
        for row in fit {
            let mut bytes = Vec::new();
            encoded.append(row..row + 1, usize::MAX, &mut bytes)?;
            last.insert(bytes, row);
        }
        // Rows that cannot be sent stay among them, to be refused.
        let mut rows: Vec<usize> = last.into_values().collect();
        rows.extend(chunks.done.rejected.iter().map(|rejection| rejection.row));
        rows.sort_unstable();
        Ok(rows)
    }

    /// Sends rows, chunk by chunk.
    pub(super) async fn send(
        &self,
        copy: CopyInSink<Bytes>,
        rows: Vec<usize>,
        refused: impl Fn(tokio_postgres::Error) -> Error,
    ) -> Result<Sent> {
        let mut copy = pin!(copy);
        let mut chunks = Chunks::of(CopyRows::new(&self.rows)?, rows);
        copy.feed(Bytes::from_static(CopyRows::HEADER))
            .await
            .map_err(&refused)?;
        while let Some(chunk) = chunks.next() {
            copy.feed(chunk.into()).await.map_err(&refused)?;
        }
        copy.feed(Bytes::from_static(CopyRows::TRAILER))
            .await
            .map_err(&refused)?;
        chunks.done.taken = copy.as_mut().finish().await.map_err(&refused)?;
        Ok(chunks.done)
    }
}

/// Rows as bytes, chunk by chunk.
struct Chunks<'a> {
    encoder: CopyRows<'a>,
    rows: Vec<usize>,
    /// The place in `rows` of what comes next.
    next: usize,
    done: Sent,
}

impl<'a> Chunks<'a> {
    fn of(encoder: CopyRows<'a>, rows: Vec<usize>) -> Self {
        let done = Sent {
            rows: Vec::with_capacity(rows.len()),
            ..Sent::default()
        };
        Self {
            encoder,
            rows,
            next: 0,
            done,
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut chunk = Vec::with_capacity(CHUNK + (CHUNK >> 3));
        while let Some(&first) = self.rows.get(self.next) {
            let behind = first + self.neighbours();
            let mut written = self.encoder.append(first..behind, CHUNK, &mut chunk);
            if written == Ok(first) {
                if !chunk.is_empty() {
                    return Some(chunk);
                }
                // A row that is larger than a chunk is a chunk of its own.
                written = self
                    .encoder
                    .append(first..first + 1, usize::MAX, &mut chunk);
            }
            let until = match written {
                Ok(until) => until,
                Err(Unwritable {
                    row,
                    column,
                    reason,
                    ..
                }) => {
                    self.next += 1;
                    self.done.rejected.push(Rejection {
                        row,
                        column: Some(column),
                        class: RejectionClass::Unfit,
                        reason: reason.to_owned(),
                    });
                    row
                }
            };
            self.done.rows.extend(first..until);
            self.next += until - first;
        }
        (!chunk.is_empty()).then_some(chunk)
    }

    /// How many rows stand behind each other in the batch, from the next on.
    fn neighbours(&self) -> usize {
        let rows = &self.rows[self.next..];
        // Nearly always all: looking at the last is enough then.
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return 0;
        };
        if last - first == rows.len() - 1 {
            return rows.len();
        }
        rows.windows(2)
            .position(|pair| pair[1] != pair[0] + 1)
            .map_or(rows.len(), |position| position + 1)
    }
}

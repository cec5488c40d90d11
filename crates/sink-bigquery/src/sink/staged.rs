//! Staged merge: a batch is loaded into a table of its own, and merged from there in one statement.
//!
//! | Step | What a crash behind it leaves | What then happens |
//! |---|---|---|
//! | the staging table is made | an empty table that removes itself | it is used |
//! | the load job | the staged rows | its id says that it ran; nothing is sent again |
//! | the merge | all rows of the batch, or none | its id says that it ran; it is not run again |
//! | the mark in `sync_batch` | rows and mark | the look-up says so |
//!
//! The first two are also done ahead, while the batch before is merged: then writing is a merge and a mark. What
//! was looked up for them (that there is no mark, and what the table is like) is not looked up again: had
//! somebody else written the batch since, the merge's id would tell. The staging table goes while the mark is
//! made; who then has to write the batch again, because the mark was not, loads it again and finds the merge.
//!
//! The ids of load and merge are functions of the dataset, the batch's id and how often it was written before, so that
//! a second process, and one that was cut off from BigQuery, find the first one's jobs instead of beginning
//! others. Each row carries [its place in the order of all](super::table::VERSION), and the merge changes no row
//! that is later: also a merge that ran twice would leave what one leaves.

use futures_util::future::join;
use sync_core::batch::system;
use sync_core::{
    Batch, BatchId, DeleteMode, Landed, Operation, Receipt, Rejection, RejectionClass, Result,
};
use time::OffsetDateTime;

use super::bookkeeping::{self, Mark};
use super::column_type::ColumnType;
use super::encoding::{LoadBody, Sendable};
use super::failure::{failed, while_doing};
use super::moment;
use super::planning::ExistingTable;
use super::request::{Request, Value};
use super::resource;
use super::schema;
use super::statement::{self, parameter};
use super::table::{ROW, Table};
use super::warehouse::{Ended, Warehouse, Work};
use crate::Reason;
use crate::client::names::TableRef;
use crate::client::{Format, Job, LoadJob, TableSchema, Write};

const DOING: &str = "the batch cannot be written";
const LOOKING: &str = "the batch cannot be looked up";

/// Up to so many bytes of rows go along in the request that begins the load.
const MULTIPART: usize = 5 << 20;

/// More go in pieces of so many bytes: each waits for an answer, and one that breaks off is gone on with
/// wherever it broke.
const PIECE: usize = 32 << 20;

/// What is done about a batch that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// Nothing: its first receipt is given again.
    Stays,
    /// Its rows are written again.
    IsRewritten,
}

/// Loads a batch into its staging table, so that writing it need only merge. Nobody looks there: what is never
/// written goes with the table.
pub(super) async fn stage(warehouse: &Warehouse, batch: &Batch) -> Result<()> {
    let name = named(batch.id(), 0);
    let (before, staged) = join(
        mark(warehouse, batch.id()),
        Staged::of(warehouse, batch, &name),
    )
    .await;
    let staged = staged?;
    if before?.is_none() {
        warehouse.ahead().keep(batch, staged);
    }
    Ok(())
}

/// Writes a batch, or finds that it is there already. `at` is when.
pub(super) async fn write(
    warehouse: &Warehouse,
    batch: &Batch,
    marked: Marked,
    at: OffsetDateTime,
) -> Result<Receipt> {
    let ahead = match marked {
        Marked::Stays => warehouse.ahead().take(batch),
        Marked::IsRewritten => None,
    };
    let (before, name, staged) = match ahead {
        Some(staged) => (None, named(batch.id(), 0), staged),
        None => {
            let before = match mark(warehouse, batch.id()).await? {
                Some(mark) if marked == Marked::Stays => return Ok(mark.receipt),
                before => before,
            };
            // The jobs of an earlier writing are not those of this one.
            let name = named(batch.id(), before.as_ref().map_or(0, |mark| mark.writes));
            let staged = Staged::of(warehouse, batch, &name).await?;
            (before, name, staged)
        }
    };
    let mut receipt = Receipt::durable(batch.id(), at);
    receipt.rejected = staged.rejected;
    let delivery = Delivery {
        warehouse,
        batch,
        table: staged.table,
        there: staged.there,
        name,
    };
    if staged.rows > 0 {
        delivery.merged(staged.rows, &mut receipt).await?;
    }
    // Nothing is read from the staging table any more.
    let noting = note(warehouse, batch, &receipt, before.as_ref());
    let (noted, ()) = join(noting, delivery.clear_away()).await;
    noted.map(|()| receipt)
}

/// What the bookkeeping says of a batch; none where it is not there.
pub(super) async fn mark(warehouse: &Warehouse, batch: BatchId) -> Result<Option<Mark>> {
    let request = bookkeeping::find_batch(&warehouse.quoted(bookkeeping::BATCHES), batch);
    let rows = warehouse
        .read(LOOKING, &request, bookkeeping::BATCHES)
        .await?;
    let rows = rows.unwrap_or_default();
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let looking = while_doing(LOOKING);
    let rejected = row.text("rejected").map_err(looking)?;
    let written_at = row.timestamp("written_at").map_err(looking)?;
    let writes = row.int64("writes").map_err(looking)?;
    Mark::read(batch, rejected, written_at, writes).map(Some)
}

/// Notes that a batch is there.
pub(super) async fn note(
    warehouse: &Warehouse,
    batch: &Batch,
    receipt: &Receipt,
    before: Option<&Mark>,
) -> Result<()> {
    let batches = warehouse.quoted(bookkeeping::BATCHES);
    let before = before.map(|mark| &mark.receipt);
    let request = bookkeeping::note_batch(&batches, batch, receipt, before)?;
    let batches = warehouse.reference(bookkeeping::BATCHES)?;
    warehouse.change("mark", &request, &batches).await
}

/// Whether a batch is there.
///
/// Between a batch's rows and its mark there is a moment in which the rows are there and the mark is not. The
/// merge's own id tells that it was begun: then it is not known here which rows were refused, and writing the
/// batch again finds that out and sets the mark.
pub(super) async fn lookup(warehouse: &Warehouse, batch: BatchId) -> Result<Landed> {
    if let Some(mark) = mark(warehouse, batch).await? {
        return Ok(Landed::Yes(mark.receipt));
    }
    let merge = warehouse.job(&merge_id(&named(batch, 0))).await?;
    Ok(merge.map_or(Landed::No, |_| Landed::Unknown))
}

/// What the staging table and the jobs of a writing are named by.
fn named(batch: BatchId, writes: i64) -> String {
    match writes {
        0 => batch.to_string(),
        writes => format!("{batch}_{writes}"),
    }
}

fn load_id(name: &str) -> String {
    format!("isync_load_{name}")
}

fn merge_id(name: &str) -> String {
    format!("isync_merge_{name}")
}

/// A batch whose rows are in their staging table.
#[derive(Debug)]
pub(super) struct Staged {
    table: Table,
    there: ExistingTable,
    /// How many rows are there.
    rows: usize,
    /// Those that could not be sent.
    rejected: Vec<Rejection>,
}

impl Staged {
    /// Brings a batch's rows to their staging table, or finds them there.
    async fn of(warehouse: &Warehouse, batch: &Batch, name: &str) -> Result<Self> {
        let upload = Upload {
            warehouse,
            batch,
            name,
        };
        let sendable = Sendable::staged(batch)?;
        let schema = staging_schema(&sendable)?;
        let (prepared, (body, made_at)) = join(
            schema::prepared(warehouse, batch.stream()),
            join(encoded(sendable), upload.make(schema.clone())),
        )
        .await;
        let (table, there) = prepared?;
        if batch.operation() == Operation::Upsert {
            there.check_takes(&table)?;
        }
        let (mut body, made_at) = (body?, made_at?);
        let (rows, rejected) = (body.rows, std::mem::take(&mut body.rejected));
        if rows > 0 {
            upload.load(body, schema, made_at).await?;
        }
        Ok(Self {
            table,
            there,
            rows,
            rejected,
        })
    }
}

/// The columns of the staging table: what is sent, and the batch's row.
fn staging_schema(sendable: &Sendable) -> Result<TableSchema> {
    let fields = sendable.rows().schema_ref().fields().iter();
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        columns.push((field.name().as_str(), ColumnType::of(field.data_type())?));
    }
    Ok(resource::staging_schema(columns))
}

fn staging_name(name: &str) -> String {
    format!("_staged_{name}")
}

/// Rows on their way to their staging table.
struct Upload<'a> {
    warehouse: &'a Warehouse,
    batch: &'a Batch,
    name: &'a str,
}

impl Upload<'_> {
    fn staging(&self) -> Result<TableRef> {
        self.warehouse.reference(&staging_name(self.name))
    }

    /// Makes the staging table, unless it is there. Gives when it was made, in milliseconds since 1970.
    async fn make(&self, schema: TableSchema) -> Result<Option<i64>> {
        let options = self.warehouse.options();
        let tables = self.warehouse.client().tables();
        let staging = self.staging()?;
        // By the clock that BigQuery is nearest to, not by the one that rows are stamped with.
        let expires = self.warehouse.client().timing().now() + options.staging_life;
        let stream = self.batch.stream().name.as_str();
        let table = resource::staging(staging.clone(), schema, stream, expires);
        match tables.insert(&table).await {
            Ok(made) => Ok(made.creation_time),
            Err(error) if error.reason() == Reason::Duplicate => {
                let there = tables.get(&staging).await.map_err(while_doing(DOING))?;
                Ok(there.creation_time)
            }
            Err(error) => Err(failed(DOING, error)),
        }
    }

    /// Loads the rows into the staging table.
    async fn load(&self, body: LoadBody, schema: TableSchema, made_at: Option<i64>) -> Result<()> {
        let rows = body.rows;
        let job = LoadJob::new(self.staging()?, Format::Ndjson)
            .with_schema(schema)
            .with_write(Write::Truncate)
            .with_upload_sizes(MULTIPART, PIECE)
            .into_existing();
        // What an earlier job loaded went with its table.
        let load = Work::Load(&job, &body.bytes);
        let id = load_id(self.name);
        let loaded = self.warehouse.run(&id, load, made_at).await?;
        let loaded = loaded.job.statistics.load.and_then(|load| load.output_rows);
        match loaded {
            Some(loaded) if usize::try_from(loaded) != Ok(rows) => {
                let what =
                    "BigQuery has loaded another number of rows than were sent: nothing was merged";
                Err(sync_core::Error::new(sync_core::ErrorKind::Protocol, what)
                    .with("sent", rows.to_string())
                    .with("loaded", loaded.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// A batch whose rows are staged, on its way to its table.
struct Delivery<'a> {
    warehouse: &'a Warehouse,
    batch: &'a Batch,
    table: Table,
    there: ExistingTable,
    name: String,
}

impl Delivery<'_> {
    /// Brings so many staged rows to their table.
    async fn merged(&self, rows: usize, receipt: &mut Receipt) -> Result<()> {
        let merged = self.merge().await?;
        // Where a row was not changed, a later batch holds its record; or it was to be deleted, and is not
        // there.
        let changed = affected_rows(&merged.job);
        if changed.is_none_or(|changed| changed < rows) {
            let superseded = self.superseded().await?;
            receipt.rejected.extend(superseded);
            receipt.rejected.sort_by_key(|rejection| rejection.row);
        }
        receipt.job = Some(merged.id.to_string());
        Ok(())
    }

    /// Merges the staged rows.
    async fn merge(&self) -> Result<Ended> {
        let batch = self.batch;
        let (held, staged) = self.quoted();
        let sql = statement::merge(
            &held,
            &staged,
            &self.table,
            batch.operation(),
            batch.stream().delete_mode,
            &self.there.dropped(&self.table),
        );
        let mut request = Request::new(sql).with(parameter::VERSION, self.version());
        let removes = batch.stream().delete_mode == DeleteMode::Remove;
        if batch.operation() == Operation::Upsert || !removes {
            let id = Value::Text(batch.id().to_string());
            request = request
                .with(parameter::BATCH, id)
                .with(parameter::SYNCED_AT, Value::Timestamp(synced_at(batch)?));
        }
        let job = request
            .job()?
            .changing(self.warehouse.reference(&self.table.name)?);
        // What an earlier job merged went with its table.
        let (id, merge) = (merge_id(&self.name), Work::Statement(&job));
        self.warehouse.run(&id, merge, self.there.created_at).await
    }

    /// The staged rows of which the table holds a later state.
    async fn superseded(&self) -> Result<Vec<Rejection>> {
        let (held, staged) = self.quoted();
        let sql = statement::superseded(&held, &staged, &self.table);
        let request = Request::new(sql).with(parameter::VERSION, self.version());
        let staging = staging_name(&self.name);
        let Some(rows) = self.warehouse.read(DOING, &request, &staging).await? else {
            let what = "the staged rows are gone, so that it cannot be said which of them were not merged: \
                        write the batch again";
            return Err(sync_core::Error::new(sync_core::ErrorKind::Conflict, what));
        };
        let rows_of_whole = (0..self.batch.len()).map(|row| (self.batch.row_of_whole(row), row));
        let rows_of_whole: std::collections::HashMap<usize, usize> = rows_of_whole.collect();
        let mut superseded = Vec::new();
        for row in rows {
            let number = row
                .int64(ROW)
                .map_err(while_doing(DOING))?
                .unwrap_or(i64::MAX);
            let of_whole = usize::try_from(number).unwrap_or(usize::MAX);
            superseded.push(Rejection {
                row: rows_of_whole.get(&of_whole).copied().unwrap_or(of_whole),
                column: None,
                class: RejectionClass::Superseded,
                reason: "a later batch has written this record already".to_owned(),
            });
        }
        Ok(superseded)
    }

    /// Removes the staging table. It would remove itself, later.
    async fn clear_away(&self) {
        let Ok(staging) = self.warehouse.reference(&staging_name(&self.name)) else {
            return;
        };
        if let Err(error) = self.warehouse.client().tables().delete(&staging).await {
            tracing::debug!(table = %staging, %error, "a staging table is left to its expiry");
        }
    }

    /// The names of table and staging table in a statement.
    fn quoted(&self) -> (String, String) {
        let held = self.warehouse.quoted(&self.table.name);
        (held, self.warehouse.quoted(&staging_name(&self.name)))
    }

    fn version(&self) -> Value {
        Value::Text(moment::version(self.batch.place()))
    }
}

/// How many rows a statement inserted, changed or removed, where BigQuery says.
fn affected_rows(job: &Job) -> Option<usize> {
    let query = job.statistics.query.as_ref()?;
    let counted = query.dml_stats.map(|counts| {
        let counts = [
            counts.inserted_row_count,
            counts.updated_row_count,
            counts.deleted_row_count,
        ];
        counts.into_iter().flatten().sum()
    });
    let affected = query.num_dml_affected_rows.or(counted)?;
    usize::try_from(affected).ok()
}

/// When a batch was cut: the same for all its rows.
pub(super) fn synced_at(batch: &Batch) -> Result<OffsetDateTime> {
    use sync_core::column::{Column, Value};
    let column = Column::named(batch.rows(), system::SYNCED_AT)?;
    let first = if batch.is_empty() {
        Value::Null
    } else {
        column.value(0)
    };
    let time = match first {
        Value::Timestamp(micros) => moment::from_microseconds(micros),
        _ => None,
    };
    time.ok_or_else(|| {
        let what = "a batch does not say when it was cut";
        sync_core::Error::new(sync_core::ErrorKind::Internal, what)
    })
}

/// Encodes rows where they hold nothing else up.
async fn encoded(sendable: Sendable) -> Result<LoadBody> {
    let encoded = tokio::task::spawn_blocking(move || sendable.lines()).await;
    encoded.map_err(|error| {
        let what = "the rows could not be encoded";
        sync_core::Error::new(sync_core::ErrorKind::Internal, what).caused_by(error)
    })?
}

//! Streaming: a batch's rows into a table that only grows.
//!
//! Rows may come twice: BigQuery forgets what it has seen after about a minute (BigQuery documentation,
//! "Streaming data", de-duplication), and a batch that was cut off is streamed again. The same row has the same
//! version and number each time, so that the view shows it once. What is streamed into a table that is new or was
//! just changed can be acknowledged and lost; until it is old enough rows are loaded into it instead, and for a
//! day it is counted what has landed.

use sync_core::encode::{JsonRows, Layout};
use sync_core::{
    Batch, BatchId, Error, ErrorKind, Landed, Operation, Receipt, Rejection, RejectionClass, Result,
};
use time::{Duration, OffsetDateTime};

use super::encoding::{self, Sendable};
use super::failure::while_doing;
use super::names::quoted;
use super::planning::ExistingTable;
use super::request::{Request, Value};
use super::schema;
use super::staged::{self, Marked};
use super::streaming::{landing, landing_name};
use super::table::{ROW, Table};
use super::warehouse::{Warehouse, Work};
use crate::Reason;
use crate::client::{Format, FreshTables, InsertOptions, InsertRow, InvalidRow, LoadJob};

const DOING: &str = "the batch cannot be written";

/// How long after a table is made it is counted what has landed of a batch before it is marked.
const YOUNG: Duration = Duration::days(1);

/// Writes a batch, or finds that it is there already. `at` is when.
pub(super) async fn write(
    warehouse: &Warehouse,
    batch: &Batch,
    marked: Marked,
    at: OffsetDateTime,
) -> Result<Receipt> {
    let before = match staged::mark(warehouse, batch.id()).await? {
        Some(mark) if marked == Marked::Stays => return Ok(mark.receipt),
        before => before,
    };
    let (table, there) = schema::prepared(warehouse, batch.stream()).await?;
    if batch.operation() == Operation::Upsert {
        there.check_takes(&landing(&table))?;
    }
    let writes = before.as_ref().map_or(0, |mark| mark.writes);
    let delivery = Delivery {
        warehouse,
        batch,
        table,
        there,
        load_id: format!("isync_land_{}_{writes}", batch.id()),
    };
    let mut receipt = Receipt::durable(batch.id(), at);
    receipt.rejected = delivery.rows().await?;
    staged::note(warehouse, batch, &receipt, before.as_ref()).await?;
    Ok(receipt)
}

/// Whether a batch is there. Where no mark says so, some of its rows may be.
pub(super) async fn lookup(warehouse: &Warehouse, batch: BatchId) -> Result<Landed> {
    let mark = staged::mark(warehouse, batch).await?;
    Ok(mark.map_or(Landed::Unknown, |mark| Landed::Yes(mark.receipt)))
}

/// A batch on its way.
struct Delivery<'a> {
    warehouse: &'a Warehouse,
    batch: &'a Batch,
    table: Table,
    there: ExistingTable,
    load_id: String,
}

impl Delivery<'_> {
    /// Brings the rows to their table, and gives those that it does not take.
    async fn rows(&self) -> Result<Vec<Rejection>> {
        let sendable = Sendable::streamed(self.batch)?;
        if self.is_younger_than(self.warehouse.options().cold_table) {
            return self.load(&sendable).await;
        }
        let Some((landed, rejected)) = self.stream(&sendable).await? else {
            return self.load(&sendable).await;
        };
        if self.is_younger_than(YOUNG.unsigned_abs()) && self.landed().await? < landed {
            // What was acknowledged and is not there comes by a load; the view shows once what is there twice.
            let batch = self.batch.id();
            tracing::warn!(%batch, "acknowledged rows have not landed, and are loaded");
            return self.load(&sendable).await;
        }
        Ok(rejected)
    }

    /// Streams the rows, and gives how many are in the table, and which are not; none where the table is too
    /// fresh for it.
    async fn stream(&self, sendable: &Sendable) -> Result<Option<(usize, Vec<Rejection>)>> {
        let encoder = JsonRows::new(sendable.rows(), &encoding::options(Layout::Objects))?;
        let mut rejected = sendable.rejected().to_vec();
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for row in sendable.ranges().iter().cloned().flatten() {
            let mut json = Vec::new();
            if let Err(unwritable) = encoder.append(row..row + 1, usize::MAX, &mut json) {
                rejected.push(encoding::unfit(unwritable));
                continue;
            }
            let json = String::from_utf8(json).map_err(|error| {
                let what = "a row cannot be written as text";
                Error::new(ErrorKind::Internal, what).caused_by(error)
            })?;
            // The same row has the same id however often it is sent.
            let id = format!("{}-{}", self.batch.id(), self.batch.row_of_whole(row));
            rows.push(InsertRow::from_json(id, json).map_err(while_doing(DOING))?);
            numbers.push(row);
        }
        let landing = self.warehouse.reference(&landing_name(&self.table.name))?;
        let warm_up = self.warehouse.options().cold_table;
        let options = InsertOptions::default().with_fresh_tables(FreshTables::Refuse, warm_up);
        let streamed = self.warehouse.client().tabledata();
        match streamed.insert_all(&landing, &rows, &options).await {
            Ok(outcome) => {
                let invalid = outcome.invalid.into_iter();
                rejected.extend(invalid.map(|invalid| refused(invalid, &numbers)));
                rejected.sort_by_key(|rejection| rejection.row);
                Ok(Some((outcome.inserted, rejected)))
            }
            Err(failure) if failure.error.reason() == Reason::FreshTable => Ok(None),
            Err(failure) => Err(while_doing(DOING)(failure.into())),
        }
    }

    /// Loads the rows, for which a table is never too fresh.
    async fn load(&self, sendable: &Sendable) -> Result<Vec<Rejection>> {
        let body = sendable.lines()?;
        if body.rows > 0 {
            let landing = self.warehouse.reference(&landing_name(&self.table.name))?;
            let job = LoadJob::new(landing, Format::Ndjson).into_existing();
            let load = Work::Load(&job, &body.bytes);
            self.warehouse
                .run(&self.load_id, load, self.there.created_at)
                .await?;
        }
        Ok(body.rejected)
    }

    /// How many rows of the batch are there: a table that is young may swallow some.
    async fn landed(&self) -> Result<usize> {
        let name = landing_name(&self.table.name);
        let sql = format!(
            "SELECT COUNT(DISTINCT {}) AS `rows` FROM {} WHERE {} = @batch_id",
            quoted(ROW),
            self.warehouse.quoted(&name),
            quoted(sync_core::batch::system::BATCH_ID)
        );
        let id = Value::Text(self.batch.id().to_string());
        let request = Request::new(sql).with("batch_id", id);
        let rows = self.warehouse.read(DOING, &request, &name).await?;
        let row = rows.iter().flatten().next();
        let landed = row.map(|row| row.int64("rows")).transpose();
        let landed = landed
            .map_err(while_doing(DOING))?
            .flatten()
            .unwrap_or_default();
        Ok(usize::try_from(landed).unwrap_or_default())
    }

    fn is_younger_than(&self, age: std::time::Duration) -> bool {
        let made = self.there.created_at.unwrap_or_default();
        let now = self.warehouse.client().timing().now();
        let now = now.unix_timestamp_nanos() / 1_000_000;
        now - i128::from(made) < age.as_millis() as i128
    }
}

/// The rejection of a row that BigQuery does not take.
fn refused(invalid: InvalidRow, numbers: &[usize]) -> Rejection {
    let reason = invalid.errors.first();
    let column = reason.and_then(|error| error.location.clone());
    let told = reason.map(|error| format!("{}: {}", error.reason, error.message));
    Rejection {
        row: numbers.get(invalid.index).copied().unwrap_or(invalid.index),
        column: column.filter(|column| !column.is_empty()),
        class: RejectionClass::Refused,
        reason: told.unwrap_or_else(|| "BigQuery does not take the row".to_owned()),
    }
}

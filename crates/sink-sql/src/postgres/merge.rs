//! Rows from where they are staged to their table, but for those that the database refuses.

use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::{Meaning, failed, meaning, tokio_postgres};
use sync_core::{DeleteMode, ErrorKind, Operation, Rejection, RejectionClass, Result};
use tokio_postgres::types::ToSql;

use super::dialect::Postgres;
use super::staging::Staging;
use super::write::DOING;
use crate::delivery::Delivery;
use crate::planning::ExistingTable;

/// The rows of a batch, from where they are staged to their table.
pub(super) struct Merge<'a> {
    transaction: &'a Transaction<'a>,
    staging: &'a Staging<'a>,
    sql: String,
    /// Deleting what is not there is no refusal, so for deletes it counts what is.
    counts_held: bool,
}

/// What became of a range of rows.
enum Outcome {
    Written,
    /// The database refused one of them; none is written.
    Refused(Refusal),
}

/// Why the database refuses rows.
struct Refusal {
    column: Option<String>,
    class: RejectionClass,
    reason: String,
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        transaction: &'a Transaction<'a>,
        dialect: &'a Postgres,
        delivery: &'a Delivery,
        table: &ExistingTable,
        staging: &'a Staging<'a>,
    ) -> Self {
        let operation = delivery.place.operation;
        let sql = match (operation, delivery.stream.delete_mode) {
            (Operation::Upsert, _) => staging.upsert(&table.dropped(dialect, &delivery.stream)),
            (Operation::Delete, DeleteMode::Remove) => staging.remove(),
            (Operation::Delete, _) => staging.mark_deleted(),
        };
        Self {
            transaction,
            staging,
            sql,
            counts_held: operation == Operation::Delete,
        }
    }

    /// Writes these rows, which are all that are staged, and gives those that were refused.
    ///
    /// All at once, because refusals are rare. After one, the rows are halved until those that are
    /// refused stand alone, so that the rest is there as if each had been written by itself.
    pub(super) async fn all(&self, rows: &[usize]) -> Result<Vec<Rejection>> {
        let mut rejected = Vec::new();
        let mut open = vec![rows];
        while let Some(rows) = open.pop() {
            let outcome = self.some(rows).await?;
            match (outcome, rows) {
                (Outcome::Written, _) => {}
                (Outcome::Refused(refusal), [row]) => rejected.push(Rejection {
                    row: *row,
                    column: refusal.column,
                    class: refusal.class,
                    reason: refusal.reason,
                }),
                (Outcome::Refused(_), _) => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    // The last is taken first: rows are written in their order.
                    open.push(second);
                    open.push(first);
                }
            }
        }
        Ok(rejected)
    }

    async fn some(&self, rows: &[usize]) -> Result<Outcome> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(Outcome::Written);
        };
        let refused = |cause| failed(DOING, cause);
        let savepoint = |sql: &'static str| async move {
            self.transaction.batch_execute(sql).await.map_err(refused)
        };
        savepoint("SAVEPOINT some_rows").await?;
        let merged = self.merge(*first as i32, *last as i32 + 1, rows.len() as u64);
        let outcome = match merged.await {
            Ok(true) => Outcome::Written,
            Ok(false) => Outcome::Refused(Refusal {
                column: None,
                class: RejectionClass::Refused,
                reason: "a trigger of the table ignored the row".to_owned(),
            }),
            Err(cause) => match refusal(&cause) {
                Some(refusal) => Outcome::Refused(refusal),
                None => return Err(failed(DOING, cause)),
            },
        };
        if matches!(outcome, Outcome::Refused(_)) {
            savepoint("ROLLBACK TO SAVEPOINT some_rows").await?;
        }
        savepoint("RELEASE SAVEPOINT some_rows").await?;
        Ok(outcome)
    }

    /// Whether all rows changed that should have.
    async fn merge(
        &self,
        from: i32,
        until: i32,
        staged: u64,
    ) -> Result<bool, tokio_postgres::Error> {
        let range: [&(dyn ToSql + Sync); 2] = [&from, &until];
        let mut expected = staged;
        if self.counts_held {
            let sql = self.staging.count_held();
            let held: i64 = self.transaction.query_one(&sql, &range).await?.try_get(0)?;
            expected = held.unsigned_abs();
        }
        let changed = self.transaction.execute(&self.sql, &range).await?;
        Ok(changed >= expected)
    }
}

/// Where the database refuses rows, not the work as a whole.
fn refusal(cause: &tokio_postgres::Error) -> Option<Refusal> {
    let told = cause.as_db_error()?;
    let Meaning { kind, .. } = meaning(cause);
    // A row or an entry of an index that is larger than a page takes.
    let too_big = told.code().code() == "54000";
    // A policy of the table that forbids this row, and not the table to this user.
    let forbidden = told.code().code() == "42501" && told.routine() == Some("ExecWithCheckOptions");
    let class = match told.code().code().get(..2) {
        _ if too_big => RejectionClass::Unfit,
        _ if forbidden => RejectionClass::Permission,
        _ if !matches!(kind, ErrorKind::Rejected | ErrorKind::Data) => return None,
        Some("22") => RejectionClass::Unfit,
        Some("23" | "27" | "P0") => RejectionClass::Refused,
        _ => return None,
    };
    Some(Refusal {
        column: told.column().map(str::to_owned),
        class,
        reason: told.message().to_owned(),
    })
}

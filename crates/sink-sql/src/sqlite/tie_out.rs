//! Outcomes of comparisons with the source, beside the data.

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, TransactionBehavior, params_from_iter};
use sync_core::{Result, TieOutRecord};

use super::dialect::Sqlite;
use super::failure::failed;
use crate::bookkeeping::{self, Cell};

/// Puts an outcome in the place of an earlier one of the same comparison.
pub(super) fn record(connection: &mut Connection, record: &TieOutRecord) -> Result<()> {
    let refused = |cause| failed("the outcome of a comparison cannot be kept", cause);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(refused)?;
    let run = record.run.to_string();
    let same = [run.as_str(), record.stream.as_str(), record.check.as_str()];
    transaction
        .execute(&bookkeeping::forget_tie_out(&Sqlite), same)
        .map_err(refused)?;
    {
        let sql = bookkeeping::note_tie_out(&Sqlite);
        let mut insert = transaction.prepare_cached(&sql).map_err(refused)?;
        for row in bookkeeping::tie_out_rows(record) {
            insert.execute(params_from_iter(row)).map_err(refused)?;
        }
    }
    transaction.commit().map_err(refused)
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Number(number) => number.to_sql(),
        }
    }
}

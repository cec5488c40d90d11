//! Outcomes of comparisons with the source, beside the data.

use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::{failed, tokio_postgres};
use sync_core::{Result, TieOutRecord};
use tokio_postgres::types::ToSql;

use super::dialect::Postgres;
use crate::bookkeeping::{self, Cell};

/// Puts an outcome in the place of an earlier one of the same comparison, in the transaction.
pub(super) async fn record(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    record: &TieOutRecord,
) -> Result<()> {
    let refused = |cause| failed("the outcome of a comparison cannot be kept", cause);
    let (run, stream) = (record.run.to_string(), record.stream.as_str());
    transaction
        .execute(
            &bookkeeping::forget_tie_out(dialect),
            &[&run, &stream, &record.check.as_str()],
        )
        .await
        .map_err(refused)?;
    let insert = transaction
        .prepare_cached(&bookkeeping::note_tie_out(dialect))
        .await
        .map_err(refused)?;
    for row in bookkeeping::tie_out_rows(record) {
        let values: Vec<&(dyn ToSql + Sync)> = row.iter().map(value).collect();
        transaction
            .execute(&insert, &values)
            .await
            .map_err(refused)?;
    }
    Ok(())
}

fn value(cell: &Cell) -> &(dyn ToSql + Sync) {
    match cell {
        Cell::Text(text) => text,
        Cell::Number(number) => number,
    }
}

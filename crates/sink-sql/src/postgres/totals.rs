//! Control totals, taken where the rows are.

use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::{failed, tokio_postgres};
use sync_core::totals::ControlTotals;
use sync_core::{Decimal, Result, TotalsQuery};
use tokio_postgres::types::ToSql;

use super::dialect::Postgres;
use super::schema;
use crate::column_type::ColumnType;
use crate::statement;
use crate::stored_time;
use crate::totals;

/// Counts and sums of the live rows.
pub(super) async fn control_totals(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    query: &TotalsQuery,
) -> Result<ControlTotals> {
    let stream = &query.stream;
    stream.validate()?;
    schema::prepared(transaction, dialect, stream).await?;
    // Without the column, the bound is to have no effect.
    let bound = query.modified_before.filter(|_| stream.modified.is_some());
    let bound = bound.map(stored_time::text_not_before);
    let sql = statement::totals(dialect, query, bound.is_some())?;
    let refused =
        |cause| failed("the totals cannot be taken", cause).with("stream", stream.name.as_str());
    let values: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|bound| bound as _).collect();
    let mut types = Vec::with_capacity(stream.totals.group_by.len());
    for column in &stream.totals.group_by {
        types.push(ColumnType::of(stream.field(column)?.data_type())?);
    }
    let mut found = ControlTotals::default();
    for row in transaction.query(&sql, &values).await.map_err(refused)? {
        let mut key = Vec::with_capacity(types.len());
        for (position, column_type) in types.iter().enumerate() {
            let text: Option<String> = row.try_get(position).map_err(refused)?;
            key.push(match (text, column_type) {
                (Some(text), ColumnType::Decimal { .. }) => text.parse::<Decimal>()?.to_string(),
                (text, _) => text.unwrap_or_default(),
            });
        }
        let records: i64 = row.try_get(types.len()).map_err(refused)?;
        let mut sums: Vec<Option<String>> = Vec::with_capacity(stream.totals.sums.len());
        for position in 0..stream.totals.sums.len() {
            sums.push(row.try_get(types.len() + 1 + position).map_err(refused)?);
        }
        totals::add(&mut found, key, records, &sums)?;
    }
    Ok(found)
}

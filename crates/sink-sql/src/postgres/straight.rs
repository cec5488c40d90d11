//! Rows that are all new, by `COPY` straight into their table: half the server's work of staging and
//! merging them.
//!
//! Nothing rests on the guess that they are. A row that is there, or that the database refuses, fails the
//! `COPY` as a whole, and the batch goes by a staging table as if nothing had been tried.

use arrow_array::RecordBatch;
use bytes::Bytes;
use sync_core::column::Column;
use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::{failed, tokio_postgres};
use sync_core::{Error, Phase, Result, Retry};
use tokio_postgres::CopyInSink;
use tokio_postgres::types::ToSql;

use super::copy::{Outgoing, Sent};
use super::dialect::Postgres;
use super::staging::sent_type;
use super::write::DOING;
use crate::dialect::{Dialect, identifiers};
use crate::planning::ExistingTable;

/// What comes before anything is tried.
pub(super) const SAVEPOINT: &str = "SAVEPOINT straight";

/// As if nothing had been tried, and ready to try again.
const BACK: &str = "ROLLBACK TO SAVEPOINT straight";

/// As if nothing had been tried.
pub(super) const GIVE_UP: &str = "ROLLBACK TO SAVEPOINT straight; RELEASE SAVEPOINT straight";

const KEEP: &str = "RELEASE SAVEPOINT straight";

/// New rows on their way.
#[derive(Debug)]
pub(super) struct Straight<'a> {
    pub(super) dialect: &'a Postgres,
    /// The table's name.
    pub(super) name: &'a str,
    pub(super) table: &'a ExistingTable,
    /// All columns that are written.
    pub(super) rows: &'a Outgoing,
}

impl Straight<'_> {
    /// Writes these rows, or none where not all of them can be written so.
    pub(super) async fn write(
        &self,
        transaction: &Transaction<'_>,
        rows: &[usize],
    ) -> Result<Option<Sent>> {
        let refused = |cause| failed(DOING, cause);
        let savepoint = |sql: &'static str| async move {
            transaction.batch_execute(sql).await.map_err(refused)
        };
        savepoint(SAVEPOINT).await?;
        let mut sent = None;
        if self.is_open(transaction, rows).await? {
            // What was set to look the records up must not reach triggers.
            savepoint(BACK).await?;
            let copy = self.begin(transaction).await?;
            sent = match self.rows.send(copy, rows.to_vec(), refused).await {
                // Fewer where a trigger ignored some.
                Ok(sent) => (sent.taken == sent.rows.len() as u64).then_some(sent),
                Err(error) if is_final_answer(&error) => None,
                Err(error) => return Err(error),
            };
        }
        savepoint(if sent.is_some() { KEEP } else { GIVE_UP }).await?;
        Ok(sent)
    }

    /// Whether the table has none of these records, and takes a `COPY`. Leaves settings behind until the
    /// caller goes back to [`SAVEPOINT`].
    pub(super) async fn is_open(
        &self,
        transaction: &Transaction<'_>,
        rows: &[usize],
    ) -> Result<bool> {
        if !self.is_taken_as_sent() {
            return Ok(false);
        }
        match self.must_be_merged(transaction, rows).await {
            Ok(must_be_merged) => Ok(!must_be_merged),
            // A key that no parameter can hold.
            Err(error) if is_final_answer(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn begin(&self, transaction: &Transaction<'_>) -> Result<CopyInSink<Bytes>> {
        let schema = self.rows.schema();
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let sql = format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary)",
            self.dialect.table(self.name),
            identifiers(self.dialect, names)
        );
        let begun = transaction.copy_in(&sql).await;
        begun.map_err(|cause| failed(DOING, cause))
    }

    /// Whether the table has one of these records, or is closed to `COPY`: to that of this user, or because
    /// policies decide about its rows. Ends with the first record that is found, so only a batch of new ones
    /// is looked up whole.
    async fn must_be_merged(&self, transaction: &Transaction<'_>, rows: &[usize]) -> Result<bool> {
        let refused = |cause| failed(DOING, cause);
        let key = self.rows.key();
        let texts = texts(key, rows)?;
        let fields = key.schema_ref().fields().iter().enumerate();
        let (mut arrays, mut names, mut same) = (Vec::new(), Vec::new(), Vec::new());
        for (place, field) in fields {
            arrays.push(format!("${}::text[]", place + 1));
            names.push(format!("k{place}"));
            same.push(format!(
                "held.{} = asked.k{place}::{}",
                self.dialect.identifier(field.name()),
                sent_type(field.data_type())
            ));
        }
        let table = self.dialect.table(self.name);
        let sql = format!(
            "SELECT 1 FROM (SELECT {}::regclass) AS this (name) \
             WHERE pg_catalog.row_security_active(this.name) \
               OR NOT pg_catalog.has_table_privilege(this.name, 'INSERT') \
             UNION ALL SELECT 1 FROM unnest({}) AS asked ({}) JOIN {table} AS held ON {} LIMIT 1",
            self.dialect.literal(&table),
            arrays.join(", "),
            names.join(", "),
            same.join(" AND ")
        );
        // By the index of the key, record by record: a scan of the table for each batch would make a long
        // table slow, however the server judges it.
        let by_index = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
                        SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
                        SET LOCAL jit = off";
        transaction.batch_execute(by_index).await.map_err(refused)?;
        let statement = transaction.prepare_cached(&sql).await.map_err(refused)?;
        let arguments: Vec<&(dyn ToSql + Sync)> = texts
            .iter()
            .map(|texts| texts as &(dyn ToSql + Sync))
            .collect();
        let found = transaction.query_opt(&statement, &arguments).await;
        Ok(found.map_err(refused)?.is_some())
    }

    /// Whether the table's columns are still of the types that were planned: what is sent in binary is
    /// taken for whatever the column is.
    fn is_taken_as_sent(&self) -> bool {
        self.rows.schema().fields().iter().all(|field| {
            let sent = sent_type(field.data_type());
            let column = self.table.column(&self.dialect.stored(field.name()));
            column.is_some_and(|column| {
                let is_decimal = sent == "numeric" && column.declared.starts_with("numeric(");
                (column.declared == sent || is_decimal) && !column.is_generated
            })
        })
    }
}

/// The values of each column in these rows.
fn texts(key: &RecordBatch, rows: &[usize]) -> Result<Vec<Vec<String>>> {
    let of_column = |column: Column<'_>| {
        let text = |row: &usize| {
            let mut text = String::new();
            column.value(*row).push_to(&mut text);
            text
        };
        rows.iter().map(text).collect()
    };
    Ok(Column::all(key)?.into_iter().map(of_column).collect())
}

/// Whether the server refused rows, and not because of what may pass.
fn is_final_answer(error: &Error) -> bool {
    error.phase() == Phase::Answered && error.retry() == Retry::Never
}

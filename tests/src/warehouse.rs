//! Warehouses that a test can ask.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use sink_sql::{PostgresOptions, PostgresSink, Rows, SqliteOptions, SqliteSink};
use sync_core::Sink;

/// Where records go, and where a test asks what has arrived.
#[derive(Clone, Debug)]
pub enum Warehouse {
    /// A file.
    Sqlite(Arc<SqliteSink>),
    /// A schema of a database.
    Postgres(Arc<PostgresSink>),
}

impl Warehouse {
    /// The file `FOLDER/finance.db`.
    pub fn sqlite(folder: &Path) -> Result<Self> {
        let sink = SqliteSink::open(folder.join("finance.db"), SqliteOptions::default())?;
        Ok(Self::Sqlite(Arc::new(sink)))
    }

    /// The schema `sage_intacct` of the database at the end of a connection string.
    pub fn postgres(connection: &str) -> Result<Self> {
        let sink = PostgresSink::open(&connection.into(), PostgresOptions::default())?;
        Ok(Self::Postgres(Arc::new(sink)))
    }

    /// The sink.
    pub fn as_sink(&self) -> Arc<dyn Sink> {
        match self {
            Self::Sqlite(sink) => Arc::clone(sink) as _,
            Self::Postgres(sink) => Arc::clone(sink) as _,
        }
    }

    /// Answers a query, in the warehouse's own words.
    pub async fn query(&self, sql: impl Into<String> + Send) -> sync_core::Result<Rows> {
        let sql = sql.into();
        match self {
            Self::Sqlite(sink) => sink.query(sql).await,
            Self::Postgres(sink) => sink.query(sql).await,
        }
    }

    /// The exact sum of a column of decimals.
    pub fn sum(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("decimal_sum({column})"),
            Self::Postgres(_) => format!("sum({column})"),
        }
    }

    /// A decimal as a number that may be compared with another.
    pub fn number(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("CAST({column} AS REAL)"),
            Self::Postgres(_) => column.to_owned(),
        }
    }

    /// Names and types of a table's columns, in the words of the published schema.
    pub async fn columns(&self, table: &str) -> sync_core::Result<Vec<(String, String)>> {
        // The words of SQLite say less than ours, so it is asked for what is noted beside them.
        let sql = match self {
            Self::Sqlite(_) => format!(
                "SELECT there.name, coalesce(noted.column_type, \
                   CASE there.name WHEN '_fivetran_deleted' THEN 'boolean' \
                                   WHEN '_deleted' THEN 'boolean' \
                                   WHEN '_fivetran_synced' THEN 'timestamp' \
                                   WHEN '_synced_at' THEN 'timestamp' ELSE there.type END) \
                 FROM pragma_table_xinfo('{table}') AS there \
                 LEFT JOIN sync_column AS noted \
                   ON noted.table_name = '{table}' AND noted.column_name = there.name"
            ),
            Self::Postgres(_) => format!(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0"
            ),
        };
        let rows = self.query(sql).await?.rows.into_iter();
        let columns = rows.map(|row| {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let name = cells.next().unwrap_or_default();
            (
                name,
                published(&cells.next().unwrap_or_default()).to_owned(),
            )
        });
        Ok(columns.collect())
    }
}

/// What the published schema calls a type.
fn published(declared: &str) -> &str {
    match declared {
        "bigint" => "integer",
        "decimal" => "number",
        "timestamp with time zone" => "timestamp",
        numeric if numeric.starts_with("numeric(") => "number",
        other => other,
    }
}

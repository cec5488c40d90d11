//! Warehouses that a test can ask.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use sink_bigquery::auth::Anonymous;
use sink_bigquery::client::{FieldType, QueryRequest};
use sink_bigquery::pacing::{Limits, PacingOptions};
use sink_bigquery::sink::{BigQuerySink, BigQuerySinkOptions};
use sink_bigquery::{BigQuery, DatasetId, DatasetRef, Options, ProjectId, TableId};
use sink_sql::{PostgresOptions, PostgresSink, Rows, SqliteOptions, SqliteSink};
use sync_core::{Error, ErrorKind, Sink};

/// Where records go, and where a test asks what has arrived.
#[derive(Clone, Debug)]
pub enum Warehouse {
    /// A file.
    Sqlite(Arc<SqliteSink>),
    /// A schema of a database.
    Postgres(Arc<PostgresSink>),
    /// A dataset of a simulated BigQuery.
    BigQuery(Arc<BigQuerySink>),
}

/// The project that a simulator has by itself.
const PROJECT: &str = "sim-project";

/// The dataset that tests write to.
pub const DATASET: &str = "sage_intacct";

/// How to write to the dataset of a simulator that lets everybody in, as often as one likes.
pub fn bigquery(url: &str) -> Result<(BigQuery, BigQuerySinkOptions)> {
    let mut limits = Limits::default();
    let often = [
        &mut limits.changes_per_table,
        &mut limits.statements_per_table,
        &mut limits.loads_per_table,
    ];
    often.into_iter().for_each(|limit| limit.amount = 1_000_000);
    let project = ProjectId::new(PROJECT)?;
    let options = Options::new(project.clone())?
        .with_endpoint(url.parse()?)
        .with_pacing(PacingOptions::default().with_limits(limits));
    let dataset = DatasetRef::new(project, DatasetId::new(DATASET)?);
    let client = BigQuery::new(options, Arc::new(Anonymous))?;
    Ok((client, BigQuerySinkOptions::new(dataset)))
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

    /// The dataset of the simulator at this address.
    pub fn bigquery(url: &str) -> Result<Self> {
        let (client, options) = bigquery(url)?;
        Ok(Self::BigQuery(Arc::new(BigQuerySink::new(client, options))))
    }

    /// The sink.
    pub fn as_sink(&self) -> Arc<dyn Sink> {
        match self {
            Self::Sqlite(sink) => Arc::clone(sink) as _,
            Self::Postgres(sink) => Arc::clone(sink) as _,
            Self::BigQuery(sink) => Arc::clone(sink) as _,
        }
    }

    /// Answers a query, in the warehouse's own words.
    pub async fn query(&self, sql: impl Into<String> + Send) -> sync_core::Result<Rows> {
        let sql = sql.into();
        match self {
            Self::Sqlite(sink) => sink.query(sql).await,
            Self::Postgres(sink) => sink.query(sql).await,
            Self::BigQuery(sink) => ask(sink, sql).await.map_err(|error| {
                Error::new(ErrorKind::Rejected, "the query failed").caused_by(error)
            }),
        }
    }

    /// The exact sum of a column of decimals.
    pub fn sum(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("decimal_sum({column})"),
            Self::Postgres(_) | Self::BigQuery(_) => format!("SUM({column})"),
        }
    }

    /// A decimal as a number that may be compared with another.
    pub fn number(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("CAST({column} AS REAL)"),
            Self::Postgres(_) | Self::BigQuery(_) => column.to_owned(),
        }
    }

    /// Names and types of a table's columns, in the words of the published schema.
    pub async fn columns(&self, table: &str) -> sync_core::Result<Vec<(String, String)>> {
        if let Self::BigQuery(sink) = self {
            return columns_of(sink, table).await.map_err(|error| {
                Error::new(ErrorKind::Rejected, "the table cannot be read").caused_by(error)
            });
        }
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
            Self::Postgres(_) | Self::BigQuery(_) => format!(
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

async fn ask(sink: &BigQuerySink, sql: String) -> sink_bigquery::Result<Rows> {
    let dataset = &sink.options().dataset;
    let location = sink.client().datasets().get(dataset).await?.location;
    let client = match location {
        Some(location) => sink.client().in_location(location),
        None => sink.client().clone(),
    };
    let request = QueryRequest::new(sql).with_default_dataset(dataset.clone());
    let answer = client.query(request).await?;
    let mut rows = Rows::default();
    let fields = answer.schema().fields.iter();
    rows.columns = fields.map(|field| field.name.clone()).collect();
    for row in answer.all().await? {
        let cells = rows
            .columns
            .iter()
            .map(|name| Ok(row.text(name)?.map(str::to_owned)));
        rows.rows.push(cells.collect::<sink_bigquery::Result<_>>()?);
    }
    Ok(rows)
}

async fn columns_of(
    sink: &BigQuerySink,
    table: &str,
) -> sink_bigquery::Result<Vec<(String, String)>> {
    let reference = sink.options().dataset.table(TableId::new(table)?);
    let table = sink.client().tables().get(&reference).await?;
    let fields = table.schema.unwrap_or_default().fields.into_iter();
    let named = fields.map(|field| {
        let published = match field.field_type {
            FieldType::String => "text",
            FieldType::Int64 => "integer",
            FieldType::Numeric | FieldType::BigNumeric => "number",
            FieldType::Bool => "boolean",
            FieldType::Date => "date",
            FieldType::Timestamp => "timestamp",
            _ => "something else",
        };
        (field.name, published.to_owned())
    });
    Ok(named.collect())
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

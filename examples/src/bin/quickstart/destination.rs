//! Where the books go: a file, or a schema of a Postgres database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow_schema::DataType;
use rusqlite::{Connection, params_from_iter};
use sink_sql::{PostgresOptions, PostgresSink, Rows, SqliteOptions, SqliteSink};
use sync_core::{Sink, StreamDescriptor};

use crate::options::Options;

/// How many rows are read back at a time.
const PAGE: usize = 4_096;

#[derive(Clone)]
pub(crate) enum Destination {
    File(Arc<SqliteSink>),
    Postgres(Arc<PostgresSink>),
}

impl Destination {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let Some(path) = &options.postgres_url_file else {
            let sink = SqliteSink::open(options.database(), SqliteOptions::default())?;
            return Ok(Self::File(Arc::new(sink)));
        };
        let connection = std::fs::read_to_string(path)
            .with_context(|| format!("the file {} cannot be read", path.display()))?;
        let connection = connection.trim().into();
        let sink = PostgresSink::open(&connection, PostgresOptions::default())?;
        Ok(Self::Postgres(Arc::new(sink)))
    }

    pub(crate) fn sink(&self) -> Arc<dyn Sink> {
        match self {
            Self::File(sink) => Arc::clone(sink) as _,
            Self::Postgres(sink) => Arc::clone(sink) as _,
        }
    }

    pub(crate) async fn query(&self, sql: &str) -> Result<Rows> {
        Ok(match self {
            Self::File(sink) => sink.query(sql).await?,
            Self::Postgres(sink) => sink.query(sql).await?,
        })
    }

    /// A query that is written for SQLite, in the words of this destination.
    pub(crate) fn words(&self, sql: &str) -> String {
        match self {
            Self::File(_) => sql.to_owned(),
            Self::Postgres(_) => sql
                .replace("decimal_sum", "sum")
                .replace("<> '0.00'", "<> 0")
                .replace("AS REAL", "AS numeric")
                .replace(
                    "strftime('%Y-%m', entry_date)",
                    "to_char(entry_date, 'YYYY-MM')",
                ),
        }
    }

    /// A file that holds what the destination holds: the file itself, or one into which a database's
    /// tables are read back row by row, by queries that share nothing with how they were written.
    pub(crate) async fn as_file(
        &self,
        folder: &Path,
        streams: &[StreamDescriptor],
    ) -> Result<PathBuf> {
        let database = match self {
            Self::File(sink) => return Ok(sink.path().to_owned()),
            Self::Postgres(sink) => sink,
        };
        let path = folder.join("read-back.db");
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        let mut file = Connection::open(&path)?;
        for stream in streams {
            read_back(database, stream, &mut file)
                .await
                .with_context(|| format!("{} cannot be read back", stream.name))?;
        }
        Ok(path)
    }
}

/// Copies the live rows of a table, in the order of their keys.
async fn read_back(
    database: &PostgresSink,
    stream: &StreamDescriptor,
    file: &mut Connection,
) -> Result<()> {
    let name = &stream.name;
    let mut declared = Vec::new();
    let mut selected = Vec::new();
    for field in stream.schema.fields() {
        let column = format!("\"{}\"", field.name());
        let (of_type, select) = match field.data_type() {
            DataType::Int64 => ("INTEGER", column.clone()),
            DataType::Boolean => ("INTEGER", format!("{column}::int")),
            DataType::Timestamp(..) => (
                "TEXT",
                format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"),
            ),
            _ => ("TEXT", column.clone()),
        };
        declared.push(format!("{column} {of_type}"));
        selected.push(select);
    }
    let key: Vec<_> = stream.key.iter().map(|key| format!("\"{key}\"")).collect();
    let key = key.join(", ");
    file.execute_batch(&format!(
        "CREATE TABLE \"{name}\" ({}, _deleted INTEGER DEFAULT 0, PRIMARY KEY ({key})) STRICT",
        declared.join(", ")
    ))?;
    let places = vec!["?"; selected.len()].join(", ");
    let columns: Vec<_> = stream.schema.fields().iter().map(|it| it.name()).collect();
    let insert = format!(
        "INSERT INTO \"{name}\" (\"{}\") VALUES ({places})",
        columns
            .iter()
            .map(|it| it.as_str())
            .collect::<Vec<_>>()
            .join("\", \"")
    );
    let at = |key: &String| columns.iter().position(|column| *column == key);
    let key_places: Vec<_> = stream.key.iter().filter_map(at).collect();
    let mut behind = String::new();
    loop {
        let page = database
            .query(format!(
                "SELECT {} FROM \"{name}\" WHERE NOT _deleted{behind} ORDER BY {key} LIMIT {PAGE}",
                selected.join(", ")
            ))
            .await?
            .rows;
        let transaction = file.transaction()?;
        for row in &page {
            transaction
                .prepare_cached(&insert)?
                .execute(params_from_iter(row))?;
        }
        transaction.commit()?;
        let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
            return Ok(());
        };
        let values = key_places.iter().map(|&place| {
            let text = last[place].as_deref().unwrap_or_default();
            format!("'{}'", text.replace('\'', "''"))
        });
        behind = format!(" AND ({key}) > ({})", values.collect::<Vec<_>>().join(", "));
    }
}

//! Queries over the schema, for people and for comparing record by record.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::failed;
use sync_core::{Error, ErrorKind, Result};

use super::dialect::Postgres;
use crate::dialect::Dialect as _;
use crate::rows::Rows;

/// Answers one query, in a transaction that reads only.
pub(super) async fn query(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    sql: &str,
) -> Result<Rows> {
    let refused = |cause| failed("the query cannot be answered", cause);
    let path = format!(
        "SET LOCAL search_path = {}",
        dialect.identifier(dialect.schema())
    );
    transaction.batch_execute(&path).await.map_err(refused)?;
    let described = transaction.prepare(sql).await.map_err(refused)?;
    let names = described.columns().iter();
    let mut rows = Rows {
        columns: names.map(|column| column.name().to_owned()).collect(),
        rows: Vec::new(),
    };
    // As text, whatever the types: this is how the server itself writes them.
    let copy = format!(
        "COPY ({}) TO STDOUT",
        sql.trim_end_matches([';', ' ', '\n'])
    );
    let answer = transaction.copy_out(&copy).await.map_err(refused)?;
    let mut answer = pin!(answer);
    // A message holds one row.
    while let Some(line) = answer.try_next().await.map_err(refused)? {
        let line = std::str::from_utf8(&line).map_err(|cause| {
            Error::new(ErrorKind::Protocol, "the answer is not UTF-8").caused_by(cause)
        })?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        if rows.columns.is_empty() {
            rows.rows.push(Vec::new());
            continue;
        }
        rows.rows.push(line.split('\t').map(cell).collect());
    }
    Ok(rows)
}

/// postgresql.org, COPY, Text Format.
fn cell(text: &str) -> Option<String> {
    if text == "\\N" {
        return None;
    }
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        value.push(match characters.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(other) => other,
            None => '\\',
        });
    }
    Some(value)
}

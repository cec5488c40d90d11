//! What a person must know before a run.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use sync_core::{Finding, Severity};

use super::failure::{Meaning, meaning};
use crate::bookkeeping;
use crate::dialect::Dialect;

/// Looks at version, lock, permission to write, header and foreign tables, without changing
/// anything. Pages behind the header are not read: that would take as long as the file is big.
pub(super) fn check(connection: &mut Connection, path: &Path) -> Vec<Finding> {
    let subject = format!("SQLite file {}", path.display());
    let mut findings = vec![Finding::new(
        Severity::Info,
        &subject,
        format!("SQLite {} writes it", rusqlite::version()),
    )];
    if let Err(cause) = take_write_lock(connection) {
        findings.push(failure(&subject, "it cannot be written", &cause));
        return findings;
    }
    match foreign_tables(connection) {
        Ok(names) if names.is_empty() => {}
        Ok(names) => findings.push(
            Finding::new(
                Severity::Info,
                &subject,
                format!(
                    "it also holds tables or views that this sync did not make: {}",
                    names.join(", ")
                ),
            )
            .remedy("they stay as they are; a stream of the same name would be refused"),
        ),
        Err(cause) => {
            findings.push(failure(&subject, "its tables cannot be listed", &cause));
        }
    }
    findings
}

/// Takes the lock that a write would, reads the header and the list of tables, and writes a page
/// that is then taken back: a file that cannot be written refuses it.
fn take_write_lock(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    transaction.rollback()
}

fn foreign_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let known = if super::schema::has_table(connection, bookkeeping::COLUMNS)? {
        let dialect = super::dialect::Sqlite;
        format!(
            " AND name NOT IN (SELECT {} FROM {})",
            dialect.identifier("table_name"),
            dialect.identifier(bookkeeping::COLUMNS)
        )
    } else {
        String::new()
    };
    let mut statement = connection.prepare(&format!(
        "SELECT name FROM sqlite_schema \
         WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'{known} \
         ORDER BY name"
    ))?;
    let names = statement.query_map([], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    Ok(names
        .into_iter()
        .filter(|name| !bookkeeping::NAMES.contains(&name.as_str()))
        .collect())
}

fn failure(subject: &str, doing: &str, cause: &rusqlite::Error) -> Finding {
    let Meaning { why, advice, .. } = meaning(cause);
    let message = format!("{doing}, because {why} ({cause})");
    Finding::new(Severity::Failure, subject, message).remedy(advice)
}

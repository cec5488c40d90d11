//! Connections to the file: one that writes, and those that only read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};
use sync_core::{Error, ErrorKind, Result};

use super::decimal_sum;
use super::failure::failed;
use super::options::SqliteOptions;

/// More statements than a run uses: two a stream and the bookkeeping's.
const CACHED_STATEMENTS: usize = 128;

/// The connection that writes; creates the file where there is none.
pub(super) fn open_writer(path: &Path, options: &SqliteOptions) -> Result<Connection> {
    let opened = || -> rusqlite::Result<(Connection, String)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        set_up(&connection, options.busy_timeout, options.cache_bytes)?;
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        Ok((connection, mode))
    };
    let (connection, mode) =
        opened().map_err(|cause| failed("the database cannot be opened", cause))?;
    if mode != "wal" {
        let what = "the database cannot keep a write-ahead log, so that a crash could lose what \
                    was acknowledged: keep the file on a local disk";
        return Err(Error::new(ErrorKind::Unsupported, what).with("journal mode", mode));
    }
    Ok(connection)
}

/// A connection that cannot change anything.
pub(super) fn open_reader(path: &Path, busy_timeout: Duration, cache: u32) -> Result<Connection> {
    let opened = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        set_up(&connection, busy_timeout, cache)?;
        connection.pragma_update(None, "query_only", true)?;
        // Reads the header, so that what is no database is found now.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.authorizer(Some(only_reading))?;
        Ok(connection)
    };
    opened().map_err(|cause| failed("the database cannot be read", cause))
}

/// The path in a form that SQLite takes for nothing but a file's.
pub(super) fn file_path(path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        let what = "a database needs a file, because what is only in memory is not durable";
        return Err(Error::new(ErrorKind::Config, what).with("path", path.display().to_string()));
    }
    // An absolute path does not begin with `file:`, which SQLite would read as a URI.
    std::path::absolute(path).map_err(|cause| {
        let what = "the database's path cannot be made absolute";
        Error::new(ErrorKind::Config, what)
            .with("path", path.display().to_string())
            .caused_by(cause)
    })
}

fn set_up(connection: &Connection, busy_timeout: Duration, cache: u32) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    // A negative size is one in KiB.
    connection.pragma_update(None, "cache_size", -i64::from(cache / 1024))?;
    // A misspelt column in double quotes is an error then, instead of a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    decimal_sum::register(connection)
}

fn only_reading(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive
        | AuthAction::Pragma {
            pragma_value: None, ..
        } => Authorization::Allow,
        // `PRAGMA table_info(name)` has a value too, and changes nothing.
        AuthAction::Pragma { pragma_name, .. } if describes(pragma_name) => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

fn describes(pragma: &str) -> bool {
    const DESCRIBING: [&str; 7] = [
        "table_info",
        "table_xinfo",
        "table_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "foreign_key_list",
    ];
    DESCRIBING
        .iter()
        .any(|name| name.eq_ignore_ascii_case(pragma))
}

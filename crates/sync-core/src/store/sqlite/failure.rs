//! What goes wrong inside the store: SQLite's word, or our own.

use std::path::Path;

use crate::error::{Error, ErrorKind, Retry};

pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Own(Error),
}

pub(super) type Work<T> = std::result::Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl Failure {
    pub(super) fn explained(self, path: &Path) -> Error {
        let error = match self {
            Self::Own(error) => error,
            Self::Sqlite(error) => explained(error),
        };
        error.with("store", path.display().to_string())
    }
}

fn explained(error: rusqlite::Error) -> Error {
    use ErrorKind::{Config, Data, Internal, Unavailable};
    use rusqlite::ErrorCode;
    let (kind, what) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (
            Unavailable,
            "the store's disk is full; free space, then run again",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Unavailable,
            "another program holds the store and does not let go; end it, then run again",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (Data, "the store is damaged; restore a copy"),
        Some(ErrorCode::NotADatabase) => (
            Config,
            "the store's file is not a SQLite database; choose another",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            Config,
            "the store cannot be written to; mend its permissions",
        ),
        Some(ErrorCode::SystemIoFailure) => (
            Unavailable,
            "the store's disk fails; check it, then run again",
        ),
        _ => (Internal, "the store refused a statement"),
    };
    let retry = match kind {
        Unavailable => Retry::Backoff,
        _ => Retry::Never,
    };
    Error::new(kind, what).retrying(retry).caused_by(error)
}

//! What SQLite's failures mean for a person, and what that person can do.

use rusqlite::ErrorCode;
use sync_core::{Error, ErrorKind, Phase, Retry};

use super::decimal_sum;

/// The error for a failure of the database as a whole, while `doing` something.
pub(super) fn failed(doing: &str, cause: rusqlite::Error) -> Error {
    let Meaning {
        kind,
        retry,
        why,
        advice,
    } = meaning(&cause);
    Error::new(kind, format!("{doing}, because {why}: {advice}"))
        .retrying(retry)
        .in_phase(Phase::Answered)
        .caused_by(cause)
}

/// What a failure means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    pub(super) retry: Retry,
    pub(super) why: &'static str,
    pub(super) advice: &'static str,
}

/// What a failure means.
pub(super) fn meaning(cause: &rusqlite::Error) -> Meaning {
    let (kind, retry, why, advice) = match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Conflict,
            Retry::Backoff,
            "another program has locked the database",
            "let it finish or close it, then try again",
        ),
        Some(ErrorCode::DiskFull) => (
            ErrorKind::Unavailable,
            Retry::Never,
            "the disk is full",
            "make room or move the database, then try again; nothing was kept of what failed",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            ErrorKind::Permission,
            Retry::Never,
            "the database is read-only",
            "allow this user to write the file and its folder",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Data,
            Retry::Never,
            "the database file is damaged",
            "restore it from a backup, or move it away and read all streams anew",
        ),
        Some(ErrorCode::NotADatabase) => (
            ErrorKind::Config,
            Retry::Never,
            "the file is not a SQLite database, or an encrypted one",
            "name another file",
        ),
        Some(ErrorCode::CannotOpen) => (
            ErrorKind::NotFound,
            Retry::Never,
            "the database file cannot be opened",
            "check the path, create its folder and allow this user to write there",
        ),
        Some(ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed) => (
            ErrorKind::Unavailable,
            Retry::Backoff,
            "the disk failed to read or write",
            "check it, and keep the file on a local disk",
        ),
        Some(ErrorCode::OutOfMemory) => (
            ErrorKind::Unavailable,
            Retry::Backoff,
            "there is not enough memory",
            "lower the cache or the size of batches",
        ),
        Some(ErrorCode::TooBig) => (
            ErrorKind::Data,
            Retry::Never,
            "a value is larger than SQLite takes",
            "shorten it at the source",
        ),
        _ if decimal_sum::refuses(cause) => (
            ErrorKind::Data,
            Retry::Never,
            "a sum has no exact result",
            "look for what is not a decimal number, or for too many digits",
        ),
        Some(ErrorCode::AuthorizationForStatementDenied) => (
            ErrorKind::Permission,
            Retry::Never,
            "it would change something",
            "ask only for what reads",
        ),
        Some(ErrorCode::ConstraintViolation) => (
            ErrorKind::Rejected,
            Retry::Never,
            "a rule of the database refuses it",
            "look at the triggers and indexes that were added to the table",
        ),
        _ => (
            ErrorKind::Rejected,
            Retry::Never,
            "SQLite refuses the statement",
            "look at the cause",
        ),
    };
    Meaning {
        kind,
        retry,
        why,
        advice,
    }
}

//! What Postgres's failures mean for a person, and what that person can do.

use std::fmt;

use crate::error::{Error, ErrorKind, Phase, Retry};

/// What the server said, without what it says of the values at hand: no detail, no hint, no
/// statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    code: String,
    message: String,
    column: Option<String>,
}

impl ServerError {
    fn of(cause: &tokio_postgres::Error) -> Option<Self> {
        let told = cause.as_db_error()?;
        Some(Self {
            code: told.code().code().to_owned(),
            message: told.message().to_owned(),
            column: told.column().map(str::to_owned),
        })
    }

    /// The five characters of the SQLSTATE (postgresql.org, PostgreSQL Error Codes).
    pub fn sqlstate(&self) -> &str {
        &self.code
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The column at fault, where the server names one.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for ServerError {}

/// The SQLSTATE behind an error, where the server gave one.
pub fn sqlstate(error: &Error) -> Option<&str> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(told) = error.downcast_ref::<ServerError>() {
            return Some(told.sqlstate());
        }
        cause = error.source();
    }
    None
}

/// The error for a failure of the database as a whole, while `doing` something.
///
/// Its phase is [`Phase::Answered`] where the server has answered, and [`Phase::MaybeReceived`]
/// where the connection ended before.
pub fn failed(doing: &str, cause: tokio_postgres::Error) -> Error {
    let Meaning {
        kind,
        retry,
        why,
        advice,
    } = meaning(&cause);
    let error = Error::new(kind, format!("{doing}, because {why}: {advice}")).retrying(retry);
    match ServerError::of(&cause) {
        Some(told) => error
            .with("sqlstate", told.sqlstate())
            .in_phase(Phase::Answered)
            .caused_by(told),
        None => error.in_phase(Phase::MaybeReceived).caused_by(cause),
    }
}

/// What a failure means.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Meaning {
    /// Who has to act.
    pub kind: ErrorKind,
    /// Whether the same may be tried again as it is.
    pub retry: Retry,
    /// Why it failed, as the end of a sentence.
    pub why: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// What a failure means.
pub fn meaning(cause: &tokio_postgres::Error) -> Meaning {
    match cause.code() {
        Some(code) => of_code(code.code()),
        None => of_connection(cause),
    }
}

/// postgresql.org, PostgreSQL Error Codes.
fn of_code(code: &str) -> Meaning {
    let (kind, retry, why, advice) = match code {
        "40001" | "40P01" => (
            ErrorKind::Conflict,
            Retry::Backoff,
            "another transaction was in the way",
            "try again",
        ),
        "55P03" | "55006" => (
            ErrorKind::Conflict,
            Retry::Backoff,
            "somebody else holds a lock",
            "let it finish, then try again",
        ),
        "57014" => (
            ErrorKind::Timeout,
            Retry::Backoff,
            "the statement took too long or was cancelled",
            "try again, with a longer limit where it is always too long",
        ),
        "53100" => (
            ErrorKind::Unavailable,
            Retry::Never,
            "the server's disk is full",
            "make room, then try again; nothing was kept of what failed",
        ),
        "53300" | "53400" => (
            ErrorKind::Throttled,
            Retry::Backoff,
            "the server has too many sessions",
            "close some, allow more, or use fewer",
        ),
        "42501" => (
            ErrorKind::Permission,
            Retry::Never,
            "the user may not do it",
            "grant it, as the check says",
        ),
        "25006" => (
            ErrorKind::Permission,
            Retry::Never,
            "the server or the session is read-only",
            "name the primary server, or allow writing",
        ),
        "3D000" => (
            ErrorKind::NotFound,
            Retry::Never,
            "there is no such database",
            "create it with ENCODING 'UTF8', or name another",
        ),
        "3F000" => (
            ErrorKind::NotFound,
            Retry::Never,
            "there is no such schema",
            "plan and prepare the stream, which creates it",
        ),
        "42P01" | "42703" | "42P07" | "42701" | "42P10" | "0A000" => (
            ErrorKind::Conflict,
            Retry::Never,
            "the tables are not as they were planned",
            "plan and prepare the stream again",
        ),
        "XX001" | "XX002" => (
            ErrorKind::Data,
            Retry::Never,
            "the database is damaged",
            "restore it from a backup",
        ),
        _ => match code.get(..2).unwrap_or_default() {
            "08" => (
                ErrorKind::Unavailable,
                Retry::Backoff,
                "the connection was lost",
                "try again",
            ),
            "28" => (
                ErrorKind::Auth,
                Retry::Never,
                "the server refuses user or password",
                "check both, and the server's pg_hba.conf",
            ),
            "53" | "58" => (
                ErrorKind::Unavailable,
                Retry::Backoff,
                "the server lacks memory or a disk failed",
                "look at the server's log, then try again",
            ),
            "57" => (
                ErrorKind::Unavailable,
                Retry::Backoff,
                "the server is stopping or starting",
                "try again",
            ),
            "40" => (
                ErrorKind::Conflict,
                Retry::Backoff,
                "the transaction was rolled back",
                "try again",
            ),
            "22" => (
                ErrorKind::Data,
                Retry::Never,
                "a value does not fit",
                "look at the cause",
            ),
            "23" | "27" | "P0" => (
                ErrorKind::Rejected,
                Retry::Never,
                "a rule of the database refuses it",
                "look at the triggers, indexes and constraints that were added to the table",
            ),
            "54" => (
                ErrorKind::Unsupported,
                Retry::Never,
                "it is more than Postgres takes",
                "look at the cause",
            ),
            _ => (
                ErrorKind::Rejected,
                Retry::Never,
                "Postgres refuses the statement",
                "look at the cause",
            ),
        },
    };
    Meaning {
        kind,
        retry,
        why,
        advice,
    }
}

/// What a failure means that the server did not tell.
fn of_connection(cause: &tokio_postgres::Error) -> Meaning {
    let (kind, retry, why, advice) = match cause.to_string().as_str() {
        "error performing TLS handshake" => (
            ErrorKind::Config,
            Retry::Never,
            "the connection cannot be encrypted as it must be",
            "check the server's certificate and the authorities that are trusted",
        ),
        "invalid configuration" | "authentication error" => (
            ErrorKind::Auth,
            Retry::Never,
            "user or password are missing, or the server did not prove that it knows them",
            "check the connection string",
        ),
        told if told.starts_with("error serializing")
            || told.starts_with("error deserializing")
            || told.starts_with("invalid column")
            || told.starts_with("expected")
            || told.starts_with("query returned") =>
        {
            (
                ErrorKind::Internal,
                Retry::Never,
                "a statement and its values do not agree",
                "report it",
            )
        }
        "unexpected message from server" | "error parsing response from server" => (
            ErrorKind::Protocol,
            Retry::Backoff,
            "the server answers otherwise than Postgres does",
            "check what stands between, such as a pool of connections",
        ),
        _ => (
            ErrorKind::Unavailable,
            Retry::Backoff,
            "the connection to the server was not made or was lost",
            "check that it runs, host, port and network, then try again",
        ),
    };
    Meaning {
        kind,
        retry,
        why,
        advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
        for (code, kind, retry) in [
            ("40001", ErrorKind::Conflict, Retry::Backoff),
            ("40P01", ErrorKind::Conflict, Retry::Backoff),
            ("55P03", ErrorKind::Conflict, Retry::Backoff),
            ("57P01", ErrorKind::Unavailable, Retry::Backoff),
            ("57P03", ErrorKind::Unavailable, Retry::Backoff),
            ("08006", ErrorKind::Unavailable, Retry::Backoff),
            ("53300", ErrorKind::Throttled, Retry::Backoff),
            ("53100", ErrorKind::Unavailable, Retry::Never),
            ("42501", ErrorKind::Permission, Retry::Never),
            ("28P01", ErrorKind::Auth, Retry::Never),
            ("23505", ErrorKind::Rejected, Retry::Never),
            ("22003", ErrorKind::Data, Retry::Never),
            ("42P01", ErrorKind::Conflict, Retry::Never),
        ] {
            let Meaning {
                kind: is,
                retry: tried,
                ..
            } = of_code(code);
            assert_eq!((is, tried), (kind, retry), "{code}");
        }
    }
}

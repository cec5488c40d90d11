//! Where in a database tables stand, and how it is reached.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sync_core::clock::{Clock, SystemClock};
use sync_core::postgres::ConnectionOptions;

use crate::reporting::ReportingColumns;

/// How a [`PostgresSink`](crate::PostgresSink) reaches its database and writes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// The schema that holds the tables, made where there is none. `sage_intacct` by default, where
    /// published reporting models look. Each company wants a schema of its own.
    pub schema: String,
    /// Whether tables also carry the columns that published reporting models read. They do by
    /// default.
    pub reporting_columns: ReportingColumns,
    /// The most sessions with the server at the same time. 4 by default.
    pub sessions: usize,
    /// How long opening a session may take. 10 seconds by default.
    pub connect_timeout: Duration,
    /// How long a statement waits for another's lock before it fails with
    /// [`ErrorKind::Conflict`](sync_core::ErrorKind::Conflict). 60 seconds by default.
    pub lock_timeout: Duration,
    /// How long a statement may take before it fails with
    /// [`ErrorKind::Timeout`](sync_core::ErrorKind::Timeout). 10 minutes by default.
    pub statement_timeout: Duration,
    /// A file of certificates in PEM form of authorities that vouch for the server, besides those
    /// that this machine trusts.
    pub certificate_authorities: Option<PathBuf>,
    /// What tells when a batch was written. This machine's clock by default.
    pub clock: Arc<dyn Clock>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        let connection = ConnectionOptions::default();
        Self {
            schema: "sage_intacct".to_owned(),
            reporting_columns: ReportingColumns::default(),
            sessions: connection.sessions,
            connect_timeout: connection.connect_timeout,
            lock_timeout: connection.lock_timeout,
            statement_timeout: connection.statement_timeout,
            certificate_authorities: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl PostgresOptions {
    /// Says which schema holds the tables.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Says which reporting columns tables carry.
    #[must_use]
    pub fn reporting_columns(mut self, reporting_columns: ReportingColumns) -> Self {
        self.reporting_columns = reporting_columns;
        self
    }

    /// Says how many sessions there are at most.
    #[must_use]
    pub fn sessions(mut self, sessions: usize) -> Self {
        self.sessions = sessions;
        self
    }

    /// Says how long opening a session may take.
    #[must_use]
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Says how long to wait for another's lock.
    #[must_use]
    pub fn lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.lock_timeout = lock_timeout;
        self
    }

    /// Says how long a statement may take.
    #[must_use]
    pub fn statement_timeout(mut self, statement_timeout: Duration) -> Self {
        self.statement_timeout = statement_timeout;
        self
    }

    /// Names a file of certificates in PEM form of authorities that vouch for the server.
    #[must_use]
    pub fn certificate_authorities(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate_authorities = Some(path.into());
        self
    }

    /// Says what tells the time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(super) fn connection(&self) -> ConnectionOptions {
        let mut connection = ConnectionOptions::default();
        connection.sessions = self.sessions;
        connection.connect_timeout = self.connect_timeout;
        connection.lock_timeout = self.lock_timeout;
        connection.statement_timeout = self.statement_timeout;
        connection.certificate_authorities = self.certificate_authorities.clone();
        connection
    }
}

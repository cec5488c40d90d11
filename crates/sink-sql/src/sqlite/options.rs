//! How a database file is opened and written.

use std::sync::Arc;
use std::time::Duration;

use sync_core::clock::{Clock, SystemClock};

use crate::reporting::ReportingColumns;

/// How a [`SqliteSink`](crate::SqliteSink) opens and writes its file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How long a statement waits for another program's lock before it fails with
    /// [`ErrorKind::Conflict`](sync_core::ErrorKind::Conflict). 10 seconds by default.
    pub busy_timeout: Duration,
    /// How much memory SQLite may use to keep pages of the file, in bytes. 32 MiB by default.
    pub cache_bytes: u32,
    /// Whether tables also carry the columns that published reporting models read. They do by
    /// default.
    pub reporting_columns: ReportingColumns,
    /// What tells when a batch was written. This machine's clock by default.
    pub clock: Arc<dyn Clock>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(10),
            cache_bytes: 32 << 20,
            reporting_columns: ReportingColumns::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl SqliteOptions {
    /// Says how long to wait for another program's lock.
    #[must_use]
    pub fn busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// Says how much memory SQLite may use to keep pages, in bytes.
    #[must_use]
    pub fn cache_bytes(mut self, cache_bytes: u32) -> Self {
        self.cache_bytes = cache_bytes;
        self
    }

    /// Says which reporting columns tables carry.
    #[must_use]
    pub fn reporting_columns(mut self, reporting_columns: ReportingColumns) -> Self {
        self.reporting_columns = reporting_columns;
        self
    }

    /// Says what tells the time.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

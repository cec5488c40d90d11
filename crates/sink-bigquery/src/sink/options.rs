//! How the sink writes.

use std::sync::Arc;
use std::time::Duration;

use sync_core::clock::{Clock, SystemClock};

use crate::client::names::{DatasetRef, Location};

/// How rows reach their table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Load job into a staging table, then one `MERGE` into the stream's table. Loads cost nothing, a batch
    /// takes effect once, and the table is a plain one.
    #[default]
    StagedMerge,
    /// `insertAll` into a table that only grows, with a view that shows the latest state of each record.
    /// Rows can be read at once; BigQuery charges for them by the byte.
    Streaming,
}

/// Whether tables also carry the two system columns that published reporting models read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportingColumns {
    /// `_fivetran_synced` holds what `_synced_at` does. `_fivetran_deleted` holds what `_deleted` does, and is
    /// there only where a stream's deletes are marks ([`DeleteMode::Mark`](sync_core::DeleteMode::Mark)).
    #[default]
    Fivetran,
    /// None.
    Off,
}

/// How the sink writes. Starts from [`BigQuerySinkOptions::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BigQuerySinkOptions {
    /// The dataset that holds the tables.
    pub dataset: DatasetRef,
    /// How rows reach their table.
    pub mode: Mode,
    /// Whether there are columns for published reporting models.
    pub reporting_columns: ReportingColumns,
    /// Where the dataset is made, where it does not exist. Without it a missing dataset is an error, because
    /// to make one takes more rights than to write.
    pub create_dataset_in: Option<Location>,
    /// How long a staging table lives that nobody has deleted: seven days. A batch that has not been merged
    /// by then is uploaded anew.
    pub staging_life: Duration,
    /// How long no row is streamed into a table that is new: ten minutes. Rows that are streamed into a new
    /// table can be acknowledged and lost; until then they are loaded.
    pub cold_table: Duration,
    /// By which marks are stamped.
    pub clock: Arc<dyn Clock>,
}

impl BigQuerySinkOptions {
    /// Staged merges into a dataset that is there.
    pub fn new(dataset: DatasetRef) -> Self {
        Self {
            dataset,
            mode: Mode::default(),
            reporting_columns: ReportingColumns::default(),
            create_dataset_in: None,
            staging_life: Duration::from_secs(7 * 24 * 60 * 60),
            cold_table: Duration::from_secs(10 * 60),
            clock: Arc::new(SystemClock),
        }
    }

    /// Rows reach their table in this way.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Columns for published reporting models, or none.
    #[must_use]
    pub fn reporting_columns(mut self, columns: ReportingColumns) -> Self {
        self.reporting_columns = columns;
        self
    }

    /// The dataset is made here, where it does not exist.
    #[must_use]
    pub fn create_dataset_in(mut self, location: Location) -> Self {
        self.create_dataset_in = Some(location);
        self
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

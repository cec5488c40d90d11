//! Which tables may be streamed into.
//!
//! Streaming learns of a table's making and changing minutes late. Rows that are streamed before that are refused, or
//! acknowledged and lost (BigQuery documentation, "Streaming data", metadata errors). So a table has to be a while old.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sync_http::{Moment, Timing};
use time::OffsetDateTime;

use crate::client::names::TableRef;

/// What this client knows of tables.
#[derive(Debug)]
pub(crate) struct Warmth {
    timing: Timing,
    tables: Mutex<BTreeMap<TableRef, Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// When this client last made or changed it.
    changed: Option<Moment>,
    /// When BigQuery says that it was made.
    made: Option<OffsetDateTime>,
}

impl Warmth {
    pub(crate) fn new(timing: Timing) -> Self {
        Self {
            timing,
            tables: Mutex::default(),
        }
    }

    /// This client is about to make, change, empty or remove it.
    pub(crate) fn changed(&self, table: &TableRef) {
        let known = Known {
            changed: Some(self.timing.monotonic()),
            // It may be another table of the same name from now on.
            made: None,
        };
        self.tables().insert(table.whole_table(), known);
    }

    /// BigQuery says when it was made.
    pub(super) fn made(&self, table: &TableRef, made: OffsetDateTime) {
        let mut tables = self.tables();
        let known = tables.entry(table.whole_table()).or_insert(Known {
            changed: None,
            made: None,
        });
        known.made = Some(made);
    }

    /// How long the table must still be left alone; none if BigQuery has to be asked when it was made.
    pub(super) fn left(&self, table: &TableRef, warm_up: Duration) -> Option<Duration> {
        let known = self.tables().get(&table.whole_table()).copied()?;
        let made = known.made?;
        let age = Duration::try_from(self.timing.now() - made).unwrap_or_default();
        let by_age = warm_up.saturating_sub(age);
        let by_change = known.changed.map_or(Duration::ZERO, |changed| {
            warm_up.saturating_sub(self.timing.monotonic().since(changed))
        });
        Some(by_age.max(by_change))
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<TableRef, Known>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! BigQuery's limits, as data (BigQuery documentation, "Quotas and limits", state of August 2026).

use std::time::Duration;

use sync_http::Window;

use super::Operation;

/// What BigQuery allows. The defaults are its own; a project may have been granted more, or share them with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Loads into a table in a day, failed ones included. Default 1,500; it cannot be raised.
    pub loads_per_table: Window,
    /// Loads in a project in a day. Default 100,000.
    pub loads_per_project: Window,
    /// Changes of a table's metadata, loads included. Default 5 in 10 seconds; a partitioned table takes 50.
    pub changes_per_table: Window,
    /// Statements that change rows of a table. Default 25 in 10 seconds.
    pub statements_per_table: Window,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const TEN_SECONDS: Duration = Duration::from_secs(10);

impl Default for Limits {
    fn default() -> Self {
        let window = |amount, per| Window { amount, per };
        Self {
            loads_per_table: window(1_500, DAY),
            loads_per_project: window(100_000, DAY),
            changes_per_table: window(5, TEN_SECONDS),
            statements_per_table: window(25, TEN_SECONDS),
        }
    }
}

/// A limit and what it is counted by.
#[derive(Clone, Debug)]
pub(super) struct Limited {
    pub(super) key: String,
    pub(super) window: Window,
    /// Whether it holds the operation up, or is only counted.
    pub(super) holds: bool,
}

impl Limits {
    pub(super) fn windows(&self, operation: Operation<'_>) -> Vec<Limited> {
        let limited = |key: String, window, holds| Limited { key, window, holds };
        match operation {
            Operation::Load(table) => {
                let table = table.whole_table();
                vec![
                    limited(format!("load {table}"), self.loads_per_table, true),
                    limited(
                        format!("load {}", table.project_id),
                        self.loads_per_project,
                        true,
                    ),
                    limited(format!("metadata {table}"), self.changes_per_table, true),
                ]
            }
            Operation::Change(table) => {
                let table = table.whole_table();
                vec![
                    limited(
                        format!("statement {table}"),
                        self.statements_per_table,
                        true,
                    ),
                    // Counted with changes of metadata and not held up by them.
                    limited(format!("metadata {table}"), self.changes_per_table, false),
                ]
            }
            Operation::ChangeTable(table) => {
                let table = table.whole_table();
                vec![limited(
                    format!("metadata {table}"),
                    self.changes_per_table,
                    true,
                )]
            }
        }
    }
}

//! The documented limits, and what counts against them.
//!
//! docs.cloud.google.com/bigquery, Quotas and limits.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::catalog::TableName;
use super::refusal::Refusal;
use super::value::MICROS_PER_SECOND;

const DAY: Duration = Duration::from_secs(86_400);
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// How much of each the simulator lets through; as documented unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Load jobs of one table in 24 hours, failed ones counted: 1,500.
    pub loads_per_table_and_day: usize,
    /// Load jobs of a project in 24 hours: 100,000.
    pub loads_per_project_and_day: usize,
    /// Changes of one table's metadata in 10 seconds, loads and DDL counted: 5.
    pub table_updates_per_ten_seconds: usize,
    /// The same of a partitioned table: 50.
    pub partitioned_table_updates_per_ten_seconds: usize,
    /// Statements that change rows of one table in 10 seconds: 25.
    pub dml_per_table_and_ten_seconds: usize,
    /// Statements that wait or run for one table: 2 run, 20 wait.
    pub dml_outstanding_per_table: usize,
    /// Rows of one `insertAll`: 50,000.
    pub insert_rows: usize,
    /// Bytes of one `insertAll`: 10,485,760.
    pub insert_bytes: usize,
    /// Bytes of one row of `insertAll`: 10,485,760.
    pub insert_row_bytes: usize,
    /// Bytes of a page of results: 10,000,000 of the 20 MB that the documentation allows, as the
    /// description of the field says.
    pub page_bytes: usize,
    /// Bytes of the body of a query: 10,485,760.
    pub query_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            loads_per_table_and_day: 1_500,
            loads_per_project_and_day: 100_000,
            table_updates_per_ten_seconds: 5,
            partitioned_table_updates_per_ten_seconds: 50,
            dml_per_table_and_ten_seconds: 25,
            dml_outstanding_per_table: 22,
            insert_rows: 50_000,
            insert_bytes: 10_485_760,
            insert_row_bytes: 10_485_760,
            page_bytes: 10_000_000,
            query_bytes: 10_485_760,
        }
    }
}

impl Limits {
    /// The documented sizes without the documented rates: for tests that have no time to wait.
    pub fn without_rates() -> Self {
        Self {
            loads_per_table_and_day: usize::MAX,
            loads_per_project_and_day: usize::MAX,
            table_updates_per_ten_seconds: usize::MAX,
            partitioned_table_updates_per_ten_seconds: usize::MAX,
            dml_per_table_and_ten_seconds: usize::MAX,
            dml_outstanding_per_table: usize::MAX,
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    Load,
    Update,
    Dml,
}

/// What happened when, as far back as a limit looks.
#[derive(Debug, Default)]
pub(super) struct Usage {
    tables: HashMap<(Counted, TableName), VecDeque<i64>>,
    loads: HashMap<String, VecDeque<i64>>,
}

impl Usage {
    /// Counts a load job of a table.
    pub(super) fn load(
        &mut self,
        table: &TableName,
        limits: &Limits,
        now: i64,
    ) -> Result<(), Refusal> {
        let of_project = self.loads.entry(table.project.clone()).or_default();
        if !take(of_project, limits.loads_per_project_and_day, DAY, now) {
            return Err(Refusal::new(
                403,
                "quotaExceeded",
                "Quota exceeded: Your project exceeded quota for imports. For more information, see the quotas of load jobs",
            ));
        }
        if self.count(
            Counted::Load,
            table,
            limits.loads_per_table_and_day,
            DAY,
            now,
        ) {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            "quotaExceeded",
            "Quota exceeded: Your table exceeded quota for imports or query appends per table. For more information, see the quotas of load jobs",
        )
        .at("load_job_per_table.long"))
    }

    /// Counts a change of a table's metadata, or a job that writes it.
    pub(super) fn update(
        &mut self,
        table: &TableName,
        partitioned: bool,
        limits: &Limits,
        now: i64,
    ) -> Result<(), Refusal> {
        let most = if partitioned {
            limits.partitioned_table_updates_per_ten_seconds
        } else {
            limits.table_updates_per_ten_seconds
        };
        if self.count(Counted::Update, table, most, TEN_SECONDS, now) {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            "rateLimitExceeded",
            "Exceeded rate limits: too many table update operations for this table. For more information, see the quotas of tables",
        ))
    }

    /// Counts a statement that changes rows of a table.
    pub(super) fn dml(
        &mut self,
        table: &TableName,
        limits: &Limits,
        now: i64,
    ) -> Result<(), Refusal> {
        let most = limits.dml_per_table_and_ten_seconds;
        if self.count(Counted::Dml, table, most, TEN_SECONDS, now) {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            "rateLimitExceeded",
            "Exceeded rate limits: too many table dml update operations for this table. For more information, see the quotas of data manipulation language",
        ))
    }

    fn count(
        &mut self,
        what: Counted,
        table: &TableName,
        most: usize,
        window: Duration,
        now: i64,
    ) -> bool {
        if most == usize::MAX {
            return true;
        }
        let times = self.tables.entry((what, table.clone())).or_default();
        take(times, most, window, now)
    }
}

/// Counts an event unless there are as many within the window already.
fn take(times: &mut VecDeque<i64>, most: usize, window: Duration, now: i64) -> bool {
    let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX / MICROS_PER_SECOND);
    while times
        .front()
        .is_some_and(|at| now - at >= window * MICROS_PER_SECOND)
    {
        times.pop_front();
    }
    if times.len() >= most {
        return false;
    }
    times.push_back(now);
    true
}

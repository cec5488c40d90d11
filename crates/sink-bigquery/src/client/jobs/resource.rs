//! Jobs as BigQuery describes them.

use serde::Deserialize;

use crate::client::int64;
use crate::client::names::{JobId, Location, ProjectId};
use crate::client::tables::TableSchema;
use crate::error::{Error, Result, ServiceError};

/// A job (BigQuery REST reference, `Job`).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Job {
    /// Which job.
    pub job_reference: JobReference,
    /// How far it is.
    pub status: JobStatus,
    /// What it did.
    #[serde(default)]
    pub statistics: JobStatistics,
}

impl Job {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.job_reference.job_id
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.status.state
    }

    /// Nothing for a job that ended well; for one that has not ended yet `None`.
    ///
    /// # Errors
    ///
    /// What it failed with; [`Error::job`] says whether it may run again under another id.
    pub fn outcome(&self) -> Option<Result<()>> {
        if self.status.state != JobState::Done {
            return None;
        }
        let Some(cause) = &self.status.error_result else {
            return Some(Ok(()));
        };
        let others = self.status.errors.iter().filter(|error| *error != cause);
        let told = std::iter::once(cause).chain(others).cloned().collect();
        Some(Err(
            Error::of_job(self.id(), told).with("job_id", self.id().as_str())
        ))
    }
}

/// A job's name in full.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobReference {
    /// The project that it runs in.
    pub project_id: ProjectId,
    /// Its id.
    pub job_id: JobId,
    /// Where it runs.
    #[serde(default)]
    pub location: Option<Location>,
}

/// How far a job is, and what went wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobStatus {
    /// How far it is.
    pub state: JobState,
    /// What it failed with; none if it succeeded or has not ended.
    #[serde(default)]
    pub error_result: Option<ServiceError>,
    /// Errors on its way. Of a job that succeeded they are about single rows.
    #[serde(default)]
    pub errors: Vec<ServiceError>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum JobState {
    /// It waits.
    Pending,
    /// It runs.
    Running,
    /// It has ended, well or not.
    Done,
}

/// What a job did.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct JobStatistics {
    /// When it was made, in milliseconds of the Unix epoch.
    #[serde(with = "int64::optional")]
    pub creation_time: Option<i64>,
    /// When it began, in milliseconds of the Unix epoch.
    #[serde(with = "int64::optional")]
    pub start_time: Option<i64>,
    /// When it ended, in milliseconds of the Unix epoch.
    #[serde(with = "int64::optional")]
    pub end_time: Option<i64>,
    /// Bytes read.
    #[serde(with = "int64::optional")]
    pub total_bytes_processed: Option<i64>,
    /// Of a load.
    pub load: Option<LoadStatistics>,
    /// Of a statement.
    pub query: Option<QueryStatistics>,
}

/// What a load did (BigQuery REST reference, `JobStatistics3`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct LoadStatistics {
    /// Files read.
    #[serde(with = "int64::optional")]
    pub input_files: Option<i64>,
    /// Bytes read.
    #[serde(with = "int64::optional")]
    pub input_file_bytes: Option<i64>,
    /// Rows written. To be compared with the rows that were sent.
    #[serde(with = "int64::optional")]
    pub output_rows: Option<i64>,
    /// Bytes written.
    #[serde(with = "int64::optional")]
    pub output_bytes: Option<i64>,
    /// Rows left out.
    #[serde(with = "int64::optional")]
    pub bad_records: Option<i64>,
}

/// What a statement did (BigQuery REST reference, `JobStatistics2`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct QueryStatistics {
    /// `MERGE`, `SELECT`, `CREATE_TABLE` and the like.
    pub statement_type: Option<String>,
    /// Rows that it inserted, changed or removed.
    #[serde(with = "int64::optional")]
    pub num_dml_affected_rows: Option<i64>,
    /// The same, one by one.
    pub dml_stats: Option<DmlStatistics>,
    /// Bytes read.
    #[serde(with = "int64::optional")]
    pub total_bytes_processed: Option<i64>,
    /// Bytes to be paid for.
    #[serde(with = "int64::optional")]
    pub total_bytes_billed: Option<i64>,
    /// Whether the answer came from an earlier one.
    pub cache_hit: Option<bool>,
    /// The columns of the result.
    pub schema: Option<TableSchema>,
}

/// Rows that a statement inserted, changed and removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DmlStatistics {
    /// Rows inserted.
    #[serde(with = "int64::optional")]
    pub inserted_row_count: Option<i64>,
    /// Rows changed.
    #[serde(with = "int64::optional")]
    pub updated_row_count: Option<i64>,
    /// Rows removed.
    #[serde(with = "int64::optional")]
    pub deleted_row_count: Option<i64>,
}

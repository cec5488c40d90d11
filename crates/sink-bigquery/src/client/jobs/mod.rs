//! Jobs: sent under an id of the caller's, followed to their end.
//!
//! A job id is used once and for ever, so the id of a piece of work decides that it happens once: it is made from what
//! the work is, never from when it is tried. Sending it a second time finds the first. Only once a job is known to have
//! failed is there a next id for the same work (BigQuery documentation, "Managing jobs", and "Job already exists" in
//! "Troubleshoot query issues").

mod configuration;
mod ndjson;
mod resource;
mod upload;
mod wait;

use bytes::Bytes;
use serde::Deserialize;
use sync_http::{Method, Phase};
use url::Url;

use self::configuration::Submission;
pub use self::configuration::{Format, LoadJob, QueryJob, Write};
pub use self::ndjson::ndjson;
pub use self::resource::{
    DmlStatistics, Job, JobReference, JobState, JobStatistics, JobStatus, LoadStatistics,
    QueryStatistics,
};
use crate::client::BigQuery;
use crate::client::names::JobId;
use crate::client::reason::Reason;
use crate::client::transport::Call;
use crate::error::{Error, JobTrouble, Result};
use crate::pacing::Operation;

/// A job that BigQuery has taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Submitted {
    /// The job as it was when BigQuery answered.
    pub job: Job,
    /// Whether there was a job of this id already: nothing was started by this call.
    pub existed: bool,
}

/// The jobs of a [`BigQuery`], in its project and location.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    pub(crate) client: &'a BigQuery,
}

impl Jobs<'_> {
    /// Starts a statement, or finds it started.
    ///
    /// # Errors
    ///
    /// What any call may fail with. Where BigQuery may have taken the job, [`Error::job`] says
    /// [`Unfinished`](JobTrouble::Unfinished): only the same id may be tried again.
    pub async fn insert_query(self, job_id: &JobId, query: &QueryJob) -> Result<Submitted> {
        if let Some(table) = &query.changing {
            self.client.pacer.pass(Operation::Change(table)).await?;
        }
        let submission = self.submission(job_id, query.labels.clone(), query.configuration());
        let segments = ["projects", self.client.project().as_str(), "jobs"];
        let url = self.client.transport.api(&segments, &[])?;
        let call = Call::new("jobs.insert", Method::POST, url)
            .about("job_id", job_id)
            .with_json(&submission)?;
        let sent = self.client.transport.json(&call).await;
        self.or_found(job_id, sent).await
    }

    /// Starts a load of these rows into a table, or finds it started. The data are what [`LoadJob::format`] says, and go
    /// along in one request up to [`LoadJob::multipart_up_to`] bytes, above that in pieces that can be resumed.
    ///
    /// # Errors
    ///
    /// As [`insert_query`](Self::insert_query); `Throttled` with reason `Paced` where the table's loads of the day are
    /// used up.
    pub async fn insert_load(
        self,
        job_id: &JobId,
        load: &LoadJob,
        data: Bytes,
    ) -> Result<Submitted> {
        self.client
            .pacer
            .pass(Operation::Load(&load.destination))
            .await?;
        if load.write != Write::Append {
            self.client.warmth.changed(&load.destination);
        }
        let submission = self.submission(job_id, load.labels.clone(), load.configuration());
        let sent = if data.len() <= load.multipart_up_to {
            self.multipart(job_id, &submission, &data).await
        } else {
            self.resumable(job_id, &submission, &data, load.chunk_bytes)
                .await
        };
        self.or_found(job_id, sent).await
    }

    /// Runs a statement to its end: [`insert_query`](Self::insert_query), then [`wait`](Self::wait). Statements that
    /// [change](QueryJob::changing) the same table go one after the other.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub async fn run_query(self, job_id: &JobId, query: &QueryJob) -> Result<Job> {
        let _turn = match &query.changing {
            Some(table) => Some(self.client.pacer.turn(table).await),
            None => None,
        };
        let submitted = self.insert_query(job_id, query).await?;
        self.finish(job_id, submitted).await
    }

    /// Runs a load to its end: [`insert_load`](Self::insert_load), then [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// Those of both.
    pub async fn run_load(self, job_id: &JobId, load: &LoadJob, data: Bytes) -> Result<Job> {
        let submitted = self.insert_load(job_id, load, data).await?;
        self.finish(job_id, submitted).await
    }

    /// Looks at a job.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none of this id in this project and location, or none any more: BigQuery keeps them for
    /// six months. Just after it was sent it may not be found for a moment.
    pub async fn get(self, job_id: &JobId) -> Result<Job> {
        let call = Call::get("jobs.get", self.address(job_id, &[])?).about("job_id", job_id);
        self.client.transport.json(&call).await
    }

    /// Asks for a job to be stopped and returns at once. It may still succeed: [`wait`](Self::wait) tells.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such job.
    pub async fn cancel(self, job_id: &JobId) -> Result<Job> {
        #[derive(Deserialize)]
        struct Cancelled {
            job: Job,
        }

        let url = self.address(job_id, &["cancel"])?;
        let call = Call::new("jobs.cancel", Method::POST, url).about("job_id", job_id);
        let cancelled: Cancelled = self.client.transport.json(&call).await?;
        Ok(cancelled.job)
    }

    /// A short job may have ended before its insertion was answered.
    async fn finish(&self, job_id: &JobId, submitted: Submitted) -> Result<Job> {
        let Submitted { job, .. } = submitted;
        match job.outcome() {
            Some(outcome) => outcome.map(|()| job),
            None => self.wait(job_id).await,
        }
    }

    fn address(&self, job_id: &JobId, behind: &[&str]) -> Result<Url> {
        let mut segments = vec![
            "projects",
            self.client.project().as_str(),
            "jobs",
            job_id.as_str(),
        ];
        segments.extend(behind);
        let location = self.client.location().map(|it| ("location", it.as_str()));
        let query: Vec<_> = location.into_iter().collect();
        self.client.transport.api(&segments, &query)
    }

    /// What came of sending a job: taken now, or there before.
    async fn or_found(&self, job_id: &JobId, sent: Result<Job>) -> Result<Submitted> {
        match sent {
            Ok(job) => Ok(Submitted {
                job,
                existed: false,
            }),
            Err(error) if error.reason() == Reason::Duplicate => {
                tracing::info!(job = %job_id, "the job exists already");
                let job = self.found(job_id).await?;
                Ok(Submitted { job, existed: true })
            }
            Err(error) if error.phase() == Phase::MaybeReceived => {
                Err(error.about_job(JobTrouble::Unfinished {
                    job_id: job_id.clone(),
                }))
            }
            Err(error) => Err(error),
        }
    }

    fn submission<'s>(
        &'s self,
        job_id: &'s JobId,
        labels: std::collections::BTreeMap<String, String>,
        configuration: serde_json::Value,
    ) -> Submission<'s> {
        Submission::new(
            self.client.project(),
            job_id,
            self.client.location(),
            labels,
            configuration,
        )
    }
}

impl Error {
    /// The failure of a job that BigQuery has run.
    pub(crate) fn of_job(job_id: &JobId, told: Vec<crate::error::ServiceError>) -> Self {
        let rule = crate::client::reason::rule_for(None, &told);
        let next = rule.next_job();
        let may_run_again = next != sync_http::Retry::Never;
        Self::new(rule.kind, rule.reason, rule.advice)
            .retrying(next)
            .telling(told)
            .about_job(JobTrouble::Failed {
                job_id: job_id.clone(),
                may_run_again,
            })
    }
}

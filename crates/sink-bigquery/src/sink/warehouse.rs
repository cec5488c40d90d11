//! A dataset, and the jobs that run over it.

use std::time::Duration;

use bytes::Bytes;
use sync_core::id::Hasher;
use sync_core::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;

use super::ahead::Ahead;
use super::failure::{failed, while_doing};
use super::names;
use super::options::BigQuerySinkOptions;
use super::request::Request;
use super::resource;
use crate::client::names::{DatasetRef, JobId, TableRef};
use crate::client::{BigQuery, Job, LoadJob, QueryJob, Row, Submitted};
use crate::{ErrorKind as ClientKind, JobTrouble, Reason};

/// How often one call begins a job anew that BigQuery itself made fail.
const MOST_FAILURES: u32 = 5;

/// How many ids a job may have used up before somebody has to look.
const MOST_IDS: u32 = 1_000;

/// The wait before a job is begun anew; it grows with each.
const WAIT: Duration = Duration::from_secs(2);

/// A dataset with its client.
#[derive(Debug)]
pub(super) struct Warehouse {
    client: BigQuery,
    /// The client with the dataset's location, once that is known.
    located: OnceCell<BigQuery>,
    options: BigQuerySinkOptions,
    ahead: Ahead,
}

/// A job that has ended well.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) id: JobId,
    pub(super) job: Job,
}

/// What a job does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work<'a> {
    /// A statement.
    Statement(&'a QueryJob),
    /// A load of these bytes.
    Load(&'a LoadJob, &'a Bytes),
}

impl Warehouse {
    pub(super) fn new(client: BigQuery, options: BigQuerySinkOptions) -> Self {
        Self {
            client,
            located: OnceCell::new(),
            options,
            ahead: Ahead::default(),
        }
    }

    pub(super) fn options(&self) -> &BigQuerySinkOptions {
        &self.options
    }

    /// What was staged and waits to be written.
    pub(super) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// The client, for everything but jobs.
    pub(super) fn client(&self) -> &BigQuery {
        &self.client
    }

    /// The client, for jobs: they run where the dataset lies.
    pub(super) async fn jobs(&self) -> Result<&BigQuery> {
        let locate = || async {
            if self.client.location().is_some() {
                return Ok(self.client.clone());
            }
            let doing = while_doing("the dataset's location is not known");
            let dataset = self.client.datasets().get(&self.options.dataset).await;
            let location = dataset.map_err(doing)?.location;
            Ok(match location {
                Some(location) => self.client.in_location(location),
                None => self.client.clone(),
            })
        };
        self.located.get_or_try_init(locate).await
    }

    pub(super) fn reference(&self, table: &str) -> Result<TableRef> {
        let reference = resource::reference(&self.options.dataset, table);
        reference.map_err(while_doing("a table cannot have this name"))
    }

    /// A table's name in a statement.
    pub(super) fn quoted(&self, table: &str) -> String {
        names::quoted(&format!("{}.{table}", self.options.dataset))
    }

    /// Answers a query about a table; none where the table does not exist.
    pub(super) async fn read(
        &self,
        doing: &'static str,
        request: &Request,
        table: &str,
    ) -> Result<Option<Vec<Row>>> {
        let client = self.jobs().await?;
        match client.query(request.query()?).await {
            Ok(rows) => rows.all().await.map(Some).map_err(while_doing(doing)),
            // A wrong location looks just so.
            Err(error) if error.kind() == ClientKind::NotFound && !self.has(table).await? => {
                Ok(None)
            }
            Err(error) => Err(failed(doing, error)),
        }
    }

    /// Whether there is a table.
    pub(super) async fn has(&self, table: &str) -> Result<bool> {
        match self.client.tables().get(&self.reference(table)?).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ClientKind::NotFound => Ok(false),
            Err(error) => Err(failed("a table cannot be looked at", error)),
        }
    }

    /// Runs a statement that changes a table, and has the same effect twice as once. Under an id that nobody
    /// else has: whoever does the same later must not find this one's.
    pub(super) async fn change(
        &self,
        what: &str,
        request: &Request,
        table: &TableRef,
    ) -> Result<()> {
        let id = format!("isync_{what}_{:032x}", fastrand::u128(..));
        let job = request.job()?.changing(table.clone());
        self.run(&id, Work::Statement(&job), None).await.map(drop)
    }

    /// Brings a job to its end: the one of this id, where there is one, or a new one.
    ///
    /// A job's id is used up by it, also where it fails (BigQuery documentation, Managing jobs). So the next
    /// number of the same id is taken where a job is known to have failed, which left nothing behind, or is
    /// stale: what it wrote to was made at `made_at`, after it. A job of which it is not known how it ends is
    /// never passed by.
    pub(super) async fn run(
        &self,
        id: &str,
        work: Work<'_>,
        made_at: Option<i64>,
    ) -> Result<Ended> {
        let client = self.jobs().await?;
        let _turn = match work {
            Work::Statement(QueryJob {
                changing: Some(table),
                ..
            }) => Some(client.pacer().turn(table).await),
            _ => None,
        };
        let failed = while_doing("a job cannot be run");
        let mut failures = 0;
        for number in 0..MOST_IDS {
            let id = numbered(&self.options.dataset, id, number)?;
            let (existed, ended) = match work.submit(client, &id).await {
                Ok(Submitted { job, existed, .. }) => match job.outcome() {
                    Some(outcome) => (existed, outcome.map(|()| job)),
                    None => (existed, client.jobs().wait(&id).await),
                },
                Err(error) => (false, Err(error)),
            };
            match ended {
                Ok(job) if existed && is_before(&job, made_at) => {}
                Ok(job) => return Ok(Ended { id, job }),
                Err(error) => match error.job() {
                    // Why it failed then says nothing of now.
                    Some(JobTrouble::Failed { .. }) if existed => {}
                    Some(JobTrouble::Failed {
                        may_run_again: true,
                        ..
                    }) if failures < MOST_FAILURES => {
                        failures += 1;
                        client.timing().sleep(WAIT * failures).await;
                    }
                    _ => return Err(failed(error)),
                },
            }
        }
        let what = "a job has failed or become stale under a thousand ids: look at the first of its failures \
                    in the list of jobs";
        Err(Error::new(ErrorKind::Internal, what).with("job", id))
    }

    /// What became of a job: none where BigQuery does not know it.
    pub(super) async fn job(&self, id: &str) -> Result<Option<Job>> {
        let jobs = self.jobs().await?.jobs();
        let id = numbered(&self.options.dataset, id, 0)?;
        match jobs.get(&id).await {
            Ok(job) => Ok(Some(job)),
            Err(error) if error.reason() == Reason::NotFound => Ok(None),
            Err(error) => Err(failed("a job cannot be looked up", error)),
        }
    }
}

impl Work<'_> {
    async fn submit(&self, client: &BigQuery, id: &JobId) -> crate::Result<Submitted> {
        match self {
            Self::Statement(job) => client.jobs().insert_query(id, job).await,
            Self::Load(job, body) => client.jobs().insert_load(id, job, Bytes::clone(body)).await,
        }
    }
}

/// Whether a job began before something was made.
fn is_before(job: &Job, made_at: Option<i64>) -> bool {
    match (job.statistics.creation_time, made_at) {
        (Some(job), Some(made)) => job < made,
        _ => false,
    }
}

/// The id with what tells the dataset from others, because jobs have their ids to the project, and with its
/// number: the first has none.
fn numbered(dataset: &DatasetRef, id: &str, number: u32) -> Result<JobId> {
    /// Enough digits for all datasets of a project.
    const DIGITS: usize = 12;
    let name = dataset.to_string();
    let tag = Hasher::new("bigquery dataset")
        .part(name.as_bytes())
        .digest();
    let tag = tag.to_string();
    let tag = tag.get(..DIGITS).unwrap_or(&tag);
    let id = match number {
        0 => format!("{id}_{tag}"),
        number => format!("{id}_{tag}_g{number}"),
    };
    JobId::new(id).map_err(while_doing("a job cannot have this id"))
}

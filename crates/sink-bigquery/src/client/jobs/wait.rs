//! Following a job to its end.

use std::time::Duration;

use sync_http::{Phase, Retry};

use super::{Job, JobState, Jobs};
use crate::client::names::JobId;
use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, JobTrouble, Result};

/// The first look comes after this long, each next half as much again later.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// The longest time between two looks.
const SLOWEST_LOOK: Duration = Duration::from_secs(10);

/// A load may take six hours, a statement six, and either may wait in a queue before.
const LONGEST: Duration = Duration::from_secs(7 * 3600);

/// A job that is known to exist may not be found for so long: BigQuery's own clients wait as much.
const HIDDEN: Duration = Duration::from_secs(200);

impl Jobs<'_> {
    /// Waits for a job to end and returns it, if it ended well. Failures to look are waited out as long as they may
    /// pass; dropping the future leaves the job running, to be found again under its id.
    ///
    /// # Errors
    ///
    /// - What the job failed with: [`Error::job`] is [`Failed`](JobTrouble::Failed), and says whether the same work may
    ///   run again under another id.
    /// - Otherwise [`Error::job`] is [`Unfinished`](JobTrouble::Unfinished): it did not end within seven hours, or may not
    ///   be looked at any more. It is not to be sent again under another id.
    pub async fn wait(self, job_id: &JobId) -> Result<Job> {
        let timing = self.client.timing();
        let started = timing.monotonic();
        let mut pause = FIRST_LOOK;
        loop {
            match self.get(job_id).await {
                Ok(job) => match job.outcome() {
                    Some(Ok(())) => return Ok(job),
                    Some(Err(failure)) => return Err(failure),
                    None => {}
                },
                Err(error) if may_pass(&error) => {
                    tracing::warn!(job = %job_id, %error, "the job cannot be looked at for now");
                }
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && timing.monotonic().since(started) < HIDDEN => {}
                Err(error) => return Err(unfinished(error, job_id)),
            }
            if timing.monotonic().since(started) >= LONGEST {
                let message =
                    "the job has not ended; it may still do so, and is found under its id";
                let error = Error::new(ErrorKind::Timeout, Reason::JobUnfinished, message)
                    .retrying(Retry::Backoff)
                    .in_phase(Phase::MaybeReceived)
                    .with("job_id", job_id.as_str());
                return Err(unfinished(error, job_id));
            }
            timing.sleep(pause).await;
            pause = (pause * 3 / 2).min(SLOWEST_LOOK);
        }
    }

    /// A job of which BigQuery said that it exists: it may be a moment before it is found.
    pub(super) async fn found(&self, job_id: &JobId) -> Result<Job> {
        let timing = self.client.timing();
        let started = timing.monotonic();
        let mut pause = FIRST_LOOK;
        loop {
            match self.get(job_id).await {
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && timing.monotonic().since(started) < HIDDEN => {}
                Err(error) => return Err(unfinished(error, job_id)),
                Ok(job) => return Ok(job),
            }
            timing.sleep(pause).await;
            pause = (pause * 3 / 2).min(SLOWEST_LOOK);
        }
    }
}

/// Whether looking again may help, also after the retries of one look are spent.
fn may_pass(error: &Error) -> bool {
    error.is_transient() && error.kind() != ErrorKind::NotFound
}

fn unfinished(error: Error, job_id: &JobId) -> Error {
    error.about_job(JobTrouble::Unfinished {
        job_id: job_id.clone(),
    })
}

impl Job {
    /// Whether it has ended, well or not.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state() == JobState::Done
    }
}

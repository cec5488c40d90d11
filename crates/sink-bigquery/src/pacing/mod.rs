//! Keeping within BigQuery's limits, over restarts too.
//!
//! A table takes 1,500 loads a day and, once they are used up, none before the day is over. What has been used therefore
//! outlives the process, in a [`PaceStore`].

mod limits;
mod record;
mod store;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use sync_http::{Phase, Retry, Timing};
use time::OffsetDateTime;
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use self::limits::Limits;
use self::record::Record;
pub use self::store::{FilePaceStore, MemoryPaceStore, PaceStore};
use crate::client::names::TableRef;
use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, Result};

/// How a client is kept within BigQuery's limits.
#[derive(Clone)]
#[non_exhaustive]
pub struct PacingOptions {
    /// The limits.
    pub limits: Limits,
    /// The longest wait for a limit; where it would take longer, the call fails and says how long. Default one minute,
    /// which every limit of seconds clears in.
    pub longest_wait: Duration,
    /// Where it is kept what has been used. Default in memory alone.
    pub store: Arc<dyn PaceStore>,
}

impl Default for PacingOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            longest_wait: Duration::from_secs(60),
            store: Arc::new(MemoryPaceStore::default()),
        }
    }
}

impl PacingOptions {
    /// The same options with these limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same options, waiting no longer than this.
    #[must_use]
    pub const fn with_longest_wait(mut self, longest_wait: Duration) -> Self {
        self.longest_wait = longest_wait;
        self
    }

    /// The same options, with what has been used kept here.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn PaceStore>) -> Self {
        self.store = store;
        self
    }
}

impl fmt::Debug for PacingOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacingOptions")
            .field("limits", &self.limits)
            .field("longest_wait", &self.longest_wait)
            .field("store", &self.store)
            .finish()
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// A load into this table. It changes the table as well.
    Load(&'a TableRef),
    /// A statement that changes rows of this table.
    Change(&'a TableRef),
    /// Making or altering this table.
    ChangeTable(&'a TableRef),
}

/// Lets operations pass as the limits allow. Clones share what has been used.
#[derive(Clone, Debug)]
pub struct Pacer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: PacingOptions,
    timing: Timing,
    /// None until it has been read from the store.
    record: Mutex<Option<Record>>,
    turns: StdMutex<HashMap<TableRef, Arc<Mutex<()>>>>,
}

/// The turn of one table: others wait until it is dropped.
#[derive(Debug)]
#[must_use = "the turn is over as soon as this is dropped"]
pub struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Pacer {
    /// A pacer with these options.
    #[must_use]
    pub fn new(options: PacingOptions, timing: Timing) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                timing,
                record: Mutex::new(None),
                turns: StdMutex::default(),
            }),
        }
    }

    /// When the operation may go on: now, or a later time. Uses nothing up.
    ///
    /// # Errors
    ///
    /// `Config` when what has been used cannot be read from the store.
    pub async fn ready_at(&self, operation: Operation<'_>) -> Result<OffsetDateTime> {
        let shared = &self.shared;
        let mut record = shared.record.lock().await;
        let record = shared.read(&mut record).await?;
        let now = shared.timing.now();
        let windows = shared.options.limits.windows(operation);
        Ok(now + record.wait(&windows, now))
    }

    /// Waits until the operation may go on, and notes it. It counts also where it then fails: BigQuery counts so too.
    ///
    /// # Errors
    ///
    /// - `Throttled` with reason `Paced` when it would take longer than [`PacingOptions::longest_wait`]; nothing is used
    ///   up, and its [`retry`](sync_error::Error::retry) says how long.
    /// - `Config` when what has been used cannot be read from the store or written to it.
    pub async fn pass(&self, operation: Operation<'_>) -> Result<()> {
        let shared = &self.shared;
        let windows = shared.options.limits.windows(operation);
        loop {
            let wait = {
                let mut record = shared.record.lock().await;
                let record = shared.read(&mut record).await?;
                let now = shared.timing.now();
                let wait = record.wait(&windows, now);
                if wait.is_zero() {
                    record.note(&windows, now);
                    return shared.options.store.save(&record.to_json()?).await;
                }
                wait
            };
            if wait > shared.options.longest_wait {
                return Err(paced(operation, wait));
            }
            tracing::debug!(
                ?operation,
                milliseconds = wait.as_millis(),
                "waiting for a limit"
            );
            shared.timing.sleep(wait).await;
        }
    }

    /// Waits until nobody else of this client has the table's turn. BigQuery runs two changing statements of a table at
    /// once and then makes them fail each other.
    pub async fn turn(&self, table: &TableRef) -> Turn {
        let turn = {
            let turns = self.shared.turns.lock();
            let mut turns = turns.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(table.whole_table()).or_default())
        };
        Turn {
            _guard: turn.lock_owned().await,
        }
    }
}

impl Shared {
    async fn read<'r>(&self, record: &'r mut Option<Record>) -> Result<&'r mut Record> {
        if record.is_none() {
            let stored = self.options.store.load().await?;
            let read = stored.map(|text| Record::from_json(&text)).transpose()?;
            return Ok(record.insert(read.unwrap_or_default()));
        }
        Ok(record.get_or_insert_default())
    }
}

fn paced(operation: Operation<'_>, wait: Duration) -> Error {
    let (what, table) = match operation {
        Operation::Load(table) => ("load", table),
        Operation::Change(table) => ("change", table),
        Operation::ChangeTable(table) => ("change of the table", table),
    };
    let message = "a limit of BigQuery's is used up; do it less often, or with more rows at once";
    Error::new(ErrorKind::Throttled, Reason::Paced, message)
        .retrying(Retry::After(wait))
        .in_phase(Phase::NotSent)
        .with("operation", what)
        .with("table", table.to_string())
        .with("seconds_left", wait.as_secs().to_string())
}

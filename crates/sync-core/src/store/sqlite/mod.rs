//! The embedded store: one SQLite file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::{Claim, Lease};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};

mod batches;
mod census;
mod change;
mod contracts;
mod failure;
mod leases;
mod ledger;
mod letters;
mod liveness;
mod payloads;
mod periods;
mod progress;
mod records;
mod replays;
mod schema;

use change::Change;
use failure::Work;
use liveness::Liveness;

/// How a [`SqliteStore`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteStoreOptions {
    /// What tells the time of entries and leases.
    pub clock: Arc<dyn Clock>,
    /// How long a change waits for another program that is writing to the file.
    pub patience: Duration,
}

impl Default for SqliteStoreOptions {
    /// The machine's clock, ten seconds.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            patience: Duration::from_secs(10),
        }
    }
}

/// A [`Store`](super::Store) in one SQLite file, for the processes of one machine.
///
/// Several may have it open; each stream is run by one of them at a time. Every change is one
/// transaction that is synced to the disk. While it is open it holds a lock on `FILE.holder-ID`, which
/// the operating system lets go of when the process ends, however it ends: so a stream whose holder on
/// this machine was killed is free at once, and not only when its lease is over.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    connection: Mutex<Connection>,
    liveness: Liveness,
    /// Leases given through this handle whose holders are gone.
    abandoned: Mutex<Vec<Lease>>,
}

impl SqliteStore {
    /// Opens a store, and makes it where it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the file cannot be made or is not a store,
    /// [`ErrorKind::Unsupported`] where a newer version of this software made it,
    /// [`ErrorKind::Conflict`] where an older one is using it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteStoreOptions::default())
    }

    /// As [`SqliteStore::open`], with options.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`].
    pub fn open_with(path: impl AsRef<Path>, options: SqliteStoreOptions) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let open = || {
            let mut connection = schema::connect(&path, options.patience)?;
            // Nobody else looks for the dead while this makes itself known to be alive.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let liveness = Liveness::begin(&path)?;
            transaction.commit()?;
            Ok((connection, liveness))
        };
        let (connection, liveness) =
            open().map_err(|failure: failure::Failure| failure.explained(&path))?;
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                clock: options.clock,
                connection: Mutex::new(connection),
                liveness,
                abandoned: Mutex::default(),
            }),
        })
    }

    /// In one transaction, so that all is read of one state, and locks are not taken for each record.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        self.blocking(move |_, connection| {
            let snapshot = connection.transaction()?;
            let value = work(&snapshot)?;
            snapshot.commit()?;
            Ok(value)
        })
        .await
    }

    /// One transaction that takes the write lock at its start, so that it never fails halfway for
    /// want of it.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Change<'_>) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        self.blocking(move |shared, connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let change = Change::new(transaction, shared, shared.clock.now());
            let value = work(&change)?;
            change.commit()?;
            Ok(value)
        })
        .await
    }

    /// A change of a stream's progress, refused where the claim's lease is no longer the one in force.
    async fn change_by<T: Send + 'static>(
        &self,
        claim: &Claim,
        work: impl FnOnce(&Change<'_>, &Claim) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        let claim = claim.clone();
        self.change(move |change| {
            change.fence(&claim)?;
            work(change, &claim)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, &mut Connection) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let result = tokio::task::spawn_blocking(move || {
            let mut connection = unpoisoned(&shared.connection);
            work(&shared, &mut connection).map_err(|failure| failure.explained(&shared.path))
        });
        result.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "work on the store was cut short").caused_by(error)
        })?
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunId;
    use crate::store::{LedgerStore as _, ProgressStore as _, RunStart};

    #[tokio::test]
    async fn a_full_disk_is_an_error_that_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("state.db")).unwrap();
        let limit = |pages: i64| {
            let connection = unpoisoned(&store.shared.connection);
            let set = connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
            set.unwrap();
        };
        let start = RunStart {
            run: RunId::generate(),
            pipeline: "books".into(),
            sink: "sqlite".into(),
            company: "DEMO".into(),
            settings: "x".repeat(1 << 20),
        };
        limit(1);
        let error = store.begin_run(&start).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        for part in ["disk is full", "run again", "state.db"] {
            assert!(error.chain().contains(part), "{}", error.chain());
        }
        assert_eq!(store.entries(0, 9).await.unwrap(), []);
        limit(1 << 20);
        store.begin_run(&start).await.unwrap();
        assert!(store.verify(&[]).await.unwrap().is_intact());
    }
}

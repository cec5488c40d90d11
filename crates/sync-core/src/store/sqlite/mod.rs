//! The embedded store: one SQLite file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};

use super::{
    BatchQuery, Claim, DeadLetter, Discard, KeptBatch, KeptPayload, Lease, LeaseRequest, Letter,
    LetterFilter, LetterId, LetterPage, LostBatch, PreparedBatch, RecordAudit, Removal, Replayed,
    Replaying, RunStart, Scope, Settlement, Store, UnsettledBatch, VerifiedPeriod,
};
use crate::batch::RecordKey;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BatchId, Digest, RecordId, RunId};
use crate::ledger::{Entry, EntryKind, Head, Verification};
use crate::shape::{AcceptedContract, Difference};
use crate::stream::StreamDescriptor;
use crate::window::{Checkpoint, Cursor, Window};

mod audit;
mod batches;
mod census;
mod change;
mod contracts;
mod failure;
mod leases;
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

/// A [`Store`] in one SQLite file, for the processes of one machine.
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

#[async_trait]
impl Store for SqliteStore {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Lease> {
        let request = request.clone();
        // Granted or not is decided inside, and kept in either case.
        self.change(move |change| change.acquire(&request)).await?
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Lease> {
        let lease = lease.clone();
        self.change(move |change| change.renew(&lease, duration))
            .await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.change(move |change| change.release(&lease)).await
    }

    fn abandon(&self, lease: &Lease) {
        let mut abandoned = unpoisoned(&self.shared.abandoned);
        abandoned.retain(|it| it.pipeline != lease.pipeline || it.stream != lease.stream);
        abandoned.push(lease.clone());
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        self.read(leases::held).await
    }

    async fn begin_run(&self, start: &RunStart) -> Result<()> {
        let start = start.clone();
        self.change(move |change| change.begin_run(&start)).await
    }

    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head> {
        let outcome = outcome.to_owned();
        self.change(move |change| change.end_run(run, &outcome))
            .await
    }

    async fn contract(&self, scope: &Scope) -> Result<Option<AcceptedContract>> {
        let scope = scope.clone();
        self.read(move |connection| contracts::contract(connection, &scope))
            .await
    }

    async fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Result<()> {
        let (accepted, differences) = (accepted.clone(), differences.to_owned());
        self.change_by(claim, move |change, claim| {
            change.accept_contract(claim, &accepted, &differences)
        })
        .await
    }

    async fn begin_reread(&self, claim: &Claim) -> Result<()> {
        self.change_by(claim, |change, claim| change.begin_reread(claim))
            .await
    }

    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint> {
        let scope = scope.clone();
        self.read(move |connection| progress::checkpoint(connection, &scope))
            .await
    }

    async fn open_window(&self, claim: &Claim, window: Window) -> Result<()> {
        self.change_by(claim, move |change, claim| {
            change.open_window(claim, window)
        })
        .await
    }

    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>> {
        let (scope, records) = (scope.clone(), records.to_owned());
        self.read(move |connection| records::changed(connection, &scope, &records))
            .await
    }

    async fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Result<Digest> {
        let (batch, unreadable) = (batch.clone(), unreadable.to_owned());
        self.change_by(claim, move |change, claim| {
            change.prepare(claim, &batch, &unreadable)
        })
        .await
    }

    async fn settle(&self, claim: &Claim, settlement: Settlement) -> Result<()> {
        self.change_by(claim, move |change, claim| {
            change.settle(claim, &settlement)
        })
        .await
    }

    async fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()> {
        let (cursor, unreadable) = (cursor.cloned(), unreadable.to_owned());
        self.change_by(claim, move |change, claim| {
            change.advance(claim, cursor.as_ref(), &unreadable)
        })
        .await
    }

    async fn note_window_read(&self, claim: &Claim) -> Result<()> {
        self.change_by(claim, |change, claim| change.note_window_read(claim))
            .await
    }

    async fn complete_window(&self, claim: &Claim) -> Result<()> {
        self.change_by(claim, |change, claim| change.complete_window(claim))
            .await
    }

    async fn note_read(&self, claim: &Claim, records: u64) -> Result<()> {
        self.change_by(claim, move |change, claim| change.note_read(claim, records))
            .await
    }

    async fn read_of_window(&self, scope: &Scope) -> Result<u64> {
        let scope = scope.clone();
        self.read(move |connection| progress::read_of_window(connection, &scope))
            .await
    }

    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>> {
        let scope = scope.clone();
        self.read(move |connection| batches::unsettled(connection, &scope))
            .await
    }

    async fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Result<()> {
        let lost = lost.clone();
        self.change_by(claim, move |change, claim| change.give_up(claim, &lost))
            .await
    }

    async fn payloads(&self) -> Result<Vec<KeptPayload>> {
        self.read(payloads::kept).await
    }

    async fn forget_payloads(&self, run: RunId, removal: &Removal) -> Result<()> {
        let removal = removal.clone();
        self.change(move |change| change.forget_payloads(run, &removal))
            .await
    }

    async fn live_records(&self, scope: &Scope) -> Result<u64> {
        let scope = scope.clone();
        self.read(move |connection| records::live_records(connection, &scope))
            .await
    }

    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>> {
        let scope = scope.clone();
        self.read(move |connection| records::live_by_period(connection, &scope))
            .await
    }

    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
        let (scope, keys) = (scope.clone(), keys.to_owned());
        self.read(move |connection| records::live_keys(connection, &scope, keys))
            .await
    }

    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>> {
        let (scope, owners) = (scope.clone(), owners.to_owned());
        self.read(move |connection| records::keys_of_owners(connection, &scope, &owners))
            .await
    }

    async fn begin_census(&self, claim: &Claim, periods: Option<&[String]>) -> Result<()> {
        let periods = periods.map(<[String]>::to_vec).unwrap_or_default();
        self.change_by(claim, move |change, claim| {
            change.begin_census(claim, &periods)
        })
        .await
    }

    async fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Result<()> {
        let keys = keys.to_owned();
        self.change_by(claim, move |change, claim| change.count_keys(claim, &keys))
            .await
    }

    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>> {
        let (scope, after) = (scope.clone(), after.cloned());
        self.read(move |connection| census::missing_keys(connection, &scope, after.as_ref(), limit))
            .await
    }

    async fn verified_periods(&self, scope: &Scope) -> Result<Vec<VerifiedPeriod>> {
        let scope = scope.clone();
        self.read(move |connection| periods::verified_periods(connection, &scope))
            .await
    }

    async fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        change: Option<&str>,
    ) -> Result<()> {
        let (period, told) = (period.clone(), change.map(str::to_owned));
        self.change_by(claim, move |change, claim| {
            change.verify_period(claim, &period, told.as_deref())
        })
        .await
    }

    async fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Result<()> {
        let periods = periods.to_owned();
        self.change_by(claim, move |change, claim| {
            change.reopen_periods(claim, &periods)
        })
        .await
    }

    async fn note(&self, claim: &Claim, kind: EntryKind, body: &str) -> Result<Digest> {
        let body = body.to_owned();
        self.change_by(claim, move |change, claim| {
            Ok(change.append(Some(claim.run), kind, &body)?.hash)
        })
        .await
    }

    async fn audit(&self, scope: &Scope, key: &RecordKey) -> Result<RecordAudit> {
        let (scope, key) = (scope.clone(), key.clone());
        self.read(move |connection| audit::audit(connection, &scope, &key))
            .await
    }

    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>> {
        let scope = scope.clone();
        self.read(move |connection| audit::dead_letters(connection, &scope, limit))
            .await
    }

    async fn letters(&self, filter: &LetterFilter, page: LetterPage) -> Result<Vec<Letter>> {
        let filter = filter.clone();
        self.read(move |connection| letters::letters(connection, &filter, page))
            .await
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64> {
        let filter = filter.clone();
        self.read(move |connection| letters::count(connection, &filter))
            .await
    }

    async fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Result<()> {
        let (scope, discard) = (scope.clone(), discard.clone());
        self.change(move |change| change.discard_letters(&scope, &discard))
            .await
    }

    async fn latest_letters(&self, scope: &Scope, letters: &[LetterId]) -> Result<Vec<bool>> {
        let (scope, letters) = (scope.clone(), letters.to_owned());
        self.read(move |connection| letters::latest(connection, &scope, &letters))
            .await
    }

    async fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Result<()> {
        let letters = letters.to_owned();
        self.change_by(claim, move |change, claim| {
            change.supersede_letters(claim, &letters)
        })
        .await
    }

    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Result<Digest> {
        let (batch, letters) = (batch.clone(), letters.to_owned());
        self.change_by(claim, move |change, claim| {
            change.prepare_retry(claim, &batch, &letters)
        })
        .await
    }

    async fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Result<()> {
        let stream = stream.clone();
        self.change_by(claim, move |change, claim| {
            change.remember_stream(claim, &stream)
        })
        .await
    }

    async fn remembered_stream(&self, scope: &Scope) -> Result<Option<StreamDescriptor>> {
        let scope = scope.clone();
        self.read(move |connection| replays::remembered_stream(connection, &scope))
            .await
    }

    async fn batches(&self, query: &BatchQuery) -> Result<Vec<KeptBatch>> {
        let query = query.clone();
        self.read(move |connection| replays::batches(connection, &query))
            .await
    }

    async fn latest(
        &self,
        scope: &Scope,
        batch: &BatchId,
        records: &[RecordKey],
    ) -> Result<Vec<bool>> {
        let (scope, batch, records) = (scope.clone(), *batch, records.to_owned());
        self.read(move |connection| replays::latest(connection, &scope, &batch, &records))
            .await
    }

    async fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Result<Digest> {
        let replaying = replaying.clone();
        self.change_by(claim, move |change, claim| {
            change.begin_replay(claim, &replaying)
        })
        .await
    }

    async fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Result<()> {
        let replayed = replayed.clone();
        self.change_by(claim, move |change, claim| {
            change.settle_replay(claim, &replayed)
        })
        .await
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        self.read(move |connection| audit::entries(connection, after, limit))
            .await
    }

    async fn verify(&self, known: &[Digest]) -> Result<Verification> {
        let known = known.to_vec();
        self.read(move |connection| audit::verify(connection, &known))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

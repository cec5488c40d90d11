//! The store: checkpoints, batches, record outcomes, dead letters and the ledger, in one place and
//! changed in one transaction.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::{BatchId, Digest, RecordId, RunId};
use crate::ledger::{Entry, EntryKind, Head, Verification};
use crate::shape::{AcceptedContract, Difference};
use crate::stream::StreamDescriptor;
use crate::window::{Checkpoint, Cursor, Window};

mod batches;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod described;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod lease;
mod letters;
mod payloads;
mod periods;
#[cfg(feature = "postgres")]
mod postgres;
mod replays;
mod scope;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod stored;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod wording;

pub use batches::{
    DeadLetter, Outcome, PreparedBatch, RecordAudit, RecordTrace, RejectionTrace, RunStart,
    SettledRecord, Settlement, UnsettledBatch,
};
pub use letters::{Discard, Letter, LetterFilter, LetterId, LetterPage, LetterStatus};
pub use payloads::{KeptPayload, LostBatch, Removal, RemovalReason, RemovedPayload};
pub use periods::VerifiedPeriod;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresStoreOptions};
pub use replays::{BatchQuery, BatchesThat, KeptBatch, ReplayMode, Replayed, Replaying};
pub use scope::{Claim, FencingToken, Holder, Lease, LeaseRequest, Scope};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, SqliteStoreOptions};

/// Keeps everything that must survive a crash.
///
/// Every change appends its entry to the ledger in the same transaction, and is durable when the
/// call returns. A change of a stream's progress shows a [`Claim`]; where its lease was taken over
/// meanwhile it is refused with [`ErrorKind::Conflict`](crate::ErrorKind::Conflict), whole.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Gives a stream of a pipeline to a run, which then is the only one that may change its progress
    /// towards whatever sink.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where another run holds it and its time is not over; the error says which
    /// host and process, since when and until when.
    async fn acquire(&self, request: &LeaseRequest) -> Result<Lease>;

    /// Puts off the end of a lease: from now so long.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where it was taken over.
    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Lease>;

    /// Gives a stream back. One that was taken over meanwhile is no error.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Notes, in memory alone, that a holder in this process is gone and could not give its stream back,
    /// so that the next one through this handle need not wait.
    fn abandon(&self, lease: &Lease);

    /// The leases that were neither given back nor taken over, also those whose time is over.
    async fn leases(&self) -> Result<Vec<Lease>>;

    /// Begins a run.
    async fn begin_run(&self, start: &RunStart) -> Result<()>;

    /// Ends a run, with its outcome as JSON.
    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head>;

    /// What was promised of a stream, to whatever sink; nothing before its first run.
    async fn contract(&self, scope: &Scope) -> Result<Option<AcceptedContract>>;

    /// Promises something of a stream. The ledger says in what it differs from what was promised before.
    async fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Result<()>;

    /// Has a stream read whole once more, where an accepted contract asks for it: it has no watermark
    /// then, and a window that is open begins at its beginning.
    async fn begin_reread(&self, claim: &Claim) -> Result<()>;

    /// How far a stream has come.
    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint>;

    /// Freezes a window, which stays open until it is complete. Where the stream has no watermark, its
    /// batches are numbered behind those that there are, so that none has the place of another.
    async fn open_window(&self, claim: &Claim, window: Window) -> Result<()>;

    /// For each record, whether it is new or another than the one delivered last.
    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>>;

    /// Notes that a batch is about to be sent, and keeps the records that could not be read on the
    /// way to it. Gives the hash of the ledger's entry.
    async fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Result<Digest>;

    /// Notes that the destination has a batch, and moves the cursor.
    async fn settle(&self, claim: &Claim, settlement: Settlement) -> Result<()>;

    /// Moves the cursor where nothing had to be sent.
    async fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()>;

    /// Notes that everything of the open window was read and prepared, so that it is complete once its
    /// batches are settled, by whichever run, and the source need not be asked again.
    async fn note_window_read(&self, claim: &Claim) -> Result<()>;

    /// Closes the open window and sets the watermark to its end; never backwards.
    async fn complete_window(&self, claim: &Claim) -> Result<()>;

    /// Notes that so many records more were read of the open window, by a run that could not complete it.
    async fn note_read(&self, claim: &Claim, records: u64) -> Result<()>;

    /// How many records were read of the open window, as far as that was noted.
    async fn read_of_window(&self, scope: &Scope) -> Result<u64>;

    /// The batches that were prepared and not settled, oldest first.
    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>>;

    /// Notes that a batch cannot be brought to its end because its payload is lost: the batch is unknown
    /// from now on, and the open window is read again from its beginning, where what was settled is
    /// recognised.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where it is not waiting, and
    /// [`ErrorKind::Data`](crate::ErrorKind::Data) where no window is open any more.
    async fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Result<()>;

    /// The payloads that are in the spool: first those of batches that are not settled, then from the one
    /// that was settled first.
    async fn payloads(&self) -> Result<Vec<KeptPayload>>;

    /// Notes that payloads are about to be removed from the spool. Batches that are not settled keep
    /// theirs.
    async fn forget_payloads(&self, run: RunId, removal: &Removal) -> Result<()>;

    /// How many records the destination should have.
    async fn live_records(&self, scope: &Scope) -> Result<u64>;

    /// How many live records there are of each period, by its text in [`SettledRecord::period`]; none
    /// where that is not known of all of them.
    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>>;

    /// Those of the keys that belong to live records.
    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>>;

    /// The keys of the live records that belong to these.
    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>>;

    /// Begins to collect the keys of the source's live records: of all, or of some periods.
    async fn begin_census(&self, claim: &Claim, periods: Option<&[String]>) -> Result<()>;

    /// Adds keys to the census.
    async fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Result<()>;

    /// Delivered records, of the census's periods, whose keys are not in it, in the order of their keys:
    /// the next `limit` behind `after`.
    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>>;

    /// The closed periods that were verified, in their order.
    async fn verified_periods(&self, scope: &Scope) -> Result<Vec<VerifiedPeriod>>;

    /// Keeps a closed period as it is now. Where it is not as it was, `change` says so, as JSON.
    async fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        change: Option<&str>,
    ) -> Result<()>;

    /// Forgets verified periods that are not closed any more.
    async fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Result<()>;

    /// Appends an entry that changes nothing else.
    async fn note(&self, claim: &Claim, kind: EntryKind, body: &str) -> Result<Digest>;

    /// What is known of one record, by look-ups in indices however many records there are.
    async fn audit(&self, scope: &Scope, key: &RecordKey) -> Result<RecordAudit>;

    /// The dead letters of a stream, newest first.
    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Dead letters with what became of them, in the order of their numbers.
    async fn letters(&self, filter: &LetterFilter, page: LetterPage) -> Result<Vec<Letter>>;

    /// How many dead letters there are.
    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64>;

    /// Notes that a person does not want some records of a stream: their letters are closed, and the
    /// ledger says why and by whom.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where one of the letters is not of this stream
    /// or no longer waiting; then none is discarded.
    async fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Result<()>;

    /// For each of these letters of a stream, whether its state is the latest that is known of its record:
    /// no later batch delivered or deleted the record, and no later letter of it waits. True where the
    /// letter does not say which record it is.
    async fn latest_letters(&self, scope: &Scope, letters: &[LetterId]) -> Result<Vec<bool>>;

    /// Closes letters of which a later state of the record is known.
    async fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Result<()>;

    /// As [`Store::prepare`], of a batch that sends the records of these letters again. Whoever settles
    /// it closes the letters of what the destination took, and counts an attempt of the others.
    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Result<Digest>;

    /// Keeps what is known of a stream, for those who send it again without asking the source.
    async fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Result<()>;

    /// What was last known of a stream; none where it was never delivered by a version that keeps this.
    async fn remembered_stream(&self, scope: &Scope) -> Result<Option<StreamDescriptor>>;

    /// Batches in the order in which they were prepared, whether their payloads are still there or not.
    async fn batches(&self, query: &BatchQuery) -> Result<Vec<KeptBatch>>;

    /// For each of these records of a batch, whether what the batch holds is the latest that is known of
    /// it: no later batch delivered or deleted it, and where the destination refused it of this batch,
    /// somebody still waits for it, and none of a later batch.
    async fn latest(
        &self,
        scope: &Scope,
        batch: &BatchId,
        records: &[RecordKey],
    ) -> Result<Vec<bool>>;

    /// Notes that a batch is about to be sent again.
    async fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Result<Digest>;

    /// Notes that the destination has a batch that was sent again: its records are known to be there, and
    /// their letters closed; those that it refused are kept as letters, and known not to be there.
    async fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Result<()>;

    /// Entries of the ledger behind a number.
    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>>;

    /// Recomputes the whole chain, entry by entry. `known` are hashes that it must hold: those that the
    /// destination keeps beside its data, so that an end that was cut off is found too.
    async fn verify(&self, known: &[Digest]) -> Result<Verification>;
}

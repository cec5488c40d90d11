//! The store: checkpoints, batches, record outcomes, dead letters and the ledger, in one place and
//! changed in one transaction.

mod batches;
mod census;
mod contracts;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod described;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod lease_rules;
mod leases;
mod ledger;
mod letter_export;
mod letters;
mod payloads;
mod periods;
#[cfg(feature = "postgres")]
mod postgres;
mod progress;
mod records;
mod replays;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod rows;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod schema;
mod scope;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod stored;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod wording;

pub use batches::{BatchStore, PreparedBatch, SettledRecord, Settlement, UnsettledBatch};
pub use census::CensusStore;
pub use contracts::ContractStore;
pub use leases::{Holder, Lease, LeaseRequest, LeaseStore};
pub use ledger::{LedgerStore, Outcome, RecordAudit, RecordTrace, RejectionTrace};
pub use letter_export::{LetterExport, LetterFormat};
pub use letters::{
    DeadLetter, Discard, Letter, LetterFilter, LetterId, LetterPage, LetterStatus, LetterStore,
};
pub use payloads::{KeptPayload, LostBatch, PayloadStore, Removal, RemovalReason, RemovedPayload};
pub use periods::{PeriodStore, VerifiedPeriod};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresStoreOptions};
pub use progress::{ProgressStore, RunStart};
pub use records::RecordStore;
pub use replays::{
    BatchQuery, BatchesThat, KeptBatch, ReplayMode, ReplayStore, Replayed, Replaying,
};
pub use scope::{Claim, FencingToken, Scope};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteStore, SqliteStoreOptions};

/// Keeps everything that must survive a crash.
///
/// Every change appends its entry to the ledger in the same transaction, and is durable when the
/// call returns. A change of a stream's progress shows a [`Claim`]; where its lease was taken over
/// meanwhile it is refused with [`ErrorKind::Conflict`](crate::ErrorKind::Conflict), whole.
pub trait Store:
    LeaseStore
    + ProgressStore
    + ContractStore
    + BatchStore
    + RecordStore
    + CensusStore
    + PeriodStore
    + LedgerStore
    + LetterStore
    + PayloadStore
    + ReplayStore
{
}

impl<T> Store for T
where
    T: LeaseStore + ProgressStore + ContractStore + BatchStore + RecordStore + CensusStore,
    T: PeriodStore + LedgerStore + LetterStore + PayloadStore + ReplayStore,
{
}

//! Source, sink, store and spool with a step noted around each call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use sync_core::ledger::{Entry, EntryKind, Head, Verification};
use sync_core::shape::{AcceptedContract, Difference};
use sync_core::spool::{Listed, Ownership, Spool, Spooled};
use sync_core::store::{
    BatchQuery, BatchStore, CensusStore, Claim, ContractStore, DeadLetter, Discard, KeptBatch,
    KeptPayload, Lease, LeaseRequest, LeaseStore, LedgerStore, Letter, LetterFilter, LetterId,
    LetterPage, LetterStore, LostBatch, PayloadStore, PeriodStore, PreparedBatch, ProgressStore,
    RecordAudit, RecordStore, Removal, ReplayStore, Replayed, Replaying, RunStart, Scope,
    Settlement, Store, UnsettledBatch, VerifiedPeriod,
};
use sync_core::tie_out::TieOutRecord;
use sync_core::{
    Batch, BatchId, Capabilities, Checkpoint, ControlTotals, Cursor, Deletion, Digest, Finding,
    FlushReceipt, Landed, Operation, ReadRequest, Receipt, RecordId, RecordKey, RecordTexts,
    Reread, Result, RunId, RunMark, SchemaPlan, Sink, Source, SourceBatch, StreamDescriptor,
    StreamName, TotalsQuery, Window,
};
use time::OffsetDateTime;

use crate::home::{Home, Road};
use crate::steps::Steps;
use crate::witness::Witness;

/// The same road, with a step around each call, and a witness in the destination.
pub(crate) fn stepped(road: Road, home: &Home, steps: &Arc<Steps>) -> Road {
    let steps = || Arc::clone(steps);
    Road {
        sink: Arc::new(SteppedSink {
            inner: road.sink,
            steps: steps(),
            witness: Witness::of(home),
        }),
        store: Arc::new(SteppedStore {
            inner: road.store,
            steps: steps(),
        }),
        spool: Arc::new(SteppedSpool {
            inner: road.spool,
            steps: steps(),
        }),
    }
}

pub(crate) fn stepped_source(source: impl Source + 'static, steps: &Arc<Steps>) -> Arc<dyn Source> {
    Arc::new(SteppedSource {
        inner: Arc::new(source),
        steps: Arc::clone(steps),
    })
}

/// What is done with which stream's batch.
fn of(operation: Operation, stream: &StreamName) -> String {
    format!("({}) of {stream}", operation.as_str())
}

/// Implements a trait by calls that are handed on, each with a step around it. The step is named by
/// trait and method, with more words where some follow the method's result.
macro_rules! stepped {
    (
        $trait:ident for $type:ident as $area:literal {
            $(fn $method:ident($($argument:ident: $of:ty),*) -> $result:ty $(, named $name:expr)?;)*
        }
        $($own:tt)*
    ) => {
        #[async_trait]
        impl $trait for $type {
            $(
                async fn $method(&self $(, $argument: $of)*) -> Result<$result> {
                    #[allow(unused_mut, unused_assignments)]
                    let mut name = concat!($area, ".", stringify!($method)).to_owned();
                    $(name.push_str(&$name);)?
                    let call = self.inner.$method($($argument),*);
                    self.steps.around(&name, call).await
                }
            )*
            $($own)*
        }
    };
}

#[derive(Debug)]
struct SteppedSource {
    inner: Arc<dyn Source>,
    steps: Arc<Steps>,
}

stepped! {
    Source for SteppedSource as "source" {
        fn now() -> OffsetDateTime;
        fn check() -> Vec<Finding>;
        fn discover() -> Vec<StreamDescriptor>;
        fn control_totals(query: &TotalsQuery) -> Option<ControlTotals>;
        fn existing(stream: &Arc<StreamDescriptor>, keys: &[RecordKey]) -> Option<Vec<RecordKey>>;
        fn reread(stream: &Arc<StreamDescriptor>, records: &[RecordTexts]) -> Option<Vec<Reread>>;
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn company(&self) -> &str {
        self.inner.company()
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        let pages = self.inner.read(request);
        let page = async |page| self.steps.around("source.page", async { page }).await;
        pages.then(page).boxed()
    }

    fn deletions(
        &self,
        stream: Arc<StreamDescriptor>,
        window: Window,
    ) -> BoxStream<'_, Result<Vec<Deletion>>> {
        self.inner.deletions(stream, window)
    }

    fn findings(&self) -> Vec<Finding> {
        self.inner.findings()
    }

    fn calls(&self, stream: &StreamName) -> u64 {
        self.inner.calls(stream)
    }
}

#[derive(Debug)]
struct SteppedSink {
    inner: Arc<dyn Sink>,
    steps: Arc<Steps>,
    witness: Witness,
}

stepped! {
    Sink for SteppedSink as "sink" {
        fn check() -> Vec<Finding>;
        fn plan(stream: &StreamDescriptor) -> SchemaPlan;
        fn stage(batch: &Batch) -> (), named of(batch.operation(), &batch.stream().name);
        fn write(batch: &Batch) -> Receipt, named of(batch.operation(), &batch.stream().name);
        fn rewrite(batch: &Batch) -> Receipt;
        fn flush(stream: &StreamName) -> FlushReceipt;
        fn lookup(batch: &BatchId) -> Landed;
        fn control_totals(query: &TotalsQuery) -> Option<ControlTotals>;
        fn keep_run(run: &RunMark) -> ();
        fn record_tie_out(record: &TieOutRecord) -> ();
        fn ledger_entries(pipeline: &str) -> Vec<Digest>;
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn prepare(&self, plan: &SchemaPlan) -> Result<()> {
        let prepared = self.steps.around("sink.prepare", self.inner.prepare(plan)).await;
        if prepared.is_ok() {
            self.witness.watch(&plan.stream).await;
        }
        prepared
    }
}

#[derive(Debug)]
struct SteppedSpool {
    inner: Arc<dyn Spool>,
    steps: Arc<Steps>,
}

stepped! {
    Spool for SteppedSpool as "spool" {
        fn put(batch: &Batch) -> Spooled;
        fn get(spooled: &Spooled) -> RecordBatch;
        fn remove(name: &str) -> ();
        fn claim(store: Digest) -> Ownership;
        fn list() -> Vec<Listed>;
    }
}

#[derive(Debug)]
struct SteppedStore {
    inner: Arc<dyn Store>,
    steps: Arc<Steps>,
}

stepped! {
    LeaseStore for SteppedStore as "store" {
        fn acquire(request: &LeaseRequest) -> Lease;
        fn renew(lease: &Lease, duration: Duration) -> Lease;
        fn release(lease: &Lease) -> ();
        fn leases() -> Vec<Lease>;
    }

    fn abandon(&self, lease: &Lease) {
        self.inner.abandon(lease);
    }
}

stepped! {
    ProgressStore for SteppedStore as "store" {
        fn begin_run(start: &RunStart) -> ();
        fn end_run(run: RunId, outcome: &str) -> Head;
        fn checkpoint(scope: &Scope) -> Checkpoint;
        fn open_window(claim: &Claim, window: Window) -> ();
        fn advance(claim: &Claim, cursor: Option<&Cursor>, unreadable: &[DeadLetter]) -> ();
        fn note_read(claim: &Claim, records: u64) -> ();
        fn read_of_window(scope: &Scope) -> u64;
        fn note_window_read(claim: &Claim) -> ();
        fn complete_window(claim: &Claim) -> ();
    }
}

stepped! {
    ContractStore for SteppedStore as "store" {
        fn contract(scope: &Scope) -> Option<AcceptedContract>;
        fn accept_contract(
            claim: &Claim,
            accepted: &AcceptedContract,
            differences: &[Difference]
        ) -> ();
        fn begin_reread(claim: &Claim) -> ();
    }
}

stepped! {
    BatchStore for SteppedStore as "store" {
        fn prepare(claim: &Claim, batch: &PreparedBatch, unreadable: &[DeadLetter]) -> Digest,
            named format!("({})", batch.place.operation.as_str());
        fn settle(claim: &Claim, settlement: Settlement) -> (),
            named of(settlement.batch.place.operation, &settlement.batch.scope.stream);
        fn unsettled(scope: &Scope) -> Vec<UnsettledBatch>;
        fn give_up(claim: &Claim, lost: &LostBatch) -> ();
    }
}

stepped! {
    RecordStore for SteppedStore as "store" {
        fn changed(scope: &Scope, records: &[(RecordKey, RecordId)]) -> Vec<bool>;
        fn live_records(scope: &Scope) -> u64;
        fn live_by_period(scope: &Scope) -> Option<BTreeMap<String, u64>>;
        fn live_keys(scope: &Scope, keys: &[RecordKey]) -> Vec<RecordKey>;
        fn keys_of_owners(scope: &Scope, owners: &[String]) -> Vec<RecordKey>;
    }
}

stepped! {
    CensusStore for SteppedStore as "store" {
        fn begin_census(claim: &Claim, periods: Option<&[String]>) -> ();
        fn count_keys(claim: &Claim, keys: &[RecordKey]) -> ();
        fn missing_keys(scope: &Scope, after: Option<&RecordKey>, limit: usize) -> Vec<RecordKey>;
    }
}

stepped! {
    PeriodStore for SteppedStore as "store" {
        fn verified_periods(scope: &Scope) -> Vec<VerifiedPeriod>;
        fn verify_period(claim: &Claim, period: &VerifiedPeriod, change: Option<&str>) -> ();
        fn reopen_periods(claim: &Claim, periods: &[String]) -> ();
    }
}

stepped! {
    LedgerStore for SteppedStore as "store" {
        fn note(claim: &Claim, kind: EntryKind, body: &str) -> Digest, named format!("({})", kind.as_str());
        fn audit(scope: &Scope, key: &RecordKey) -> RecordAudit;
        fn entries(after: u64, limit: usize) -> Vec<Entry>;
        fn verify(known: &[Digest]) -> Verification;
    }
}

stepped! {
    LetterStore for SteppedStore as "store" {
        fn dead_letters(scope: &Scope, limit: usize) -> Vec<DeadLetter>;
        fn letters(filter: &LetterFilter, page: LetterPage) -> Vec<Letter>;
        fn count_letters(filter: &LetterFilter) -> u64;
        fn discard_letters(scope: &Scope, discard: &Discard) -> ();
        fn latest_letters(scope: &Scope, letters: &[LetterId]) -> Vec<bool>;
        fn supersede_letters(claim: &Claim, letters: &[LetterId]) -> ();
        fn prepare_retry(claim: &Claim, batch: &PreparedBatch, letters: &[LetterId]) -> Digest;
    }
}

stepped! {
    PayloadStore for SteppedStore as "store" {
        fn payloads() -> Vec<KeptPayload>;
        fn forget_payloads(run: RunId, removal: &Removal) -> ();
    }
}

stepped! {
    ReplayStore for SteppedStore as "store" {
        fn remember_stream(claim: &Claim, stream: &StreamDescriptor) -> ();
        fn remembered_stream(scope: &Scope) -> Option<StreamDescriptor>;
        fn batches(query: &BatchQuery) -> Vec<KeptBatch>;
        fn latest(scope: &Scope, batch: &BatchId, records: &[RecordKey]) -> Vec<bool>;
        fn begin_replay(claim: &Claim, replaying: &Replaying) -> Digest;
        fn settle_replay(claim: &Claim, replayed: &Replayed) -> ();
    }
}

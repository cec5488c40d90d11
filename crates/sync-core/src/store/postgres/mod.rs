//! The shared store: a schema of a Postgres database.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    BatchQuery, Claim, DeadLetter, Discard, KeptBatch, KeptPayload, Lease, LeaseRequest, Letter,
    LetterFilter, LetterId, LetterPage, LostBatch, PreparedBatch, RecordAudit, Removal, Replayed,
    Replaying, RunStart, Scope, Settlement, Store, UnsettledBatch, VerifiedPeriod,
};
use crate::batch::RecordKey;
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::id::{BatchId, Digest, RecordId, RunId};
use crate::ledger::{Entry, EntryKind, Head, Verification};
use crate::postgres::{ConnectionOptions, Database, Session};
use crate::shape::{AcceptedContract, Difference};
use crate::stream::StreamDescriptor;
use crate::window::{Checkpoint, Cursor, Window};

mod audit;
mod batches;
mod census;
mod change;
mod contracts;
mod leases;
mod letters;
mod patience;
mod payloads;
mod periods;
mod progress;
mod records;
mod replays;
mod schema;

use change::{Change, landed};
use patience::Patience;

/// How a [`PostgresStore`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresStoreOptions {
    /// The schema that holds the store's tables; it is made where it is missing.
    pub schema: String,
    /// How sessions are opened. Their search path is the store's own.
    pub connection: ConnectionOptions,
    /// What tells the time of entries and leases. Leases end by it, so the clocks of all workers should
    /// agree to a fraction of a lease; what a worker may write does not depend on any clock.
    pub clock: Arc<dyn Clock>,
    /// How long a call goes on trying while the server cannot be reached.
    pub patience: Duration,
}

impl Default for PostgresStoreOptions {
    /// The schema `intacct_sync`, the machine's clock, a minute of patience.
    fn default() -> Self {
        Self {
            schema: "intacct_sync".into(),
            connection: ConnectionOptions::default(),
            clock: Arc::new(SystemClock),
            patience: Duration::from_secs(60),
        }
    }
}

/// A [`Store`] in a schema of a Postgres database, for any number of workers on any number of machines.
///
/// Each call is one transaction. Where the connection is lost, it is made again until `patience` is
/// over; where it was lost while a change was being committed, the ledger is asked first whether the
/// change is there. A holder that died is taken over when its lease is over, and no sooner.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    schema: String,
    clock: Arc<dyn Clock>,
    patience: Duration,
    /// What tells this handle's leases from those of others.
    handle: Uuid,
    /// Leases given through this handle whose holders are gone.
    abandoned: Mutex<Vec<Lease>>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("database", &self.shared.database)
            .field("schema", &self.shared.schema)
            .finish_non_exhaustive()
    }
}

/// Asks in a session, and again in another one while the server cannot be reached.
macro_rules! ask {
    ($store:expr, |$session:ident| $work:expr) => {{
        let mut patience = Patience::new($store.shared.patience);
        loop {
            let asking = async {
                let $session = $store.session().await?;
                $work.await
            };
            if let Some(outcome) = patience.judge(asking.await).await {
                break outcome;
            }
        }
    }};
}

/// Changes in a transaction, and again in another one while the server cannot be reached, but never
/// twice. With a claim, it is refused where the claim's lease is not the one in force.
macro_rules! change {
    ($store:expr, $claim:expr, |$change:ident| $work:expr) => {{
        let mut patience = Patience::new($store.shared.patience);
        let mut unsure = None;
        loop {
            let changing = async {
                let mut session = $store.session().await?;
                if let Some(value) = landed(&mut session, &mut unsure).await? {
                    return Ok(value);
                }
                let $change = Change::begin(&mut session, &$store.shared).await?;
                $change.fence($claim).await?;
                let value = $work.await?;
                $change.commit(value, &mut unsure).await
            };
            if let Some(outcome) = patience.judge(changing.await).await {
                break outcome;
            }
        }
    }};
}

impl PostgresStore {
    /// Opens the store of a database, and makes it where it is missing. The connection string is one
    /// that [`Database::new`] takes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) where the connection string cannot be read or the schema is not a store,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where a newer version of this software made it, and what the
    /// server refuses.
    pub async fn open(connection: &SecretString, options: PostgresStoreOptions) -> Result<Self> {
        let mut settings = options.connection;
        settings.search_path = Some(options.schema.clone());
        let store = Self {
            shared: Arc::new(Shared {
                database: Database::new(connection, &settings)?,
                schema: options.schema,
                clock: options.clock,
                patience: options.patience,
                handle: Uuid::new_v4(),
                abandoned: Mutex::default(),
            }),
        };
        ask!(store, |session| schema::bring_up_to_date(
            session,
            &store.shared.schema
        ))?;
        Ok(store)
    }

    async fn session(&self) -> Result<Session> {
        self.shared.database.session().await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn acquire(&self, request: &LeaseRequest) -> Result<Lease> {
        // Granted or not is decided inside, and kept in either case.
        change!(self, None, |change| change.acquire(request))?
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Lease> {
        change!(self, None, |change| change.renew(lease, duration))
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        change!(self, None, |change| change.release(lease))
    }

    fn abandon(&self, lease: &Lease) {
        let mut abandoned = leases::unpoisoned(&self.shared.abandoned);
        abandoned.retain(|it| it.pipeline != lease.pipeline || it.stream != lease.stream);
        abandoned.push(lease.clone());
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        ask!(self, |session| leases::held(&session))
    }

    async fn begin_run(&self, start: &RunStart) -> Result<()> {
        change!(self, None, |change| change.begin_run(start))
    }

    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head> {
        change!(self, None, |change| change.end_run(run, outcome))
    }

    async fn contract(&self, scope: &Scope) -> Result<Option<AcceptedContract>> {
        ask!(self, |session| contracts::contract(&session, scope))
    }

    async fn accept_contract(
        &self,
        claim: &Claim,
        accepted: &AcceptedContract,
        differences: &[Difference],
    ) -> Result<()> {
        change!(self, Some(claim), |change| change.accept_contract(
            claim,
            accepted,
            differences
        ))
    }

    async fn begin_reread(&self, claim: &Claim) -> Result<()> {
        change!(self, Some(claim), |change| change.begin_reread(claim))
    }

    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint> {
        ask!(self, |session| progress::checkpoint(&session, scope))
    }

    async fn open_window(&self, claim: &Claim, window: Window) -> Result<()> {
        change!(self, Some(claim), |change| change
            .open_window(claim, window))
    }

    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>> {
        ask!(self, |session| records::changed(&session, scope, records))
    }

    async fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Result<Digest> {
        change!(self, Some(claim), |change| change
            .prepare(claim, batch, unreadable))
    }

    async fn settle(&self, claim: &Claim, settlement: Settlement) -> Result<()> {
        change!(self, Some(claim), |change| change
            .settle(claim, &settlement))
    }

    async fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()> {
        change!(self, Some(claim), |change| change
            .advance(claim, cursor, unreadable))
    }

    async fn note_window_read(&self, claim: &Claim) -> Result<()> {
        change!(self, Some(claim), |change| change.note_window_read(claim))
    }

    async fn complete_window(&self, claim: &Claim) -> Result<()> {
        change!(self, Some(claim), |change| change.complete_window(claim))
    }

    async fn note_read(&self, claim: &Claim, records: u64) -> Result<()> {
        change!(self, Some(claim), |change| change.note_read(claim, records))
    }

    async fn read_of_window(&self, scope: &Scope) -> Result<u64> {
        ask!(self, |session| progress::read_of_window(&session, scope))
    }

    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>> {
        ask!(self, |session| batches::unsettled(&session, scope))
    }

    async fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Result<()> {
        change!(self, Some(claim), |change| change.give_up(claim, lost))
    }

    async fn payloads(&self) -> Result<Vec<KeptPayload>> {
        ask!(self, |session| payloads::kept(&session))
    }

    async fn forget_payloads(&self, run: RunId, removal: &Removal) -> Result<()> {
        change!(self, None, |change| change.forget_payloads(run, removal))
    }

    async fn live_records(&self, scope: &Scope) -> Result<u64> {
        ask!(self, |session| records::live_records(&session, scope))
    }

    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>> {
        ask!(self, |session| records::live_by_period(&session, scope))
    }

    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
        ask!(self, |session| records::live_keys(&session, scope, keys))
    }

    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>> {
        ask!(self, |session| records::keys_of_owners(
            &session, scope, owners
        ))
    }

    async fn begin_census(&self, claim: &Claim, periods: Option<&[String]>) -> Result<()> {
        let periods = periods.unwrap_or_default();
        change!(self, Some(claim), |change| change
            .begin_census(claim, periods))
    }

    async fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Result<()> {
        change!(self, Some(claim), |change| change.count_keys(claim, keys))
    }

    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>> {
        ask!(self, |session| census::missing_keys(
            &session, scope, after, limit
        ))
    }

    async fn verified_periods(&self, scope: &Scope) -> Result<Vec<VerifiedPeriod>> {
        ask!(self, |session| periods::verified_periods(&session, scope))
    }

    async fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        told: Option<&str>,
    ) -> Result<()> {
        change!(self, Some(claim), |change| change
            .verify_period(claim, period, told))
    }

    async fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Result<()> {
        change!(self, Some(claim), |change| change
            .reopen_periods(claim, periods))
    }

    async fn note(&self, claim: &Claim, kind: EntryKind, body: &str) -> Result<Digest> {
        let head = change!(self, Some(claim), |change| change.append(
            Some(claim.run),
            kind,
            body
        ))?;
        Ok(head.hash)
    }

    async fn audit(&self, scope: &Scope, key: &RecordKey) -> Result<RecordAudit> {
        ask!(self, |session| audit::audit(&session, scope, key))
    }

    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>> {
        ask!(self, |session| audit::dead_letters(&session, scope, limit))
    }

    async fn letters(&self, filter: &LetterFilter, page: LetterPage) -> Result<Vec<Letter>> {
        ask!(self, |session| letters::letters(&session, filter, page))
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64> {
        ask!(self, |session| letters::count(&session, filter))
    }

    async fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Result<()> {
        change!(self, None, |change| change.discard_letters(scope, discard))
    }

    async fn latest_letters(&self, scope: &Scope, letters: &[LetterId]) -> Result<Vec<bool>> {
        ask!(self, |session| letters::latest(&session, scope, letters))
    }

    async fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Result<()> {
        change!(self, Some(claim), |change| change
            .supersede_letters(claim, letters))
    }

    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Result<Digest> {
        change!(self, Some(claim), |change| change
            .prepare_retry(claim, batch, letters))
    }

    async fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Result<()> {
        change!(self, Some(claim), |change| change
            .remember_stream(claim, stream))
    }

    async fn remembered_stream(&self, scope: &Scope) -> Result<Option<StreamDescriptor>> {
        ask!(self, |session| replays::remembered_stream(&session, scope))
    }

    async fn batches(&self, query: &BatchQuery) -> Result<Vec<KeptBatch>> {
        ask!(self, |session| replays::batches(&session, query))
    }

    async fn latest(
        &self,
        scope: &Scope,
        batch: &BatchId,
        records: &[RecordKey],
    ) -> Result<Vec<bool>> {
        ask!(self, |session| replays::latest(
            &session, scope, batch, records
        ))
    }

    async fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Result<Digest> {
        change!(self, Some(claim), |change| change
            .begin_replay(claim, replaying))
    }

    async fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Result<()> {
        change!(self, Some(claim), |change| change
            .settle_replay(claim, replayed))
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        ask!(self, |session| audit::entries(&session, after, limit))
    }

    async fn verify(&self, known: &[Digest]) -> Result<Verification> {
        ask!(self, |session| audit::verify(&session, known))
    }
}

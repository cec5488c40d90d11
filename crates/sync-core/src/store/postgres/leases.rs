//! Who holds which stream.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, Values, rows};
use super::patience::{ask, change};
use crate::error::Result;
use crate::postgres::Session;
use crate::store::lease_rules::{Decision, StoredLease, decide, fenced, refusal, renewed};
use crate::store::rows::LeaseRow;
use crate::store::stored::signed;
use crate::store::{Lease, LeaseRequest, LeaseStore};
use crate::stream::StreamName;

#[async_trait]
impl LeaseStore for PostgresStore {
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
        let mut abandoned = unpoisoned(&self.shared.abandoned);
        abandoned.retain(|it| it.pipeline != lease.pipeline || it.stream != lease.stream);
        abandoned.push(lease.clone());
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        ask!(self, |session| held(&session))
    }
}

/// What others may do with a lease until the transaction has ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock {
    /// Read it.
    Share,
    /// Nothing.
    Update,
}

impl Change<'_> {
    /// Grants a lease, or refuses it: that is the inner result, for what it notes is kept.
    async fn acquire(&self, request: &LeaseRequest) -> Result<Result<Lease>> {
        let handle = self.shared.handle;
        // One that nobody holds, so that there is a row to lock.
        let insert =
            "INSERT INTO leases (pipeline, stream, token, run, host, process, handle, since,
                          renewed_at, until, held)
                      VALUES ($1, $2, 0, $3, '', 0, $4, $5, $5, $5, false)
                      ON CONFLICT (pipeline, stream) DO NOTHING";
        let (pipeline, stream) = (&request.pipeline, &request.stream);
        let (run, handle_text) = (request.run.to_string(), handle.to_string());
        let values: Values<'_> = &[pipeline, &stream.as_str(), &run, &handle_text, &self.now];
        self.execute(insert, values).await?;
        let stored = stored(self, pipeline, stream, Lock::Update).await?;
        let gone = |stored: &StoredLease| stored.handle == handle && self.was_abandoned(stored);
        match decide(request, handle, self.at, stored, gone) {
            Decision::Granted(granted, told) => {
                self.keep(&granted).await?;
                if let Some(told) = told {
                    self.tell(Some(request.run), &told).await?;
                }
                Ok(Ok(granted.lease))
            }
            Decision::Refused(stored) => {
                self.keep(&stored).await?;
                Ok(Err(refusal(&stored.lease, self.at)))
            }
        }
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Lease> {
        match stored(self, &lease.pipeline, &lease.stream, Lock::Update).await? {
            Some(stored) if stored.held && stored.lease.token == lease.token => {
                let lease = renewed(&stored.lease, self.at, duration);
                self.keep(&StoredLease {
                    lease: lease.clone(),
                    renewed_at: self.at,
                    ..stored
                })
                .await?;
                Ok(lease)
            }
            Some(stored) => Err(fenced(&stored.lease)),
            None => Err(fenced(lease)),
        }
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let update = "UPDATE leases SET held = false
                      WHERE pipeline = $1 AND stream = $2 AND token = $3";
        let (stream, token) = (lease.stream.as_str(), signed(lease.token.0));
        self.execute(update, &[&lease.pipeline, &stream, &token])
            .await
            .map(drop)
    }

    fn was_abandoned(&self, stored: &StoredLease) -> bool {
        let abandoned = unpoisoned(&self.shared.abandoned);
        abandoned.iter().any(|it| it.is_same(&stored.lease))
    }

    async fn keep(&self, stored: &StoredLease) -> Result<()> {
        let row = LeaseRow::of(stored);
        let update = "UPDATE leases SET token = $3, run = $4, host = $5, process = $6, handle = $7,
                          since = $8, renewed_at = $9, until = $10, held = $11
                      WHERE pipeline = $1 AND stream = $2";
        let values: Values<'_> = &[
            &row.pipeline,
            &row.stream,
            &row.token,
            &row.run,
            &row.host,
            &row.process,
            &row.handle,
            &row.since,
            &row.renewed_at,
            &row.until,
            &row.held,
        ];
        self.execute(update, values).await.map(drop)
    }
}

pub(super) async fn stored(
    change: &Change<'_>,
    pipeline: &str,
    stream: &StreamName,
    lock: Lock,
) -> Result<Option<StoredLease>> {
    let lock = match lock {
        Lock::Share => "SHARE",
        Lock::Update => "UPDATE",
    };
    let columns = LeaseRow::COLUMNS;
    let select =
        format!("SELECT {columns} FROM leases WHERE pipeline = $1 AND stream = $2 FOR {lock}");
    let row = change.row(&select, &[&pipeline, &stream.as_str()]).await?;
    row.map(|row| LeaseRow::from(&row).read()).transpose()
}

pub(super) async fn held(session: &Session) -> Result<Vec<Lease>> {
    let columns = LeaseRow::COLUMNS;
    let select = format!("SELECT {columns} FROM leases WHERE held ORDER BY pipeline, stream");
    let rows = rows(session, &select, &[]).await?;
    rows.iter()
        .map(|row| Ok(LeaseRow::from(row).read()?.lease))
        .collect()
}

pub(super) fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

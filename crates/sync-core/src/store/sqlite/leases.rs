//! Who holds which stream.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::change::Change;
use super::failure::Work;
use super::{SqliteStore, unpoisoned};
use crate::error::Result;
use crate::store::lease_rules::{Decision, StoredLease, decide, fenced, refusal, renewed};
use crate::store::rows::LeaseRow;
use crate::store::stored::signed;
use crate::store::{Holder, Lease, LeaseRequest, LeaseStore};
use crate::stream::StreamName;

#[async_trait]
impl LeaseStore for SqliteStore {
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
        self.read(held).await
    }
}

impl Change<'_> {
    /// Grants a lease, or refuses it: that is the inner result, for what it notes is kept.
    fn acquire(&self, request: &LeaseRequest) -> Work<Result<Lease>> {
        let stored = stored(&self.transaction, &request.pipeline, &request.stream)?;
        let handle = self.shared.liveness.handle();
        let gone = |stored: &StoredLease| self.is_gone(stored, &request.holder);
        match decide(request, handle, self.at, stored, gone) {
            Decision::Granted(granted, told) => {
                self.keep(&granted)?;
                if let Some(told) = told {
                    self.tell(Some(request.run), &told)?;
                }
                Ok(Ok(granted.lease))
            }
            Decision::Refused(stored) => {
                self.keep(&stored)?;
                Ok(Err(refusal(&stored.lease, self.at)))
            }
        }
    }

    fn renew(&self, lease: &Lease, duration: Duration) -> Work<Lease> {
        let stored = stored(&self.transaction, &lease.pipeline, &lease.stream)?;
        match stored {
            Some(stored) if stored.held && stored.lease.token == lease.token => {
                let lease = renewed(&stored.lease, self.at, duration);
                self.keep(&StoredLease {
                    lease: lease.clone(),
                    renewed_at: self.at,
                    ..stored
                })?;
                Ok(lease)
            }
            Some(stored) => Err(fenced(&stored.lease).into()),
            None => Err(fenced(lease).into()),
        }
    }

    fn release(&self, lease: &Lease) -> Work<()> {
        let update = "UPDATE leases SET held = 0 WHERE pipeline = ? AND stream = ? AND token = ?";
        let (stream, token) = (lease.stream.as_str(), signed(lease.token.0));
        self.execute(update, params![lease.pipeline, stream, token])?;
        Ok(())
    }

    fn is_gone(&self, stored: &StoredLease, asking: &Holder) -> bool {
        let of_this_machine = stored.lease.holder.host == asking.host;
        let abandoned = || {
            let abandoned = unpoisoned(&self.shared.abandoned);
            abandoned.iter().any(|it| it.is_same(&stored.lease))
        };
        (stored.handle == self.shared.liveness.handle() && abandoned())
            || (of_this_machine && self.shared.liveness.is_gone(stored.handle))
    }

    fn keep(&self, stored: &StoredLease) -> Work<()> {
        let row = LeaseRow::of(stored);
        let columns = LeaseRow::COLUMNS;
        let insert = format!(
            "INSERT OR REPLACE INTO leases ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        );
        self.execute(
            &insert,
            params![
                row.pipeline,
                row.stream,
                row.token,
                row.run,
                row.host,
                row.process,
                row.handle,
                row.since,
                row.renewed_at,
                row.until,
                row.held
            ],
        )?;
        Ok(())
    }
}

pub(super) fn stored(
    connection: &Connection,
    pipeline: &str,
    stream: &StreamName,
) -> Work<Option<StoredLease>> {
    let columns = LeaseRow::COLUMNS;
    let select = format!("SELECT {columns} FROM leases WHERE pipeline = ? AND stream = ?");
    let mut select = connection.prepare_cached(&select)?;
    let row = select
        .query_row(params![pipeline, stream.as_str()], |row| {
            LeaseRow::try_from(row)
        })
        .optional()?;
    Ok(row.map(LeaseRow::read).transpose()?)
}

pub(super) fn held(connection: &Connection) -> Work<Vec<Lease>> {
    let columns = LeaseRow::COLUMNS;
    let select = format!("SELECT {columns} FROM leases WHERE held ORDER BY pipeline, stream");
    let mut select = connection.prepare(&select)?;
    let rows = select.query_and_then([], |row| Ok(LeaseRow::try_from(row)?.read()?.lease))?;
    rows.collect()
}

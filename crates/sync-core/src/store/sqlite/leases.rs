//! Who holds which stream.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::change::Change;
use super::failure::Work;
use super::unpoisoned;
use crate::error::Result;
use crate::store::lease::{Decision, StoredLease, decide, fenced, refusal, renewed};
use crate::store::stored::{LeaseRow, signed};
use crate::store::{Holder, Lease, LeaseRequest};
use crate::stream::StreamName;

const COLUMNS: &str =
    "pipeline, stream, token, run, host, process, handle, since, renewed_at, until, held";

impl Change<'_> {
    /// Grants a lease, or refuses it: that is the inner result, for what it notes is kept.
    pub(super) fn acquire(&self, request: &LeaseRequest) -> Work<Result<Lease>> {
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

    pub(super) fn renew(&self, lease: &Lease, duration: Duration) -> Work<Lease> {
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

    pub(super) fn release(&self, lease: &Lease) -> Work<()> {
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
        let insert = format!(
            "INSERT OR REPLACE INTO leases ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
    let select = format!("SELECT {COLUMNS} FROM leases WHERE pipeline = ? AND stream = ?");
    let mut select = connection.prepare_cached(&select)?;
    let row = select
        .query_row(params![pipeline, stream.as_str()], lease_row)
        .optional()?;
    Ok(row.map(LeaseRow::read).transpose()?)
}

pub(super) fn held(connection: &Connection) -> Work<Vec<Lease>> {
    let select = format!("SELECT {COLUMNS} FROM leases WHERE held ORDER BY pipeline, stream");
    let mut select = connection.prepare(&select)?;
    let rows = select.query_and_then([], |row| Ok(lease_row(row)?.read()?.lease))?;
    rows.collect()
}

fn lease_row(row: &Row<'_>) -> rusqlite::Result<LeaseRow> {
    Ok(LeaseRow {
        pipeline: row.get(0)?,
        stream: row.get(1)?,
        token: row.get(2)?,
        run: row.get(3)?,
        host: row.get(4)?,
        process: row.get(5)?,
        handle: row.get(6)?,
        since: row.get(7)?,
        renewed_at: row.get(8)?,
        until: row.get(9)?,
        held: row.get(10)?,
    })
}

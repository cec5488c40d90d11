//! A transaction that changes the store: what all changes have in common.

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use time::OffsetDateTime;

use super::failure::Work;
use super::{Shared, leases};
use crate::id::{Digest, RunId};
use crate::ledger::{EntryKind, Head};
use crate::store::lease_rules::{fenced, unleased};
use crate::store::stored::{signed, unsigned};
use crate::store::wording::Told;
use crate::store::{Claim, Scope};
use crate::window::rfc3339;

/// A write transaction, and the time that it notes.
pub(super) struct Change<'a> {
    pub(super) transaction: Transaction<'a>,
    pub(super) shared: &'a Shared,
    pub(super) at: OffsetDateTime,
    pub(super) now: String,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        transaction: Transaction<'a>,
        shared: &'a Shared,
        at: OffsetDateTime,
    ) -> Self {
        Self {
            transaction,
            shared,
            at,
            now: rfc3339(at),
        }
    }

    pub(super) fn commit(self) -> Work<()> {
        Ok(self.transaction.commit()?)
    }

    pub(super) fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Work<usize> {
        Ok(self.transaction.prepare_cached(sql)?.execute(values)?)
    }

    /// Refuses a change by a run whose lease is not the one in force.
    pub(super) fn fence(&self, claim: &Claim) -> Work<()> {
        let Scope {
            pipeline, stream, ..
        } = &claim.scope;
        match leases::stored(&self.transaction, pipeline, stream)? {
            Some(stored) if stored.lease.token != claim.token => Err(fenced(&stored.lease).into()),
            Some(stored) if stored.held => Ok(()),
            _ => Err(unleased(claim).into()),
        }
    }

    pub(super) fn tell(&self, run: Option<RunId>, told: &Told) -> Work<Head> {
        self.append(run, told.kind, &told.body)
    }

    pub(super) fn append(&self, run: Option<RunId>, kind: EntryKind, body: &str) -> Work<Head> {
        let select = "SELECT sequence, hash FROM ledger ORDER BY sequence DESC LIMIT 1";
        let last = self
            .transaction
            .prepare_cached(select)?
            .query_row([], |row| {
                let (sequence, hash): (i64, [u8; 32]) = (row.get(0)?, row.get(1)?);
                Ok(Head {
                    sequence: unsigned(sequence),
                    hash: Digest::from_bytes(hash),
                })
            });
        let last = last.optional()?.unwrap_or_else(Head::genesis);
        let head = last.followed_by(&self.now, run, kind.as_str(), body);
        let insert =
            "INSERT INTO ledger (sequence, at, run, kind, body, hash) VALUES (?, ?, ?, ?, ?, ?)";
        self.execute(
            insert,
            rusqlite::params![
                signed(head.sequence),
                self.now,
                run.map(|run| run.to_string()),
                kind.as_str(),
                body,
                head.hash.as_bytes()
            ],
        )?;
        Ok(head)
    }

    /// The number of a scope, which is made where it is new.
    pub(super) fn scope(&self, scope: &Scope) -> Work<i64> {
        if let Some(number) = scope_number(&self.transaction, scope)? {
            return Ok(number);
        }
        self.execute(
            "INSERT INTO scopes (pipeline, sink, stream) VALUES (?, ?, ?)",
            scope_key(scope),
        )?;
        Ok(self.transaction.last_insert_rowid())
    }
}

pub(super) fn scope_key(scope: &Scope) -> [&str; 3] {
    [&scope.pipeline, &scope.sink, scope.stream.as_str()]
}

pub(super) fn scope_number(connection: &Connection, scope: &Scope) -> Work<Option<i64>> {
    let select = "SELECT scope FROM scopes WHERE pipeline = ? AND sink = ? AND stream = ?";
    let mut select = connection.prepare_cached(select)?;
    Ok(select
        .query_row(scope_key(scope), |row| row.get(0))
        .optional()?)
}

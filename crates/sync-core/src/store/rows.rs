//! Rows of the store's tables, the same for every store.

use uuid::Uuid;

use super::batches::{PreparedBatch, UnsettledBatch};
use super::lease_rules::StoredLease;
use super::leases::{Holder, Lease};
use super::ledger::{Outcome, RecordTrace, RejectionTrace};
use super::letters::{DeadLetter, Letter, LetterId};
use super::payloads::KeptPayload;
use super::replays::KeptBatch;
use super::scope::{FencingToken, Scope};
use super::stored::{bytes, damaged, digest, from_json, origins, signed, time_of, unsigned};
use crate::error::Result;
use crate::id::RecordId;
use crate::ledger::Entry;
use crate::origin::origin_of;
use crate::spool::Spooled;
use crate::window::{Checkpoint, Cursor, OpenWindow, Window, rfc3339};

/// Declares rows whose fields are the columns that a statement gives, in their order, and has the
/// drivers of both databases fill them.
macro_rules! rows {
    ($($(#[$about:meta])* $row:ident { $($column:ident: $of:ty,)* })*) => {$(
        $(#[$about])*
        pub(super) struct $row {
            $(pub(super) $column: $of,)*
        }

        #[cfg(feature = "sqlite")]
        impl TryFrom<&rusqlite::Row<'_>> for $row {
            type Error = rusqlite::Error;

            fn try_from(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut columns = 0;
                let mut next = || {
                    columns += 1;
                    columns - 1
                };
                Ok(Self { $($column: row.get(next())?,)* })
            }
        }

        #[cfg(feature = "postgres")]
        impl From<&tokio_postgres::Row> for $row {
            fn from(row: &tokio_postgres::Row) -> Self {
                let mut columns = 0;
                let mut next = || {
                    columns += 1;
                    columns - 1
                };
                Self { $($column: row.get(next()),)* }
            }
        }
    )*};
}

rows! {
    /// A row of `scopes`.
    ScopeRow {
        watermark: Option<String>,
        from: Option<String>,
        until: Option<String>,
        cursor: Option<String>,
        next_ordinal: i64,
        is_read: bool,
    }

    /// A row of `leases`.
    LeaseRow {
        pipeline: String,
        stream: String,
        token: i64,
        run: String,
        host: String,
        process: i64,
        handle: String,
        since: String,
        renewed_at: String,
        until: String,
        held: bool,
    }

    /// A row of `batches` of which the payload is in the spool, with its scope.
    PayloadRow {
        pipeline: String,
        sink: String,
        stream: String,
        batch: String,
        spooled: String,
        settled_at: Option<String>,
    }

    /// A row of `batches` that is not settled.
    BatchRow {
        batch: String,
        run: String,
        place: String,
        rows: i64,
        cursor: Option<String>,
        spooled: String,
        origins: Option<String>,
        entry: Vec<u8>,
    }

    /// A row of `batches` with its stream's, whether it is settled or not.
    KeptBatchRow {
        pipeline: String,
        sink: String,
        stream: String,
        batch: String,
        run: String,
        place: String,
        rows: i64,
        spooled: Option<String>,
        entry: Vec<u8>,
        settled: bool,
    }

    /// A row of `records` or `deleted_records`, with its batch's.
    TraceRow {
        record: Vec<u8>,
        row: Option<i64>,
        batch: String,
        run: String,
        origins: Option<String>,
        job: Option<String>,
        settled_at: String,
    }

    /// A row of `dead_letters`.
    LetterRow {
        at: String,
        run: String,
        batch: Option<String>,
        letter: String,
    }

    /// A row of `dead_letters` with its stream's.
    KeptLetterRow {
        number: i64,
        pipeline: String,
        sink: String,
        stream: String,
        at: String,
        run: String,
        batch: Option<String>,
        letter: String,
        class: String,
        status: String,
        attempts: i64,
        attempted_at: Option<String>,
        attempt_reason: Option<String>,
        closed_at: Option<String>,
        resolved_by: Option<String>,
        note: Option<String>,
        closed_by: Option<String>,
    }

    /// A row of `ledger`.
    EntryRow {
        sequence: i64,
        at: String,
        run: Option<String>,
        kind: String,
        body: String,
        hash: Vec<u8>,
    }
}

impl ScopeRow {
    /// The columns, as both stores select them.
    pub(super) const COLUMNS: &str =
        "watermark, window_from, window_until, window_cursor, next_ordinal, window_is_read";

    pub(super) fn checkpoint(self) -> Result<Checkpoint> {
        let open = match self.until {
            None => None,
            Some(until) => Some(OpenWindow {
                window: Window {
                    from: self.from.as_deref().map(time_of).transpose()?,
                    until: time_of(&until)?,
                },
                cursor: self.cursor.map(Cursor),
                next_ordinal: u64::try_from(self.next_ordinal).unwrap_or(0),
                is_read: self.is_read,
            }),
        };
        Ok(Checkpoint {
            watermark: self.watermark.as_deref().map(time_of).transpose()?,
            open,
        })
    }
}

impl LeaseRow {
    /// The columns, as both stores select them.
    pub(super) const COLUMNS: &str =
        "pipeline, stream, token, run, host, process, handle, since, renewed_at, until, held";

    pub(super) fn of(stored: &StoredLease) -> Self {
        let lease = &stored.lease;
        Self {
            pipeline: lease.pipeline.clone(),
            stream: lease.stream.as_str().to_owned(),
            token: signed(lease.token.0),
            run: lease.run.to_string(),
            host: lease.holder.host.clone(),
            process: lease.holder.process.into(),
            handle: stored.handle.to_string(),
            since: rfc3339(lease.since),
            renewed_at: rfc3339(stored.renewed_at),
            until: rfc3339(lease.until),
            held: stored.held,
        }
    }

    pub(super) fn read(self) -> Result<StoredLease> {
        let lease = Lease {
            pipeline: self.pipeline,
            stream: self.stream.parse()?,
            token: FencingToken(unsigned(self.token)),
            run: self.run.parse()?,
            holder: Holder {
                host: self.host,
                process: u32::try_from(self.process).unwrap_or(0),
            },
            since: time_of(&self.since)?,
            until: time_of(&self.until)?,
        };
        Ok(StoredLease {
            lease,
            handle: Uuid::parse_str(&self.handle).map_err(|error| damaged().caused_by(error))?,
            renewed_at: time_of(&self.renewed_at)?,
            held: self.held,
        })
    }
}

impl PayloadRow {
    /// The columns, as both stores select them.
    pub(super) const COLUMNS: &str = "pipeline, sink, stream, batch, spooled, settled_at";

    pub(super) fn kept(self) -> Result<KeptPayload> {
        Ok(KeptPayload {
            scope: Scope {
                pipeline: self.pipeline,
                sink: self.sink,
                stream: self.stream.parse()?,
            },
            batch: self.batch.parse()?,
            spooled: from_json(&self.spooled)?,
            settled_at: self.settled_at.as_deref().map(time_of).transpose()?,
        })
    }
}

impl BatchRow {
    /// The columns, as both stores select them.
    pub(super) const COLUMNS: &str = "batch, run, place, rows, cursor, spooled, origins, entry";

    pub(super) fn unsettled(self, scope: &Scope) -> Result<UnsettledBatch> {
        let batch = PreparedBatch {
            id: self.batch.parse()?,
            run: self.run.parse()?,
            scope: scope.clone(),
            place: from_json(&self.place)?,
            rows: usize::try_from(self.rows).unwrap_or(0),
            spooled: from_json::<Spooled>(&self.spooled)?,
            cursor: self.cursor.map(Cursor),
            origins: origins(self.origins.as_deref())?,
        };
        Ok(UnsettledBatch {
            batch,
            entry: digest(&self.entry)?,
        })
    }
}

impl KeptBatchRow {
    /// The columns, as both stores select them.
    pub(super) const COLUMNS: &str = "scopes.pipeline, scopes.sink, scopes.stream, batches.batch,
        batches.run, batches.place, batches.rows, batches.spooled, batches.entry,
        batches.settled_at IS NOT NULL";

    pub(super) fn batch(self) -> Result<KeptBatch> {
        Ok(KeptBatch {
            id: self.batch.parse()?,
            run: self.run.parse()?,
            scope: Scope {
                pipeline: self.pipeline,
                sink: self.sink,
                stream: self.stream.parse()?,
            },
            place: from_json(&self.place)?,
            rows: unsigned(self.rows),
            spooled: self.spooled.as_deref().map(from_json).transpose()?,
            entry: digest(&self.entry)?,
            settled: self.settled,
        })
    }
}

impl TraceRow {
    pub(super) fn trace(self, outcome: Outcome) -> Result<RecordTrace> {
        let row = self.row.map(unsigned);
        let spans = origins(self.origins.as_deref())?;
        Ok(RecordTrace {
            outcome,
            record: RecordId::from_bytes(bytes(&self.record)?),
            batch: self.batch.parse()?,
            row,
            run: self.run.parse()?,
            origin: row.and_then(|row| origin_of(&spans, row)).cloned(),
            job: self.job,
            settled_at: self.settled_at,
        })
    }
}

impl LetterRow {
    pub(super) fn rejection(self) -> Result<RejectionTrace> {
        let letter: DeadLetter = from_json(&self.letter)?;
        Ok(RejectionTrace {
            at: self.at,
            run: self.run.parse()?,
            batch: self.batch.map(|batch| batch.parse()).transpose()?,
            column: letter.column,
            reason: letter.reason,
        })
    }
}

impl KeptLetterRow {
    /// The columns, as both stores select them: the letter's as `letters`, the stream's as `scopes`.
    pub(super) const COLUMNS: &str = "letters.number, scopes.pipeline, scopes.sink, scopes.stream,
        letters.at, letters.run, letters.batch, letters.letter, letters.class, letters.status,
        letters.attempts, letters.attempted_at, letters.attempt_reason, letters.closed_at,
        letters.resolved_by, letters.note, letters.closed_by";

    pub(super) fn letter(self) -> Result<Letter> {
        let batch = |id: Option<String>| id.map(|id| id.parse()).transpose();
        let mut content: DeadLetter = from_json(&self.letter)?;
        // What older versions kept says none itself.
        content.class = self.class.parse()?;
        Ok(Letter {
            id: LetterId(unsigned(self.number)),
            scope: Scope {
                pipeline: self.pipeline,
                sink: self.sink,
                stream: self.stream.parse()?,
            },
            at: self.at,
            run: self.run.parse()?,
            batch: batch(self.batch)?,
            content,
            status: self.status.parse()?,
            attempts: unsigned(self.attempts),
            attempted_at: self.attempted_at,
            attempt_reason: self.attempt_reason,
            closed_at: self.closed_at,
            resolved_by: batch(self.resolved_by)?,
            note: self.note,
            closed_by: self.closed_by,
        })
    }
}

impl EntryRow {
    /// The columns, as both stores select them.
    pub(super) const COLUMNS: &str = "sequence, at, run, kind, body, hash";

    pub(super) fn entry(self) -> Result<Entry> {
        Ok(Entry {
            sequence: unsigned(self.sequence),
            at: self.at,
            run: self.run.map(|run| run.parse()).transpose()?,
            kind: self.kind,
            body: self.body,
            hash: digest(&self.hash)?,
        })
    }
}

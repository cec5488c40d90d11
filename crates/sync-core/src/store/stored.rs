//! Values as stores hold them, the same for every store.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::batches::{
    DeadLetter, Outcome, PreparedBatch, RecordTrace, RejectionTrace, UnsettledBatch,
};
use super::lease::StoredLease;
use super::scope::{FencingToken, Holder, Lease, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Digest, Hasher, RecordId};
use crate::ledger::Entry;
use crate::origin::{OriginSpan, origin_of};
use crate::spool::Spooled;
use crate::window::{Checkpoint, Cursor, OpenWindow, Window, rfc3339};

/// Most rejections of a record that an audit tells of.
pub(super) const MOST_REJECTIONS: i64 = 100;

/// A row of `scopes`.
pub(super) struct ScopeRow {
    pub(super) watermark: Option<String>,
    pub(super) from: Option<String>,
    pub(super) until: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) next_ordinal: i64,
}

impl ScopeRow {
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
            }),
        };
        Ok(Checkpoint {
            watermark: self.watermark.as_deref().map(time_of).transpose()?,
            open,
        })
    }
}

/// A row of `leases`.
pub(super) struct LeaseRow {
    pub(super) pipeline: String,
    pub(super) stream: String,
    pub(super) token: i64,
    pub(super) run: String,
    pub(super) host: String,
    pub(super) process: i64,
    pub(super) handle: String,
    pub(super) since: String,
    pub(super) renewed_at: String,
    pub(super) until: String,
    pub(super) held: bool,
}

impl LeaseRow {
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

/// A row of `batches` that is not settled.
pub(super) struct BatchRow {
    pub(super) batch: String,
    pub(super) run: String,
    pub(super) place: String,
    pub(super) rows: i64,
    pub(super) cursor: Option<String>,
    pub(super) spooled: String,
    pub(super) origins: Option<String>,
    pub(super) entry: Vec<u8>,
}

impl BatchRow {
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

/// A row of `records` or `deleted_records`, with its batch's.
pub(super) struct TraceRow {
    pub(super) record: Vec<u8>,
    pub(super) row: Option<i64>,
    pub(super) batch: String,
    pub(super) run: String,
    pub(super) origins: Option<String>,
    pub(super) job: Option<String>,
    pub(super) settled_at: String,
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

/// A row of `dead_letters`.
pub(super) struct LetterRow {
    pub(super) at: String,
    pub(super) run: String,
    pub(super) batch: Option<String>,
    pub(super) letter: String,
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

/// The lookback reads a record again; the same letter is kept once.
pub(super) fn fingerprint(letter: &str) -> Digest {
    Hasher::new("intacct-sync/letter/1")
        .part(letter.as_bytes())
        .digest()
}

/// A row of `ledger`.
pub(super) struct EntryRow {
    pub(super) sequence: i64,
    pub(super) at: String,
    pub(super) run: Option<String>,
    pub(super) kind: String,
    pub(super) body: String,
    pub(super) hash: Vec<u8>,
}

impl EntryRow {
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

fn origins(text: Option<&str>) -> Result<Vec<OriginSpan>> {
    text.map_or(Ok(Vec::new()), from_json)
}

pub(super) fn digest(stored: &[u8]) -> Result<Digest> {
    bytes(stored).map(Digest::from_bytes)
}

fn bytes<const LENGTH: usize>(stored: &[u8]) -> Result<[u8; LENGTH]> {
    stored
        .try_into()
        .map_err(|error: std::array::TryFromSliceError| damaged().caused_by(error))
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        let what = "a value cannot be written to the store";
        Error::new(ErrorKind::Internal, what).caused_by(error)
    })
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged().caused_by(error))
}

fn time_of(text: &str) -> Result<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| damaged().caused_by(error))
}

fn damaged() -> Error {
    let what = "the store holds a value that it never writes: restore a copy";
    Error::new(ErrorKind::Data, what)
}

/// Numbers of rows and the like: databases have no unsigned ones.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn not_waiting(batch: &PreparedBatch) -> Error {
    let what = "a batch was settled that is not waiting for it";
    Error::new(ErrorKind::Conflict, what).with("batch", batch.id.to_string())
}

pub(super) fn never_opened(scope: &Scope) -> Error {
    let what = "a window was completed that was never opened";
    Error::new(ErrorKind::Internal, what).with("scope", scope.to_string())
}

//! Values as stores hold them, the same for every store.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::batches::{
    DeadLetter, Outcome, PreparedBatch, RecordTrace, RejectionTrace, UnsettledBatch,
};
use super::lease::StoredLease;
use super::letters::{Letter, LetterFilter, LetterId, LetterStatus};
use super::payloads::KeptPayload;
use super::replays::{BatchQuery, BatchesThat, KeptBatch};
use super::scope::{FencingToken, Holder, Lease, Scope};
use crate::batch::{RecordKey, system};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BatchId, Digest, Hasher, RecordId};
use crate::ledger::Entry;
use crate::origin::{OriginSpan, origin_of};
use crate::receipt::RejectionClass;
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
    pub(super) is_read: bool,
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
                is_read: self.is_read,
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

/// A row of `batches` of which the payload is in the spool, with its scope.
pub(super) struct PayloadRow {
    pub(super) pipeline: String,
    pub(super) sink: String,
    pub(super) stream: String,
    pub(super) batch: String,
    pub(super) spooled: String,
    pub(super) settled_at: Option<String>,
}

impl PayloadRow {
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

/// A row of `batches` with its stream's, whether it is settled or not.
pub(super) struct KeptBatchRow {
    pub(super) pipeline: String,
    pub(super) sink: String,
    pub(super) stream: String,
    pub(super) batch: String,
    pub(super) run: String,
    pub(super) place: String,
    pub(super) rows: i64,
    pub(super) spooled: Option<String>,
    pub(super) entry: Vec<u8>,
    pub(super) settled: bool,
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

/// A query in the values that statements take, in the order in which they take them.
pub(super) struct QueryValues {
    pub(super) pipeline: String,
    pub(super) sink: String,
    pub(super) streams: Option<Vec<String>>,
    pub(super) ids: Option<Vec<String>>,
    pub(super) run: Option<String>,
    pub(super) class: Option<&'static str>,
}

impl QueryValues {
    pub(super) fn of(query: &BatchQuery) -> Self {
        let streams = query.streams.iter().map(|it| it.as_str().to_owned());
        let streams: Vec<_> = streams.collect();
        let (mut ids, mut cut_by, mut class) = (None, None, None);
        match &query.which {
            BatchesThat::Are | BatchesThat::Overlap { .. } => {}
            BatchesThat::AreNamed(batches) => {
                ids = Some(batches.iter().map(ToString::to_string).collect());
            }
            BatchesThat::WereCutBy(run) => cut_by = Some(run.to_string()),
            BatchesThat::HaveWaitingLetters(of_class) => class = Some(of_class.as_str()),
        }
        Self {
            pipeline: query.pipeline.clone(),
            sink: query.sink.clone(),
            streams: (!streams.is_empty()).then_some(streams),
            ids,
            run: cut_by,
            class,
        }
    }
}

/// What statements leave to be looked at: windows are kept as part of a text.
pub(super) fn is_asked_for(query: &BatchQuery, batch: &KeptBatch) -> bool {
    let BatchesThat::Overlap { from, until } = &query.which else {
        return true;
    };
    let window = batch.place.window;
    window.from.is_none_or(|begin| begin < *until) && from.is_none_or(|from| from < window.until)
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

/// A row of `dead_letters` with its stream's.
pub(super) struct KeptLetterRow {
    pub(super) number: i64,
    pub(super) pipeline: String,
    pub(super) sink: String,
    pub(super) stream: String,
    pub(super) at: String,
    pub(super) run: String,
    pub(super) batch: Option<String>,
    pub(super) letter: String,
    pub(super) class: String,
    pub(super) status: String,
    pub(super) attempts: i64,
    pub(super) attempted_at: Option<String>,
    pub(super) attempt_reason: Option<String>,
    pub(super) closed_at: Option<String>,
    pub(super) resolved_by: Option<String>,
    pub(super) note: Option<String>,
    pub(super) closed_by: Option<String>,
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

/// A filter in the values that statements take, in the order in which they take them.
pub(super) struct FilterValues {
    pub(super) pipeline: Option<String>,
    pub(super) sink: Option<String>,
    pub(super) stream: Option<String>,
    pub(super) class: Option<&'static str>,
    pub(super) column: Option<String>,
    pub(super) since: Option<String>,
    pub(super) key: Option<String>,
    pub(super) statuses: Vec<&'static str>,
}

impl FilterValues {
    pub(super) fn of(filter: &LetterFilter) -> Self {
        let statuses: &[LetterStatus] = match filter.statuses.as_slice() {
            [] => &LetterStatus::ALL,
            some => some,
        };
        Self {
            pipeline: filter.pipeline.clone(),
            sink: filter.sink.clone(),
            stream: (filter.stream.as_ref()).map(|stream| stream.as_str().to_owned()),
            class: filter.class.map(RejectionClass::as_str),
            column: filter.column.clone(),
            since: filter.since.map(rfc3339),
            key: (filter.key.as_ref()).map(|key| key.as_str().to_owned()),
            statuses: statuses.iter().map(|status| status.as_str()).collect(),
        }
    }
}

/// The lookback reads a record again; the same letter is kept once. Its class is not part of what makes
/// it the same: letters of older versions have none.
pub(super) fn fingerprint(letter: &DeadLetter) -> Result<Digest> {
    #[derive(serde::Serialize)]
    struct Same<'a> {
        key: &'a Option<RecordKey>,
        column: &'a Option<String>,
        text: &'a Option<String>,
        reason: &'a str,
        fields: Vec<&'a (String, Option<String>)>,
    }
    // Which batch it was refused of, and when that was cut, is no part of the record.
    let own = |(name, _): &&(String, Option<String>)| {
        name == system::DELETED || !system::ALL.contains(&name.as_str())
    };
    let text = to_json(&Same {
        key: &letter.key,
        column: &letter.column,
        text: &letter.text,
        reason: &letter.reason,
        fields: letter.fields.iter().filter(own).collect(),
    })?;
    Ok(Hasher::new("intacct-sync/letter/1")
        .part(text.as_bytes())
        .digest())
}

/// What is kept of each of some letters: the same one once.
pub(super) struct Envelope<'a> {
    pub(super) fingerprint: Digest,
    pub(super) letter: String,
    pub(super) key: Option<&'a str>,
    pub(super) class: &'static str,
    pub(super) fault: Option<&'a str>,
}

pub(super) fn envelopes(letters: &[DeadLetter]) -> Result<Vec<Envelope<'_>>> {
    let mut seen = std::collections::HashSet::with_capacity(letters.len());
    let mut envelopes = Vec::with_capacity(letters.len());
    for letter in letters {
        let fingerprint = fingerprint(letter)?;
        if !seen.insert(fingerprint) {
            continue;
        }
        envelopes.push(Envelope {
            fingerprint,
            letter: to_json(letter)?,
            key: letter.key.as_ref().map(RecordKey::as_str),
            class: letter.class.as_str(),
            fault: letter.column.as_deref(),
        });
    }
    Ok(envelopes)
}

pub(super) fn not_discardable(scope: &Scope) -> Error {
    let what = "a dead letter is not of this stream or no longer waiting: list those that are, and \
                choose again; none was discarded";
    Error::new(ErrorKind::Conflict, what).with("scope", scope.to_string())
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

pub(super) fn window_is_closed(batch: &PreparedBatch) -> Error {
    let what = "the payload of a batch is lost, and the window that it was read in is closed; put the payload back from a copy of the spool";
    Error::new(ErrorKind::Data, what)
        .with("batch", batch.id.to_string())
        .with("payload", &batch.spooled.name)
}

pub(super) fn never_opened(scope: &Scope) -> Error {
    let what = "a window was completed that was never opened";
    Error::new(ErrorKind::Internal, what).with("scope", scope.to_string())
}

pub(super) fn unknown_batch(batch: &BatchId) -> Error {
    let what = "the store knows of no such batch of this stream";
    Error::new(ErrorKind::NotFound, what).with("batch", batch.to_string())
}

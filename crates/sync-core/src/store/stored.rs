//! Values as stores hold them, the same for every store.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::batches::PreparedBatch;
use super::letters::{DeadLetter, LetterFilter, LetterStatus};
use super::replays::{BatchQuery, BatchesThat, KeptBatch};
use super::scope::Scope;
use crate::batch::{RecordKey, system};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BatchId, Digest, Hasher};
use crate::origin::OriginSpan;
use crate::window::rfc3339;

/// Of these letters somebody has yet to take care, in SQL.
pub(super) const WAITING: &str = "status IN ('open', 'retried')";

/// Most rejections of a record that an audit tells of.
pub(super) const MOST_REJECTIONS: i64 = 100;

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

/// A filter in the values that statements take, in the order in which they take them: pipeline, sink,
/// stream, class, column, time, key, and the statuses as a list in JSON.
pub(super) fn filter_values(filter: &LetterFilter) -> Result<[Option<String>; 8]> {
    let statuses = match filter.statuses.as_slice() {
        [] => &LetterStatus::ALL,
        some => some,
    };
    Ok([
        filter.pipeline.clone(),
        filter.sink.clone(),
        (filter.stream.as_ref()).map(|stream| stream.as_str().to_owned()),
        filter.class.map(|class| class.as_str().to_owned()),
        filter.column.clone(),
        filter.since.map(rfc3339),
        (filter.key.as_ref()).map(|key| key.as_str().to_owned()),
        Some(to_json(&statuses)?),
    ])
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

pub(super) fn origins(text: Option<&str>) -> Result<Vec<OriginSpan>> {
    text.map_or(Ok(Vec::new()), from_json)
}

pub(super) fn digest(stored: &[u8]) -> Result<Digest> {
    bytes(stored).map(Digest::from_bytes)
}

pub(super) fn bytes<const LENGTH: usize>(stored: &[u8]) -> Result<[u8; LENGTH]> {
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

pub(super) fn time_of(text: &str) -> Result<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| damaged().caused_by(error))
}

pub(super) fn damaged() -> Error {
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

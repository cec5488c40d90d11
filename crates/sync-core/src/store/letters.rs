//! Dead letters as the store keeps them: what was rejected, and what became of it since.

use std::fmt::{self, Debug};
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::batches::PreparedBatch;
use super::scope::{Claim, Scope};
use crate::batch::RecordKey;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BatchId, Digest, RunId};
use crate::receipt::RejectionClass;
use crate::stream::StreamName;

/// Dead letters, and what becomes of them.
#[async_trait]
pub trait LetterStore: Debug + Send + Sync {
    /// The dead letters of a stream, newest first.
    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Dead letters with what became of them, in the order of their numbers.
    async fn letters(&self, filter: &LetterFilter, page: LetterPage) -> Result<Vec<Letter>>;

    /// How many dead letters there are.
    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64>;

    /// Notes that a person does not want some records of a stream: their letters are closed, and the
    /// ledger says why and by whom.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where one of the letters is not of this stream
    /// or no longer waiting; then none is discarded.
    async fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Result<()>;

    /// For each of these letters of a stream, whether its state is the latest that is known of its record:
    /// no later batch delivered or deleted the record, and no later letter of it waits. True where the
    /// letter does not say which record it is.
    async fn latest_letters(&self, scope: &Scope, letters: &[LetterId]) -> Result<Vec<bool>>;

    /// Closes letters of which a later state of the record is known.
    async fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Result<()>;

    /// As [`BatchStore::prepare`](super::BatchStore::prepare), of a batch that sends the records of these letters again. Whoever settles
    /// it closes the letters of what the destination took, and counts an attempt of the others.
    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Result<Digest>;
}

/// The number of a dead letter in its store. Later letters have higher ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LetterId(pub u64);

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A record that is not in the destination, kept whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What identifies it, as far as that is known.
    pub key: Option<RecordKey>,
    /// The column at fault, where it is known.
    pub column: Option<String>,
    /// The value at fault, where it is known.
    pub text: Option<String>,
    /// Why it was rejected, for programs.
    #[serde(default)]
    pub class: RejectionClass,
    /// Why it was rejected, for people.
    pub reason: String,
    /// Names and values of the whole record.
    pub fields: Vec<(String, Option<String>)>,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LetterStatus {
    /// Nobody has dealt with it.
    Open,
    /// It was sent again, and refused again.
    Retried,
    /// The destination has the record, or knows that it is gone.
    Resolved,
    /// A later state of the record is known, so that this one is not wanted any more.
    Superseded,
    /// A person decided that it is not wanted, and said why.
    Discarded,
}

impl LetterStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Retried,
        Self::Resolved,
        Self::Superseded,
        Self::Discarded,
    ];

    /// Those of which somebody has yet to take care.
    pub const WAITING: [Self; 2] = [Self::Open, Self::Retried];

    /// The word that stands in reports, exports and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Retried => "retried",
            Self::Resolved => "resolved",
            Self::Superseded => "superseded",
            Self::Discarded => "discarded",
        }
    }

    /// Whether somebody has yet to take care of it.
    pub fn is_waiting(self) -> bool {
        Self::WAITING.contains(&self)
    }
}

impl fmt::Display for LetterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LetterStatus {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|status| status.as_str() == text);
        named.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            let what = "no dead letter has a status of this name";
            Error::new(ErrorKind::Config, what)
                .with("status", text)
                .with("known", known)
        })
    }
}

/// A dead letter with everything that the store knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its number.
    pub id: LetterId,
    /// On whose way the record was rejected.
    #[serde(flatten)]
    pub scope: Scope,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The run that met it.
    pub run: RunId,
    /// The batch that the destination refused it of; none where it could not be read.
    pub batch: Option<BatchId>,
    /// The record and the reason.
    #[serde(flatten)]
    pub content: DeadLetter,
    /// What became of it.
    pub status: LetterStatus,
    /// How often it was sent again.
    pub attempts: u64,
    /// When it was last sent again, RFC 3339 in UTC.
    pub attempted_at: Option<String>,
    /// Why it was refused then.
    pub attempt_reason: Option<String>,
    /// Since when nobody has to take care of it any more, RFC 3339 in UTC.
    pub closed_at: Option<String>,
    /// The batch that brought the record, or its end, to the destination.
    pub resolved_by: Option<BatchId>,
    /// Why it was discarded.
    pub note: Option<String>,
    /// Who discarded it.
    pub closed_by: Option<String>,
}

/// Which dead letters; all of a store where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LetterFilter {
    /// Of this pipeline alone.
    pub pipeline: Option<String>,
    /// On the way to this sink alone.
    pub sink: Option<String>,
    /// Of this stream alone.
    pub stream: Option<StreamName>,
    /// Rejected for a reason of this class.
    pub class: Option<RejectionClass>,
    /// With this column at fault.
    pub column: Option<String>,
    /// Rejected at this time or later.
    pub since: Option<OffsetDateTime>,
    /// Of this record.
    pub key: Option<RecordKey>,
    /// With one of these statuses; whatever it is where there are none.
    pub statuses: Vec<LetterStatus>,
}

impl LetterFilter {
    /// Those of a stream on its way to a sink.
    pub fn of(scope: &Scope) -> Self {
        Self {
            pipeline: Some(scope.pipeline.clone()),
            sink: Some(scope.sink.clone()),
            stream: Some(scope.stream.clone()),
            ..Self::default()
        }
    }

    /// Of those, the ones that somebody has yet to take care of.
    #[must_use]
    pub fn waiting(mut self) -> Self {
        self.statuses = LetterStatus::WAITING.to_vec();
        self
    }
}

/// Which page of a list, in the order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterPage {
    /// Only those behind this one.
    pub after: Option<LetterId>,
    /// So many at most.
    pub limit: usize,
}

/// A person's decision that records are not wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discard {
    /// The letters.
    pub letters: Vec<LetterId>,
    /// Why: for the auditor who asks where the record is.
    pub reason: String,
    /// Who decided.
    pub by: String,
}

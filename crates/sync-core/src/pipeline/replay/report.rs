//! What a replay did.

use std::time::Duration;

use serde::Serialize;

use super::super::report::seconds;
use super::selection::Selected;
use crate::finding::Finding;
use crate::id::{BatchId, RunId};
use crate::ledger::Head;
use crate::stream::StreamName;

/// What a replay did.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ReplayReport {
    /// The replay's own run: what the ledger's entries name as who asked.
    pub run: RunId,
    /// The streams, in the order in which they were taken.
    pub streams: Vec<StreamReplay>,
    /// What a person must know: destinations that could not note the replay's end.
    pub findings: Vec<Finding>,
    /// The end of the ledger's chain once it was over. Destinations keep it too.
    pub head: Head,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

impl ReplayReport {
    /// Whether the destination has all that was asked for: no payload was gone or damaged, no stream
    /// failed, no record was refused.
    pub fn is_complete(&self) -> bool {
        self.streams.iter().all(StreamReplay::is_complete)
    }

    /// The batches with this outcome.
    pub fn with_outcome(&self, outcome: ReplayOutcome) -> impl Iterator<Item = &BatchReplay> {
        let batches = self.streams.iter().flat_map(|stream| &stream.batches);
        batches.filter(move |batch| batch.outcome == outcome)
    }
}

/// What a replay did, or would do, with one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamReplay {
    /// The stream.
    pub stream: StreamName,
    /// The sink.
    pub sink: String,
    /// The batches, in the order in which they were first prepared.
    pub batches: Vec<BatchReplay>,
    /// Batches that may have carried the record that was asked for, which is not known because their
    /// payloads are gone or damaged.
    pub unsearched: u64,
    /// Batches of an interrupted run that were brought to their end first.
    pub recovered: u64,
    /// Why the stream could not be completed. What was sent until then stays.
    pub error: Option<String>,
}

impl StreamReplay {
    pub(super) fn new(selected: &Selected) -> Self {
        Self {
            stream: selected.scope.stream.clone(),
            sink: selected.scope.sink.clone(),
            batches: Vec::with_capacity(selected.batches.len()),
            unsearched: selected.unsearched,
            recovered: 0,
            error: None,
        }
    }

    /// As [`ReplayReport::is_complete`].
    pub fn is_complete(&self) -> bool {
        use ReplayOutcome::{Damaged, Gone};
        let failed =
            |batch: &BatchReplay| matches!(batch.outcome, Damaged | Gone) || batch.refused > 0;
        self.error.is_none() && self.unsearched == 0 && !self.batches.iter().any(failed)
    }
}

/// What a replay did, or would do, with one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatchReplay {
    /// The batch.
    pub batch: BatchId,
    /// What became of it.
    pub outcome: ReplayOutcome,
    /// Rows that were sent.
    pub rows: u64,
    /// Bytes of its payload in the spool, of all rows.
    pub bytes: u64,
    /// Rows that were left out, because a later state of their records is known or nobody waits for them.
    pub superseded: u64,
    /// Of the rows that were sent, those that the destination refused. They are among the dead letters.
    pub refused: u64,
    /// The destination's own name for what it did.
    pub job: Option<String>,
}

/// What became of a batch in a replay; in a plan, what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplayOutcome {
    /// It was sent, and the destination answered.
    Sent,
    /// The destination has it, and nothing was sent.
    There,
    /// None of its rows is the latest that is known of its record, and nothing was sent.
    Superseded,
    /// Its payload is no longer in the spool, and nothing was sent. Its records come again only from the
    /// source.
    Gone,
    /// Its payload is not what the ledger vouches for, and nothing was sent.
    Damaged,
}

//! What a run did.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::finding::{Finding, Severity};
use crate::id::RunId;
use crate::ledger::Head;
use crate::stream::{DeleteDetection, StreamDescriptor, StreamName};
use crate::tie_out::{Check, TieOut};
use crate::window::Window;

/// What a run did.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// The streams, in the order in which they were read; of each its sinks, in the pipeline's order.
    pub streams: Vec<StreamReport>,
    /// What was compared across streams.
    pub checks: Vec<CheckReport>,
    /// What the source found on the way that a person must know.
    pub findings: Vec<Finding>,
    /// The end of the ledger's chain once the run was over.
    pub head: Head,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

/// A comparison across streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// What was compared.
    pub check: Check,
    /// The stream that it is told of.
    pub stream: StreamName,
    /// The sink whose data were compared.
    pub sink: String,
    /// The outcome.
    pub tie_out: TieOut,
}

impl CheckReport {
    /// What a person must know of it, where there is something.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let tell = |severity, what: String| Finding::new(severity, self.stream.as_str(), what);
        match &self.tie_out {
            TieOut::Equal { .. } => None,
            TieOut::NotCompared { reason } => Some(tell(
                Severity::Info,
                format!("balances were not compared with the ledger's lines: {reason}"),
            )),
            TieOut::Explained { differences, .. } => Some(tell(
                Severity::Info,
                format!(
                    "{} balances and lines were read at different times, and differ by what was \
                     posted in between",
                    differences.len()
                ),
            )),
            TieOut::Different { differences, .. } => {
                let first = differences.first().map(ToString::to_string);
                let what = format!(
                    "balances are not what the ledger's lines add up to in {} places, the first: {}",
                    differences.len(),
                    first.unwrap_or_default()
                );
                let remedy = "sync_tie_out lists them; read the lines of those periods whole";
                Some(tell(Severity::Warning, what).remedy(remedy))
            }
        }
    }
}

/// What a run did with one stream, on its way to one sink.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StreamReport {
    /// The stream.
    pub stream: StreamName,
    /// The sink.
    pub sink: String,
    /// The window that was read; none where there was nothing to read yet.
    pub window: Option<Window>,
    /// Records that the source delivered, once for all the sinks that shared them.
    pub read: u64,
    /// Of those, records that the destination already had in this state.
    pub unchanged: u64,
    /// Rows written: records that are new or changed.
    pub written: u64,
    /// Rows deleted or marked so.
    pub deleted: u64,
    /// Records that could not be read, or were refused; they are among the dead letters.
    pub rejected: u64,
    /// Batches of an interrupted run that were brought to their end first.
    pub recovered: u64,
    /// Batches of an interrupted run whose payloads were lost, and whose records were read again.
    pub given_up: u64,
    /// Calls made to the source. Those of a stream are counted with the first of its sinks.
    pub calls: u64,
    /// How deletes were looked for.
    pub delete_detection: DeleteDetection,
    /// Whether the destination equals the source.
    pub tie_out: TieOut,
    /// What a person must know of the stream's mapping and contract.
    pub findings: Vec<Finding>,
    /// Why the stream could not be completed: what its source, or this sink, said.
    pub error: Option<String>,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

impl StreamReport {
    pub(crate) fn new(stream: &StreamDescriptor, sink: &str) -> Self {
        Self {
            stream: stream.name.clone(),
            sink: sink.to_owned(),
            window: None,
            read: 0,
            unchanged: 0,
            written: 0,
            deleted: 0,
            rejected: 0,
            recovered: 0,
            given_up: 0,
            calls: 0,
            delete_detection: stream.delete_detection,
            tie_out: TieOut::NotCompared {
                reason: "the stream is not complete".into(),
            },
            findings: Vec::new(),
            error: None,
            elapsed: Duration::ZERO,
        }
    }
}

impl RunReport {
    /// Whether every stream was completed for every sink, and the source found none that it cannot give.
    pub fn is_complete(&self) -> bool {
        let refused = |finding: &Finding| finding.severity == Severity::Failure;
        self.streams.iter().all(|stream| stream.error.is_none())
            && !self.findings.iter().any(refused)
    }

    /// Whether every stream was completed and ties out in every sink, as of its window's end.
    pub fn ties_out(&self) -> bool {
        let tie_out = |stream: &StreamReport| stream.tie_out.holds();
        self.is_complete() && self.streams.iter().all(tie_out) && self.balances()
    }

    /// Whether every stream was completed, and ties out or differs for reasons that are known.
    pub fn is_explained(&self) -> bool {
        let explained = |stream: &StreamReport| stream.tie_out.is_explained();
        self.is_complete() && self.streams.iter().all(explained) && self.balances()
    }

    /// Whether no comparison across streams found what it cannot explain.
    pub fn balances(&self) -> bool {
        let differs = |it: &CheckReport| matches!(it.tie_out, TieOut::Different { .. });
        !self.checks.iter().any(differs)
    }

    /// Records that were rejected.
    pub fn rejected(&self) -> u64 {
        self.streams.iter().map(|stream| stream.rejected).sum()
    }
}

pub(super) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

//! What a destination keeps of a run: how it ended, and the end of the ledger's chain at that time.

use time::OffsetDateTime;

use crate::id::{Digest, RunId};

/// A run, a replay or a retry that has ended.
///
/// Kept beside the data it lets an auditor check the ledger without trusting whoever keeps that: a
/// ledger that does not hold [`ledger_entry`](Self::ledger_entry), or whose chain breaks before it, is
/// not the one that the data came with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunMark {
    /// The run.
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Whose books these are.
    pub company: String,
    /// When it ended.
    pub ended_at: OffsetDateTime,
    /// Whether every stream was brought up to date; of a replay or a retry, whether all that was chosen
    /// arrived.
    pub is_complete: bool,
    /// Whether every stream was compared with the source and found equal. A replay or a retry compares
    /// nothing.
    pub ties_out: bool,
    /// The number of the ledger's entry that ended the run.
    pub ledger_sequence: u64,
    /// The hash of that entry.
    pub ledger_entry: Digest,
}

impl RunMark {
    /// A run that neither is complete nor ties out.
    pub fn new(
        run: RunId,
        pipeline: impl Into<String>,
        company: impl Into<String>,
        ended_at: OffsetDateTime,
        (ledger_sequence, ledger_entry): (u64, Digest),
    ) -> Self {
        Self {
            run,
            pipeline: pipeline.into(),
            company: company.into(),
            ended_at,
            is_complete: false,
            ties_out: false,
            ledger_sequence,
            ledger_entry,
        }
    }
}

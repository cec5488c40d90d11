//! How far streams have come, and the runs that bring them on.

use std::fmt::Debug;

use async_trait::async_trait;

use super::letters::DeadLetter;
use super::scope::{Claim, Scope};
use crate::error::Result;
use crate::id::RunId;
use crate::ledger::Head;
use crate::window::{Checkpoint, Cursor, Window};

/// How far streams have come, and the runs that bring them on.
#[async_trait]
pub trait ProgressStore: Debug + Send + Sync {
    /// Begins a run.
    async fn begin_run(&self, start: &RunStart) -> Result<()>;

    /// Ends a run, with its outcome as JSON.
    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head>;

    /// How far a stream has come.
    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint>;

    /// Freezes a window, which stays open until it is complete. Where the stream has no watermark, its
    /// batches are numbered behind those that there are, so that none has the place of another.
    async fn open_window(&self, claim: &Claim, window: Window) -> Result<()>;

    /// Moves the cursor where nothing had to be sent.
    async fn advance(
        &self,
        claim: &Claim,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()>;

    /// Notes that so many records more were read of the open window, by a run that could not complete it.
    async fn note_read(&self, claim: &Claim, records: u64) -> Result<()>;

    /// How many records were read of the open window, as far as that was noted.
    async fn read_of_window(&self, scope: &Scope) -> Result<u64>;

    /// Notes that everything of the open window was read and prepared, so that it is complete once its
    /// batches are settled, by whichever run, and the source need not be asked again.
    async fn note_window_read(&self, claim: &Claim) -> Result<()>;

    /// Closes the open window and sets the watermark to its end; never backwards.
    async fn complete_window(&self, claim: &Claim) -> Result<()>;
}

/// A run that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// The run.
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name.
    pub sink: String,
    /// Whose books these are.
    pub company: String,
    /// The settings that it runs by, as JSON without secrets. Their digest is in the ledger, and they
    /// themselves wherever they are not those of the run before.
    pub settings: String,
}

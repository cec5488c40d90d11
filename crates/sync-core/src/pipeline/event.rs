//! What a person watching a run gets to see while it works.

use std::fmt::Debug;

use crate::batch::Operation;
use crate::error::Error;
use crate::id::{BatchId, RunId};
use crate::pipeline::replay::{BatchReplay, ReplayReport};
use crate::pipeline::report::{RunReport, StreamReport};
use crate::pipeline::retry::StreamRetry;
use crate::plan::SchemaPlan;
use crate::stream::StreamName;
use crate::window::Window;

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run began; these streams are to be read, in this order.
    RunBegun {
        /// The run.
        run: RunId,
        /// The streams.
        streams: &'a [StreamName],
    },
    /// A window of a stream begins to be read, for one sink or for several that stand at the same place.
    StreamBegun {
        /// The stream.
        stream: &'a StreamName,
        /// The window that will be read; none where there is nothing to read yet.
        window: Option<Window>,
    },
    /// A table was created or changed.
    SchemaChanged {
        /// The sink that it is in.
        sink: &'a str,
        /// What changed.
        plan: &'a SchemaPlan,
    },
    /// A batch of an earlier run, interrupted there, was brought to its end.
    BatchRecovered {
        /// The stream.
        stream: &'a StreamName,
        /// The sink.
        sink: &'a str,
        /// The batch.
        batch: BatchId,
        /// Whether it had to be sent again.
        resent: bool,
    },
    /// A batch of an earlier run cannot be brought to its end; what it held is read again.
    BatchGivenUp {
        /// The stream.
        stream: &'a StreamName,
        /// The sink.
        sink: &'a str,
        /// The batch.
        batch: BatchId,
        /// What is wrong with its payload.
        reason: &'a str,
    },
    /// A page was read.
    PageRead {
        /// The stream.
        stream: &'a StreamName,
        /// Records in it.
        records: u64,
        /// Records that are still to come, where the source says.
        remaining: Option<u64>,
    },
    /// A batch is in the destination.
    BatchSettled {
        /// The stream.
        stream: &'a StreamName,
        /// The sink.
        sink: &'a str,
        /// The batch.
        batch: BatchId,
        /// What it did.
        operation: Operation,
        /// Rows in it.
        rows: u64,
    },
    /// A sink is slower than the others of its stream. It is not waited for: from here on its batches
    /// come from the spool.
    SinkLeftBehind {
        /// The stream.
        stream: &'a StreamName,
        /// The sink.
        sink: &'a str,
    },
    /// The keys of all live records are being listed, to find deletes.
    KeysListed {
        /// The stream.
        stream: &'a StreamName,
        /// How many so far.
        keys: u64,
    },
    /// Debits and credits of journal entries are not equal. They are told before they are sent.
    EntriesUnbalanced {
        /// The stream.
        stream: &'a StreamName,
        /// How many entries, each within its book and currency.
        entries: u64,
    },
    /// A closed period is not as it was when it was verified.
    ClosedPeriodChanged {
        /// The stream.
        stream: &'a StreamName,
        /// The month, such as `2025-12`.
        period: &'a str,
        /// How many records are known to have changed; at least one.
        records: u64,
    },
    /// Records of open periods had changed without saying so, or were gone. They were delivered.
    DriftFound {
        /// The stream.
        stream: &'a StreamName,
        /// How many.
        records: u64,
    },
    /// A stream is complete, as far as one sink is concerned.
    StreamEnded {
        /// What it did.
        report: &'a StreamReport,
    },
    /// A stream failed on its way to a sink; other sinks and streams go on where the failure is its own.
    StreamFailed {
        /// What it did until then.
        report: &'a StreamReport,
        /// Why.
        error: &'a Error,
    },
    /// A replay began.
    ReplayBegun {
        /// Its run.
        run: RunId,
        /// How many batches were asked for.
        batches: u64,
    },
    /// A replay is done with a batch.
    BatchReplayed {
        /// The stream.
        stream: &'a StreamName,
        /// What became of the batch.
        replay: &'a BatchReplay,
    },
    /// A replay is over.
    ReplayEnded {
        /// What it did.
        report: &'a ReplayReport,
    },
    /// A retry is done with the dead letters of a stream.
    LettersRetried {
        /// What became of them.
        report: &'a StreamRetry,
    },
    /// The run is over.
    RunEnded {
        /// What it did.
        report: &'a RunReport,
    },
}

/// Watches runs.
pub trait Observer: Debug + Send + Sync {
    /// Something happened. Called on the run's own tasks, so it must not block.
    fn observe(&self, event: Event<'_>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn observe(&self, _: Event<'_>) {}
}

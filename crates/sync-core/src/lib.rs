#![doc = include_str!("../README.md")]

pub mod batch;
pub mod capabilities;
pub mod clock;
pub mod column;
mod condition;
pub mod decimal;
pub mod entry;
pub mod error;
pub mod finding;
pub mod id;
pub mod origin;
pub mod plan;
#[cfg(feature = "postgres-client")]
pub mod postgres;
pub mod receipt;
mod run_mark;
mod sink;
mod source;
pub mod stream;
pub mod tie_out;
pub mod totals;
pub mod window;

pub use batch::{Batch, BatchPlace, Operation, RecordKey, SourceBatch, UnreadableRecord};
pub use capabilities::Capabilities;
pub use condition::Condition;
pub use decimal::Decimal;
pub use error::{Error, ErrorKind, Phase, Result, Retry};
pub use finding::{Finding, Severity};
pub use id::{BatchId, Digest, RecordId, RunId};
pub use origin::{Origin, OriginSpan};
pub use plan::{SchemaChange, SchemaPlan};
pub use receipt::{Durability, FlushReceipt, Landed, Receipt, Rejection, RejectionClass};
pub use run_mark::RunMark;
pub use sink::Sink;
pub use source::{Deletion, PeriodDay, ReadRequest, RecordTexts, Reread, Selection, Source};
pub use stream::{DeleteDetection, DeleteMode, StreamDescriptor, StreamName};
pub use tie_out::{TieOut, TieOutRecord};
pub use totals::{ControlTotals, TotalsQuery};
pub use window::{Checkpoint, Cursor, OpenWindow, Window};

#[cfg(feature = "encode")]
pub mod encode;
#[cfg(feature = "pipeline")]
pub mod ledger;
pub mod ledger_check;
#[cfg(feature = "pipeline")]
pub mod pipeline;
#[cfg(feature = "pipeline")]
pub mod shape;
#[cfg(feature = "pipeline")]
pub mod spool;
#[cfg(feature = "pipeline")]
pub mod store;

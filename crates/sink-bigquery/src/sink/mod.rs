//! The destination of a pipeline: a dataset with a table for each stream.

mod ahead;
mod bookkeeping;
mod check;
mod column_type;
mod destination;
mod encoding;
mod failure;
mod moment;
mod names;
mod options;
mod planning;
mod request;
mod resource;
mod schema;
mod staged;
mod statement;
mod streamed;
mod streaming;
mod table;
mod totals;
mod warehouse;

pub use destination::BigQuerySink;
pub use encoding::LoadBody;
pub use options::{BigQuerySinkOptions, Mode, ReportingColumns};

//! One SQLite file as a destination.

mod bind;
mod check;
mod connection;
mod decimal_sum;
mod dialect;
mod failure;
mod options;
mod reader;
mod schema;
mod sink;
mod tie_out;
mod totals;
mod write;

pub use options::SqliteOptions;
pub use reader::{Reader, Row};
pub use sink::SqliteSink;

#![doc = include_str!("../README.md")]
// What every engine shares has nobody to use it where no engine is built.
#![cfg_attr(not(feature = "sqlite"), allow(dead_code))]

mod bookkeeping;
mod column_type;
mod delivery;
mod dialect;
mod planning;
mod reporting;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;
mod stored_time;
mod table;

pub use reporting::ReportingColumns;
#[cfg(feature = "sqlite")]
pub use sqlite::{Reader, Row, Rows, SqliteOptions, SqliteSink};

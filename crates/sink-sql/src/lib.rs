#![doc = include_str!("../README.md")]
// What every engine shares has nobody to use it where no engine is built, and not all of it where
// there is one.
#![cfg_attr(not(all(feature = "sqlite", feature = "postgres")), allow(dead_code))]

mod bookkeeping;
mod column_type;
mod delivery;
mod dialect;
mod planning;
#[cfg(feature = "postgres")]
mod postgres;
mod reporting;
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;
mod stored_time;
mod table;
mod totals;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresSink, sqlstate};
pub use reporting::ReportingColumns;
pub use rows::Rows;
#[cfg(feature = "sqlite")]
pub use sqlite::{Reader, Row, SqliteOptions, SqliteSink};

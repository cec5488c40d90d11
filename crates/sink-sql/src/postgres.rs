//! One schema of a Postgres database as a destination.

mod ahead;
mod check;
mod copy;
mod dialect;
mod merge;
mod options;
mod place;
mod query;
mod schema;
mod sink;
mod staging;
mod straight;
mod tie_out;
mod totals;
mod write;

pub use options::PostgresOptions;
pub use sink::PostgresSink;
pub use sync_core::postgres::sqlstate;

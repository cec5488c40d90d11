//! Connections to Postgres and what its failures mean: what every store and sink on Postgres shares.
//!
//! The types of `tokio-postgres` and `deadpool-postgres` show here, because those who write their
//! own statements need them. They may change with any minor version of this crate; what is built on
//! them, a sink or a store, shows none.

mod connection;
mod failure;

pub use connection::{ConnectionOptions, Database, Session};
pub use deadpool_postgres;
pub use failure::{Meaning, ServerError, failed, meaning, sqlstate};
pub use tokio_postgres;

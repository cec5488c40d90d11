//! SQL destinations, each against the behaviour that all share and against its own.

#![cfg(any(feature = "sqlite", all(feature = "postgres", unix)))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by it, and a child says how far it is"
)]

mod behaviour;
mod killed;
#[cfg(all(feature = "postgres", unix))]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod vendors;

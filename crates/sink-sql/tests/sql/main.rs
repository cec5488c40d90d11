//! SQL destinations, each against the behaviour that all share and against its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by it, and a child says how far it is"
)]

mod behaviour;
mod sqlite;

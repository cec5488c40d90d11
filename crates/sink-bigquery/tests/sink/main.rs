//! The sink as a whole, against a warehouse that executes its statements: the simulator, or the emulator that
//! `BIGQUERY_EMULATOR_HOST` names.

#![cfg(feature = "sink")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod bookkeeping;
mod faults;
mod rows;
mod staging;
mod streams;
mod tables;
mod totals;
mod world;

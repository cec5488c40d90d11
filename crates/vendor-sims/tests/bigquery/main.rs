//! BigQuery's simulator at its HTTP border.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod caller;
mod described;
mod faults;
mod limits;
mod loads;
mod statements;
mod streaming;
mod tables;
mod uploads;

//! BigQuery's simulator at its HTTP border.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod caller;
mod loads;
mod statements;
mod tables;

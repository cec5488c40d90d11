//! A client of BigQuery's REST API, version 2.

pub mod names;
pub mod reason;

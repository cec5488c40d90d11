//! The client against a service that answers as told: each failure that BigQuery is known for, and what the client does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod credentials;
mod defaults;
mod errors;
mod fresh_tables;
mod inserts;
mod jobs;
mod logs;
mod pace;
mod queries;
mod requests;
mod service;
mod stories;
mod tables;
mod uploads;

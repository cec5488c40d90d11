#![doc = include_str!("../README.md")]

pub mod auth;
pub mod client;
mod error;
pub mod pacing;

pub use client::names::{DatasetId, DatasetRef, JobId, Location, ProjectId, TableId, TableRef};
pub use client::reason::Reason;
pub use client::{BigQuery, Options};
pub use error::{Error, ErrorKind, JobTrouble, Result, ServiceError};
pub use sync_error::{Phase, Retry};

#[cfg(feature = "sink")]
pub mod sink;

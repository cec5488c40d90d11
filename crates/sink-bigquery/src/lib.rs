#![doc = include_str!("../README.md")]

pub mod auth;
#[allow(dead_code)]
pub mod client;
#[allow(dead_code)]
mod error;
pub mod pacing;

pub use client::names::{DatasetId, DatasetRef, JobId, Location, ProjectId, TableId, TableRef};
pub use client::reason::Reason;
pub use error::{Error, ErrorKind, JobTrouble, Result, ServiceError};

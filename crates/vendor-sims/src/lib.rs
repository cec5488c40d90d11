#![doc = include_str!("../README.md")]

pub mod bigquery;

mod clock;
mod delivery;
mod error;

pub use crate::error::{Error, ErrorKind};

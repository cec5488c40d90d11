#![doc = include_str!("../README.md")]

pub mod bigquery;

pub use sim_http::{Error, ErrorKind};

//! BigQuery's REST API, version 2.
//!
//! Start one with [`Simulator::builder`](RunningSimulator::builder). Which rules it keeps, and
//! which it does not know, is in the crate's README.

// Streaming, which comes next, uses what is idle here.
#![allow(dead_code, unused_imports)]

mod catalog;
mod credentials;
mod jobs;
mod limits;
mod load;
mod refusal;
mod request;
mod server;
mod service;
mod simulator;
mod sql;
mod value;

pub use self::limits::Limits;
pub use self::service::Stats;
pub use self::simulator::{Handle, Record, RunningSimulator, SimulatorBuilder};

//! BigQuery's REST API, version 2.
//!
//! Start one with [`Simulator::builder`](RunningSimulator::builder). Which rules it keeps, and
//! which it does not know, is in the crate's README.

mod catalog;
mod credentials;
mod discovery;
mod faults;
mod insert_all;
mod jobs;
mod limits;
mod load;
mod refusal;
mod request;
mod server;
mod service;
mod simulator;
mod sql;
mod upload;
mod value;

pub use self::faults::{Body, Cut, Fault, FaultScript, Refuse, Rule, RuleReport, When};
pub use self::limits::Limits;
pub use self::service::Stats;
pub use self::simulator::{Handle, Record, RunningSimulator, SimulatorBuilder};

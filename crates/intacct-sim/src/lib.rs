#![doc = include_str!("../README.md")]

mod books;
mod calendar;
mod clock;
mod company;
mod decimal;
mod error;
mod gateway;
mod generic;
mod object;
mod select;
mod server;
mod simulator;
mod table;
mod value;

pub use crate::company::{Changes, Company, Edit, EditOp, Scale};
pub use crate::error::{Error, ErrorKind};
pub use crate::gateway::Stats;
pub use crate::generic::ObjectSpec;
pub use crate::object::DataType;
pub use crate::simulator::{
    CompanyHandle, Credentials, Record, RunningSimulator, Simulator, SimulatorBuilder,
};

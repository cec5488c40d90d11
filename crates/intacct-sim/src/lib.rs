#![doc = include_str!("../README.md")]

mod access;
mod books;
mod calendar;
mod company;
mod decimal;
mod faults;
mod gateway;
mod generic;
mod object;
mod select;
mod server;
mod simulator;
mod table;
mod tier;
mod value;

pub use crate::access::{Access, Formatting, Sender, User};
pub use crate::company::{Changes, Company, Edit, EditOp, Scale, Stamp};
pub use crate::faults::{
    Body, By, Characters, Cloudflare, ControlFailure, Cut, ErrorText, Errors, Fault, FaultScript,
    FunctionFailure, Http, Instant, RetryAfterForm, Rule, RuleReport, ShownTimeout, Slow, Spoiler,
    Totals, Truncate, Weekly, When, Work,
};
pub use crate::gateway::Stats;
pub use crate::generic::ObjectSpec;
pub use crate::object::DataType;
pub use crate::simulator::{
    CompanyHandle, Credentials, Record, RunningSimulator, Simulator, SimulatorBuilder,
};
pub use crate::tier::Tier;
pub use sim_http::script::Fired;
pub use sim_http::{Error, ErrorKind};

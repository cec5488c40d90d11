//! The client against gateways: one that follows a script, with every failure shape, and the simulator.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod behaviours;
#[cfg(feature = "source")]
mod deletes;
#[cfg(feature = "source")]
mod discovery;
mod error_table;
mod failures;
mod faulted;
mod functions;
mod limits;
mod logs;
mod paging;
#[cfg(feature = "source")]
mod reading;
mod script;
mod sessions;
mod stories;
mod zone;

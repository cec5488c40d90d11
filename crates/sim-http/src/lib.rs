#![doc = include_str!("../README.md")]

pub mod answer;
pub mod clock;
pub mod control;
pub mod document;
pub mod endpoint;
mod error;
pub mod script;
pub mod sleeper;

pub use crate::answer::{Answer, Delivery};
pub use crate::clock::Clock;
pub use crate::endpoint::{Bound, Connection, Endpoint, Server};
pub use crate::error::{Error, ErrorKind};
pub use crate::sleeper::Sleeper;

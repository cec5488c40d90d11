#![doc = include_str!("../README.md")]

mod batch;
mod calls;
mod classify;
mod client;
pub mod config;
mod endpoint;
mod error;
mod function;
mod page;
mod query;
mod read_by_query;
mod session;
#[cfg(feature = "source")]
pub mod source;
mod transport;
pub mod walk;

pub use calls::{CallCount, CallCounts};
pub use client::{Client, SessionInfo};
pub use config::{ClientConfig, Credentials, EndpointTrust, Sender, SessionPolicy, User};
pub use error::{Error, ErrorKind, Reason, Result};
pub use function::FunctionAnswer;
pub use page::{Page, Pages};
pub use sync_http::{Phase, Retry};
pub use walk::{Cursor, Walk, WalkPage, WalkSpec};

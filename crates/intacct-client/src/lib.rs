#![doc = include_str!("../README.md")]

mod aggregate;
mod batch;
mod calls;
mod classify;
mod client;
mod company;
pub mod config;
mod endpoint;
mod error;
mod forecast;
mod function;
mod limits;
mod listing;
mod once;
mod page;
mod query;
mod quiet;
mod read_by_query;
mod receive;
mod report;
mod scrub;
mod session;
#[cfg(feature = "source")]
pub mod source;
mod source_zone;
mod transport;
pub mod walk;

pub use aggregate::Group;
pub use calls::{CallCount, CallCounts};
pub use client::{Client, SessionInfo};
pub use config::{ClientConfig, Credentials, EndpointTrust, Sender, SessionPolicy, User};
pub use error::{Error, ErrorKind, Reason, Result};
pub use forecast::{Forecast, ObjectForecast, Planned};
pub use function::FunctionAnswer;
pub use limits::CompanyLimits;
pub use once::FunctionOutcome;
pub use page::{Page, Pages};
pub use quiet::{InQuietHours, QuietHours};
pub use report::ReportPolling;
pub use source_zone::SourceZone;
pub use sync_error::{Phase, Retry};
pub use walk::{Cursor, Walk, WalkPage, WalkSpec};

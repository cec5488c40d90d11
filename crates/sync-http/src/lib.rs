#![doc = include_str!("../README.md")]

mod answer;
pub mod budget;
pub mod client;
pub mod clock;
mod error;
pub mod http_date;
pub mod limit;
pub mod redact;
pub mod retry;
pub mod token;

pub use answer::{Answer, Incoming};
pub use budget::{BudgetOptions, RetryBudget};
pub use client::{Client, ClientOptions, ProxyMode, Request};
pub use clock::{Clock, ManualClock, Moment, Sleeper, SystemClock, Timing};
pub use error::{Error, ErrorKind, Result};
pub use limit::{LimitOptions, Limiter, Permit, Window};
pub use redact::{Redacted, redact_headers, redact_xml};
pub use reqwest::Method;
/// Header names, values and maps: the `http` crate's.
pub use reqwest::header;
pub use retry::{Failure, Jitter, Phase, Retry, RetryPolicy, Stopped, retry};
pub use token::{Fetched, Token, TokenCache, TokenCacheOptions};

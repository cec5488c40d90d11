//! Whose progress it is, and who may change it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::id::RunId;
use crate::stream::StreamName;

/// Whose progress it is: one stream of one pipeline on its way to one sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name.
    pub sink: String,
    /// The stream.
    pub stream: StreamName,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pipeline, self.sink, self.stream)
    }
}

/// A number that grows each time a stream's lease changes hands. Whoever shows an older one than the
/// lease has is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub u64);

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a run shows with every change that it makes: which progress it changes, and by which right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// Whose progress it changes.
    pub scope: Scope,
    /// The token of the lease that it was given on the pipeline's stream.
    pub token: FencingToken,
}

/// Who holds a lease, as a person would look for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The process's number there.
    pub process: u32,
}

impl Holder {
    /// This process on this machine, by the name that the operating system or the environment gives it.
    pub fn this_process() -> Self {
        let by_system = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let by_environment = || {
            let named = ["HOSTNAME", "COMPUTERNAME"];
            named.iter().find_map(|name| std::env::var(name).ok())
        };
        let host = by_system.or_else(by_environment).unwrap_or_default();
        let host = match host.trim() {
            "" => "a host without a name",
            name => name,
        };
        Self {
            host: host.to_owned(),
            process: std::process::id(),
        }
    }
}

/// What a run asks for before it touches a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// The run.
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// The stream.
    pub stream: StreamName,
    /// Who asks.
    pub holder: Holder,
    /// How long it is given unless it is renewed.
    pub duration: Duration,
}

/// The right to run a stream of a pipeline until a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Lease {
    /// The pipeline's name.
    pub pipeline: String,
    /// The stream.
    pub stream: StreamName,
    /// What its holder shows.
    pub token: FencingToken,
    /// The run that it was given to.
    pub run: RunId,
    /// Who holds it.
    pub holder: Holder,
    /// Since when, by the store's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Until when unless it is renewed, by the store's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

impl Lease {
    /// What a store gives at this time.
    pub fn granted(request: &LeaseRequest, token: FencingToken, now: OffsetDateTime) -> Self {
        Self {
            pipeline: request.pipeline.clone(),
            stream: request.stream.clone(),
            token,
            run: request.run,
            holder: request.holder.clone(),
            since: now,
            until: now + request.duration,
        }
    }

    /// Whether it is the same grant, renewed or not.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.token == other.token && self.pipeline == other.pipeline && self.stream == other.stream
    }

    /// What its holder shows when it changes the progress of a sink.
    pub fn claim(&self, sink: impl Into<String>) -> Claim {
        Claim {
            run: self.run,
            scope: Scope {
                pipeline: self.pipeline.clone(),
                sink: sink.into(),
                stream: self.stream.clone(),
            },
            token: self.token,
        }
    }
}

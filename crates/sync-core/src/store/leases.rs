//! Which run has which stream.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::scope::{Claim, FencingToken, Scope};
use crate::error::Result;
use crate::id::RunId;
use crate::stream::StreamName;

/// Keeps two runs apart that would change the same stream.
#[async_trait]
pub trait LeaseStore: Debug + Send + Sync {
    /// Gives a stream of a pipeline to a run, which then is the only one that may change its progress
    /// towards whatever sink.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where another run holds it and its time is not over; the error says which
    /// host and process, since when and until when.
    async fn acquire(&self, request: &LeaseRequest) -> Result<Lease>;

    /// Puts off the end of a lease: from now so long.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where it was taken over.
    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Lease>;

    /// Gives a stream back. One that was taken over meanwhile is no error.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Notes, in memory alone, that a holder in this process is gone and could not give its stream back,
    /// so that the next one through this handle need not wait.
    fn abandon(&self, lease: &Lease);

    /// The leases that were neither given back nor taken over, also those whose time is over.
    async fn leases(&self) -> Result<Vec<Lease>>;
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

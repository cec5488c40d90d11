//! Whose progress it is, and who may change it.

use std::fmt;

use serde::{Deserialize, Serialize};

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

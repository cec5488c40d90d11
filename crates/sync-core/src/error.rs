//! What went wrong, to what, whether to try again, and what may already have happened: the error of sources, sinks,
//! stores and the pipeline, in the words that all parts share.

pub use sync_error::{Error, ErrorKind, Phase, Retry};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

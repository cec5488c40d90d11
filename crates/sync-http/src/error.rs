//! What went wrong, to whom, whether trying again can help, and whether the request may have been carried out.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::retry::{Phase, Retry};

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or a request cannot work as given. Nothing was sent.
    Config,
    /// A connect, read or total timeout ran out.
    Timeout,
    /// The server could not be reached, or the connection broke before the answer was whole.
    Unavailable,
    /// The server answered something that this client does not accept, such as a redirect.
    Protocol,
    /// A limit of this client was exceeded; the message names the limit and how to change it.
    Limit,
    /// Something in this program that should not happen.
    Internal,
}

impl ErrorKind {
    /// The kind's name, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::Limit => "limit",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of this crate. Cheap to clone. Never holds a body, a secret or a URL's path or query.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    retry: Retry,
    phase: Phase,
    exhausted: bool,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, phase: Phase, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::Timeout | ErrorKind::Unavailable => Retry::Backoff,
            _ => Retry::Never,
        };
        Self(Arc::new(Inner {
            kind,
            retry,
            phase,
            exhausted: false,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    pub(crate) fn with_context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0)
            .context
            .push((name, value.into()));
        self
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::new(source));
        self
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same request may be sent again, and when. `Never` once the error is [exhausted](Self::exhausted).
    #[must_use]
    pub fn retry(&self) -> Retry {
        if self.0.exhausted {
            Retry::Never
        } else {
            self.0.retry
        }
    }

    /// How far the request got: whether the server may have carried it out.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Whether retries were already spent on it, so that outer layers do not retry again.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.0.exhausted
    }

    /// Facts beside the message, as pairs of name and value.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// The same error, marked as one that retries were spent on.
    #[must_use]
    pub fn into_exhausted(mut self) -> Self {
        Arc::make_mut(&mut self.0).exhausted = true;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (position, (name, value)) in self.0.context.iter().enumerate() {
            let opening = if position == 0 { " (" } else { ", " };
            write!(f, "{opening}{name}: {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("retry", &self.0.retry)
            .field("phase", &self.0.phase)
            .field("exhausted", &self.0.exhausted)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

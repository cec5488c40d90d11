//! What went wrong, to what, whether to try again, and what may already have happened.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The area of a failure: who has to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing, malformed or contradicts another.
    Config,
    /// Credentials were refused.
    Auth,
    /// The credentials are good, but do not grant this.
    Permission,
    /// The named thing does not exist.
    NotFound,
    /// The other side asks for fewer requests.
    Throttled,
    /// No answer in time.
    Timeout,
    /// The other side cannot be reached, or says that it is not in service.
    Unavailable,
    /// The other side understood the request and refused it.
    Rejected,
    /// The answer is not what the protocol promises.
    Protocol,
    /// A value cannot be represented without loss.
    Data,
    /// The state is not the one that this step needs: held by somebody else, or changed underneath.
    Conflict,
    /// The other side cannot do this at all.
    Unsupported,
    /// A broken invariant of this software.
    Internal,
}

impl ErrorKind {
    /// The kind in lower case, as it stands in reports and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::NotFound => "not found",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Protocol => "protocol",
            Self::Data => "data",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether, and when, the same request may be made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Not before somebody has changed something.
    #[default]
    Never,
    /// After a growing delay.
    Backoff,
    /// After this long, because the other side said so.
    After(Duration),
    /// After new credentials were fetched.
    AfterRefresh,
}

/// How far a request had come: whether it may have had its effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It never left.
    #[default]
    NotSent,
    /// It may have been received; its effect is not known.
    MaybeReceived,
    /// It was answered.
    Answered,
}

/// The error of sources, sinks, stores and the pipeline.
///
/// `Display` is one line without the causes; walk [`std::error::Error::source`] for those.
/// It never carries a secret, a request or answer body, or a URL with a query.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    phase: Phase,
    exhausted: bool,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that says what happened, and what to do where that is known.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: Retry::Never,
            phase: Phase::NotSent,
            exhausted: false,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Adds what it happened to, such as `("stream", "vendor")`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.context.push((name, value.into()));
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says whether to try again.
    #[must_use]
    pub fn retrying(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says how far the request had come.
    #[must_use]
    pub fn in_phase(mut self, phase: Phase) -> Self {
        self.0.phase = phase;
        self
    }

    /// Marks that the attempts allowed were made, so that outer layers do not start again.
    #[must_use]
    pub fn exhausted(mut self) -> Self {
        self.0.exhausted = true;
        self
    }

    /// The area of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether to try again; [`Retry::Never`] once the attempts are used up.
    pub fn retry(&self) -> Retry {
        if self.0.exhausted {
            Retry::Never
        } else {
            self.0.retry
        }
    }

    /// How far the request had come.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Whether the attempts allowed were made.
    pub fn is_exhausted(&self) -> bool {
        self.0.exhausted
    }

    /// What it happened to, in the order in which it was added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0
            .context
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// The error and all its causes in one line, for logs and the ledger.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (position, (name, value)) in self.context().enumerate() {
            let opening = if position == 0 { " (" } else { ", " };
            write!(f, "{opening}{name}: {value}")?;
        }
        if self.0.context.is_empty() {
            Ok(())
        } else {
            f.write_str(")")
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("phase", &self.0.phase)
            .field("exhausted", &self.0.exhausted)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_and_to_what_and_the_chain_says_why() {
        let cause = std::io::Error::other("disk full");
        let error = Error::new(ErrorKind::Unavailable, "the batch could not be spooled")
            .with("stream", "vendor")
            .with("folder", "spool")
            .retrying(Retry::Backoff)
            .caused_by(cause);
        assert_eq!(
            error.to_string(),
            "the batch could not be spooled (stream: vendor, folder: spool)"
        );
        assert_eq!(
            error.chain(),
            "the batch could not be spooled (stream: vendor, folder: spool): disk full"
        );
        assert_eq!(error.retry(), Retry::Backoff);
        assert_eq!(error.exhausted().retry(), Retry::Never);
    }
}

//! What went wrong, to what, whether to try again, and what may already have happened.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::kind::ErrorKind;
use crate::retry::{Phase, Retry};

/// Characters of the other side's words in a line: enough for what vendors document, short enough for a log.
const LONGEST_WORDS: usize = 400;

/// What went wrong, to what, whether to try again, and what may already have happened. Cheap to clone.
///
/// `Display` is one line without the causes; walk [`std::error::Error::source`] for those, or take [`Error::chain`].
/// It never carries a secret, a request or answer body, or a URL with a query.
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
    /// An error that says what happened, and what to do where that is known. Never to be retried and not sent, unless
    /// that is said.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
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
        self.inner().context.push((name, value.into()));
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner().source = Some(Arc::from(source.into()));
        self
    }

    /// Says whether to try again.
    #[must_use]
    pub fn retrying(mut self, retry: Retry) -> Self {
        self.inner().retry = retry;
        self
    }

    /// Says how far the request had come.
    #[must_use]
    pub fn in_phase(mut self, phase: Phase) -> Self {
        self.inner().phase = phase;
        self
    }

    /// Marks that the attempts allowed were made, so that outer layers do not start again.
    #[must_use]
    pub fn exhausted(mut self) -> Self {
        self.inner().exhausted = true;
        self
    }

    /// The same failure, said in other words.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.inner().message = message.into();
        self
    }

    /// Retry, phase and exhaustion of another error: of the one that this one tells to the next layer.
    #[must_use]
    pub fn following(mut self, other: &Self) -> Self {
        let inner = self.inner();
        inner.retry = other.0.retry;
        inner.phase = other.0.phase;
        inner.exhausted = other.0.exhausted;
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// The area of the failure: who has to act on it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same request may be made again, and when; [`Retry::Never`] once the attempts are used up.
    #[must_use]
    pub fn retry(&self) -> Retry {
        if self.0.exhausted {
            Retry::Never
        } else {
            self.0.retry
        }
    }

    /// How far the request had come: whether it may have had its effect.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Whether the attempts allowed were made, so that outer layers do not retry at once.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.0.exhausted
    }

    /// Whether it may go away by itself, even if retries were spent on it: worth another run later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.retry != Retry::Never
    }

    /// What it happened to, in the order in which it was added, as pairs of name and value.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let facts = self.0.context.iter();
        facts.map(|(name, value)| (*name, value.as_str()))
    }

    /// The value of one name in the context, where it has one.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        let mut facts = self.context();
        facts.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The error and all its causes in one line, for logs and the ledger.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Writes the line of `Display`, with the other side's words behind the message, shortened, and more facts behind
    /// the context; for errors that hold this one and say more.
    ///
    /// # Errors
    /// Those of the formatter.
    pub fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        words: Option<&str>,
        more: Option<(&str, &dyn fmt::Display)>,
    ) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(words) = words {
            match words.char_indices().nth(LONGEST_WORDS) {
                Some((end, _)) => write!(f, ": {}…", words.get(..end).unwrap_or_default())?,
                None => write!(f, ": {words}")?,
            }
        }
        let facts = self.0.context.iter();
        let facts = facts.map(|(name, value)| (*name, value as &dyn fmt::Display));
        let mut opening = " (";
        for (name, value) in facts.chain(more) {
            write!(f, "{opening}{name}: {value}")?;
            opening = ", ";
        }
        f.write_str(if opening == ", " { ")" } else { "" })
    }

    /// Adds its fields to a report; for errors that hold this one and say more.
    pub fn debug(&self, report: &mut fmt::DebugStruct<'_, '_>) {
        report
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("phase", &self.0.phase)
            .field("exhausted", &self.0.exhausted)
            .field("message", &self.0.message)
            .field("context", &self.0.context)
            .field("source", &self.0.source);
    }
}

/// An error and all its causes in one line; a cause that the line before it tells already is left out.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None, None)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut report = f.debug_struct("Error");
        self.debug(&mut report);
        report.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref();
        source.map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spooling() -> Error {
        Error::new(ErrorKind::Unavailable, "the batch could not be spooled")
    }

    #[test]
    fn one_line_says_what_and_to_what_and_the_chain_says_why() {
        let error = spooling()
            .with("stream", "vendor")
            .with("folder", "spool")
            .retrying(Retry::Backoff)
            .caused_by(std::io::Error::other("disk full"));
        assert_eq!(
            error.to_string(),
            "the batch could not be spooled (stream: vendor, folder: spool)"
        );
        assert_eq!(
            error.chain(),
            "the batch could not be spooled (stream: vendor, folder: spool): disk full"
        );
        assert_eq!(error.fact("folder"), Some("spool"));
        assert_eq!(error.fact("batch"), None);
        assert_eq!(error.retry(), Retry::Backoff);
        assert_eq!(error.exhausted().retry(), Retry::Never);
    }

    #[test]
    fn the_next_layer_hears_what_may_be_done() {
        let wait = Retry::After(Duration::from_secs(5));
        let inner = spooling().retrying(wait).in_phase(Phase::Answered);
        let outer = Error::new(inner.kind(), "the run stopped").following(&inner);
        assert_eq!((outer.retry(), outer.phase()), (wait, Phase::Answered));
        let spent = Error::new(inner.kind(), "the run stopped").following(&inner.exhausted());
        assert!(spent.is_exhausted() && spent.is_transient());
        assert_eq!(spent.retry(), Retry::Never);
        assert!(!outer.is_exhausted());
    }

    #[test]
    fn words_of_others_are_shortened_and_stand_before_the_facts() {
        struct Told<'a>(Error, &'a str);
        impl fmt::Display for Told<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write(f, Some(self.1), Some(("http_status", &503)))
            }
        }
        let told = Told(spooling(), "try later").to_string();
        assert_eq!(
            told,
            "the batch could not be spooled: try later (http_status: 503)"
        );
        let long = "ä".repeat(500);
        let told = Told(spooling().with("stream", "vendor"), &long).to_string();
        assert!(told.ends_with("ä… (stream: vendor, http_status: 503)"));
        assert_eq!(told.matches('ä').count(), LONGEST_WORDS);
    }
}

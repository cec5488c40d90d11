//! What waits where an answer is to be late.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits for a while: by the real clock, unless a test replaces it. Cheap to clone.
#[derive(Clone)]
pub struct Sleeper(Arc<dyn Fn(Duration) -> Wait + Send + Sync>);

impl Sleeper {
    /// Waits by `sleeper`.
    pub fn new<F>(sleeper: impl Fn(Duration) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |duration| Box::pin(sleeper(duration))))
    }

    /// Waits for `duration`. What it answers can be polled where it is.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + Unpin + use<> {
        (self.0)(duration)
    }
}

impl Default for Sleeper {
    fn default() -> Self {
        Self::new(tokio::time::sleep)
    }
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sleeper")
    }
}

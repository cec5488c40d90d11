//! What tells the time, so that tests can.

use std::fmt;
use std::sync::{Mutex, PoisonError};
#[cfg(feature = "pipeline")]
use std::time::Duration;

#[cfg(feature = "pipeline")]
use async_trait::async_trait;
use time::OffsetDateTime;

/// Tells the time, in UTC.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Now.
    fn now(&self) -> OffsetDateTime;
}

/// Waits.
#[cfg(feature = "pipeline")]
#[async_trait]
pub trait Sleeper: fmt::Debug + Send + Sync {
    /// Returns no earlier than so long from now. Dropping the future ends the wait.
    async fn sleep(&self, duration: Duration);
}

/// Waits by the timer of the Tokio runtime that it is used in, which must have one.
#[cfg(feature = "pipeline")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioSleeper;

#[cfg(feature = "pipeline")]
#[async_trait]
impl Sleeper for TokioSleeper {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct ManualClock(Mutex<OffsetDateTime>);

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now: OffsetDateTime) -> Self {
        Self(Mutex::new(now))
    }

    /// Shows another time from now on, earlier ones included.
    pub fn set(&self, now: OffsetDateTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The company's clock: starts at a fixed instant, runs with real time, and can be moved ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// Time as the company tells it, in seconds since 1970-01-01 UTC.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    base: AtomicI64,
}

impl Clock {
    pub(crate) fn starting_at(instant: i64) -> Self {
        Self {
            started: Instant::now(),
            base: AtomicI64::new(instant),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.base.load(Ordering::SeqCst) + self.elapsed()
    }

    pub(crate) fn advance(&self, seconds: u32) {
        self.base.fetch_add(i64::from(seconds), Ordering::SeqCst);
    }

    /// Moves the clock on to an instant; never back.
    pub(crate) fn move_to(&self, instant: i64) {
        self.base
            .fetch_max(instant - self.elapsed(), Ordering::SeqCst);
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX)
    }
}

//! A simulator's clock: starts at an instant, runs with real time, and can be moved ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Time in microseconds since 1970-01-01 UTC.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    base: AtomicI64,
}

impl Clock {
    pub(crate) fn starting_at(micros: i64) -> Self {
        Self {
            started: Instant::now(),
            base: AtomicI64::new(micros),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX / 2);
        self.base.load(Ordering::SeqCst).saturating_add(elapsed)
    }

    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX / 4);
        self.base.fetch_add(by, Ordering::SeqCst);
    }
}

//! A simulator's clock: starts at an instant, runs with real time, and can be moved ahead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Time since 1970-01-01 UTC, as a simulator tells it.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    /// Microseconds.
    base: AtomicI64,
}

impl Clock {
    /// A clock that shows so many microseconds now.
    pub fn starting_at_micros(micros: i64) -> Self {
        Self {
            started: Instant::now(),
            base: AtomicI64::new(micros),
        }
    }

    /// A clock that shows so many seconds now.
    pub fn starting_at(seconds: i64) -> Self {
        Self::starting_at_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// The time in microseconds.
    pub fn micros(&self) -> i64 {
        let base = self.base.load(Ordering::SeqCst);
        base.saturating_add(self.elapsed())
    }

    /// The time in whole seconds.
    pub fn seconds(&self) -> i64 {
        self.micros().div_euclid(MICROS_PER_SECOND)
    }

    /// Moves the clock ahead.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX / 4);
        self.base.fetch_add(by, Ordering::SeqCst);
    }

    /// Moves the clock on to an instant in seconds; never back.
    pub fn move_to(&self, seconds: i64) {
        let micros = seconds.saturating_mul(MICROS_PER_SECOND);
        self.base
            .fetch_max(micros.saturating_sub(self.elapsed()), Ordering::SeqCst);
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX / 2)
    }
}

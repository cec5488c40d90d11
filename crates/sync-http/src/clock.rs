//! Telling the time and waiting, behind traits that tests replace.
//!
//! Everything here that measures or waits takes a [`Timing`]. tokio's paused clock is not a substitute: with a
//! real socket in play it jumps whenever the runtime is idle, also when it is idle because it waits for the
//! network.

use std::fmt;
use std::ops::Add;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use time::OffsetDateTime;

/// Tells the time: the calendar's, and a count that never goes back.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time of day in UTC. May jump when the machine's clock is set.
    fn now(&self) -> OffsetDateTime;

    /// The time since some fixed origin; never goes back. For measuring how long something took or may last.
    fn monotonic(&self) -> Moment;
}

/// Waits.
#[async_trait]
pub trait Sleeper: fmt::Debug + Send + Sync {
    /// Returns no earlier than `duration` from now. Dropping the future ends the wait.
    async fn sleep(&self, duration: Duration);
}

/// A point on a clock's monotonic scale. Comparable only with moments of the same clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_origin` after the clock's origin.
    #[must_use]
    pub const fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates at the end of the scale.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// A clock and a sleeper that belong together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Timing {
    clock: Arc<dyn Clock>,
    sleeper: Arc<dyn Sleeper>,
}

impl Timing {
    /// A clock and the sleeper whose waits it measures.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, sleeper: Arc<dyn Sleeper>) -> Self {
        Self { clock, sleeper }
    }

    /// The machine's clock and tokio's timer.
    #[must_use]
    pub fn system() -> Self {
        let system = Arc::new(SystemClock);
        Self {
            clock: Arc::<SystemClock>::clone(&system),
            sleeper: system,
        }
    }

    /// The time of day in UTC.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// The monotonic time.
    #[must_use]
    pub fn monotonic(&self) -> Moment {
        self.clock.monotonic()
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.sleeper.sleep(duration).await;
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::system()
    }
}

impl From<ManualClock> for Timing {
    fn from(clock: ManualClock) -> Self {
        let clock = Arc::new(clock);
        Self {
            clock: Arc::<ManualClock>::clone(&clock),
            sleeper: clock,
        }
    }
}

/// The machine's clock, and tokio's timer. Sleeping needs a tokio runtime with its timer enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn monotonic(&self) -> Moment {
        static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        // Read before the clock: a first call must not find the origin in its own future.
        let origin = *ORIGIN;
        Moment(Instant::now().saturating_duration_since(origin))
    }
}

#[async_trait]
impl Sleeper for SystemClock {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock for tests: it stands still until it is advanced, and sleeping on it advances it at once.
///
/// Clones share the same time. Every sleep is recorded, so that a test asserts what would have been waited.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug)]
struct ManualState {
    start: OffsetDateTime,
    elapsed: Duration,
    sleeps: Vec<Duration>,
}

impl ManualClock {
    /// A clock that shows `start` and stands still.
    #[must_use]
    pub fn new(start: OffsetDateTime) -> Self {
        let state = ManualState {
            start,
            elapsed: Duration::ZERO,
            sleeps: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Moves the time on.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state();
        state.elapsed = state.elapsed.saturating_add(duration);
    }

    /// Every sleep so far, in order.
    #[must_use]
    pub fn sleeps(&self) -> Vec<Duration> {
        self.state().sleeps.clone()
    }

    fn state(&self) -> MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// Starts at the Unix epoch.
    fn default() -> Self {
        Self::new(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        let state = self.state();
        let elapsed = time::Duration::try_from(state.elapsed).unwrap_or(time::Duration::MAX);
        state.start.saturating_add(elapsed)
    }

    fn monotonic(&self) -> Moment {
        Moment(self.state().elapsed)
    }
}

#[async_trait]
impl Sleeper for ManualClock {
    async fn sleep(&self, duration: Duration) {
        {
            let mut state = self.state();
            state.elapsed = state.elapsed.saturating_add(duration);
            state.sleeps.push(duration);
        }
        // A loop that only sleeps must still let the other tasks of a test run.
        tokio::task::yield_now().await;
    }
}

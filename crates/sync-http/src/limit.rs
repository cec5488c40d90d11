//! Keeping within what a server allows: so many requests at once, so many in a stretch of time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::clock::{Moment, Timing};
use crate::error::{ErrorKind, Result, failed};
use crate::retry::Phase;

/// At most `amount` in any stretch of time as long as `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How much may pass: requests, or whatever unit the weights are in. At least 1.
    pub amount: u64,
    /// The length of the stretch.
    pub per: Duration,
}

/// What a [`Limiter`] allows. The default allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitOptions {
    /// Requests at once; none is no limit.
    pub concurrency: Option<usize>,
    /// Limits that all hold at the same time.
    pub windows: Vec<Window>,
}

impl LimitOptions {
    /// The same options with at most this many requests at once.
    #[must_use]
    pub const fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = Some(concurrency);
        self
    }

    /// The same options with one more window.
    #[must_use]
    pub fn with_window(mut self, amount: u64, per: Duration) -> Self {
        self.windows.push(Window { amount, per });
        self
    }
}

/// Hands out permits within the limits, first come, first served. Clones share the limits.
#[derive(Clone, Debug)]
pub struct Limiter {
    slots: Option<Arc<Slots>>,
    rate: Option<Arc<Rate>>,
    timing: Timing,
}

#[derive(Debug)]
struct Rate {
    windows: Vec<Window>,
    /// Whoever is at the head of the queue waits with this held, so that nobody overtakes.
    turnstile: Mutex<()>,
    passed: StdMutex<VecDeque<(Moment, u64)>>,
}

/// Requests at once.
#[derive(Debug)]
struct Slots {
    free: Arc<Semaphore>,
    most: usize,
    count: StdMutex<SlotCount>,
}

#[derive(Debug)]
struct SlotCount {
    now: usize,
    /// Slots that are gone as soon as the requests in them are.
    leaving: usize,
}

/// Leave to send one request. Its slot is free again once it is dropped.
#[derive(Debug)]
#[must_use = "the slot is free again as soon as the permit is dropped"]
pub struct Permit {
    slot: Option<(Arc<Slots>, OwnedSemaphorePermit)>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some((slots, slot)) = self.slot.take() else {
            return;
        };
        let mut count = slots.count();
        if count.leaving > 0 {
            count.leaving -= 1;
            slot.forget();
        }
    }
}

impl Limiter {
    /// A limiter with these limits.
    ///
    /// # Errors
    ///
    /// `Config` when a limit is zero, which would let nothing pass ever.
    pub fn new(options: LimitOptions, timing: Timing) -> Result<Self> {
        let slots = options.concurrency.map(slots).transpose()?;
        if let Some(window) = options.windows.iter().find(|window| window.amount == 0) {
            let message = "a window that allows nothing would hold every request for ever; \
                           allow at least 1 or leave the window out";
            return Err(failed(ErrorKind::Config, Phase::NotSent, message)
                .with("seconds", window.per.as_secs().to_string()));
        }
        let rate = (!options.windows.is_empty()).then(|| {
            Arc::new(Rate {
                windows: options.windows,
                turnstile: Mutex::new(()),
                passed: StdMutex::new(VecDeque::new()),
            })
        });
        Ok(Self {
            slots,
            rate,
            timing,
        })
    }

    /// Waits for leave to send one request of weight 1.
    ///
    /// # Errors
    ///
    /// None today beyond those of [`acquire_weight`](Self::acquire_weight).
    pub async fn acquire(&self) -> Result<Permit> {
        self.acquire_weight(1).await
    }

    /// Waits for leave to send one request that counts `weight` in every window. Dropping the future gives up the
    /// place in the queue and costs nothing.
    ///
    /// # Errors
    ///
    /// `Limit` when `weight` is more than a window ever allows.
    pub async fn acquire_weight(&self, weight: u64) -> Result<Permit> {
        let slot = match &self.slots {
            Some(slots) => {
                let slot = Arc::clone(&slots.free).acquire_owned().await;
                let slot = slot.map_err(|closed| {
                    let message = "the limiter was closed";
                    failed(ErrorKind::Internal, Phase::NotSent, message).caused_by(closed)
                })?;
                Some((Arc::clone(slots), slot))
            }
            None => None,
        };
        if let Some(rate) = &self.rate {
            rate.pass(weight, &self.timing).await?;
        }
        Ok(Permit { slot })
    }

    /// How many requests may be under way at once now; none if that is not limited.
    #[must_use]
    pub fn at_once(&self) -> Option<usize> {
        let slots = self.slots.as_ref()?;
        Some(slots.count().now)
    }

    /// From now on one request less at once, if it is more than one: the server bears fewer than was thought. Those
    /// under way go on. False where nothing changes.
    pub fn narrow(&self) -> bool {
        let Some(slots) = &self.slots else {
            return false;
        };
        let mut count = slots.count();
        if count.now <= 1 {
            return false;
        }
        count.now -= 1;
        if slots.free.forget_permits(1) == 0 {
            count.leaving += 1;
        }
        true
    }

    /// One request more at once again, up to [`LimitOptions::concurrency`]. False where nothing changes.
    pub fn widen(&self) -> bool {
        let Some(slots) = &self.slots else {
            return false;
        };
        let mut count = slots.count();
        if count.now >= slots.most {
            return false;
        }
        count.now += 1;
        if count.leaving > 0 {
            count.leaving -= 1;
        } else {
            slots.free.add_permits(1);
        }
        true
    }
}

impl Slots {
    fn count(&self) -> MutexGuard<'_, SlotCount> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slots(concurrency: usize) -> Result<Arc<Slots>> {
    if concurrency == 0 || concurrency > Semaphore::MAX_PERMITS {
        let message = "the number of requests at once must be at least 1 and not absurdly large";
        return Err(failed(ErrorKind::Config, Phase::NotSent, message)
            .with("concurrency", concurrency.to_string()));
    }
    Ok(Arc::new(Slots {
        free: Arc::new(Semaphore::new(concurrency)),
        most: concurrency,
        count: StdMutex::new(SlotCount {
            now: concurrency,
            leaving: 0,
        }),
    }))
}

impl Rate {
    async fn pass(&self, weight: u64, timing: &Timing) -> Result<()> {
        if let Some(window) = self.windows.iter().find(|window| window.amount < weight) {
            let message = "the request weighs more than its window ever allows; make it smaller";
            return Err(failed(ErrorKind::Limit, Phase::NotSent, message)
                .with("weight", weight.to_string())
                .with("allowed", window.amount.to_string()));
        }
        let _turn = self.turnstile.lock().await;
        loop {
            let wait = self.try_pass(weight, timing.monotonic());
            if wait.is_zero() {
                return Ok(());
            }
            timing.sleep(wait).await;
        }
    }

    /// Notes the request and returns zero, or returns how long until it can pass.
    fn try_pass(&self, weight: u64, now: Moment) -> Duration {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = self
            .windows
            .iter()
            .map(|window| window.per)
            .max()
            .unwrap_or_default();
        while passed.front().is_some_and(|(at, _)| *at + longest <= now) {
            passed.pop_front();
        }
        let wait = self
            .windows
            .iter()
            .map(|window| window.wait(&passed, weight, now))
            .max();
        let wait = wait.unwrap_or_default();
        if wait.is_zero() {
            passed.push_back((now, weight));
        }
        wait
    }
}

impl Window {
    /// How long until `weight` fits, given what has passed.
    fn wait(&self, passed: &VecDeque<(Moment, u64)>, weight: u64, now: Moment) -> Duration {
        let mut used = weight;
        for (at, earlier) in passed.iter().rev() {
            let leaves = *at + self.per;
            if leaves <= now {
                break;
            }
            used = used.saturating_add(*earlier);
            if used > self.amount {
                return leaves.since(now);
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::{LimitOptions, Limiter};
    use crate::clock::{Clock, ManualClock, Timing};
    use crate::error::ErrorKind;

    fn limiter(options: LimitOptions, clock: &ManualClock) -> Limiter {
        Limiter::new(options, Timing::from(clock.clone())).unwrap()
    }

    #[tokio::test]
    async fn bears_fewer_at_once_after_it_was_too_many_and_more_again() {
        let limiter = limiter(
            LimitOptions::default().with_concurrency(3),
            &ManualClock::default(),
        );
        let is_free = || limiter.acquire().now_or_never().is_some();
        assert!(limiter.narrow());
        let first = limiter.acquire().await.unwrap();
        let second = limiter.acquire().await.unwrap();
        assert!(!is_free(), "a free slot is gone at once");
        assert!(limiter.narrow());
        assert!(!limiter.narrow(), "one is always left");
        assert_eq!(limiter.at_once(), Some(1));
        drop(first);
        assert!(!is_free(), "a slot in use is gone with its request");
        drop(second);
        assert!(is_free());
        assert!(limiter.widen() && limiter.widen() && !limiter.widen());
        let held = [limiter.acquire().await, limiter.acquire().await];
        assert!(held.iter().all(Result::is_ok) && is_free());
        let _third = limiter.acquire().await;
        assert!(!is_free());
    }

    #[tokio::test]
    async fn holds_back_more_than_so_many_at_once() {
        let limiter = limiter(
            LimitOptions::default().with_concurrency(2),
            &ManualClock::default(),
        );
        let first = limiter.acquire().await.unwrap();
        let _second = limiter.acquire().await.unwrap();
        assert!(limiter.acquire().now_or_never().is_none());
        drop(first);
        assert!(limiter.acquire().now_or_never().is_some());
    }

    #[test]
    fn refuses_limits_that_let_nothing_pass() {
        let timing = Timing::from(ManualClock::default());
        for options in [
            LimitOptions::default().with_concurrency(0),
            LimitOptions::default().with_window(0, Duration::from_secs(1)),
        ] {
            let error = Limiter::new(options, timing.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[tokio::test]
    async fn refuses_a_weight_that_never_fits() {
        let options = LimitOptions::default().with_window(5, Duration::from_secs(1));
        let error = limiter(options, &ManualClock::default())
            .acquire_weight(6)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }

    proptest! {
        /// No stretch of a window's length ever holds more than the window allows, and nothing waits for nothing.
        #[test]
        fn keeps_every_window(
            windows in proptest::collection::vec((3_u64..8, 1_u64..50), 1..3),
            arrivals in proptest::collection::vec((0_u64..10, 1_u64..4), 1..80),
        ) {
            let clock = ManualClock::default();
            let mut options = LimitOptions::default();
            for (amount, seconds) in &windows {
                options = options.with_window(*amount, Duration::from_secs(*seconds));
            }
            let limiter = limiter(options, &clock);
            let mut passed = Vec::new();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for (pause, weight) in arrivals {
                    clock.advance(Duration::from_secs(pause));
                    let _permit = limiter.acquire_weight(weight).await.unwrap();
                    passed.push((clock.monotonic(), weight));
                }
            });
            for (amount, seconds) in windows {
                for (start, _) in &passed {
                    let end = *start + Duration::from_secs(seconds);
                    let within: u64 = passed.iter()
                        .filter(|(at, _)| at >= start && *at < end)
                        .map(|(_, weight)| weight).sum();
                    prop_assert!(within <= amount);
                }
            }
            prop_assert!(clock.sleeps().iter().all(|sleep| !sleep.is_zero()));
        }
    }
}

//! Trying again: how often, how long apart, and when not.

use std::future::Future;
use std::time::Duration;

use fastrand::Rng;
pub use sync_error::{Phase, Retry};
use time::OffsetDateTime;

use crate::budget::RetryBudget;
use crate::clock::Timing;
use crate::error::Error;
use crate::http_date::parse_http_date;

/// How often, how long apart and how long in all a request is tried.
///
/// The step before retry *n* is `min(cap, base * 2^(n-1))`; the wait is drawn around it as [`Jitter`] says, so that
/// clients that failed together do not come back together. A server's Retry-After takes its place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all, the first included. At least one is made whatever this says. Default 5.
    pub max_attempts: u32,
    /// The step before the first retry. Default 1 second.
    pub base: Duration,
    /// The longest step. Default 30 seconds.
    pub cap: Duration,
    /// How waits are drawn around their step. Default [`Jitter::Full`].
    pub jitter: Jitter,
    /// No retry starts later than this after the first attempt began. A running attempt is not cut short; that is
    /// what the client's timeouts are for. Default 15 minutes.
    pub deadline: Duration,
    /// A server that asks for a longer wait than this is asked again after this long. Default 5 minutes.
    pub max_retry_after: Duration,
    /// The seed of the jitter; none draws one. For tests.
    pub seed: Option<u64>,
}

/// How a wait is drawn around its step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Evenly from zero to the step: the least load on a server that many clients share.
    #[default]
    Full,
    /// The step and up to half as much again: for a server whose vendor names the steps as the least to wait.
    Above,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            jitter: Jitter::Full,
            deadline: Duration::from_secs(15 * 60),
            max_retry_after: Duration::from_secs(5 * 60),
            seed: None,
        }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// The same policy with this many attempts in all.
    #[must_use]
    pub const fn with_max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts;
        self
    }

    /// The same policy with waits drawn in this way.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same policy with these steps: before the first retry, and the longest.
    #[must_use]
    pub const fn with_backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.base = base;
        self.cap = cap;
        self
    }

    /// The same policy with this total deadline.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same policy with this bound on what a server may ask for.
    #[must_use]
    pub const fn with_max_retry_after(mut self, max_retry_after: Duration) -> Self {
        self.max_retry_after = max_retry_after;
        self
    }

    /// The same policy with waits that repeat from run to run.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The step before retry `retry`, counted from 1: with full jitter the longest wait.
    #[must_use]
    pub fn ceiling(&self, retry: u32) -> Duration {
        let doublings = retry.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    fn rng(&self) -> Rng {
        self.seed.map_or_else(Rng::new, Rng::with_seed)
    }

    /// How long to wait before retry `retry`, counted from 1; `None` when `decision` is not to retry.
    fn wait(&self, decision: Retry, retry: u32, rng: &mut Rng) -> Option<Duration> {
        match decision {
            Retry::Backoff => {
                let step = self.ceiling(retry);
                Some(match self.jitter {
                    Jitter::Full => full_jitter(step, rng),
                    Jitter::Above => step.saturating_add(full_jitter(step / 2, rng)),
                })
            }
            Retry::After(asked) => Some(asked.min(self.max_retry_after)),
            // Only the caller can refresh; it does so inside its operation.
            _ => None,
        }
    }
}

fn full_jitter(ceiling: Duration, rng: &mut Rng) -> Duration {
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.u64(0..=nanos))
}

/// Why a [`retry`] loop gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// The error was not one to retry.
    NotRetryable,
    /// The policy's attempts were used up.
    Attempts,
    /// The next wait would have ended after the policy's deadline.
    Deadline,
    /// The shared retry budget was empty.
    Budget,
}

/// The last error of a [`retry`] loop and how it came to be the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<E> {
    /// The last attempt's error.
    pub error: E,
    /// Attempts made.
    pub attempts: u32,
    /// From the start of the first attempt to the end of the last.
    pub elapsed: Duration,
    /// Why there was no further attempt.
    pub stopped: Stopped,
}

impl<E> Failure<E> {
    /// Whether the error would have been retried, had there been attempts, time and budget left. Outer layers must
    /// not retry such an error again.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.stopped != Stopped::NotRetryable
    }
}

impl From<Failure<Error>> for Error {
    fn from(failure: Failure<Error>) -> Self {
        if failure.exhausted() {
            failure.error.exhausted()
        } else {
            failure.error
        }
    }
}

/// Calls `op` until it succeeds, or its error is one that `classify` does not retry, or attempts, time or budget
/// are used up.
///
/// `op` gets the attempt's number, counted from 1. `classify` decides for each error; a wait it asks for with
/// [`Retry::After`] is bounded by the policy. Dropping the future ends the loop at once, in an attempt or in a
/// wait: nothing runs on in the background.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use sync_http::{ManualClock, Retry, RetryBudget, RetryPolicy, Timing, retry};
///
/// let clock = ManualClock::default();
/// let outcome = retry(
///     &RetryPolicy::default(),
///     &RetryBudget::unlimited(),
///     &Timing::from(clock.clone()),
///     |_error: &&str| Retry::Backoff,
///     |attempt| async move { if attempt < 3 { Err("not yet") } else { Ok(attempt) } },
/// )
/// .await;
/// assert_eq!(outcome.unwrap(), 3);
/// assert_eq!(clock.sleeps().len(), 2);
/// # });
/// ```
pub async fn retry<T, E, C, O, F>(
    policy: &RetryPolicy,
    budget: &RetryBudget,
    timing: &Timing,
    mut classify: C,
    mut op: O,
) -> Result<T, Failure<E>>
where
    C: FnMut(&E) -> Retry,
    O: FnMut(u32) -> F,
    F: Future<Output = Result<T, E>>,
{
    let start = timing.monotonic();
    let mut rng = policy.rng();
    let mut attempts = 0_u32;
    budget.deposit(timing.monotonic());
    loop {
        attempts = attempts.saturating_add(1);
        let error = match op(attempts).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let now = timing.monotonic();
        let elapsed = now.since(start);
        let stopped = match policy.wait(classify(&error), attempts, &mut rng) {
            None => Stopped::NotRetryable,
            Some(_) if attempts >= policy.max_attempts => Stopped::Attempts,
            Some(wait) if elapsed.saturating_add(wait) > policy.deadline => Stopped::Deadline,
            Some(_) if !budget.withdraw(now) => Stopped::Budget,
            Some(wait) => {
                tracing::debug!(attempt = attempts, wait_ms = millis(wait), "retrying");
                timing.sleep(wait).await;
                continue;
            }
        };
        return Err(Failure {
            error,
            attempts,
            elapsed,
            stopped,
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads the value of a `Retry-After` header: seconds, or an HTTP date measured against `now`.
///
/// `now` should be the answer's own `Date` where it has one, so that a wrong local clock does no harm. A date in
/// the past is a wait of zero. Anything else gives `None`. Not bounded: [`RetryPolicy::max_retry_after`] does
/// that.
#[must_use]
pub fn parse_retry_after(value: &str, now: OffsetDateTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is still a wait, and is bounded later.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = parse_http_date(value)?;
    Some(Duration::try_from(until - now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use time::macros::datetime;

    use super::{Jitter, Retry, RetryPolicy, Stopped, full_jitter, parse_retry_after, retry};
    use crate::budget::{BudgetOptions, RetryBudget};
    use crate::clock::{ManualClock, Timing};

    fn run(
        policy: &RetryPolicy,
        budget: &RetryBudget,
        clock: &ManualClock,
        decision: Retry,
    ) -> super::Failure<u32> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime
            .block_on(retry(
                policy,
                budget,
                &Timing::from(clock.clone()),
                |_: &u32| decision,
                |attempt| async move { Err::<(), u32>(attempt) },
            ))
            .unwrap_err()
    }

    #[test]
    fn stops_at_once_when_it_cannot_help() {
        for decision in [Retry::Never, Retry::AfterRefresh] {
            let clock = ManualClock::default();
            let failure = run(
                &RetryPolicy::default(),
                &RetryBudget::unlimited(),
                &clock,
                decision,
            );
            assert_eq!((failure.error, failure.stopped), (1, Stopped::NotRetryable));
            assert!(!failure.exhausted());
            assert!(clock.sleeps().is_empty());
        }
    }

    #[test]
    fn spends_its_attempts_and_says_so() {
        let clock = ManualClock::default();
        let policy = RetryPolicy::default().with_max_attempts(4).with_seed(7);
        let failure = run(&policy, &RetryBudget::unlimited(), &clock, Retry::Backoff);
        assert_eq!((failure.error, failure.stopped), (4, Stopped::Attempts));
        assert!(failure.exhausted());
        assert_eq!(clock.sleeps().len(), 3);
        let again = ManualClock::default();
        run(&policy, &RetryBudget::unlimited(), &again, Retry::Backoff);
        assert_eq!(
            clock.sleeps(),
            again.sleeps(),
            "the same seed gives the same waits"
        );
    }

    #[test]
    fn waits_as_the_server_asked_up_to_the_bound() {
        let clock = ManualClock::default();
        let policy = RetryPolicy::default()
            .with_max_attempts(2)
            .with_max_retry_after(Duration::from_secs(60));
        run(
            &policy,
            &RetryBudget::unlimited(),
            &clock,
            Retry::After(Duration::from_secs(42)),
        );
        run(
            &policy,
            &RetryBudget::unlimited(),
            &clock,
            Retry::After(Duration::from_secs(4200)),
        );
        assert_eq!(
            clock.sleeps(),
            [Duration::from_secs(42), Duration::from_secs(60)]
        );
    }

    #[test]
    fn waits_at_least_the_step_where_the_vendor_says_so() {
        let clock = ManualClock::default();
        let policy = RetryPolicy::default().with_jitter(Jitter::Above);
        run(&policy, &RetryBudget::unlimited(), &clock, Retry::Backoff);
        let sleeps = clock.sleeps();
        assert_eq!(sleeps.len(), 4);
        for (wait, step) in sleeps.into_iter().zip([1, 2, 4, 8]) {
            let step = Duration::from_secs(step);
            assert!(wait >= step && wait <= step * 3 / 2, "{wait:?}");
        }
    }

    #[test]
    fn does_not_start_a_wait_that_ends_after_the_deadline() {
        let clock = ManualClock::default();
        let policy = RetryPolicy::default().with_deadline(Duration::from_secs(100));
        let asked = Retry::After(Duration::from_secs(40));
        let failure = run(&policy, &RetryBudget::unlimited(), &clock, asked);
        assert_eq!((failure.attempts, failure.stopped), (3, Stopped::Deadline));
        assert_eq!(failure.elapsed, Duration::from_secs(80));
    }

    #[test]
    fn stops_when_the_budget_is_empty() {
        let clock = ManualClock::default();
        let options = BudgetOptions::default().with_capacity(1).with_per_minute(0);
        let budget = RetryBudget::new(options);
        let failure = run(&RetryPolicy::default(), &budget, &clock, Retry::Backoff);
        assert_eq!((failure.attempts, failure.stopped), (2, Stopped::Budget));
    }

    #[test]
    fn reads_retry_after() {
        let now = datetime!(2026-01-31 18:00:00 UTC);
        let seconds = |value| parse_retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sat, 31 Jan 2026 18:01:30 GMT"), Some(90));
        assert_eq!(seconds("Sat, 31 Jan 2026 17:00:00 GMT"), Some(0));
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("-3"), None);
        assert_eq!(seconds("soon"), None);
    }

    proptest! {
        #[test]
        fn waits_stay_within_the_ceiling_and_the_cap(
            base_ms in 0_u64..100_000,
            cap_ms in 0_u64..1_000_000,
            number in 1_u32..200,
            seed: u64,
        ) {
            let (base, cap) = (Duration::from_millis(base_ms), Duration::from_millis(cap_ms));
            let policy = RetryPolicy::default().with_backoff(base, cap);
            let ceiling = policy.ceiling(number);
            prop_assert!(ceiling <= cap);
            prop_assert!(ceiling <= policy.ceiling(number + 1));
            prop_assert_eq!(policy.ceiling(1), base.min(cap));
            let wait = full_jitter(ceiling, &mut fastrand::Rng::with_seed(seed));
            prop_assert!(wait <= ceiling);
        }

        #[test]
        fn total_waiting_never_passes_the_deadline(
            deadline_s in 0_u64..600,
            attempts in 1_u32..30,
            seed: u64,
        ) {
            let clock = ManualClock::default();
            let deadline = Duration::from_secs(deadline_s);
            let policy = RetryPolicy::default()
                .with_max_attempts(attempts)
                .with_deadline(deadline)
                .with_seed(seed);
            let failure = run(&policy, &RetryBudget::unlimited(), &clock, Retry::Backoff);
            prop_assert!(failure.attempts <= attempts);
            prop_assert!(clock.sleeps().iter().sum::<Duration>() <= deadline);
        }
    }

    #[test]
    fn jitter_uses_the_whole_range() {
        let mut rng = fastrand::Rng::with_seed(1);
        let ceiling = Duration::from_secs(10);
        let waits: Vec<_> = (0..200).map(|_| full_jitter(ceiling, &mut rng)).collect();
        assert!(waits.iter().any(|wait| *wait < Duration::from_secs(1)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_secs(9)));
    }
}

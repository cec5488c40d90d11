//! A budget of retries that the calls of one client share.
//!
//! A limit on attempts per call is not enough: when a server fails for everybody, every call multiplies its load
//! by that limit, just when it can bear it least. A shared budget lets single failures be retried, and makes a
//! general failure fail soon.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Moment;

/// How many retries there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetOptions {
    /// Retries that can be saved up; also what there is at the start. Default 20.
    pub capacity: u32,
    /// Retries that 100 calls earn. Default 20.
    pub percent: u32,
    /// Retries that a minute earns, so that a client of few calls is not locked out. Default 10.
    pub per_minute: u32,
}

impl Default for BudgetOptions {
    fn default() -> Self {
        Self {
            capacity: 20,
            percent: 20,
            per_minute: 10,
        }
    }
}

impl BudgetOptions {
    /// The same options with this capacity.
    #[must_use]
    pub const fn with_capacity(mut self, capacity: u32) -> Self {
        self.capacity = capacity;
        self
    }

    /// The same options with this many retries earned by 100 calls.
    #[must_use]
    pub const fn with_percent(mut self, percent: u32) -> Self {
        self.percent = percent;
        self
    }

    /// The same options with this many retries earned by a minute.
    #[must_use]
    pub const fn with_per_minute(mut self, per_minute: u32) -> Self {
        self.per_minute = per_minute;
        self
    }
}

/// A token bucket of retries. Clones share it.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    bucket: Option<Arc<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    options: BudgetOptions,
    state: Mutex<State>,
}

/// Counted in millionths of a retry, so that parts of one add up exactly.
#[derive(Debug)]
struct State {
    balance: u64,
    refilled: Option<Moment>,
}

const RETRY: u64 = 1_000_000;
const MICROS_PER_MINUTE: u128 = 60_000_000;

impl RetryBudget {
    /// A full budget.
    #[must_use]
    pub fn new(options: BudgetOptions) -> Self {
        let state = State {
            balance: u64::from(options.capacity) * RETRY,
            refilled: None,
        };
        Self {
            bucket: Some(Arc::new(Bucket {
                options,
                state: Mutex::new(state),
            })),
        }
    }

    /// A budget that is never empty.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { bucket: None }
    }

    /// Notes one call, which earns its share of a retry.
    pub fn deposit(&self, now: Moment) {
        if let Some(bucket) = &self.bucket {
            bucket.update(now, |state| {
                state.balance += u64::from(bucket.options.percent) * (RETRY / 100);
            });
        }
    }

    /// Takes one retry, if there is one.
    #[must_use]
    pub fn withdraw(&self, now: Moment) -> bool {
        let Some(bucket) = &self.bucket else {
            return true;
        };
        let mut granted = false;
        bucket.update(now, |state| {
            if let Some(rest) = state.balance.checked_sub(RETRY) {
                state.balance = rest;
                granted = true;
            }
        });
        granted
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(BudgetOptions::default())
    }
}

impl Bucket {
    fn update(&self, now: Moment, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.refill(&mut state, now);
        change(&mut state);
        state.balance = state.balance.min(self.full());
    }

    fn refill(&self, state: &mut State, now: Moment) {
        let elapsed = state.refilled.map_or(0, |last| now.since(last).as_micros());
        let earned =
            elapsed * u128::from(self.options.per_minute) * u128::from(RETRY) / MICROS_PER_MINUTE;
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        state.balance = state.balance.saturating_add(earned).min(self.full());
        state.refilled = Some(state.refilled.map_or(now, |last| last.max(now)));
    }

    fn full(&self) -> u64 {
        u64::from(self.options.capacity) * RETRY
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{BudgetOptions, RetryBudget};
    use crate::clock::Moment;

    fn at(millis: u64) -> Moment {
        Moment::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn earns_by_calls_and_by_time() {
        let options = BudgetOptions::default()
            .with_capacity(2)
            .with_percent(50)
            .with_per_minute(6);
        let budget = RetryBudget::new(options);
        assert!(budget.withdraw(at(0)) && budget.withdraw(at(0)));
        assert!(!budget.withdraw(at(0)));
        budget.deposit(at(0));
        assert!(!budget.withdraw(at(0)), "one call earns half a retry");
        budget.deposit(at(0));
        assert!(budget.withdraw(at(0)));
        assert!(!budget.withdraw(at(9_999)));
        assert!(
            budget.withdraw(at(10_000)),
            "ten seconds earn one retry at six a minute"
        );
    }

    #[test]
    fn never_saves_more_than_its_capacity() {
        let budget = RetryBudget::new(BudgetOptions::default().with_capacity(3));
        for _ in 0..1000 {
            budget.deposit(at(0));
        }
        assert_eq!(
            (0..10).filter(|_| budget.withdraw(at(86_400_000))).count(),
            3
        );
    }

    proptest! {
        #[test]
        fn retries_are_bounded_by_what_was_earned(
            capacity in 0_u32..20,
            percent in 0_u32..100,
            per_minute in 0_u32..100,
            steps in proptest::collection::vec((0_u64..5_000, any::<bool>()), 0..300),
        ) {
            let budget = RetryBudget::new(
                BudgetOptions::default()
                    .with_capacity(capacity)
                    .with_percent(percent)
                    .with_per_minute(per_minute),
            );
            let (mut now, mut calls, mut retries) = (0_u64, 0_u64, 0_u64);
            for (pause, is_call) in steps {
                now += pause;
                if is_call {
                    budget.deposit(at(now));
                    calls += 1;
                } else {
                    retries += u64::from(budget.withdraw(at(now)));
                }
            }
            let earned = u64::from(capacity) * 6_000_000
                + calls * u64::from(percent) * 60_000
                + now * u64::from(per_minute) * 100;
            prop_assert!(retries * 6_000_000 <= earned);
        }
    }
}

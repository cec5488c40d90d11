//! What has been used of limits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sync_http::Window;
use time::OffsetDateTime;

use super::limits::Limited;
use crate::error::{Error, Result};

/// What has been used, by limit. Kept in a hundredth of each window's length, so that a day of loads is a hundred
/// numbers; use is forgotten up to a hundredth too late, never too early.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// For each limit: when a use is forgotten, in milliseconds of the Unix epoch, and how many are.
    used: BTreeMap<String, BTreeMap<i64, u64>>,
}

impl Record {
    /// How long until an operation that counts in all of these fits.
    pub(super) fn wait(&self, limits: &[Limited], now: OffsetDateTime) -> Duration {
        let now = millis(now);
        let holding = limits.iter().filter(|limited| limited.holds);
        let waits = holding.map(|limited| self.wait_for(limited, now));
        Duration::from_millis(waits.max().unwrap_or_default())
    }

    /// Notes one operation, and forgets what counts no more.
    pub(super) fn note(&mut self, limits: &[Limited], now: OffsetDateTime) {
        let now = millis(now);
        for limited in limits {
            let until = forgotten_at(limited.window, now);
            let used = self.used.entry(limited.key.clone()).or_default();
            let used = used.entry(until).or_default();
            *used = used.saturating_add(1);
        }
        for used in self.used.values_mut() {
            used.retain(|until, _| *until > now);
        }
        self.used.retain(|_, used| !used.is_empty());
    }

    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|source| {
            Error::config("what has been used of limits cannot be written").caused_by(source)
        })
    }

    pub(super) fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|source| {
            let message = "what has been used of limits cannot be read; remove what the store holds to begin anew";
            Error::config(message).caused_by(source)
        })
    }

    fn wait_for(&self, limited: &Limited, now: i64) -> u64 {
        let amount = limited.window.amount.max(1);
        let Some(used) = self.used.get(&limited.key) else {
            return 0;
        };
        // Where the clock was set back, what was used then counts no longer than if it had been used now.
        let latest = forgotten_at(limited.window, now);
        let live = || {
            used.iter()
                .filter(|(until, _)| **until > now)
                .map(|(until, count)| ((*until).min(latest), *count))
        };
        let mut left: u64 = live().map(|(_, count)| count).fold(0, u64::saturating_add);
        for (until, count) in live() {
            if left < amount {
                break;
            }
            left = left.saturating_sub(count);
            if left < amount {
                return u64::try_from(until.saturating_sub(now)).unwrap_or_default();
            }
        }
        0
    }
}

/// When a use of this moment counts no more.
fn forgotten_at(window: Window, now: i64) -> i64 {
    let per = i64::try_from(window.per.as_millis())
        .unwrap_or(i64::MAX)
        .max(1);
    let step = (per / 100).max(1);
    let end_of_step = now.div_euclid(step).saturating_add(1).saturating_mul(step);
    end_of_step.saturating_add(per)
}

fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use sync_http::Window;
    use time::OffsetDateTime;

    use super::super::limits::Limited;
    use super::Record;

    fn limited(amount: u64, seconds: u64) -> Limited {
        Limited {
            key: "load p.d.t".to_owned(),
            window: Window {
                amount,
                per: Duration::from_secs(seconds),
            },
            holds: true,
        }
    }

    fn at(millis: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap()
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up_for_ever() {
        let limits = [limited(1, 10)];
        let mut record = Record::default();
        record.note(&limits, at(1_000_000_000));
        let wait = record.wait(&limits, at(1_000_000));
        assert!(wait <= Duration::from_millis(10_100), "{wait:?}");
    }

    #[test]
    fn what_is_only_counted_holds_nobody_up_and_fills_the_limit() {
        let counted = Limited {
            holds: false,
            ..limited(1, 10)
        };
        let mut record = Record::default();
        let counted = [counted];
        record.note(&counted, at(0));
        assert!(record.wait(&counted, at(0)).is_zero());
        assert!(!record.wait(&[limited(1, 10)], at(0)).is_zero());
    }

    proptest! {
        /// No stretch of the window's length ever has more than the limit, restarts in between or not, and a wait is
        /// never much longer than it has to be.
        #[test]
        fn keeps_the_limit_over_restarts(
            amount in 1_u64..6,
            seconds in 1_u64..50,
            steps in proptest::collection::vec((0_i64..20_000, any::<bool>()), 1..60),
        ) {
            let limits = [limited(amount, seconds)];
            let mut record = Record::default();
            let (mut now, mut passed) = (1_767_225_600_000, Vec::new());
            let per = i64::try_from(seconds).unwrap() * 1000;
            for (pause, restarts) in steps {
                now += pause;
                if restarts { record = Record::from_json(&record.to_json().unwrap()).unwrap(); }
                let wait = record.wait(&limits, at(now));
                prop_assert!(wait <= Duration::from_millis(u64::try_from(per + per / 100 + 1).unwrap()));
                now += i64::try_from(wait.as_millis()).unwrap();
                prop_assert!(record.wait(&limits, at(now)).is_zero());
                record.note(&limits, at(now));
                passed.push(now);
            }
            for start in &passed {
                let within = passed.iter().filter(|it| *it >= start && **it < start + per).count();
                prop_assert!(within as u64 <= amount);
            }
        }
    }
}

//! How much to ask for at once: less after it was too much, and more again after it went well.

/// Halves after a failure. Doubles after a row of successes, and takes a longer row each time a
/// larger measure has failed, so that what the gateway cannot bear is not tried with every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    least: u64,
    most: u64,
    now: u64,
    successes: u32,
    patience: u32,
    /// Whether the last step was one up that has not gone well yet.
    trying: bool,
}

/// Never more successes than these before the next try.
const MOST_PATIENCE: u32 = 64;

impl Pace {
    /// From the most on; with so many successes before the first try with more.
    pub(super) fn new(least: u64, most: u64, patience: u32) -> Self {
        Self {
            least: least.min(most),
            most,
            now: most,
            successes: 0,
            patience,
            trying: false,
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Half of it. False where it is the least already.
    pub(super) fn slow_down(&mut self) -> bool {
        let half = (self.now / 2).max(self.least);
        self.now > self.least && self.slow_down_to(half)
    }

    /// To this, which is less.
    pub(super) fn slow_down_to(&mut self, now: u64) -> bool {
        self.now = now;
        if self.trying {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
        (self.successes, self.trying) = (0, false);
        true
    }

    /// Notes that it went well. True where more is tried from now on.
    pub(super) fn went_well(&mut self) -> bool {
        self.successes = self.successes.saturating_add(1);
        self.trying = false;
        if self.now >= self.most || self.successes < self.patience {
            return false;
        }
        self.now = self.now.saturating_mul(2).min(self.most);
        (self.successes, self.trying) = (0, true);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use proptest::prelude::*;

    #[test]
    fn it_halves_and_recovers_and_tries_less_often_what_fails() {
        let mut pace = Pace::new(50, 2000, 4);
        assert!(pace.slow_down() && pace.slow_down());
        assert_eq!(pace.now(), 500);
        let mut pages = 0;
        while !pace.went_well() {
            pages += 1;
        }
        assert_eq!(pace.now(), 1000);
        assert!(pace.slow_down());
        let mut more = 0;
        while !pace.went_well() {
            more += 1;
        }
        assert!(more > pages, "{more} {pages}");
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds_and_comes_back(steps in proptest::collection::vec(any::<bool>(), 0..60)) {
            let mut pace = Pace::new(50, 2000, 4);
            for well in steps {
                if well { pace.went_well(); } else { pace.slow_down(); }
                prop_assert!((50..=2000).contains(&pace.now()));
            }
            for _ in 0..64 * 6 {
                pace.went_well();
            }
            prop_assert_eq!(pace.now(), 2000);
        }
    }
}

//! What the project wants of its own speed, as data.

use std::fmt;

/// A figure that is to be reached: the floor, and what we would like.
///
/// ```
/// use intacct_sync_benches::goal::Goal;
///
/// // Three and a half times as fast as quick-xml; five would be nice.
/// Goal::times_as_fast("E1", "ours_append", "quick_xml_escape", 3.5).stretch(5.0);
/// // At most twice the time of a copy.
/// Goal::times_the_time("E1", "ours_append", "plain_append", 2.0).stretch(1.65);
/// // For orientation: a speed depends on the machine, so that missing it fails nothing.
/// Goal::gigabytes_per_second("E3", "ours_append", 8.0);
/// // Something that the suite has measured itself, given to `Meter::figure` with its value.
/// Goal::at_least("G1", "share of what the formula allows", 0.97).stretch(0.99);
/// ```
#[derive(Clone, Debug)]
pub struct Goal {
    /// Its name in the tables, such as `E1`; several goals may share one.
    pub id: &'static str,
    /// The candidate that is to reach it; in a goal for a suite's own figure, what the figure is.
    pub candidate: &'static str,
    /// What is looked at.
    pub measure: Measure,
    /// What must be reached.
    pub floor: f64,
    /// What would be better still.
    pub stretch: Option<f64>,
}

/// What a goal looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// How many times as fast as this other candidate; at least.
    TimesAsFast(&'static str),
    /// How many times the time of this other candidate; at most.
    TimesTheTime(&'static str),
    /// Gigabytes (10⁹ bytes) of input a second; at least.
    GigabytesPerSecond,
    /// Nanoseconds an element; at most.
    NanosecondsAnElement,
    /// A figure of the suite's own; at least.
    AtLeast,
    /// A figure of the suite's own; at most.
    AtMost,
}

/// How a figure stands to its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Better than the stretch.
    Stretch,
    /// The floor is reached.
    Reached,
    /// The floor is missed.
    Missed,
    /// The floor is missed, and depends on the machine.
    MissedHere,
}

impl Goal {
    /// The candidate must be at least so many times as fast as the yardstick.
    pub fn times_as_fast(
        id: &'static str,
        candidate: &'static str,
        yardstick: &'static str,
        floor: f64,
    ) -> Self {
        Self::new(id, candidate, Measure::TimesAsFast(yardstick), floor)
    }

    /// The candidate may take at most so many times the time of the yardstick.
    pub fn times_the_time(
        id: &'static str,
        candidate: &'static str,
        yardstick: &'static str,
        floor: f64,
    ) -> Self {
        Self::new(id, candidate, Measure::TimesTheTime(yardstick), floor)
    }

    /// The candidate must take in at least so many gigabytes a second, on a machine like the one that
    /// the goal was made on.
    pub fn gigabytes_per_second(id: &'static str, candidate: &'static str, floor: f64) -> Self {
        Self::new(id, candidate, Measure::GigabytesPerSecond, floor)
    }

    /// The candidate may take at most so many nanoseconds an element, on a machine like the one that
    /// the goal was made on.
    pub fn nanoseconds_an_element(id: &'static str, candidate: &'static str, floor: f64) -> Self {
        Self::new(id, candidate, Measure::NanosecondsAnElement, floor)
    }

    /// A figure that the suite measures itself must not be less.
    pub fn at_least(id: &'static str, what: &'static str, floor: f64) -> Self {
        Self::new(id, what, Measure::AtLeast, floor)
    }

    /// A figure that the suite measures itself must not be more.
    pub fn at_most(id: &'static str, what: &'static str, floor: f64) -> Self {
        Self::new(id, what, Measure::AtMost, floor)
    }

    /// Sets what would be better still than the floor.
    #[must_use]
    pub fn stretch(mut self, stretch: f64) -> Self {
        self.stretch = Some(stretch);
        self
    }

    /// How the measured figure stands to the goal.
    pub fn verdict(&self, figure: f64) -> Verdict {
        let reaches = |limit: f64| match self.measure.is_upper_limit() {
            true => figure <= limit,
            false => figure >= limit,
        };
        if !reaches(self.floor) {
            return match self.measure.depends_on_the_machine() {
                true => Verdict::MissedHere,
                false => Verdict::Missed,
            };
        }
        match self.stretch {
            Some(stretch) if reaches(stretch) => Verdict::Stretch,
            _ => Verdict::Reached,
        }
    }

    fn new(id: &'static str, candidate: &'static str, measure: Measure, floor: f64) -> Self {
        Self {
            id,
            candidate,
            measure,
            floor,
            stretch: None,
        }
    }
}

impl Measure {
    /// Whether less is better.
    pub fn is_upper_limit(self) -> bool {
        matches!(
            self,
            Self::TimesTheTime(_) | Self::NanosecondsAnElement | Self::AtMost
        )
    }

    /// Whether another machine would give another figure, whatever the code.
    pub fn depends_on_the_machine(self) -> bool {
        matches!(self, Self::GigabytesPerSecond | Self::NanosecondsAnElement)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidate = self.candidate;
        match self.measure {
            Measure::TimesAsFast(other) => write!(f, "`{candidate}`: times as fast as `{other}`"),
            Measure::TimesTheTime(other) => write!(f, "`{candidate}`: times the time of `{other}`"),
            Measure::GigabytesPerSecond => write!(f, "`{candidate}`: GB/s"),
            Measure::NanosecondsAnElement => write!(f, "`{candidate}`: ns each"),
            Measure::AtLeast | Measure::AtMost => f.write_str(candidate),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stretch => "stretch",
            Self::Reached => "reached",
            Self::Missed => "**missed**",
            Self::MissedHere => "missed on this machine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Goal, Verdict};

    #[test]
    fn a_floor_is_a_limit_from_below_or_above() {
        let fast = Goal::times_as_fast("A", "ours", "theirs", 3.0).stretch(5.0);
        let verdicts = [2.9, 3.0, 5.0].map(|figure| fast.verdict(figure));
        assert_eq!(
            verdicts,
            [Verdict::Missed, Verdict::Reached, Verdict::Stretch]
        );

        let short = Goal::times_the_time("B", "ours", "copy", 2.0).stretch(1.5);
        let verdicts = [2.1, 2.0, 1.5].map(|figure| short.verdict(figure));
        assert_eq!(
            verdicts,
            [Verdict::Missed, Verdict::Reached, Verdict::Stretch]
        );
    }

    #[test]
    fn no_figure_at_all_misses() {
        assert_eq!(
            Goal::at_most("C", "x", 1.0).verdict(f64::NAN),
            Verdict::Missed
        );
        assert_eq!(
            Goal::gigabytes_per_second("D", "x", 8.0).verdict(1.0),
            Verdict::MissedHere
        );
    }
}

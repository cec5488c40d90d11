//! Measuring in rounds: every candidate for some milliseconds, in turn, again and again.
//!
//! Who measures one candidate for seconds and then the next has on a shared machine other seconds
//! for each, and ratios that say so. Here a time is the median of the rounds, a ratio the median of
//! the rounds' ratios.

use std::time::Duration;

use crate::comparison::{Comparison, Effort, Meter, Work};
use crate::goal::{Goal, Measure, Verdict};
use crate::parsing::Result;

/// Measures the groups of suites in rounds.
#[derive(Debug)]
pub struct Rounds {
    effort: Effort,
    /// Called with each group as soon as it is measured.
    seen: fn(&Group),
    groups: Vec<Group>,
}

/// What one group gave.
#[derive(Debug)]
pub struct Group {
    /// The group's name, such as `escape/memo`.
    pub name: String,
    /// What each candidate does in one go; nothing if the group has only figures of its suite.
    pub work: Option<Work>,
    /// The candidates in the order in which they were added.
    pub rows: Vec<Row>,
    /// The candidates that the others are compared with.
    pub yardsticks: Vec<&'static str>,
    /// The goals with what was reached.
    pub outcomes: Vec<Outcome>,
    /// What was not measured, and why.
    pub skipped: Vec<String>,
}

/// What one candidate took.
#[derive(Debug)]
pub struct Row {
    /// The candidate.
    pub name: &'static str,
    /// Nanoseconds of one run, by round.
    times: Vec<f64>,
}

/// A goal and what was reached of it.
#[derive(Debug)]
pub struct Outcome {
    /// The goal.
    pub goal: Goal,
    /// What was measured.
    pub figure: f64,
    /// What is to be said to that.
    pub verdict: Verdict,
}

impl Rounds {
    /// No group yet. Each will be shown to `seen` as soon as it is measured.
    pub fn new(effort: Effort, seen: fn(&Group)) -> Self {
        Self {
            effort,
            seen,
            groups: Vec::new(),
        }
    }

    /// All groups measured so far.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether a floor was missed that does not depend on the machine.
    pub fn has_missed(&self) -> bool {
        let mut outcomes = self.groups.iter().flat_map(|group| &group.outcomes);
        outcomes.any(|outcome| outcome.verdict == Verdict::Missed)
    }

    /// How many rounds, and how long each candidate is run in one if a run does not take longer.
    fn extent(&self) -> (usize, Duration) {
        match self.effort {
            Effort::Quick => (3, Duration::from_millis(2)),
            Effort::Full => (15, Duration::from_millis(12)),
        }
    }

    /// The group of the name, made if need be.
    fn group(&mut self, name: &str) -> &mut Group {
        let known = self.groups.iter().position(|group| group.name == name);
        let at = known.unwrap_or_else(|| {
            self.groups.push(Group::new(name.to_owned()));
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }
}

impl Meter for Rounds {
    fn effort(&self) -> Effort {
        self.effort
    }

    fn compare(&mut self, mut comparison: Comparison<'_>) -> Result<()> {
        let (rounds, slice) = self.extent();
        let rows = measure(&mut comparison, rounds, slice);
        let name = comparison.work.group.clone();
        let group = self.group(&name);
        group.rows = rows;
        group.yardsticks = comparison.yardsticks;
        group.work = Some(comparison.work);
        for goal in comparison.goals {
            let figure = group.figure(&goal)?;
            group.outcomes.push(Outcome::new(goal, figure));
        }
        let seen = self.seen;
        seen(self.group(&name));
        Ok(())
    }

    fn figure(&mut self, group: &str, goal: Goal, figure: f64) {
        self.group(group).outcomes.push(Outcome::new(goal, figure));
    }

    fn skip(&mut self, group: &str, why: &str) {
        self.group(group).skipped.push(why.to_owned());
    }
}

impl Group {
    fn new(name: String) -> Self {
        Self {
            name,
            work: None,
            rows: Vec::new(),
            yardsticks: Vec::new(),
            outcomes: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// The name of the suite that the group belongs to.
    pub fn suite(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// The group's name within its suite.
    pub fn short_name(&self) -> &str {
        match self.name.split_once('/') {
            Some((_, name)) => name,
            None => &self.name,
        }
    }

    /// The row of the candidate.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// What was measured for a goal.
    fn figure(&self, goal: &Goal) -> Result<f64> {
        let find = |name: &str| {
            let missing = || format!("{}: goal {} names no candidate {name}", self.name, goal.id);
            self.row(name).ok_or_else(missing)
        };
        let bytes = self.work.as_ref().map_or(0, |work| work.bytes) as f64;
        let elements = self.work.as_ref().map_or(1, |work| work.elements.max(1)) as f64;
        let row = find(goal.candidate)?;
        Ok(match goal.measure {
            Measure::TimesAsFast(other) => row.times_as_fast_as(find(other)?),
            Measure::TimesTheTime(other) => find(other)?.times_as_fast_as(row),
            Measure::GigabytesPerSecond => bytes / row.time(),
            Measure::NanosecondsAnElement => row.time() / elements,
            Measure::AtLeast | Measure::AtMost => {
                return Err(format!("{}: goal {} is a suite's own", self.name, goal.id).into());
            }
        })
    }
}

impl Row {
    /// Nanoseconds of one run.
    pub fn time(&self) -> f64 {
        median(self.times.clone())
    }

    /// How many times as fast as the other; more than 1 is faster.
    pub fn times_as_fast_as(&self, other: &Row) -> f64 {
        let rounds = other.times.iter().zip(&self.times);
        median(rounds.map(|(other, own)| other / own).collect())
    }
}

impl Outcome {
    fn new(goal: Goal, figure: f64) -> Self {
        let verdict = goal.verdict(figure);
        Self {
            goal,
            figure,
            verdict,
        }
    }
}

fn measure(comparison: &mut Comparison<'_>, rounds: usize, slice: Duration) -> Vec<Row> {
    let clock = comparison.clock;
    let candidates = &mut comparison.candidates;
    let repeats = candidates.iter_mut().map(|candidate| {
        // The first run also warms it up.
        candidate.time(clock, 1);
        let once = candidate.time(clock, 1);
        (slice.as_nanos() as f64 / once).clamp(1.0, 1e6) as u32
    });
    let repeats = repeats.collect::<Vec<_>>();
    let row = |name| Row {
        name,
        times: Vec::with_capacity(rounds),
    };
    let mut rows: Vec<_> = candidates.iter().map(|c| row(c.name)).collect();
    let count = candidates.len().max(1);
    for round in 0..rounds {
        for place in 0..candidates.len() {
            // Nobody is always the first.
            let at = (round + place) % count;
            rows[at].times.push(candidates[at].time(clock, repeats[at]));
        }
    }
    rows
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

//! Candidates that are measured side by side, and what is wanted of them.

use std::time::Duration;

use crate::clock::Clock;
use crate::goal::Goal;
use crate::parsing::Result;

/// Things that do the same, to be compared, with the goals that some of them have.
///
/// ```
/// # use intacct_sync_benches::comparison::{Comparison, Meter, Work};
/// # use intacct_sync_benches::goal::Goal;
/// # use intacct_sync_benches::parsing::Result;
/// # fn run(meter: &mut dyn Meter) -> Result<()> {
/// let texts = ["a & b", "c"];
/// let mut comparison = Comparison::new(Work {
///     group: "copying/two_texts".to_owned(),
///     element: "text",
///     elements: 2,
///     bytes: 6,
/// });
/// comparison.add("plain_append", || drop(texts.concat()));
/// comparison.add("by_character", || drop(texts.iter().flat_map(|t| t.chars()).collect::<String>()));
/// comparison.goal(Goal::times_the_time("C1", "by_character", "plain_append", 50.0).stretch(10.0));
/// meter.compare(comparison)?;
/// // What is no ratio of two times is measured by the suite.
/// meter.figure("copying/memory", Goal::at_most("C2", "buffers for each text", 1.0), 1.0);
/// # Ok(())
/// # }
/// ```
///
/// A group belongs to a suite, a function in [`suites`](crate::suites).
pub struct Comparison<'c> {
    pub(crate) work: Work,
    pub(crate) clock: Clock,
    pub(crate) candidates: Vec<Candidate<'c>>,
    pub(crate) yardsticks: Vec<&'static str>,
    pub(crate) goals: Vec<Goal>,
}

/// What each candidate does in one go.
#[derive(Clone, Debug)]
pub struct Work {
    /// The group's name in benchmark ids: the suite's, a slash and its own, such as `escape/memo`.
    pub group: String,
    /// What is counted, such as `record`.
    pub element: &'static str,
    /// How many of them.
    pub elements: u64,
    /// How many bytes of input.
    pub bytes: u64,
}

pub(crate) struct Candidate<'c> {
    pub(crate) name: &'static str,
    pub(crate) run: Run<'c>,
}

pub(crate) enum Run<'c> {
    /// Timed from outside.
    Here(Box<dyn FnMut() + 'c>),
    /// Says itself how long it took.
    Elsewhere(Box<dyn FnMut() -> Duration + 'c>),
}

/// What a suite hands its groups to.
pub trait Meter {
    /// How much the figures may cost.
    fn effort(&self) -> Effort;

    /// Measures the candidates.
    ///
    /// # Errors
    /// If a goal names a candidate that is not there.
    fn compare(&mut self, comparison: Comparison<'_>) -> Result<()>;

    /// Takes a figure that the suite has measured itself.
    fn figure(&mut self, group: &str, goal: Goal, figure: f64);

    /// Says that something of a group was not measured, and why.
    fn skip(&mut self, group: &str, why: &str);
}

/// How much the figures may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: small inputs, few rounds; the figures say only that everything runs.
    Quick,
    /// Minutes: the inputs as described.
    Full,
}

impl<'c> Comparison<'c> {
    /// A comparison by the time that the thread keeps the processor busy.
    pub fn new(work: Work) -> Self {
        Self {
            work,
            clock: Clock::default(),
            candidates: Vec::new(),
            yardsticks: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Measures wall time, because waiting is the subject.
    #[must_use]
    pub fn on_the_wall_clock(mut self) -> Self {
        self.clock = Clock::Wall;
        self
    }

    /// Adds a candidate.
    pub fn add(&mut self, name: &'static str, run: impl FnMut() + 'c) {
        let run = Run::Here(Box::new(run));
        self.candidates.push(Candidate { name, run });
    }

    /// Adds a candidate that does its work once and says how long it took: what runs in another
    /// process.
    pub fn add_timed(&mut self, name: &'static str, run: impl FnMut() -> Duration + 'c) {
        let run = Run::Elsewhere(Box::new(run));
        self.candidates.push(Candidate { name, run });
    }

    /// Has the group's own table show a column of ratios to this candidate. The yardsticks of goals
    /// have one anyway.
    pub fn yardstick(&mut self, name: &'static str) {
        if !self.yardsticks.contains(&name) {
            self.yardsticks.push(name);
        }
    }

    /// Adds a goal that one of the candidates is to reach.
    pub fn goal(&mut self, goal: Goal) {
        use crate::goal::Measure::{TimesAsFast, TimesTheTime};
        if let TimesAsFast(name) | TimesTheTime(name) = goal.measure {
            self.yardstick(name);
        }
        self.goals.push(goal);
    }

    /// What each candidate does in one go.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// What is measured.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Gives each candidate that runs in this thread, by its name.
    pub fn for_each_candidate(&mut self, mut take: impl FnMut(&'static str, &mut dyn FnMut())) {
        for candidate in &mut self.candidates {
            if let Run::Here(run) = &mut candidate.run {
                take(candidate.name, run);
            }
        }
    }
}

impl Candidate<'_> {
    /// Nanoseconds of one run, measured over that many.
    pub(crate) fn time(&mut self, clock: Clock, repeats: u32) -> f64 {
        let taken = match &mut self.run {
            Run::Here(run) => {
                let begin = clock.now();
                (0..repeats).for_each(|_| run());
                clock.now().saturating_sub(begin)
            }
            Run::Elsewhere(run) => (0..repeats).map(|_| run()).sum(),
        };
        // A clock may be coarser than the work; no time at all would have no ratio to another.
        taken.as_nanos().max(1) as f64 / f64::from(repeats.max(1))
    }
}

impl Work {
    /// The name of the suite that the group belongs to.
    pub fn suite(&self) -> &str {
        self.group.split('/').next().unwrap_or_default()
    }
}

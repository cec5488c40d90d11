//! A script at work: which rules fire for a request, and what was told so far.

use fastrand::Rng;
use serde::Serialize;

use super::{Calls, Fault, Rule, Script};

/// Firings that are kept for a report; a story that is longer is told by its beginning.
const LONGEST_STORY: usize = 10_000;

/// A script at work.
#[derive(Debug)]
pub struct Faults<F: Fault> {
    script: Script<F>,
    counts: Vec<Count>,
    requests: u64,
    story: Vec<Fired>,
}

#[derive(Debug)]
struct Count {
    draws: Rng,
    matched: u64,
    fired: u64,
}

/// How often a rule fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct RuleReport<F: Fault> {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule<F>,
    /// Calls for which its conditions held.
    pub matched: u64,
    /// Calls for which it fired.
    pub fired: u64,
}

/// One firing of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fired {
    /// The number of the request since the script was set, from 1.
    pub request: u64,
    /// The rule's place in the script, from 1, and its name.
    pub rule: String,
    /// The call and what it was about, such as `query APBILL`.
    pub call: String,
}

/// What became of a script so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Report<F: Fault> {
    /// The seed of the script.
    pub seed: u64,
    /// Its rules, with how often each matched and fired.
    pub rules: Vec<RuleReport<F>>,
    /// What went wrong, in its order; the first ten thousand.
    pub story: Vec<Fired>,
}

impl<F: Fault> Faults<F> {
    /// Tells a script from its beginning.
    pub fn new(script: Script<F>) -> Self {
        let counts = (0..script.rules.len() as u64)
            .map(|place| Count {
                // Each rule draws for itself, so that a rule more does not change the others.
                draws: Rng::with_seed(script.seed ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
                matched: 0,
                fired: 0,
            })
            .collect();
        Self {
            script,
            counts,
            requests: 0,
            story: Vec::new(),
        }
    }

    /// Whether nothing can go wrong.
    pub fn is_empty(&self) -> bool {
        self.script.rules.is_empty()
    }

    /// What became of the script so far.
    pub fn report(&self) -> Report<F> {
        let rules = self.script.rules.iter().zip(&self.counts);
        Report {
            seed: self.script.seed,
            rules: rules
                .map(|(rule, count)| RuleReport {
                    rule: rule.clone(),
                    matched: count.matched,
                    fired: count.fired,
                })
                .collect(),
            story: self.story.clone(),
        }
    }

    /// Counts a request, and looks at the rules for it.
    pub fn request(&mut self) -> Request<'_, F> {
        self.requests += 1;
        Request {
            faults: self,
            place: 0,
        }
    }
}

impl<F: Fault> Default for Faults<F> {
    fn default() -> Self {
        Self::new(Script::default())
    }
}

/// A request while rules are looked at for it, in their order.
#[derive(Debug)]
pub struct Request<'f, F: Fault> {
    faults: &'f mut Faults<F>,
    place: usize,
}

impl<F: Fault> Request<'_, F> {
    /// The next rule; none behind the last.
    pub fn next_rule(&mut self) -> Option<Turn<'_, F>> {
        let place = self.place;
        let rule = self.faults.script.rules.get(place)?;
        let count = self.faults.counts.get_mut(place)?;
        self.place += 1;
        Some(Turn {
            rule,
            place,
            count,
            request: self.faults.requests,
            story: &mut self.faults.story,
        })
    }
}

/// A rule while it is looked at for a request.
#[derive(Debug)]
pub struct Turn<'f, F: Fault> {
    rule: &'f Rule<F>,
    place: usize,
    count: &'f mut Count,
    request: u64,
    story: &'f mut Vec<Fired>,
}

impl<'f, F: Fault> Turn<'f, F> {
    /// The rule. Whether it is about a call is for the simulator to say.
    pub fn rule(&self) -> &'f Rule<F> {
        self.rule
    }

    /// Counts a call that the rule is about; whether it fires for it. The story tells the call as
    /// `call` puts it.
    pub fn fires(&mut self, call: impl FnOnce() -> String) -> bool {
        self.count.matched += 1;
        if !self.count.fires(&self.rule.calls) {
            return false;
        }
        self.count.fired += 1;
        if self.story.len() < LONGEST_STORY {
            self.story.push(Fired {
                request: self.request,
                rule: self.rule.title(self.place),
                call: call(),
            });
        }
        true
    }
}

impl Count {
    /// Whether the rule fires for the call that has just been counted.
    fn fires(&mut self, calls: &Calls) -> bool {
        // Drawn for every matched call, so that what was drawn for the n-th depends on n alone.
        let lucky = calls
            .probability
            .is_none_or(|probability| self.draws.f64() < probability);
        let Some(number) = self.matched.checked_sub(calls.after).filter(|at| *at > 0) else {
            return false;
        };
        lucky
            && (calls.nth.is_empty() || calls.nth.contains(&number))
            && calls.every.is_none_or(|every| number.is_multiple_of(every))
            && calls.times.is_none_or(|times| self.fired < times)
    }
}

//! Fault scripts: which calls, how often, what; read from TOML or JSON, or built.
//!
//! A simulator brings a [`Fault`]: what can go wrong with its service, and the conditions that only
//! its calls have. [`Faults`] tells a script, request by request.

mod one_or_many;
mod reading;
mod telling;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

pub use self::one_or_many::one_or_many;
pub use self::telling::{Faults, Fired, Report, Request, RuleReport, Turn};
use crate::error::Error;

/// What can go wrong with one vendor's service.
pub trait Fault: Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned {
    /// Conditions of a rule beside the call's name and how often; what is left out does not
    /// matter. Unknown fields are to be refused, and none may be named as one of [`Calls`].
    type When: Clone + fmt::Debug + Default + PartialEq + Serialize + DeserializeOwned;

    /// The names of calls that a rule may name.
    const CALLS: &'static [&'static str];

    /// What such a call is, for an error: `method of the API`.
    const CALL: &'static str;

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// The field, such as `when.page` or `fault.http.status`, and what is wrong with it.
    fn check(&self, when: &Self::When) -> Result<(), Mistake>;
}

/// What is wrong with a field of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    field: &'static str,
    problem: String,
}

impl Mistake {
    /// A field, such as `when.page`, and its problem, such as `must be 1 or more`.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }
}

/// What goes wrong, in which calls, how often: a story that can be told again.
///
/// A script is TOML or JSON: a `seed`, and `rules` with a `name` for people, a `when` that holds
/// the fields of [`Calls`] and of the vendor's own conditions, and a `fault`.
///
/// Rules are looked at in their order for every request. One whose conditions hold counts the
/// call as matched; whether it fires follows from `after`, `nth`, `every`, `times` and
/// `probability`. Several may fire for one request.
///
/// With requests that come one after the other, the same script with the same seed tells the same
/// story. With several at a time it follows the order in which they arrive.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(bound = "")]
#[non_exhaustive]
pub struct Script<F: Fault> {
    /// The seed of all draws.
    pub seed: u64,
    /// The rules, in the order in which they are looked at.
    pub rules: Vec<Rule<F>>,
}

/// One rule of a script.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rule<F: Fault> {
    /// A name for people; `rule 3` where it is empty.
    pub name: String,
    /// Which calls by name, and how often; a part of `when` in a script.
    pub calls: Calls,
    /// Which calls otherwise.
    pub when: F::When,
    /// What happens to them.
    pub fault: F,
}

/// The calls that a rule is about by their names, and how often it fires. Everything left out does
/// not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Calls {
    /// Names of calls, one or several.
    #[serde(
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub call: Vec<String>,
    /// Matched calls that pass before the rule may fire.
    #[serde(skip_serializing_if = "is_zero")]
    pub after: u64,
    /// The numbers of the matched calls that it fires for, from 1, counted behind `after`.
    #[serde(
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub nth: Vec<u64>,
    /// Fires for every k-th matched call, counted behind `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Fires with this probability, from 0 to 1, drawn from the script's seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// How often it fires at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<F: Fault> Script<F> {
    /// A script without rules.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
        }
    }

    /// Adds a rule behind the others.
    #[must_use]
    pub fn rule(mut self, rule: Rule<F>) -> Self {
        self.rules.push(rule);
        self
    }

    /// Reads a script: JSON where the text begins with `{`, TOML otherwise.
    ///
    /// # Errors
    /// `Invalid`, naming rule and field, for a text that is neither, for unknown names, and for
    /// settings that cannot be meant.
    pub fn parse(text: &str) -> Result<Self, Error> {
        reading::script(text)
    }

    /// Refuses what cannot be meant, as [`Script::parse`] does; for scripts that were built.
    ///
    /// # Errors
    /// `Invalid`, naming rule and field.
    pub fn check(&self) -> Result<(), Error> {
        for (place, rule) in self.rules.iter().enumerate() {
            let checked = rule
                .calls
                .check::<F>()
                .and_then(|()| rule.fault.check(&rule.when));
            checked.map_err(|Mistake { field, problem }| {
                reading::invalid(&rule.title(place), field, &problem)
            })?;
        }
        Ok(())
    }
}

impl<F: Fault> Default for Script<F> {
    fn default() -> Self {
        Self::new(0)
    }
}

impl<F: Fault> Rule<F> {
    /// A rule for every call.
    pub fn new(fault: F) -> Self {
        Self {
            name: String::new(),
            calls: Calls::default(),
            when: F::When::default(),
            fault,
        }
    }

    /// Names the rule.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Only calls of this name, beside those named before.
    #[must_use]
    pub fn call(mut self, name: impl Into<String>) -> Self {
        self.calls.call.push(name.into());
        self
    }

    /// Only the n-th matched call, beside those named before.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.calls.nth.push(nth);
        self
    }

    /// Every k-th matched call.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.calls.every = Some(every);
        self
    }

    /// Only behind so many matched calls.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.calls.after = calls;
        self
    }

    /// At most so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.calls.times = Some(times);
        self
    }

    /// With this probability, from 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.calls.probability = Some(probability);
        self
    }

    /// Sets any of the other conditions.
    #[must_use]
    pub fn when(mut self, set: impl FnOnce(&mut F::When)) -> Self {
        set(&mut self.when);
        self
    }

    /// Whether the rule is about calls of this name.
    pub fn names(&self, call: &str) -> bool {
        self.calls.call.is_empty() || self.calls.call.iter().any(|name| name == call)
    }

    /// What a report calls the rule at this place of its script.
    fn title(&self, place: usize) -> String {
        if self.name.is_empty() {
            format!("rule {}", place + 1)
        } else {
            format!("rule {} {:?}", place + 1, self.name)
        }
    }
}

impl<F: Fault> Serialize for Rule<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'r, F, W> {
            #[serde(skip_serializing_if = "str::is_empty")]
            name: &'r str,
            when: When<'r, W>,
            fault: &'r F,
        }
        #[derive(Serialize)]
        struct When<'r, W> {
            #[serde(flatten)]
            calls: &'r Calls,
            #[serde(flatten)]
            when: &'r W,
        }
        let written = Written {
            name: &self.name,
            when: When {
                calls: &self.calls,
                when: &self.when,
            },
            fault: &self.fault,
        };
        written.serialize(serializer)
    }
}

impl Calls {
    fn check<F: Fault>(&self) -> Result<(), Mistake> {
        for call in &self.call {
            if !F::CALLS.contains(&call.as_str()) {
                let problem = format!("names no {}: {call:?}", F::CALL);
                return Err(Mistake::new("when.call", problem));
            }
        }
        if self.nth.contains(&0) {
            return Err(Mistake::new("when.nth", "counts from 1"));
        }
        if self.every == Some(0) {
            return Err(Mistake::new("when.every", "must be 1 or more"));
        }
        if let Some(probability) = self.probability
            && !(0.0..=1.0).contains(&probability)
        {
            return Err(Mistake::new("when.probability", "must be from 0 to 1"));
        }
        Ok(())
    }
}

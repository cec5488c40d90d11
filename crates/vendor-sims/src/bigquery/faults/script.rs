//! The script: which calls, how often, what; read from TOML or JSON, or built.

use serde::{Deserialize, Deserializer, Serialize};

use super::fault::Fault;
use crate::error::Error;

/// Calls that a rule can name.
const CALLS: [&str; 21] = [
    "oauth.token",
    "metadata",
    "datasets.list",
    "datasets.get",
    "datasets.insert",
    "datasets.delete",
    "tables.list",
    "tables.insert",
    "tables.get",
    "tables.patch",
    "tables.delete",
    "tabledata.insertAll",
    "tabledata.list",
    "jobs.insert",
    "jobs.upload",
    "jobs.upload.put",
    "jobs.list",
    "jobs.get",
    "jobs.cancel",
    "jobs.query",
    "jobs.getQueryResults",
];

/// What goes wrong, in which calls, how often: a story that can be told again.
///
/// A script is TOML or JSON:
///
/// ```toml
/// seed = 7
///
/// [[rules]]
/// name = "the merge is stored, and nobody hears of it"
/// when = { call = "jobs.insert", kind = "query", nth = [1] }
/// fault = { cut = "after" }
///
/// [[rules]]
/// when = { call = "tabledata.insertAll", probability = 0.1, times = 20 }
/// fault = { refuse = { status = 503, reason = "backendError", stored = true } }
/// ```
///
/// Rules are looked at in their order for every request. One whose conditions hold, and whose fault
/// can happen to the call, counts it as matched; whether it fires follows from `after`, `nth`, `every`, `times` and
/// `probability`. Several may fire for one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FaultScript {
    /// The seed of all draws.
    pub seed: u64,
    /// The rules, in the order in which they are looked at.
    pub rules: Vec<Rule>,
}

/// One rule of a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// A name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which calls, and how often.
    #[serde(default)]
    pub when: When,
    /// What happens to them.
    pub fault: Fault,
}

/// The calls that a rule is about, and how often it fires. Everything left out does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct When {
    /// Names of methods, one or several, as the Discovery document has them (`jobs.query`);
    /// `jobs.upload` and `jobs.upload.put` are `jobs.insert` with media, `oauth.token` and
    /// `metadata` the ways to a token.
    #[serde(
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub call: Vec<String>,
    /// Names of tables without their dataset, one or several: the one of the path, or that which
    /// a job writes.
    #[serde(
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub table: Vec<String>,
    /// Only tables whose names begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_prefix: Option<String>,
    /// Of jobs: `load` or `query`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Matched calls that pass before the rule may fire.
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

fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        One(T),
        Many(Vec<T>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

impl FaultScript {
    /// A script without rules.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
        }
    }

    /// Adds a rule behind the others.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Reads a script: JSON where the text begins with `{`, TOML otherwise.
    ///
    /// # Errors
    /// `Invalid` for a text that is neither, for unknown names, and for settings that cannot be
    /// meant.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::invalid(format!("the fault script is not understood: {source}")).because(source)
        };
        let script: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|source| invalid(source.into()))?
        } else {
            toml::from_str(text).map_err(|source| invalid(source.into()))?
        };
        script.check()?;
        Ok(script)
    }

    pub(in crate::bigquery) fn check(&self) -> Result<(), Error> {
        for (place, rule) in self.rules.iter().enumerate() {
            let title = if rule.name.is_empty() {
                format!("rule {}", place + 1)
            } else {
                format!("rule {} {:?}", place + 1, rule.name)
            };
            let wrong = |what: String| Err(Error::invalid(format!("{title}: {what}")));
            let when = &rule.when;
            if let Some(unknown) = when
                .call
                .iter()
                .find(|call| !CALLS.contains(&call.as_str()))
            {
                return wrong(format!("there is no call {unknown:?}"));
            }
            if when
                .kind
                .as_deref()
                .is_some_and(|kind| kind != "load" && kind != "query")
            {
                return wrong("the kind of a job is load or query".to_owned());
            }
            if when
                .probability
                .is_some_and(|part| !(0.0..=1.0).contains(&part))
            {
                return wrong("a probability is from 0 to 1".to_owned());
            }
            if when.every == Some(0) || when.nth.contains(&0) {
                return wrong("calls are counted from 1".to_owned());
            }
            match &rule.fault {
                Fault::Refuse(refuse) if !(400..=599).contains(&refuse.status) => {
                    return wrong(format!("{} is no status of an error", refuse.status));
                }
                Fault::RowErrors { every: 0, .. } => {
                    return wrong("rows are counted from 1".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Rule {
    /// A rule for every call.
    pub fn new(fault: Fault) -> Self {
        Self {
            name: String::new(),
            when: When::default(),
            fault,
        }
    }

    /// Only calls of this method, beside those named before.
    #[must_use]
    pub fn call(mut self, name: impl Into<String>) -> Self {
        self.when.call.push(name.into());
        self
    }

    /// Only calls about this table, beside those named before.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.when.table.push(name.into());
        self
    }

    /// Only tables whose names begin so.
    #[must_use]
    pub fn table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.when.table_prefix = Some(prefix.into());
        self
    }

    /// Only jobs of this kind: `load` or `query`.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.when.kind = Some(kind.into());
        self
    }

    /// Only the n-th matched call, beside those named before.
    #[must_use]
    pub fn nth(mut self, number: u64) -> Self {
        self.when.nth.push(number);
        self
    }

    /// Only after so many matched calls.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.when.after = calls;
        self
    }

    /// Only every k-th matched call.
    #[must_use]
    pub fn every(mut self, calls: u64) -> Self {
        self.when.every = Some(calls);
        self
    }

    /// Only with this probability.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.when.probability = Some(probability);
        self
    }

    /// At most so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.when.times = Some(times);
        self
    }
}

//! What goes wrong on purpose: which calls, how often, and what happens to them.

use serde::{Deserialize, Deserializer, Serialize};

use super::refusal::Refusal;
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

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// An error in the place of the answer.
    Refuse(Refuse),
    /// The connection ends without an answer, or within it.
    Cut(Cut),
    /// 401 `authError`, as for a token that is not known.
    Unauthorized,
    /// 403 `rateLimitExceeded`.
    RateLimitExceeded,
    /// 403 `quotaExceeded`.
    QuotaExceeded,
    /// 413 with a page of HTML, as a front end answers.
    TooLarge,
    /// The answer comes late.
    Slow {
        /// Milliseconds.
        before_ms: u64,
    },
    /// The job that is submitted is asked about so often before it is done.
    SlowJob {
        /// How often.
        polls: u32,
    },
    /// The job that is submitted fails without having done anything.
    FailJob {
        /// The reason of its `errorResult`, such as `backendError`.
        reason: String,
        /// Its message.
        #[serde(default)]
        message: String,
    },
    /// Every k-th row of an `insertAll` is not stored, with an error that is no mistake of it; the
    /// others are.
    RowErrors {
        /// k.
        every: usize,
        /// The reason, such as `backendError` or `timeout`.
        reason: String,
    },
    /// An `insertAll` is answered well, and its rows are not stored.
    LoseRows,
    /// An `insertAll` stores its rows whatever their insert ids.
    ForgetInsertIds,
    /// A piece of a resumable upload is stored to its half only.
    HalfPiece,
    /// A resumable upload is lost: 410.
    LoseUpload,
}

impl Fault {
    /// Whether it can happen to a call; one that cannot is not counted.
    fn concerns(&self, call: &str) -> bool {
        match self {
            Self::SlowJob { .. } | Self::FailJob { .. } => {
                matches!(
                    call,
                    "jobs.insert" | "jobs.upload" | "jobs.upload.put" | "jobs.query"
                )
            }
            Self::RowErrors { .. } | Self::LoseRows | Self::ForgetInsertIds => {
                call == "tabledata.insertAll"
            }
            Self::HalfPiece | Self::LoseUpload => call == "jobs.upload.put",
            _ => true,
        }
    }
}

/// An error in the place of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Refuse {
    /// The HTTP status, 400 to 599.
    pub status: u16,
    /// The machine key of the error.
    #[serde(default)]
    pub reason: String,
    /// Its message.
    #[serde(default)]
    pub message: String,
    /// Seconds of a `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The form of the body.
    #[serde(default)]
    pub body: Body,
    /// Whether the call does what it does before the error hides it.
    #[serde(default)]
    pub stored: bool,
}

impl Refuse {
    /// An error in JSON, in the place of what the call would have done.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            message: String::new(),
            retry_after: None,
            body: Body::Json,
            stored: false,
        }
    }

    /// The call does what it does, and then the error hides it.
    #[must_use]
    pub fn stored(mut self) -> Self {
        self.stored = true;
        self
    }

    /// With this message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }
}

/// The form of an error's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// As the API answers.
    #[default]
    Json,
    /// As a front end answers.
    Html,
    /// Nothing.
    Empty,
}

/// Where a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cut {
    /// Before the call did anything.
    Before,
    /// After it did all, before the answer.
    After,
    /// After it did all, in the middle of the answer.
    Amid,
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

    pub(super) fn check(&self) -> Result<(), Error> {
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

/// How often a rule matched and fired.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RuleReport {
    /// The rule.
    pub rule: Rule,
    /// Calls that its conditions held for.
    pub matched: u64,
    /// Calls that it fired for.
    pub fired: u64,
}

/// A request as rules look at it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) call: &'static str,
    pub(super) tables: Vec<String>,
    pub(super) kind: Option<&'static str>,
}

/// What goes wrong with one request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) refuse: Option<Refuse>,
    pub(super) cut: Option<Cut>,
    pub(super) slow_ms: u64,
    pub(super) job_polls: Option<u32>,
    pub(super) job_failure: Option<Refusal>,
    row_every: Option<usize>,
    pub(super) row_error: String,
    pub(super) lose_rows: bool,
    pub(super) forget_insert_ids: bool,
    pub(super) half_piece: bool,
    pub(super) lose_upload: bool,
}

impl Plan {
    /// Whether the call does nothing at all.
    pub(super) fn does_nothing(&self) -> bool {
        self.refuse.as_ref().is_some_and(|refuse| !refuse.stored) || self.cut == Some(Cut::Before)
    }

    /// Whether a row, counted from 0, is not stored.
    pub(super) fn fails_row(&self, index: usize) -> bool {
        self.row_every
            .is_some_and(|every| (index + 1).is_multiple_of(every))
    }

    fn add(&mut self, fault: &Fault) {
        let refuse = |status, reason: &str, message: &str| {
            Some(Refuse::new(status, reason).message(message))
        };
        match fault {
            Fault::Refuse(given) => self.refuse = Some(given.clone()),
            Fault::Cut(cut) => self.cut = Some(*cut),
            Fault::Unauthorized => {
                self.refuse = refuse(
                    401,
                    "authError",
                    "Request had invalid authentication credentials.",
                );
            }
            Fault::RateLimitExceeded => {
                self.refuse = refuse(
                    403,
                    "rateLimitExceeded",
                    "Exceeded rate limits: too many requests",
                );
            }
            Fault::QuotaExceeded => {
                self.refuse = refuse(403, "quotaExceeded", "Quota exceeded: too much of a day");
            }
            Fault::TooLarge => {
                self.refuse = Some(Refuse {
                    body: Body::Html,
                    ..Refuse::new(413, "")
                });
            }
            Fault::Slow { before_ms } => self.slow_ms += before_ms,
            Fault::SlowJob { polls } => self.job_polls = Some(*polls),
            Fault::FailJob { reason, message } => {
                let mut refusal = Refusal::new(400, known_reason(reason), message.clone());
                if message.is_empty() {
                    refusal.message = format!("The job encountered an error: {reason}");
                }
                self.job_failure = Some(refusal);
            }
            Fault::RowErrors { every, reason } => {
                self.row_every = Some(*every);
                self.row_error.clone_from(reason);
            }
            Fault::LoseRows => self.lose_rows = true,
            Fault::ForgetInsertIds => self.forget_insert_ids = true,
            Fault::HalfPiece => self.half_piece = true,
            Fault::LoseUpload => self.lose_upload = true,
        }
    }
}

/// Reasons of jobs that fail; others are told as `backendError`.
fn known_reason(reason: &str) -> &'static str {
    const REASONS: [&str; 12] = [
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "rateLimitExceeded",
        "jobRateLimitExceeded",
        "quotaExceeded",
        "resourcesExceeded",
        "invalid",
        "invalidQuery",
        "stopped",
        "accessDenied",
    ];
    REASONS
        .into_iter()
        .find(|known| *known == reason)
        .unwrap_or("backendError")
}

/// A script while it is told.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<RuleReport>,
    random: fastrand::Rng,
}

impl Faults {
    pub(super) fn new(script: FaultScript) -> Self {
        let reports = script.rules.into_iter().map(|rule| RuleReport {
            rule,
            matched: 0,
            fired: 0,
        });
        Self {
            rules: reports.collect(),
            random: fastrand::Rng::with_seed(script.seed),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn report(&self) -> Vec<RuleReport> {
        self.rules.clone()
    }

    pub(super) fn plan(&mut self, asked: &Asked) -> Plan {
        let mut plan = Plan::default();
        for report in &mut self.rules {
            let when = &report.rule.when;
            if !when.holds(asked) || !report.rule.fault.concerns(asked.call) {
                continue;
            }
            report.matched += 1;
            let number = report.matched.saturating_sub(when.after);
            let fires = number > 0
                && (when.nth.is_empty() || when.nth.contains(&number))
                && when.every.is_none_or(|every| number.is_multiple_of(every))
                && when.times.is_none_or(|times| report.fired < times)
                && when.probability.is_none_or(|part| self.random.f64() < part);
            if fires {
                report.fired += 1;
                plan.add(&report.rule.fault);
            }
        }
        plan
    }
}

impl When {
    fn holds(&self, asked: &Asked) -> bool {
        let is_table = |table: &String| {
            (self.table.is_empty() || self.table.contains(table))
                && self
                    .table_prefix
                    .as_ref()
                    .is_none_or(|prefix| table.starts_with(prefix))
        };
        let any_table = self.table.is_empty() && self.table_prefix.is_none();
        (self.call.is_empty() || self.call.iter().any(|call| call == asked.call))
            && (any_table || asked.tables.iter().any(is_table))
            && self
                .kind
                .as_deref()
                .is_none_or(|kind| asked.kind == Some(kind))
    }
}

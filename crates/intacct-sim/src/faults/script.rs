//! The script: which call, how often, what; read from TOML or JSON, or built.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::fault::{Fault, Truncate};
use super::moments::{Instant, Weekly};
use crate::document::{self, typed};
use crate::error::{Error, ErrorKind};
use crate::gateway::FUNCTIONS;

/// What goes wrong, in which calls, how often: a story that can be told again.
///
/// A script is TOML or JSON:
///
/// ```toml
/// seed = 7
///
/// [[rules]]
/// name = "the ledger is throttled now and then"
/// when = { call = "query", object = "GLDETAIL", probability = 0.1, times = 20 }
/// fault = { http = { status = 429, retry_after = 5 } }
///
/// [[rules]]
/// when = { call = "readMore", nth = [1, 2] }
/// fault = "session_expired"
/// ```
///
/// Rules are looked at in their order for every request. One whose conditions hold counts the
/// call as matched; whether it fires follows from `after`, `nth`, `every`, `times` and
/// `probability`. Several may fire for one request. One that answers in the place of the gateway
/// ends it: the rules behind it neither count the request nor fire.
///
/// With requests that come one after the other, the same script with the same seed tells the same
/// story. With several at a time it follows the order in which they arrive.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultScript {
    /// The seed of all draws.
    pub seed: u64,
    /// The rules, in the order in which they are looked at.
    pub rules: Vec<Rule>,
}

/// One rule of a script.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rule {
    /// A name for people; `rule 3` where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Which calls, and how often.
    pub when: When,
    /// What happens to them.
    pub fault: Fault,
}

/// The calls that a rule is about, and how often it fires. Everything left out does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct When {
    /// Names of functions, one or several.
    #[serde(
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub call: Vec<String>,
    /// Names of objects, one or several; of `readMore`, the object of its result.
    #[serde(
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub object: Vec<String>,
    /// Id of the entity of the session or login; an empty text means top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Login of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether the call logs in or brings a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// The number of the session since the start, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// The page that is asked for, from 1: by offset and page size, or by the place of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// The least offset, in records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_from: Option<u64>,
    /// Pages of more records than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size_over: Option<u64>,
    /// Windows of time wider than so many seconds. The window is the narrowest between a lower and
    /// an upper bound of one field in the filter of a `query`; without one it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_over: Option<u64>,
    /// A field by which a `query` is ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered_by: Option<String>,
    /// A field that is selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selects: Option<String>,
    /// From this instant of the company's clock on, as `2026-01-31T18:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Instant>,
    /// Before this instant of the company's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// A stretch of every week by the company's clock in UTC, as `Sat 02:30-05:30`: the
    /// maintenance window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Weekly>,
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

/// How a call says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum By {
    /// With user, company and password.
    Login,
    /// With a session.
    Session,
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
    /// `Invalid`, naming rule and field, for a text that is neither, for unknown names, and for
    /// settings that cannot be meant.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let document = document::read(text, "fault script")?;
        Self::from_document(document)
    }

    fn from_document(document: serde_json::Value) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Frame {
            #[serde(default)]
            seed: u64,
            #[serde(default)]
            rules: Vec<serde_json::Map<String, serde_json::Value>>,
        }
        let frame: Frame = typed(document, "fault script")?;
        let mut script = Self::new(frame.seed);
        for (place, mut fields) in frame.rules.into_iter().enumerate() {
            let mut rule = format!("rule {}", place + 1);
            let name = match fields.remove("name") {
                None => String::new(),
                Some(name) => typed::<String>(name, &format!("{rule}: name"))?,
            };
            if !name.is_empty() {
                rule = format!("{rule} {name:?}");
            }
            let when = fields
                .remove("when")
                .unwrap_or_else(|| serde_json::json!({}));
            let when = typed(when, &format!("{rule}: when"))?;
            let fault = fields
                .remove("fault")
                .ok_or_else(|| invalid(&rule, "fault", "is missing"))?;
            let fault = typed(fault, &format!("{rule}: fault"))?;
            if let Some(unknown) = fields.keys().next() {
                return Err(invalid(
                    &rule,
                    unknown,
                    "is not known: a rule has name, when and fault",
                ));
            }
            script.rules.push(Rule { name, when, fault });
        }
        script.check()?;
        Ok(script)
    }

    /// Refuses what cannot be meant.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (place, rule) in self.rules.iter().enumerate() {
            rule.check(&rule.title(place))?;
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

    /// Names the rule.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Only calls of this function, beside those named before.
    #[must_use]
    pub fn call(mut self, name: impl Into<String>) -> Self {
        self.when.call.push(name.into());
        self
    }

    /// Only calls about this object, beside those named before.
    #[must_use]
    pub fn object(mut self, name: impl Into<String>) -> Self {
        self.when.object.push(name.into());
        self
    }

    /// Only the n-th matched call, beside those named before.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.when.nth.push(nth);
        self
    }

    /// Every k-th matched call.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.when.every = Some(every);
        self
    }

    /// Only behind so many matched calls.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.when.after = calls;
        self
    }

    /// At most so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.when.times = Some(times);
        self
    }

    /// With this probability, from 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.when.probability = Some(probability);
        self
    }

    /// Sets any of the conditions.
    #[must_use]
    pub fn when(mut self, set: impl FnOnce(&mut When)) -> Self {
        set(&mut self.when);
        self
    }

    /// What a report calls the rule at this place of its script.
    pub(crate) fn title(&self, place: usize) -> String {
        if self.name.is_empty() {
            format!("rule {}", place + 1)
        } else {
            format!("rule {} {:?}", place + 1, self.name)
        }
    }

    fn check(&self, rule: &str) -> Result<(), Error> {
        let when = &self.when;
        for call in &when.call {
            if !FUNCTIONS.contains(&call.as_str()) {
                let problem = format!("names no function of the gateway: {call:?}");
                return Err(invalid(rule, "when.call", &problem));
            }
        }
        if when.nth.contains(&0) {
            return Err(invalid(rule, "when.nth", "counts from 1"));
        }
        for (field, number) in [
            ("when.every", when.every),
            ("when.page", when.page),
            ("when.session", when.session),
        ] {
            if number == Some(0) {
                return Err(invalid(rule, field, "must be 1 or more"));
            }
        }
        if let Some(probability) = when.probability
            && !(0.0..=1.0).contains(&probability)
        {
            return Err(invalid(rule, "when.probability", "must be from 0 to 1"));
        }
        if let (Some(from), Some(until)) = (when.from, when.until)
            && from.0 >= until.0
        {
            return Err(invalid(rule, "when.until", "must be later than when.from"));
        }
        self.check_fault(rule)
    }

    fn check_fault(&self, rule: &str) -> Result<(), Error> {
        let status = match &self.fault {
            Fault::Http(http) => Some(("fault.http.status", http.status)),
            Fault::Cloudflare(page) => Some(("fault.cloudflare.status", page.status)),
            Fault::ControlFailure(failure) => {
                Some(("fault.control_failure.status", failure.status))
            }
            _ => None,
        };
        if let Some((field, status)) = status
            && !(200..=599).contains(&status)
        {
            return Err(invalid(rule, field, "must be from 200 to 599"));
        }
        let errors = match &self.fault {
            Fault::ControlFailure(failure) => {
                Some(("fault.control_failure.errors", &failure.errors))
            }
            Fault::AuthenticationFailure(failure) => {
                Some(("fault.authentication_failure.errors", &failure.errors))
            }
            Fault::FunctionFailure(failure) => {
                Some(("fault.function_failure.errors", &failure.errors))
            }
            _ => None,
        };
        if let Some((field, errors)) = errors
            && errors.is_empty()
        {
            return Err(invalid(rule, field, "must hold an error"));
        }
        match &self.fault {
            Fault::Truncate(Truncate::Fraction(part)) if !(0.0..=1.0).contains(part) => Err(
                invalid(rule, "fault.truncate.fraction", "must be from 0 to 1"),
            ),
            Fault::Characters(characters) if characters.every == 0 => {
                Err(invalid(rule, "fault.characters.every", "must be 1 or more"))
            }
            Fault::Without(path) if !super::reshape::is_path(path) => Err(invalid(
                rule,
                "fault.without",
                "must name an element and its parent, as result/status",
            )),
            _ => Ok(()),
        }
    }
}

fn invalid(rule: &str, field: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{rule}: {field} {problem}"))
}

fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Visitor<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("one or a list of them")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            let text = serde::de::value::StrDeserializer::new(text);
            Ok(vec![T::deserialize(text)?])
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Vec<T>, E> {
            let number = serde::de::value::U64Deserializer::new(number);
            Ok(vec![T::deserialize(number)?])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = list.next_element()? {
                all.push(one);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_any(Visitor(std::marker::PhantomData))
}

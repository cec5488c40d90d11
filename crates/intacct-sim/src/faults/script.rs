//! The script of this vendor: which calls, what; how often is the same for every vendor.

use serde::{Deserialize, Serialize};
use sim_http::script::{self, Mistake, one_or_many};

use super::fault::{Fault, Truncate};
use super::moments::{Instant, Weekly};
use crate::gateway::FUNCTIONS;

/// What goes wrong, in which calls, how often: a story that can be told again.
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
/// A rule that answers in the place of the gateway ends the request: the rules behind it neither
/// count it nor fire.
pub type FaultScript = script::Script<Fault>;

/// One rule of a script. Calls are functions.
pub type Rule = script::Rule<Fault>;

/// How often a rule fired.
pub type RuleReport = script::RuleReport<Fault>;

/// The calls that a rule is about, beside their names and how often it fires ([`Calls`](sim_http::script::Calls)). Everything
/// left out does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct When {
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

impl script::Fault for Fault {
    type When = When;

    const CALLS: &'static [&'static str] = &FUNCTIONS;

    const CALL: &'static str = "function of the gateway";

    fn check(&self, when: &When) -> Result<(), Mistake> {
        for (field, number) in [("when.page", when.page), ("when.session", when.session)] {
            if number == Some(0) {
                return Err(Mistake::new(field, "must be 1 or more"));
            }
        }
        if let (Some(from), Some(until)) = (when.from, when.until)
            && from.0 >= until.0
        {
            return Err(Mistake::new("when.until", "must be later than when.from"));
        }
        self.check_itself()
    }
}

impl Fault {
    fn check_itself(&self) -> Result<(), Mistake> {
        let status = match self {
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
            return Err(Mistake::new(field, "must be from 200 to 599"));
        }
        let errors = match self {
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
            return Err(Mistake::new(field, "must hold an error"));
        }
        match self {
            Fault::Truncate(Truncate::Fraction(part)) if !(0.0..=1.0).contains(part) => Err(
                Mistake::new("fault.truncate.fraction", "must be from 0 to 1"),
            ),
            Fault::Characters(characters) if characters.every == 0 => {
                Err(Mistake::new("fault.characters.every", "must be 1 or more"))
            }
            Fault::Without(path) if !super::reshape::is_path(path) => Err(Mistake::new(
                "fault.without",
                "must name an element and its parent, as result/status",
            )),
            _ => Ok(()),
        }
    }
}

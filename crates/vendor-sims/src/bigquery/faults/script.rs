//! The script of this vendor: which calls, what; how often is the same for every vendor.

use serde::{Deserialize, Serialize};
use sim_http::script::{self, Mistake, one_or_many};

use super::fault::Fault;

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
/// A rule counts only calls that its fault can happen to.
pub type FaultScript = script::Script<Fault>;

/// One rule of a script. Calls are methods as the Discovery document names them (`jobs.query`);
/// `jobs.upload` and `jobs.upload.put` are `jobs.insert` with media, `oauth.token` and `metadata` the
/// ways to a token.
pub type Rule = script::Rule<Fault>;

/// How often a rule fired.
pub type RuleReport = script::RuleReport<Fault>;

/// The calls that a rule is about, beside their names and how often it fires
/// ([`Calls`](sim_http::script::Calls)). Everything left out does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct When {
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
}

impl script::Fault for Fault {
    type When = When;

    const CALLS: &'static [&'static str] = &CALLS;

    const CALL: &'static str = "method of the API";

    fn check(&self, when: &When) -> Result<(), Mistake> {
        let kind = when.kind.as_deref();
        if kind.is_some_and(|kind| kind != "load" && kind != "query") {
            return Err(Mistake::new("when.kind", "must be load or query"));
        }
        match self {
            Self::Refuse(refuse) if !(400..=599).contains(&refuse.status) => {
                let problem = format!("must be from 400 to 599, not {}", refuse.status);
                Err(Mistake::new("fault.refuse.status", problem))
            }
            Self::RowErrors { every: 0, .. } => {
                Err(Mistake::new("fault.row_errors.every", "must be 1 or more"))
            }
            _ => Ok(()),
        }
    }
}

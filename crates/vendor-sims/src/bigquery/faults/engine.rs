//! Which rules fire for a request, and what they do to it together.

use super::fault::{Body, Cut, Fault, Refuse};
use super::script::When;
use crate::bigquery::refusal::Refusal;

/// A script at work.
pub(in crate::bigquery) type Faults = sim_http::script::Faults<Fault>;

/// A request as rules look at it.
#[derive(Debug, Default)]
pub(in crate::bigquery) struct Asked {
    pub(in crate::bigquery) call: &'static str,
    pub(in crate::bigquery) tables: Vec<String>,
    pub(in crate::bigquery) kind: Option<&'static str>,
}

/// What goes wrong with one request.
#[derive(Debug, Default)]
pub(in crate::bigquery) struct Plan {
    pub(in crate::bigquery) refuse: Option<Refuse>,
    pub(in crate::bigquery) cut: Option<Cut>,
    pub(in crate::bigquery) slow_ms: u64,
    pub(in crate::bigquery) job_polls: Option<u32>,
    pub(in crate::bigquery) job_failure: Option<Refusal>,
    row_every: Option<usize>,
    pub(in crate::bigquery) row_error: String,
    pub(in crate::bigquery) lose_rows: bool,
    pub(in crate::bigquery) forget_insert_ids: bool,
    pub(in crate::bigquery) half_piece: bool,
    pub(in crate::bigquery) lose_upload: bool,
}

impl Plan {
    /// Whether the call does nothing at all.
    pub(in crate::bigquery) fn does_nothing(&self) -> bool {
        self.refuse.as_ref().is_some_and(|refuse| !refuse.stored) || self.cut == Some(Cut::Before)
    }

    /// Whether a row, counted from 0, is not stored.
    pub(in crate::bigquery) fn fails_row(&self, index: usize) -> bool {
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

/// Decides what happens to a request.
pub(in crate::bigquery) fn plan(faults: &mut Faults, asked: &Asked) -> Plan {
    let mut plan = Plan::default();
    let mut request = faults.request();
    while let Some(mut turn) = request.next_rule() {
        let rule = turn.rule();
        let meets =
            rule.names(asked.call) && rule.when.holds(asked) && rule.fault.concerns(asked.call);
        if meets && turn.fires(|| asked.name()) {
            plan.add(&rule.fault);
        }
    }
    plan
}

impl Asked {
    /// The method and the tables that it is about.
    fn name(&self) -> String {
        let words = std::iter::once(self.call).chain(self.tables.iter().map(String::as_str));
        words.collect::<Vec<_>>().join(" ")
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
        (any_table || asked.tables.iter().any(is_table))
            && self
                .kind
                .as_deref()
                .is_none_or(|kind| asked.kind == Some(kind))
    }
}

//! Which rules fire for a request, and what they do to it together.

use sim_http::Answer;

use super::edge;
use super::fault::{Cut, Fault, Work};
use super::reshape;
use super::script::{By, When};
use crate::gateway::GatewayError;

/// A script at work.
pub(crate) type Faults = sim_http::script::Faults<Fault>;

/// What a call asks for, as far as rules look at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked<'r> {
    /// The name of the function; empty for a request that could not be read.
    pub(crate) call: &'r str,
    pub(crate) object: Option<String>,
    pub(crate) user: String,
    /// Id of the entity; empty at top level.
    pub(crate) entity: String,
    pub(crate) by: Option<By>,
    pub(crate) session: u64,
    /// From 1.
    pub(crate) page: u64,
    pub(crate) offset: u64,
    pub(crate) page_size: u64,
    /// Seconds; none where there is no window.
    pub(crate) window: Option<i64>,
    pub(crate) ordered_by: Vec<&'r str>,
    pub(crate) selects: Vec<&'r str>,
}

/// What happens to one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Faults that concern the request or its answer as a whole.
    whole: Vec<Fault>,
    /// Faults by function, in the order of the request.
    functions: Vec<FunctionPlan>,
}

/// What happens to one function.
#[derive(Clone, Debug, Default)]
pub(crate) struct FunctionPlan(Vec<Fault>);

/// Decides what happens to a request of these functions at an instant of the company's clock.
pub(crate) fn plan(faults: &mut Faults, asked: &[Asked<'_>], now: i64) -> Plan {
    let mut plan = Plan {
        whole: Vec::new(),
        functions: vec![FunctionPlan::default(); asked.len()],
    };
    let mut request = faults.request();
    while let Some(mut turn) = request.next_rule() {
        let rule = turn.rule();
        for (asked, function) in asked.iter().zip(&mut plan.functions) {
            let meets = rule.names(asked.call)
                && concerns(&rule.fault, asked)
                && fits(&rule.when, asked, now);
            if !meets || !turn.fires(|| asked.name()) {
                continue;
            }
            if is_of_function(&rule.fault) {
                function.0.push(rule.fault.clone());
            } else {
                plan.whole.push(rule.fault.clone());
            }
        }
        if plan.whole.iter().any(edge::replaces) {
            break;
        }
    }
    plan
}

impl Asked<'_> {
    /// Function and object of the call.
    fn name(&self) -> String {
        match &self.object {
            Some(object) => format!("{} {object}", self.call),
            None => self.call.to_owned(),
        }
    }
}

/// Whether a fault can befall such a call at all.
fn concerns(fault: &Fault, asked: &Asked<'_>) -> bool {
    match fault {
        Fault::SessionExpired => asked.by == Some(By::Session),
        Fault::LoginRefused => asked.by == Some(By::Login),
        Fault::DeadCursor => asked.call == "readMore",
        Fault::Endpoint(_) => asked.call == "getAPISession",
        _ => true,
    }
}

fn fits(when: &When, asked: &Asked<'_>, now: i64) -> bool {
    let has = |list: &[&str], wanted: &Option<String>| {
        wanted
            .as_deref()
            .is_none_or(|wanted| list.contains(&wanted))
    };
    let object = asked.object.as_deref();
    (when.object.is_empty() || when.object.iter().any(|name| object == Some(name)))
        && when
            .entity
            .as_ref()
            .is_none_or(|entity| *entity == asked.entity)
        && when.user.as_ref().is_none_or(|user| *user == asked.user)
        && when.by.is_none_or(|by| asked.by == Some(by))
        && when.session.is_none_or(|number| number == asked.session)
        && when.page.is_none_or(|page| page == asked.page)
        && when.offset_from.is_none_or(|least| asked.offset >= least)
        && when
            .page_size_over
            .is_none_or(|most| asked.page_size > most)
        && when.window_over.is_none_or(|most| {
            asked.call == "query"
                && asked
                    .window
                    .is_none_or(|window| window > i64::try_from(most).unwrap_or(i64::MAX))
        })
        && has(&asked.ordered_by, &when.ordered_by)
        && has(&asked.selects, &when.selects)
        && when.from.is_none_or(|from| now >= from.0)
        && when.until.is_none_or(|until| now < until.0)
        && when.weekly.is_none_or(|weekly| weekly.holds(now))
}

/// Whether a fault changes one result, and not the answer as a whole.
fn is_of_function(fault: &Fault) -> bool {
    match fault {
        Fault::FunctionFailure(_)
        | Fault::Offline
        | Fault::TryAgainLater
        | Fault::Processing
        | Fault::DeadCursor
        | Fault::Endpoint(_)
        | Fault::ShiftRows(_)
        | Fault::RepeatRows(_)
        | Fault::Totals(_)
        | Fault::Characters(_)
        | Fault::AbsentNulls
        | Fault::BareAggregates
        | Fault::Late(_)
        | Fault::TextualKeys => true,
        Fault::Without(path) => reshape::is_of_result(path),
        _ => false,
    }
}

impl Plan {
    /// The faults that change the company before the request is looked at.
    pub(crate) fn company(&self) -> impl Iterator<Item = &Fault> {
        self.whole.iter().filter(|fault| {
            matches!(
                fault,
                Fault::Edit(_) | Fault::AdvanceClock(_) | Fault::ApplyRound(_) | Fault::Stamp(_)
            )
        })
    }

    /// Whether the request is not executed at all.
    pub(crate) fn stops(&self) -> bool {
        self.whole
            .iter()
            .any(|fault| edge::work(fault) == Some(Work::NotDone))
    }

    pub(crate) fn ends_session(&self) -> bool {
        self.whole.contains(&Fault::SessionExpired)
    }

    /// The seconds that the session lives from now on, where they are set.
    pub(crate) fn session_lifetime(&self) -> Option<i64> {
        self.whole.iter().find_map(|fault| match fault {
            Fault::SessionLifetime(seconds) => Some(i64::from(*seconds)),
            _ => None,
        })
    }

    /// The failure of the authentication, where there is one.
    pub(crate) fn authentication(&self) -> Option<GatewayError> {
        self.whole.iter().find_map(edge::authentication)
    }

    /// What happens to the function at this place of the request.
    pub(crate) fn function(&self, place: usize) -> &FunctionPlan {
        const NOTHING: &FunctionPlan = &FunctionPlan(Vec::new());
        self.functions.get(place).unwrap_or(NOTHING)
    }

    /// Gives the answer its last form: replaced, spoiled, delayed, cut.
    pub(crate) fn finish(&self, mut answer: Answer, now: i64) -> Answer {
        for fault in &self.whole {
            answer = edge::apply(fault, answer, now);
        }
        answer
    }
}

impl FunctionPlan {
    /// The failure of the function, and whether it runs nevertheless.
    pub(crate) fn failure(&self) -> Option<(GatewayError, Work)> {
        self.0.iter().find_map(edge::failure)
    }

    /// What stays of a failed function: its data, where the plan says so.
    pub(crate) fn data_beside_failure(&self, written: &[u8]) -> Vec<u8> {
        match self.failure() {
            Some((_, Work::Done)) => written.to_vec(),
            _ => Vec::new(),
        }
    }

    /// The endpoint that a new session names, where it is not the gateway's.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.0.iter().find_map(|fault| match fault {
            Fault::Endpoint(url) => Some(url.as_str()),
            _ => None,
        })
    }

    /// Seconds by which records become visible late.
    pub(crate) fn late(&self) -> Option<i64> {
        let seconds = self.0.iter().filter_map(|fault| match fault {
            Fault::Late(seconds) => Some(i64::from(*seconds)),
            _ => None,
        });
        seconds.max()
    }

    pub(crate) fn has_textual_keys(&self) -> bool {
        self.0.contains(&Fault::TextualKeys)
    }

    /// Where a page begins that should begin at `offset`.
    pub(crate) fn shifted(&self, offset: usize) -> usize {
        self.0.iter().fold(offset, |offset, fault| match fault {
            Fault::ShiftRows(by) => {
                offset.saturating_add_signed(isize::try_from(*by).unwrap_or_default())
            }
            _ => offset,
        })
    }

    /// Spoils a result that was written to `bytes` from `from` on.
    pub(crate) fn reshape(&self, bytes: &mut Vec<u8>, from: usize) {
        if self.0.is_empty() {
            return;
        }
        let mut result = bytes.split_off(from);
        for fault in &self.0 {
            reshape::result(fault, &mut result);
        }
        bytes.append(&mut result);
    }
}

impl From<Cut> for Work {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::BeforeWork => Self::NotDone,
            Cut::AfterWork | Cut::Amid => Self::Done,
        }
    }
}

//! What a company allows: requests at once, requests in a stretch of time, calls in all.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sync_http::{LimitOptions, Limiter, Permit, Phase, Timing};

use crate::error::{Error, ErrorKind, Reason, Result};

/// The limits of one company, for all clients that it is given to. Clones are the same limits.
///
/// All tasks and entities of one client share its limits anyway. Give the same `CompanyLimits` to several clients (of
/// several users, or of several pipelines in one process) to share them among these too.
#[derive(Clone)]
pub struct CompanyLimits(Arc<Inner>);

struct Inner {
    limiter: Limiter,
    options: LimitOptions,
    budget: Option<u64>,
    spent: AtomicU64,
    /// Calls that went well since one was too many at once, and how many it takes until one more is tried.
    recovery: Mutex<(u32, u32)>,
}

/// Calls that must go well before one more at once is tried again, at first and at most: each try that fails makes it
/// twice as many.
const PATIENCE: (u32, u32) = (32, 4096);

impl CompanyLimits {
    /// Limits on requests, and on the calls that may be made in all, if there is such a limit.
    ///
    /// Every function of every request that is sent is a call, a repeated one and a login too: the vendor bills a page of
    /// `query` as one transaction (Sage Intacct help, View API usage), and whether the others are free is not published.
    ///
    /// # Errors
    /// `Config` when a limit lets nothing pass.
    pub fn new(options: LimitOptions, call_budget: Option<u64>, timing: Timing) -> Result<Self> {
        if call_budget == Some(0) {
            return Err(Error::invalid(
                "call_budget is 0; allow at least one call or leave it out",
            ));
        }
        Ok(Self(Arc::new(Inner {
            limiter: Limiter::new(options.clone(), timing)?,
            options,
            budget: call_budget,
            spent: AtomicU64::new(0),
            recovery: Mutex::new((0, PATIENCE.0)),
        })))
    }

    /// How many requests may be under way at once now; none if that is not limited. One less after each answer that says
    /// that they are too many, and again more, one by one, while all goes well.
    #[must_use]
    pub fn at_once(&self) -> Option<usize> {
        self.0.limiter.at_once()
    }

    /// How many calls have been made.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.0.spent.load(Ordering::Relaxed)
    }

    /// How many calls may still be made; none if there is no limit.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.0
            .budget
            .map(|budget| budget.saturating_sub(self.spent()))
    }

    pub(crate) fn options(&self) -> &LimitOptions {
        &self.0.options
    }

    pub(crate) async fn acquire(&self) -> Result<Permit> {
        Ok(self.0.limiter.acquire().await?)
    }

    /// Takes in whether a call was one too many.
    pub(crate) fn heed(&self, was_too_many: bool) {
        let mut recovery = self
            .0
            .recovery
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (calls, patience) = &mut *recovery;
        if was_too_many {
            if self.0.limiter.narrow() {
                let at_once = self.at_once();
                tracing::warn!(at_once, "the gateway asks for fewer requests at once");
                *patience = patience.saturating_mul(2).min(PATIENCE.1);
            }
            *calls = 0;
            return;
        }
        *calls = calls.saturating_add(1);
        if *calls >= *patience {
            *calls = 0;
            self.0.limiter.widen();
        }
    }

    /// Takes calls out of the budget, or refuses them.
    pub(crate) fn spend(&self, calls: u64) -> Result<()> {
        let most = self.0.budget.unwrap_or(u64::MAX);
        let enough = |spent: u64| spent.checked_add(calls).filter(|after| *after <= most);
        let taken = self
            .0
            .spent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough);
        taken.map(drop).map_err(|spent| {
            let message = "the budget of calls is spent; nothing was sent; raise call_budget, or go on in a later run";
            Error::new(ErrorKind::Throttled, Reason::BudgetSpent, message)
                .in_phase(Phase::NotSent)
                .with("call_budget", most.to_string())
                .with("spent", spent.to_string())
        })
    }
}

impl fmt::Debug for CompanyLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompanyLimits")
            .field("options", &self.0.options)
            .field("budget", &self.0.budget)
            .field("spent", &self.spent())
            .finish()
    }
}

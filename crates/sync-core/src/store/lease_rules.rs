//! The rules of leases, the same for every store.
//!
//! A lease is a row for each stream of a pipeline. Whoever asks is given it when it is free, when its
//! time is over, or when its holder is known to be gone. The time is that of the store's clock; what
//! keeps two runs apart is not the time but the token, which every change shows.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::leases::{Lease, LeaseRequest};
use super::scope::{Claim, FencingToken};
use super::wording::Told;
use crate::error::{Error, ErrorKind, Retry};
use crate::ledger::EntryKind;
use crate::window::rfc3339;

/// A lease as it is stored.
#[derive(Clone, Debug)]
pub(super) struct StoredLease {
    pub(super) lease: Lease,
    /// The store's handle through which it was given.
    pub(super) handle: Uuid,
    /// When it was given or last renewed.
    pub(super) renewed_at: OffsetDateTime,
    /// Whether its holder still wants it.
    pub(super) held: bool,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is granted: to be stored, and told where somebody else's ended by it.
    Granted(StoredLease, Option<Told>),
    /// It is not: to be stored where it was cut short, then refused.
    Refused(StoredLease),
}

/// Decides over a request. `gone` tells of a lease whether its holder is known to be no more.
pub(super) fn decide(
    request: &LeaseRequest,
    handle: Uuid,
    now: OffsetDateTime,
    stored: Option<StoredLease>,
    gone: impl FnOnce(&StoredLease) -> bool,
) -> Decision {
    let grant = |token| StoredLease {
        lease: Lease::granted(request, token, now),
        handle,
        renewed_at: now,
        held: true,
    };
    let Some(stored) = stored else {
        return Decision::Granted(grant(FencingToken(1)), None);
    };
    let next = FencingToken(stored.lease.token.0.saturating_add(1));
    if !stored.held {
        return Decision::Granted(grant(next), None);
    }
    if stored.lease.run == request.run && stored.handle == handle {
        // It was granted before, and the answer was lost.
        return Decision::Granted(stored, None);
    }
    let stored = cut_short(stored, now);
    if now < stored.lease.until && !gone(&stored) {
        return Decision::Refused(stored);
    }
    let granted = grant(next);
    let told = taken_over(&granted.lease, &stored.lease);
    Decision::Granted(granted, Some(told))
}

/// A lease that was renewed later than now is of a time before the clock was set back. It ends as long
/// from now as it was renewed for: its holder, if it lives, renews it before that.
fn cut_short(mut stored: StoredLease, now: OffsetDateTime) -> StoredLease {
    if now < stored.renewed_at {
        stored.lease.until = now + (stored.lease.until - stored.renewed_at);
        stored.renewed_at = now;
        stored.lease.since = stored.lease.since.min(now);
    }
    stored
}

/// A lease as it is once its holder renewed it.
pub(super) fn renewed(lease: &Lease, now: OffsetDateTime, duration: Duration) -> Lease {
    let mut lease = lease.clone();
    lease.until = now + duration;
    lease.since = lease.since.min(now);
    lease
}

fn taken_over(taker: &Lease, last: &Lease) -> Told {
    let body = json!({
        "pipeline": taker.pipeline,
        "stream": taker.stream,
        "token": taker.token,
        "holder": taker.holder,
        "from": last,
    });
    Told::new(EntryKind::LeaseTakenOver, body)
}

/// What somebody is told who asks for a lease that another has.
pub(super) fn refusal(lease: &Lease, now: OffsetDateTime) -> Error {
    let what = "another run holds this stream; wait until it has ended";
    let left = Duration::try_from(lease.until - now).unwrap_or_default();
    described(Error::new(ErrorKind::Conflict, what), lease).retrying(Retry::After(left))
}

/// What somebody is told who shows an older token than that of the lease in force.
pub(super) fn fenced(in_force: &Lease) -> Error {
    let what = "this run's lease has ended and another run took the stream over; \
                its late change was refused, and nothing of it is kept";
    described(Error::new(ErrorKind::Conflict, what), in_force)
}

/// What somebody is told who changes a stream without a lease on it.
pub(super) fn unleased(claim: &Claim) -> Error {
    let what = "this run holds no lease on the stream, so its change was refused";
    Error::new(ErrorKind::Conflict, what)
        .with("pipeline", &claim.scope.pipeline)
        .with("stream", claim.scope.stream.as_str())
}

fn described(error: Error, lease: &Lease) -> Error {
    error
        .with("pipeline", &lease.pipeline)
        .with("stream", lease.stream.as_str())
        .with("host", &lease.holder.host)
        .with("process", lease.holder.process.to_string())
        .with("run", lease.run.to_string())
        .with("since", rfc3339(lease.since))
        .with("until", rfc3339(lease.until))
}

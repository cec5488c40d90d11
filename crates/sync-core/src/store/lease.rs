//! The rules of leases, the same for every store.
//!
//! A lease is a row for each stream of a pipeline. Whoever asks is given it when it is free, when its
//! time is over, or when its holder is known to be gone. The time is that of the store's clock; what
//! keeps two runs apart is not the time but the token, which every change shows.

use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::scope::{FencingToken, Lease, LeaseRequest};
use super::wording::Told;
use crate::ledger::EntryKind;

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
        lease: Lease {
            pipeline: request.pipeline.clone(),
            stream: request.stream.clone(),
            token,
            run: request.run,
            holder: request.holder.clone(),
            since: now,
            until: now + request.duration,
        },
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

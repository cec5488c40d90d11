//! What the ledger's entries say, the same for every store.

use serde_json::{Value, json};

use super::batches::{PreparedBatch, Settlement};
use super::letters::{Discard, LetterId};
use super::payloads::{LostBatch, Removal};
use super::periods::VerifiedPeriod;
use super::progress::RunStart;
use super::replays::{Replayed, Replaying};
use super::scope::{Claim, Scope};
use crate::id::{BatchId, Digest, Hasher};
use crate::ledger::EntryKind;
use crate::shape::{AcceptedContract, Difference};
use crate::window::{Cursor, Window, rfc3339};

/// A kind of entry and its body, which is JSON.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) kind: EntryKind,
    pub(super) body: String,
}

impl Told {
    pub(super) fn new(kind: EntryKind, body: Value) -> Self {
        let body = body.to_string();
        Self { kind, body }
    }
}

/// The digest of a run's settings, as its `run_begun` names it.
pub(super) fn configuration_digest(settings: &str) -> Digest {
    Hasher::new("intacct-sync/configuration/1")
        .part(settings.as_bytes())
        .digest()
}

pub(super) fn configured(start: &RunStart, before: Option<&str>) -> Told {
    let body = json!({
        "pipeline": start.pipeline,
        "sink": start.sink,
        "before": before,
        "digest": configuration_digest(&start.settings),
        "settings": start.settings,
    });
    Told::new(EntryKind::Configured, body)
}

pub(super) fn run_begun(start: &RunStart) -> Told {
    let body = json!({
        "pipeline": start.pipeline,
        "sink": start.sink,
        "company": start.company,
        "configuration": configuration_digest(&start.settings),
    });
    Told::new(EntryKind::RunBegun, body)
}

pub(super) fn window_opened(scope: &Scope, window: Window) -> Told {
    let body = json!({ "scope": scope, "window": window });
    Told::new(EntryKind::WindowOpened, body)
}

pub(super) fn contract_accepted(
    scope: &Scope,
    accepted: &AcceptedContract,
    differences: &[Difference],
) -> Told {
    let body = json!({
        "scope": scope,
        "promised": accepted.contract,
        "differences": differences,
        "reread": accepted.reread,
    });
    Told::new(EntryKind::SchemaChanged, body)
}

pub(super) fn reread_begun(scope: &Scope) -> Told {
    Told::new(EntryKind::RereadBegun, json!({ "scope": scope }))
}

pub(super) fn batch_prepared(batch: &PreparedBatch) -> Told {
    let body = json!({
        "scope": batch.scope,
        "batch": batch.id,
        "place": batch.place,
        "rows": batch.rows,
        "payload": batch.spooled,
        "origins": batch.origins,
    });
    Told::new(EntryKind::BatchPrepared, body)
}

/// The batch's id is a hash over its records' ids, so that with the numbers of the refused rows this
/// is the outcome of each record.
pub(super) fn batch_settled(claim: &Claim, settlement: &Settlement) -> Told {
    let Settlement { batch, receipt, .. } = settlement;
    let refused: Vec<_> = receipt.rejected.iter().map(|it| it.row).collect();
    let cut_by = (claim.run != batch.run).then_some(batch.run);
    let body = json!({
        "scope": batch.scope,
        "batch": batch.id,
        "rows": batch.rows,
        "rejected": refused.len(),
        "refused": refused,
        "job": receipt.job,
        "settled_at": rfc3339(receipt.at),
        "cut_by": cut_by,
    });
    Told::new(EntryKind::BatchSettled, body)
}

pub(super) fn batch_given_up(lost: &LostBatch) -> Told {
    let LostBatch {
        batch,
        reason,
        landed,
    } = lost;
    let body = json!({
        "scope": batch.scope,
        "batch": batch.id,
        "cut_by": batch.run,
        "payload": batch.spooled,
        "reason": reason,
        "landed": landed,
    });
    Told::new(EntryKind::BatchGivenUp, body)
}

pub(super) fn payloads_removed(removal: &Removal) -> Told {
    let payloads = &removal.payloads;
    let names: Vec<_> = payloads.iter().map(|it| &it.name).collect();
    let body = json!({
        "reason": removal.reason,
        "bytes": payloads.iter().map(|it| it.bytes).sum::<u64>(),
        "payloads": names,
    });
    Told::new(EntryKind::PayloadsRemoved, body)
}

pub(super) fn advanced(scope: &Scope, cursor: &Cursor) -> Told {
    let body = json!({ "scope": scope, "cursor": cursor });
    Told::new(EntryKind::Advanced, body)
}

pub(super) fn window_read(scope: &Scope) -> Told {
    Told::new(EntryKind::WindowRead, json!({ "scope": scope }))
}

pub(super) fn window_completed(scope: &Scope, watermark: &str) -> Told {
    let body = json!({ "scope": scope, "watermark": watermark });
    Told::new(EntryKind::WindowCompleted, body)
}

pub(super) fn records_rejected(scope: &Scope, batch: Option<BatchId>, records: u64) -> Told {
    let body = json!({ "scope": scope, "batch": batch, "records": records });
    Told::new(EntryKind::RecordsRejected, body)
}

pub(super) fn letters_retried(batch: &PreparedBatch, letters: &[LetterId]) -> Told {
    let body = json!({ "scope": batch.scope, "batch": batch.id, "letters": letters });
    Told::new(EntryKind::LettersRetried, body)
}

pub(super) fn letters_resolved(scope: &Scope, batch: BatchId, letters: &[LetterId]) -> Told {
    let body = json!({ "scope": scope, "batch": batch, "letters": letters });
    Told::new(EntryKind::LettersResolved, body)
}

pub(super) fn letters_superseded(scope: &Scope, letters: &[LetterId]) -> Told {
    let body = json!({ "scope": scope, "letters": letters });
    Told::new(EntryKind::LettersSuperseded, body)
}

pub(super) fn letters_discarded(scope: &Scope, discard: &Discard) -> Told {
    let Discard {
        letters,
        reason,
        by,
    } = discard;
    let body = json!({ "scope": scope, "letters": letters, "reason": reason, "by": by });
    Told::new(EntryKind::LettersDiscarded, body)
}

pub(super) fn batch_replaying(scope: &Scope, replaying: &Replaying) -> Told {
    let Replaying {
        batch,
        mode,
        rows,
        superseded,
    } = replaying;
    let body = json!({
        "scope": scope,
        "batch": batch,
        "mode": mode,
        "rows": rows,
        "superseded": superseded,
    });
    Told::new(EntryKind::BatchReplaying, body)
}

/// As of a batch that is settled, the numbers of the refused rows are the outcome of each record.
pub(super) fn batch_replayed(scope: &Scope, replayed: &Replayed) -> Told {
    let Replayed {
        sent,
        job,
        at,
        refused,
        ..
    } = replayed;
    let refused: Vec<_> = refused.iter().map(|(row, _)| row).collect();
    let body = json!({
        "scope": scope,
        "batch": sent.batch,
        "mode": sent.mode,
        "outcome": "sent",
        "rows": sent.rows,
        "superseded": sent.superseded,
        "rejected": refused.len(),
        "refused": refused,
        "job": job,
        "settled_at": rfc3339(*at),
    });
    Told::new(EntryKind::BatchReplayed, body)
}

pub(super) fn period_verified(
    scope: &Scope,
    period: &VerifiedPeriod,
    change: Option<&str>,
) -> Told {
    let change: Option<Value> = change.and_then(|change| serde_json::from_str(change).ok());
    let kind = match change {
        Some(_) => EntryKind::ClosedPeriodChanged,
        None => EntryKind::PeriodVerified,
    };
    let body = json!({ "scope": scope, "period": period, "change": change });
    Told::new(kind, body)
}

pub(super) fn periods_reopened(scope: &Scope, periods: &[String]) -> Told {
    let body = json!({ "scope": scope, "periods": periods });
    Told::new(EntryKind::PeriodsReopened, body)
}

//! One batch of a replay: what is to be done with it, and doing it.

use std::sync::Arc;

use super::super::Parts;
use super::super::delivery::{Delivery, refused_row, settled_records};
use super::report::{BatchReplay, ReplayOutcome};
use super::selection::is_lost;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::ledger::EntryKind;
use crate::receipt::{Landed, Receipt, RejectionClass};
use crate::sink::Sink;
use crate::store::{KeptBatch, ReplayMode, Replayed, Replaying, Scope};
use crate::stream::StreamDescriptor;

/// A stream whose batches are sent again.
pub(super) struct Again<'a> {
    pub(super) parts: &'a Parts,
    pub(super) sink: &'a Arc<dyn Sink>,
    pub(super) stream: Arc<StreamDescriptor>,
    pub(super) scope: &'a Scope,
    pub(super) mode: ReplayMode,
}

/// What is to be done with a batch.
enum Task {
    /// Nothing, for this reason.
    Nothing(ReplayOutcome),
    /// It is to be sent without so many rows.
    Send { batch: Box<Batch>, superseded: u64 },
}

impl Again<'_> {
    pub(super) async fn plan(&self, kept: &KeptBatch) -> Result<BatchReplay> {
        Ok(match self.task(kept).await? {
            Task::Nothing(outcome) => nothing_sent(kept, outcome),
            Task::Send { batch, superseded } => BatchReplay {
                rows: batch.len() as u64,
                superseded,
                ..nothing_sent(kept, ReplayOutcome::Sent)
            },
        })
    }

    pub(super) async fn send(&self, delivery: &Delivery, kept: &KeptBatch) -> Result<BatchReplay> {
        let store = &self.parts.store;
        let (batch, superseded) = match self.task(kept).await? {
            Task::Send { batch, superseded } => (batch, superseded),
            Task::Nothing(outcome) => {
                let replay = nothing_sent(kept, outcome);
                let body = serde_json::json!({
                    "scope": self.scope,
                    "batch": kept.id,
                    "mode": self.mode,
                    "outcome": outcome,
                    "superseded": replay.superseded,
                });
                let claim = &delivery.claim;
                store
                    .note(claim, EntryKind::BatchReplayed, &body.to_string())
                    .await?;
                return Ok(replay);
            }
        };
        let replaying = Replaying {
            batch: kept.id,
            mode: self.mode,
            rows: batch.len() as u64,
            superseded,
        };
        store.begin_replay(&delivery.claim, &replaying).await?;
        let receipt = match self.mode {
            ReplayMode::Missing => self.sink.write(&batch).await?,
            ReplayMode::Force => self.sink.rewrite(&batch).await?,
        };
        let receipt = delivery.made_durable(receipt).await?;
        let replayed = outcome_of(&batch, replaying, receipt)?;
        store.settle_replay(&delivery.claim, &replayed).await?;
        Ok(BatchReplay {
            rows: replayed.sent.rows,
            superseded: replayed.sent.superseded,
            refused: replayed.refused.len() as u64,
            job: replayed.job,
            ..nothing_sent(kept, ReplayOutcome::Sent)
        })
    }

    async fn task(&self, kept: &KeptBatch) -> Result<Task> {
        if self.mode == ReplayMode::Missing
            && matches!(self.sink.lookup(&kept.id).await?, Landed::Yes(_))
        {
            return Ok(Task::Nothing(ReplayOutcome::There));
        }
        let Some(spooled) = &kept.spooled else {
            return Ok(Task::Nothing(ReplayOutcome::Gone));
        };
        let lost = |error: Error| match error.kind() {
            crate::ErrorKind::NotFound => Ok(Task::Nothing(ReplayOutcome::Gone)),
            _ if is_lost(&error) => Ok(Task::Nothing(ReplayOutcome::Damaged)),
            _ => Err(error),
        };
        let rows = match self.parts.spool.get(spooled).await {
            Ok(rows) => rows,
            Err(error) => return lost(error),
        };
        let stream = Arc::clone(&self.stream);
        let batch = match Batch::restore(kept.id, stream, kept.place.clone(), rows) {
            Ok(batch) => batch.attested(kept.entry),
            Err(error) => return lost(error),
        };
        if !kept.settled {
            // In a plan alone: before anything is sent, such batches are brought to their end.
            return Ok(Task::Send {
                batch: Box::new(batch),
                superseded: 0,
            });
        }
        let store = &self.parts.store;
        let latest = store.latest(self.scope, &kept.id, batch.keys()).await?;
        let superseded = latest.iter().filter(|latest| !**latest).count() as u64;
        if superseded == batch.len() as u64 {
            return Ok(Task::Nothing(ReplayOutcome::Superseded));
        }
        let batch = Box::new(batch.only(&latest)?);
        Ok(Task::Send { batch, superseded })
    }
}

fn nothing_sent(kept: &KeptBatch, outcome: ReplayOutcome) -> BatchReplay {
    let all_are = outcome == ReplayOutcome::Superseded;
    BatchReplay {
        batch: kept.id,
        outcome,
        rows: 0,
        bytes: kept.spooled.as_ref().map_or(0, |spooled| spooled.bytes),
        superseded: if all_are { kept.rows } else { 0 },
        refused: 0,
        job: None,
    }
}

/// What the store is told. Rows are counted as in the whole batch.
fn outcome_of(batch: &Batch, mut sent: Replaying, mut receipt: Receipt) -> Result<Replayed> {
    receipt.rejected.sort_by_key(|rejection| rejection.row);
    receipt.rejected.dedup_by_key(|rejection| rejection.row);
    let (mut refused, mut dead_letters) = (Vec::new(), Vec::new());
    for rejection in &receipt.rejected {
        let letter = refused_row(batch, rejection)?;
        if rejection.class == RejectionClass::Superseded {
            // The destination knows of a later state than the store does: as good as left out.
            sent.superseded += 1;
            continue;
        }
        let key = batch.keys()[rejection.row].clone();
        refused.push((batch.row_of_whole(rejection.row) as u64, key));
        dead_letters.push(letter);
    }
    let mut rejected = receipt.rejected.iter().map(|it| it.row).peekable();
    let records = settled_records(batch)?.into_iter().enumerate();
    let delivered = records
        .filter(|(row, _)| rejected.next_if_eq(row).is_none())
        .map(|(row, record)| (batch.row_of_whole(row) as u64, record));
    Ok(Replayed {
        delivered: delivered.collect(),
        sent,
        refused,
        dead_letters,
        job: receipt.job,
        at: receipt.at,
    })
}

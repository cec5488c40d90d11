//! Taking a sink up where it was left: batches that wait are brought to their end.

use std::sync::Arc;

use super::contract::Agreement;
use super::delivery::{Delivery, Ready};
use super::event::Event;
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::EntryKind;
use crate::receipt::Landed;
use crate::store::{LostBatch, PreparedBatch, UnsettledBatch};
use crate::window::{Checkpoint, OpenWindow};

impl Delivery {
    /// Makes the sink ready: its table, then what an earlier run left behind. A window that was read to
    /// its end is closed without a call to the source.
    pub(super) async fn take_up(&self, agreement: &Agreement) -> Result<Checkpoint> {
        self.agree(agreement).await?;
        let store = &self.parts().store;
        let checkpoint = store.checkpoint(self.scope()).await?;
        let Some(OpenWindow { is_read: true, .. }) = checkpoint.open else {
            return Ok(checkpoint);
        };
        self.sink.flush(&self.stream.name).await?;
        store.complete_window(&self.claim).await?;
        store.checkpoint(self.scope()).await
    }

    /// Brings batches of an interrupted run to their end: the sink is asked, and gets the same
    /// bytes again where it has not seen them. Those whose payloads are lost are given up, and what they
    /// held is read again.
    pub(super) async fn recover(&self) -> Result<()> {
        let store = &self.parts().store;
        'as_the_store_has_them: loop {
            for unsettled in store.unsettled(self.scope()).await? {
                let turn = self.turn.lock().await;
                match self.payload(&unsettled).await {
                    Ok(batch) => {
                        self.bring_to_its_end(batch, unsettled.batch).await?;
                    }
                    Err(lost) if is_lost(&lost) => {
                        self.give_up(unsettled.batch, &lost).await?;
                        // Those behind it no longer move the cursor.
                        continue 'as_the_store_has_them;
                    }
                    Err(error) => return Err(error),
                }
                drop(turn);
            }
            return Ok(());
        }
    }

    /// Delivers a batch of this run that waits in the spool and was never sent.
    pub(super) async fn deliver_from_spool(&self, unsettled: UnsettledBatch) -> Result<()> {
        // Of all the streams that wait for a sink, one batch is in memory at a time.
        let turn = self.turn.lock().await;
        let batch = self.payload(&unsettled).await?;
        let receipt = self.sink.write(&batch).await?;
        drop(turn);
        let prepared = unsettled.batch;
        self.settle(&Ready { batch, prepared }, receipt).await
    }

    async fn payload(&self, unsettled: &UnsettledBatch) -> Result<Batch> {
        let prepared = &unsettled.batch;
        let rows = self.parts().spool.get(&prepared.spooled).await?;
        let (stream, place) = (Arc::clone(&self.stream), prepared.place.clone());
        let batch = Batch::restore(prepared.id, stream, place, rows)?;
        Ok(batch.attested(unsettled.entry))
    }

    async fn bring_to_its_end(&self, batch: Batch, prepared: PreparedBatch) -> Result<()> {
        let id = prepared.id;
        let (receipt, resent) = match self.sink.lookup(&id).await? {
            Landed::Yes(receipt) => (receipt, false),
            Landed::No | Landed::Unknown => {
                let body = serde_json::json!({
                    "scope": self.scope(),
                    "batch": id,
                    "cut_by": prepared.run,
                });
                let store = &self.parts().store;
                store
                    .note(&self.claim, EntryKind::BatchResent, &body.to_string())
                    .await?;
                (self.sink.write(&batch).await?, true)
            }
        };
        self.settle(&Ready { batch, prepared }, receipt).await?;
        self.report().recovered += 1;
        self.observe(Event::BatchRecovered {
            stream: &self.stream.name,
            sink: self.sink.name(),
            batch: id,
            resent,
        });
        Ok(())
    }

    /// Nothing of the batch counts as read, so the source is asked for it again. Where the destination has
    /// the batch, it gets the same records once more. Of those that were deleted at the source meanwhile
    /// nothing is known any more; that the tie-out finds.
    async fn give_up(&self, batch: PreparedBatch, error: &Error) -> Result<()> {
        let landed = match self.sink.lookup(&batch.id).await? {
            Landed::Yes(_) => Some(true),
            Landed::No => Some(false),
            Landed::Unknown => None,
        };
        let (id, reason) = (batch.id, error.chain());
        tracing::warn!(stream = %self.stream.name, batch = %id, reason, "a batch is given up and read again");
        let lost = LostBatch {
            batch,
            reason,
            landed,
        };
        self.parts().store.give_up(&self.claim, &lost).await?;
        self.report().given_up += 1;
        self.observe(Event::BatchGivenUp {
            stream: &self.stream.name,
            sink: self.sink.name(),
            batch: id,
            reason: &lost.reason,
        });
        Ok(())
    }
}

/// Whether the payload is gone or is not what was put in, rather than out of reach for now.
fn is_lost(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Data)
}

//! Bringing batches of an interrupted run to their end.

use std::sync::Arc;

use super::Parts;
use super::delivery::{Delivery, Ready};
use super::event::Event;
use crate::batch::Batch;
use crate::error::Result;
use crate::ledger::EntryKind;
use crate::receipt::Landed;

impl Delivery {
    /// Brings batches of an interrupted run to their end: the sink is asked, and gets the same
    /// bytes again where it has not seen them.
    pub(super) async fn recover(&self) -> Result<()> {
        let Parts { store, spool, .. } = self.parts();
        let sink = &self.sink;
        for unsettled in store.unsettled(self.scope()).await? {
            let prepared = unsettled.batch;
            let rows = spool.get(&prepared.spooled).await?;
            let stream = Arc::clone(&self.stream);
            let batch = Batch::restore(prepared.id, stream, prepared.place.clone(), rows)?
                .attested(unsettled.entry);
            let landed = sink.lookup(&prepared.id).await?;
            let (receipt, resent) = match landed {
                Landed::Yes(receipt) => (receipt, false),
                Landed::No | Landed::Unknown => {
                    let body = serde_json::json!({
                        "scope": self.scope(),
                        "batch": prepared.id,
                        "cut_by": prepared.run,
                    });
                    store
                        .note(&self.claim, EntryKind::BatchResent, &body.to_string())
                        .await?;
                    (sink.write(&batch).await?, true)
                }
            };
            self.settle(
                &Ready {
                    batch,
                    prepared: prepared.clone(),
                },
                receipt,
            )
            .await?;
            self.report().recovered += 1;
            let stream = &self.stream.name;
            self.observe(Event::BatchRecovered {
                stream,
                batch: prepared.id,
                resent,
            });
        }
        Ok(())
    }
}

//! One stream on its way to one sink: batches are prepared, written and settled, in this order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::Array as _;
use time::OffsetDateTime;

use super::event::Event;
use super::extraction::Piece;
use super::held_lease::HeldLease;
use super::report::StreamReport;
use super::stream_run::StreamRun;
use super::{Destination, Parts, Pipeline};
use crate::batch::{Batch, Operation, UnreadableRecord};
use crate::column::Column;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::EntryKind;
use crate::receipt::{Durability, Receipt, Rejection, RejectionClass};
use crate::sink::Sink;
use crate::spool::Spooled;
use crate::store::{Claim, DeadLetter, PreparedBatch, Scope, SettledRecord, Settlement};
use crate::stream::StreamDescriptor;
use crate::totals::ControlTotals;

/// One stream of one run on its way to one sink.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) stream: Arc<StreamDescriptor>,
    pub(super) sink: Arc<dyn Sink>,
    /// By what right the run changes the stream's progress towards the sink.
    pub(super) claim: Claim,
    /// Streams that are delivered at the same time write to a sink by turns.
    pub(super) turn: Turn,
    report: Mutex<StreamReport>,
}

/// Whose turn it is to write to a sink.
pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

/// A batch whose payload is spooled and that the ledger knows of.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) batch: Batch,
    pub(super) prepared: PreparedBatch,
}

/// What comes behind the last batch of a window.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// The time as of which both sides are compared.
    pub(super) as_of: OffsetDateTime,
    /// The source's totals, where they are known.
    pub(super) totals: Option<ControlTotals>,
    /// Whether a window is complete with it.
    pub(super) closes_window: bool,
}

impl Delivery {
    pub(super) fn new(of: &StreamRun, to: &Destination, lease: &HeldLease) -> Self {
        let sink = Arc::clone(&to.sink);
        Self {
            pipeline: Arc::clone(&of.pipeline),
            stream: Arc::clone(&of.stream),
            claim: lease.claim(sink.name()),
            turn: Arc::clone(&to.turn),
            report: Mutex::new(StreamReport::new(&of.stream, sink.name())),
            sink,
        }
    }

    pub(super) async fn prepare_table(&self) -> Result<()> {
        let Parts { store, .. } = self.parts();
        let sink = &self.sink;
        let plan = sink.plan(&self.stream).await?;
        store.remember_stream(&self.claim, &self.stream).await?;
        if plan.is_empty() {
            // The sink may have tables of its own to see to.
            return sink.prepare(&plan).await;
        }
        // Before it is done, because afterwards nothing would tell a later run that it was.
        let body = serde_json::json!({
            "scope": self.scope(),
            "changes": plan.changes,
            "contract": self.stream.contract(),
        });
        store
            .note(&self.claim, EntryKind::SchemaChanged, &body.to_string())
            .await?;
        sink.prepare(&plan).await?;
        self.observe(Event::SchemaChanged {
            sink: self.sink.name(),
            plan: &plan,
        });
        Ok(())
    }

    /// Notes a spooled batch in the ledger: from here on it is sent, by this run or by another.
    pub(super) async fn prepare(
        &self,
        batch: Batch,
        spooled: Spooled,
        piece: &Piece<'_>,
    ) -> Result<Ready> {
        let prepared = PreparedBatch {
            id: batch.id(),
            run: self.claim.run,
            scope: self.scope().clone(),
            place: batch.place().clone(),
            rows: batch.len(),
            spooled,
            cursor: piece.cursor.clone(),
            origins: piece.origins.clone(),
        };
        let store = &self.parts().store;
        let entry = store.prepare(&self.claim, &prepared, piece.unreadable);
        Ok(Ready {
            batch: batch.attested(entry.await?),
            prepared,
        })
    }

    /// Brings a batch nearer to its table. This waits for no turn: it is done while others write.
    pub(super) async fn stage(&self, ready: &Ready) -> Result<()> {
        self.sink.stage(&ready.batch).await
    }

    /// Writes a batch, when it is the stream's turn.
    pub(super) async fn write(&self, ready: &Ready) -> Result<Receipt> {
        let _turn = self.turn.lock().await;
        let receipt = self.sink.write(&ready.batch).await?;
        self.made_durable(receipt).await
    }

    /// The receipt, once nothing of what it tells of can be lost any more.
    pub(super) async fn made_durable(&self, mut receipt: Receipt) -> Result<Receipt> {
        if receipt.durability == Durability::Accepted {
            self.sink.flush(&self.stream.name).await?;
            receipt.durability = Durability::Durable;
        }
        Ok(receipt)
    }

    /// Flushes, ties out, and closes the window.
    pub(super) async fn end(&self, ending: Ending) -> Result<()> {
        if ending.closes_window {
            self.sink.flush(&self.stream.name).await?;
        }
        self.tie_out(ending.as_of, ending.totals).await?;
        if ending.closes_window {
            let store = &self.parts().store;
            store.complete_window(&self.claim).await?;
            // One that keeps no watermark would have the window read again, for ever.
            let kept = store.checkpoint(self.scope()).await?.watermark;
            if kept < Some(ending.as_of) {
                let what = "the store did not keep that a window is complete, so it would be read again \
                            and again: look at the store, or restore a copy of it";
                return Err(Error::new(ErrorKind::Internal, what));
            }
        }
        Ok(())
    }

    /// Notes what became of a batch. Only what cannot be lost any more may move the cursor, so a sink
    /// that has not said that it is durable is asked to make it so.
    pub(super) async fn settle(&self, ready: &Ready, receipt: Receipt) -> Result<()> {
        let mut receipt = self.made_durable(receipt).await?;
        let store = &self.parts().store;
        let Ready { batch, prepared } = ready;
        receipt.rejected.sort_by_key(|rejection| rejection.row);
        receipt.rejected.dedup_by_key(|rejection| rejection.row);
        let dead_letters = receipt
            .rejected
            .iter()
            .map(|rejection| refused_row(batch, rejection))
            .collect::<Result<Vec<_>>>()?;
        let (rejected, rows) = (receipt.rejected.len() as u64, batch.len() as u64);
        let settlement = Settlement {
            batch: prepared.clone(),
            receipt,
            records: settled_records(batch)?,
            dead_letters,
        };
        store.settle(&self.claim, settlement).await?;
        {
            let mut report = self.report();
            report.rejected += rejected;
            match batch.operation() {
                Operation::Upsert => report.written += rows - rejected,
                Operation::Delete => report.deleted += rows - rejected,
            }
        }
        let (stream, operation) = (&self.stream.name, batch.operation());
        self.observe(Event::BatchSettled {
            stream,
            sink: self.sink.name(),
            batch: batch.id(),
            operation,
            rows,
        });
        let spooled = prepared.spooled.bytes;
        self.pipeline.keep_room(self.claim.run, spooled).await
    }

    /// What was done so far.
    pub(super) fn report(&self) -> MutexGuard<'_, StreamReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.claim.scope
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.pipeline.parts
    }

    pub(super) fn observe(&self, event: Event<'_>) {
        self.pipeline.observer.observe(event);
    }
}

impl From<UnreadableRecord> for DeadLetter {
    fn from(record: UnreadableRecord) -> Self {
        Self {
            key: record.key,
            column: Some(record.column),
            text: Some(record.text),
            class: RejectionClass::Unreadable,
            reason: record.reason,
            fields: record.fields,
        }
    }
}

/// The rows of a batch as the store knows them: with what they belong to, and where they count.
pub(super) fn settled_records(batch: &Batch) -> Result<Vec<SettledRecord>> {
    let stream = batch.stream();
    let of_column = |name: &Option<String>| {
        let name = name
            .as_ref()
            .filter(|_| batch.operation() == Operation::Upsert)
            // A batch that an earlier run cut may call it otherwise; its rows are read once more.
            .filter(|name| batch.rows().column_by_name(name).is_some());
        name.map(|name| Column::named(batch.rows(), name))
            .transpose()
    };
    let (owners, periods) = (
        of_column(&stream.keep_together)?,
        of_column(&stream.period)?,
    );
    let text = |column: &Column<'_>, row: usize| {
        let mut text = String::new();
        column.value(row).push_to(&mut text);
        text
    };
    let named = batch.keys().iter().zip(batch.record_ids()).enumerate();
    let records = named.map(|(row, (key, id))| SettledRecord {
        key: key.clone(),
        id: *id,
        owner: owners.as_ref().map(|owners| text(owners, row)),
        period: periods.as_ref().map(|periods| text(periods, row)),
    });
    Ok(records.collect())
}

pub(super) fn refused_row(batch: &Batch, rejection: &Rejection) -> Result<DeadLetter> {
    let rows = batch.rows();
    if rejection.row >= rows.num_rows() {
        let what = "the sink refused a row that the batch does not have";
        return Err(Error::new(ErrorKind::Protocol, what).with("row", rejection.row.to_string()));
    }
    let mut fields = Vec::with_capacity(rows.num_columns());
    for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let mut text = String::new();
        Column::of(array.as_ref())?
            .value(rejection.row)
            .push_to(&mut text);
        fields.push((
            field.name().clone(),
            array.is_valid(rejection.row).then_some(text),
        ));
    }
    let column = rejection.column.clone();
    let of_column = |name: &String| fields.iter().find(|(field, _)| field == name);
    let text = column
        .as_ref()
        .and_then(of_column)
        .and_then(|(_, text)| text.clone());
    Ok(DeadLetter {
        key: batch.keys().get(rejection.row).cloned(),
        column,
        text,
        class: rejection.class,
        reason: rejection.reason.clone(),
        fields,
    })
}

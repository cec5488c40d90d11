//! One stream in one run.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Array as _, RecordBatch};
use futures_util::future::{Either, join, select};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::cutter::{Cut, CutSize, Cutter};
use super::event::Event;
use super::held_lease::HeldLease;
use super::report::StreamReport;
use super::{Parts, Pipeline};
use crate::batch::{
    Batch, BatchPlace, Operation, Records, SourceBatch, UnreadableRecord, record_keys,
};
use crate::column::Column;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::id::RunId;
use crate::ledger::EntryKind;
use crate::origin::{OriginSpan, kept};
use crate::receipt::{Durability, Landed, Receipt};
use crate::source::ReadRequest;
use crate::store::{
    Claim, DeadLetter, FencingToken, PreparedBatch, Scope, SettledRecord, Settlement,
};
use crate::stream::{DeleteDetection, StreamDescriptor};
use crate::window::{Checkpoint, Cursor, OpenWindow, Window};

pub(super) struct StreamRun<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) stream: Arc<StreamDescriptor>,
    /// By what right the run changes the stream's progress; by none until it has the lease.
    pub(super) claim: Claim,
    pub(super) report: StreamReport,
    begun: Instant,
    calls_before: u64,
    /// A record that was read without a key: what is missing can no longer be told from deletes.
    pub(super) keyless: Option<UnreadableRecord>,
}

/// A batch whose payload is spooled and that the ledger knows of.
pub(super) struct Ready {
    pub(super) batch: Batch,
    prepared: PreparedBatch,
}

/// What a batch is made of.
pub(super) struct Piece<'a> {
    pub(super) records: Records,
    pub(super) origins: Vec<OriginSpan>,
    pub(super) cursor: Option<Cursor>,
    /// What could not be read on the way to it.
    pub(super) unreadable: &'a [DeadLetter],
}

/// What there is to do for a stream.
enum Next {
    Read(OpenWindow),
    /// A window that began now would end where the last one did.
    UpToDate {
        as_of: OffsetDateTime,
    },
}

/// Where the batches of a window come from, and how far they were numbered.
struct Intake {
    pages: mpsc::Receiver<Result<SourceBatch>>,
    cutter: Cutter,
    ended: bool,
    window: Window,
    next_ordinal: u64,
    census: bool,
}

impl<'a> StreamRun<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, run: RunId, stream: Arc<StreamDescriptor>) -> Self {
        let scope = Scope {
            pipeline: pipeline.name.clone(),
            sink: pipeline.parts.sink.name().to_owned(),
            stream: stream.name.clone(),
        };
        let token = FencingToken(0);
        Self {
            claim: Claim { run, scope, token },
            report: StreamReport::new(stream.name.clone(), stream.delete_detection),
            begun: Instant::now(),
            calls_before: pipeline.parts.source.calls(&stream.name),
            keyless: None,
            pipeline,
            stream,
        }
    }

    /// Brings the stream up to date. Whatever was settled stays, also where this fails.
    pub(super) async fn complete(&mut self) -> Result<()> {
        let outcome = self.hold_and_bring_up_to_date().await;
        outcome.map_err(|error| {
            let names_it = error.context().any(|(name, _)| name == "stream");
            if names_it {
                error
            } else {
                error.with("stream", self.scope().stream.as_str())
            }
        })
    }

    /// Holds the stream's lease meanwhile, and stops where it is lost.
    async fn hold_and_bring_up_to_date(&mut self) -> Result<()> {
        let lease = HeldLease::acquire(self.pipeline, self.run(), &self.stream.name).await?;
        self.claim = lease.claim(&self.claim.scope.sink);
        let outcome = {
            let work = pin!(self.bring_up_to_date());
            let lost = pin!(lease.keep());
            match select(work, lost).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right((lost, _)) => Err(lost),
            }
        };
        lease.release().await;
        outcome
    }

    async fn bring_up_to_date(&mut self) -> Result<()> {
        self.prepare_table().await?;
        self.recover().await?;
        let next = self.next_window().await?;
        let window = match &next {
            Next::Read(open) => Some(open.window),
            Next::UpToDate { .. } => None,
        };
        self.report.window = window;
        self.observe(Event::StreamBegun {
            stream: &self.stream.name,
            window,
        });
        let open = match next {
            Next::Read(open) => open,
            Next::UpToDate { as_of } => return self.tie_out(as_of, None).await,
        };
        let window = open.window;
        let next_ordinal = self.read_until_it_holds(open).await?;
        let totals = self.find_deletes(window, next_ordinal).await?;
        self.parts().sink.flush(&self.stream.name).await?;
        self.tie_out(window.until, totals).await?;
        self.parts().store.complete_window(&self.claim).await
    }

    pub(super) fn into_report(mut self, error: Option<&Error>) -> StreamReport {
        let calls = self.parts().source.calls(&self.stream.name);
        self.report.calls = calls.saturating_sub(self.calls_before);
        self.report.elapsed = self.begun.elapsed();
        self.report.error = error.map(Error::chain);
        self.report
    }

    async fn prepare_table(&self) -> Result<()> {
        let Parts { sink, store, .. } = self.parts();
        let plan = sink.plan(&self.stream).await?;
        // Also where nothing changes: the sink may have tables of its own to see to.
        sink.prepare(&plan).await?;
        if plan.is_empty() {
            return Ok(());
        }
        let body = serde_json::json!({
            "scope": self.scope(),
            "changes": plan.changes,
            "contract": self.stream.contract(),
        });
        store
            .note(&self.claim, EntryKind::SchemaChanged, &body.to_string())
            .await?;
        self.observe(Event::SchemaChanged { plan: &plan });
        Ok(())
    }

    /// Brings batches of an interrupted run to their end: the sink is asked, and gets the same
    /// bytes again where it has not seen them.
    async fn recover(&mut self) -> Result<()> {
        let Parts {
            sink, store, spool, ..
        } = self.parts();
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
            self.report.recovered += 1;
            let stream = &self.stream.name;
            self.observe(Event::BatchRecovered {
                stream,
                batch: prepared.id,
                resent,
            });
        }
        Ok(())
    }

    /// The window that an interrupted run left open, or a new one.
    async fn next_window(&self) -> Result<Next> {
        let Parts { source, store, .. } = self.parts();
        let Checkpoint { watermark, open } = store.checkpoint(self.scope()).await?;
        if let Some(open) = open {
            return Ok(Next::Read(open));
        }
        let options = &self.pipeline.options;
        let until = whole_second(source.now().await? - options.safety_lag);
        if let Some(watermark) = watermark
            && until <= watermark
        {
            return Ok(Next::UpToDate { as_of: watermark });
        }
        let from = match &self.stream.modified {
            Some(_) => watermark.map(|watermark| whole_second(watermark - options.lookback)),
            None => None,
        };
        let window = Window { from, until };
        store.open_window(&self.claim, window).await?;
        Ok(Next::Read(OpenWindow {
            window,
            cursor: None,
            next_ordinal: 0,
        }))
    }

    /// Reads the window, and again where the source says that what it read moved under it. What was
    /// delivered until then stays: the same records are recognised.
    async fn read_until_it_holds(&mut self, mut open: OpenWindow) -> Result<u64> {
        let mut again = 0;
        loop {
            let error = match self.read_changes(open).await {
                Ok(next_ordinal) => return Ok(next_ordinal),
                Err(error) => error,
            };
            let moved = error.kind() == ErrorKind::Conflict && error.retry() != Retry::Never;
            if !moved || again == MOST_RESTARTS {
                return Err(error);
            }
            again += 1;
            tracing::warn!(stream = %self.stream.name, again, %error, "reading again from the last settled position");
            self.recover().await?;
            self.keyless = None;
            let checkpoint = self.parts().store.checkpoint(self.scope()).await?;
            match checkpoint.open {
                Some(left) => open = left,
                None => return Err(error),
            }
        }
    }

    /// Reads the window and delivers it. One batch is on its way while the next is being cut.
    async fn read_changes(&mut self, open: OpenWindow) -> Result<u64> {
        let census = self.stream.delete_detection == DeleteDetection::FullRead;
        // What was counted before a crash is lost, so a census begins again with its reading.
        let after = if census { None } else { open.cursor };
        if census {
            self.parts().store.begin_census(&self.claim, None).await?;
        }
        let request = ReadRequest::changes(Arc::clone(&self.stream), open.window, after);
        let capabilities = self.parts().sink.capabilities();
        let size = CutSize {
            target_rows: self.pipeline.options.batch_rows.max(1),
            max_rows: capabilities.max_batch_rows,
            max_bytes: capabilities.max_batch_bytes.min(TARGET_BYTES),
        };
        let keep_together = self.stream.keep_together.clone();
        let mut intake = Intake {
            pages: self.pipeline.read_ahead(request),
            cutter: Cutter::new(Arc::clone(&self.stream.schema), keep_together, size),
            ended: false,
            window: open.window,
            next_ordinal: open.next_ordinal,
            census,
        };
        let mut current = self.next_batch(&mut intake).await?;
        while let Some(ready) = current {
            let sink = Arc::clone(&self.parts().sink);
            let next = self.next_batch(&mut intake);
            let (receipt, next) = join(sink.write(&ready.batch), next).await;
            self.settle(&ready, receipt?).await?;
            current = next?;
        }
        Ok(intake.next_ordinal)
    }

    /// The next batch of records that are new or changed, prepared; none at the end of the window.
    async fn next_batch(&mut self, intake: &mut Intake) -> Result<Option<Ready>> {
        while let Some(cut) = self.next_cut(intake).await? {
            let Cut {
                rows,
                unreadable,
                cursor,
                mut origins,
            } = cut;
            let letters: Vec<_> = unreadable.into_iter().map(DeadLetter::from).collect();
            self.report.rejected += letters.len() as u64;
            let total = rows.num_rows();
            let records = self.changed_records(rows, &mut origins).await?;
            self.report.unchanged += (total - records.len()) as u64;
            if records.is_empty() {
                let store = &self.parts().store;
                store
                    .advance(&self.claim, cursor.as_ref(), &letters)
                    .await?;
                continue;
            }
            let place = self.place(Operation::Upsert, intake.window, intake.next_ordinal);
            intake.next_ordinal += 1;
            let piece = Piece {
                records,
                origins,
                cursor,
                unreadable: &letters,
            };
            return self.ready(place, piece).await.map(Some);
        }
        Ok(None)
    }

    async fn next_cut(&mut self, intake: &mut Intake) -> Result<Option<Cut>> {
        loop {
            if let Some(cut) = intake.cutter.cut()? {
                return Ok(Some(cut));
            }
            if intake.ended {
                return intake.cutter.finish();
            }
            match intake.pages.recv().await {
                None => intake.ended = true,
                Some(page) => {
                    let page = page?;
                    self.take_note(&page, intake.census).await?;
                    intake.cutter.push(page);
                }
            }
        }
    }

    async fn take_note(&mut self, page: &SourceBatch, census: bool) -> Result<()> {
        let records = (page.rows.num_rows() + page.rejected.len()) as u64;
        self.report.read += records;
        let (stream, remaining) = (&self.stream.name, page.remaining);
        self.observe(Event::PageRead {
            stream,
            records,
            remaining,
        });
        if census {
            let mut keys = record_keys(&self.stream, &page.rows)?;
            keys.extend(page.rejected.iter().filter_map(|record| record.key.clone()));
            let keyless = page.rejected.iter().find(|record| record.key.is_none());
            self.keyless = self.keyless.take().or(keyless.cloned());
            self.parts().store.count_keys(&self.claim, &keys).await?;
        }
        Ok(())
    }

    /// The rows that the destination does not have in this state; of several with one key, the last.
    async fn changed_records(
        &self,
        rows: RecordBatch,
        origins: &mut Vec<OriginSpan>,
    ) -> Result<Records> {
        let records = self.identified(rows)?;
        let known = records.keys().iter().cloned();
        let asked: Vec<_> = known.zip(records.ids().iter().copied()).collect();
        let mut wanted = self.parts().store.changed(self.scope(), &asked).await?;
        let mut seen = HashSet::with_capacity(records.len());
        for (key, wanted) in records.keys().iter().zip(&mut wanted).rev() {
            *wanted = seen.insert(key) && *wanted;
        }
        *origins = kept(origins, &wanted);
        records.only(&wanted)
    }

    /// The rows with their ids.
    pub(super) fn identified(&self, rows: RecordBatch) -> Result<Records> {
        Records::identified(self.parts().source.company(), &self.stream, rows)
    }

    pub(super) async fn ready(&self, place: BatchPlace, piece: Piece<'_>) -> Result<Ready> {
        let Parts { store, spool, .. } = self.parts();
        let synced_at = self.pipeline.clock.now();
        let stream = Arc::clone(&self.stream);
        let batch = Batch::of(stream, place.clone(), piece.records, synced_at)?;
        let prepared = PreparedBatch {
            id: batch.id(),
            run: self.run(),
            scope: self.scope().clone(),
            place,
            rows: batch.len(),
            spooled: spool.put(&batch).await?,
            cursor: piece.cursor,
            origins: piece.origins,
        };
        let entry = store
            .prepare(&self.claim, &prepared, piece.unreadable)
            .await?;
        Ok(Ready {
            batch: batch.attested(entry),
            prepared,
        })
    }

    pub(super) async fn settle(&mut self, ready: &Ready, mut receipt: Receipt) -> Result<()> {
        let Parts { sink, store, .. } = self.parts();
        let Ready { batch, prepared } = ready;
        if receipt.durability == Durability::Accepted {
            // Only what cannot be lost any more may move the cursor.
            sink.flush(&self.stream.name).await?;
        }
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
        self.report.rejected += rejected;
        match batch.operation() {
            Operation::Upsert => self.report.written += rows - rejected,
            Operation::Delete => self.report.deleted += rows - rejected,
        }
        let (stream, operation) = (&self.stream.name, batch.operation());
        self.observe(Event::BatchSettled {
            stream,
            batch: batch.id(),
            operation,
            rows,
        });
        Ok(())
    }

    pub(super) fn place(&self, operation: Operation, window: Window, ordinal: u64) -> BatchPlace {
        BatchPlace {
            pipeline: self.pipeline.name.clone(),
            company: self.parts().source.company().to_owned(),
            operation,
            window,
            ordinal,
        }
    }

    pub(super) fn run(&self) -> RunId {
        self.claim.run
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.claim.scope
    }

    pub(super) fn parts(&self) -> &'a Parts {
        &self.pipeline.parts
    }

    pub(super) fn observe(&self, event: Event<'_>) {
        self.pipeline.observer.observe(event);
    }
}

/// How often what moved while it was read is read again before the stream is given up for this run.
const MOST_RESTARTS: u32 = 3;

/// A batch is cut at this many bytes of Arrow buffers, whatever its rows.
const TARGET_BYTES: usize = 16 << 20;

impl From<UnreadableRecord> for DeadLetter {
    fn from(record: UnreadableRecord) -> Self {
        Self {
            key: record.key,
            column: Some(record.column),
            text: Some(record.text),
            reason: record.reason,
            fields: record.fields,
        }
    }
}

/// The rows of a batch as the store knows them: with what they belong to, and where they count.
fn settled_records(batch: &Batch) -> Result<Vec<SettledRecord>> {
    let stream = batch.stream();
    let of_column = |name: &Option<String>| {
        let name = name
            .as_ref()
            .filter(|_| batch.operation() == Operation::Upsert);
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

fn refused_row(batch: &Batch, rejection: &crate::receipt::Rejection) -> Result<DeadLetter> {
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
        reason: rejection.reason.clone(),
        fields,
    })
}

/// Sources tell times to the second, so a window begins and ends at one.
fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

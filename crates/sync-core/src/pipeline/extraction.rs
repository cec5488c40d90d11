//! Reading a window: pages are cut into batches, and what is new or changed is delivered.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::future::join;
use tokio::sync::mpsc;

use super::cutter::{Cut, CutSize, Cutter};
use super::delivery::{Delivery, Piece, Ready};
use super::event::Event;
use crate::batch::{BatchPlace, Operation, Records, SourceBatch, UnreadableRecord, record_keys};
use crate::error::{ErrorKind, Result, Retry};
use crate::origin::{OriginSpan, kept};
use crate::source::ReadRequest;
use crate::store::DeadLetter;
use crate::stream::{DeleteDetection, StreamDescriptor};
use crate::totals::ControlTotals;
use crate::window::{OpenWindow, Window};

/// A window that is read and delivered.
pub(super) struct Extraction {
    pub(super) to: Arc<Delivery>,
    pub(super) window: Window,
    /// The number of the next batch.
    pub(super) next_ordinal: u64,
    /// A record that was read without a key: what is missing can no longer be told from deletes.
    pub(super) keyless: Option<UnreadableRecord>,
    open: OpenWindow,
}

/// Where the batches of a window come from.
struct Intake {
    pages: mpsc::Receiver<Result<SourceBatch>>,
    cutter: Cutter,
    ended: bool,
    census: bool,
}

impl Extraction {
    pub(super) fn new(to: Arc<Delivery>, open: OpenWindow) -> Self {
        Self {
            to,
            window: open.window,
            next_ordinal: open.next_ordinal,
            keyless: None,
            open,
        }
    }

    /// Delivers what changed in the window, then what is gone. Gives the source's totals where it had
    /// to ask for them and they still hold.
    pub(super) async fn complete(mut self) -> Result<Option<ControlTotals>> {
        self.read_until_it_holds().await?;
        self.find_deletes().await
    }

    /// Reads the window, and again where the source says that what it read moved under it. What was
    /// delivered until then stays: the same records are recognised.
    async fn read_until_it_holds(&mut self) -> Result<()> {
        let mut again = 0;
        loop {
            let Err(error) = self.read_changes().await else {
                return Ok(());
            };
            let moved = error.kind() == ErrorKind::Conflict && error.retry() != Retry::Never;
            if !moved || again == MOST_RESTARTS {
                return Err(error);
            }
            again += 1;
            tracing::warn!(stream = %self.stream().name, again, %error, "reading again from the last settled position");
            self.to.recover().await?;
            self.keyless = None;
            let checkpoint = self.to.parts().store.checkpoint(self.to.scope()).await?;
            match checkpoint.open {
                Some(left) => self.open = left,
                None => return Err(error),
            }
        }
    }

    /// Reads the window and delivers it. One batch is on its way while the next is being cut.
    async fn read_changes(&mut self) -> Result<()> {
        let census = self.stream().delete_detection == DeleteDetection::FullRead;
        // What was counted before a crash is lost, so a census begins again with its reading.
        let after = if census {
            None
        } else {
            self.open.cursor.clone()
        };
        if census {
            self.to
                .parts()
                .store
                .begin_census(&self.to.claim, None)
                .await?;
        }
        let request = ReadRequest::changes(Arc::clone(self.stream()), self.window, after);
        let capabilities = self.to.sink.capabilities();
        let size = CutSize {
            target_rows: self.to.pipeline.options.batch_rows.max(1),
            max_rows: capabilities.max_batch_rows,
            max_bytes: capabilities.max_batch_bytes.min(TARGET_BYTES),
        };
        let keep_together = self.stream().keep_together.clone();
        self.next_ordinal = self.open.next_ordinal;
        let mut intake = Intake {
            pages: self.to.pipeline.read_ahead(request),
            cutter: Cutter::new(Arc::clone(&self.stream().schema), keep_together, size),
            ended: false,
            census,
        };
        let mut current = self.next_batch(&mut intake).await?;
        while let Some(ready) = current {
            let sink = Arc::clone(&self.to.sink);
            let next = self.next_batch(&mut intake);
            let (receipt, next) = join(sink.write(&ready.batch), next).await;
            self.to.settle(&ready, receipt?).await?;
            current = next?;
        }
        Ok(())
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
            self.to.report().rejected += letters.len() as u64;
            let total = rows.num_rows();
            let records = self.changed_records(rows, &mut origins).await?;
            self.to.report().unchanged += (total - records.len()) as u64;
            if records.is_empty() {
                let store = &self.to.parts().store;
                store
                    .advance(&self.to.claim, cursor.as_ref(), &letters)
                    .await?;
                continue;
            }
            let place = self.next_place(Operation::Upsert);
            let piece = Piece {
                records,
                origins,
                cursor,
                unreadable: &letters,
            };
            return self.to.ready(place, piece).await.map(Some);
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
        self.to.report().read += records;
        let (stream, remaining) = (&self.stream().name, page.remaining);
        self.to.observe(Event::PageRead {
            stream,
            records,
            remaining,
        });
        if census {
            let mut keys = record_keys(self.stream(), &page.rows)?;
            keys.extend(page.rejected.iter().filter_map(|record| record.key.clone()));
            let keyless = page.rejected.iter().find(|record| record.key.is_none());
            self.keyless = self.keyless.take().or(keyless.cloned());
            self.to
                .parts()
                .store
                .count_keys(&self.to.claim, &keys)
                .await?;
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
        let store = &self.to.parts().store;
        let mut wanted = store.changed(self.to.scope(), &asked).await?;
        let mut seen = HashSet::with_capacity(records.len());
        for (key, wanted) in records.keys().iter().zip(&mut wanted).rev() {
            *wanted = seen.insert(key) && *wanted;
        }
        *origins = kept(origins, &wanted);
        records.only(&wanted)
    }

    /// The rows with their ids.
    pub(super) fn identified(&self, rows: RecordBatch) -> Result<Records> {
        Records::identified(self.to.parts().source.company(), self.stream(), rows)
    }

    /// The place of the next batch, which nothing else gets.
    pub(super) fn next_place(&mut self, operation: Operation) -> BatchPlace {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        self.to.place(operation, self.window, ordinal)
    }

    pub(super) fn stream(&self) -> &Arc<StreamDescriptor> {
        &self.to.stream
    }
}

/// How often what moved while it was read is read again before the stream is given up for this run.
const MOST_RESTARTS: u32 = 3;

/// A batch is cut at this many bytes of Arrow buffers, whatever its rows.
const TARGET_BYTES: usize = 16 << 20;

//! Reading a window: pages are cut into batches, and what is new or changed is handed to the sinks that
//! share the reading.
//!
//! # Why nothing is skipped, and nothing old wins
//!
//! Of each sink it is known what it has (the store's index, changed as batches are settled) and what is
//! prepared for it and waits (its batches in the store, taken up in the order in which they were
//! prepared). A record is left out of a batch only where every sink of the group would have it in this
//! state anyway, once all that waits for that sink has arrived:
//!
//! - What waits is asked before the index ([`UnderWay`]). A record that goes from A to B and back to A
//!   while B still waits is not what the index says: B waits, so A is sent.
//! - What has been settled is taken off what waits before the index is asked, never after, so that a
//!   batch that is settled in between is counted twice rather than not at all.
//! - A batch is prepared for every sink of the group, also for those that are slow or have failed, and
//!   each sink gets its batches in their order. So a newer state is never overtaken by an older one.
//!   What only one of them needs, the others get again, which changes nothing.
//! - No window is begun for a sink before all batches of the one before are settled. So what waits is of
//!   one window, and a run that begins has nothing to remember of those before.
//!
//! The cursor of a sink moves as its own batches are settled. Where a run ends in the middle, each sink
//! is taken up at its own.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::future::select;
use tokio::sync::{Notify, mpsc};

use super::Pipeline;
use super::cutter::{Cut, CutSize, Cutter};
use super::delivery::{Delivery, Ending};
use super::entries::EntryTally;
use super::event::Event;
use super::lane::Lane;
use super::periods::PeriodWatch;
use super::under_way::{UnderWay, Waiting};
use crate::batch::{
    Batch, BatchPlace, Operation, Records, SourceBatch, UnreadableRecord, record_keys,
};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::origin::{OriginSpan, kept};
use crate::source::ReadRequest;
use crate::store::DeadLetter;
use crate::stream::{DeleteDetection, StreamDescriptor};
use crate::totals::TotalsQuery;
use crate::window::{Cursor, OpenWindow, Window};

/// A window that is read once and delivered to a group of sinks.
pub(super) struct Extraction {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) stream: Arc<StreamDescriptor>,
    pub(super) window: Window,
    pub(super) members: Vec<Member>,
    /// A record that was read without a key: what is missing can no longer be told from deletes.
    pub(super) keyless: Option<UnreadableRecord>,
    /// Everything up to here is prepared.
    position: Option<Cursor>,
    next_ordinal: u64,
    progress: Arc<Notify>,
    /// What was seen of journal entries.
    entries: EntryTally,
    /// What is known of periods.
    pub(super) watch: PeriodWatch,
}

/// A sink of the group.
pub(super) struct Member {
    pub(super) to: Arc<Delivery>,
    pub(super) lane: Arc<Lane>,
    under_way: UnderWay,
}

/// What belongs to a batch beside its records.
pub(super) struct Piece<'a> {
    pub(super) origins: Vec<OriginSpan>,
    pub(super) cursor: Option<Cursor>,
    /// What could not be read on the way to it.
    pub(super) unreadable: &'a [DeadLetter],
}

/// Why an extraction ends before its time.
#[derive(Debug)]
pub(super) enum Halt {
    /// The source failed, or the store or the spool.
    Failed(Error),
    /// All sinks have failed.
    NobodyLeft,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) type Halting<T> = std::result::Result<T, Halt>;

/// Where the batches of a window come from.
struct Intake {
    pages: mpsc::Receiver<Result<SourceBatch>>,
    cutter: Cutter,
    ended: bool,
    census: bool,
}

impl Extraction {
    pub(super) fn new(
        pipeline: Arc<Pipeline>,
        stream: Arc<StreamDescriptor>,
        of: OpenWindow,
    ) -> Self {
        Self {
            pipeline,
            stream,
            window: of.window,
            members: Vec::new(),
            keyless: None,
            position: of.cursor,
            next_ordinal: of.next_ordinal,
            progress: Arc::default(),
            entries: EntryTally::default(),
            watch: PeriodWatch::default(),
        }
    }

    /// Takes a sink into the group. What its lane gets is delivered by whoever runs [`Lane::deliver`].
    pub(super) fn deliver_to(&mut self, to: Arc<Delivery>) -> Arc<Lane> {
        let progress = Arc::clone(&self.progress);
        let lane = Arc::new(Lane::new(Arc::clone(&to), self.next_ordinal, progress));
        self.members.push(Member {
            to,
            lane: Arc::clone(&lane),
            under_way: UnderWay::new(),
        });
        lane
    }

    /// Hands over what changed in the window, then what is gone, then how it ends.
    ///
    /// # Errors
    ///
    /// Where the source fails, or store or spool. That a sink fails is told by its lane alone.
    pub(super) async fn complete(mut self) -> Result<()> {
        match self.hand_over().await {
            Ok(ending) => {
                for member in &self.members {
                    member.lane.complete(ending.clone());
                }
                Ok(())
            }
            Err(halt) => {
                for member in &self.members {
                    member.lane.cut_short();
                }
                match halt {
                    Halt::Failed(error) => Err(error),
                    Halt::NobodyLeft => Ok(()),
                }
            }
        }
    }

    async fn hand_over(&mut self) -> Halting<Ending> {
        if let Some(first) = self.members.first() {
            self.watch = PeriodWatch::begin(&first.to).await?;
        }
        self.read_until_it_holds().await?;
        let totals = self.find_deletes().await?;
        self.see_to_periods().await?;
        for member in &self.members {
            self.entries.keep(&member.to, self.window.until).await?;
        }
        if self.members.len() > 1 {
            // From here on nothing has to be asked of the source for those that are not in step.
            for member in &self.members {
                let store = &self.pipeline.parts.store;
                store.note_window_read(&member.to.claim).await?;
            }
        }
        let as_of = self.window.until;
        let query = TotalsQuery::of(Arc::clone(&self.stream)).modified_before(as_of);
        let totals = match totals {
            Some(totals) => Some(totals),
            None => self.pipeline.parts.source.control_totals(&query).await?,
        };
        Ok(Ending {
            as_of,
            totals,
            closes_window: true,
        })
    }

    /// Reads the window, and again where the source says that what it read moved under it. What was
    /// handed over until then stays: the same records are recognised.
    async fn read_until_it_holds(&mut self) -> Halting<()> {
        let mut again = 0;
        loop {
            let error = match self.read_changes().await {
                Err(Halt::Failed(error)) => error,
                other => return other,
            };
            let moved = error.kind() == ErrorKind::Conflict && error.retry() != Retry::Never;
            if !moved || again == MOST_RESTARTS {
                return Err(error.into());
            }
            again += 1;
            tracing::warn!(stream = %self.stream.name, again, %error, "reading again from the last position");
            self.keyless = None;
        }
    }

    /// Reads the window and hands it over. Batches are on their way while the next is being cut.
    async fn read_changes(&mut self) -> Halting<()> {
        let census = self.stream.delete_detection == DeleteDetection::FullRead;
        // What was counted before a crash is lost, so a census begins again with its reading.
        let after = self.position.clone().filter(|_| !census);
        if census {
            self.begin_census(None).await?;
        }
        let request = ReadRequest::changes(Arc::clone(&self.stream), self.window, after);
        let keep_together = self.stream.keep_together.clone();
        let mut intake = Intake {
            pages: self.pipeline.read_ahead(request),
            cutter: Cutter::new(Arc::clone(&self.stream.schema), keep_together, self.size()),
            ended: false,
            census,
        };
        while let Some(cut) = self.next_cut(&mut intake).await? {
            self.take(cut).await?;
        }
        Ok(())
    }

    /// How large a batch may be for all sinks.
    pub(super) fn size(&self) -> CutSize {
        let mut size = CutSize {
            target_rows: self.pipeline.options.batch_rows.max(1),
            max_rows: usize::MAX,
            max_bytes: TARGET_BYTES,
        };
        for member in &self.members {
            let capabilities = member.to.sink.capabilities();
            size.max_rows = size.max_rows.min(capabilities.max_batch_rows);
            size.max_bytes = size.max_bytes.min(capabilities.max_batch_bytes);
        }
        size
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
        for member in &self.members {
            member.to.report().read += records;
        }
        self.pipeline.observer.observe(Event::PageRead {
            stream: &self.stream.name,
            records,
            remaining: page.remaining,
        });
        if census {
            let mut keys = record_keys(&self.stream, &page.rows)?;
            keys.extend(page.rejected.iter().filter_map(|record| record.key.clone()));
            let keyless = page.rejected.iter().find(|record| record.key.is_none());
            self.keyless = self.keyless.take().or(keyless.cloned());
            self.count_keys(&keys).await?;
        }
        Ok(())
    }

    /// Hands over those records of a piece that are new or changed.
    async fn take(&mut self, cut: Cut) -> Halting<()> {
        let Cut {
            rows,
            unreadable,
            cursor,
            mut origins,
        } = cut;
        let letters: Vec<_> = unreadable.into_iter().map(DeadLetter::from).collect();
        let total = rows.num_rows();
        let records = self.changed_records(rows, &mut origins).await?;
        for member in &self.members {
            let mut report = member.to.report();
            report.rejected += letters.len() as u64;
            report.unchanged += (total - records.len()) as u64;
        }
        self.position = cursor.clone().or(self.position.take());
        if records.is_empty() {
            for member in &self.members {
                if !letters.is_empty() {
                    let store = &self.pipeline.parts.store;
                    store.advance(&member.to.claim, None, &letters).await?;
                }
                if let Some(cursor) = &cursor {
                    member.lane.advance(cursor.clone());
                }
            }
            return Ok(());
        }
        if let Some(first) = self.members.first() {
            self.watch.note(&first.to, &records)?;
        }
        let piece = Piece {
            origins,
            cursor,
            unreadable: &letters,
        };
        self.deliver_to_all(records, piece).await
    }

    /// Hands new or changed records over to all sinks, once their entries are judged.
    pub(super) async fn deliver_to_all(
        &mut self,
        records: Records,
        piece: Piece<'_>,
    ) -> Halting<()> {
        let sinks = self.members.iter().map(|member| member.to.as_ref());
        let sinks: Vec<&Delivery> = sinks.collect();
        self.entries.judge(&sinks, records.rows()).await?;
        let everybody: Vec<_> = (0..self.members.len()).collect();
        self.deliver(Operation::Upsert, records, piece, &everybody)
            .await
    }

    /// The records that not every sink is going to have in this state; of several with one key, the last.
    pub(super) async fn changed_records(
        &mut self,
        rows: RecordBatch,
        origins: &mut Vec<OriginSpan>,
    ) -> Result<Records> {
        let records = self.identified(rows)?;
        let known = records.keys().iter().cloned();
        let asked: Vec<_> = known.zip(records.ids().iter().copied()).collect();
        let mut wanted = vec![false; asked.len()];
        for member in &mut self.members {
            // Before the index is asked: what is settled from here on counts as waiting still.
            member
                .under_way
                .settled_before(member.lane.settled_before());
            let store = &self.pipeline.parts.store;
            let changed = store.changed(member.to.scope(), &asked).await?;
            for (((key, id), wanted), changed) in asked.iter().zip(&mut wanted).zip(changed) {
                *wanted |= match member.under_way.waiting(key) {
                    Waiting::No => changed,
                    Waiting::State(waiting) => waiting != *id,
                    Waiting::Perhaps => true,
                };
            }
        }
        let mut seen = HashSet::with_capacity(records.len());
        for (key, wanted) in records.keys().iter().zip(&mut wanted).rev() {
            *wanted = seen.insert(key) && *wanted;
        }
        *origins = kept(origins, &wanted);
        records.only(&wanted)
    }

    /// The rows with their ids.
    pub(super) fn identified(&self, rows: RecordBatch) -> Result<Records> {
        Records::identified(self.pipeline.parts.source.company(), &self.stream, rows)
    }

    /// Spools a batch once, prepares it for these members, and hands it to their lanes.
    pub(super) async fn deliver(
        &mut self,
        operation: Operation,
        records: Records,
        piece: Piece<'_>,
        to: &[usize],
    ) -> Halting<()> {
        let (stream, synced_at) = (Arc::clone(&self.stream), self.pipeline.clock.now());
        let batch = Batch::of(stream, self.next_place(operation), records, synced_at)?;
        let spooled = self.pipeline.parts.spool.put(&batch).await?;
        let mut prepared = Vec::with_capacity(to.len());
        // The last of them gets the batch itself.
        let copies = std::iter::repeat_n(batch, to.len());
        for (&member, batch) in to.iter().zip(copies) {
            let to = &self.members[member].to;
            prepared.push((member, to.prepare(batch, spooled.clone(), &piece).await?));
        }
        self.wait_until_one(Lane::has_room).await?;
        for (member, ready) in prepared {
            let member = &mut self.members[member];
            member.under_way.add(&ready.batch);
            member.lane.offer(ready);
        }
        Ok(())
    }

    /// Waits until this holds of one of the lanes: the fastest sets the pace.
    async fn wait_until_one(&self, holds: fn(&Lane) -> bool) -> Halting<()> {
        loop {
            if self.members.iter().any(|member| holds(&member.lane)) {
                return Ok(());
            }
            if self.members.iter().all(|member| member.lane.has_failed()) {
                return Err(Halt::NobodyLeft);
            }
            self.progress.notified().await;
        }
    }

    /// Which of the sinks have all that was handed over: one at least. The others are waited for, for a
    /// while, unless they have failed or their batches come from the spool.
    pub(super) async fn in_step(&self) -> Halting<Vec<bool>> {
        loop {
            self.wait_until_one(Lane::is_in_step).await?;
            let nearly_there = async {
                while self.members.iter().any(|member| member.lane.is_close()) {
                    self.progress.notified().await;
                }
            };
            if self.members.len() > 1 {
                let over = self.pipeline.sleeper.sleep(self.pipeline.options.patience);
                select(pin!(nearly_there), over).await;
            }
            let lanes = self.members.iter().map(|member| &member.lane);
            let in_step: Vec<_> = lanes.map(|lane| lane.is_in_step()).collect();
            if in_step.contains(&true) {
                return Ok(in_step);
            }
        }
    }

    /// The place of the next batch, which nothing else gets.
    fn next_place(&mut self, operation: Operation) -> BatchPlace {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        BatchPlace {
            pipeline: self.pipeline.name.clone(),
            company: self.pipeline.parts.source.company().to_owned(),
            operation,
            window: self.window,
            ordinal,
        }
    }
}

/// How often what moved while it was read is read again before the stream is given up for this run.
const MOST_RESTARTS: u32 = 3;

/// A batch is cut at this many bytes of Arrow buffers, whatever its rows.
const TARGET_BYTES: usize = 16 << 20;

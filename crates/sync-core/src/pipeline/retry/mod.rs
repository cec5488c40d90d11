//! Retry: records among the dead letters are sent again, after a mapping or a destination was mended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use serde::Serialize;
use tracing::Instrument as _;

use super::delivery::{Delivery, Ready};
use super::event::Event;
use super::report::seconds;
use super::{Destination, Parts, Pipeline, concerns_one_stream};
use crate::batch::{Batch, BatchPlace, Operation, Records};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::id::{BatchId, RunId};
use crate::ledger::Head;
use crate::store::{
    Letter, LetterFilter, LetterId, LetterPage, LetterStatus, PreparedBatch, RunStart, Scope,
};
use crate::stream::StreamName;
use crate::window::{Checkpoint, Window};

mod typed;
mod unread;

/// What a retry did.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RetryReport {
    /// The retry's own run.
    pub run: RunId,
    /// The streams.
    pub streams: Vec<StreamRetry>,
    /// What a person must know: destinations that could not note the retry's end.
    pub findings: Vec<Finding>,
    /// The end of the ledger's chain once it was over. Destinations keep it too.
    pub head: Head,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
}

impl RetryReport {
    /// Whether nothing of what was chosen waits any more.
    pub fn is_complete(&self) -> bool {
        self.streams.iter().all(StreamRetry::is_complete)
    }
}

/// What a retry did with the letters of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamRetry {
    /// The stream.
    pub stream: StreamName,
    /// The sink.
    pub sink: String,
    /// Records that the destination took.
    pub resolved: u64,
    /// Records that it refused again.
    pub refused: u64,
    /// Letters of which a later state of the record is known: nothing was sent of them.
    pub superseded: u64,
    /// Letters that could not be sent. They wait on, without an attempt counted.
    pub unfit: Vec<UnfitLetter>,
    /// The batches that were sent.
    pub batches: Vec<BatchId>,
    /// Why the stream could not be completed. What was sent until then stays.
    pub error: Option<String>,
}

/// A letter that is no row of its stream as it is today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnfitLetter {
    /// The letter.
    pub letter: LetterId,
    /// The column or field at fault.
    pub column: String,
    /// Why.
    pub reason: String,
}

impl Pipeline {
    /// Sends the records of waiting dead letters again, each with the id of its content, in batches of
    /// their own. The source is not asked for records.
    ///
    /// A letter whose record was delivered in a later state meanwhile, or was rejected in one, is closed as
    /// superseded instead. One that arrives is closed with the batch's id; one that is refused again
    /// counts another attempt. Records that could not be read are read again from the letter's texts, by
    /// the source ([`Source::reread`](crate::Source::reread)) or, where it cannot, as the stream's columns
    /// write theirs, and go through the stream's mapping and contract as they are now: so they arrive once a
    /// field has another type, is dropped by the mapping, or is allowed by the contract. Those that still do
    /// not fit wait on, and are named in the report.
    ///
    /// `filter` chooses among the waiting letters of this pipeline on the way to its sinks: what it says of
    /// pipeline and status is not looked at.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where no waiting letter matches: then nothing was done. Otherwise as
    /// [`Pipeline::replay`].
    pub async fn retry_letters(&self, filter: &LetterFilter) -> Result<RetryReport> {
        let run = RunId::generate();
        let span = tracing::info_span!("retry", %run, pipeline = %self.name);
        self.retry_as(run, filter).instrument(span).await
    }

    async fn retry_as(&self, run: RunId, filter: &LetterFilter) -> Result<RetryReport> {
        let begun = Instant::now();
        let Parts { source, store, .. } = &self.parts;
        let mut filter = filter.clone();
        filter.pipeline = Some(self.name.clone());
        filter.statuses = LetterStatus::WAITING.to_vec();
        let destinations = self.destinations()?;
        let is_ours = |scope: &Scope| destinations.iter().any(|to| to.sink.name() == scope.sink);
        let mut scopes: Vec<Scope> = Vec::new();
        self.each_letter(&filter, |letter| {
            if is_ours(&letter.scope) && !scopes.contains(&letter.scope) {
                scopes.push(letter.scope);
            }
        })
        .await?;
        if scopes.is_empty() {
            let what = "no waiting dead letter matches what is to be sent again; nothing was done";
            return Err(Error::new(ErrorKind::NotFound, what).with("pipeline", &self.name));
        }
        let start = RunStart {
            run,
            pipeline: self.name.clone(),
            sink: (destinations.iter().map(|to| to.sink.name()))
                .collect::<Vec<_>>()
                .join(", "),
            company: source.company().to_owned(),
            settings: self.settings(),
        };
        store.begin_run(&start).await?;
        let mut reports = Vec::with_capacity(scopes.len());
        for scope in scopes {
            let Some(to) = destinations.iter().find(|to| to.sink.name() == scope.sink) else {
                continue;
            };
            filter.stream = Some(scope.stream.clone());
            filter.sink = Some(scope.sink.clone());
            let mut report = StreamRetry::new(&scope);
            let retrying = self.retry_stream(run, &scope, to, &filter, &mut report);
            let outcome = retrying.await;
            report.error = outcome.as_ref().err().map(Error::chain);
            self.observer
                .observe(Event::LettersRetried { report: &report });
            reports.push(report);
            if let Err(error) = outcome
                && !concerns_one_stream(error.kind())
            {
                let told = serde_json::json!({ "failed": error.chain(), "retried": &reports });
                store.end_run(run, &told.to_string()).await?;
                return Err(error);
            }
        }
        let told = serde_json::json!({ "retried": &reports });
        let head = store.end_run(run, &told.to_string()).await?;
        let sinks = (reports.iter()).map(|it| (it.sink.as_str(), it.is_complete()));
        let findings = self.keep_sent_again(run, head, sinks).await;
        Ok(RetryReport {
            run,
            streams: reports,
            findings,
            head,
            elapsed: begun.elapsed(),
        })
    }

    async fn retry_stream(
        &self,
        run: RunId,
        scope: &Scope,
        to: &Destination,
        filter: &LetterFilter,
        report: &mut StreamRetry,
    ) -> Result<()> {
        let stream = self.remembered(scope).await?;
        let work = async |delivery: &Delivery| {
            delivery.prepare_table().await?;
            delivery.recover().await?;
            let rows = self.options.batch_rows.max(1);
            let mut after = None;
            loop {
                let page = LetterPage { after, limit: rows };
                let letters = self.parts.store.letters(filter, page).await?;
                let Some(last) = letters.last() else { break };
                after = Some(last.id);
                retry(delivery, letters, report).await?;
            }
            delivery.sink.flush(&delivery.stream.name).await.map(drop)
        };
        self.holding(run, stream, to, work).await
    }

    /// Hands over all letters that match, in their order.
    async fn each_letter(&self, filter: &LetterFilter, mut take: impl FnMut(Letter)) -> Result<()> {
        let mut after = None;
        loop {
            let page = LetterPage {
                after,
                limit: LETTERS_AT_ONCE,
            };
            let letters = self.parts.store.letters(filter, page).await?;
            let Some(last) = letters.last() else {
                return Ok(());
            };
            after = Some(last.id);
            letters.into_iter().for_each(&mut take);
        }
    }
}

/// Letters that are looked through in one go.
const LETTERS_AT_ONCE: usize = 1_000;

/// Where the numbers of batches begin that send letters again while no window is open: behind those of
/// every batch of the window that was closed last.
const FIRST_ORDINAL: u64 = 1 << 32;

impl StreamRetry {
    /// Whether nothing of what was chosen waits any more.
    pub fn is_complete(&self) -> bool {
        self.error.is_none() && self.refused == 0 && self.unfit.is_empty()
    }

    fn new(scope: &Scope) -> Self {
        Self {
            stream: scope.stream.clone(),
            sink: scope.sink.clone(),
            resolved: 0,
            refused: 0,
            superseded: 0,
            unfit: Vec::new(),
            batches: Vec::new(),
            error: None,
        }
    }
}

/// Sends some letters again: what is to be written, then what is to be deleted.
async fn retry(delivery: &Delivery, letters: Vec<Letter>, report: &mut StreamRetry) -> Result<()> {
    let store = &delivery.parts().store;
    let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    let wanted = store.latest_letters(delivery.scope(), &ids).await?;
    let not_wanted = ids.iter().zip(&wanted).filter(|(_, wanted)| !**wanted);
    let not_wanted: Vec<_> = not_wanted.map(|(id, _)| *id).collect();
    if !not_wanted.is_empty() {
        store
            .supersede_letters(&delivery.claim, &not_wanted)
            .await?;
        report.superseded += not_wanted.len() as u64;
    }
    let wanted = letters.into_iter().zip(wanted);
    let wanted: Vec<_> = wanted
        .filter(|(_, wanted)| *wanted)
        .map(|it| it.0)
        .collect();
    for operation in [Operation::Upsert, Operation::Delete] {
        let of_this = wanted
            .iter()
            .filter(|letter| typed::operation(&letter.content) == operation);
        let letters: Vec<&Letter> = of_this.collect();
        send(delivery, operation, &letters, report).await?;
    }
    Ok(())
}

async fn send(
    delivery: &Delivery,
    operation: Operation,
    letters: &[&Letter],
    report: &mut StreamRetry,
) -> Result<()> {
    let stream = &delivery.stream;
    let (mut sent, mut rows) = (Vec::new(), Vec::new());
    let unread = letters.iter().filter(|letter| letter.batch.is_none());
    let unread: Vec<_> = unread.map(|letter| &letter.content).collect();
    let mut reread = unread::rows(delivery, &unread).await?.into_iter();
    for letter in letters {
        let row = match letter.batch {
            Some(_) => typed::row(stream, &letter.content)?,
            None => match reread.next() {
                Some(row) => row,
                None => continue,
            },
        };
        match row {
            Ok(row) => {
                sent.push(*letter);
                rows.push(row);
            }
            Err(unfit) => report.unfit.push(UnfitLetter {
                letter: letter.id,
                column: unfit.column,
                reason: unfit.reason,
            }),
        }
    }
    let Some(schema) = rows.first().map(RecordBatch::schema) else {
        return Ok(());
    };
    let rows = concat_batches(&schema, &rows).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            "rows of dead letters do not fit together",
        )
        .caused_by(error)
    })?;
    let Parts {
        store,
        spool,
        source,
        ..
    } = delivery.parts();
    let records = Records::identified(source.company(), stream, rows)?;
    let records = without_unknown_order(delivery, records, &mut sent, report).await?;
    let Some(first) = sent.first() else {
        return Ok(());
    };
    let place = place(delivery, operation, first).await?;
    let now = delivery.pipeline.clock.now();
    let batch = Batch::of(Arc::clone(stream), place.clone(), records, now)?;
    let prepared = PreparedBatch {
        id: batch.id(),
        run: delivery.claim.run,
        scope: delivery.scope().clone(),
        place,
        rows: batch.len(),
        spooled: spool.put(&batch).await?,
        cursor: None,
        origins: Vec::new(),
    };
    let ids: Vec<_> = sent.iter().map(|letter| letter.id).collect();
    let entry = store
        .prepare_retry(&delivery.claim, &prepared, &ids)
        .await?;
    let batch = batch.attested(entry);
    let receipt = delivery.sink.write(&batch).await?;
    report.batches.push(batch.id());
    let rows = batch.len() as u64;
    let ready = Ready { batch, prepared };
    let refused_before = delivery.report().rejected;
    delivery.settle(&ready, receipt).await?;
    let refused = delivery.report().rejected - refused_before;
    report.refused += refused;
    report.resolved += rows - refused;
    Ok(())
}

/// Leaves those out of which it is not known which state is the later one: a record without a key when it
/// was rejected, of which the destination has a state or another letter tells.
async fn without_unknown_order(
    delivery: &Delivery,
    records: Records,
    sent: &mut Vec<&Letter>,
    report: &mut StreamRetry,
) -> Result<Records> {
    let store = &delivery.parts().store;
    let mut times = HashMap::new();
    for key in records.keys() {
        *times.entry(key.clone()).or_insert(0_u32) += 1;
    }
    let mut wanted = Vec::with_capacity(sent.len());
    for (letter, key) in sent.iter().zip(records.keys()) {
        let is_known = letter.content.key.is_some()
            || (times[key] == 1 && store.audit(delivery.scope(), key).await? == Default::default());
        if !is_known {
            report.unfit.push(UnfitLetter {
                letter: letter.id,
                column: delivery.stream.key.join(", "),
                reason:
                    "the letter has no key, and another state of the same record is known; which \
                         of them is later is not"
                        .to_owned(),
            });
        }
        wanted.push(is_known);
    }
    let mut of_letter = wanted.iter();
    sent.retain(|_| of_letter.next().is_some_and(|wanted| *wanted));
    records.only(&wanted)
}

/// Where a batch of letters stands: next in the window that is open, else behind the one that was closed
/// last. Destinations tell by it that it comes after what they have, and before what the next run brings.
async fn place(delivery: &Delivery, operation: Operation, first: &Letter) -> Result<BatchPlace> {
    let Checkpoint { watermark, open } =
        delivery.parts().store.checkpoint(delivery.scope()).await?;
    let company = delivery.parts().source.company();
    let placed = |window, ordinal| BatchPlace {
        pipeline: delivery.pipeline.name.clone(),
        company: company.to_owned(),
        operation,
        window,
        ordinal,
    };
    if let Some(open) = open {
        return Ok(placed(open.window, open.next_ordinal));
    }
    let until = watermark.unwrap_or_else(|| delivery.pipeline.clock.now());
    let window = Window {
        from: Some(until),
        until,
    };
    // The same letters are never sent twice with the same number of attempts, so no batch has the id of
    // one before.
    let attempt = (first.id.0 << 12) + first.attempts % (1 << 12);
    Ok(placed(window, FIRST_ORDINAL + attempt))
}

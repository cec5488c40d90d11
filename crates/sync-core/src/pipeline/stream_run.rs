//! One stream in one run: holds it, and brings it up to date.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{Either, select};
use time::OffsetDateTime;

use super::delivery::Delivery;
use super::event::Event;
use super::extraction::Extraction;
use super::held_lease::HeldLease;
use super::report::StreamReport;
use super::{Parts, Pipeline};
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::shape::Shape;
use crate::stream::StreamDescriptor;
use crate::window::{Checkpoint, OpenWindow, Window};

pub(super) struct StreamRun {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) run: RunId,
    pub(super) stream: Arc<StreamDescriptor>,
}

/// What there is to do for a stream.
enum Next {
    Read(OpenWindow),
    /// A window that began now would end where the last one did.
    UpToDate {
        as_of: OffsetDateTime,
    },
}

impl StreamRun {
    /// Brings the stream up to date. Whatever was settled stays, also where this fails.
    pub(super) async fn complete(&self) -> (StreamReport, Result<()>) {
        let begun = Instant::now();
        let calls = || self.pipeline.parts.source.calls(&self.stream.name);
        let calls_before = calls();
        let (mut report, outcome) = self.hold_and_bring_up_to_date().await;
        let outcome = outcome.map_err(|error| {
            let names_it = error.context().any(|(name, _)| name == "stream");
            if names_it {
                error
            } else {
                error.with("stream", self.stream.name.as_str())
            }
        });
        report.calls = calls().saturating_sub(calls_before);
        report.elapsed = begun.elapsed();
        report.error = outcome.as_ref().err().map(Error::chain);
        (report, outcome)
    }

    /// Holds the stream's lease meanwhile, and stops where it is lost.
    async fn hold_and_bring_up_to_date(&self) -> (StreamReport, Result<()>) {
        let nothing_done = || StreamReport::new(&self.stream);
        let lease = match HeldLease::acquire(&self.pipeline, self.run, &self.stream.name).await {
            Ok(lease) => lease,
            Err(error) => return (nothing_done(), Err(error)),
        };
        let shape = match self.pipeline.shape(&self.stream).await {
            Ok(shape) => Arc::new(shape),
            Err(error) => {
                lease.release().await;
                return (nothing_done(), Err(error));
            }
        };
        let shaped = Self {
            pipeline: Arc::new(self.pipeline.shaped(&shape)),
            run: self.run,
            stream: Arc::clone(shape.destination()),
        };
        let delivery = Arc::new(Delivery::new(&shaped, &lease));
        let outcome = {
            let work = pin!(bring_up_to_date(&delivery, &shape));
            let lost = pin!(lease.keep());
            match select(work, lost).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right((lost, _)) => Err(lost),
            }
        };
        lease.release().await;
        let mut report = delivery.report().clone();
        report.findings.splice(..0, shape.findings());
        (report, outcome)
    }
}

async fn bring_up_to_date(delivery: &Arc<Delivery>, shape: &Shape) -> Result<()> {
    delivery.agree(shape).await?;
    let next = next_window(delivery).await?;
    let window = match &next {
        Next::Read(open) => Some(open.window),
        Next::UpToDate { .. } => None,
    };
    delivery.report().window = window;
    delivery.observe(Event::StreamBegun {
        stream: &delivery.stream.name,
        window,
    });
    let open = match next {
        Next::Read(open) => open,
        Next::UpToDate { as_of } => return delivery.tie_out(as_of, None).await,
    };
    let window = open.window;
    let totals = Extraction::new(Arc::clone(delivery), open)
        .complete()
        .await?;
    delivery.sink.flush(&delivery.stream.name).await?;
    delivery.tie_out(window.until, totals).await?;
    let store = &delivery.parts().store;
    store.complete_window(&delivery.claim).await
}

/// The window that an interrupted run left open, or a new one.
async fn next_window(delivery: &Delivery) -> Result<Next> {
    let Parts { source, store, .. } = delivery.parts();
    let Checkpoint { watermark, open } = store.checkpoint(delivery.scope()).await?;
    if let Some(open) = open {
        return Ok(Next::Read(open));
    }
    let options = &delivery.pipeline.options;
    let until = whole_second(source.now().await? - options.safety_lag);
    if let Some(watermark) = watermark
        && until <= watermark
    {
        return Ok(Next::UpToDate { as_of: watermark });
    }
    let from = match &delivery.stream.modified {
        Some(_) => watermark.map(|watermark| whole_second(watermark - options.lookback)),
        None => None,
    };
    let window = Window { from, until };
    store.open_window(&delivery.claim, window).await?;
    Ok(Next::Read(OpenWindow {
        window,
        cursor: None,
        next_ordinal: 0,
    }))
}

/// Sources tell times to the second, so a window begins and ends at one.
fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).unwrap_or(time)
}

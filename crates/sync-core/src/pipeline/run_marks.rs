//! The end of a run, kept beside the data that it brought.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Pipeline;
use crate::finding::{Finding, Severity};
use crate::id::RunId;
use crate::ledger::Head;
use crate::run_mark::RunMark;
use crate::sink::Sink;

impl Pipeline {
    /// A run that ended with this entry, and of which nothing more is known yet.
    pub(super) fn mark_of(&self, run: RunId, head: Head) -> RunMark {
        let company = self.parts.source.company();
        let head = (head.sequence, head.hash);
        RunMark::new(run, &self.name, company, self.clock.now(), head)
    }

    /// Notes in destinations that something was sent again, and with it the end of the ledger's chain.
    /// `streams` are the sinks of its streams, with whether all that was chosen of a stream is there.
    pub(super) async fn keep_sent_again<'s>(
        &self,
        run: RunId,
        head: Head,
        streams: impl Iterator<Item = (&'s str, bool)> + Clone,
    ) -> Vec<Finding> {
        let marks = self.parts.sinks.iter().filter_map(|sink| {
            let mut of_this = streams.clone().filter(|(name, _)| *name == sink.name());
            let mut mark = self.mark_of(run, head);
            mark.is_complete = of_this.next()?.1 && of_this.all(|(_, complete)| complete);
            Some((Arc::clone(sink), mark))
        });
        keep_marks(marks.collect()).await
    }
}

/// Notes in each destination how a run ended. One that cannot keep it fails nothing: that is a finding.
pub(super) async fn keep_marks(marks: Vec<(Arc<dyn Sink>, RunMark)>) -> Vec<Finding> {
    let keep = |(sink, mark): (Arc<dyn Sink>, RunMark)| async move {
        let error = sink.keep_run(&mark).await.err()?;
        let what = format!("the end of the run is not noted there: {}", error.chain());
        Some(Finding::new(Severity::Warning, sink.name(), what))
    };
    join_all(marks.into_iter().map(keep))
        .await
        .into_iter()
        .flatten()
        .collect()
}

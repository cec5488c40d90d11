//! How many records may be rejected before a person has to look.

use serde::Serialize;

use super::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result};
use crate::store::LetterFilter;
use crate::stream::DeleteDetection;
use crate::window::OpenWindow;

/// How many records of a stream may be rejected in a run.
///
/// Beyond it the stream fails before its window is complete: what was settled stays, and the watermark
/// does not move. Where a window was begun by an earlier run, its dead letters of which nobody took care
/// since count too, so that a run which is started again by itself does not pass them by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RejectionLimit {
    /// So many at most.
    pub records: Option<u64>,
    /// So many of each thousand that were read, at most. Known only once all are read.
    pub per_thousand: Option<u64>,
}

impl RejectionLimit {
    /// So many records at most.
    pub fn records(records: u64) -> Self {
        Self {
            records: Some(records),
            per_thousand: None,
        }
    }

    /// So many of each thousand that were read, at most.
    pub fn per_thousand(per_thousand: u64) -> Self {
        Self {
            records: None,
            per_thousand: Some(per_thousand),
        }
    }

    /// Whether there is none.
    fn is_none(&self) -> bool {
        self.records.is_none() && self.per_thousand.is_none()
    }
}

/// What was read and rejected of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    read: u64,
    rejected: u64,
}

/// Watches over the limit while a window is read.
#[derive(Debug)]
pub(super) struct Rejections {
    limit: RejectionLimit,
    /// Of the window, by runs before this one.
    before: Counted,
    /// Of this run, before the window was read on: what was recovered belongs to runs before.
    recovered: Counted,
}

impl Rejections {
    /// # Errors
    ///
    /// [`ErrorKind::Rejected`] where runs before this one went beyond the limit, and nobody took care of
    /// what they rejected.
    pub(super) async fn of(delivery: &Delivery, open: Option<&OpenWindow>) -> Result<Self> {
        let limit = delivery.pipeline.options.rejection_limit;
        let begun_before = |open: &&OpenWindow| open.cursor.is_some() || open.next_ordinal > 0;
        let begun_before = open.filter(begun_before);
        // A full read begins again from the start, so nothing is passed by.
        let reads_on = delivery.stream.delete_detection != DeleteDetection::FullRead;
        let mut rejections = Self {
            limit,
            before: Counted::default(),
            recovered: counted(delivery),
        };
        if let Some(open) = begun_before
            && reads_on
            && !limit.is_none()
        {
            rejections.before = before(delivery, open).await?;
            rejections.check_all(delivery)?;
        }
        Ok(rejections)
    }

    /// What can be said while records are still being read.
    pub(super) fn check(&self, delivery: &Delivery) -> Result<()> {
        let counted = self.counted(delivery);
        match self.limit.records {
            Some(most) if counted.rejected > most => {
                Err(too_many(counted).with("limit", format!("{most} records")))
            }
            _ => Ok(()),
        }
    }

    /// What can be said once all are read.
    pub(super) fn check_all(&self, delivery: &Delivery) -> Result<()> {
        self.check(delivery)?;
        let counted = self.counted(delivery);
        let Some(most) = self.limit.per_thousand else {
            return Ok(());
        };
        if counted.rejected.saturating_mul(1_000) > most.saturating_mul(counted.read) {
            return Err(too_many(counted).with("limit", format!("{most} of a thousand records")));
        }
        Ok(())
    }

    /// Notes what was read where the window could not be completed, for the run that reads on.
    pub(super) async fn keep(&self, delivery: &Delivery) -> Result<()> {
        let read = counted(delivery).read.saturating_sub(self.recovered.read);
        if read == 0 {
            return Ok(());
        }
        let store = &delivery.parts().store;
        store.note_read(&delivery.claim, read).await
    }

    fn counted(&self, delivery: &Delivery) -> Counted {
        let (now, recovered, before) = (counted(delivery), self.recovered, self.before);
        Counted {
            read: before.read + now.read.saturating_sub(recovered.read),
            rejected: before.rejected + now.rejected.saturating_sub(recovered.rejected),
        }
    }
}

fn counted(delivery: &Delivery) -> Counted {
    let report = delivery.report();
    Counted {
        read: report.read,
        rejected: report.rejected,
    }
}

async fn before(delivery: &Delivery, open: &OpenWindow) -> Result<Counted> {
    let store = &delivery.parts().store;
    let scope = delivery.scope();
    let mut waiting = LetterFilter::of(scope).waiting();
    // The window was frozen in the past of its runs.
    waiting.since = Some(open.window.until);
    let rejected = store.count_letters(&waiting).await?;
    let noted = store.read_of_window(scope).await?;
    Ok(Counted {
        // One that was killed noted nothing: what it rejected, it read.
        read: noted.max(rejected),
        rejected,
    })
}

fn too_many(counted: Counted) -> Error {
    let what = "more records were rejected than the limit allows: look at the stream's dead letters, mend \
                what rejects them or discard them, then run it again; its window is not complete";
    Error::new(ErrorKind::Rejected, what)
        .with("rejected", counted.rejected.to_string())
        .with("read", counted.read.to_string())
}

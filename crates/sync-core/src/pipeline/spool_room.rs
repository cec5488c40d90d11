//! Room in the spool: what runs remove from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Parts, Pipeline};
use crate::error::Result;
use crate::finding::{Finding, Severity};
use crate::id::RunId;
use crate::spool::{Ownership, Retention, sweep};

/// Bytes that were spooled since the spool was last looked over.
#[derive(Clone, Debug, Default)]
pub(super) struct SpooledSince(Arc<AtomicU64>);

impl Pipeline {
    /// Makes known whose spool it is, and makes room in it before it is needed.
    pub(super) async fn open_spool(&self, run: RunId) -> Result<Ownership> {
        let Parts { store, spool, .. } = &self.parts;
        let ownership = match store.entries(0, 1).await?.first() {
            Some(first) => spool.claim(first.hash).await?,
            None => Ownership::Unknown,
        };
        self.clear_spool(run).await?;
        Ok(ownership)
    }

    /// Removes payloads whose retention is over, or that are more than there may be.
    async fn clear_spool(&self, run: RunId) -> Result<()> {
        let Parts { store, spool, .. } = &self.parts;
        let retention = Retention {
            age: self.options.spool_retention,
            bytes: self.options.spool_max_bytes,
        };
        let now = self.clock.now();
        retention.enforce(&**store, &**spool, run, now).await
    }

    /// As [`Self::clear_spool`], in the middle of a run, whenever a sixteenth of what there may be has
    /// come in.
    pub(super) async fn keep_room(&self, run: RunId, settled_bytes: u64) -> Result<()> {
        let Some(limit) = self.options.spool_max_bytes else {
            return Ok(());
        };
        let since = &self.spooled_since.0;
        let before = since.fetch_add(settled_bytes, Ordering::Relaxed);
        if before.saturating_add(settled_bytes) < limit / 16 {
            return Ok(());
        }
        since.store(0, Ordering::Relaxed);
        self.clear_spool(run).await
    }

    /// Removes payloads whose retention is over, and what no batch names.
    pub(super) async fn sweep_spool(&self, run: RunId, ownership: Ownership) -> Result<()> {
        self.clear_spool(run).await?;
        if ownership == Ownership::Sole {
            let Parts { store, spool, .. } = &self.parts;
            let written_before = self.clock.now() - SWEPT_AFTER;
            sweep(&**store, &**spool, run, written_before).await?;
        }
        Ok(())
    }
}

/// How old something in the spool is that no batch names, and that nobody can be about to prepare.
const SWEPT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What a person must know of a spool that more than one store uses.
pub(super) fn shared_spool(ownership: Ownership) -> Option<Finding> {
    let found =
        "more than one store has kept payloads in this spool, so what no batch names stays there";
    let remedy = "give each store a spool of its own, then remove the file OWNER from this one";
    (ownership == Ownership::Shared)
        .then(|| Finding::new(Severity::Warning, "the spool", found).remedy(remedy))
}

//! A stream that this run holds, from the time that it is given until it is given back.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Sleeper;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RunId;
use crate::store::{Claim, Holder, Lease, LeaseRequest, Store};
use crate::stream::StreamName;

/// Renewals in the time for which a lease is given: two of them may fail.
const RENEWALS: u32 = 3;

/// A lease; given back by [`HeldLease::release`], and abandoned where the run is dropped.
#[derive(Debug)]
pub(super) struct HeldLease {
    store: Arc<dyn Store>,
    sleeper: Arc<dyn Sleeper>,
    lease: Lease,
    duration: Duration,
    released: bool,
}

impl HeldLease {
    pub(super) async fn acquire(
        pipeline: &super::Pipeline,
        run: RunId,
        stream: &StreamName,
    ) -> Result<Self> {
        let (store, sleeper) = (
            Arc::clone(&pipeline.parts.store),
            Arc::clone(&pipeline.sleeper),
        );
        let duration = pipeline.options.lease;
        let request = LeaseRequest {
            run,
            pipeline: pipeline.name.clone(),
            stream: stream.clone(),
            holder: Holder::this_process(),
            duration,
        };
        let lease = store.acquire(&request).await?;
        Ok(Self {
            store,
            sleeper,
            lease,
            duration,
            released: false,
        })
    }

    pub(super) fn claim(&self, sink: &str) -> Claim {
        self.lease.claim(sink)
    }

    /// Renews the lease for as long as it is polled; returns when it is lost.
    pub(super) async fn keep(&self) -> Error {
        loop {
            self.sleeper.sleep(self.duration / RENEWALS).await;
            match self.store.renew(&self.lease, self.duration).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Conflict => return error,
                // Whatever else the store has, the run's own changes will meet, and nobody can take the
                // stream over in a store that does not answer.
                Err(error) => {
                    let (stream, error) = (&self.lease.stream, error.chain());
                    tracing::warn!(%stream, error, "the lease could not be renewed");
                }
            }
        }
    }

    pub(super) async fn release(mut self) {
        match self.store.release(&self.lease).await {
            Ok(()) => self.released = true,
            Err(error) => {
                let (stream, error) = (&self.lease.stream, error.chain());
                tracing::warn!(%stream, error, "the stream could not be given back");
            }
        }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        if !self.released {
            self.store.abandon(&self.lease);
        }
    }
}

//! How many requests of a company the gateway takes at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use sim_http::Sleeper;

/// A performance tier: how many requests run at a time, how many wait behind them, and how long
/// one more waits for a place before it is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tier {
    /// Requests that run at a time, 1 or more.
    pub running: usize,
    /// Requests that wait for these, however long.
    pub queued: usize,
    /// How long any other waits for a place among them.
    pub patience: Duration,
}

impl Tier {
    /// The standard tier: one runs, one waits, a third is turned away after 30 seconds.
    pub const STANDARD: Self = Self {
        running: 1,
        queued: 1,
        patience: Duration::from_secs(30),
    };

    /// A tier of so many running and waiting requests.
    pub fn new(running: usize, queued: usize, patience: Duration) -> Self {
        Self {
            running,
            queued,
            patience,
        }
    }
}

/// The places of a tier.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    patience: Duration,
    running: Arc<Semaphore>,
    /// Places of requests that run or wait.
    places: Arc<Semaphore>,
}

/// A place among the running requests; given back when it is dropped.
pub(crate) struct Lane {
    _running: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Lanes {
    pub(crate) fn new(tier: Tier) -> Self {
        let running = tier.running.clamp(1, Semaphore::MAX_PERMITS / 2);
        let queued = tier.queued.min(Semaphore::MAX_PERMITS / 2);
        Self {
            patience: tier.patience,
            running: Arc::new(Semaphore::new(running)),
            places: Arc::new(Semaphore::new(running + queued)),
        }
    }

    /// Waits for a place and then for its turn; none when patience ended before there was a place.
    pub(crate) async fn enter(&self, sleeper: &Sleeper) -> Option<Lane> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let place = Box::pin(Arc::clone(&self.places).acquire_owned());
                match select(place, sleeper.sleep(self.patience)).await {
                    Either::Left((place, _)) => place.ok()?,
                    Either::Right(((), _)) => return None,
                }
            }
        };
        let running = Arc::clone(&self.running).acquire_owned().await.ok()?;
        Some(Lane {
            _running: running,
            _place: place,
        })
    }
}

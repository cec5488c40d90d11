//! How long a call goes on trying while the server cannot be reached.

use std::time::{Duration, Instant};

use crate::error::{Result, Retry};

/// The first wait; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Patience {
    until: Instant,
    wait: Duration,
}

impl Patience {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            until: Instant::now() + patience,
            wait: FIRST_WAIT,
        }
    }

    /// The outcome where it is final; none, after a wait, where the call is to be made again.
    pub(super) async fn judge<T>(&mut self, outcome: Result<T>) -> Option<Result<T>> {
        let error = match outcome {
            Err(error) if error.retry() == Retry::Backoff => error,
            outcome => return Some(outcome),
        };
        if Instant::now() + self.wait > self.until {
            return Some(Err(error.exhausted()));
        }
        tracing::warn!(error = error.chain(), "the store will be asked again");
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        None
    }
}

/// Asks in a session, and again in another one while the server cannot be reached.
macro_rules! ask {
    ($store:expr, |$session:ident| $work:expr) => {{
        let mut patience = $store.patience();
        loop {
            let asking = async {
                let $session = $store.session().await?;
                $work.await
            };
            if let Some(outcome) = patience.judge(asking.await).await {
                break outcome;
            }
        }
    }};
}

/// Changes in a transaction, and again in another one while the server cannot be reached, but never
/// twice. With a claim, it is refused where the claim's lease is not the one in force.
macro_rules! change {
    ($store:expr, $claim:expr, |$change:ident| $work:expr) => {{
        let mut patience = $store.patience();
        let mut unsure = None;
        loop {
            let changing = async {
                let mut session = $store.session().await?;
                if let Some(value) =
                    $crate::store::postgres::change::landed(&mut session, &mut unsure).await?
                {
                    return Ok(value);
                }
                let $change = $store.begin(&mut session).await?;
                $change.fence($claim).await?;
                let value = $work.await?;
                $change.commit(value, &mut unsure).await
            };
            if let Some(outcome) = patience.judge(changing.await).await {
                break outcome;
            }
        }
    }};
}

pub(super) use {ask, change};

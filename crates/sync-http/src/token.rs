//! A cache for something that is costly to get and expires: a session, an access token.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::{Moment, Timing};

/// How long before its end a token is replaced, and how soon a failed fetch is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCacheOptions {
    /// A token with less than this left is replaced. For a token that lives shorter than twice this, half its life
    /// counts instead, so that a short-lived token is still used. Default 5 minutes.
    pub margin: Duration,
    /// After a fetch failed, the next one starts no sooner than this. Default 1 second.
    pub fetch_backoff: Duration,
}

impl Default for TokenCacheOptions {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(300),
            fetch_backoff: Duration::from_secs(1),
        }
    }
}

impl TokenCacheOptions {
    /// The same options with this margin.
    #[must_use]
    pub const fn with_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// The same options with this wait after a failed fetch.
    #[must_use]
    pub const fn with_fetch_backoff(mut self, fetch_backoff: Duration) -> Self {
        self.fetch_backoff = fetch_backoff;
        self
    }
}

/// What a fetch brought: a value and how long it lasts from now.
#[derive(Clone, Copy, Debug)]
pub struct Fetched<T> {
    value: T,
    lifetime: Option<Duration>,
}

impl<T> Fetched<T> {
    /// A value that lasts for `lifetime` from the moment the fetch returns.
    pub const fn lasting(value: T, lifetime: Duration) -> Self {
        Self {
            value,
            lifetime: Some(lifetime),
        }
    }

    /// A value that does not expire by itself.
    pub const fn unlimited(value: T) -> Self {
        Self {
            value,
            lifetime: None,
        }
    }
}

/// A value from the cache, and which one it is. Cheap to clone.
pub struct Token<T> {
    value: Arc<T>,
    generation: u64,
}

impl<T> Token<T> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Which fetch brought it, counted up. What a failed request hands to [`TokenCache::invalidate`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl<T> Clone for Token<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            generation: self.generation,
        }
    }
}

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Holds one token and fetches it when it is missing, at most one fetch at a time.
///
/// - Callers that arrive while a fetch runs wait for it and share what it brings, the error included.
/// - A failure is not kept: a caller that arrives after it starts a new fetch, no sooner than
///   [`TokenCacheOptions::fetch_backoff`] after the failure, so that a login that fails is not hammered.
/// - A caller that fetches and is dropped strands nobody: the next in line fetches.
pub struct TokenCache<T, E> {
    options: TokenCacheOptions,
    timing: Timing,
    state: StdMutex<State<T, E>>,
    /// Held while fetching. Waiters queue on it, so a dropped leader hands over by dropping its guard.
    flight: Mutex<()>,
}

struct State<T, E> {
    current: Option<Entry<T>>,
    generation: u64,
    /// Fetches that have ended, successfully or not.
    landed: u64,
    failure: Option<Fallen<E>>,
}

struct Entry<T> {
    token: Token<T>,
    /// How long before its end it is replaced. Settled by its first lifetime, so that it does not shrink with what is
    /// left of that.
    margin: Duration,
    /// From here on it is replaced.
    stale: Option<Moment>,
}

struct Fallen<E> {
    flight: u64,
    at: Moment,
    error: E,
}

impl<T, E: Clone> TokenCache<T, E> {
    /// An empty cache.
    #[must_use]
    pub fn new(options: TokenCacheOptions, timing: Timing) -> Self {
        let state = State {
            current: None,
            generation: 0,
            landed: 0,
            failure: None,
        };
        Self {
            options,
            timing,
            state: StdMutex::new(state),
            flight: Mutex::new(()),
        }
    }

    /// The token, fetched if there is none or it is about to expire.
    ///
    /// # Errors
    ///
    /// The error of the fetch that this call made or waited for.
    pub async fn get<F, Fut>(&self, fetch: F) -> Result<Token<T>, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<T>, E>>,
    {
        let arrived = {
            let state = self.state();
            if let Some(token) = state.fresh(self.timing.monotonic()) {
                return Ok(token);
            }
            state.landed
        };
        let _flight = self.flight.lock().await;
        let wait = {
            let state = self.state();
            let now = self.timing.monotonic();
            if let Some(token) = state.fresh(now) {
                return Ok(token);
            }
            match &state.failure {
                // It ended after this caller came: this caller waited for it.
                Some(fallen) if fallen.flight > arrived => return Err(fallen.error.clone()),
                Some(fallen) => (fallen.at + self.options.fetch_backoff).since(now),
                None => Duration::ZERO,
            }
        };
        if !wait.is_zero() {
            self.timing.sleep(wait).await;
        }
        let outcome = fetch().await;
        self.land(outcome)
    }

    /// The token if there is one that need not be replaced yet. Never fetches.
    #[must_use]
    pub fn peek(&self) -> Option<Token<T>> {
        self.state().fresh(self.timing.monotonic())
    }

    /// Drops the token of this generation. A newer one, which another caller has fetched since, stays.
    pub fn invalidate(&self, generation: u64) {
        let mut state = self.state();
        if state
            .current
            .as_ref()
            .is_some_and(|entry| entry.token.generation == generation)
        {
            state.current = None;
        }
    }

    /// Sets how long the token of this generation lasts from now, as a later answer has told. A newer token stays
    /// as it is.
    pub fn set_lifetime(&self, generation: u64, lifetime: Option<Duration>) {
        let now = self.timing.monotonic();
        let mut state = self.state();
        if let Some(entry) = state
            .current
            .as_mut()
            .filter(|entry| entry.token.generation == generation)
        {
            entry.stale = lifetime.map(|lifetime| now + lifetime.saturating_sub(entry.margin));
        }
    }

    fn land(&self, outcome: Result<Fetched<T>, E>) -> Result<Token<T>, E> {
        let now = self.timing.monotonic();
        let mut state = self.state();
        state.landed += 1;
        match outcome {
            Ok(fetched) => {
                state.generation += 1;
                let token = Token {
                    value: Arc::new(fetched.value),
                    generation: state.generation,
                };
                let margin = fetched.lifetime.map_or(self.options.margin, |lifetime| {
                    self.options.margin.min(lifetime / 2)
                });
                let stale = fetched.lifetime.map(|lifetime| now + (lifetime - margin));
                state.current = Some(Entry {
                    token: token.clone(),
                    margin,
                    stale,
                });
                state.failure = None;
                Ok(token)
            }
            Err(error) => {
                let flight = state.landed;
                state.failure = Some(Fallen {
                    flight,
                    at: now,
                    error: error.clone(),
                });
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> State<T, E> {
    fn fresh(&self, now: Moment) -> Option<Token<T>> {
        let entry = self.current.as_ref()?;
        let usable = entry.stale.is_none_or(|stale| now < stale);
        usable.then(|| entry.token.clone())
    }
}

impl<T, E> fmt::Debug for TokenCache<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use futures_util::future::join_all;
    use proptest::prelude::*;
    use tokio::sync::Notify;

    use super::{Fetched, TokenCache, TokenCacheOptions};
    use crate::clock::{ManualClock, Timing};

    type Cache = TokenCache<u32, &'static str>;

    fn cache(clock: &ManualClock) -> Arc<Cache> {
        Arc::new(TokenCache::new(
            TokenCacheOptions::default(),
            Timing::from(clock.clone()),
        ))
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn replaces_a_token_before_it_expires() {
        let clock = ManualClock::default();
        let cache = cache(&clock);
        let fetch = |value| async move { Ok(Fetched::lasting(value, HOUR)) };
        assert_eq!(*cache.get(|| fetch(1)).await.unwrap().value(), 1);
        clock.advance(Duration::from_secs(3299));
        assert_eq!(*cache.get(|| fetch(2)).await.unwrap().value(), 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(*cache.get(|| fetch(3)).await.unwrap().value(), 3);
    }

    #[tokio::test]
    async fn uses_a_token_that_lives_shorter_than_the_margin() {
        let clock = ManualClock::default();
        let cache = cache(&clock);
        let fetch = |value| async move { Ok(Fetched::lasting(value, Duration::from_secs(60))) };
        cache.get(|| fetch(1)).await.unwrap();
        clock.advance(Duration::from_secs(29));
        assert_eq!(*cache.get(|| fetch(2)).await.unwrap().value(), 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(*cache.get(|| fetch(3)).await.unwrap().value(), 3);
    }

    #[tokio::test]
    async fn the_margin_holds_however_often_the_end_is_told_again() {
        let clock = ManualClock::default();
        let cache = cache(&clock);
        let token = cache
            .get(|| async { Ok(Fetched::lasting(1, HOUR)) })
            .await
            .unwrap();
        for second in 1..=3299 {
            clock.advance(Duration::from_secs(1));
            cache.set_lifetime(token.generation(), Some(HOUR - Duration::from_secs(second)));
        }
        assert!(cache.peek().is_some());
        clock.advance(Duration::from_secs(1));
        assert!(cache.peek().is_none());
    }

    #[tokio::test]
    async fn a_failed_request_drops_only_the_token_it_used() {
        let clock = ManualClock::default();
        let cache = cache(&clock);
        let fetch = |value| async move { Ok(Fetched::unlimited(value)) };
        let old = cache.get(|| fetch(1)).await.unwrap();
        cache.invalidate(old.generation());
        let new = cache.get(|| fetch(2)).await.unwrap();
        cache.invalidate(old.generation());
        cache.set_lifetime(old.generation(), Some(Duration::ZERO));
        assert_eq!(cache.peek().unwrap().generation(), new.generation());
        cache.set_lifetime(new.generation(), Some(Duration::ZERO));
        assert!(cache.peek().is_none());
    }

    #[tokio::test]
    async fn waiters_share_one_failure_and_the_next_caller_waits_a_little() {
        let clock = ManualClock::default();
        let cache = cache(&clock);
        let calls = AtomicU32::new(0);
        let gate = Notify::new();
        let callers = (0..10).map(|_| {
            cache.get(|| async {
                calls.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                Err("wrong password")
            })
        });
        let (outcomes, ()) = tokio::join!(join_all(callers), async {
            tokio::task::yield_now().await;
            gate.notify_one();
        });
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.as_ref().err() == Some(&"wrong password"))
        );
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert!(clock.sleeps().is_empty());
        let later = cache.get(|| async { Ok(Fetched::unlimited(5)) }).await;
        assert_eq!(*later.unwrap().value(), 5);
        assert_eq!(clock.sleeps(), [Duration::from_secs(1)]);
    }

    #[tokio::test]
    async fn a_dropped_leader_strands_nobody() {
        let clock = ManualClock::default();
        let cache = cache(&clock);
        let started = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (cache, started) = (Arc::clone(&cache), Arc::clone(&started));
            async move {
                cache
                    .get(|| async move {
                        started.notify_one();
                        std::future::pending().await
                    })
                    .await
            }
        });
        started.notified().await;
        let waiters: Vec<_> = (0..4)
            .map(|number| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move {
                    cache
                        .get(|| async move { Ok(Fetched::unlimited(number)) })
                        .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        leader.abort();
        let values: Vec<_> = join_all(waiters)
            .await
            .into_iter()
            .map(|token| *token.unwrap().unwrap().value())
            .collect();
        assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
    }

    proptest! {
        /// However callers come, go and are cut off, no two fetches run at once, and no two are made for one token.
        #[test]
        fn one_fetch_at_a_time(cut in proptest::collection::vec(any::<bool>(), 1..20), yields in 0_usize..5) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let cache = cache(&ManualClock::default());
                let running = Arc::new(AtomicU32::new(0));
                let finished = Arc::new(AtomicU32::new(0));
                let tasks: Vec<_> = cut.iter().map(|_| {
                    let (cache, running, finished) =
                        (Arc::clone(&cache), Arc::clone(&running), Arc::clone(&finished));
                    tokio::spawn(async move {
                        cache.get(|| async move {
                            let guard = Running::enter(running);
                            for _ in 0..3 { tokio::task::yield_now().await; }
                            drop(guard);
                            finished.fetch_add(1, Ordering::SeqCst);
                            Ok(Fetched::unlimited(0))
                        }).await.unwrap();
                    })
                }).collect();
                for _ in 0..yields { tokio::task::yield_now().await; }
                for (task, cut) in tasks.iter().zip(&cut) {
                    if *cut { task.abort(); }
                }
                let survivors = join_all(tasks).await.into_iter().filter(|task| match task {
                    Ok(()) => true,
                    Err(error) => { assert!(error.is_cancelled(), "two fetches at once"); false }
                }).count();
                let finished = finished.load(Ordering::SeqCst);
                assert!(finished <= 1);
                assert!(survivors == 0 || finished == 1);
            });
        }
    }

    struct Running(Arc<AtomicU32>);

    impl Running {
        fn enter(count: Arc<AtomicU32>) -> Self {
            assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0);
            Self(count)
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

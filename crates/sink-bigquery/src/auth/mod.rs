//! Who asks: tokens for the `Authorization` header.
//!
//! | provider | for |
//! |---|---|
//! | [`ServiceAccount`] | a key file of a service account: its signature is exchanged for a token |
//! | [`SelfSigned`] | the same key file, its signature sent as it is: one server less to depend on |
//! | [`MetadataServer`] | programs on Google Cloud: no key at all |
//! | [`AuthorizedUser`] | what `gcloud auth application-default login` leaves behind |
//! | [`default`] | whichever of these the machine is set up for |
//! | [`Anonymous`] | emulators |
//!
//! For anything else, such as workload identity federation, implement [`TokenProvider`], for instance with Google's crate
//! `google-cloud-auth`.

pub mod default;
mod endpoint;
mod jwt;
mod key;
mod metadata;
mod service_account;
mod user;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use sync_http::{
    ClientOptions, Fetched, Moment, RetryPolicy, Timing, Token, TokenCache, TokenCacheOptions,
};

pub use self::default::{Environment, Found, find_default};
pub use self::key::ServiceAccountKey;
pub use self::metadata::MetadataServer;
pub use self::service_account::{SelfSigned, ServiceAccount};
pub use self::user::AuthorizedUser;
use crate::error::{Error, Result};

/// What all of this crate needs to be granted.
pub const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";

/// Gives tokens. Implementations need not keep them: a [`BigQuery`](crate::client::BigQuery) asks for a new one when the
/// last is about to expire or was refused, and only once at a time.
#[async_trait]
pub trait TokenProvider: fmt::Debug + Send + Sync {
    /// A new token.
    ///
    /// # Errors
    ///
    /// `Auth` when the credentials were refused; otherwise what the way to the token failed with.
    async fn fetch(&self) -> Result<NewToken>;

    /// Whether requests go out without a token; then [`fetch`](Self::fetch) is never called.
    fn is_anonymous(&self) -> bool {
        false
    }
}

/// A token and how long it lasts.
pub struct NewToken {
    secret: SecretString,
    lifetime: Duration,
}

impl NewToken {
    /// A token that lasts this long from now.
    #[must_use]
    pub const fn new(secret: SecretString, lifetime: Duration) -> Self {
        Self { secret, lifetime }
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// No token at all: for emulators and simulators.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl TokenProvider for Anonymous {
    async fn fetch(&self) -> Result<NewToken> {
        Err(Error::config("there is no token where none is used"))
    }

    fn is_anonymous(&self) -> bool {
        true
    }
}

/// How tokens are asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthOptions {
    /// What the token grants. Default [`SCOPE`].
    pub scopes: Vec<String>,
    /// Token endpoints that credentials may be sent to beside Google's own, as their credentials file names them:
    /// `https://` and a host, exactly.
    pub trusted_endpoints: Vec<String>,
    /// Timeouts, certificates, proxy.
    pub http: ClientOptions,
    /// How a failing token endpoint is asked again. Default four attempts within a minute.
    pub retry: RetryPolicy,
    /// The clock and the sleeper.
    pub timing: Timing,
}

impl Default for AuthOptions {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            scopes: vec![SCOPE.to_owned()],
            trusted_endpoints: Vec::new(),
            http: ClientOptions::default()
                .with_timeouts(second * 10, second * 20, second * 30)
                .with_max_answer_bytes(1024 * 1024)
                .with_user_agent(concat!("sink-bigquery/", env!("CARGO_PKG_VERSION"))),
            retry: RetryPolicy::default()
                .with_max_attempts(4)
                .with_backoff(second, second * 8)
                .with_deadline(second * 60),
            timing: Timing::system(),
        }
    }
}

impl AuthOptions {
    /// The same options with these scopes instead.
    #[must_use]
    pub fn with_scopes<I: Into<String>>(mut self, scopes: impl IntoIterator<Item = I>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The same options, trusting one more token endpoint: its scheme and host, such as `https://tokens.example.com`.
    #[must_use]
    pub fn trusting(mut self, endpoint: impl Into<String>) -> Self {
        self.trusted_endpoints.push(endpoint.into());
        self
    }

    /// The same options with this HTTP client.
    #[must_use]
    pub fn with_http(mut self, http: ClientOptions) -> Self {
        self.http = http;
        self
    }

    /// The same options with these retries.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same options with this clock and sleeper.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }
}

/// How long before its end a token is replaced: what Google's own clients take.
const MARGIN: Duration = Duration::from_secs(225);

/// A token with less than this left is not used, whatever the token endpoint's trouble.
const LAST_SECONDS: Duration = Duration::from_secs(10);

/// While a new token cannot be had, the old one is used and asked about again this often.
const MEANWHILE: Duration = Duration::from_secs(30);

/// The tokens of one client: kept while they last, fetched once for all who wait.
pub(crate) struct Tokens {
    provider: Arc<dyn TokenProvider>,
    timing: Timing,
    cache: TokenCache<Arc<SecretString>, Error>,
    /// The last token that was fetched, until it is refused.
    last: Mutex<Option<Last>>,
}

#[derive(Clone)]
struct Last {
    secret: Arc<SecretString>,
    end: Moment,
}

/// A token in use, or none for whoever needs none.
pub(crate) struct Held(Option<Token<Arc<SecretString>>>);

impl Held {
    pub(crate) fn secret(&self) -> Option<&SecretString> {
        self.0.as_ref().map(|token| token.value().as_ref())
    }
}

impl Tokens {
    pub(crate) fn new(provider: Arc<dyn TokenProvider>, timing: Timing) -> Self {
        let options = TokenCacheOptions::default().with_margin(MARGIN);
        Self {
            provider,
            cache: TokenCache::new(options, timing.clone()),
            timing,
            last: Mutex::new(None),
        }
    }

    /// The token, fetched if there is none that lasts.
    pub(crate) async fn get(&self) -> Result<Held> {
        if self.provider.is_anonymous() {
            return Ok(Held(None));
        }
        let token = self.cache.get(|| self.fetch()).await?;
        Ok(Held(Some(token)))
    }

    /// Forgets a token that was refused; a newer one stays.
    pub(crate) fn refused(&self, held: &Held) {
        let Some(token) = &held.0 else {
            return;
        };
        self.cache.invalidate(token.generation());
        // While no new one could be had it may have been handed out under a later number.
        let is_it = |secret: &Arc<SecretString>| Arc::ptr_eq(secret, token.value());
        if let Some(current) = self.cache.peek().filter(|current| is_it(current.value())) {
            self.cache.invalidate(current.generation());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.take_if(|last| is_it(&last.secret));
    }

    async fn fetch(&self) -> Result<Fetched<Arc<SecretString>>> {
        match self.provider.fetch().await {
            Ok(new) => {
                let secret = Arc::new(new.secret);
                let last = Last {
                    secret: Arc::clone(&secret),
                    end: self.timing.monotonic() + new.lifetime,
                };
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
                tracing::debug!(seconds = new.lifetime.as_secs(), "token fetched");
                Ok(Fetched::lasting(secret, new.lifetime))
            }
            Err(error) if error.is_transient() => {
                let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                let now = self.timing.monotonic();
                let left = |last: &Last| last.end.since(now).saturating_sub(LAST_SECONDS);
                match last.clone().filter(|last| !left(last).is_zero()) {
                    Some(last) => {
                        tracing::warn!(%error, "no new token for now; the old one still lasts");
                        let lifetime = left(&last).min(MEANWHILE);
                        Ok(Fetched::lasting(last.secret, lifetime))
                    }
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

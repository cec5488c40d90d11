//! Sessions: opened once, used by all, replaced in time.
//!
//! developer.intacct.com, API sessions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use intacct_xml::metadata::ApiSession;
use intacct_xml::request::{Authentication, Function, GetApiSession, Login};
use intacct_xml::response::{AuthenticationStatus, Response, Tree};
use intacct_xml::{ErrorKind as XmlKind, SessionId};
use sync_http::{
    Fetched, Moment, Retry, RetryBudget, RetryPolicy, Timing, Token, TokenCache, TokenCacheOptions,
    retry,
};
use time::OffsetDateTime;
use url::Url;

use crate::config::{Credentials, EndpointTrust, SessionPolicy};
use crate::endpoint::adopted;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::transport::{Content, Exchanged, Transport, new_control_id};

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// Where all its calls go.
    pub(crate) endpoint: Url,
    pub(crate) user_id: Option<String>,
    pub(crate) company_id: Option<String>,
    pub(crate) location_id: Option<String>,
    opened: Moment,
}

/// The session of one user in one company and entity.
#[derive(Debug)]
pub(crate) struct SessionKeeper {
    transport: Arc<Transport>,
    login: Login,
    endpoint: Url,
    trust: EndpointTrust,
    policy: SessionPolicy,
    retry: RetryPolicy,
    budget: RetryBudget,
    timing: Timing,
    cache: TokenCache<Session, Error>,
}

/// What all sessions of a client share.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings {
    pub(crate) endpoint: Url,
    pub(crate) trust: EndpointTrust,
    pub(crate) policy: SessionPolicy,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) timing: Timing,
}

impl SessionKeeper {
    pub(crate) fn new(
        transport: Arc<Transport>,
        credentials: &Credentials,
        settings: SessionSettings,
    ) -> Result<Self> {
        let SessionSettings {
            endpoint,
            trust,
            policy,
            retry,
            budget,
            timing,
        } = settings;
        let options = TokenCacheOptions::default()
            // The margin is in the lifetime: it concerns the gateway's end of the session, not the greatest age.
            .with_margin(Duration::ZERO)
            .with_fetch_backoff(policy.login_backoff);
        Ok(Self {
            transport,
            login: login(credentials)?,
            endpoint,
            trust,
            policy,
            retry,
            budget,
            cache: TokenCache::new(options, timing.clone()),
            timing,
        })
    }

    /// The session, opened if there is none that will last.
    pub(crate) async fn get(&self) -> Result<Token<Session>> {
        self.cache.get(|| self.open()).await
    }

    /// Forgets a session that the gateway does not know any more; a newer one stays.
    pub(crate) fn invalidate(&self, session: &Token<Session>) {
        self.cache.invalidate(session.generation());
    }

    /// Takes in what an answer to a session's call says about the session's end.
    pub(crate) fn observe(&self, session: &Token<Session>, exchanged: &Exchanged) {
        if let Some(end) = session_end(&exchanged.response) {
            let age = self.timing.monotonic().since(session.value().opened);
            let lifetime = self.lifetime(Some(end), exchanged.answered, age);
            self.cache
                .set_lifetime(session.generation(), Some(lifetime));
        }
    }

    async fn open(&self) -> Result<Fetched<Session>> {
        let attempt = |_attempt| self.open_once();
        let opened = retry(
            &self.retry,
            &self.budget,
            &self.timing,
            Error::retry_here,
            attempt,
        )
        .await;
        let (session, lifetime) = opened.map_err(|failure| {
            if failure.exhausted() {
                failure.error.exhausted_after(failure.attempts)
            } else {
                failure.error
            }
        })?;
        tracing::info!(
            company = session.company_id,
            entity = session.location_id,
            seconds = lifetime.as_secs(),
            "session opened"
        );
        Ok(Fetched::lasting(session, lifetime))
    }

    async fn open_once(&self) -> Result<(Session, Duration)> {
        let function = Function::new(new_control_id()?, GetApiSession::default());
        let mut tree = Tree::new();
        let authentication = Authentication::Login(self.login.clone());
        let exchanged = self
            .transport
            .exchange(
                &self.endpoint,
                &authentication,
                Content::reads(std::slice::from_ref(&function)),
                &Mutex::new(&mut tree),
                None,
            )
            .await
            .map_err(|error| error.with("function", "getAPISession"))?;
        let response = &exchanged.response;
        self.transport.result(&exchanged, &function)?;
        let control_id = function.control_id().as_str();
        let api = ApiSession::from_records(tree.records(control_id)).map_err(|source| {
            let retry = match source.kind() {
                XmlKind::Truncated => Retry::Backoff,
                _ => Retry::Never,
            };
            envelope("the login's answer has no session")
                .retrying(retry)
                .caused_by(source)
        })?;
        let endpoint = adopted(&api.endpoint, &self.endpoint, self.trust)?;
        let lifetime = self.lifetime(session_end(response), exchanged.answered, Duration::ZERO);
        let user = response
            .operations
            .first()
            .map(|operation| &operation.authentication);
        let session = Session {
            id: api.session_id,
            endpoint,
            user_id: user.and_then(|user| user.user_id.clone()),
            company_id: user.and_then(|user| user.company_id.clone()),
            location_id: api.location_id,
            opened: self.timing.monotonic(),
        };
        Ok((session, lifetime))
    }

    /// How long from now a session of this age is used. One that lives shorter than twice the margin is used for half
    /// its life.
    fn lifetime(
        &self,
        end: Option<OffsetDateTime>,
        answered: OffsetDateTime,
        age: Duration,
    ) -> Duration {
        let by_age = self.policy.max_age.saturating_sub(age);
        match end {
            Some(end) => {
                let left = Duration::try_from(end - answered).unwrap_or_default();
                by_age.min(left - self.policy.margin.min(left / 2))
            }
            None => by_age,
        }
    }
}

fn login(credentials: &Credentials) -> Result<Login> {
    let user = &credentials.user;
    let mut login =
        Login::new(&user.company_id, &user.id, user.password.clone()).map_err(Error::unwritable)?;
    if let Some(client) = &credentials.client_id {
        login = login.with_client(client).map_err(Error::unwritable)?;
    }
    if let Some(entity) = &credentials.entity_id {
        login = login.with_location(entity).map_err(Error::unwritable)?;
    }
    Ok(login)
}

/// When the session ends, as the last operation of the answer says. One that cannot be read counts as absent: the
/// greatest age still holds, and expiry is noticed at any time.
fn session_end(response: &Response) -> Option<OffsetDateTime> {
    let authentication: &AuthenticationStatus = &response.operations.last()?.authentication;
    match authentication.session_timeout() {
        Ok(end) => end,
        Err(error) => {
            tracing::warn!(%error, "the session's end cannot be read");
            None
        }
    }
}

fn envelope(message: &str) -> Error {
    Error::new(ErrorKind::Protocol, Reason::Envelope, message).with("function", "getAPISession")
}

/// The sessions of a client's entities.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    keepers: Mutex<BTreeMap<Option<String>, Arc<SessionKeeper>>>,
}

impl Sessions {
    /// The keeper for an entity, made if there is none yet.
    pub(crate) fn keeper(
        &self,
        entity: Option<&str>,
        make: impl FnOnce() -> Result<SessionKeeper>,
    ) -> Result<Arc<SessionKeeper>> {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = entity.map(str::to_owned);
        if let Some(keeper) = keepers.get(&key) {
            return Ok(Arc::clone(keeper));
        }
        let keeper = Arc::new(make()?);
        keepers.insert(key, Arc::clone(&keeper));
        Ok(keeper)
    }
}

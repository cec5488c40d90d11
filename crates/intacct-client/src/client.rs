//! The client: one user of one company.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use intacct_xml::request::{Authentication, Function};
use intacct_xml::response::{FunctionResult, Response};
use sync_http::{Phase, Retry, RetryBudget, Token, retry};
use time::{OffsetDateTime, UtcOffset};

use crate::calls::{CallCounts, CallLog};
use crate::config::ClientConfig;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::describe;
use crate::limits::CompanyLimits;
use crate::receive::Readers;
use crate::session::{Session, SessionKeeper, SessionSettings, Sessions};
use crate::source_zone::SourceZone;
use crate::transport::{Content, Exchanged, ServerClock, Target, Transport, Worked};

/// A client of one company, at its top level or in one of its entities. Cheap to clone.
///
/// Clones, and clients for other entities made with [`for_entity`](Self::for_entity), share connections, limits, retry
/// budget and call counts. Each entity has a session of its own.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    session: Arc<SessionKeeper>,
    config: Arc<ClientConfig>,
    /// Whether the zone in the settings is the source's.
    zone_is_settled: bool,
    label: Option<Arc<str>>,
}

struct Shared {
    transport: Arc<Transport>,
    budget: RetryBudget,
    settings: SessionSettings,
    sessions: Sessions,
}

/// Whom a session was opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The user.
    pub user_id: Option<String>,
    /// The company.
    pub company_id: Option<String>,
    /// The entity; none at the top level.
    pub entity_id: Option<String>,
    /// The host that the session's calls go to.
    pub host: Option<String>,
}

impl Client {
    /// A client with these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// `Config`, naming the setting that cannot work.
    pub fn new(config: ClientConfig) -> Result<Self> {
        let endpoint = config.validate()?;
        let timing = config.timing.clone();
        let transport = Arc::new(Transport {
            http: sync_http::Client::new(&config.http_options(&endpoint))?,
            limits: match config.shared_limits.clone() {
                Some(limits) => limits,
                None => {
                    CompanyLimits::new(config.limits.clone(), config.call_budget, timing.clone())?
                }
            },
            quiet_hours: config.quiet_hours.clone(),
            sender: config.credentials.sender.clone(),
            read_options: config.read_options(),
            readers: Readers::default(),
            challenge_wait: config.challenge_wait,
            timing: timing.clone(),
            calls: CallLog::default(),
            server_clock: ServerClock::default(),
            worked: Worked::default(),
        });
        let budget = RetryBudget::new(config.budget);
        let settings = SessionSettings {
            endpoint,
            trust: config.endpoint_trust,
            policy: config.session,
            retry: config.retry.clone(),
            budget: budget.clone(),
            timing,
        };
        let entity = config.credentials.entity_id.clone();
        let sessions = Sessions::default();
        let shared = Arc::new(Shared {
            transport,
            budget,
            settings,
            sessions,
        });
        let session = shared.keeper(&config, entity.as_deref())?;
        Ok(Self {
            shared,
            session,
            zone_is_settled: config.source_zone == SourceZone::Fixed,
            config: Arc::new(config),
            label: None,
        })
    }

    /// A client for one entity of the company, with a session of its own.
    ///
    /// # Errors
    /// `Config` when the id is empty or cannot be sent.
    pub fn for_entity(&self, entity_id: &str) -> Result<Self> {
        let session = self.shared.keeper(&self.config, Some(entity_id))?;
        Ok(Self {
            session,
            ..self.clone()
        })
    }

    /// The same client, whose calls are also counted under this label, such as the name of a stream.
    #[must_use]
    pub fn labelled(&self, label: &str) -> Self {
        Self {
            label: Some(label.into()),
            ..self.clone()
        }
    }

    /// The same client for a source whose timestamps are in this zone.
    #[must_use]
    pub fn with_source_offset(&self, offset: UtcOffset) -> Self {
        let mut config = (*self.config).clone();
        config.source_offset = offset;
        Self {
            config: Arc::new(config),
            zone_is_settled: true,
            ..self.clone()
        }
    }

    /// Logs in, unless a session is open already, and tells whom the session is for.
    ///
    /// # Errors
    /// `Auth` when the credentials are not accepted.
    pub async fn login(&self) -> Result<SessionInfo> {
        let token = self.session.get().await?;
        let session = token.value();
        Ok(SessionInfo {
            user_id: session.user_id.clone(),
            company_id: session.company_id.clone(),
            entity_id: session.location_id.clone(),
            host: session.endpoint.host_str().map(str::to_owned),
        })
    }

    /// The time by the gateway's clock, from the `Date` of its answers; logs in if there was none yet. By this machine's
    /// clock if the gateway does not tell.
    ///
    /// # Errors
    /// Those of [`login`](Self::login).
    pub async fn source_time(&self) -> Result<OffsetDateTime> {
        let transport = &self.shared.transport;
        if transport
            .server_clock
            .read(self.config.timing.monotonic())
            .is_none()
        {
            self.session.get().await?;
        }
        Ok(transport.source_time())
    }

    /// The calls so far, those of clones and of other entities included.
    #[must_use]
    pub fn calls(&self) -> CallCounts {
        self.shared.transport.calls.snapshot()
    }

    /// The limits of the company, and what is left of its budget of calls. Give them to other clients to share them.
    #[must_use]
    pub fn limits(&self) -> &CompanyLimits {
        &self.shared.transport.limits
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub(crate) fn zone_is_settled(&self) -> bool {
        self.zone_is_settled
    }

    /// Sends a request, retrying what may be retried, and reads its records into the target.
    ///
    /// The target has the records only when this returns `Ok`.
    pub(crate) async fn send(&self, work: Work<'_>, target: Target<'_>) -> Result<Sent> {
        let attempt = Attempts {
            client: self,
            work,
            target: Mutex::new(target),
            progress: Mutex::new(Progress::default()),
        };
        let config = &self.config;
        // Before the attempts and the session: their time must not run out in here.
        self.shared.transport.outside_quiet_hours().await?;
        let outcome = retry(
            &config.retry,
            &self.shared.budget,
            &config.timing,
            |error: &Error| attempt.decide(error),
            |_number| attempt.run(),
        )
        .await;
        outcome.map_err(|failure| {
            let exhausted = failure.exhausted();
            let error = match work.content.functions {
                [function] => describe(failure.error, function),
                _ => failure.error,
            };
            let spent = exhausted || (failure.attempts > 1 && error.is_transient());
            if spent {
                error.exhausted_after(failure.attempts)
            } else {
                error
            }
        })
    }
}

impl Shared {
    fn keeper(&self, config: &ClientConfig, entity: Option<&str>) -> Result<Arc<SessionKeeper>> {
        self.sessions.keeper(entity, || {
            let mut credentials = config.credentials.clone();
            credentials.entity_id = entity.map(str::to_owned);
            SessionKeeper::new(
                Arc::clone(&self.transport),
                &credentials,
                self.settings.clone(),
            )
        })
    }
}

/// What is to be sent.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    content: Content<'a>,
    failures: FunctionFailures,
    /// The session that the work is bound to; otherwise whichever is current.
    bound_to: Option<&'a Token<Session>>,
    /// Whether there is a lighter request to make instead of this one.
    can_be_lighter: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FunctionFailures {
    /// Are the call's.
    Raised,
    /// Are left in the response.
    Kept,
}

impl<'a> Work<'a> {
    /// One function that reads, whose failure is the call's.
    pub(crate) fn one(function: &'a [Function; 1]) -> Self {
        Self {
            content: Content::reads(function),
            failures: FunctionFailures::Raised,
            bound_to: None,
            can_be_lighter: false,
        }
    }

    /// Functions whose failures are for the caller to take out of the answer, each by itself.
    pub(crate) fn each(content: Content<'a>) -> Self {
        Self {
            content,
            failures: FunctionFailures::Kept,
            bound_to: None,
            can_be_lighter: false,
        }
    }

    /// The same work on this session and no other.
    pub(crate) fn bound_to(mut self, session: &'a Token<Session>) -> Self {
        self.bound_to = Some(session);
        self
    }

    /// The same work, of which a page of `size` can be made smaller: when the gateway was too slow for it, the caller
    /// asks for less at once, while the gateway may still be working on this.
    pub(crate) fn with_page(mut self, config: &ClientConfig, size: u32) -> Self {
        self.can_be_lighter = config.smaller_page(size).is_some();
        self
    }
}

/// An answer, and the session that it came on.
pub(crate) struct Sent {
    exchanged: Exchanged,
    transport: Arc<Transport>,
    pub(crate) session: Token<Session>,
}

impl Sent {
    /// All that the answer says beside its records.
    pub(crate) fn response(&self) -> &Response {
        &self.exchanged.response
    }

    /// The result of a function that was sent, or its failure.
    pub(crate) fn result(&self, function: &Function) -> Result<&FunctionResult> {
        self.transport.result(&self.exchanged, function)
    }
}

/// The attempts at one piece of work.
struct Attempts<'a> {
    client: &'a Client,
    work: Work<'a>,
    target: Mutex<Target<'a>>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// A second expiry straight after a fresh login will not go away by a third.
    logged_in_again: bool,
    /// Attempts that took as long as they may. The gateway may still be working on the first: it gets one more try,
    /// and no third.
    timeouts: u32,
}

impl Attempts<'_> {
    fn decide(&self, error: &Error) -> Retry {
        if error.reason() == Reason::OriginTimeout && self.work.can_be_lighter {
            return Retry::Never;
        }
        let own_timeout = error.reason() == Reason::Connection
            && error.kind() == ErrorKind::Timeout
            && error.phase() == Phase::MaybeReceived;
        if own_timeout || error.reason() == Reason::OriginTimeout {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.timeouts += 1;
            if progress.timeouts > 1 {
                return Retry::Never;
            }
        }
        error.retry_here()
    }

    async fn run(&self) -> Result<Sent> {
        let keeper = &self.client.session;
        if let Some(session) = self.work.bound_to {
            let outcome = self.exchange(session.clone()).await;
            if outcome
                .as_ref()
                .is_err_and(|error| error.reason() == Reason::SessionExpired)
            {
                keeper.invalidate(session);
            }
            return outcome;
        }
        let session = keeper.get().await?;
        let expired = match self.exchange(session.clone()).await {
            Err(error) if error.reason() == Reason::SessionExpired => error,
            outcome => return outcome,
        };
        keeper.invalidate(&session);
        let first_time = {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            !std::mem::replace(&mut progress.logged_in_again, true)
        };
        if !first_time {
            return Err(refused_again(expired));
        }
        tracing::info!("session expired, logging in again");
        let fresh = keeper.get().await?;
        match self.exchange(fresh.clone()).await {
            Err(error) if error.reason() == Reason::SessionExpired => {
                keeper.invalidate(&fresh);
                Err(refused_again(error))
            }
            outcome => outcome,
        }
    }

    async fn exchange(&self, session: Token<Session>) -> Result<Sent> {
        let authentication = Authentication::Session(session.value().id.clone());
        let transport = &self.client.shared.transport;
        let exchanged = transport
            .exchange(
                &session.value().endpoint,
                &authentication,
                self.work.content,
                &self.target,
                self.client.label.as_deref(),
            )
            .await?;
        self.client.session.observe(&session, &exchanged);
        let sent = Sent {
            exchanged,
            transport: Arc::clone(transport),
            session,
        };
        if self.work.failures == FunctionFailures::Raised {
            for function in self.work.content.functions {
                sent.result(function)?;
            }
        }
        Ok(sent)
    }
}

fn refused_again(error: Error) -> Error {
    let message = "the session was refused again straight after a fresh login; check that nothing ends the \
                   user's sessions, and the clocks";
    error.saying(message).retrying(Retry::Never)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

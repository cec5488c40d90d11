//! Settings of a client.

use std::fmt;
use std::time::Duration;

use sync_http::header::HeaderValue;
use sync_http::{BudgetOptions, ClientOptions, RetryPolicy, Timing};
use url::{Host, Url};

use crate::auth::{Environment, TokenProvider};
use crate::client::names::{Location, ProjectId};
use crate::error::{Error, Result};
use crate::pacing::PacingOptions;

/// The environment variable by which Google's own clients are sent to an emulator.
pub const EMULATOR_HOST: &str = "BIGQUERY_EMULATOR_HOST";

/// Google compresses answers for those whose user agent has the word in it.
const USER_AGENT: &str = concat!("sink-bigquery/", env!("CARGO_PKG_VERSION"), " (gzip)");

/// Settings of a [`BigQuery`](crate::client::BigQuery).
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The project that jobs run in and that pays for them. Tables may lie in others.
    pub project: ProjectId,
    /// Where jobs run: the location of the dataset that they touch. None leaves it to BigQuery, which then takes `US`.
    pub location: Option<Location>,
    /// The root of the service. Default `https://bigquery.googleapis.com/`; another for a region
    /// (`https://bigquery.europe-west3.rep.googleapis.com/`), a private route, an emulator or a simulator.
    pub endpoint: Url,
    /// The project whose quota requests count against, where it is not the credentials' own.
    pub quota_project: Option<ProjectId>,
    /// Timeouts, size limits, certificates, proxy, and the user agent where it is not this crate's name. Answers are asked for compressed, for which Google wants the word
    /// `gzip` in the user agent: it is added where it is missing.
    pub http: ClientOptions,
    /// How requests are repeated. Default ten attempts within ten minutes, waits of up to 1, 2, 4 ... 32 seconds.
    pub retry: RetryPolicy,
    /// How many retries all calls of the client may spend together.
    pub retry_budget: BudgetOptions,
    /// How it is kept within BigQuery's limits.
    pub pacing: PacingOptions,
    /// The clock and the sleeper.
    pub timing: Timing,
}

impl Options {
    /// The defaults, for jobs in this project.
    ///
    /// # Errors
    ///
    /// None today; the default endpoint is checked like any other.
    pub fn new(project: ProjectId) -> Result<Self> {
        let endpoint = Url::parse("https://bigquery.googleapis.com/").map_err(|source| {
            Error::config("the default endpoint is no address").caused_by(source)
        })?;
        Ok(Self {
            project,
            location: None,
            endpoint,
            quota_project: None,
            http: ClientOptions::default(),
            retry: RetryPolicy::default()
                .with_max_attempts(10)
                .with_backoff(Duration::from_secs(1), Duration::from_secs(32))
                .with_deadline(Duration::from_secs(600)),
            retry_budget: BudgetOptions::default(),
            pacing: PacingOptions::default(),
            timing: Timing::system(),
        })
    }

    /// The same settings for jobs in this location.
    #[must_use]
    pub fn with_location(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// The same settings for this root of the service.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Url) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// The same settings, requests counting against this project's quota.
    #[must_use]
    pub fn with_quota_project(mut self, project: ProjectId) -> Self {
        self.quota_project = Some(project);
        self
    }

    /// The same settings for the emulator that [`EMULATOR_HOST`] names (`localhost:9050`, or a whole address), as Google's
    /// own clients take it; unchanged where it names none. Credentials are not an emulator's business:
    /// [`Anonymous`](crate::auth::Anonymous).
    ///
    /// # Errors
    ///
    /// `Config` when it is no address.
    pub fn with_emulator_of(self, environment: &Environment) -> Result<Self> {
        let Some(host) = environment.text(EMULATOR_HOST) else {
            return Ok(self);
        };
        let address = if host.contains("://") {
            host
        } else {
            format!("http://{host}/")
        };
        let endpoint = Url::parse(&address).map_err(|source| {
            Error::config("BIGQUERY_EMULATOR_HOST is neither a host with a port nor an address")
                .caused_by(source)
        })?;
        Ok(self.with_endpoint(endpoint))
    }

    /// The same settings with this HTTP client.
    #[must_use]
    pub fn with_http(mut self, http: ClientOptions) -> Self {
        self.http = http;
        self
    }

    /// The same settings with these retries.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same settings with this budget of retries.
    #[must_use]
    pub const fn with_retry_budget(mut self, budget: BudgetOptions) -> Self {
        self.retry_budget = budget;
        self
    }

    /// The same settings with this pace.
    #[must_use]
    pub fn with_pacing(mut self, pacing: PacingOptions) -> Self {
        self.pacing = pacing;
        self
    }

    /// The same settings with this clock and sleeper.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Refuses an endpoint that a token would cross an open network to.
    pub(crate) fn check(&self, provider: &dyn TokenProvider) -> Result<()> {
        let shown = || self.endpoint.origin().ascii_serialization();
        match self.endpoint.scheme() {
            "https" => {}
            "http" if provider.is_anonymous() || is_loopback(&self.endpoint) => {}
            "http" => {
                let message = "the endpoint is not https, and a token would be sent to it in the open; use https, or \
                               no credentials (Anonymous) for an emulator";
                return Err(Error::config(message).with("endpoint", shown()));
            }
            _ => {
                let message = "the endpoint is neither https nor http";
                return Err(Error::config(message));
            }
        }
        if !self.endpoint.username().is_empty() || self.endpoint.password().is_some() {
            let message =
                "the endpoint has a user or a password in it; give credentials as a TokenProvider";
            return Err(Error::config(message).with("endpoint", shown()));
        }
        Ok(())
    }

    pub(crate) fn client_options(&self) -> ClientOptions {
        let mut http = self.http.clone();
        if http.user_agent == ClientOptions::default().user_agent {
            http = http.with_user_agent(USER_AGENT);
        }
        if http.user_agent.contains("gzip") {
            return http;
        }
        let user_agent = format!("{} (gzip)", http.user_agent);
        http.with_user_agent(user_agent)
    }

    pub(crate) fn quota_project_header(&self) -> Result<Option<HeaderValue>> {
        let header = self
            .quota_project
            .as_ref()
            .map(|project| HeaderValue::from_str(project.as_str()));
        header.transpose().map_err(|source| {
            Error::config("the quota project cannot stand in a header").caused_by(source)
        })
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("project", &self.project)
            .field("location", &self.location)
            .field("endpoint", &self.endpoint.origin().ascii_serialization())
            .field("quota_project", &self.quota_project)
            .field("http", &self.http)
            .field("retry", &self.retry)
            .field("retry_budget", &self.retry_budget)
            .field("pacing", &self.pacing)
            .finish_non_exhaustive()
    }
}

/// Whether what is sent there stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

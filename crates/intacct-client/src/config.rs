//! What a client needs to know.

use std::fmt;
use std::time::Duration;

use intacct_xml::request::Query;
use intacct_xml::response::{IllegalCharacters, ReadOptions};
use secrecy::{ExposeSecret, SecretString};
use sync_http::{
    BudgetOptions, ClientOptions, Jitter, LimitOptions, ProxyMode, RetryPolicy, Timing,
};
use time::UtcOffset;
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::limits::CompanyLimits;
use crate::quiet::QuietHours;
use crate::source_zone::SourceZone;

/// Where every first call goes (developer.intacct.com, Web services).
pub const GATEWAY: &str = "https://api.intacct.com/ia/xml/xmlgw.phtml";

/// The integration: what Sage gave to whoever writes web-services programs. Both are case sensitive.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The sender id.
    pub id: String,
    /// The sender's password.
    pub password: SecretString,
}

/// A web-services user of a company.
#[derive(Clone, Debug)]
pub struct User {
    /// The company id.
    pub company_id: String,
    /// The user id.
    pub id: String,
    /// The user's password.
    pub password: SecretString,
}

/// Who asks, and for which company (developer.intacct.com, Requests).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// The integration.
    pub sender: Sender,
    /// The user.
    pub user: User,
    /// The client company to slide into from a console.
    pub client_id: Option<String>,
    /// The entity to log in to; none is the top level.
    pub entity_id: Option<String>,
}

impl Credentials {
    /// The credentials of a user, at the top level of its company.
    #[must_use]
    pub fn new(sender: Sender, user: User) -> Self {
        Self {
            sender,
            user,
            client_id: None,
            entity_id: None,
        }
    }

    /// The same credentials, sliding from a console into a client company.
    #[must_use]
    pub fn with_client(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// The same credentials, logging in to one entity.
    #[must_use]
    pub fn with_entity(mut self, entity_id: impl Into<String>) -> Self {
        self.entity_id = Some(entity_id.into());
        self
    }

    fn validate(&self) -> Result<()> {
        let filled = [
            ("sender id", self.sender.id.as_str()),
            ("sender password", self.sender.password.expose_secret()),
            ("company id", &self.user.company_id),
            ("user id", &self.user.id),
            ("user password", self.user.password.expose_secret()),
            ("client id", self.client_id.as_deref().unwrap_or("-")),
            ("entity id", self.entity_id.as_deref().unwrap_or("-")),
        ];
        match filled.iter().find(|(_, value)| value.trim().is_empty()) {
            Some((name, _)) => Err(Error::invalid(format!("the {name} is empty; set it"))),
            None => Ok(()),
        }
    }
}

/// Which hosts the endpoint that comes with a session may be on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointTrust {
    /// Hosts under `intacct.com`, over https.
    #[default]
    IntacctOnly,
    /// The scheme, host and port of the configured endpoint: for a proxy or a simulator.
    SameHost,
    /// Any. A forged answer can then direct the session anywhere.
    Any,
}

/// How long a session is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPolicy {
    /// A session is replaced when it is this old. Default 50 minutes.
    pub max_age: Duration,
    /// It is replaced this long before the end that the gateway's last answer gave it. Default 5 minutes.
    pub margin: Duration,
    /// After a login failed, the next one starts no sooner than this. Default 5 seconds.
    pub login_backoff: Duration,
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(50 * 60),
            margin: Duration::from_secs(5 * 60),
            login_backoff: Duration::from_secs(5),
        }
    }
}

impl SessionPolicy {
    /// The same policy with this greatest age.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The same policy with this margin before the session's end.
    #[must_use]
    pub const fn with_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }
}

/// Settings of a [`Client`](crate::Client). Everything but the credentials has a default that suits production.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Who asks.
    pub credentials: Credentials,
    /// Where to log in. Default [`GATEWAY`]. Plain http is accepted here because it is asked for by name.
    pub endpoint: String,
    /// Which returned endpoints are adopted. Default: under `intacct.com` only.
    pub endpoint_trust: EndpointTrust,
    /// Timeouts, greatest answer (default 64 MiB) and extra certificate authorities.
    pub http: ClientOptions,
    /// Requests at once and requests per time. Default: one at a time, as the standard tier allows.
    pub limits: LimitOptions,
    /// How many calls may be made in all. Default: no limit. When they are spent, every further call fails with reason
    /// [`Reason::BudgetSpent`](crate::Reason::BudgetSpent), and nothing is sent.
    pub call_budget: Option<u64>,
    /// Limits and budget that are shared with other clients of the company, in the place of `limits` and `call_budget`.
    pub shared_limits: Option<CompanyLimits>,
    /// Hours in which no call begins. Default: none.
    pub quiet_hours: Option<QuietHours>,
    /// How failed requests are repeated. Default: 5 attempts, at least 1, 2, 4 and 8 seconds apart, as the vendor's own
    /// clients wait, and up to half as much again.
    pub retry: RetryPolicy,
    /// How many retries all calls share.
    pub budget: BudgetOptions,
    /// How long a session is used.
    pub session: SessionPolicy,
    /// Records of a `query` page that walks ask for, 1 to 2000. Default 2000. Pages shrink by themselves when they
    /// time out or are too large.
    pub page_size: u32,
    /// Pages do not shrink below this. Default 50.
    pub min_page_size: u32,
    /// How the zone of the source's timestamps is known. Default: by `source_offset`.
    pub source_zone: SourceZone,
    /// The zone that the gateway writes this user's timestamps in. Default UTC. It is not published whose zone that
    /// is: give the API user the time zone GMT, the locale en_US and the 24-hour clock, or set what it has, or let it be
    /// asked for ([`SourceZone::OfUser`]).
    pub source_offset: UtcOffset,
    /// What happens to characters in answers that XML forbids. Default: dropped and counted.
    pub illegal_characters: IllegalCharacters,
    /// How long to wait when the network in front of the gateway shows a challenge page. Default 75 seconds.
    pub challenge_wait: Duration,
    /// The clock and the sleeper.
    pub timing: Timing,
}

impl ClientConfig {
    /// Settings for these credentials, with all defaults.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        let agent = concat!("intacct-client/", env!("CARGO_PKG_VERSION"));
        Self {
            credentials,
            endpoint: GATEWAY.to_owned(),
            endpoint_trust: EndpointTrust::default(),
            http: ClientOptions::default().with_user_agent(agent),
            limits: LimitOptions::default().with_concurrency(1),
            call_budget: None,
            shared_limits: None,
            quiet_hours: None,
            retry: RetryPolicy::default().with_jitter(Jitter::Above),
            budget: BudgetOptions::default(),
            session: SessionPolicy::default(),
            page_size: Query::LARGEST_PAGE,
            min_page_size: 50,
            source_zone: SourceZone::Fixed,
            source_offset: UtcOffset::UTC,
            illegal_characters: IllegalCharacters::default(),
            challenge_wait: Duration::from_secs(75),
            timing: Timing::system(),
        }
    }

    /// The same settings with another gateway, such as a proxy or a simulator.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>, trust: EndpointTrust) -> Self {
        self.endpoint = endpoint.into();
        self.endpoint_trust = trust;
        self
    }

    /// The same settings with these timeouts, greatest answer and certificate authorities.
    #[must_use]
    pub fn with_http(mut self, http: ClientOptions) -> Self {
        self.http = http;
        self
    }

    /// The same settings with these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: LimitOptions) -> Self {
        self.limits = limits;
        self
    }

    /// The same settings with a budget of calls.
    #[must_use]
    pub const fn with_call_budget(mut self, calls: u64) -> Self {
        self.call_budget = Some(calls);
        self
    }

    /// The same settings with limits that other clients of the company share.
    #[must_use]
    pub fn with_shared_limits(mut self, limits: CompanyLimits) -> Self {
        self.shared_limits = Some(limits);
        self
    }

    /// The same settings with hours in which no call begins.
    #[must_use]
    pub fn with_quiet_hours(mut self, hours: QuietHours) -> Self {
        self.quiet_hours = Some(hours);
        self
    }

    /// The same settings with this way to retry.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same settings with this use of sessions.
    #[must_use]
    pub const fn with_session(mut self, session: SessionPolicy) -> Self {
        self.session = session;
        self
    }

    /// The same settings with this size of pages, 1 to 2000.
    #[must_use]
    pub const fn with_page_size(mut self, page_size: u32) -> Self {
        self.page_size = page_size;
        self
    }

    /// The same settings with this way to know the zone of the source's timestamps.
    #[must_use]
    pub const fn with_source_zone(mut self, zone: SourceZone) -> Self {
        self.source_zone = zone;
        self
    }

    /// The same settings with this zone of the source's timestamps.
    #[must_use]
    pub const fn with_source_offset(mut self, offset: UtcOffset) -> Self {
        self.source_zone = SourceZone::Fixed;
        self.source_offset = offset;
        self
    }

    /// The same settings with this treatment of characters that XML forbids.
    #[must_use]
    pub const fn with_illegal_characters(mut self, choice: IllegalCharacters) -> Self {
        self.illegal_characters = choice;
        self
    }

    /// The same settings with this clock and sleeper.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Checks everything and gives the endpoint.
    pub(crate) fn validate(&self) -> Result<Url> {
        self.credentials.validate()?;
        if !(1..=Query::LARGEST_PAGE).contains(&self.page_size) {
            let message = format!(
                "page_size is {}; set 1 to {}",
                self.page_size,
                Query::LARGEST_PAGE
            );
            return Err(Error::invalid(message));
        }
        if self.min_page_size == 0 {
            return Err(Error::invalid("min_page_size is 0; set at least 1"));
        }
        if self.session.max_age.is_zero() {
            return Err(Error::invalid(
                "session.max_age is 0; a session must be usable for some time",
            ));
        }
        let endpoint = Url::parse(&self.endpoint)
            .map_err(|source| Error::invalid("endpoint is not a URL").caused_by(source))?;
        if !matches!(endpoint.scheme(), "https" | "http") || endpoint.host().is_none() {
            return Err(Error::invalid("endpoint is not an https or http URL"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(Error::invalid(
                "endpoint holds credentials; the gateway takes none there",
            ));
        }
        if endpoint.query().is_some() || endpoint.fragment().is_some() {
            return Err(Error::invalid(
                "endpoint has a query or a fragment; the gateway takes none",
            ));
        }
        Ok(endpoint)
    }

    /// The HTTP settings; a proxy cannot lead to this machine itself.
    pub(crate) fn http_options(&self, endpoint: &Url) -> ClientOptions {
        let loopback = match endpoint.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if loopback {
            self.http.clone().with_proxy(ProxyMode::Off)
        } else {
            self.http.clone()
        }
    }

    pub(crate) fn read_options(&self) -> ReadOptions {
        ReadOptions::default().with_illegal_characters(self.illegal_characters)
    }

    /// The page size after one of this size failed for its size; none when it must not shrink further.
    pub(crate) fn smaller_page(&self, size: u32) -> Option<u32> {
        (size > self.min_page_size).then(|| (size / 2).max(self.min_page_size))
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("credentials", &self.credentials)
            .field("endpoint_trust", &self.endpoint_trust)
            .field("http", &self.http)
            .field("limits", &self.limits)
            .field("call_budget", &self.call_budget)
            .field("shared_limits", &self.shared_limits)
            .field("quiet_hours", &self.quiet_hours)
            .field("retry", &self.retry)
            .field("budget", &self.budget)
            .field("session", &self.session)
            .field("page_size", &self.page_size)
            .field("min_page_size", &self.min_page_size)
            .field("source_zone", &self.source_zone)
            .field("source_offset", &self.source_offset)
            .field("illegal_characters", &self.illegal_characters)
            .field("challenge_wait", &self.challenge_wait)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientConfig, Credentials, EndpointTrust, Sender, User};

    fn credentials() -> Credentials {
        Credentials::new(
            Sender {
                id: "s".into(),
                password: "sender-secret".into(),
            },
            User {
                company_id: "c".into(),
                id: "u".into(),
                password: "user-secret".into(),
            },
        )
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut nameless = credentials();
        nameless.user.company_id = " ".into();
        let config = |endpoint: &str| {
            ClientConfig::new(credentials()).with_endpoint(endpoint, EndpointTrust::IntacctOnly)
        };
        for (config, word) in [
            (ClientConfig::new(nameless), "company id"),
            (
                ClientConfig::new(credentials().with_entity("")),
                "entity id",
            ),
            (
                ClientConfig::new(credentials()).with_page_size(0),
                "page_size",
            ),
            (
                ClientConfig::new(credentials()).with_page_size(2001),
                "page_size",
            ),
            (config("gateway"), "endpoint"),
            (config("ftp://gateway.example/"), "endpoint"),
            (config("https://u:p@gateway.example/"), "endpoint"),
            (config("https://gateway.example/?key=1"), "endpoint"),
        ] {
            let error = config.validate().unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(ClientConfig::new(credentials()).validate().is_ok());
        assert!(config("http://localhost:1/x").validate().is_ok());
    }

    #[test]
    fn debug_shows_no_password() {
        let shown = format!("{:?}", ClientConfig::new(credentials()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}

//! One HTTP exchange, safely: with timeouts, a size limit, and no redirects.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::answer::{Answer, Incoming};
use crate::error::{Error, ErrorKind, Result, failed};
use crate::redact::redact_headers;
use crate::retry::Phase;

/// Settings of a [`Client`]. The defaults are safe for requests that carry credentials.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Longest time to connect, TLS included. Default 15 seconds.
    pub connect_timeout: Duration,
    /// Longest silence while the answer is awaited or read. Default 5 minutes.
    pub read_timeout: Duration,
    /// Longest time from the start to the last byte of the answer. Default 15 minutes.
    pub total_timeout: Duration,
    /// Largest answer in bytes, counted after decompression. Default 64 MiB.
    pub max_answer_bytes: usize,
    /// The `User-Agent` header. Default `sync-http/VERSION`.
    pub user_agent: String,
    /// More certificate authorities to trust beside the operating system's, each a PEM bundle.
    pub extra_root_certificates: Vec<Vec<u8>>,
    /// Whether the machine's proxy settings are used.
    pub proxy: ProxyMode,
}

/// Which proxy requests go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyMode {
    /// What the environment says (`HTTPS_PROXY`, `NO_PROXY` and the like).
    #[default]
    System,
    /// None, whatever the environment says.
    Off,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(300),
            total_timeout: Duration::from_secs(900),
            max_answer_bytes: 64 * 1024 * 1024,
            user_agent: concat!("sync-http/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_root_certificates: Vec::new(),
            proxy: ProxyMode::System,
        }
    }
}

impl ClientOptions {
    /// The same options with these timeouts.
    #[must_use]
    pub const fn with_timeouts(
        mut self,
        connect: Duration,
        read: Duration,
        total: Duration,
    ) -> Self {
        self.connect_timeout = connect;
        self.read_timeout = read;
        self.total_timeout = total;
        self
    }

    /// The same options with this largest answer, in bytes after decompression.
    #[must_use]
    pub const fn with_max_answer_bytes(mut self, max_answer_bytes: usize) -> Self {
        self.max_answer_bytes = max_answer_bytes;
        self
    }

    /// The same options with this `User-Agent`.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The same options with one more PEM bundle of trusted certificate authorities.
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_root_certificates.push(pem.into());
        self
    }

    /// The same options with this use of proxies.
    #[must_use]
    pub const fn with_proxy(mut self, proxy: ProxyMode) -> Self {
        self.proxy = proxy;
        self
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("total_timeout", &self.total_timeout)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .field("user_agent", &self.user_agent)
            .field(
                "extra_root_certificates",
                &self.extra_root_certificates.len(),
            )
            .field("proxy", &self.proxy)
            .finish()
    }
}

/// Sends requests. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    max_answer_bytes: usize,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    ///
    /// `Config` when a certificate is not PEM, or the TLS back end does not start.
    pub fn new(options: &ClientOptions) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .timeout(options.total_timeout)
            // A redirect would carry the body, which may hold a password, to whatever host the answer names.
            .redirect(redirect::Policy::none())
            // Every attempt must be visible to the layer that counts them.
            .retry(reqwest::retry::never())
            .gzip(true)
            .user_agent(&options.user_agent);
        if options.proxy == ProxyMode::Off {
            builder = builder.no_proxy();
        }
        for pem in &options.extra_root_certificates {
            builder = builder.tls_certs_merge(certificates(pem)?);
        }
        let http = builder.build().map_err(|source| {
            let message = "the HTTP client cannot be set up; check the user agent, the certificates and \
                           that this machine has trusted certificate authorities";
            failed(ErrorKind::Config, Phase::NotSent, message).caused_by(source.without_url())
        })?;
        Ok(Self {
            http,
            max_answer_bytes: options.max_answer_bytes,
        })
    }

    /// Sends one request, once, and reads the whole answer. Any status outside 3xx is an [`Answer`]: what it means
    /// is for the caller to say.
    ///
    /// # Errors
    ///
    /// - `Timeout` or `Unavailable` with phase `NotSent` when no connection came about.
    /// - `Timeout` or `Unavailable` with phase `MaybeReceived` when it broke later, also in the middle of the body: a
    ///   part of an answer is never returned.
    /// - `Limit` when the answer is larger than [`ClientOptions::max_answer_bytes`].
    /// - `Protocol` when the answer is a redirect, unless the request was [expecting](Request::expecting) it.
    /// - `Config` when the request cannot be sent as it is.
    pub async fn execute(&self, request: Request) -> Result<Answer> {
        self.execute_streaming(request).await?.whole().await
    }

    /// Sends one request, once, and returns as soon as the head of the answer is there: its body is taken
    /// [chunk by chunk](Incoming::chunk) while it arrives. Limits and timeouts are those of
    /// [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute), as far as they show before the body.
    pub async fn execute_streaming(&self, request: Request) -> Result<Incoming> {
        let origin = request.url.origin().ascii_serialization();
        let sent = self
            .http
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await;
        let response = sent.map_err(|source| sending_failed(source, &origin))?;
        let status = response.status();
        if status.is_redirection() && request.expected != Some(status.as_u16()) {
            let message = "the server answered with a redirect, which is not followed because the request may \
                           carry credentials; configure the address it should go to";
            return Err(failed(ErrorKind::Protocol, Phase::Answered, message)
                .with("server", origin)
                .with("status", status.as_u16().to_string()));
        }
        Incoming::new(response, origin, self.max_answer_bytes)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>> {
    let parsed = Certificate::from_pem_bundle(pem).map_err(|source| {
        let message = "an extra root certificate is not PEM";
        failed(ErrorKind::Config, Phase::NotSent, message).caused_by(source.without_url())
    })?;
    if parsed.is_empty() {
        let message = "a PEM bundle of extra root certificates holds no certificate";
        return Err(failed(ErrorKind::Config, Phase::NotSent, message));
    }
    Ok(parsed)
}

fn sending_failed(source: reqwest::Error, origin: &str) -> Error {
    let (kind, phase, message) = if source.is_builder() {
        (
            ErrorKind::Config,
            Phase::NotSent,
            "the request cannot be sent as it is",
        )
    } else if source.is_connect() && source.is_timeout() {
        let message = "no connection within the connect timeout; check the address and the network";
        (ErrorKind::Timeout, Phase::NotSent, message)
    } else if source.is_connect() {
        let message = "no connection; check the address, that the server runs, the network and the certificates";
        (ErrorKind::Unavailable, Phase::NotSent, message)
    } else if source.is_timeout() {
        (
            ErrorKind::Timeout,
            Phase::MaybeReceived,
            "no answer within the timeout",
        )
    } else {
        (
            ErrorKind::Unavailable,
            Phase::MaybeReceived,
            "the connection broke before an answer came",
        )
    };
    failed(kind, phase, message)
        .with("server", origin)
        .caused_by(source.without_url())
}

/// One request. Its `Debug` shows no path, no query, no body and no sensitive header.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    expected: Option<u16>,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            expected: None,
        }
    }

    /// A GET request.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST request.
    #[must_use]
    pub fn post(url: Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// The same request with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same request with a header whose value is a secret.
    ///
    /// # Errors
    ///
    /// `Config` when the value has characters that no header may have.
    pub fn with_secret_header(mut self, name: HeaderName, value: &SecretString) -> Result<Self> {
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| {
            let message = "a secret has characters that an HTTP header must not have";
            failed(ErrorKind::Config, Phase::NotSent, message).with("header", name.as_str())
        })?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(self)
    }

    /// The same request, to which this 3xx status is an answer like any other: some protocols use one for something else
    /// than a redirect. It is not followed either way.
    #[must_use]
    pub const fn expecting(mut self, status: u16) -> Self {
        self.expected = Some(status);
        self
    }

    /// The same request with this body. For a body with secrets, hand over
    /// `Bytes::from_owner(Zeroizing<String>)`, which clears its memory when it is dropped.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("server", &self.url.origin().ascii_serialization())
            .field("headers", &redact_headers(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

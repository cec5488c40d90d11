//! One request and its answer: addressed, authorised, sent, judged, and sent again where that can help.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sync_http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH};
use sync_http::redact::MASK;
use sync_http::{Answer, Method, Phase, Request, Retry, RetryBudget, RetryPolicy, Timing, retry};
use url::Url;
use zeroize::Zeroizing;

use crate::auth::Tokens;
use crate::client::answer::service_errors;
use crate::client::reason::{QUOTA_ATTEMPTS, Reason, rule_for};
use crate::error::{Error, ErrorKind, Result};

/// The content type of metadata.
pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// The content type of data: what they are, the job says.
pub(crate) const DATA: &str = "application/octet-stream";

/// Sends requests to one endpoint with one account's tokens.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: sync_http::Client,
    /// Where metadata is asked for; ends with a slash.
    pub(crate) api: Url,
    /// Where data goes; ends with a slash.
    pub(crate) upload: Url,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) quota_project: Option<HeaderValue>,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    pub(crate) timing: Timing,
}

/// A request, without who asks.
#[derive(Clone)]
pub(crate) struct Call {
    /// The method by its name in the REST reference, for errors and logs.
    pub(crate) name: &'static str,
    request: Request,
    context: Vec<(&'static str, String)>,
}

impl Call {
    pub(crate) fn new(name: &'static str, method: Method, url: Url) -> Self {
        Self {
            name,
            request: Request::new(method, url),
            context: Vec::new(),
        }
    }

    pub(crate) fn get(name: &'static str, url: Url) -> Self {
        Self::new(name, Method::GET, url)
    }

    pub(crate) fn about(mut self, name: &'static str, what: impl fmt::Display) -> Self {
        self.context.push((name, what.to_string()));
        self
    }

    pub(crate) fn with_json(self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|source| {
            Error::config("the request cannot be written as JSON").caused_by(source)
        })?;
        Ok(self.with_body(HeaderValue::from_static(JSON), body))
    }

    pub(crate) fn with_body(self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut call = self.with_header(CONTENT_TYPE, content_type);
        call.request = call.request.with_body(body);
        call
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request = self.request.with_header(name, value);
        self
    }

    /// Only if it is still this version.
    pub(crate) fn only_if(self, etag: &str) -> Result<Self> {
        let value = HeaderValue::from_str(etag)
            .map_err(|_| Error::config("the etag has characters that no header may have"))?;
        Ok(self.with_header(IF_MATCH, value))
    }

    /// Takes this redirecting status as an answer. It is not followed either way.
    pub(crate) fn expecting(mut self, status: u16) -> Self {
        self.request = self.request.expecting(status);
        self
    }

    fn describe(&self, error: Error) -> Error {
        let known = error.fact("operation").is_some();
        if known {
            return error;
        }
        let error = error.with("operation", self.name);
        self.context
            .iter()
            .fold(error, |error, (name, value)| error.with(name, value))
    }
}

impl Transport {
    /// The address of a resource by the segments of its path, each encoded.
    pub(crate) fn api(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        address(&self.api, segments, query)
    }

    /// The address that data is sent to.
    pub(crate) fn upload(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        address(&self.upload, segments, query)
    }

    /// The call's answer as a resource, tried as often as the policy allows. Only for calls that may be sent twice.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        self.repeat(call, |_attempt| async {
            let answer = self.send(call).await?;
            parsed(&answer)
        })
        .await
    }

    /// As [`json`](Self::json), for a call whose answer says nothing.
    pub(crate) async fn done(&self, call: &Call) -> Result<()> {
        self.repeat(call, |_attempt| async { self.send(call).await.map(drop) })
            .await
    }

    /// Runs an operation as often as its errors and the policy allow.
    pub(crate) async fn repeat<T, F>(
        &self,
        call: &Call,
        operation: impl FnMut(u32) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut quota = 0;
        // Once an attempt may have been carried out, no later refusal makes that undone.
        let mut in_doubt = false;
        let classify = |error: &Error| {
            in_doubt |= error.phase() == Phase::MaybeReceived;
            match error.reason() {
                Reason::QuotaExceeded => quota += 1,
                // Half an hour is not waited for here.
                Reason::StreamingBuffer => return Retry::Never,
                _ => {}
            }
            if quota >= QUOTA_ATTEMPTS {
                return Retry::Never;
            }
            error.retry()
        };
        let outcome = retry(&self.retry, &self.budget, &self.timing, classify, operation).await;
        outcome.map_err(|mut failure| {
            if in_doubt {
                failure.error = failure.error.in_phase(Phase::MaybeReceived);
            }
            let spent = failure.exhausted() || failure.error.reason() == Reason::QuotaExceeded;
            let error = if spent {
                failure.error.exhausted_after(failure.attempts)
            } else {
                failure.error
            };
            call.describe(error)
        })
    }

    /// Sends the call once, with a fresh token again if the first was refused, and returns an answer of success.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer> {
        self.exchange(call).await?.success()
    }

    /// As [`send`](Self::send), whatever the status; only a refused token is an error of its own.
    pub(crate) async fn exchange(&self, call: &Call) -> Result<Exchanged> {
        let mut refreshed = false;
        loop {
            let token = self.tokens.get().await.map_err(|error| {
                // Nothing of the call itself has left this machine.
                call.describe(error.in_phase(Phase::NotSent))
            })?;
            let request = self.authorised(call, token.secret())?;
            let started = self.timing.monotonic();
            let answer = self.http.execute(request).await.map_err(Error::from)?;
            tracing::debug!(
                operation = call.name,
                status = answer.status,
                milliseconds = self.timing.monotonic().since(started).as_millis(),
                bytes = answer.body.len(),
                "answered"
            );
            let exchanged = Exchanged {
                retry_after: answer.retry_after(self.timing.now()),
                answer,
                secret: token.secret().cloned(),
            };
            if exchanged.answer.status != 401 {
                return Ok(exchanged);
            }
            self.tokens.refused(&token);
            if refreshed || token.secret().is_none() {
                // The next token would be no better.
                return Err(exchanged.refusal().retrying(Retry::Never));
            }
            refreshed = true;
            tracing::info!(
                operation = call.name,
                "the token was refused; asking for another"
            );
        }
    }

    fn authorised(&self, call: &Call, secret: Option<&SecretString>) -> Result<Request> {
        let mut request = call.request.clone();
        if let Some(secret) = secret {
            let value = Zeroizing::new(format!("Bearer {}", secret.expose_secret()));
            let value = SecretString::from(value.as_str());
            request = request.with_secret_header(AUTHORIZATION, &value)?;
        }
        if let Some(project) = &self.quota_project {
            let name = HeaderName::from_static("x-goog-user-project");
            request = request.with_header(name, project.clone());
        }
        Ok(request)
    }
}

/// An answer of any status, and what has to stay out of its errors.
pub(crate) struct Exchanged {
    pub(crate) answer: Answer,
    retry_after: Option<std::time::Duration>,
    secret: Option<SecretString>,
}

impl Exchanged {
    /// The answer, if its status is one of success.
    pub(crate) fn success(self) -> Result<Answer> {
        if (200..300).contains(&self.answer.status) {
            Ok(self.answer)
        } else {
            Err(self.refusal())
        }
    }

    /// What the answer of a refusing status says.
    pub(crate) fn refusal(&self) -> Error {
        let mut told = service_errors(&self.answer.body);
        if let Some(secret) = &self.secret {
            // An echo of the request must not carry the token into a log.
            for told in &mut told {
                told.message = told.message.replace(secret.expose_secret(), MASK);
            }
        }
        let status = self.answer.status;
        rule_for(Some(status), &told).refusal(status, told, self.retry_after)
    }
}

/// The resource in an answer of success.
pub(crate) fn parsed<T: DeserializeOwned>(answer: &Answer) -> Result<T> {
    serde_json::from_slice(&answer.body).map_err(|source| {
        // serde_json quotes values in its messages, and values may be anybody's salary.
        let place = format!("line {}, column {}", source.line(), source.column());
        Error::broken(
            "the answer is not the JSON that BigQuery documents; check what stands between",
        )
        .with_http_status(answer.status)
        .with("bytes", answer.body.len().to_string())
        .with("place", place)
    })
}

impl Error {
    /// An answer that is not what it should be. The call may have been carried out.
    pub(crate) fn broken(message: &str) -> Self {
        Self::new(ErrorKind::Protocol, Reason::BrokenAnswer, message)
            .retrying(Retry::Backoff)
            .in_phase(Phase::MaybeReceived)
    }
}

fn address(base: &Url, segments: &[&str], query: &[(&str, &str)]) -> Result<Url> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(segments);
        }
        Err(()) => return Err(Error::config("the endpoint is not an address of the web")),
    }
    url.query_pairs_mut()
        .append_pair("prettyPrint", "false")
        .extend_pairs(query);
    Ok(url)
}

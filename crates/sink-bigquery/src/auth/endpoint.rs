//! Asking a token endpoint (RFC 6749).

use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use serde::Deserialize;
use sync_http::header::{CONTENT_TYPE, HeaderValue};
use sync_http::{Answer, Client, Phase, Request, Retry, RetryBudget, RetryPolicy, Timing, retry};
use url::Url;
use zeroize::Zeroizing;

use super::key::credentials;
use super::{AuthOptions, NewToken};
use crate::client::options::is_loopback;
use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, Result, ServiceError};

/// A token endpoint, and how it is asked.
#[derive(Debug)]
pub(super) struct TokenEndpoint {
    http: Client,
    url: Url,
    retry: RetryPolicy,
    pub(super) timing: Timing,
}

impl TokenEndpoint {
    /// An endpoint that a credentials file names, if credentials may be sent there: a file that was tampered with must not
    /// lead them anywhere else.
    pub(super) fn trusted(url: &Url, options: &AuthOptions) -> Result<Self> {
        let origin = url.origin().ascii_serialization();
        let host = url.host_str().unwrap_or_default();
        let is_google = url.scheme() == "https"
            && url.port().is_none()
            && (host == "googleapis.com"
                || host.ends_with(".googleapis.com")
                || host == "accounts.google.com");
        let is_trusted = || {
            let mut trusted = options.trusted_endpoints.iter();
            // Without TLS nowhere but on this machine.
            (url.scheme() == "https" || is_loopback(url))
                && trusted.any(|trusted| trusted.trim_end_matches('/') == origin)
        };
        if !is_google && !is_trusted() {
            let message = "the credentials file names a token endpoint that is not Google's; if it is right, trust it by \
                           name (AuthOptions::trusting)";
            return Err(credentials(message).with("token_uri", origin));
        }
        Self::new(url.clone(), options)
    }

    pub(super) fn new(url: Url, options: &AuthOptions) -> Result<Self> {
        Ok(Self {
            http: Client::new(&options.http)?,
            url,
            retry: options.retry.clone(),
            timing: options.timing.clone(),
        })
    }

    /// Posts a form, made anew for each attempt, and reads the token in the answer.
    pub(super) async fn post(
        &self,
        form: impl Fn() -> Result<Zeroizing<String>>,
    ) -> Result<NewToken> {
        let form = &form;
        self.ask(|| async move {
            let request = Request::post(self.url.clone())
                .with_header(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/x-www-form-urlencoded"),
                )
                // The owner stays behind the bytes, so that they are wiped when they have been sent.
                .with_body(Bytes::from_owner(form()?));
            let answer = self.http.execute(request).await?;
            token(&answer)
                .map_err(|error| error.with("server", self.url.origin().ascii_serialization()))
        })
        .await
    }

    /// Tries as often as the policy and the errors allow.
    pub(super) async fn ask<T, F>(&self, mut operation: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        // Asked at most once at a time and rarely: a budget of its own would never be the limit.
        let budget = RetryBudget::unlimited();
        let attempt = |_attempt| operation();
        let outcome = retry(
            &self.retry,
            &budget,
            &self.timing,
            |error: &Error| error.retry(),
            attempt,
        )
        .await;
        outcome.map_err(|failure| {
            if failure.exhausted() {
                failure.error.exhausted_after(failure.attempts)
            } else {
                failure.error
            }
        })
    }

    pub(super) async fn execute(&self, request: Request) -> Result<Answer> {
        Ok(self.http.execute(request).await?)
    }
}

/// A form field, encoded, without copies of it left behind.
pub(super) fn field(form: &mut Zeroizing<String>, name: &str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    form.push_str(name);
    form.push('=');
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                form.push(char::from(byte));
            }
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                form.push('%');
                for digit in [byte >> 4, byte & 15] {
                    form.push(char::from(HEX[usize::from(digit)]));
                }
            }
        }
    }
}

/// The token in an answer, or what the answer says instead.
pub(super) fn token(answer: &Answer) -> Result<NewToken> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: String,
        #[serde(default)]
        expires_in: Option<u64>,
    }

    if !(200..300).contains(&answer.status) {
        return Err(refused(answer));
    }
    // serde_json may quote what it does not understand; the token stays out of the error.
    let granted: Option<Granted> = serde_json::from_slice(&answer.body).ok();
    match granted.filter(|granted| !granted.access_token.is_empty()) {
        Some(granted) => Ok(NewToken::new(
            SecretString::from(granted.access_token),
            // An hour is what Google gives; without a word a quarter of that is taken.
            Duration::from_secs(granted.expires_in.unwrap_or(900)),
        )),
        None => Err(
            Error::broken("the token endpoint's answer has no token in it")
                .with_http_status(answer.status),
        ),
    }
}

/// What a refusing answer says: only its two documented fields.
fn refused(answer: &Answer) -> Error {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        error: String,
        error_description: String,
    }

    let told: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    let passing = [
        "internal_failure",
        "server_error",
        "temporarily_unavailable",
    ];
    let is_passing = matches!(answer.status, 408 | 429 | 500 | 502 | 503 | 504)
        || passing.contains(&told.error.as_str())
        || passing.contains(&told.error_description.as_str());
    let (kind, reason, retry, message) = if is_passing {
        let message = "the token endpoint failed for now";
        (
            ErrorKind::Unavailable,
            Reason::Backend,
            Retry::Backoff,
            message,
        )
    } else {
        let message = match told.error.as_str() {
            "invalid_grant" => {
                "the credentials were refused; check that this machine's clock is right, and that the key still exists, or \
                 log in again (gcloud auth application-default login)"
            }
            "invalid_client" | "unauthorized_client" => {
                "the account was refused; check that it exists and may ask for tokens"
            }
            "invalid_scope" => "the scopes were refused; check their spelling",
            _ => "the token endpoint refused the credentials",
        };
        (ErrorKind::Auth, Reason::TokenRefused, Retry::Never, message)
    };
    let told = if told.error.is_empty() {
        Vec::new()
    } else {
        vec![ServiceError {
            reason: told.error,
            location: None,
            message: told.error_description,
        }]
    };
    Error::new(kind, reason, message)
        .retrying(retry)
        .in_phase(Phase::Answered)
        .telling(told)
        .with_http_status(answer.status)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::field;

    proptest! {
        #[test]
        fn a_form_is_read_back(first in "\\PC{0,30}", second in "\\PC{0,30}") {
            let mut form = Zeroizing::new(String::new());
            field(&mut form, "a", &first);
            field(&mut form, "b", &second);
            let read: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            prop_assert_eq!(read, [("a".to_owned(), first), ("b".to_owned(), second)]);
        }
    }
}

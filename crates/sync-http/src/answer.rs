//! Answers: on their way, and whole.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;

use crate::error::{Error, ErrorKind, Result, failed};
use crate::http_date::parse_http_date;
use crate::redact::redact_headers;
use crate::retry::{Phase, parse_retry_after};

/// An answer whose head is there and whose body is still arriving. Dropping it ends the transfer.
///
/// What its chunks say counts only once [`chunk`](Self::chunk) has returned `None`: before that, the answer may still
/// break. Its `Debug` shows no body and no sensitive header.
pub struct Incoming {
    response: reqwest::Response,
    origin: String,
    max_answer_bytes: usize,
    received: usize,
    has_ended: bool,
    /// Once broken, the answer never looks as if it had ended.
    failed: Option<Error>,
}

impl Incoming {
    pub(crate) fn new(
        response: reqwest::Response,
        origin: String,
        max_answer_bytes: usize,
    ) -> Result<Self> {
        let incoming = Self {
            response,
            origin,
            max_answer_bytes,
            received: 0,
            has_ended: false,
            failed: None,
        };
        let declared = incoming.declared_bytes();
        if declared.is_some_and(|length| length > max_answer_bytes) {
            return Err(incoming.too_large());
        }
        Ok(incoming)
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// When the server says it answered (header `Date`).
    #[must_use]
    pub fn date(&self) -> Option<OffsetDateTime> {
        date(self.headers())
    }

    /// As [`Answer::retry_after`].
    #[must_use]
    pub fn retry_after(&self, now: OffsetDateTime) -> Option<Duration> {
        retry_after(self.headers(), now)
    }

    /// How many bytes of the body have arrived so far, after decompression.
    #[must_use]
    pub fn received_bytes(&self) -> usize {
        self.received
    }

    /// The next piece of the body, decompressed; none at its end. Pieces are as they come from the network and never
    /// empty.
    ///
    /// # Errors
    ///
    /// - `Timeout` or `Unavailable` with phase `MaybeReceived` when the connection broke.
    /// - `Limit` when the body turns out larger than
    ///   [`max_answer_bytes`](crate::ClientOptions::max_answer_bytes).
    ///
    /// Behind an error every further call returns the same one.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.has_ended {
            return Ok(None);
        }
        let outcome = self.next_chunk().await;
        match &outcome {
            Ok(chunk) => self.has_ended = chunk.is_none(),
            Err(error) => self.failed = Some(error.clone()),
        }
        outcome
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let chunk = self.response.chunk().await;
            let chunk = chunk.map_err(|source| reading_failed(source, &self.origin))?;
            let Some(chunk) = chunk else {
                return Ok(None);
            };
            self.received = self.received.saturating_add(chunk.len());
            if self.received > self.max_answer_bytes {
                return Err(self.too_large());
            }
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }

    /// Reads what is left of the body and gives the answer with it. What was taken in chunks before is not in it.
    ///
    /// # Errors
    ///
    /// Those of [`chunk`](Self::chunk).
    pub async fn whole(self) -> Result<Answer> {
        self.whole_behind(BytesMut::new()).await
    }

    /// As [`whole`](Self::whole), for a caller that has looked at the beginning of the body: what it took goes in front.
    ///
    /// # Errors
    ///
    /// Those of [`chunk`](Self::chunk).
    pub async fn whole_behind(mut self, mut body: BytesMut) -> Result<Answer> {
        let left = self.declared_bytes().unwrap_or_default();
        body.reserve(left.saturating_sub(body.len()));
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        let status = self.status();
        Ok(Answer {
            status,
            headers: std::mem::take(self.response.headers_mut()),
            body: body.freeze(),
        })
    }

    /// The length that the head gives; none where the body is compressed or its length not known.
    fn declared_bytes(&self) -> Option<usize> {
        let declared = self.response.content_length()?;
        Some(usize::try_from(declared).unwrap_or(usize::MAX))
    }

    fn too_large(&self) -> Error {
        let message = "the answer is larger than allowed; ask for less, or raise max_answer_bytes";
        failed(ErrorKind::Limit, Phase::Answered, message)
            .with("server", &self.origin)
            .with("max_answer_bytes", self.max_answer_bytes.to_string())
    }
}

fn reading_failed(source: reqwest::Error, origin: &str) -> Error {
    let (kind, message) = if source.is_timeout() {
        (
            ErrorKind::Timeout,
            "the answer was not whole within the timeout",
        )
    } else {
        (
            ErrorKind::Unavailable,
            "the connection broke in the middle of the answer",
        )
    };
    failed(kind, Phase::MaybeReceived, message)
        .with("server", origin)
        .caused_by(source.without_url())
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("status", &self.status())
            .field("headers", &redact_headers(self.headers()))
            .field("received_bytes", &self.received)
            .finish_non_exhaustive()
    }
}

/// A whole answer. Its `Debug` shows no body and no sensitive header.
#[derive(Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Answer {
    /// When the server says it answered (header `Date`).
    #[must_use]
    pub fn date(&self) -> Option<OffsetDateTime> {
        date(&self.headers)
    }

    /// How long the server asks to be left alone (header `Retry-After`), measured against the answer's own date, or
    /// `now` where it has none.
    #[must_use]
    pub fn retry_after(&self, now: OffsetDateTime) -> Option<Duration> {
        retry_after(&self.headers, now)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &redact_headers(&self.headers))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

fn date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    parse_http_date(headers.get(DATE)?.to_str().ok()?)
}

fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    parse_retry_after(value, date(headers).unwrap_or(now))
}

//! An answer on its way: status, headers, body, and how it gets to the caller: at once, late, in
//! two pieces, or not to its end.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::endpoint::Connection;
use crate::sleeper::Sleeper;

/// An answer before it is sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The HTTP status; one that cannot be is sent as 200.
    pub status: u16,
    /// An empty text stands for no such header.
    pub content_type: Cow<'static, str>,
    /// Headers beside content type and length, in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
    /// What happens to it on its way.
    pub delivery: Delivery,
}

/// What happens to an answer on its way; nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Waited for before the first byte.
    pub before: Duration,
    /// Waited for in the middle of the body.
    pub amid: Duration,
    /// Bytes of the body after which the connection ends; 0 for before the first byte of all.
    pub cut_at: Option<usize>,
}

impl Answer {
    /// An answer that is sent at once and whole.
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type: content_type.into(),
            headers: Vec::new(),
            body,
            delivery: Delivery::default(),
        }
    }

    /// An answer in JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let body = body.to_string().into_bytes();
        Self::new(status, "application/json; charset=UTF-8", body)
    }

    /// With another header, its name in lower case.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Connection {
    /// Makes the response, which is sent over this connection; waits first where the answer is to
    /// be late.
    pub async fn deliver(&self, answer: Answer, sleeper: &Sleeper) -> Response {
        let Delivery {
            before,
            amid,
            cut_at,
        } = answer.delivery;
        if !before.is_zero() {
            sleeper.sleep(before).await;
        }
        if cut_at == Some(0) {
            self.cut();
        }
        let length = answer.body.len();
        let whole = amid.is_zero() && cut_at.is_none();
        let body = if whole {
            Body::from(answer.body)
        } else {
            in_pieces(answer.body, amid, cut_at, sleeper.clone())
        };
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        if !whole {
            // The caller is promised the whole body, and can see that it does not get it.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let kind = ("content-type", answer.content_type.into_owned());
        for (name, text) in std::iter::once(kind).chain(answer.headers) {
            if let Ok(value) = HeaderValue::from_str(&text)
                && !text.is_empty()
            {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// One step of a body that does not come at once.
enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Lets what was sent go out before the connection ends.
    Flush,
    Cut,
}

fn in_pieces(body: Vec<u8>, amid: Duration, cut_at: Option<usize>, sleeper: Sleeper) -> Body {
    let mut body = Bytes::from(body);
    let end = cut_at.unwrap_or(body.len()).min(body.len());
    body.truncate(end);
    let first = body.split_to(end / 2);
    let mut steps = vec![Step::Send(first), Step::Flush];
    if !amid.is_zero() {
        steps.push(Step::Wait(amid));
    }
    steps.push(Step::Send(body));
    if cut_at.is_some() {
        steps.extend([Step::Flush, Step::Cut]);
    }
    let steps = stream::unfold(steps.into_iter(), move |mut steps| {
        let sleeper = sleeper.clone();
        async move {
            loop {
                let piece = match steps.next()? {
                    Step::Send(piece) if piece.is_empty() => continue,
                    Step::Send(piece) => Ok(piece),
                    Step::Flush => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Step::Wait(wait) => {
                        sleeper.sleep(wait).await;
                        continue;
                    }
                    Step::Cut => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                };
                return Some((piece, steps));
            }
        }
    });
    Body::from_stream(steps)
}

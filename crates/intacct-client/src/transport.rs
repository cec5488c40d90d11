//! One request and its answer: posting, counting, reading, and saying what it means.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use intacct_xml::ControlId;
use intacct_xml::request::{
    Authentication, Call, Control, Function, Request, Transaction, Uniqueness,
};
use intacct_xml::response::{
    Discard, FunctionResult, ReadOptions, RecordTarget, Response, Status, read_response,
};
use sync_http::header::{CONTENT_TYPE, HeaderValue};
use sync_http::{Moment, Phase, Retry, Timing};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::calls::{CallCount, CallLog};
use crate::classify::{self, Asked, Told};
use crate::config::Sender;
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::describe;
use crate::limits::CompanyLimits;
use crate::quiet::{InQuietHours, QuietHours};
use crate::receive::{Body, Readers, Received, is_success};
use crate::scrub::scrub;

/// Where the records of an answer go. Behind a lock where several attempts share it; they follow each other, and the
/// lock is held only while an answer is read.
pub(crate) type Target<'a> = &'a mut (dyn RecordTarget + Send);

/// Sends requests of one integration, one after the other as the limits allow. Does not retry.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: sync_http::Client,
    pub(crate) limits: CompanyLimits,
    pub(crate) quiet_hours: Option<QuietHours>,
    pub(crate) sender: Sender,
    pub(crate) read_options: ReadOptions,
    pub(crate) readers: Readers,
    pub(crate) challenge_wait: Duration,
    pub(crate) timing: Timing,
    pub(crate) calls: CallLog,
    pub(crate) server_clock: ServerClock,
    pub(crate) worked: Worked,
}

/// The functions of one request, and how they are to be executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) functions: &'a [Function],
    pub(crate) transaction: Transaction,
    pub(crate) uniqueness: Uniqueness,
}

impl<'a> Content<'a> {
    /// Functions that read: each by itself, and as often as it takes.
    pub(crate) fn reads(functions: &'a [Function]) -> Self {
        Self {
            functions,
            transaction: Transaction::Separate,
            uniqueness: Uniqueness::Repeatable,
        }
    }
}

/// An answer whose control block and authentication succeeded; its functions may still have failed.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) response: Response,
    /// When the gateway answered, by its own clock where it says so.
    pub(crate) answered: OffsetDateTime,
    told: Told,
}

impl Transport {
    /// Posts the functions and reads the answer's records into the target.
    pub(crate) async fn exchange(
        &self,
        endpoint: &Url,
        authentication: &Authentication,
        content: Content<'_>,
        target: &Mutex<Target<'_>>,
        label: Option<&str>,
    ) -> Result<Exchanged> {
        let asked = Asked {
            with_session: matches!(authentication, Authentication::Session(_)),
            challenge_wait: self.challenge_wait,
        };
        let request_id = new_control_id()?;
        let body = self.document(authentication, content, &request_id)?;
        let started;
        let sent = {
            let _permit = self.limits.acquire().await?;
            self.outside_quiet_hours().await?;
            self.limits.spend(content.functions.len() as u64)?;
            started = self.timing.monotonic();
            let request = sync_http::Request::post(endpoint.clone())
                .with_header(CONTENT_TYPE, HeaderValue::from_static("application/xml"))
                .with_body(body);
            self.receive(request, target).await
        };
        let bytes = sent.as_ref().map_or(0, |received| received.bytes);
        let outcome = match sent {
            Ok(received) => self.read(received, (authentication, asked), &request_id, target),
            Err(error) => Err(Error::from(error)),
        };
        let outcome = outcome.map_err(|error| error.in_request(request_id.as_str()));
        match &outcome {
            Ok(_) => self.limits.heed(false),
            Err(error) if error.reason() == Reason::RateLimited => self.limits.heed(true),
            Err(_) => {}
        }
        self.note(content.functions, label, bytes, started, &outcome);
        outcome
    }

    /// The result of a function that was sent, or the error that it failed with.
    pub(crate) fn result<'e>(
        &self,
        exchanged: &'e Exchanged,
        function: &Function,
    ) -> Result<&'e FunctionResult> {
        let Exchanged { response, told, .. } = exchanged;
        let shape = function.call();
        let error = match response.result(function.control_id().as_str()) {
            Some(result) if result.status == Status::Success && result.errors.is_empty() => {
                self.worked.note(shape);
                return Ok(result);
            }
            Some(result) => classify::function(response, result, told, self.worked.has(shape)),
            None => {
                let message = "the answer has no result for a function that was sent";
                Error::new(ErrorKind::Protocol, Reason::Envelope, message)
            }
        };
        let request_id = told.request_id.as_deref().unwrap_or_default();
        Err(describe(error.in_request(request_id), function))
    }

    fn document(
        &self,
        authentication: &Authentication,
        content: Content<'_>,
        request_id: &ControlId,
    ) -> Result<Bytes> {
        let control = Control::new(
            self.sender.id.clone(),
            self.sender.password.clone(),
            request_id.clone(),
        )
        .map_err(Error::unwritable)?
        .with_uniqueness(content.uniqueness);
        let functions = content.functions.iter().cloned();
        let request = Request::new(control, authentication.clone(), functions)
            .map_err(Error::unwritable)?
            .with_transaction(content.transaction);
        // The owner stays behind the bytes, so that the passwords in it are wiped when they have been sent.
        Ok(Bytes::from_owner(request.to_xml()))
    }

    fn read(
        &self,
        received: Received,
        (authentication, asked): (&Authentication, Asked),
        request_id: &ControlId,
        target: &Mutex<Target<'_>>,
    ) -> Result<Exchanged> {
        let status = received.status;
        let told = Told {
            retry_after: received.retry_after,
            request_id: Some(request_id.as_str().to_owned()),
        };
        let (read, body) = match received.body {
            Body::Envelope(read) => (read, Bytes::new()),
            Body::Other(body) => {
                let page = classify::challenge_page((status, &body), told.retry_after, asked);
                if let Some(error) = page {
                    return Err(error);
                }
                if !is_success(status) {
                    return Err(self.refused((status, &body), (authentication, asked), &told));
                }
                let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
                let read = read_response(&body, &self.read_options, &mut **target);
                (read, body)
            }
        };
        self.server_clock
            .set(received.date, self.timing.monotonic());
        let response = match read {
            Ok(mut response) => {
                scrub(&mut response, &self.sender, authentication);
                response
            }
            Err(source) => return Err(classify::unreadable(source, (status, &body), &told)),
        };
        match classify::refusal(&response, asked, &told) {
            Some(error) => Err(error.with_http_status(status)),
            None => Ok(Exchanged {
                response,
                answered: received.answered,
                told,
            }),
        }
    }

    /// The error in an answer with a refusing status. An envelope in it is still the gateway's answer, and says more
    /// than the status, unless the status says that it will pass.
    fn refused(
        &self,
        (status, body): (u16, &[u8]),
        (authentication, asked): (&Authentication, Asked),
        told: &Told,
    ) -> Error {
        let mut response = read_response(body, &self.read_options, &mut Discard).ok();
        if let Some(response) = &mut response {
            scrub(response, &self.sender, authentication);
        }
        let failure = response.as_ref().and_then(Response::failure);
        let errors = failure.map_or(&[][..], |failure| failure.errors);
        let by_status = classify::http_failure(status, told.retry_after, errors);
        if by_status.is_transient() {
            return by_status;
        }
        match response.and_then(|response| classify::refusal(&response, asked, told)) {
            Some(spoken) => spoken.with_http_status(status),
            None => by_status,
        }
    }

    /// Returns when it is none of the quiet hours, or refuses.
    pub(crate) async fn outside_quiet_hours(&self) -> Result<()> {
        let Some(hours) = &self.quiet_hours else {
            return Ok(());
        };
        while let Some(left) = hours.left(self.source_time()) {
            match hours.then() {
                InQuietHours::Wait => {
                    tracing::info!(
                        seconds = left.as_secs(),
                        "waiting for the end of the quiet hours"
                    );
                    self.timing.sleep(left).await;
                }
                InQuietHours::Refuse => {
                    let message = "it is one of the hours in which no call is made; run later";
                    return Err(
                        Error::new(ErrorKind::Unavailable, Reason::QuietHours, message)
                            .retrying(Retry::After(left))
                            .in_phase(Phase::NotSent)
                            .with("seconds_left", left.as_secs().to_string()),
                    );
                }
            }
        }
        Ok(())
    }

    /// The time by the gateway's clock, or else by this machine's.
    pub(crate) fn source_time(&self) -> OffsetDateTime {
        let now = self.server_clock.read(self.timing.monotonic());
        now.unwrap_or_else(|| self.timing.now())
    }

    fn note(
        &self,
        functions: &[Function],
        label: Option<&str>,
        bytes: usize,
        started: Moment,
        outcome: &Result<Exchanged>,
    ) {
        let elapsed = self.timing.monotonic().since(started);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let mut bytes = bytes as u64;
        let mut elapsed = elapsed;
        for function in functions {
            let control_id = function.control_id().as_str();
            let result = outcome
                .as_ref()
                .ok()
                .and_then(|sent| sent.response.result(control_id));
            let succeeded = result.is_some_and(|result| result.status == Status::Success);
            let records = result.map_or(0, |result| result.records);
            let count = CallCount {
                sent: 1,
                failed: u64::from(!succeeded),
                records,
                bytes,
                elapsed,
            };
            self.calls.count(function.call(), label, count);
            tracing::debug!(
                function = function.call().function_name(),
                object = function.call().object().map(|object| object.as_str()),
                control_id,
                succeeded,
                records,
                bytes,
                elapsed_ms,
                error = outcome.as_ref().err().map(|error| error.kind().as_str()),
                "call"
            );
            bytes = 0;
            elapsed = Duration::ZERO;
        }
    }
}

/// An id that no other request or function has.
pub(crate) fn new_control_id() -> Result<ControlId> {
    ControlId::new(Uuid::new_v4().to_string()).map_err(Error::unwritable)
}

/// Which kinds of request have succeeded, by their [shape](Call::shape).
#[derive(Debug, Default)]
pub(crate) struct Worked {
    shapes: Mutex<HashSet<u64>>,
}

impl Worked {
    /// More kinds than any program has; what comes after them counts as new.
    const MOST: usize = 10_000;

    fn note(&self, call: &Call) {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() < Self::MOST {
            shapes.insert(fingerprint(call));
        }
    }

    fn has(&self, call: &Call) -> bool {
        let shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        shapes.contains(&fingerprint(call))
    }
}

fn fingerprint(call: &Call) -> u64 {
    let mut hasher = DefaultHasher::new();
    call.shape().hash(&mut hasher);
    hasher.finish()
}

/// What the gateway's clock shows, as far as its answers told.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    seen: Mutex<Option<(OffsetDateTime, Moment)>>,
}

impl ServerClock {
    fn set(&self, date: Option<OffsetDateTime>, at: Moment) {
        if let Some(date) = date {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, at));
        }
    }

    /// The time there, at this moment here.
    pub(crate) fn read(&self, now: Moment) -> Option<OffsetDateTime> {
        let (date, at) = (*self.seen.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = time::Duration::try_from(now.since(at)).ok()?;
        date.checked_add(passed)
    }
}

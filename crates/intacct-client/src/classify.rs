//! From what came back to what it means: the vendor's failure shapes, and some that only practice shows.
//!
//! developer.intacct.com, Error handling. The class comes from the level first and from how we logged in; a number
//! alone is ambiguous.

use std::time::Duration;

use intacct_xml::response::{FunctionResult, GatewayError, Level, Response, Status};
use intacct_xml::{BodyShape, ErrorKind as XmlKind};
use sync_http::{Phase, Retry};

use crate::error::{Error, ErrorKind, Reason};

/// What the meaning of an answer depends on beside the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Whether the request carried a session, rather than a login.
    pub(crate) with_session: bool,
    /// How long to stay away from a challenge page.
    pub(crate) challenge_wait: Duration,
}

/// What is known about the answer that a failure stands in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// The control id of the request.
    pub(crate) request_id: Option<String>,
}

impl Told {
    /// When to try again what passes by itself.
    fn later(&self) -> Retry {
        self.retry_after.map_or(Retry::Backoff, Retry::After)
    }
}

/// The error in an answer that is a challenge page, whatever its status.
pub(crate) fn challenge_page(
    (status, body): (u16, &[u8]),
    retry_after: Option<Duration>,
    asked: Asked,
) -> Option<Error> {
    if !is_challenge_page(body) {
        return None;
    }
    let message = "the network in front of the gateway sent a challenge page instead of an answer";
    let wait = retry_after.unwrap_or_default().max(asked.challenge_wait);
    let error = Error::new(ErrorKind::Unavailable, Reason::ChallengePage, message)
        .with_http_status(status)
        .retrying(Retry::After(wait))
        .in_phase(Phase::MaybeReceived);
    Some(error)
}

/// The error in an HTTP status that is no success. `errors` is what the body says, where it is an envelope.
pub(crate) fn http_failure(
    status: u16,
    retry_after: Option<Duration>,
    errors: &[GatewayError],
) -> Error {
    let backoff = retry_after.map_or(Retry::Backoff, Retry::After);
    let error = |kind, reason, message: &str| {
        Error::new(kind, reason, message)
            .with_http_status(status)
            .with_gateway_errors(errors)
    };
    match status {
        429 => {
            let message = "the gateway asks for fewer requests";
            error(ErrorKind::Throttled, Reason::RateLimited, message).retrying(backoff)
        }
        524 => {
            let message =
                "the gateway needed too long; it may still be working; ask for smaller pages";
            error(ErrorKind::Timeout, Reason::OriginTimeout, message)
                .retrying(backoff)
                .in_phase(Phase::MaybeReceived)
        }
        408 | 504 => {
            let message = "the gateway did not answer in time";
            error(ErrorKind::Timeout, Reason::HttpStatus, message)
                .retrying(backoff)
                .in_phase(Phase::MaybeReceived)
        }
        500..=599 => {
            let message = "the gateway is not able to answer now";
            error(ErrorKind::Unavailable, Reason::HttpStatus, message)
                .retrying(backoff)
                .in_phase(Phase::MaybeReceived)
        }
        401 => {
            let message = "the gateway did not accept the credentials; check sender, company, user and passwords";
            error(ErrorKind::Auth, Reason::Login, message)
        }
        403 => {
            let message = "the network in front of the gateway refuses this client; check that its address is allowed";
            error(ErrorKind::Permission, Reason::HttpStatus, message)
        }
        404 | 410 => {
            let message = "nothing answers at the endpoint's path; check the endpoint";
            error(ErrorKind::NotFound, Reason::HttpStatus, message)
        }
        _ => {
            let message = "the gateway's edge refused the request";
            error(ErrorKind::Rejected, Reason::HttpStatus, message)
        }
    }
}

/// The error in a body that could not be read.
pub(crate) fn unreadable(
    source: intacct_xml::Error,
    (status, body): (u16, &[u8]),
    told: &Told,
) -> Error {
    if says_rate_limited(body) {
        return rate_limited(told)
            .with_http_status(status)
            .caused_by(source);
    }
    let broken = |message: &str| {
        Error::new(ErrorKind::Unavailable, Reason::BrokenAnswer, message)
            .retrying(told.later())
            .in_phase(Phase::MaybeReceived)
    };
    let error = match source.kind() {
        XmlKind::Truncated => broken("the gateway's answer was cut off"),
        XmlKind::NotXml if source.is_transient() => match source.body_shape() {
            Some(BodyShape::Empty) => broken("the gateway's answer is empty"),
            _ => broken("something other than the gateway answered"),
        },
        XmlKind::Limit => {
            let message = "the gateway's answer has more in it than this client reads";
            Error::new(ErrorKind::Protocol, Reason::TooLarge, message)
        }
        XmlKind::Data => {
            let message = "a record does not fit the type it is read into; correct the type, or read it as text";
            Error::new(ErrorKind::Data, Reason::Value, message)
        }
        XmlKind::Invalid => Error::invalid("the answer cannot be read as asked"),
        _ => {
            let message =
                "the answer is not the envelope that the gateway documents; check the endpoint";
            Error::new(ErrorKind::Protocol, Reason::Envelope, message)
        }
    };
    error.with_http_status(status).caused_by(source)
}

/// The error that refuses a whole answer, if its control block or its authentication failed.
pub(crate) fn refusal(response: &Response, asked: Asked, told: &Told) -> Option<Error> {
    if response.acknowledgement.is_some() && response.operations.is_empty() {
        let message = "the gateway only acknowledged the request, as it does for asynchronous ones";
        return Some(Error::new(ErrorKind::Protocol, Reason::Envelope, message));
    }
    let failure = response.failure()?;
    let error = match failure.level {
        Level::Control => control(failure.errors, told),
        Level::Authentication => authentication(response, failure.errors, asked, told),
        _ => return None,
    };
    Some(
        error
            .at_level(failure.level)
            .with_gateway_errors(failure.errors),
    )
}

fn control(errors: &[GatewayError], told: &Told) -> Error {
    if let Some(error) = transient(errors, told) {
        return error;
    }
    if mentioned(errors, "transport policy") {
        let message = "the gateway does not know the transport policy; leave the policy id out";
        return Error::new(ErrorKind::Rejected, Reason::Control, message);
    }
    if numbered(errors, "XL03000006") || numbered(errors, "XMLGW_JPP0002") {
        let message = "the sender was not accepted; check sender id and sender password";
        return Error::new(ErrorKind::Auth, Reason::Control, message);
    }
    if numbered(errors, "invalidRequest") {
        let message = "the gateway did not accept the credentials or the request's parameters";
        return Error::new(ErrorKind::Auth, Reason::Control, message);
    }
    if numbered(errors, "PL04000055") {
        let message = "the company has expired";
        return Error::new(ErrorKind::Auth, Reason::Control, message);
    }
    Error::new(
        ErrorKind::Rejected,
        Reason::Control,
        "the gateway refused the request as a whole",
    )
}

fn authentication(
    response: &Response,
    errors: &[GatewayError],
    asked: Asked,
    told: &Told,
) -> Error {
    if let Some(error) = transient(errors, told) {
        return error;
    }
    if mentioned(errors, "Invalid Web Services Authorization") {
        let message = "the sender is not authorised in this company; add its id to the company's \
                       web-services authorisations";
        return Error::new(ErrorKind::Auth, Reason::SenderNotAuthorised, message);
    }
    if asked.with_session {
        let nameless = response.operations.iter().all(|operation| {
            operation.authentication.user_id.is_none()
                && operation.authentication.company_id.is_none()
        });
        if numbered(errors, "XL03000006") || mentioned(errors, "Invalid session") || nameless {
            let message = "the session is not valid any more";
            return Error::new(ErrorKind::Auth, Reason::SessionExpired, message)
                .retrying(Retry::AfterRefresh);
        }
    }
    let message = "the login was refused; check company, user and password, and that the user may use web services";
    Error::new(ErrorKind::Auth, Reason::Login, message)
}

/// The error of one function that did not succeed. `worked_before` says whether a request like it has succeeded.
pub(crate) fn function(
    response: &Response,
    result: &FunctionResult,
    told: &Told,
    worked_before: bool,
) -> Error {
    let error = if result.status == Status::Aborted {
        aborted(response, result, told)
    } else {
        let errors = &result.errors;
        let error = transient(errors, told).unwrap_or_else(|| refused(errors, told, worked_before));
        error.with_gateway_errors(errors)
    };
    error.at_level(Level::Function)
}

/// The error of a function that only went down with another one: what it reports is the other's failure.
fn aborted(response: &Response, result: &FunctionResult, told: &Told) -> Error {
    let message = "the function was undone because another one of its transaction failed";
    let cause = response
        .results()
        .find(|other| other.status == Status::Failure);
    let Some(cause) = cause else {
        return Error::new(ErrorKind::Rejected, Reason::Aborted, message)
            .with_gateway_errors(&result.errors);
    };
    let because = function(response, cause, told, false);
    Error::new(because.kind(), Reason::Aborted, message)
        .retrying(because.retry())
        .with_gateway_errors(&cause.errors)
        .with("cause", &cause.control_id)
}

fn refused(errors: &[GatewayError], told: &Told, worked_before: bool) -> Error {
    let error = |kind, reason, message| Error::new(kind, reason, message);
    if errors.iter().any(GatewayError::is_rollback) && errors.iter().all(GatewayError::is_rollback)
    {
        let message = "the transaction was rolled back, and the gateway does not say why";
        return error(ErrorKind::Rejected, Reason::Aborted, message);
    }
    if numbered(errors, "PL04000005") || mentioned(errors, "do not have permission") {
        let message = "the user may not do this, or the object is not in the company's subscription; \
                       grant it in the user's role";
        return error(ErrorKind::Permission, Reason::Permission, message);
    }
    if mentioned(errors, "Object definition") && mentioned(errors, "not found") {
        let message = "the object does not exist in this company";
        return error(ErrorKind::NotFound, Reason::UnknownObject, message);
    }
    if numbered(errors, "DL02000001") {
        return if worked_before {
            let message = "the gateway failed at a request that it has answered before";
            error(ErrorKind::Unavailable, Reason::Processing, message).retrying(told.later())
        } else {
            let message = "the gateway could not process the request: an unknown field, a value in the wrong \
                           format, or a failure of its own; ask for fewer fields or records to find which";
            error(ErrorKind::Rejected, Reason::Processing, message)
        };
    }
    if mentioned(errors, "cannot be queried") {
        let message = "some fields cannot be queried; leave them out";
        return error(ErrorKind::Rejected, Reason::FieldsRefused, message);
    }
    if numbered(errors, "BL34000061") || numbered(errors, "PL05000104") {
        let message = "a record with this value exists already";
        return error(ErrorKind::Conflict, Reason::AlreadyExists, message);
    }
    if is_duplicate_function(errors) {
        let message = "a function with this control id was executed before; its effect stands";
        return error(ErrorKind::Conflict, Reason::DuplicateFunction, message);
    }
    error(
        ErrorKind::Rejected,
        Reason::Function,
        "the gateway refused the function",
    )
}

/// The refusal has no published number; what it must speak of is a control id that was used before.
fn is_duplicate_function(errors: &[GatewayError]) -> bool {
    let control_id = ["control id", "controlid"]
        .iter()
        .any(|words| mentioned(errors, words));
    let before = ["duplicate", "already"]
        .iter()
        .any(|words| mentioned(errors, words));
    control_id && before
}

/// What goes away by itself, at any level.
fn transient(errors: &[GatewayError], told: &Told) -> Option<Error> {
    if numbered(errors, "GW-0010") || mentioned(errors, "rate limit exceeded") {
        return Some(rate_limited(told));
    }
    let offline = mentioned(errors, "Temporarily Off-line");
    let later = errors
        .iter()
        .filter_map(|error| error.correction.as_deref())
        .any(|text| text.to_ascii_lowercase().contains("please try again later"));
    (offline || later).then(|| {
        let message = "the gateway is off-line for the moment";
        Error::new(ErrorKind::Unavailable, Reason::Offline, message).retrying(told.later())
    })
}

fn rate_limited(told: &Told) -> Error {
    let message = "the gateway asks for fewer requests";
    Error::new(ErrorKind::Throttled, Reason::RateLimited, message).retrying(told.later())
}

fn numbered(errors: &[GatewayError], number: &str) -> bool {
    errors.iter().any(|error| {
        error
            .errorno
            .as_deref()
            .is_some_and(|found| found.trim() == number)
    })
}

/// In any text, the number included: it is prose at times.
fn mentioned(errors: &[GatewayError], words: &str) -> bool {
    errors.iter().any(|error| {
        let prose = error.errorno.as_deref().unwrap_or_default().to_lowercase();
        error.mentions(words) || prose.contains(&words.to_lowercase())
    })
}

fn is_challenge_page(body: &[u8]) -> bool {
    // A record may hold any words; what stands in an envelope is no page.
    !begins_as_envelope(body) && holds(body, b"cf-error-details")
}

/// An answer of the network in front of the gateway says it without an envelope.
fn says_rate_limited(body: &[u8]) -> bool {
    const LONGEST: usize = 4096;
    let head = body.get(..LONGEST).unwrap_or(body).to_ascii_lowercase();
    !begins_as_envelope(body) && holds(&head, b"api rate limit exceeded")
}

fn begins_as_envelope(body: &[u8]) -> bool {
    envelope_begins(body) == Some(true)
}

/// Whether a body that begins like this is an envelope; none where more of it is needed to tell.
pub(crate) fn envelope_begins(beginning: &[u8]) -> Option<bool> {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    const DECLARATION: &[u8] = b"<?xml";
    const ROOT: &[u8] = b"<response";
    let more_may_follow = |expected: &[u8], rest: &[u8]| expected.starts_with(rest);
    let body = match beginning.strip_prefix(MARK) {
        Some(rest) => rest,
        None if more_may_follow(MARK, beginning) => return None,
        None => beginning,
    };
    let body = body.trim_ascii_start();
    let rest = match body.strip_prefix(DECLARATION) {
        Some(declared) => {
            let end = declared.iter().position(|byte| *byte == b'>')?;
            declared.get(end + 1..).unwrap_or_default()
        }
        None if more_may_follow(DECLARATION, body) => return None,
        None => body,
    };
    let rest = rest.trim_ascii_start();
    if rest.len() < ROOT.len() && more_may_follow(ROOT, rest) {
        return None;
    }
    Some(rest.starts_with(ROOT))
}

fn holds(body: &[u8], words: &[u8]) -> bool {
    body.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    use super::envelope_begins;

    #[test]
    fn an_envelope_is_recognised_as_soon_as_it_can_be_told() {
        let told_at = |body: &[u8]| {
            let lengths = 0..=body.len();
            let told = |length: usize| Some((length, envelope_begins(&body[..length])?));
            lengths.filter_map(told).collect::<Vec<_>>()
        };
        for envelope in [
            "<response>",
            "\u{feff} \n<?xml version=\"1.0\"?>\n<response>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><response>",
        ] {
            let told = told_at(envelope.as_bytes());
            let whole = envelope.len();
            assert_eq!(told, [(whole - 1, true), (whole, true)], "{envelope}");
        }
        for (other, enough) in [
            ("<html>", 2),
            ("busy", 1),
            ("<resp0nse>", 6),
            ("<?xml version=\"1.0\"?><errormessage>", 23),
        ] {
            let told = told_at(other.as_bytes());
            assert_eq!(told.first(), Some(&(enough, false)), "{other}");
            assert!(told.iter().all(|(_, is_envelope)| !is_envelope), "{other}");
        }
    }
}

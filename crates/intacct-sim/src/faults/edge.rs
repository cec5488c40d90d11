//! Answers in the place of the gateway, and the words of its failures.

use std::time::Duration;

use sim_http::Answer;

use super::fault::{
    Body, ControlFailure, Cut, ErrorText, Fault, Http, RetryAfterForm, ShownTimeout, Truncate, Work,
};
use super::reshape;
use crate::calendar;
use crate::gateway::{GatewayError, content};

/// Whether a fault answers in the place of the gateway, so that nothing is left for other rules.
pub(super) fn replaces(fault: &Fault) -> bool {
    work(fault).is_some()
}

/// Whether the request is executed under a fault that replaces its answer.
pub(super) fn work(fault: &Fault) -> Option<Work> {
    match fault {
        Fault::Http(http) => Some(http.work),
        Fault::Cut(Cut::Amid) => None,
        Fault::Cut(cut) => Some((*cut).into()),
        Fault::Cloudflare(_)
        | Fault::RateLimitedBody
        | Fault::ControlFailure(_)
        | Fault::SenderRefused
        | Fault::DemoExpired => Some(Work::NotDone),
        _ => None,
    }
}

/// The error of a fault that fails the authentication.
pub(super) fn authentication(fault: &Fault) -> Option<GatewayError> {
    match fault {
        Fault::AuthenticationFailure(failure) => {
            Some(GatewayError::scripted(failure.errors.clone()))
        }
        Fault::LoginRefused => Some(GatewayError::new(
            "XL03000006",
            "Sign-in information is incorrect",
        )),
        Fault::SenderNotAuthorised => Some(not_authorised()),
        _ => None,
    }
}

/// What a company says to a sender that it has not authorised.
pub(crate) fn not_authorised() -> GatewayError {
    GatewayError::scripted(vec![
        ErrorText::new(
            "XL03000006",
            "The sender is not authorized to send requests to this company",
        )
        .described("Invalid Web Services Authorization"),
    ])
}

/// The error of a fault that fails a function, and whether the function runs.
pub(super) fn failure(fault: &Fault) -> Option<(GatewayError, Work)> {
    let error = match fault {
        Fault::FunctionFailure(failure) => {
            return Some((GatewayError::scripted(failure.errors.clone()), failure.work));
        }
        Fault::Offline => {
            ErrorText::new("", "The Service is Temporarily Off-line").described("Off-line")
        }
        Fault::TryAgainLater => ErrorText::new(
            "XL03000999",
            "The request could not be processed at this time",
        )
        .corrected("Please Try Again Later"),
        Fault::Processing => {
            return Some((GatewayError::processing(""), Work::NotDone));
        }
        Fault::DeadCursor => ErrorText::new(
            "readMore failed",
            "The resultId is not known: it was read to its end or has expired",
        ),
        _ => return None,
    };
    Some((GatewayError::scripted(vec![error]), Work::NotDone))
}

/// Gives an answer the form that a fault of the whole exchange brings about.
pub(super) fn apply(fault: &Fault, mut answer: Answer, now: i64) -> Answer {
    if let Some(mut other) = instead(fault, now) {
        // What slows the answer down slows this one too.
        other.delivery = answer.delivery;
        return other;
    }
    match fault {
        Fault::Cut(Cut::Amid) => {
            answer.delivery.cut_at = Some(answer.body.len() / 2);
        }
        Fault::Cut(_) => answer.delivery.cut_at = Some(0),
        Fault::Truncate(left) => {
            let length = match left {
                Truncate::Bytes(bytes) => usize::try_from(*bytes).unwrap_or(usize::MAX),
                Truncate::Fraction(part) => (answer.body.len() as f64 * part) as usize,
            };
            answer.body.truncate(length);
        }
        Fault::Slow(slow) => {
            answer.delivery.before += Duration::from_millis(slow.before_ms);
            answer.delivery.amid += Duration::from_millis(slow.amid_ms);
        }
        Fault::ContentType(kind) => answer.content_type = kind.clone().into(),
        Fault::GzipGarbage => {
            let header = ("content-encoding", "gzip".to_owned());
            answer.headers.push(header);
            // The two bytes by which gzip is known, and then none of it.
            let mut garbage = vec![0x1F, 0x8B];
            garbage.extend(answer.body.iter().map(|byte| byte ^ 0x55));
            answer.body = garbage;
        }
        Fault::TwoRoots => answer
            .body
            .extend_from_slice(b"<response><control/></response>"),
        Fault::ByteOrderMark => {
            answer.body.splice(0..0, *b"\xEF\xBB\xBF");
        }
        Fault::LeadingWhitespace => {
            answer.body.splice(0..0, *b"\r\n \t\r\n");
        }
        Fault::Doctype => reshape::doctype(&mut answer.body),
        Fault::ShownTimeout(shown) => {
            let text = match shown {
                ShownTimeout::Absent => None,
                ShownTimeout::Text(text) => Some(text.clone()),
                ShownTimeout::Seconds(seconds) => Some(calendar::iso(now + seconds)),
            };
            reshape::leaf(&mut answer.body, "sessiontimeout", text.as_deref());
        }
        Fault::Without(path) => reshape::without(&mut answer.body, path),
        _ => {}
    }
    answer
}

/// The answer of a fault that takes the gateway's place.
fn instead(fault: &Fault, now: i64) -> Option<Answer> {
    let failure = |error: ErrorText| content::xml(200, control_failure(&[error]));
    Some(match fault {
        Fault::Http(http) => replaced(http, now),
        Fault::Cloudflare(page) => content::html(page.status, CLOUDFLARE_PAGE.as_bytes().to_vec()),
        Fault::RateLimitedBody => failure(ErrorText {
            number: Some(String::new()),
            description2: Some("API rate limit exceeded".to_owned()),
            ..ErrorText::default()
        }),
        Fault::ControlFailure(ControlFailure { errors, status }) => {
            content::xml(*status, control_failure(errors))
        }
        Fault::SenderRefused => failure(ErrorText::new(
            "XL03000006",
            "Incorrect Intacct XML Partner ID or password.",
        )),
        Fault::DemoExpired => failure(ErrorText::new("PL04000055", "The demo company has expired")),
        _ => return None,
    })
}

fn replaced(http: &Http, now: i64) -> Answer {
    let mut answer = match http.body {
        Body::Xml => content::xml(http.status, control_failure(&[error_of(http)])),
        Body::Html => {
            let status = http.status;
            let page = format!(
                "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\
                 <body><h1>{status}</h1><p>The server could not answer.<br></body></html>\n"
            );
            content::html(status, page.into_bytes())
        }
        Body::Empty => content::html(http.status, Vec::new()),
    };
    if let Some(seconds) = http.retry_after {
        let text = match http.retry_after_as {
            RetryAfterForm::Seconds => seconds.to_string(),
            RetryAfterForm::Date => calendar::http_date(now + i64::from(seconds)),
        };
        answer.headers.push(("retry-after", text));
    }
    answer
}

/// The error of a control failure that comes with an HTTP status.
fn error_of(http: &Http) -> ErrorText {
    let (number, text) = match http.status {
        429 => ("GW-0010", "Rate limit exceeded [Request ID: sim%7E429]"),
        400 => ("GW-0011", "Invalid Request [Request ID: sim%7E400]"),
        401 => ("XMLGW_JPP0002", "Sign-in information is incorrect"),
        _ => ("GW-0001", "Internal error [Request ID: sim%7E500]"),
    };
    let number = http.number.clone().unwrap_or_else(|| number.to_owned());
    let text = http.text.clone().unwrap_or_else(|| text.to_owned());
    // What the edge says is in the description alone.
    ErrorText::new(number, "").described(&text)
}

/// A control failure of the edge, which knows nothing of the request.
fn control_failure(errors: &[ErrorText]) -> Vec<u8> {
    GatewayError::scripted(errors.to_vec()).of_the_edge()
}

const CLOUDFLARE_PAGE: &str = "<!DOCTYPE html>\n\
    <html lang=\"en-US\"><head><title>Please wait</title>\
    <meta http-equiv=\"refresh\" content=\"30\"></head>\n\
    <body><div id=\"cf-wrapper\"><div id=\"cf-error-details\" class=\"cf-error-details-wrapper\">\
    <h1>There is an issue between the network and the origin&nbsp;server</h1>\
    <p>Ray ID: 0000000000000000<br></div></div></body></html>\n";

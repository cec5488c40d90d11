//! Secrets out of what the gateway says: a text that repeats the session or a password must not bring it into an error.

use intacct_xml::request::Authentication;
use intacct_xml::response::{GatewayError, Response};
use secrecy::ExposeSecret as _;

use crate::config::Sender;

/// Masks what was sent as a secret wherever the errors of an answer repeat it.
pub(crate) fn scrub(response: &mut Response, sender: &Sender, authentication: &Authentication) {
    let secrets = [
        sender.password.expose_secret(),
        match authentication {
            Authentication::Session(session) => session.expose(),
            Authentication::Login(login) => login.password().expose_secret(),
            _ => "",
        },
    ];
    let mut secrets = secrets;
    // One may be a part of the other: then the longer one has to go first.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let operations = response.operations.iter_mut().flat_map(|operation| {
        let results = operation.results.iter_mut();
        operation
            .errors
            .iter_mut()
            .chain(results.flat_map(|result| &mut result.errors))
    });
    for error in response.errors.iter_mut().chain(operations) {
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            scrub_error(error, secret);
        }
    }
}

fn scrub_error(error: &mut GatewayError, secret: &str) {
    let texts = [
        &mut error.errorno,
        &mut error.description,
        &mut error.description2,
        &mut error.correction,
        &mut error.support_id,
        &mut error.request_id,
    ];
    for text in texts.into_iter().flatten() {
        mask(text, secret);
    }
    let Some(info) = &mut error.additional_info else {
        return;
    };
    info.target
        .iter_mut()
        .for_each(|(_, value)| mask(value, secret));
    let messages = [
        &mut info.description,
        &mut info.customer_description,
        &mut info.correction,
    ];
    for message in messages.into_iter().flatten() {
        if let Some(text) = &mut message.text {
            mask(text, secret);
        }
        message
            .placeholders
            .iter_mut()
            .for_each(|(_, value)| mask(value, secret));
    }
}

fn mask(text: &mut String, secret: &str) {
    if text.contains(secret) {
        *text = text.replace(secret, "[redacted]");
    }
}

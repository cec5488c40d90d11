//! Answers by what their bodies are.

use sim_http::Answer;

/// What the gateway sends in all cases (the parameter is named `encoding` there).
const XML: &str = "text/xml; encoding=\"UTF-8\"";

pub(crate) fn xml(status: u16, body: Vec<u8>) -> Answer {
    Answer::new(status, XML, body)
}

pub(crate) fn html(status: u16, body: Vec<u8>) -> Answer {
    Answer::new(status, "text/html; charset=UTF-8", body)
}

//! Results in pages.

use serde_json::{Value as Json, json};

use crate::bigquery::limits::Limits;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::request::Request;
use crate::bigquery::value::{Row, TimestampForm, cell};

/// Which part of a result is asked for.
pub(super) struct Page {
    start: usize,
    most: Option<usize>,
    form: TimestampForm,
}

impl Page {
    /// Reads it from the parameters of a request about `of`.
    pub(super) fn of_parameters(request: &Request, of: &str) -> Result<Self, Refusal> {
        let start = match request.parameter("pageToken") {
            None => request.number("startIndex")?.unwrap_or(0),
            Some(given) => given
                .rsplit_once('-')
                .filter(|(prefix, _)| *prefix == page_prefix(of))
                .and_then(|(_, start)| start.parse().ok())
                .ok_or_else(|| Refusal::invalid("Invalid pageToken").at("pageToken"))?,
        };
        let micros = request.parameter("formatOptions.useInt64Timestamp") == Some("true");
        let named = request.parameter("formatOptions.timestampOutputFormat");
        Ok(Self {
            start,
            most: request.number("maxResults")?,
            form: timestamp_form(micros, named),
        })
    }

    pub(super) fn of_body(body: &Json) -> Self {
        let options = &body["formatOptions"];
        let micros = options["useInt64Timestamp"] == true;
        Self {
            start: 0,
            most: body["maxResults"]
                .as_u64()
                .and_then(|most| usize::try_from(most).ok()),
            form: timestamp_form(micros, options["timestampOutputFormat"].as_str()),
        }
    }

    /// The rows of the page, and the token of the next one of the same result.
    pub(super) fn cut(
        &self,
        rows: &[Row],
        of: &str,
        limits: &Limits,
    ) -> (Vec<Json>, Option<String>) {
        let (mut out, mut bytes) = (Vec::new(), 0);
        for row in rows.iter().skip(self.start) {
            if self.most.is_some_and(|most| out.len() >= most) {
                break;
            }
            let row: Vec<_> = row.iter().map(|value| cell(value, self.form)).collect();
            let row = json!({ "f": row });
            // Text and marks; a cheap estimate of the whole.
            bytes += row.to_string().len();
            if bytes > limits.page_bytes && !out.is_empty() {
                break;
            }
            out.push(row);
        }
        let end = self.start + out.len();
        let next = (end < rows.len()).then(|| format!("{}-{end}", page_prefix(of)));
        (out, next)
    }
}

/// Tokens of one job are not taken for another.
fn page_prefix(of: &str) -> String {
    let sum = of.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("page{sum:016x}")
}

fn timestamp_form(micros: bool, named: Option<&str>) -> TimestampForm {
    match named {
        Some("INT64") => TimestampForm::Micros,
        Some("ISO8601_STRING") => TimestampForm::Iso,
        _ if micros => TimestampForm::Micros,
        _ => TimestampForm::Float,
    }
}

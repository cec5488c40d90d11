//! What an answer of insertAll says about its rows.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::request::Part;
use crate::client::transport::parsed;
use crate::error::{Error, Result, ServiceError};

/// What became of the rows of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How many were taken.
    pub(super) inserted: usize,
    /// Those that are not taken, now or later.
    pub(super) invalid: Vec<(usize, Vec<ServiceError>)>,
    /// Those that are to be sent again.
    pub(super) again: Part,
    /// What BigQuery says about one of them.
    pub(super) cause: Option<ServiceError>,
}

/// Reasons by which a row is never taken.
const FOR_EVER: [&str; 5] = [
    "invalid",
    "invalidQuery",
    "notImplemented",
    "parseError",
    "row-too-large",
];

/// The reason of a row that is good, and was not taken because another of its request was not.
const STOPPED: &str = "stopped";

/// Reads the answer to a request for these rows.
///
/// With one row `stopped`, nothing of the request was taken; without, all rows that are not named were (BigQuery
/// documentation, "Streaming data", troubleshooting).
pub(super) fn verdict(answer: &sync_http::Answer, part: &Part) -> Result<Verdict> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        #[serde(default)]
        insert_errors: Option<Vec<InsertError>>,
    }

    #[derive(Deserialize)]
    struct InsertError {
        #[serde(default)]
        index: usize,
        #[serde(default)]
        errors: Vec<ServiceError>,
    }

    let response: Response = parsed(answer)?;
    let mut by_row: BTreeMap<usize, Vec<ServiceError>> = BTreeMap::new();
    for error in response.insert_errors.unwrap_or_default() {
        let Some(row) = part.get(error.index) else {
            return Err(Error::broken("the answer is about a row that was not sent"));
        };
        by_row.entry(*row).or_default().extend(error.errors);
    }
    let has = |errors: &[ServiceError], reasons: &[&str]| {
        let mut errors = errors.iter();
        errors.any(|error| reasons.contains(&error.reason.as_str()))
    };
    let nothing_taken = by_row.values().any(|errors| has(errors, &[STOPPED]));
    let mut verdict = Verdict::default();
    for row in part {
        match by_row.remove(row) {
            Some(errors) if has(&errors, &FOR_EVER) => verdict.invalid.push((*row, errors)),
            Some(errors) => {
                verdict.again.push(*row);
                verdict.cause = verdict.cause.or_else(|| errors.into_iter().next());
            }
            None if nothing_taken => verdict.again.push(*row),
            None => verdict.inserted += 1,
        }
    }
    Ok(verdict)
}

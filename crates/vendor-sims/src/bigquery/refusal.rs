//! How BigQuery says no: status, reason and message.

use serde_json::{Value, json};

/// An error answer of the API, or the error of a job.
///
/// docs.cloud.google.com/bigquery, Error messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) location: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
            location: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid", message)
    }

    /// A statement that cannot be run as it is.
    pub(crate) fn query(message: impl Into<String>) -> Self {
        Self::new(400, "invalidQuery", message).at("query")
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "notFound", message)
    }

    pub(crate) fn duplicate(message: impl Into<String>) -> Self {
        Self::new(409, "duplicate", message)
    }

    pub(crate) fn at(mut self, location: &str) -> Self {
        self.location = Some(location.to_owned());
        self
    }

    /// The body of the answer.
    pub(crate) fn envelope(&self) -> Value {
        let mut error = json!({
            "message": self.message,
            "domain": "global",
            "reason": self.reason,
        });
        if let Some(location) = &self.location {
            error["location"] = json!(location);
            error["locationType"] = json!(if self.status == 401 {
                "header"
            } else {
                "parameter"
            });
        }
        json!({
            "error": {
                "code": self.status,
                "message": self.message,
                "errors": [error],
                "status": self.name(),
            }
        })
    }

    /// The same as the error of a job.
    pub(crate) fn proto(&self) -> Value {
        let mut error = json!({ "reason": self.reason, "message": self.message });
        if let Some(location) = &self.location {
            error["location"] = json!(location);
        }
        error
    }

    fn name(&self) -> &'static str {
        match (self.status, self.reason) {
            (401, _) => "UNAUTHENTICATED",
            (403, "quotaExceeded" | "rateLimitExceeded") | (429, _) => "RESOURCE_EXHAUSTED",
            (403, _) => "PERMISSION_DENIED",
            (404, _) => "NOT_FOUND",
            (409, _) => "ALREADY_EXISTS",
            (412, _) => "FAILED_PRECONDITION",
            (501, _) => "UNIMPLEMENTED",
            (503, _) => "UNAVAILABLE",
            (500.., _) => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        }
    }
}

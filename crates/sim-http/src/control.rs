//! The addresses under `/sim`, which a test uses: JSON in and out.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

/// What moves a clock ahead: `{"advance_seconds": 7200}`.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Advance {
    /// By how much.
    pub advance_seconds: u32,
}

/// Reads what was sent.
///
/// # Errors
/// `Invalid` for a body that is not the JSON that is expected.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|source| {
        Error::invalid(format!(
            "the body is not the JSON that is expected here: {source}"
        ))
    })
}

/// Shows something as JSON, with status 200.
pub fn show(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// Says what was refused: `{"error": "..."}` with status 404 where there is no such thing, 409
/// where it is not allowed, and 400 otherwise.
pub fn refuse(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Refused => StatusCode::CONFLICT,
        ErrorKind::Invalid | ErrorKind::Network => StatusCode::BAD_REQUEST,
    };
    json(status, &serde_json::json!({ "error": error.to_string() }))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    match serde_json::to_vec(body) {
        Ok(body) => (status, kind, body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

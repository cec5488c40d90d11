//! Settings that come as a text: JSON or TOML.

use serde::de::DeserializeOwned;

use crate::error::Error;

/// Reads a text as JSON where it begins with `{`, as TOML otherwise; `what` names it in the error.
///
/// # Errors
/// `Invalid` for a text that is neither.
pub fn read(text: &str, what: &str) -> Result<serde_json::Value, Error> {
    let invalid = |format: &str, problem: String| {
        Error::invalid(format!("the {what} is not {format}: {problem}"))
    };
    if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| invalid("JSON", error.to_string()))
    } else {
        toml::from_str(text).map_err(|error| invalid("TOML", error.message().to_owned()))
    }
}

/// Reads a part of a document; `place` says which in the error, before the path to what is wrong.
///
/// # Errors
/// `Invalid` for a part that is not what is wanted.
pub fn typed<T: DeserializeOwned>(value: serde_json::Value, place: &str) -> Result<T, Error> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." {
            String::new()
        } else {
            format!(".{path}")
        };
        Error::invalid(format!("{place}{path}: {}", error.inner()))
    })
}

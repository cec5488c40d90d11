//! Rows as lines of JSON.

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, Result};

/// Rows as a load of format [`Ndjson`](crate::client::Format::Ndjson) takes them: an object a line. Decimals and whole
/// numbers beyond 53 bits belong in strings, days are `2026-01-31`, times RFC 3339; what is null may be left out.
///
/// # Errors
///
/// `Data` when a row cannot be written as JSON, or is no object.
pub fn ndjson<R: Serialize>(rows: impl IntoIterator<Item = R>) -> Result<Bytes> {
    let mut lines = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        let begin = lines.len();
        // The error may quote a value; it stays out.
        let written = serde_json::to_writer(&mut lines, &row);
        if written.is_err() || lines.get(begin) != Some(&b'{') {
            let message = "a row cannot be written as a JSON object";
            return Err(Error::data(message).with("row", number.to_string()));
        }
        lines.push(b'\n');
    }
    Ok(lines.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ndjson;

    #[test]
    fn a_row_is_an_object_on_a_line_of_its_own() {
        let rows = [json!({"n": "1", "t": "two\nlines"}), json!({})];
        let lines = ndjson(rows).unwrap();
        assert_eq!(lines, &b"{\"n\":\"1\",\"t\":\"two\\nlines\"}\n{}\n"[..]);
        assert!(ndjson([0; 0]).unwrap().is_empty());
        ndjson([json!({}), json!([])]).unwrap_err();
    }
}

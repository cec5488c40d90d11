//! The bodies of insertAll: within its limits, and halved where they are too large.

use std::collections::HashSet;

use super::{InsertOptions, InsertRow};
use crate::error::{Error, Result};

/// Rows of a request at most (BigQuery documentation, "Quotas and limits", streaming inserts).
pub(super) const MOST_ROWS: usize = 50_000;

/// Bytes of a request at most. BigQuery says 10 MiB, and counts in a form of its own.
pub(super) const MOST_BYTES: usize = 9_000_000;

/// What stands around the rows of a request, and around one row, at most.
const AROUND_ALL: usize = 96;
const AROUND_ROW: usize = 32;

/// Positions of rows that go into one request.
pub(super) type Part = Vec<usize>;

/// The rows in requests of the wanted size, in their order, and those that fit into none.
pub(super) fn parts(rows: &[InsertRow], options: &InsertOptions) -> (Vec<Part>, Vec<usize>) {
    let (mut parts, mut too_large) = (Vec::new(), Vec::new());
    let (mut part, mut bytes) = (Part::new(), AROUND_ALL);
    for (index, row) in rows.iter().enumerate() {
        let size = bytes_of(row);
        if size + AROUND_ALL > MOST_BYTES {
            too_large.push(index);
            continue;
        }
        // A row that is larger than a request should be, and not than it may be, goes alone.
        let is_full = part.len() >= options.max_rows || bytes + size > options.max_bytes;
        if is_full && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = AROUND_ALL;
        }
        part.push(index);
        bytes += size;
    }
    if !part.is_empty() {
        parts.push(part);
    }
    (parts, too_large)
}

/// Two parts of about as many bytes; none for a single row.
pub(super) fn halves(rows: &[InsertRow], part: &[usize]) -> Option<(Part, Part)> {
    let size = |index: &usize| rows.get(*index).map_or(0, bytes_of);
    let total: usize = part.iter().map(size).sum();
    let (mut passed, mut middle) = (0, 0);
    for index in part {
        if middle > 0 && passed + size(index) / 2 >= total / 2 {
            break;
        }
        passed += size(index);
        middle += 1;
    }
    let middle = middle.min(part.len().checked_sub(1)?);
    if middle == 0 {
        return None;
    }
    let (front, back) = part.split_at_checked(middle)?;
    Some((front.to_vec(), back.to_vec()))
}

/// The body of a request for these rows.
pub(super) fn body(rows: &[InsertRow], part: &[usize], options: &InsertOptions) -> Vec<u8> {
    let part = || part.iter().filter_map(|index| rows.get(*index));
    let bytes = AROUND_ALL + part().map(bytes_of).sum::<usize>();
    let mut body = Vec::with_capacity(bytes);
    body.extend_from_slice(b"{\"skipInvalidRows\":");
    body.extend_from_slice(truth(options.skip_invalid_rows));
    body.extend_from_slice(b",\"ignoreUnknownValues\":");
    body.extend_from_slice(truth(options.ignore_unknown_values));
    body.extend_from_slice(b",\"rows\":[");
    for (position, row) in part().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        body.push(b'{');
        if let Some(id) = row.insert_id() {
            // Visible ASCII, so that quotes and backslashes are all there is to escape.
            body.extend_from_slice(b"\"insertId\":\"");
            for byte in id.bytes() {
                if byte == b'"' || byte == b'\\' {
                    body.push(b'\\');
                }
                body.push(byte);
            }
            body.extend_from_slice(b"\",");
        }
        body.extend_from_slice(b"\"json\":");
        body.extend_from_slice(row.json().as_bytes());
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}

/// What BigQuery does with two rows of one id in one request is not defined.
pub(super) fn refuse_doubles(rows: &[InsertRow]) -> Result<()> {
    let mut seen = HashSet::with_capacity(rows.len());
    for id in rows.iter().filter_map(InsertRow::insert_id) {
        if !seen.insert(id) {
            return Err(
                Error::config("two rows have the same insert id; send one of them")
                    .with("insert_id", id),
            );
        }
    }
    Ok(())
}

fn bytes_of(row: &InsertRow) -> usize {
    // Every character of the id may have to be escaped.
    AROUND_ROW + 2 * row.insert_id().map_or(0, str::len) + row.json().len()
}

const fn truth(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{InsertOptions, InsertRow, Part, body, halves, parts, refuse_doubles};

    fn row(id: &str, text: &str) -> InsertRow {
        InsertRow::new(id, &json!({"t": text})).unwrap()
    }

    #[test]
    fn a_body_is_what_the_reference_shows() {
        let rows = [row("a\"\\b", "x"), row("c", "y").without_insert_id()];
        let body: Value =
            serde_json::from_slice(&body(&rows, &[0, 1], &InsertOptions::default())).unwrap();
        assert_eq!(
            body,
            json!({"skipInvalidRows": false, "ignoreUnknownValues": false, "rows": [
                {"insertId": "a\"\\b", "json": {"t": "x"}}, {"json": {"t": "y"}}]})
        );
    }

    #[test]
    fn rows_that_are_none_are_refused() {
        for bad in ["", "{", "[1]", "{} {}", "\"a\"", "null"] {
            InsertRow::from_json("a", bad.to_owned()).unwrap_err();
        }
        for bad in ["", "a b", "é", &"x".repeat(129)] {
            InsertRow::from_json(bad, "{}".to_owned()).unwrap_err();
        }
        refuse_doubles(&[row("a", "x"), row("b", "x")]).unwrap();
        refuse_doubles(&[row("a", "x"), row("a", "y")]).unwrap_err();
    }

    #[test]
    fn a_row_that_fits_into_no_request_is_told() {
        let rows = [
            row("a", "x"),
            row("b", &"x".repeat(9_000_000)),
            row("c", "x"),
        ];
        let (parts, too_large) = parts(&rows, &InsertOptions::default());
        assert_eq!((parts, too_large), (vec![vec![0, 2]], vec![1]));
    }

    proptest! {
        /// Every row is in one part, in order, and no body is larger than asked for unless its row is.
        #[test]
        fn parts_and_halves_hold_every_row_once(
            sizes in proptest::collection::vec(0_usize..3000, 1..80),
            max_rows in 1_usize..20,
            max_bytes in 1_000_usize..8_000,
        ) {
            let rows: Vec<_> = sizes.iter().enumerate()
                .map(|(index, size)| row(&index.to_string(), &"x".repeat(*size))).collect();
            let options = InsertOptions::default().with_request_size(max_rows, max_bytes);
            let (found, too_large) = parts(&rows, &options);
            prop_assert!(too_large.is_empty());
            let all: Part = found.concat();
            prop_assert_eq!(all, (0..rows.len()).collect::<Vec<_>>());
            for part in found {
                let bytes = body(&rows, &part, &options);
                prop_assert!(bytes.len() <= max_bytes || part.len() == 1);
                prop_assert!(part.len() <= max_rows);
                match halves(&rows, &part) {
                    Some((front, back)) => {
                        prop_assert!(!front.is_empty() && !back.is_empty());
                        prop_assert_eq!([front, back].concat(), part);
                    }
                    None => prop_assert_eq!(part.len(), 1),
                }
            }
        }
    }
}

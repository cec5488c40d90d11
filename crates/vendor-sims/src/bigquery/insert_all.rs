//! `tabledata.insertAll`: rows that are there at once, and what makes them different from others.
//!
//! docs.cloud.google.com/bigquery, Streaming data with the Storage Write API (REST).

use std::borrow::Cow;
use std::io::Read;

use serde_json::{Value as Json, json};

use super::catalog::{Content, Partitioning, Schema, Stored, Table, takes_streamed};
use super::faults::Plan;
use super::limits::Limits;
use super::refusal::Refusal;
use super::request::{Request, parse};
use super::service::Streaming;
use super::value::{Mistake, Reading, Row, Value, Wire, decode};

/// Characters of an insert id.
const LONGEST_INSERT_ID: usize = 128;
/// Characters of a trace id.
const LONGEST_TRACE_ID: usize = 36;

/// The body as it was before it was compressed.
pub(super) fn body<'a>(request: &'a Request, limits: &Limits) -> Result<Cow<'a, [u8]>, Refusal> {
    let most = limits.insert_bytes;
    let body: Cow<'_, [u8]> = match request.header("content-encoding") {
        None | Some("identity") => Cow::Borrowed(request.body.as_ref()),
        Some("gzip") => {
            let mut out = Vec::new();
            let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            flate2::read::MultiGzDecoder::new(request.body.as_ref())
                .take(limit)
                .read_to_end(&mut out)
                .map_err(|_| Refusal::new(400, "badRequest", "The gzip stream is damaged"))?;
            Cow::Owned(out)
        }
        Some(other) => {
            return Err(Refusal::new(
                400,
                "badRequest",
                format!("Unknown encoding {other}"),
            ));
        }
    };
    if body.len() > most {
        return Err(Refusal::new(
            400,
            "badRequest",
            format!("Request payload size exceeds the limit: {most} bytes."),
        ));
    }
    Ok(body)
}

/// Reads the body as JSON, in the way that other methods do.
pub(super) fn json(request: &Request, limits: &Limits) -> Result<Json, Refusal> {
    let kind = request.header("content-type").unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        let text = format!("Content type \"{kind}\" is not application/json");
        return Err(Refusal::new(400, "badRequest", text));
    }
    parse(&body(request, limits)?)
}

/// Inserts the rows of a request; gives the answer's body.
pub(super) fn run(
    table: &mut Table,
    recreated: bool,
    body: &Json,
    limits: &Limits,
    streaming: &Streaming,
    plan: &Plan,
    now: i64,
) -> Result<Json, Refusal> {
    let rows = body["rows"].as_array().map_or(&[][..], Vec::as_slice);
    check(body, rows, limits)?;
    if let Content::View(_) = table.content {
        return Err(Refusal::invalid("Cannot add rows to a table of type VIEW."));
    }
    let is_fresh = |at: i64| now - at < streaming.delay;
    if is_fresh(table.created) && !recreated {
        return Err(Refusal::not_found(format!(
            "Table {} not found.",
            table.name
        )));
    }
    // Rows go to the table that was there before.
    let is_lost = plan.lose_rows
        || (recreated && is_fresh(table.created))
        || table.truncated.is_some_and(is_fresh);
    let schema = match &table.widened {
        Some((at, before)) if is_fresh(*at) => before.clone(),
        _ => table.schema.clone(),
    };
    let read = read(rows, &schema, table, body, limits, now);
    let failed = read.iter().any(Result::is_err);
    let skips = body["skipInvalidRows"] == true;
    let mut errors = Vec::new();
    let mut inserted = 0_usize;
    for (index, (row, read)) in rows.iter().zip(read).enumerate() {
        let mut report = |mistakes: Vec<Json>| {
            errors.push(json!({ "index": index, "errors": mistakes }));
        };
        match read {
            Err(mistakes) => report(mistakes.iter().map(shown).collect()),
            Ok(_) if failed && !skips => report(vec![error("stopped", "", "")]),
            Ok(_) if plan.fails_row(index) => {
                report(vec![error(
                    &plan.row_error,
                    "",
                    "the row could not be stored",
                )]);
            }
            Ok(values) => {
                let id = row["insertId"].as_str().filter(|id| !id.is_empty());
                if !is_known(table, id, streaming, plan, now) && !is_lost {
                    push(table, values, now);
                    inserted += 1;
                }
            }
        }
    }
    if inserted > 0 {
        table.modified = now;
    }
    let mut answer = json!({ "kind": "bigquery#tableDataInsertAllResponse" });
    if !errors.is_empty() {
        answer["insertErrors"] = json!(errors);
    }
    Ok(answer)
}

fn check(body: &Json, rows: &[Json], limits: &Limits) -> Result<(), Refusal> {
    if rows.is_empty() {
        return Err(Refusal::invalid("No rows present in the request."));
    }
    if rows.len() > limits.insert_rows {
        return Err(Refusal::invalid(format!(
            "Too many rows present in the request, limit: {} row count: {}.",
            limits.insert_rows,
            rows.len()
        )));
    }
    if !body["templateSuffix"].is_null() {
        return Err(Refusal::new(
            501,
            "notImplemented",
            "the simulator knows no templates",
        ));
    }
    let trace = body["traceId"].as_str().unwrap_or_default();
    if trace.len() > LONGEST_TRACE_ID || !trace.is_ascii() {
        return Err(Refusal::invalid(format!(
            "traceId is at most {LONGEST_TRACE_ID} ASCII characters"
        )));
    }
    for row in rows {
        let id = row["insertId"].as_str().unwrap_or_default();
        if id.len() > LONGEST_INSERT_ID {
            return Err(Refusal::invalid(format!(
                "Insert ID is too long: {} characters, the maximum is {LONGEST_INSERT_ID}",
                id.len()
            )));
        }
        if !row["json"].is_object() {
            return Err(Refusal::invalid("A row has its columns in json"));
        }
    }
    Ok(())
}

fn read(
    rows: &[Json],
    schema: &Schema,
    table: &Table,
    body: &Json,
    limits: &Limits,
    now: i64,
) -> Vec<Result<Vec<Value>, Vec<Mistake>>> {
    let ignores = body["ignoreUnknownValues"] == true;
    let width = table.schema.fields.len();
    let mistake = |location: &str, message: String| {
        Err(vec![Mistake {
            location: location.to_owned(),
            message,
        }])
    };
    rows.iter()
        .map(|row| {
            // No row is larger than its request.
            if limits.insert_row_bytes < limits.insert_bytes {
                let bytes = row["json"].to_string().len();
                if bytes > limits.insert_row_bytes {
                    return mistake("", format!("Row payload is too large: {bytes} bytes."));
                }
            }
            let wire = Wire::from(&row["json"]);
            let mut values = decode(&wire, &schema.fields, Reading::Insert, ignores)?;
            values.resize(width, Value::Null);
            if let Partitioning::Column { place, .. } = &table.partitioning
                && !takes_streamed(&values[*place], now)
            {
                return mistake(
                    &table.schema.fields[*place].name,
                    "The destination partition is outside the allowed bounds. You can only stream to partitions within 3650 days in the past and 366 days in the future relative to the current date.".to_owned(),
                );
            }
            Ok(values)
        })
        .collect()
}

/// Whether a row with this id came a moment ago; takes note of it.
fn is_known(
    table: &mut Table,
    id: Option<&str>,
    streaming: &Streaming,
    plan: &Plan,
    now: i64,
) -> bool {
    let Some(id) = id else {
        return false;
    };
    let since = table.insert_ids.insert(id.to_owned(), now);
    let is_known = since.is_some_and(|at| now - at < streaming.dedupe) && !plan.forget_insert_ids;
    // Old ids are thrown away now and then.
    if table.insert_ids.len().is_multiple_of(100_000) {
        table
            .insert_ids
            .retain(|_, at| now - *at < streaming.dedupe);
    }
    is_known
}

fn push(table: &mut Table, values: Vec<Value>, now: i64) {
    if let Some(rows) = table.rows_mut() {
        rows.push(Stored {
            values: Row::from(values),
            at: now,
            streamed: true,
        });
    }
}

fn shown(mistake: &Mistake) -> Json {
    error("invalid", &mistake.location, &mistake.message)
}

fn error(reason: &str, location: &str, message: &str) -> Json {
    json!({ "reason": reason, "location": location, "debugInfo": "", "message": message })
}

//! Load jobs: newline-delimited JSON into a table, all of it or none.
//!
//! docs.cloud.google.com/bigquery, Loading JSON data from Cloud Storage; REST reference,
//! JobConfigurationLoad.

use std::io::Read;

use serde_json::{Value as Json, json};

use super::catalog::{Catalog, Content, Mode, Schema, Stored, Table, TableName};
use super::jobs::Given;
use super::refusal::Refusal;
use super::value::{Reading, Row, Value, Wire, decode};

/// Errors that a failed job lists.
const SHOWN_ERRORS: usize = 5;
/// Bytes of one line.
const LONGEST_LINE: usize = 100 * 1024 * 1024;

/// Where a load writes.
pub(super) fn destination(configuration: &Json, project: &str) -> Result<TableName, Refusal> {
    let load = &configuration["load"];
    if load["destinationTable"].is_null() {
        return Err(Refusal::invalid(
            "Required parameter is missing: destinationTable",
        ));
    }
    TableName::parse(&load["destinationTable"], project)
}

/// Refuses what the simulator does not load.
pub(super) fn check(configuration: &Json) -> Result<(), Refusal> {
    let load = &configuration["load"];
    let format = load["sourceFormat"].as_str().unwrap_or("CSV");
    if format != "NEWLINE_DELIMITED_JSON" {
        return Err(Refusal::new(
            501,
            "notImplemented",
            format!("the simulator loads NEWLINE_DELIMITED_JSON only, not {format}"),
        ));
    }
    let known = [
        "destinationTable",
        "sourceFormat",
        "schema",
        "writeDisposition",
        "createDisposition",
        "maxBadRecords",
        "ignoreUnknownValues",
        "schemaUpdateOptions",
        "timePartitioning",
        "clustering",
        "encoding",
        "autodetect",
        "destinationTableProperties",
    ];
    let unknown = load
        .as_object()
        .and_then(|load| load.keys().find(|key| !known.contains(&key.as_str())));
    if let Some(key) = unknown {
        return Err(Refusal::new(
            501,
            "notImplemented",
            format!("the simulator does not know the load option {key}"),
        ));
    }
    if load["autodetect"] == true {
        return Err(Refusal::new(
            501,
            "notImplemented",
            "the simulator detects no schemas",
        ));
    }
    Ok(())
}

/// What went wrong with a load: the job's error, and those of its rows.
pub(super) struct Failed {
    pub(super) refusal: Refusal,
    pub(super) errors: Vec<Json>,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            errors: Vec::new(),
        }
    }
}

/// Runs a load.
pub(super) fn run(
    configuration: &Json,
    body: &[u8],
    project: &str,
    location: &str,
    catalog: &mut Catalog,
    now: i64,
) -> Result<(Given, Vec<Json>), Failed> {
    let load = &configuration["load"];
    let name = destination(configuration, project)?;
    let dataset = catalog.dataset(&name.project, &name.dataset)?;
    if !dataset.location.eq_ignore_ascii_case(location) {
        return Err(Refusal::not_found(format!(
            "Not found: Dataset {}:{} was not found in location {location}",
            name.project, name.dataset
        ))
        .into());
    }
    let place = dataset.location.clone();
    let life = dataset.table_life();
    let held = catalog.table(&name).ok().cloned();
    let given = match &load["schema"] {
        Json::Null => None,
        schema => Some(Schema::parse(schema)?),
    };
    let schema = match (&given, &held) {
        (Some(given), _) => given.clone(),
        (None, Some(table)) => table.schema.clone(),
        (None, None) => {
            return Err(Refusal::invalid("No schema specified on job or table.").into());
        }
    };
    let mut table = match held {
        Some(table) => table,
        None if load["createDisposition"] == "CREATE_NEVER" => {
            return Err(Refusal::not_found(format!("Not found: Table {name}")).into());
        }
        None => {
            let mut resource = json!({
                "schema": schema.resource(),
                "timePartitioning": load["timePartitioning"],
                "clustering": load["clustering"],
            });
            if let Some(life) = life {
                resource["expirationTime"] = json!((now / 1000 + life).to_string());
            }
            let stamp = catalog.stamp();
            Table::new(name.clone(), &resource, &place, now, stamp)?
        }
    };
    if let Content::View(_) = table.content {
        return Err(Refusal::invalid(format!("Cannot load into the view {name}")).into());
    }
    let text = inflated(body)?;
    let read = read(&text, &schema, load)?;
    let disposition = load["writeDisposition"].as_str().unwrap_or("WRITE_APPEND");
    let options = load["schemaUpdateOptions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    match disposition {
        "WRITE_TRUNCATE" | "WRITE_TRUNCATE_DATA" => {
            if let Some(rows) = table.rows_mut() {
                rows.clear();
            }
            table.truncated = Some(now);
        }
        "WRITE_EMPTY" if !table.rows().is_empty() => {
            return Err(Refusal::duplicate(format!("Already Exists: Table {name}")).into());
        }
        "WRITE_APPEND" | "WRITE_EMPTY" => {}
        other => {
            return Err(
                Refusal::invalid(format!("Invalid value for writeDisposition: {other}")).into(),
            );
        }
    }
    if disposition == "WRITE_TRUNCATE" {
        table.replace_schema(schema.clone(), now)?;
    } else if let Some(given) = &given {
        append_schema(&mut table, given, options, now)?;
    }
    let stamp = catalog.stamp();
    table.touch(now, stamp);
    let mut bytes = 0;
    let rows = fitted(read.rows, &schema, &table.schema)?;
    let loaded = rows.len();
    if let Some(held) = table.rows_mut() {
        held.reserve(loaded);
        for values in rows {
            bytes += values.iter().map(Value::size).sum::<u64>();
            held.push(Stored {
                values,
                at: now,
                streamed: false,
            });
        }
    }
    if catalog.has_table(&name) {
        *catalog.table_mut(&name)? = table;
    } else {
        catalog.insert_table(table)?;
    }
    let statistics = json!({
        "inputFiles": "1",
        "inputFileBytes": body.len().to_string(),
        "outputRows": loaded.to_string(),
        "outputBytes": bytes.to_string(),
        "badRecords": read.bad.to_string(),
    });
    let given = Given {
        statistics,
        ..Given::default()
    };
    Ok((given, read.errors))
}

/// Gzipped files are known by their first two bytes.
fn inflated(body: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, Refusal> {
    if !body.starts_with(&[0x1F, 0x8B]) {
        return Ok(body.into());
    }
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(body)
        .read_to_end(&mut out)
        .map_err(|_| {
            Refusal::invalid("Error while reading data, error message: the gzip stream is damaged")
        })?;
    Ok(out.into())
}

struct ReadRows {
    rows: Vec<Vec<Value>>,
    bad: usize,
    errors: Vec<Json>,
}

fn read(text: &[u8], schema: &Schema, load: &Json) -> Result<ReadRows, Failed> {
    let ignore_unknown = load["ignoreUnknownValues"] == true;
    let allowed = load["maxBadRecords"].as_u64().unwrap_or(0);
    let mut read = ReadRows {
        rows: Vec::new(),
        bad: 0,
        errors: Vec::new(),
    };
    let mut position = 0;
    for line in text.split(|byte| *byte == b'\n') {
        let start = position;
        position += line.len() + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let row = if line.len() > LONGEST_LINE {
            Err(format!("Row size is larger than: {LONGEST_LINE}."))
        } else {
            row(line, schema, ignore_unknown)
        };
        match row {
            Ok(row) => read.rows.push(row),
            Err(message) => {
                read.bad += 1;
                if read.errors.len() < SHOWN_ERRORS {
                    read.errors.push(json!({
                        "reason": "invalid",
                        "message": format!(
                            "Error while reading data, error message: JSON parsing error in row starting at position {start}: {message}"
                        ),
                    }));
                }
            }
        }
    }
    if read.bad as u64 > allowed {
        let rows = read.rows.len() + read.bad;
        let bad = read.bad;
        return Err(Failed {
            refusal: Refusal::invalid(format!(
                "Error while reading data, error message: JSON table encountered too many errors, giving up. Rows: {rows}; errors: {bad}. Please look into the errors[] collection for more details."
            )),
            errors: read.errors,
        });
    }
    Ok(read)
}

fn row(line: &[u8], schema: &Schema, ignore_unknown: bool) -> Result<Vec<Value>, String> {
    let wire: Wire<'_> = serde_json::from_slice(line)
        .map_err(|error| format!("Parser terminated before end of string: {error}"))?;
    decode(&wire, &schema.fields, Reading::Load, ignore_unknown).map_err(|mistakes| {
        let messages: Vec<_> = mistakes
            .into_iter()
            .map(|mistake| mistake.message)
            .collect();
        messages.join(" ")
    })
}

/// Takes the columns of a job that appends for those of its table.
fn append_schema(
    table: &mut Table,
    given: &Schema,
    options: &[Json],
    now: i64,
) -> Result<(), Refusal> {
    let may = |option: &str| options.iter().any(|it| *it == option);
    let mut fields = table.schema.fields.to_vec();
    let mut changed = false;
    for field in given.fields.iter() {
        match table.schema.place(&field.name) {
            None if may("ALLOW_FIELD_ADDITION") => {
                fields.push(field.clone());
                changed = true;
            }
            None => {
                return Err(Refusal::invalid(format!(
                    "Provided Schema does not match Table {}. Cannot add fields (field: {})",
                    table.name, field.name
                )));
            }
            Some(place) => {
                let held = &mut fields[place];
                if held.element.wire_name() != field.element.wire_name() {
                    return Err(Refusal::invalid(format!(
                        "Provided Schema does not match Table {}. Field {} has changed type from {} to {}",
                        table.name,
                        field.name,
                        held.element.wire_name(),
                        field.element.wire_name()
                    )));
                }
                if held.mode == Mode::Required && field.mode == Mode::Nullable {
                    if !may("ALLOW_FIELD_RELAXATION") {
                        return Err(Refusal::invalid(format!(
                            "Provided Schema does not match Table {}. Field {} has changed mode from REQUIRED to NULLABLE",
                            table.name, field.name
                        )));
                    }
                    held.mode = Mode::Nullable;
                    changed = true;
                }
            }
        }
    }
    for held in table.schema.fields.iter() {
        if held.mode == Mode::Required && given.place(&held.name).is_none() {
            return Err(Refusal::invalid(format!(
                "Provided Schema does not match Table {}. Field {} is missing in new schema",
                table.name, held.name
            )));
        }
    }
    if changed {
        table.widen_schema(Schema::new(fields), now)?;
    }
    Ok(())
}

/// Puts the values of a job's columns into the places of the table's.
fn fitted(rows: Vec<Vec<Value>>, from: &Schema, to: &Schema) -> Result<Vec<Row>, Refusal> {
    let names = |schema: &Schema| -> Vec<String> {
        schema
            .fields
            .iter()
            .map(|field| field.name.to_ascii_lowercase())
            .collect()
    };
    if names(from) == names(to) {
        return Ok(rows.into_iter().map(Row::from).collect());
    }
    let places: Vec<_> = to
        .fields
        .iter()
        .map(|field| from.place(&field.name))
        .collect();
    let rows = rows.into_iter().map(|row| {
        let values = places
            .iter()
            .zip(to.fields.iter())
            .map(|(place, field)| match place {
                Some(place) => row[*place].clone(),
                None if field.mode == Mode::Repeated => Value::Array([].into()),
                None => Value::Null,
            });
        values.collect()
    });
    Ok(rows.collect())
}

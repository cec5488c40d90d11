//! `INFORMATION_SCHEMA.TABLES` and `INFORMATION_SCHEMA.COLUMNS` of a dataset.

use super::Session;
use super::plan::Output;
use crate::bigquery::catalog::{Catalog, Mode, Table};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Row, Type, Value};

use super::bare::unknown;

/// Rows with the names and types of their columns.
pub(super) type Known = (Vec<Row>, Vec<Output>);

/// The rows and columns of a view of `INFORMATION_SCHEMA`; none for any other name.
pub(super) fn relation(
    parts: &[String],
    catalog: &Catalog,
    session: &Session,
) -> Result<Option<Known>, Refusal> {
    let Some(at) = parts
        .iter()
        .position(|part| part.eq_ignore_ascii_case("INFORMATION_SCHEMA"))
    else {
        return Ok(None);
    };
    let (project, dataset) = match &parts[..at] {
        [dataset] => (&session.project, dataset),
        [project, dataset] => (project, dataset),
        _ => return Err(unknown("INFORMATION_SCHEMA without a dataset")),
    };
    let dataset = catalog.dataset(project, dataset)?;
    let view = parts[at + 1..].join(".").to_ascii_uppercase();
    let text = |name: &str| Output {
        name: name.to_owned(),
        kind: Type::String,
    };
    match view.as_str() {
        "TABLES" => {
            let mut columns =
                Vec::from(["table_catalog", "table_schema", "table_name", "table_type"].map(text));
            columns.push(Output {
                name: "creation_time".to_owned(),
                kind: Type::Timestamp,
            });
            let row = |table: &Table| -> Row {
                let kind = if table.view().is_some() {
                    "VIEW"
                } else {
                    "BASE TABLE"
                };
                Row::from([
                    Value::text(&table.name.project),
                    Value::text(&table.name.dataset),
                    Value::text(&table.name.table),
                    Value::text(kind),
                    Value::Timestamp(table.created),
                ])
            };
            Ok(Some((dataset.tables().map(row).collect(), columns)))
        }
        "COLUMNS" => {
            let mut columns =
                Vec::from(["table_catalog", "table_schema", "table_name", "column_name"].map(text));
            columns.push(Output {
                name: "ordinal_position".to_owned(),
                kind: Type::Int64,
            });
            columns.extend(["is_nullable", "data_type"].map(text));
            let rows = dataset.tables().flat_map(|table| {
                table
                    .schema
                    .fields
                    .iter()
                    .zip(1..)
                    .map(|(field, ordinal)| -> Row {
                        let nullable = if field.mode == Mode::Required {
                            "NO"
                        } else {
                            "YES"
                        };
                        Row::from([
                            Value::text(&table.name.project),
                            Value::text(&table.name.dataset),
                            Value::text(&table.name.table),
                            Value::text(&field.name),
                            Value::Int(ordinal),
                            Value::text(nullable),
                            Value::text(&field.kind().name()),
                        ])
                    })
            });
            Ok(Some((rows.collect(), columns)))
        }
        _ => Err(unknown(format!("INFORMATION_SCHEMA.{view}"))),
    }
}

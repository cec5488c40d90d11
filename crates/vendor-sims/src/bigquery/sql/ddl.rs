//! Statements that change tables: `CREATE TABLE`, `CREATE VIEW`, `ALTER TABLE`, `DROP`.
//!
//! docs.cloud.google.com/bigquery, Data definition language.

use serde_json::{Value as Json, json};
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateTable,
    CreateView, DataType, ExactNumberInfo, ObjectName, ObjectType, Statement,
};

use super::bare::{check_statement, unknown};
use super::cast::cast;
use super::data_type::data_type;
use super::names::table_name;
use super::{Session, view_schema};
use crate::bigquery::catalog::{Catalog, Schema, Table, TableName};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Type, Value};

/// What a statement did, in the words of `ddlOperationPerformed`.
pub(super) struct Performed {
    pub(super) operation: &'static str,
    pub(super) table: TableName,
}

/// A column of a statement as one of a resource.
fn column(definition: &ColumnDef) -> Result<Json, Refusal> {
    let mut field = typed(&definition.data_type)?;
    field["name"] = json!(definition.name.value);
    for option in &definition.options {
        match &option.option {
            ColumnOption::NotNull => field["mode"] = json!("REQUIRED"),
            other => return Err(unknown(format!("the option {other} of a column"))),
        }
    }
    Ok(field)
}

/// The type of a column with its parameters.
fn typed(ast: &DataType) -> Result<Json, Refusal> {
    let decimal = |name: &str, info: &ExactNumberInfo| {
        let mut field = json!({ "type": name });
        match info {
            ExactNumberInfo::None => {}
            ExactNumberInfo::Precision(precision) => {
                field["precision"] = json!(precision.to_string());
            }
            ExactNumberInfo::PrecisionAndScale(precision, scale) => {
                field["precision"] = json!(precision.to_string());
                field["scale"] = json!(scale.to_string());
            }
        }
        field
    };
    Ok(match ast {
        DataType::Numeric(info) | DataType::Decimal(info) => decimal("NUMERIC", info),
        DataType::BigNumeric(info) | DataType::BigDecimal(info) => decimal("BIGNUMERIC", info),
        DataType::String(Some(length)) => {
            json!({ "type": "STRING", "maxLength": length.to_string() })
        }
        other => json!({ "type": data_type(other)?.wire_name() }),
    })
}

pub(super) fn create_table(
    statement: &Statement,
    create: &CreateTable,
    catalog: &mut Catalog,
    session: &Session,
) -> Result<Performed, Refusal> {
    check_statement(statement, "CREATE TABLE t (a INT64)", |statement| {
        if let Statement::CreateTable(create) = statement {
            create.name = ObjectName(Vec::new());
            create.columns.clear();
            create.if_not_exists = false;
            create.or_replace = false;
        }
    })?;
    let table = table_name(&create.name, session)?;
    let fields: Result<Vec<_>, _> = create.columns.iter().map(column).collect();
    let body = json!({ "schema": { "fields": fields? } });
    put(
        table,
        &body,
        "CREATE",
        create.if_not_exists,
        create.or_replace,
        catalog,
        session,
    )
}

pub(super) fn create_view(
    statement: &Statement,
    create: &CreateView,
    catalog: &mut Catalog,
    session: &Session,
) -> Result<Performed, Refusal> {
    check_statement(statement, "CREATE VIEW v AS SELECT 1", |statement| {
        if let Statement::CreateView(create) = statement {
            create.name = ObjectName(Vec::new());
            create.if_not_exists = false;
            create.or_replace = false;
            create.name_before_not_exists = false;
            if let Ok(bare) = super::view_query("SELECT 1") {
                *create.query = bare;
            }
        }
    })?;
    let table = table_name(&create.name, session)?;
    let query = create.query.to_string();
    let schema = view_schema(&query, catalog, session)?;
    let body = json!({
        "view": { "query": query, "useLegacySql": false },
        "schema": schema.resource(),
    });
    put(
        table,
        &body,
        "CREATE",
        create.if_not_exists,
        create.or_replace,
        catalog,
        session,
    )
}

fn put(
    name: TableName,
    body: &Json,
    operation: &'static str,
    if_not_exists: bool,
    or_replace: bool,
    catalog: &mut Catalog,
    session: &Session,
) -> Result<Performed, Refusal> {
    let dataset = catalog.dataset(&name.project, &name.dataset)?;
    session.check_location(&name, &dataset.location)?;
    let location = dataset.location.clone();
    let mut operation = operation;
    if catalog.has_table(&name) {
        if or_replace {
            catalog.delete_table(&name, session.now)?;
            operation = "REPLACE";
        } else if if_not_exists {
            return Ok(Performed {
                operation: "SKIP",
                table: name,
            });
        } else {
            return Err(Refusal::duplicate(format!("Already Exists: Table {name}")));
        }
    }
    let stamp = catalog.stamp();
    let table = Table::new(name.clone(), body, &location, session.now, stamp)?;
    catalog.insert_table(table)?;
    Ok(Performed {
        operation,
        table: name,
    })
}

pub(super) fn drop_table(
    kind: &ObjectType,
    if_exists: bool,
    names: &[ObjectName],
    catalog: &mut Catalog,
    session: &Session,
) -> Result<Performed, Refusal> {
    let [name] = names else {
        return Err(unknown("DROP of several"));
    };
    let name = table_name(name, session)?;
    let is_view = match kind {
        ObjectType::Table => false,
        ObjectType::View => true,
        other => return Err(unknown(format!("DROP {other}"))),
    };
    match catalog.table(&name) {
        Ok(table) if table.view().is_some() == is_view => {}
        Ok(_) => {
            return Err(Refusal::query(format!(
                "{name} is not of the kind that is dropped"
            )));
        }
        Err(_) if if_exists => {
            return Ok(Performed {
                operation: "SKIP",
                table: name,
            });
        }
        Err(refusal) => return Err(refusal),
    }
    catalog.delete_table(&name, session.now)?;
    Ok(Performed {
        operation: "DROP",
        table: name,
    })
}

pub(super) fn alter_table(
    statement: &Statement,
    alter: &AlterTable,
    catalog: &mut Catalog,
    session: &Session,
) -> Result<Performed, Refusal> {
    check_statement(statement, "ALTER TABLE t DROP COLUMN a", |statement| {
        if let Statement::AlterTable(alter) = statement {
            alter.name = ObjectName(Vec::new());
            alter.operations.clear();
        }
    })?;
    let name = table_name(&alter.name, session)?;
    let location = &catalog.dataset(&name.project, &name.dataset)?.location;
    session.check_location(&name, location)?;
    let mut changed = catalog.table(&name)?.clone();
    if changed.view().is_some() {
        return Err(Refusal::query(format!("{name} is a view")));
    }
    for operation in &alter.operations {
        match operation {
            AlterTableOperation::AddColumn {
                if_not_exists,
                column_def,
                column_position: None,
                ..
            } => {
                if *if_not_exists && changed.schema.place(&column_def.name.value).is_some() {
                    continue;
                }
                let mut schema = changed.schema.resource();
                if let Some(fields) = schema["fields"].as_array_mut() {
                    fields.push(column(column_def)?);
                }
                changed.widen_schema(Schema::parse(&schema)?, session.now)?;
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                alter_column(&mut changed, &column_name.value, op, session)?;
            }
            other => return Err(unknown(format!("ALTER TABLE {other}"))),
        }
    }
    let stamp = catalog.stamp();
    changed.touch(session.now, stamp);
    *catalog.table_mut(&name)? = changed;
    Ok(Performed {
        operation: "ALTER",
        table: name,
    })
}

fn alter_column(
    table: &mut Table,
    column: &str,
    operation: &AlterColumnOperation,
    session: &Session,
) -> Result<(), Refusal> {
    let place = table
        .schema
        .place(column)
        .ok_or_else(|| Refusal::query(format!("Column not found: {column}")))?;
    let mut schema = table.schema.resource();
    let field = &mut schema["fields"][place];
    match operation {
        AlterColumnOperation::DropNotNull => {
            field["mode"] = json!("NULLABLE");
            table.widen_schema(Schema::parse(&schema)?, session.now)
        }
        AlterColumnOperation::SetDataType {
            data_type,
            using: None,
            had_set: true,
        } => {
            let new = typed(data_type)?;
            for key in ["type", "precision", "scale", "maxLength"] {
                match new.get(key) {
                    Some(value) => field[key] = value.clone(),
                    None => {
                        field.as_object_mut().map(|field| field.remove(key));
                    }
                }
            }
            let new = Schema::parse(&schema)?;
            set_type(table, place, new, session)
        }
        other => Err(unknown(format!("ALTER COLUMN {other}"))),
    }
}

/// Only wider types are allowed.
fn set_type(
    table: &mut Table,
    place: usize,
    schema: Schema,
    session: &Session,
) -> Result<(), Refusal> {
    let (from, to) = (
        &table.schema.fields[place].element,
        &schema.fields[place].element,
    );
    let is_wider = matches!(
        (from, to),
        (
            Type::Int64,
            Type::Numeric | Type::BigNumeric | Type::Float64
        ) | (Type::Numeric, Type::BigNumeric | Type::Float64)
    );
    if from == to {
        return table.widen_schema(schema, session.now);
    }
    if !is_wider {
        return Err(Refusal::query(format!(
            "ALTER TABLE ALTER COLUMN SET DATA TYPE requires that the existing column type ({from}) is assignable to the new type ({to})"
        )));
    }
    let to = to.clone();
    let streamed = |at: i64| session.now - at < session.streaming_buffer;
    if table
        .rows()
        .iter()
        .any(|row| row.streamed && streamed(row.at))
    {
        return Err(Refusal::query(format!(
            "Cannot change the type of a column of {} while rows are in its streaming buffer",
            table.name
        )));
    }
    if let Some(rows) = table.rows_mut() {
        for row in rows {
            let mut values = row.values.to_vec();
            values[place] = match &values[place] {
                Value::Null => Value::Null,
                value => cast(value, &to).map_err(Refusal::query)?,
            };
            row.values = values.into();
        }
    }
    table.schema = schema;
    Ok(())
}

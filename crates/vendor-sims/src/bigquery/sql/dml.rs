//! Statements that change rows: `INSERT`, `UPDATE`, `DELETE`, `TRUNCATE TABLE`, and what they have in
//! common with `MERGE`.
//!
//! docs.cloud.google.com/bigquery, Data manipulation language. Each is worked out as a whole before
//! anything changes, so that one that fails changes nothing.

use std::cell::Cell;
use std::sync::Arc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, FromTable, Insert, ObjectName, SetExpr, Statement,
    TableFactor, TableObject, TableWithJoins, Update, Values,
};

use super::bare::{check_statement, unknown};
use super::cast::coerce;
use super::eval::Rows;
use super::from::columns_of;
use super::names::{Scope, SourceNames, parts, table_name};
use super::plan::{Expr, Typed};
use super::run::Run;
use super::select::Binder;
use super::{Changes, Session};
use crate::bigquery::catalog::{Catalog, Content, Field, Mode, Schema, Stored, TableName};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Row, Value, fitted};

/// What a statement does to one table.
pub(super) struct Change {
    pub(super) table: TableName,
    /// Whether it is `TRUNCATE TABLE`, which streaming does not see at once.
    truncates: bool,
    pub(super) updated: Vec<(usize, Row)>,
    pub(super) deleted: Vec<usize>,
    pub(super) inserted: Vec<Row>,
}

impl Change {
    pub(super) fn of(table: TableName) -> Self {
        Self {
            table,
            truncates: false,
            updated: Vec::new(),
            deleted: Vec::new(),
            inserted: Vec::new(),
        }
    }

    /// Makes the change; counts what it did.
    pub(super) fn apply(
        self,
        catalog: &mut Catalog,
        session: &Session,
    ) -> Result<Changes, Refusal> {
        let changes = Changes {
            inserted: self.inserted.len() as u64,
            updated: self.updated.len() as u64,
            deleted: self.deleted.len() as u64,
        };
        let touched = self
            .updated
            .iter()
            .map(|(place, _)| place)
            .chain(&self.deleted);
        let table = catalog.table(&self.table)?;
        let buffered = |place: &usize| {
            let row = &table.rows()[*place];
            row.streamed && session.now - row.at < session.streaming_buffer
        };
        if touched.into_iter().any(buffered) {
            return Err(Refusal::query(format!(
                "UPDATE or DELETE statement over table {}.{}.{} would affect rows in the streaming buffer, which is not supported",
                self.table.project, self.table.dataset, self.table.table
            )));
        }
        if changes == Changes::default() {
            return Ok(changes);
        }
        let stamp = catalog.stamp();
        let table = catalog.table_mut(&self.table)?;
        table.touch(session.now, stamp);
        if self.truncates {
            table.truncated = Some(session.now);
        }
        let Some(rows) = table.rows_mut() else {
            return Err(no_view(&self.table));
        };
        for (place, values) in self.updated {
            rows[place].values = values;
            rows[place].streamed = false;
        }
        if !self.deleted.is_empty() {
            let mut gone = vec![false; rows.len()];
            self.deleted.iter().for_each(|place| gone[*place] = true);
            let mut gone = gone.into_iter();
            rows.retain(|_| !gone.next().unwrap_or(false));
        }
        rows.extend(self.inserted.into_iter().map(|values| Stored {
            values,
            at: session.now,
            streamed: false,
        }));
        Ok(changes)
    }
}

fn no_view(name: &TableName) -> Refusal {
    Refusal::query(format!("Cannot modify the view {name}"))
}

/// The table that a statement changes, with its columns in view under `alias`.
pub(super) struct Target {
    pub(super) name: TableName,
    pub(super) schema: Schema,
    pub(super) names: SourceNames,
}

pub(super) fn target(
    binder: &Binder<'_>,
    name: &ObjectName,
    alias: Option<String>,
) -> Result<Target, Refusal> {
    let name = table_name(name, binder.session)?;
    let location = &binder
        .catalog
        .dataset(&name.project, &name.dataset)?
        .location;
    binder.session.check_location(&name, location)?;
    let table = binder.catalog.table(&name)?;
    if let Content::View(_) = table.content {
        return Err(no_view(&name));
    }
    let columns = columns_of(&table.schema);
    let alias = alias.or_else(|| Some(name.table.clone()));
    Ok(Target {
        schema: table.schema.clone(),
        names: SourceNames::new(alias, columns),
        name,
    })
}

/// The table and alias of a plain factor.
pub(super) fn plain(factor: &TableFactor) -> Result<(&ObjectName, Option<String>), Refusal> {
    match factor {
        TableFactor::Table {
            name,
            alias,
            args: None,
            version: None,
            json_path: None,
            sample: None,
            with_ordinality: false,
            with_hints,
            partitions,
            index_hints,
        } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
            match alias {
                Some(alias) if !alias.columns.is_empty() || alias.at.is_some() => {
                    Err(unknown(alias))
                }
                alias => Ok((name, alias.as_ref().map(|alias| alias.name.value.clone()))),
            }
        }
        other => Err(unknown(other)),
    }
}

pub(super) fn scope(names: Vec<SourceNames>) -> Scope<'static> {
    Scope {
        sources: names,
        outer: None,
        is_correlated: Cell::new(false),
    }
}

/// Takes an expression for a column, or says why it cannot be.
pub(super) fn assigned(typed: &Typed, field: &Field, verb: &str) -> Result<Expr, Refusal> {
    coerce(typed, &field.kind()).ok_or_else(|| {
        Refusal::query(format!(
            "Value of type {} cannot be {verb} {}, which has type {}",
            typed.kind,
            field.name,
            field.kind()
        ))
    })
}

/// A value as a column takes it.
fn held(value: Value, field: &Field) -> Result<Value, Refusal> {
    if value.is_null() {
        return match field.mode {
            Mode::Nullable => Ok(Value::Null),
            Mode::Repeated => Ok(Value::Array(Arc::from([]))),
            Mode::Required => Err(Refusal::query(format!(
                "Required field {} cannot be null",
                field.name
            ))),
        };
    }
    fitted(value, field).map_err(Refusal::query)
}

/// The columns that an `INSERT` fills, in the order of its values.
pub(super) fn columns(names: &[ObjectName], schema: &Schema) -> Result<Vec<usize>, Refusal> {
    if names.is_empty() {
        return Ok((0..schema.fields.len()).collect());
    }
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let parts = parts(name)?;
        let place = match parts.as_slice() {
            [name] => schema.place(name),
            _ => None,
        };
        let place = place.ok_or_else(|| {
            Refusal::query(format!(
                "Column {} is not present in the table",
                parts.join(".")
            ))
        })?;
        if places.contains(&place) {
            return Err(Refusal::query(format!(
                "INSERT has columns with duplicate name: {}",
                parts.join(".")
            )));
        }
        places.push(place);
    }
    Ok(places)
}

/// Values for all columns: those that are given, and nulls.
pub(super) fn filled(
    places: &[usize],
    values: Vec<Value>,
    schema: &Schema,
) -> Result<Row, Refusal> {
    let mut row = vec![Value::Null; schema.fields.len()];
    for (place, value) in places.iter().zip(values) {
        row[*place] = value;
    }
    row.into_iter()
        .zip(schema.fields.iter())
        .map(|(value, field)| held(value, field))
        .collect()
}

pub(super) fn insert(
    statement: &Statement,
    insert: &Insert,
    binder: &Binder<'_>,
    run: &Run<'_>,
) -> Result<Change, Refusal> {
    check_statement(statement, "INSERT INTO t (a) VALUES (1)", |statement| {
        if let Statement::Insert(insert) = statement {
            insert.table = TableObject::TableName(ObjectName(Vec::new()));
            insert.columns.clear();
            insert.source = None;
            insert.into = true;
        }
    })?;
    let (TableObject::TableName(name), Some(source)) = (&insert.table, &insert.source) else {
        return Err(unknown(statement));
    };
    let target = target(binder, name, None)?;
    let places = columns(&insert.columns, &target.schema)?;
    let mut change = Change::of(target.name);
    let count = |given: usize| {
        if given == places.len() {
            Ok(())
        } else {
            Err(Refusal::query(format!(
                "Inserted row has wrong column count; Has {given}, expected {}",
                places.len()
            )))
        }
    };
    if let SetExpr::Values(Values { rows, .. }) = source.body.as_ref() {
        for row in rows {
            count(row.content.len())?;
            let mut values = Vec::with_capacity(places.len());
            for (ast, place) in row.content.iter().zip(&places) {
                let field = &target.schema.fields[*place];
                let expr = assigned(&binder.alone(ast)?, field, "inserted into column")?;
                values.push(run.eval(&expr, &Rows::new(&[], None))?);
            }
            change
                .inserted
                .push(filled(&places, values, &target.schema)?);
        }
        return Ok(change);
    }
    let query = binder.query(source, None)?;
    count(query.columns.len())?;
    let mut exprs = Vec::with_capacity(places.len());
    for (at, (column, place)) in query.columns.iter().zip(&places).enumerate() {
        let typed = Typed {
            expr: Expr::Column {
                depth: 0,
                source: 0,
                place: at,
            },
            kind: column.kind.clone(),
        };
        exprs.push(assigned(
            &typed,
            &target.schema.fields[*place],
            "inserted into column",
        )?);
    }
    for row in run.query(&query, None)? {
        let tuple = [row];
        let rows = Rows::new(&tuple, None);
        let values: Result<Vec<_>, _> = exprs.iter().map(|expr| run.eval(expr, &rows)).collect();
        change
            .inserted
            .push(filled(&places, values?, &target.schema)?);
    }
    Ok(change)
}

/// Binds the assignments of an update: column and expression.
pub(super) fn assignments(
    assignments: &[Assignment],
    schema: &Schema,
    binder: &Binder<'_>,
    scope: &Scope<'_>,
) -> Result<Vec<(usize, Expr)>, Refusal> {
    let mut bound: Vec<(usize, Expr)> = Vec::with_capacity(assignments.len());
    for Assignment { target, value } in assignments {
        let AssignmentTarget::ColumnName(name) = target else {
            return Err(unknown(target));
        };
        let parts = parts(name)?;
        let alias = scope.sources[0].alias.as_deref().unwrap_or_default();
        let column = match parts.as_slice() {
            [column] => column,
            [table, column] if table.eq_ignore_ascii_case(alias) => column,
            _ => return Err(unknown(name)),
        };
        let place = schema.place(column).ok_or_else(|| {
            Refusal::query(format!("Column {column} is not present in the table"))
        })?;
        if bound.iter().any(|(other, _)| *other == place) {
            return Err(Refusal::query(format!(
                "Update item {column} assigned more than once"
            )));
        }
        let typed = binder.over(scope, value)?;
        bound.push((
            place,
            assigned(&typed, &schema.fields[place], "assigned to")?,
        ));
    }
    Ok(bound)
}

pub(super) fn updated(
    row: &Row,
    assignments: &[(usize, Expr)],
    schema: &Schema,
    run: &Run<'_>,
    rows: &Rows<'_>,
) -> Result<Row, Refusal> {
    let mut values = row.to_vec();
    for (place, expr) in assignments {
        values[*place] = held(run.eval(expr, rows)?, &schema.fields[*place])?;
    }
    Ok(values.into())
}

pub(super) fn update(
    statement: &Statement,
    update: &Update,
    binder: &Binder<'_>,
    run: &Run<'_>,
) -> Result<Change, Refusal> {
    check_statement(statement, "UPDATE t SET a = 1 WHERE TRUE", |statement| {
        if let Statement::Update(update) = statement {
            update.table = no_table();
            update.assignments.clear();
            update.selection = None;
        }
    })?;
    let Some(selection) = &update.selection else {
        return Err(Refusal::query("UPDATE must have a WHERE clause"));
    };
    if !update.table.joins.is_empty() {
        return Err(unknown(statement));
    }
    let (name, alias) = plain(&update.table.relation)?;
    let target = target(binder, name, alias)?;
    let scope = scope(vec![target.names]);
    let sets = assignments(&update.assignments, &target.schema, binder, &scope)?;
    let condition = binder.condition_over(&scope, selection, "WHERE clause")?;
    let mut change = Change::of(target.name);
    for (place, stored) in binder
        .catalog
        .table(&change.table)?
        .rows()
        .iter()
        .enumerate()
    {
        let tuple = std::slice::from_ref(&stored.values);
        let rows = Rows::new(tuple, None);
        if run.holds(&condition, &rows)? {
            let row = updated(&stored.values, &sets, &target.schema, run, &rows)?;
            change.updated.push((place, row));
        }
    }
    Ok(change)
}

pub(super) fn delete(
    statement: &Statement,
    delete: &Delete,
    binder: &Binder<'_>,
    run: &Run<'_>,
) -> Result<Change, Refusal> {
    check_statement(statement, "DELETE FROM t WHERE TRUE", |statement| {
        if let Statement::Delete(delete) = statement {
            delete.from = FromTable::WithFromKeyword(Vec::new());
            delete.selection = None;
        }
    })?;
    let Some(selection) = &delete.selection else {
        return Err(Refusal::query("DELETE must have a WHERE clause"));
    };
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table] = tables.as_slice() else {
        return Err(unknown(statement));
    };
    if !table.joins.is_empty() {
        return Err(unknown(statement));
    }
    let (name, alias) = plain(&table.relation)?;
    let target = target(binder, name, alias)?;
    let scope = scope(vec![target.names]);
    let condition = binder.condition_over(&scope, selection, "WHERE clause")?;
    let mut change = Change::of(target.name);
    for (place, stored) in binder
        .catalog
        .table(&change.table)?
        .rows()
        .iter()
        .enumerate()
    {
        let rows = Rows::new(std::slice::from_ref(&stored.values), None);
        if run.holds(&condition, &rows)? {
            change.deleted.push(place);
        }
    }
    Ok(change)
}

/// Takes away every row.
pub(super) fn truncate(name: &ObjectName, binder: &Binder<'_>) -> Result<Change, Refusal> {
    let target = target(binder, name, None)?;
    let mut change = Change::of(target.name);
    change.truncates = true;
    change.deleted = (0..binder.catalog.table(&change.table)?.rows().len()).collect();
    Ok(change)
}

pub(super) fn no_table() -> TableWithJoins {
    TableWithJoins {
        relation: TableFactor::Table {
            name: ObjectName(Vec::new()),
            alias: None,
            args: None,
            with_hints: Vec::new(),
            version: None,
            with_ordinality: false,
            partitions: Vec::new(),
            json_path: None,
            sample: None,
            index_hints: Vec::new(),
        },
        joins: Vec::new(),
    }
}

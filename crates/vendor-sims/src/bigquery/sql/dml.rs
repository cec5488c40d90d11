//! Statements that change rows: `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `TRUNCATE TABLE`.
//!
//! docs.cloud.google.com/bigquery, Data manipulation language. Each is worked out as a whole before
//! anything changes, so that one that fails changes nothing.

use std::cell::Cell;
use std::sync::Arc;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr as Ast, FromTable, Insert, Merge, MergeAction,
    MergeClauseKind, MergeInsertKind, MergeUpdateKind, ObjectName, SetExpr, Statement, TableFactor,
    TableObject, Update, Values,
};

use super::bare::{check_statement, unknown};
use super::cast::coerce;
use super::eval::Rows;
use super::names::{Scope, SourceNames, parts, table_name};
use super::plan::{Expr, Join, JoinKind, Source, Typed};
use super::run::Run;
use super::select::{Binder, columns_of, nulls};
use super::{Changes, Session};
use crate::bigquery::catalog::{Catalog, Content, Field, Mode, Schema, Stored, TableName};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Row, Value, fitted};

/// What a statement does to one table.
pub(super) struct Change {
    pub(super) table: TableName,
    updated: Vec<(usize, Row)>,
    deleted: Vec<usize>,
    inserted: Vec<Row>,
}

impl Change {
    fn of(table: TableName) -> Self {
        Self {
            table,
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
struct Target {
    name: TableName,
    schema: Schema,
    names: SourceNames,
}

fn target(
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
fn plain(factor: &TableFactor) -> Result<(&ObjectName, Option<String>), Refusal> {
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

fn scope(names: Vec<SourceNames>) -> Scope<'static> {
    Scope {
        sources: names,
        outer: None,
        is_correlated: Cell::new(false),
    }
}

/// Takes an expression for a column, or says why it cannot be.
fn assigned(typed: &Typed, field: &Field, verb: &str) -> Result<Expr, Refusal> {
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
fn columns(names: &[ObjectName], schema: &Schema) -> Result<Vec<usize>, Refusal> {
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
fn filled(places: &[usize], values: Vec<Value>, schema: &Schema) -> Result<Row, Refusal> {
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
fn assignments(
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

fn updated(
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
    change.deleted = (0..binder.catalog.table(&change.table)?.rows().len()).collect();
    Ok(change)
}

/// A bound `WHEN` clause.
struct Clause {
    kind: MergeClauseKind,
    condition: Option<Expr>,
    action: Action,
}

enum Action {
    Update(Vec<(usize, Expr)>),
    Delete,
    Insert(Vec<usize>, Vec<Expr>),
}

pub(super) fn merge(
    statement: &Statement,
    merge: &Merge,
    binder: &Binder<'_>,
    run: &Run<'_>,
) -> Result<Change, Refusal> {
    check_statement(
        statement,
        "MERGE INTO t USING s ON TRUE WHEN MATCHED THEN DELETE",
        |statement| {
            if let Statement::Merge(merge) = statement {
                merge.table = no_table().relation;
                merge.source = no_table().relation;
                *merge.on =
                    Ast::Wildcard(sqlparser::ast::helpers::attached_token::AttachedToken::empty());
                merge.clauses.clear();
                merge.into = true;
            }
        },
    )?;
    let (name, alias) = plain(&merge.table)?;
    let target = target(binder, name, alias)?;
    let (relation, source_names) = binder.relation(&merge.source, &Scope::default())?;
    if matches!(relation, super::plan::Relation::Unnest { .. }) {
        return Err(Refusal::query("Syntax error: Unexpected keyword UNNEST"));
    }
    let source = Source {
        relation,
        width: source_names.columns.len(),
        join: Join::Cross,
    };
    let Target {
        name,
        schema,
        names,
    } = target;
    let (target_width, source_width) = (schema.fields.len(), source.width);
    let scope = scope(vec![names, source_names]);
    let Join::On { equal, rest, .. } = binder.on(JoinKind::Inner, &merge.on, &scope)? else {
        return Err(unknown(statement));
    };
    let mut clauses = Vec::new();
    for clause in &merge.clauses {
        clauses.push(bound(clause, &schema, binder, &scope)?);
    }
    let targets: Vec<Vec<Row>> = binder
        .catalog
        .table(&name)?
        .rows()
        .iter()
        .map(|stored| vec![Arc::clone(&stored.values)])
        .collect();
    let rows = run.scan(&source)?;
    let matches = run.matches(&targets, &rows, &equal, rest.as_ref(), None)?;
    let first =
        |kinds: &[MergeClauseKind], around: &Rows<'_>| -> Result<Option<&Action>, Refusal> {
            for clause in clauses.iter().filter(|clause| kinds.contains(&clause.kind)) {
                match &clause.condition {
                    Some(condition) if !run.holds(condition, around)? => {}
                    _ => return Ok(Some(&clause.action)),
                }
            }
            Ok(None)
        };
    let mut change = Change::of(name);
    let mut hit = vec![false; rows.len()];
    for (place, (tuple, found)) in targets.iter().zip(&matches).enumerate() {
        let target = &tuple[0];
        let mut acted = false;
        for &other in found {
            hit[other] = true;
            let pair = [Arc::clone(target), Arc::clone(&rows[other])];
            let around = Rows::new(&pair, None);
            let Some(action) = first(&[MergeClauseKind::Matched], &around)? else {
                continue;
            };
            if std::mem::replace(&mut acted, true) {
                return Err(Refusal::query(
                    "UPDATE/MERGE must match at most one source row for each target row",
                ));
            }
            change.act(action, place, target, &schema, run, &around)?;
        }
        if found.is_empty() {
            let pair = [Arc::clone(target), nulls(source_width)];
            let around = Rows::new(&pair, None);
            if let Some(action) = first(&[MergeClauseKind::NotMatchedBySource], &around)? {
                change.act(action, place, target, &schema, run, &around)?;
            }
        }
    }
    let nothing = nulls(target_width);
    for (row, _) in rows.iter().zip(hit).filter(|(_, hit)| !hit) {
        let pair = [Arc::clone(&nothing), Arc::clone(row)];
        let around = Rows::new(&pair, None);
        let kinds = [
            MergeClauseKind::NotMatched,
            MergeClauseKind::NotMatchedByTarget,
        ];
        if let Some(Action::Insert(places, exprs)) = first(&kinds, &around)? {
            let values: Result<Vec<_>, _> =
                exprs.iter().map(|expr| run.eval(expr, &around)).collect();
            change.inserted.push(filled(places, values?, &schema)?);
        }
    }
    Ok(change)
}

impl Change {
    fn act(
        &mut self,
        action: &Action,
        place: usize,
        row: &Row,
        schema: &Schema,
        run: &Run<'_>,
        around: &Rows<'_>,
    ) -> Result<(), Refusal> {
        match action {
            Action::Update(sets) => {
                let row = updated(row, sets, schema, run, around)?;
                self.updated.push((place, row));
            }
            Action::Delete => self.deleted.push(place),
            Action::Insert(..) => {}
        }
        Ok(())
    }
}

fn bound(
    clause: &sqlparser::ast::MergeClause,
    schema: &Schema,
    binder: &Binder<'_>,
    scope: &Scope<'_>,
) -> Result<Clause, Refusal> {
    let condition = clause
        .predicate
        .as_ref()
        .map(|ast| binder.condition_over(scope, ast, "WHEN clause"))
        .transpose()?;
    let inserts = matches!(
        clause.clause_kind,
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget
    );
    let action = match &clause.action {
        MergeAction::Update(update) if !inserts => {
            if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                return Err(unknown(clause));
            }
            let MergeUpdateKind::Set(sets) = &update.kind else {
                return Err(unknown(clause));
            };
            Action::Update(assignments(sets, schema, binder, scope)?)
        }
        MergeAction::Delete { .. } if !inserts => Action::Delete,
        MergeAction::Insert(insert) if inserts && insert.insert_predicate.is_none() => {
            let places = columns(&insert.columns, schema)?;
            let typed: Vec<Typed> = match &insert.kind {
                MergeInsertKind::Values(Values { rows, .. }) => {
                    let [row] = rows.as_slice() else {
                        return Err(unknown(clause));
                    };
                    let values: Result<_, _> = row
                        .content
                        .iter()
                        .map(|ast| binder.over(scope, ast))
                        .collect();
                    values?
                }
                MergeInsertKind::Row => {
                    let all = 0..scope.sources[1].columns.len();
                    all.map(|place| scope.column(0, 1, place)).collect()
                }
                MergeInsertKind::Wildcard => return Err(unknown(clause)),
            };
            if typed.len() != places.len() {
                return Err(Refusal::query(format!(
                    "Inserted row has wrong column count; Has {}, expected {}",
                    typed.len(),
                    places.len()
                )));
            }
            let exprs: Result<Vec<_>, _> = typed
                .iter()
                .zip(&places)
                .map(|(typed, place)| {
                    assigned(typed, &schema.fields[*place], "inserted into column")
                })
                .collect();
            Action::Insert(places, exprs?)
        }
        _ => return Err(unknown(clause)),
    };
    Ok(Clause {
        kind: clause.clause_kind,
        condition,
        action,
    })
}

fn no_table() -> sqlparser::ast::TableWithJoins {
    sqlparser::ast::TableWithJoins {
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

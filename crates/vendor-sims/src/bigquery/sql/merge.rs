//! `MERGE`.

use std::sync::Arc;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Expr as Ast, Merge, MergeAction, MergeClauseKind, MergeInsertKind, MergeUpdateKind, Statement,
    Values,
};

use super::bare::{check_statement, unknown};
use super::dml::{
    Change, Target, assigned, assignments, columns, filled, no_table, plain, scope as scope_of,
    target, updated,
};
use super::eval::Rows;
use super::from::nulls;
use super::names::{Scope, SourceNames};
use super::plan::{Expr, Join, JoinKind, Relation, Source, Typed};
use super::run::Run;
use super::select::Binder;
use crate::bigquery::catalog::Schema;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::Row;

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
                *merge.on = Ast::Wildcard(AttachedToken::empty());
                merge.clauses.clear();
                merge.into = true;
            }
        },
    )?;
    let (name, alias) = plain(&merge.table)?;
    let target = target(binder, name, alias)?;
    let (relation, source_names) = binder.relation(&merge.source, &Scope::default())?;
    if matches!(relation, Relation::Unnest { .. }) {
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
    let scope = scope_of(vec![names, source_names]);
    let Join::On { equal, rest, .. } = binder.on(JoinKind::Inner, &merge.on, &scope)? else {
        return Err(unknown(statement));
    };
    // A clause for rows of one side alone does not see the other.
    let hidden = || SourceNames::new(None, Vec::new());
    let of_target = scope_of(vec![scope.sources[0].clone(), hidden()]);
    let of_source = scope_of(vec![hidden(), scope.sources[1].clone()]);
    let mut clauses = Vec::new();
    for clause in &merge.clauses {
        let seen = match clause.clause_kind {
            MergeClauseKind::Matched => &scope,
            MergeClauseKind::NotMatchedBySource => &of_target,
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => &of_source,
        };
        clauses.push(bound(clause, &schema, binder, seen)?);
    }
    let targets = binder.catalog.table(&name)?.rows();
    let rows = run.scan(&source)?;
    let index = run.index(&rows, 1, &equal, rest.as_ref(), None)?;
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
    // Most rows of a target are alone.
    let looks_at_those_alone = clauses
        .iter()
        .any(|clause| clause.kind == MergeClauseKind::NotMatchedBySource);
    let no_source = nulls(source_width);
    let mut found = Vec::new();
    for (place, stored) in targets.iter().enumerate() {
        let target = &stored.values;
        run.find(&index, std::slice::from_ref(target), None, &mut found)?;
        let mut acted = false;
        for &other in &found {
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
        if found.is_empty() && looks_at_those_alone {
            let pair = [Arc::clone(target), Arc::clone(&no_source)];
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

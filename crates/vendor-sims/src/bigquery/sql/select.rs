//! Queries: what stands in `FROM`, how it joins, what is grouped, shown and sorted.

use std::cell::RefCell;
use std::sync::Arc;

use sqlparser::ast::{
    Distinct, Expr as Ast, LimitClause, OrderByExpr, OrderByKind, Query as QueryAst,
    Select as SelectAst, SetExpr, SetOperator, SetQuantifier,
};

use super::Session;
use super::bare::{check_query, check_select, unknown};
use super::bind::{Expressions, Place};
use super::calls::direction;
use super::cast::{coerce, common};
use super::groups::{group_keys, has_aggregate};
use super::names::Scope;
use super::plan::{Body, Expr, Grouping, Order, Output, Query, Select, Typed};
use super::projection::{named, output_place};
use crate::bigquery::catalog::{Catalog, TableName};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::Type;

/// Binds queries against what is stored.
pub(super) struct Binder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) session: &'a Session,
    /// Common table expressions in view, the nearest last.
    pub(super) ctes: RefCell<Vec<(String, Arc<Query>)>>,
    pub(super) views: usize,
    /// Every table that was looked at.
    pub(super) tables: RefCell<Vec<TableName>>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(catalog: &'a Catalog, session: &'a Session) -> Self {
        Self {
            catalog,
            session,
            ctes: RefCell::default(),
            views: 0,
            tables: RefCell::default(),
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Result<Typed, Refusal> {
        let found = self
            .session
            .parameters
            .iter()
            .find(|(given, _, _)| given.eq_ignore_ascii_case(name));
        match found {
            Some((_, kind, value)) => Ok(Typed {
                expr: Expr::Parameter(value.clone()),
                kind: kind.clone(),
            }),
            None => Err(Refusal::query(format!(
                "Query parameter '{name}' not found"
            ))),
        }
    }

    /// Binds a query that stands in another one, or on its own.
    pub(super) fn query(
        &self,
        ast: &QueryAst,
        outer: Option<&Scope<'_>>,
    ) -> Result<Query, Refusal> {
        check_query(ast)?;
        let mark = self.ctes.borrow().len();
        let bound = self.with(ast).and_then(|()| self.body(ast, outer));
        self.ctes.borrow_mut().truncate(mark);
        bound
    }

    fn with(&self, ast: &QueryAst) -> Result<(), Refusal> {
        let Some(with) = &ast.with else {
            return Ok(());
        };
        if with.recursive {
            return Err(unknown("WITH RECURSIVE"));
        }
        for cte in &with.cte_tables {
            if cte.from.is_some() || cte.materialized.is_some() || !cte.alias.columns.is_empty() {
                return Err(unknown(cte));
            }
            let query = Arc::new(self.query(&cte.query, None)?);
            self.ctes
                .borrow_mut()
                .push((cte.alias.name.value.clone(), query));
        }
        Ok(())
    }

    fn body(&self, ast: &QueryAst, outer: Option<&Scope<'_>>) -> Result<Query, Refusal> {
        let order: &[OrderByExpr] = match &ast.order_by {
            None => &[],
            Some(order) => match &order.kind {
                OrderByKind::Expressions(terms) if order.interpolate.is_none() => terms,
                _ => return Err(unknown(order)),
            },
        };
        let (limit, offset) = self.limit(ast.limit_clause.as_ref())?;
        let mut query = match ast.body.as_ref() {
            SetExpr::Select(select) => self.select(select, order, outer)?,
            SetExpr::Query(inner) => {
                let inner = self.query(inner, outer)?;
                self.around(vec![inner], false, order)?
            }
            SetExpr::SetOperation { .. } => {
                let (parts, distinct) = self.union(&ast.body, outer)?;
                self.around(parts, distinct, order)?
            }
            other => return Err(unknown(other)),
        };
        query.limit = limit;
        query.offset = offset;
        Ok(query)
    }

    fn limit(&self, clause: Option<&LimitClause>) -> Result<(Option<Expr>, Option<Expr>), Refusal> {
        let (limit, offset) = match clause {
            None => return Ok((None, None)),
            Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            }) if limit_by.is_empty() => (limit.as_ref(), offset.as_ref().map(|it| &it.value)),
            Some(other) => return Err(unknown(other)),
        };
        let count = |ast: &Ast| {
            let typed = self.alone(ast)?;
            coerce(&typed, &Type::Int64).ok_or_else(|| Refusal::query("LIMIT expects an INT64"))
        };
        Ok((
            limit.map(count).transpose()?,
            offset.map(count).transpose()?,
        ))
    }

    /// Binds an expression that stands outside of any query.
    pub(super) fn alone(&self, ast: &Ast) -> Result<Typed, Refusal> {
        self.over(&Scope::default(), ast)
    }

    /// Binds an expression over the rows of a scope.
    pub(super) fn over(&self, scope: &Scope<'_>, ast: &Ast) -> Result<Typed, Refusal> {
        let windows = RefCell::default();
        let expressions = Expressions {
            binder: self,
            scope,
            aliases: Vec::new(),
            grouping: None,
            windows: &windows,
        };
        expressions.rows(ast)
    }

    /// Binds a condition over the rows of a scope.
    pub(super) fn condition_over(
        &self,
        scope: &Scope<'_>,
        ast: &Ast,
        what: &str,
    ) -> Result<Expr, Refusal> {
        let typed = self.over(scope, ast)?;
        coerce(&typed, &Type::Bool).ok_or_else(|| {
            Refusal::query(format!(
                "{what} should return type BOOL, but returns {}",
                typed.kind
            ))
        })
    }

    fn union(
        &self,
        body: &SetExpr,
        outer: Option<&Scope<'_>>,
    ) -> Result<(Vec<Query>, bool), Refusal> {
        match body {
            SetExpr::SetOperation {
                left,
                op: SetOperator::Union,
                set_quantifier: quantifier @ (SetQuantifier::All | SetQuantifier::Distinct),
                right,
            } => {
                let distinct = *quantifier == SetQuantifier::Distinct;
                let (mut parts, left_distinct) = self.union(left, outer)?;
                if parts.len() > 1 && left_distinct != distinct {
                    return Err(unknown(
                        "UNION ALL beside UNION DISTINCT without parentheses",
                    ));
                }
                let (right, _) = self.union(right, outer)?;
                parts.extend(right);
                Ok((parts, distinct))
            }
            SetExpr::Select(select) => Ok((vec![self.select(select, &[], outer)?], false)),
            SetExpr::Query(query) => Ok((vec![self.query(query, outer)?], false)),
            other => Err(unknown(other)),
        }
    }

    /// Puts queries with as many columns together; sorts by their columns.
    fn around(
        &self,
        mut parts: Vec<Query>,
        distinct: bool,
        order: &[OrderByExpr],
    ) -> Result<Query, Refusal> {
        let mut columns = parts[0].columns.clone();
        for part in &parts[1..] {
            if part.columns.len() != columns.len() {
                return Err(Refusal::query(
                    "Queries in UNION have mismatched column count",
                ));
            }
            for (column, other) in columns.iter_mut().zip(&part.columns) {
                column.kind = common(&column.kind, &other.kind).ok_or_else(|| {
                    Refusal::query(format!(
                        "Column {} in UNION has incompatible types: {}, {}",
                        column.name, column.kind, other.kind
                    ))
                })?;
            }
        }
        for part in &mut parts {
            let Body::Select(select) = &mut part.body else {
                let same = part
                    .columns
                    .iter()
                    .zip(&columns)
                    .all(|(is, to)| is.kind == to.kind);
                if same {
                    continue;
                }
                return Err(unknown("a nested UNION of columns of different types"));
            };
            let shown = part.columns.iter_mut().zip(&columns);
            for ((is, to), expr) in shown.zip(&mut select.projection) {
                if is.kind != to.kind {
                    let typed = Typed {
                        expr: expr.clone(),
                        kind: is.kind.clone(),
                    };
                    if let Some(coerced) = coerce(&typed, &to.kind) {
                        *expr = coerced;
                    }
                    is.kind = to.kind.clone();
                }
            }
        }
        let mut terms = Vec::new();
        for term in order {
            let place = output_place(&term.expr, &columns)
                .ok_or_else(|| unknown("an ORDER BY behind UNION that is no column of it"))?;
            terms.push(Order {
                place,
                direction: direction(term)?,
            });
        }
        let is_correlated = parts.iter().any(|part| part.is_correlated);
        Ok(Query {
            body: Body::Union { parts, distinct },
            columns,
            order: terms,
            limit: None,
            offset: None,
            is_correlated,
        })
    }

    fn select(
        &self,
        ast: &SelectAst,
        order: &[OrderByExpr],
        outer: Option<&Scope<'_>>,
    ) -> Result<Query, Refusal> {
        check_select(ast)?;
        let (mut from, scope) = self.from(&ast.from, outer)?;
        let windows = RefCell::default();
        let plain = Expressions {
            binder: self,
            scope: &scope,
            aliases: Vec::new(),
            grouping: None,
            windows: &windows,
        };
        let filter = ast
            .selection
            .as_ref()
            .map(|ast| plain.condition(ast, Place::Rows, "WHERE clause"))
            .transpose()?;
        let aliases: Vec<_> = ast.projection.iter().filter_map(named).collect();
        let keys = group_keys(ast, &plain, &aliases)?;
        let is_grouped =
            !keys.is_empty() || ast.having.is_some() || ast.projection.iter().any(has_aggregate);
        let grouping = RefCell::new(Grouping {
            keys,
            aggregates: Vec::new(),
        });
        let expressions = Expressions {
            aliases,
            grouping: is_grouped.then_some(&grouping),
            ..plain
        };
        let (mut columns, mut projection) = (Vec::new(), Vec::new());
        // The items of the list see the columns, not each other.
        let items = Expressions {
            aliases: Vec::new(),
            ..expressions
        };
        for item in &ast.projection {
            items.item(item, &mut columns, &mut projection)?;
        }
        let having = ast
            .having
            .as_ref()
            .map(|ast| expressions.condition(ast, Place::Groups, "HAVING clause"))
            .transpose()?;
        let qualify = ast
            .qualify
            .as_ref()
            .map(|ast| expressions.condition(ast, Place::Output, "QUALIFY clause"))
            .transpose()?;
        let distinct = ast.distinct == Some(Distinct::Distinct);
        if distinct
            && columns
                .iter()
                .any(|column: &Output| !column.kind.has_order())
        {
            return Err(Refusal::query(
                "SELECT DISTINCT of this type is not allowed",
            ));
        }
        let shown = projection.len();
        let mut terms = Vec::new();
        for term in order {
            let place = match output_place(&term.expr, &columns) {
                Some(place) => place,
                None if distinct => {
                    return Err(Refusal::query(
                        "ORDER BY clause expression references a column which is not visible after SELECT DISTINCT",
                    ));
                }
                None => {
                    let typed = expressions.bind(&term.expr, Place::Output)?;
                    if !typed.kind.has_order() {
                        return Err(Refusal::query(format!(
                            "ORDER BY does not support expressions of type {}",
                            typed.kind
                        )));
                    }
                    projection.push(typed.expr);
                    projection.len() - 1
                }
            };
            terms.push(Order {
                place,
                direction: direction(term)?,
            });
        }
        drop(expressions);
        for (source, names) in from.iter_mut().zip(&scope.sources) {
            if names.uses_pseudo.get() {
                source.width += names.pseudo.len();
            }
        }
        let select = Select {
            from,
            filter,
            grouping: is_grouped.then(|| grouping.into_inner()),
            having,
            windows: windows.into_inner(),
            qualify,
            projection,
            shown,
            distinct,
        };
        Ok(Query {
            body: Body::Select(Box::new(select)),
            columns,
            order: terms,
            limit: None,
            offset: None,
            is_correlated: scope.is_correlated.get(),
        })
    }
}

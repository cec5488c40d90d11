//! Queries: what stands in `FROM`, how it joins, what is grouped, shown and sorted.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use sqlparser::ast::{
    Distinct, Expr as Ast, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause,
    OrderByExpr, OrderByKind, Query as QueryAst, Select as SelectAst, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableAlias, TableFactor,
    Value as Literal, WildcardAdditionalOptions,
};

use super::Session;
use super::bare::{check_query, check_select, unknown};
use super::bind::{Expressions, Place, direction};
use super::cast::{coerce, common};
use super::information_schema;
use super::names::{Scope, SourceNames, parts, table_name};
use super::plan::{
    Body, Comparison, Expr, Grouping, Join, JoinKind, Order, Output, Query, Relation, Select,
    Source, Typed,
};
use crate::bigquery::catalog::{Catalog, Content, Partitioning, TableName};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Type, Value};

/// Views may show views, to this depth.
const DEEPEST_VIEW: usize = 16;

/// Binds queries against what is stored.
pub(super) struct Binder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) session: &'a Session,
    /// Common table expressions in view, the nearest last.
    ctes: RefCell<Vec<(String, Arc<Query>)>>,
    views: usize,
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

    /// Binds the items of a `FROM` clause.
    pub(super) fn from<'s>(
        &self,
        items: &[sqlparser::ast::TableWithJoins],
        outer: Option<&'s Scope<'s>>,
    ) -> Result<(Vec<Source>, Scope<'s>), Refusal> {
        let mut scope = Scope {
            sources: Vec::new(),
            outer,
            is_correlated: Cell::new(false),
        };
        let mut sources = Vec::new();
        for item in items {
            let (relation, names) = self.relation(&item.relation, &scope)?;
            push(&mut sources, &mut scope, relation, names)?;
            for join in &item.joins {
                if join.global {
                    return Err(unknown(join));
                }
                let (relation, names) = self.relation(&join.relation, &scope)?;
                push(&mut sources, &mut scope, relation, names)?;
                let (kind, constraint) = match &join.join_operator {
                    JoinOperator::Join(on) | JoinOperator::Inner(on) => (JoinKind::Inner, on),
                    JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (JoinKind::Left, on),
                    JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (JoinKind::Right, on),
                    JoinOperator::FullOuter(on) => (JoinKind::Full, on),
                    JoinOperator::CrossJoin(JoinConstraint::None) => continue,
                    _ => return Err(unknown(join)),
                };
                let joined = match constraint {
                    JoinConstraint::On(on) => self.on(kind, on, &scope)?,
                    JoinConstraint::Using(columns) => {
                        let columns: Result<Vec<_>, _> = columns.iter().map(parts).collect();
                        self.using(kind, &columns?, &mut scope)?
                    }
                    _ => return Err(unknown(join)),
                };
                if let Some(source) = sources.last_mut() {
                    source.join = joined;
                }
            }
        }
        Ok((sources, scope))
    }

    /// Splits a condition into pairs that can be looked up and what else it says.
    pub(super) fn on(&self, kind: JoinKind, on: &Ast, scope: &Scope<'_>) -> Result<Join, Refusal> {
        let condition = self.condition_over(scope, on, "JOIN ON clause")?;
        let right = scope.sources.len() - 1;
        let (mut equal, mut rest) = (Vec::new(), None::<Expr>);
        let mut open = vec![condition];
        while let Some(part) = open.pop() {
            match part {
                Expr::And(first, second) => open.extend([*second, *first]),
                Expr::Compare(Comparison::Equal, one, other)
                    if is_of(&one, right) == Some(false) && is_of(&other, right) == Some(true) =>
                {
                    equal.push((*one, *other));
                }
                Expr::Compare(Comparison::Equal, one, other)
                    if is_of(&one, right) == Some(true) && is_of(&other, right) == Some(false) =>
                {
                    equal.push((*other, *one));
                }
                part => {
                    rest = Some(match rest {
                        None => part,
                        Some(rest) => Expr::And(Box::new(rest), Box::new(part)),
                    });
                }
            }
        }
        Ok(Join::On { kind, equal, rest })
    }

    fn using(
        &self,
        kind: JoinKind,
        columns: &[Vec<String>],
        scope: &mut Scope<'_>,
    ) -> Result<Join, Refusal> {
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Err(unknown("USING of a RIGHT or FULL JOIN"));
        }
        let right = scope.sources.len() - 1;
        let mut equal = Vec::new();
        for column in columns {
            let [name] = column.as_slice() else {
                return Err(unknown("a name of several parts in USING"));
            };
            let find = |sources: std::ops::Range<usize>| {
                sources.into_iter().find_map(|source| {
                    let columns = &scope.sources[source].columns;
                    let place = columns
                        .iter()
                        .position(|it| it.name.eq_ignore_ascii_case(name))?;
                    Some(scope.column(0, source, place))
                })
            };
            let (Some(left), Some(other)) = (find(0..right), find(right..right + 1)) else {
                return Err(Refusal::query(format!(
                    "Column {name} in USING clause not found on both sides of join"
                )));
            };
            let kind = common(&left.kind, &other.kind);
            let pair = kind.and_then(|kind| Some((coerce(&left, &kind)?, coerce(&other, &kind)?)));
            equal.push(pair.ok_or_else(|| {
                Refusal::query(format!(
                    "Column {name} in USING has incompatible types on either side of the join"
                ))
            })?);
            scope.sources[right].merged.push(name.clone());
        }
        Ok(Join::On {
            kind,
            equal,
            rest: None,
        })
    }

    /// Binds one item of a `FROM` clause; `before` is what stands before it.
    pub(super) fn relation(
        &self,
        factor: &TableFactor,
        before: &Scope<'_>,
    ) -> Result<(Relation, SourceNames), Refusal> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let alias = plain_alias(alias.as_ref())?;
                let parts = parts(name)?;
                if let [only] = parts.as_slice()
                    && let Some((_, query)) = self
                        .ctes
                        .borrow()
                        .iter()
                        .rev()
                        .find(|(cte, _)| cte.eq_ignore_ascii_case(only))
                {
                    let columns = query.columns.clone();
                    let names = SourceNames::new(alias.or_else(|| Some(only.clone())), columns);
                    return Ok((Relation::Derived(Arc::clone(query)), names));
                }
                if let Some((rows, columns)) =
                    information_schema::relation(&parts, self.catalog, self.session)?
                {
                    return Ok((Relation::Known(rows), SourceNames::new(alias, columns)));
                }
                let name = table_name(name, self.session)?;
                self.table(name, alias)
            }
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                sample: None,
            } => {
                let query = self.query(subquery, None)?;
                let names = SourceNames::new(plain_alias(alias.as_ref())?, query.columns.clone());
                Ok((Relation::Derived(Arc::new(query)), names))
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset,
                with_offset_alias,
                with_ordinality: false,
            } => {
                let [array] = array_exprs.as_slice() else {
                    return Err(unknown("UNNEST of several arrays"));
                };
                let array = self.over(before, array)?;
                let alias = plain_alias(alias.as_ref())?;
                unnest(
                    array,
                    alias,
                    with_offset.then_some(with_offset_alias.as_ref()),
                )
            }
            other => Err(unknown(other)),
        }
    }

    fn table(
        &self,
        name: TableName,
        alias: Option<String>,
    ) -> Result<(Relation, SourceNames), Refusal> {
        let location = &self.catalog.dataset(&name.project, &name.dataset)?.location;
        self.session.check_location(&name, location)?;
        let table = self.catalog.table(&name).map_err(|refusal| {
            let place = self.session.location.as_deref().unwrap_or("US");
            Refusal::not_found(format!(
                "{} was not found in location {place}",
                refusal.message
            ))
        })?;
        self.tables.borrow_mut().push(name.clone());
        let alias = alias.or_else(|| Some(name.table.clone()));
        if let Content::View(sql) = &table.content {
            if self.views >= DEEPEST_VIEW {
                return Err(Refusal::query(format!(
                    "Views are nested too deeply at {name}"
                )));
            }
            let session = Session {
                parameters: Vec::new(),
                default_dataset: None,
                project: name.project.clone(),
                ..self.session.clone()
            };
            let inner = Binder {
                views: self.views + 1,
                ..Binder::new(self.catalog, &session)
            };
            let query = super::view_query(sql)?;
            let query = inner.query(&query, None)?;
            self.tables.borrow_mut().extend(inner.tables.take());
            let names = SourceNames::new(alias, query.columns.clone());
            return Ok((Relation::Derived(Arc::new(query)), names));
        }
        let mut names = SourceNames::new(alias, columns_of(&table.schema));
        if let Partitioning::Ingestion(unit) = &table.partitioning {
            names.pseudo.push(Output {
                name: "_PARTITIONTIME".to_owned(),
                kind: Type::Timestamp,
            });
            if unit == "DAY" {
                names.pseudo.push(Output {
                    name: "_PARTITIONDATE".to_owned(),
                    kind: Type::Date,
                });
            }
        }
        Ok((Relation::Table(name), names))
    }
}

/// The columns of a table as a query sees them.
pub(super) fn columns_of(schema: &crate::bigquery::catalog::Schema) -> Vec<Output> {
    schema
        .fields
        .iter()
        .map(|field| Output {
            name: field.name.clone(),
            kind: field.kind(),
        })
        .collect()
}

fn unnest(
    array: Typed,
    alias: Option<String>,
    offset: Option<Option<&Ident>>,
) -> Result<(Relation, SourceNames), Refusal> {
    let Type::Array(element) = &array.kind else {
        return Err(Refusal::query(format!(
            "Values referenced in UNNEST must be arrays. UNNEST contains expression of type {}",
            array.kind
        )));
    };
    let mut columns = match element.as_ref() {
        Type::Struct(fields) => fields
            .iter()
            .map(|(name, kind)| Output {
                name: name.clone(),
                kind: kind.clone(),
            })
            .collect(),
        kind => vec![Output {
            name: alias.clone().unwrap_or_default(),
            kind: kind.clone(),
        }],
    };
    if let Some(name) = offset {
        columns.push(Output {
            name: name.map_or_else(|| "offset".to_owned(), |name| name.value.clone()),
            kind: Type::Int64,
        });
    }
    let relation = Relation::Unnest {
        array: array.expr,
        offset: offset.is_some(),
    };
    Ok((relation, SourceNames::new(alias, columns)))
}

fn push(
    sources: &mut Vec<Source>,
    scope: &mut Scope<'_>,
    relation: Relation,
    names: SourceNames,
) -> Result<(), Refusal> {
    if let Some(alias) = &names.alias {
        let taken = scope
            .sources
            .iter()
            .filter_map(|source| source.alias.as_deref());
        if taken
            .into_iter()
            .any(|taken| taken.eq_ignore_ascii_case(alias))
        {
            return Err(Refusal::query(format!(
                "Duplicate table alias {alias} in the same FROM clause"
            )));
        }
    }
    sources.push(Source {
        relation,
        width: names.columns.len(),
        join: Join::Cross,
    });
    scope.sources.push(names);
    Ok(())
}

fn plain_alias(alias: Option<&TableAlias>) -> Result<Option<String>, Refusal> {
    match alias {
        None => Ok(None),
        Some(alias) if alias.columns.is_empty() && alias.at.is_none() => {
            Ok(Some(alias.name.value.clone()))
        }
        Some(alias) => Err(unknown(format!("the alias {alias}"))),
    }
}

/// Whether an expression is of one source alone, or of the others alone; none where it is of both,
/// of neither, or cannot be told.
fn is_of(expr: &Expr, source: usize) -> Option<bool> {
    match expr {
        Expr::Column {
            depth: 0,
            source: is,
            ..
        } => Some(*is == source),
        Expr::Cast { expr, .. } | Expr::Field(expr, _) => is_of(expr, source),
        Expr::Call(_, arguments) => {
            let mut of = None;
            for argument in arguments {
                match (argument, is_of(argument, source), of) {
                    (Expr::Literal(_) | Expr::Parameter(_), ..) => {}
                    (_, Some(is), None) => of = Some(is),
                    (_, Some(is), Some(was)) if is == was => {}
                    _ => return None,
                }
            }
            of
        }
        _ => None,
    }
}

fn named(item: &SelectItem) -> Option<(String, &Ast)> {
    match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((alias.value.clone(), expr)),
        _ => None,
    }
}

fn group_keys(
    ast: &SelectAst,
    plain: &Expressions<'_>,
    aliases: &[(String, &Ast)],
) -> Result<Vec<Typed>, Refusal> {
    let GroupByExpr::Expressions(terms, _) = &ast.group_by else {
        return Err(unknown("GROUP BY ALL"));
    };
    let mut keys = Vec::new();
    for term in terms {
        let ordinal = match term {
            Ast::Value(value) => match &value.value {
                Literal::Number(number, false) => number.parse::<usize>().ok(),
                _ => None,
            },
            _ => None,
        };
        let stands_for = match (ordinal, term) {
            (Some(ordinal), _) => {
                let item = ordinal.checked_sub(1).and_then(|at| ast.projection.get(at));
                match item {
                    Some(
                        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. },
                    ) => expr,
                    _ => {
                        return Err(Refusal::query(format!(
                            "GROUP BY is out of SELECT column number range: {ordinal}"
                        )));
                    }
                }
            }
            (None, Ast::Identifier(name)) => aliases
                .iter()
                .find(|(alias, _)| alias.eq_ignore_ascii_case(&name.value))
                .map_or(term, |(_, ast)| ast),
            _ => term,
        };
        let key = plain.rows(stands_for)?;
        if !key.kind.has_order() {
            return Err(Refusal::query(format!(
                "Grouping by expressions of type {} is not allowed",
                key.kind
            )));
        }
        keys.push(key);
    }
    Ok(keys)
}

/// Whether an item calls an aggregate outside of a window.
fn has_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr),
        _ => false,
    }
}

fn aggregates(ast: &Ast) -> bool {
    use sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    match ast {
        Ast::Function(call) => {
            let is_one = call.over.is_none()
                && super::bind::aggregate_function(&call.name.to_string().to_ascii_uppercase())
                    .is_some();
            let inner = match &call.args {
                FunctionArguments::List(list) if call.over.is_none() => list.args.as_slice(),
                _ => &[],
            };
            is_one
                || inner.iter().any(|argument| {
                    matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(ast)) if aggregates(ast))
                })
        }
        Ast::Nested(inner)
        | Ast::IsNull(inner)
        | Ast::IsNotNull(inner)
        | Ast::IsTrue(inner)
        | Ast::IsFalse(inner)
        | Ast::IsNotTrue(inner)
        | Ast::IsNotFalse(inner)
        | Ast::UnaryOp { expr: inner, .. }
        | Ast::Cast { expr: inner, .. } => aggregates(inner),
        Ast::BinaryOp { left, right, .. }
        | Ast::IsDistinctFrom(left, right)
        | Ast::IsNotDistinctFrom(left, right) => aggregates(left) || aggregates(right),
        Ast::Between {
            expr, low, high, ..
        } => aggregates(expr) || aggregates(low) || aggregates(high),
        Ast::InList { expr, list, .. } => aggregates(expr) || list.iter().any(aggregates),
        Ast::Case {
            operand,
            conditions,
            else_result,
            ..
        } => {
            operand.as_deref().is_some_and(aggregates)
                || else_result.as_deref().is_some_and(aggregates)
                || conditions
                    .iter()
                    .any(|it| aggregates(&it.condition) || aggregates(&it.result))
        }
        _ => false,
    }
}

/// The column of the result that a term of an `ORDER BY` names.
fn output_place(ast: &Ast, columns: &[Output]) -> Option<usize> {
    match ast {
        Ast::Identifier(name) => {
            let mut found = columns
                .iter()
                .enumerate()
                .filter(|(_, column)| column.name.eq_ignore_ascii_case(&name.value));
            let (place, _) = found.next()?;
            found.next().is_none().then_some(place)
        }
        Ast::Value(value) => match &value.value {
            Literal::Number(number, false) => {
                let ordinal: usize = number.parse().ok()?;
                (1..=columns.len()).contains(&ordinal).then(|| ordinal - 1)
            }
            _ => None,
        },
        _ => None,
    }
}

impl Expressions<'_> {
    /// Binds one item of a select list.
    fn item(
        &self,
        item: &SelectItem,
        columns: &mut Vec<Output>,
        projection: &mut Vec<Expr>,
    ) -> Result<(), Refusal> {
        let mut add = |name: String, typed: Typed| {
            columns.push(Output {
                name,
                kind: typed.kind,
            });
            projection.push(typed.expr);
        };
        match item {
            SelectItem::UnnamedExpr(ast) => {
                let typed = self.bind(ast, Place::Output)?;
                let name = match ast {
                    Ast::Identifier(name) if !name.value.starts_with('@') => name.value.clone(),
                    Ast::CompoundIdentifier(parts) => parts
                        .last()
                        .map(|part| part.value.clone())
                        .unwrap_or_default(),
                    _ => String::new(),
                };
                add(name, typed);
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let typed = self.bind(expr, Place::Output)?;
                add(alias.value.clone(), typed);
            }
            SelectItem::Wildcard(options) => {
                let all = 0..self.scope.sources.len();
                self.wildcard(options, all, &mut add)?;
            }
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) => {
                let name = parts(name)?.join(".");
                let found = self.scope.sources.iter().position(|source| {
                    source
                        .alias
                        .as_deref()
                        .is_some_and(|alias| alias.eq_ignore_ascii_case(&name))
                });
                let Some(source) = found else {
                    return Err(Refusal::query(format!("Unrecognized name: {name}")));
                };
                self.wildcard(options, source..source + 1, &mut add)?;
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn wildcard(
        &self,
        options: &WildcardAdditionalOptions,
        sources: std::ops::Range<usize>,
        add: &mut impl FnMut(String, Typed),
    ) -> Result<(), Refusal> {
        let WildcardAdditionalOptions {
            opt_ilike: None,
            opt_exclude: None,
            opt_except,
            opt_replace,
            opt_rename: None,
            opt_alias: None,
            ..
        } = options
        else {
            return Err(unknown(options));
        };
        if self.grouping.is_some() {
            return Err(Refusal::query(
                "Star expansion expression references columns which are neither grouped nor aggregated",
            ));
        }
        if self.scope.sources.is_empty() {
            return Err(Refusal::query("SELECT * must have a FROM clause"));
        }
        let mut except: Vec<&Ident> = opt_except
            .iter()
            .flat_map(|except| {
                std::iter::once(&except.first_element).chain(&except.additional_elements)
            })
            .collect();
        let is_several = sources.len() > 1;
        for source in sources {
            let names = &self.scope.sources[source];
            for (place, column) in names.columns.iter().enumerate() {
                let left_out = opt_except.iter().any(|except| {
                    std::iter::once(&except.first_element)
                        .chain(&except.additional_elements)
                        .any(|name| name.value.eq_ignore_ascii_case(&column.name))
                });
                let merged = is_several
                    && names
                        .merged
                        .iter()
                        .any(|name| name.eq_ignore_ascii_case(&column.name));
                if left_out || merged {
                    except.retain(|name| !name.value.eq_ignore_ascii_case(&column.name));
                    continue;
                }
                let replaced = opt_replace
                    .iter()
                    .flat_map(|replace| &replace.items)
                    .find(|item| item.column_name.value.eq_ignore_ascii_case(&column.name));
                let typed = match replaced {
                    Some(item) => self.bind(&item.expr, Place::Output)?,
                    None => self.scope.column(0, source, place),
                };
                add(column.name.clone(), typed);
            }
        }
        match except.first() {
            None => Ok(()),
            Some(name) => Err(Refusal::query(format!(
                "Column {} in SELECT * EXCEPT list does not exist",
                name.value
            ))),
        }
    }
}

/// Names the columns that have none, as the vendor does.
pub(super) fn name_columns(columns: &mut [Output]) {
    let unnamed = columns.iter_mut().filter(|column| column.name.is_empty());
    for (number, column) in unnamed.enumerate() {
        column.name = format!("f{number}_");
    }
}

/// Refuses a result in which two columns have one name.
pub(super) fn check_unique(columns: &[Output]) -> Result<(), Refusal> {
    let mut seen = std::collections::HashSet::new();
    for column in columns {
        if !seen.insert(column.name.to_ascii_lowercase()) {
            return Err(Refusal::query(format!(
                "Duplicate column names in the result are not supported. Found duplicate(s): {}",
                column.name
            )));
        }
    }
    Ok(())
}

/// A row of nulls.
pub(super) fn nulls(width: usize) -> crate::bigquery::value::Row {
    std::iter::repeat_n(Value::Null, width).collect()
}

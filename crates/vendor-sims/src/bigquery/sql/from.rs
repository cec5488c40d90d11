//! `FROM` clauses: tables, views, subqueries, arrays, and how they join.

use std::cell::Cell;
use std::sync::Arc;

use sqlparser::ast::{Expr as Ast, Ident, JoinConstraint, JoinOperator, TableAlias, TableFactor};

use super::Session;
use super::bare::unknown;
use super::cast::{coerce, common};
use super::information_schema;
use super::names::{Scope, SourceNames, parts, table_name};
use super::plan::{Comparison, Expr, Join, JoinKind, Output, Relation, Source, Typed};
use super::select::Binder;
use crate::bigquery::catalog::{Content, Partitioning, Schema, TableName};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Row, Type, Value};

/// Views may show views, to this depth.
const DEEPEST_VIEW: usize = 16;

impl Binder<'_> {
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
pub(super) fn columns_of(schema: &Schema) -> Vec<Output> {
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

/// A row of nulls.
pub(super) fn nulls(width: usize) -> Row {
    std::iter::repeat_n(Value::Null, width).collect()
}

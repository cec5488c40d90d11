//! Expressions: names are resolved, types checked, aggregates and windows taken out.

mod leaves;
mod operators;

use std::cell::RefCell;
use std::sync::Arc;

use sqlparser::ast::{AccessExpr, CastKind, Expr as Ast};

use crate::bigquery::refusal::Refusal;
use crate::bigquery::sql::bare::unknown;
use crate::bigquery::sql::cast::{can_cast, coerce};
use crate::bigquery::sql::data_type::data_type;
use crate::bigquery::sql::functions;
use crate::bigquery::sql::names::{Scope, fields_of};
use crate::bigquery::sql::plan::{Comparison, Expr, Grouping, Query, SubqueryUse, Typed, Window};
use crate::bigquery::sql::select::Binder;
use crate::bigquery::value::{Type, Value, cast_text};

/// Binds the expressions of one query.
pub(crate) struct Expressions<'a> {
    pub(crate) binder: &'a Binder<'a>,
    pub(crate) scope: &'a Scope<'a>,
    /// Names of the select list with what they stand for, where they may be used.
    pub(crate) aliases: Vec<(String, &'a Ast)>,
    /// The groups, where the query has any.
    pub(crate) grouping: Option<&'a RefCell<Grouping>>,
    /// The window functions found so far.
    pub(crate) windows: &'a RefCell<Vec<Window>>,
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Over the rows of the `FROM` clause: no aggregates.
    Rows,
    /// Behind grouping: aggregates, no windows.
    Groups,
    /// In the select list and behind it: windows too.
    Output,
}

impl Expressions<'_> {
    /// Binds an expression that may only use the rows of the `FROM` clause.
    pub(crate) fn rows(&self, ast: &Ast) -> Result<Typed, Refusal> {
        self.bind(ast, Place::Rows)
    }

    /// Binds a condition.
    pub(crate) fn condition(&self, ast: &Ast, place: Place, what: &str) -> Result<Expr, Refusal> {
        let typed = self.bind(ast, place)?;
        coerce(&typed, &Type::Bool).ok_or_else(|| {
            Refusal::query(format!(
                "{what} should return type BOOL, but returns {}",
                typed.kind
            ))
        })
    }

    pub(crate) fn bind(&self, ast: &Ast, place: Place) -> Result<Typed, Refusal> {
        if place != Place::Rows
            && let Some(grouping) = self.grouping
            && !matches!(ast, Ast::Nested(_))
        {
            // An expression that is a group stands for it as a whole.
            if let Ok(plain) = self.bind(ast, Place::Rows) {
                let grouping = grouping.borrow();
                if let Some(key) = grouping.keys.iter().position(|key| key.expr == plain.expr) {
                    return Ok(Typed {
                        expr: Expr::Column {
                            depth: 0,
                            source: 0,
                            place: key,
                        },
                        kind: plain.kind,
                    });
                }
                if !reads_rows(&plain.expr) {
                    return Ok(plain);
                }
            }
        }
        match ast {
            Ast::Nested(inner) => self.bind(inner, place),
            Ast::Identifier(ident) => self.identifier(std::slice::from_ref(ident), place),
            Ast::CompoundIdentifier(parts) => self.identifier(parts, place),
            Ast::CompoundFieldAccess { root, access_chain } => {
                let mut names = Vec::new();
                for access in access_chain {
                    match access {
                        AccessExpr::Dot(Ast::Identifier(name)) => names.push(name.clone()),
                        _ => return Err(unknown(ast)),
                    }
                }
                fields_of(self.bind(root, place)?, &names)
            }
            Ast::Value(value) => self.literal(&value.value),
            Ast::TypedString(typed) => {
                let kind = data_type(&typed.data_type)?;
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                let value = cast_text(&text, &kind)
                    .ok_or_else(|| Refusal::query(format!("Invalid {kind} literal \"{text}\"")))?;
                Ok(Typed {
                    expr: Expr::Literal(value),
                    kind,
                })
            }
            Ast::UnaryOp { op, expr } => self.unary(*op, expr, place),
            Ast::BinaryOp { left, op, right } => self.binary(left, op, right, place),
            Ast::IsNull(inner) => {
                let inner = Box::new(self.bind(inner, place)?.expr);
                Ok(boolean(Expr::IsNull(inner)))
            }
            Ast::IsNotNull(inner) => {
                let inner = Box::new(self.bind(inner, place)?.expr);
                Ok(boolean(not(Expr::IsNull(inner))))
            }
            Ast::IsTrue(inner) => self.is_bool(inner, place, true, false),
            Ast::IsNotTrue(inner) => self.is_bool(inner, place, true, true),
            Ast::IsFalse(inner) => self.is_bool(inner, place, false, false),
            Ast::IsNotFalse(inner) => self.is_bool(inner, place, false, true),
            Ast::IsDistinctFrom(left, right) => self.distinct(left, right, place),
            Ast::IsNotDistinctFrom(left, right) => {
                let distinct = self.distinct(left, right, place)?;
                Ok(boolean(not(distinct.expr)))
            }
            Ast::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let least = self.compare(expr, Comparison::GreaterOrEqual, low, place)?;
                let most = self.compare(expr, Comparison::LessOrEqual, high, place)?;
                let both = Expr::And(Box::new(least.expr), Box::new(most.expr));
                Ok(boolean(if *negated { not(both) } else { both }))
            }
            Ast::InList {
                expr,
                list,
                negated,
            } => {
                let value = self.bind(expr, place)?;
                let list: Result<Vec<_>, _> = list.iter().map(|it| self.bind(it, place)).collect();
                let list = list?;
                let mut all = vec![value];
                all.extend(list);
                let kind = functions::shared_type(&all, "IN").map_err(Refusal::query)?;
                let mut all: Vec<_> = all.iter().filter_map(|it| coerce(it, &kind)).collect();
                let value = all.remove(0);
                let found = Expr::In(Box::new(value), all);
                Ok(boolean(if *negated { not(found) } else { found }))
            }
            Ast::InUnnest {
                expr,
                array_expr,
                negated,
            } => {
                let value = self.bind(expr, place)?;
                let array = self.bind(array_expr, place)?;
                let Type::Array(element) = &array.kind else {
                    return Err(Refusal::query(format!(
                        "Second argument of IN UNNEST must be an array but was {}",
                        array.kind
                    )));
                };
                let value = coerce(&value, element)
                    .ok_or_else(|| signature("IN UNNEST", &[&value.kind, &array.kind]))?;
                let found = Expr::InArray(Box::new(value), Box::new(array.expr));
                Ok(boolean(if *negated { not(found) } else { found }))
            }
            Ast::InSubquery {
                expr,
                subquery,
                negated,
            } => {
                let value = self.bind(expr, place)?;
                let query = self.subquery(subquery, place)?;
                let [column] = query.columns.as_slice() else {
                    return Err(Refusal::query(
                        "Subquery of type IN must have only one output column",
                    ));
                };
                let value = coerce(&value, &column.kind)
                    .ok_or_else(|| signature("IN", &[&value.kind, &column.kind]))?;
                let found = Expr::InSubquery(Box::new(value), query);
                Ok(boolean(if *negated { not(found) } else { found }))
            }
            Ast::Exists { subquery, negated } => {
                let query = self.subquery(subquery, place)?;
                let exists = Expr::Subquery(SubqueryUse::Exists, query);
                Ok(boolean(if *negated { not(exists) } else { exists }))
            }
            Ast::Subquery(subquery) => {
                let query = self.subquery(subquery, place)?;
                let [column] = query.columns.as_slice() else {
                    return Err(Refusal::query(
                        "Scalar subquery cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values",
                    ));
                };
                let kind = column.kind.clone();
                Ok(Typed {
                    expr: Expr::Subquery(SubqueryUse::Scalar, query),
                    kind,
                })
            }
            Ast::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char: None,
            } => {
                let text = self.text(expr, place)?;
                let pattern = self.text(pattern, place)?;
                let like = Expr::Like(Box::new(text), Box::new(pattern));
                Ok(boolean(if *negated { not(like) } else { like }))
            }
            Ast::Cast {
                kind: kind @ (CastKind::Cast | CastKind::SafeCast),
                expr,
                data_type: to,
                format: None,
            } => {
                let value = self.bind(expr, place)?;
                let to = data_type(to)?;
                if !can_cast(&value.kind, &to) {
                    return Err(Refusal::query(format!(
                        "Invalid cast from {} to {to}",
                        value.kind
                    )));
                }
                let safe = *kind == CastKind::SafeCast;
                Ok(Typed {
                    expr: Expr::Cast {
                        expr: Box::new(value.expr),
                        to: to.clone(),
                        safe,
                    },
                    kind: to,
                })
            }
            Ast::Trim {
                expr,
                trim_where: None,
                trim_what: None,
                trim_characters: None,
            } => self.scalar("TRIM", std::slice::from_ref(expr.as_ref()), place),
            Ast::Substring {
                expr,
                substring_from: Some(from),
                substring_for,
                ..
            } => {
                let mut arguments = vec![(**expr).clone(), (**from).clone()];
                arguments.extend(substring_for.iter().map(|it| (**it).clone()));
                self.scalar("SUBSTR", &arguments, place)
            }
            Ast::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(
                operand.as_deref(),
                conditions,
                else_result.as_deref(),
                place,
            ),
            Ast::Function(call) => self.call(call, place),
            other => Err(unknown(other)),
        }
    }

    fn text(&self, ast: &Ast, place: Place) -> Result<Expr, Refusal> {
        let typed = self.bind(ast, place)?;
        coerce(&typed, &Type::String).ok_or_else(|| signature("LIKE", &[&typed.kind]))
    }

    fn subquery(&self, query: &sqlparser::ast::Query, place: Place) -> Result<Arc<Query>, Refusal> {
        // Behind grouping the rows around are gone.
        let outer = if place == Place::Rows || self.grouping.is_none() {
            Some(self.scope)
        } else {
            None
        };
        Ok(Arc::new(self.binder.query(query, outer)?))
    }
}

pub(crate) fn choice(tests: Vec<Expr>, results: &[Typed], name: &str) -> Result<Typed, Refusal> {
    let kind = functions::shared_type(results, name).map_err(Refusal::query)?;
    let mut results: Vec<_> = results.iter().filter_map(|it| coerce(it, &kind)).collect();
    let otherwise = results.pop().unwrap_or(Expr::Literal(Value::Null));
    Ok(Typed {
        expr: Expr::Case(
            tests.into_iter().zip(results).collect(),
            Box::new(otherwise),
        ),
        kind,
    })
}

fn boolean(expr: Expr) -> Typed {
    Typed {
        expr,
        kind: Type::Bool,
    }
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

pub(crate) fn signature(what: &str, kinds: &[&Type]) -> Refusal {
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    Refusal::query(format!(
        "No matching signature for {what} for argument types: {}",
        kinds.join(", ")
    ))
}

/// Whether an expression uses the rows of the query that it stands in.
fn reads_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Column { depth, .. } => *depth == 0,
        Expr::Literal(_) | Expr::Parameter(_) => false,
        Expr::Field(inner, _)
        | Expr::Not(inner)
        | Expr::IsNull(inner)
        | Expr::Negate(inner)
        | Expr::Cast { expr: inner, .. } => reads_rows(inner),
        Expr::Call(_, all) => all.iter().any(reads_rows),
        Expr::And(left, right)
        | Expr::Or(left, right)
        | Expr::Compare(_, left, right)
        | Expr::IsDistinct(left, right)
        | Expr::Arithmetic(_, left, right)
        | Expr::InArray(left, right)
        | Expr::Like(left, right) => reads_rows(left) || reads_rows(right),
        Expr::In(value, list) => reads_rows(value) || list.iter().any(reads_rows),
        Expr::Case(branches, otherwise) => {
            branches
                .iter()
                .any(|(test, result)| reads_rows(test) || reads_rows(result))
                || reads_rows(otherwise)
        }
        Expr::Subquery(_, query) => query.is_correlated,
        Expr::InSubquery(value, query) => query.is_correlated || reads_rows(value),
    }
}

//! `GROUP BY`: by what, and whether a query has groups at all.

use sqlparser::ast::{
    Expr as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select as SelectAst,
    SelectItem, Value as Literal,
};

use super::bare::unknown;
use super::bind::Expressions;
use super::calls::aggregate_function;
use super::plan::Typed;
use crate::bigquery::refusal::Refusal;

pub(super) fn group_keys(
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
pub(super) fn has_aggregate(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => aggregates(expr),
        _ => false,
    }
}

fn aggregates(ast: &Ast) -> bool {
    match ast {
        Ast::Function(call) => {
            let is_one = call.over.is_none()
                && aggregate_function(&call.name.to_string().to_ascii_uppercase()).is_some();
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

//! Makes sure that a statement holds nothing but what is looked at.
//!
//! The parser reads the SQL of many databases. What a handler takes out of a statement it blanks in
//! a copy; a copy that then differs from a statement without anything in it holds something that
//! the handler does not know, and the statement is refused.

use sqlparser::ast::{
    Distinct, Function, FunctionArguments, GroupByExpr, Query, Select, SetExpr, Statement,
};
use sqlparser::dialect::BigQueryDialect;
use sqlparser::parser::Parser;

use crate::bigquery::refusal::Refusal;

/// What the simulator does not run.
pub(super) fn unknown(what: impl std::fmt::Display) -> Refusal {
    Refusal::query(format!(
        "Syntax error: the simulator does not know {what}; see its README for what it runs"
    ))
}

/// Parses one statement that is part of this program.
fn model(sql: &str) -> Option<Statement> {
    Parser::parse_sql(&BigQueryDialect {}, sql).ok()?.pop()
}

fn model_query() -> Option<Query> {
    match model("SELECT 1")? {
        Statement::Query(query) => Some(*query),
        _ => None,
    }
}

/// Refuses a query with more than a body, common table expressions, an order and a limit.
pub(super) fn check_query(query: &Query) -> Result<(), Refusal> {
    let bare = model_query().ok_or_else(|| unknown("queries"))?;
    let rest = Query {
        with: None,
        body: bare.body.clone(),
        order_by: None,
        limit_clause: None,
        ..query.clone()
    };
    if rest == bare {
        Ok(())
    } else {
        Err(unknown(query))
    }
}

/// Refuses a select with more than projection, sources, filters, groups and windows.
pub(super) fn check_select(select: &Select) -> Result<(), Refusal> {
    let bare = match model_query().map(|query| *query.body) {
        Some(SetExpr::Select(select)) => *select,
        _ => return Err(unknown("queries")),
    };
    let rest = Select {
        distinct: None,
        projection: bare.projection.clone(),
        from: Vec::new(),
        selection: None,
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        having: None,
        qualify: None,
        window_before_qualify: false,
        ..select.clone()
    };
    let groups = match &select.group_by {
        GroupByExpr::Expressions(_, modifiers) => modifiers.is_empty(),
        GroupByExpr::All(_) => false,
    };
    let distinct = matches!(
        select.distinct,
        None | Some(Distinct::Distinct | Distinct::All)
    );
    if rest == bare && groups && distinct {
        Ok(())
    } else {
        Err(unknown(select))
    }
}

/// Refuses a call with more than plain arguments and a window.
pub(super) fn check_function(function: &Function) -> Result<(), Refusal> {
    let clauses = match &function.args {
        FunctionArguments::List(list) => list.clauses.is_empty(),
        FunctionArguments::None => true,
        FunctionArguments::Subquery(_) => false,
    };
    let Function {
        uses_odbc_syntax,
        parameters,
        within_group,
        filter,
        null_treatment,
        ..
    } = function;
    let bare = !uses_odbc_syntax
        && *parameters == FunctionArguments::None
        && within_group.is_empty()
        && filter.is_none()
        && null_treatment.is_none();
    if bare && clauses {
        Ok(())
    } else {
        Err(unknown(function))
    }
}

/// Refuses a statement that differs from `model` in more than what `blank` takes out of both.
pub(super) fn check_statement(
    statement: &Statement,
    sql: &str,
    blank: impl Fn(&mut Statement),
) -> Result<(), Refusal> {
    let mut bare = model(sql).ok_or_else(|| unknown(statement))?;
    let mut rest = statement.clone();
    blank(&mut bare);
    blank(&mut rest);
    if rest == bare {
        Ok(())
    } else {
        Err(unknown(statement))
    }
}

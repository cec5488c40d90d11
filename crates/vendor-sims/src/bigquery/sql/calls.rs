//! Calls of functions: scalar ones, aggregates, and those over windows.

use sqlparser::ast::{
    DuplicateTreatment, Expr as Ast, Function as Call, FunctionArg, FunctionArgExpr,
    FunctionArguments, ObjectNamePart, OrderByExpr, OrderBySort, WindowType,
};

use super::bare::{check_function, unknown};
use super::bind::{Expressions, Place, choice, signature};
use super::functions;
use super::plan::{Aggregate, AggregateFunction, Direction, Expr, Typed, Window, WindowFunction};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{MICROS_PER_DAY, Type, Value};

impl Expressions<'_> {
    pub(super) fn call(&self, call: &Call, place: Place) -> Result<Typed, Refusal> {
        check_function(call)?;
        let [ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else {
            return Err(unknown(format!("the function {}", call.name)));
        };
        let name = name.value.to_ascii_uppercase();
        let (arguments, treatment) = match &call.args {
            FunctionArguments::List(list) => (list.args.as_slice(), list.duplicate_treatment),
            _ => (&[][..], None),
        };
        let distinct = treatment == Some(DuplicateTreatment::Distinct);
        if let Some(over) = &call.over {
            if distinct {
                return Err(unknown(call));
            }
            return self.window(&name, arguments, over, place);
        }
        if let Some(function) = aggregate_function(&name) {
            let aggregate = self.aggregate(function, arguments, distinct, &name)?;
            return self.grouped(aggregate, place, &name);
        }
        if treatment.is_some() {
            return Err(unknown(call));
        }
        let arguments: Result<Vec<_>, _> = arguments
            .iter()
            .map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(ast)) => Ok(ast.clone()),
                other => Err(unknown(other)),
            })
            .collect();
        self.scalar(&name, &arguments?, place)
    }

    pub(super) fn scalar(
        &self,
        name: &str,
        arguments: &[Ast],
        place: Place,
    ) -> Result<Typed, Refusal> {
        match (name, arguments) {
            ("CURRENT_TIMESTAMP", []) => {
                return Ok(Typed {
                    expr: Expr::Literal(Value::Timestamp(self.binder.session.now)),
                    kind: Type::Timestamp,
                });
            }
            ("CURRENT_DATE", []) => {
                let days = self.binder.session.now.div_euclid(MICROS_PER_DAY);
                return Ok(Typed {
                    expr: Expr::Literal(Value::Date(i32::try_from(days).unwrap_or_default())),
                    kind: Type::Date,
                });
            }
            ("IF", [test, yes, no]) => {
                let test = self.condition(test, place, "IF")?;
                let results = [self.bind(yes, place)?, self.bind(no, place)?];
                return choice(vec![test], &results, "IF");
            }
            _ => {}
        }
        let mut bound = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            bound.push(match argument {
                // The unit of time is a word, not a name.
                Ast::Identifier(unit) if at == 1 && name.ends_with("_TRUNC") => Typed {
                    expr: Expr::Literal(Value::text(&unit.value.to_ascii_uppercase())),
                    kind: Type::String,
                },
                argument => self.bind(argument, place)?,
            });
        }
        match functions::resolve(name, &bound).map_err(Refusal::query)? {
            Some(typed) => Ok(typed),
            None => {
                let kinds: Vec<_> = bound.iter().map(|it| it.kind.name()).collect();
                Err(unknown(format!(
                    "the function {name}({})",
                    kinds.join(", ")
                )))
            }
        }
    }

    fn aggregate(
        &self,
        function: AggregateFunction,
        arguments: &[FunctionArg],
        distinct: bool,
        name: &str,
    ) -> Result<Aggregate, Refusal> {
        let argument = match arguments {
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]
                if function == AggregateFunction::Count && !distinct =>
            {
                None
            }
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(ast))] => Some(self.rows(ast)?),
            _ => return Err(unknown(format!("these arguments of {name}"))),
        };
        let fits = argument.as_ref().is_none_or(|argument| match function {
            AggregateFunction::Sum | AggregateFunction::Average => argument.kind.is_numeric(),
            AggregateFunction::CountIf | AggregateFunction::All | AggregateFunction::Any => {
                argument.kind == Type::Bool
            }
            AggregateFunction::Least | AggregateFunction::Greatest => argument.kind.has_order(),
            AggregateFunction::Count if distinct => argument.kind.has_order(),
            AggregateFunction::Count | AggregateFunction::AnyValue => true,
        });
        if !fits {
            let kinds: Vec<_> = argument.iter().map(|it| &it.kind).collect();
            return Err(signature(&format!("aggregate function {name}"), &kinds));
        }
        Ok(Aggregate {
            function,
            argument,
            distinct,
        })
    }

    /// Puts an aggregate among those of the query, and gives the column that holds it.
    fn grouped(&self, aggregate: Aggregate, place: Place, name: &str) -> Result<Typed, Refusal> {
        let grouping = match (place, self.grouping) {
            (Place::Groups | Place::Output, Some(grouping)) => grouping,
            _ => {
                return Err(Refusal::query(format!(
                    "Aggregate function {name} not allowed here"
                )));
            }
        };
        let kind = aggregate.kind();
        let mut grouping = grouping.borrow_mut();
        let place = match grouping
            .aggregates
            .iter()
            .position(|held| *held == aggregate)
        {
            Some(place) => place,
            None => {
                grouping.aggregates.push(aggregate);
                grouping.aggregates.len() - 1
            }
        };
        Ok(Typed {
            expr: Expr::Column {
                depth: 0,
                source: 1,
                place,
            },
            kind,
        })
    }

    fn window(
        &self,
        name: &str,
        arguments: &[FunctionArg],
        over: &WindowType,
        place: Place,
    ) -> Result<Typed, Refusal> {
        let WindowType::WindowSpec(spec) = over else {
            return Err(unknown("named windows"));
        };
        if place != Place::Output {
            return Err(Refusal::query("Analytic function not allowed here"));
        }
        if spec.window_name.is_some() || spec.window_frame.is_some() {
            return Err(unknown("named windows and window frames"));
        }
        let inner = if self.grouping.is_some() {
            Place::Groups
        } else {
            Place::Rows
        };
        let function = match (name, arguments) {
            ("ROW_NUMBER", []) => WindowFunction::RowNumber,
            ("RANK", []) => WindowFunction::Rank,
            ("DENSE_RANK", []) => WindowFunction::DenseRank,
            _ => match aggregate_function(name) {
                Some(function) if self.grouping.is_none() => {
                    WindowFunction::Aggregate(self.aggregate(function, arguments, false, name)?)
                }
                _ => return Err(unknown(format!("the analytic function {name}"))),
            },
        };
        let kind = match &function {
            WindowFunction::Aggregate(aggregate) => aggregate.kind(),
            _ => Type::Int64,
        };
        if matches!(function, WindowFunction::Rank | WindowFunction::DenseRank)
            && spec.order_by.is_empty()
        {
            return Err(Refusal::query(format!(
                "Window ORDER BY is required for analytic function {name}"
            )));
        }
        let partition: Result<Vec<_>, Refusal> = spec
            .partition_by
            .iter()
            .map(|ast| {
                let key = self.bind(ast, inner)?;
                if key.kind.has_order() {
                    Ok(key.expr)
                } else {
                    Err(Refusal::query(format!(
                        "Partitioning by expressions of type {} is not allowed",
                        key.kind
                    )))
                }
            })
            .collect();
        let order: Result<Vec<_>, Refusal> = spec
            .order_by
            .iter()
            .map(|term| Ok((self.bind(&term.expr, inner)?.expr, direction(term)?)))
            .collect();
        let window = Window {
            function,
            partition: partition?,
            order: order?,
        };
        let mut windows = self.windows.borrow_mut();
        windows.push(window);
        let source = if self.grouping.is_some() {
            2
        } else {
            self.scope.sources.len()
        };
        Ok(Typed {
            expr: Expr::Column {
                depth: 0,
                source,
                place: windows.len() - 1,
            },
            kind,
        })
    }
}

/// The direction of a term of an `ORDER BY`: nulls come first in ascending order.
pub(super) fn direction(term: &OrderByExpr) -> Result<Direction, Refusal> {
    let descending = match &term.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(_) => return Err(unknown(term)),
    };
    if term.with_fill.is_some() {
        return Err(unknown(term));
    }
    Ok(Direction {
        descending,
        nulls_first: term.options.nulls_first.unwrap_or(!descending),
    })
}

pub(super) fn aggregate_function(name: &str) -> Option<AggregateFunction> {
    Some(match name {
        "COUNT" => AggregateFunction::Count,
        "COUNTIF" => AggregateFunction::CountIf,
        "SUM" => AggregateFunction::Sum,
        "AVG" => AggregateFunction::Average,
        "MIN" => AggregateFunction::Least,
        "MAX" => AggregateFunction::Greatest,
        "ANY_VALUE" => AggregateFunction::AnyValue,
        "LOGICAL_AND" => AggregateFunction::All,
        "LOGICAL_OR" => AggregateFunction::Any,
        _ => return None,
    })
}

impl Aggregate {
    pub(super) fn kind(&self) -> Type {
        let of = || {
            self.argument
                .as_ref()
                .map_or(Type::Null, |it| it.kind.clone())
        };
        match self.function {
            AggregateFunction::Count | AggregateFunction::CountIf => Type::Int64,
            AggregateFunction::Average if of() == Type::Int64 => Type::Float64,
            AggregateFunction::All | AggregateFunction::Any => Type::Bool,
            _ => of(),
        }
    }
}

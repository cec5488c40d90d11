//! The value of an expression over a row.

use super::cast::cast;
use super::functions::{call, divide, negate};
use super::plan::{Arithmetic, Comparison, Expr, SubqueryUse};
use super::run::Run;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Key, Row, Value};

/// The rows that an expression reads: one of each source, and those of the queries around.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) tuple: &'a [Row],
    /// The number of the first source of the tuple.
    pub(super) first: usize,
    pub(super) outer: Option<&'a Rows<'a>>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(tuple: &'a [Row], outer: Option<&'a Rows<'a>>) -> Self {
        Self {
            tuple,
            first: 0,
            outer,
        }
    }

    fn value(&self, depth: usize, source: usize, place: usize) -> Value {
        let mut rows = self;
        for _ in 0..depth {
            match rows.outer {
                Some(outer) => rows = outer,
                None => return Value::Null,
            }
        }
        let row = source
            .checked_sub(rows.first)
            .and_then(|source| rows.tuple.get(source));
        row.and_then(|row| row.get(place))
            .cloned()
            .unwrap_or(Value::Null)
    }
}

impl Run<'_> {
    /// Whether a condition holds; unknown does not.
    pub(super) fn holds(&self, condition: &Expr, rows: &Rows<'_>) -> Result<bool, Refusal> {
        Ok(matches!(self.eval(condition, rows)?, Value::Bool(true)))
    }

    pub(super) fn eval(&self, expr: &Expr, rows: &Rows<'_>) -> Result<Value, Refusal> {
        let all = |list: &[Expr]| -> Result<Vec<Value>, Refusal> {
            list.iter().map(|expr| self.eval(expr, rows)).collect()
        };
        Ok(match expr {
            Expr::Literal(value) | Expr::Parameter(value) => value.clone(),
            Expr::Column {
                depth,
                source,
                place,
            } => rows.value(*depth, *source, *place),
            Expr::Field(of, place) => match self.eval(of, rows)? {
                Value::Struct(fields) => fields.get(*place).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            },
            Expr::Not(inner) => match self.eval(inner, rows)? {
                Value::Bool(value) => Value::Bool(!value),
                other => other,
            },
            Expr::And(left, right) => match (self.eval(left, rows)?, right) {
                (Value::Bool(false), _) => Value::Bool(false),
                (left, right) => match (left, self.eval(right, rows)?) {
                    (_, Value::Bool(false)) => Value::Bool(false),
                    (Value::Null, _) | (_, Value::Null) => Value::Null,
                    _ => Value::Bool(true),
                },
            },
            Expr::Or(left, right) => match (self.eval(left, rows)?, right) {
                (Value::Bool(true), _) => Value::Bool(true),
                (left, right) => match (left, self.eval(right, rows)?) {
                    (_, Value::Bool(true)) => Value::Bool(true),
                    (Value::Null, _) | (_, Value::Null) => Value::Null,
                    _ => Value::Bool(false),
                },
            },
            Expr::Compare(comparison, left, right) => compare(
                *comparison,
                &self.eval(left, rows)?,
                &self.eval(right, rows)?,
            ),
            Expr::IsDistinct(left, right) => Value::Bool(
                self.eval(left, rows)?
                    .order(&self.eval(right, rows)?)
                    .is_ne(),
            ),
            Expr::IsNull(inner) => Value::Bool(self.eval(inner, rows)?.is_null()),
            Expr::Arithmetic(operation, left, right) => arithmetic(
                *operation,
                &self.eval(left, rows)?,
                &self.eval(right, rows)?,
            )
            .map_err(Refusal::query)?,
            Expr::Negate(inner) => negate(&self.eval(inner, rows)?).map_err(Refusal::query)?,
            Expr::In(value, list) => {
                let value = self.eval(value, rows)?;
                let list = all(list)?;
                found(&value, list.iter())
            }
            Expr::InArray(value, array) => match self.eval(array, rows)? {
                Value::Array(list) => found(&self.eval(value, rows)?, list.iter()),
                _ => Value::Bool(false),
            },
            Expr::Like(text, pattern) => {
                match (self.eval(text, rows)?, self.eval(pattern, rows)?) {
                    (Value::String(text), Value::String(pattern)) => {
                        let text: Vec<_> = text.chars().collect();
                        let pattern: Vec<_> = pattern.chars().collect();
                        Value::Bool(like(&text, &pattern))
                    }
                    _ => Value::Null,
                }
            }
            Expr::Case(branches, otherwise) => {
                for (test, result) in branches {
                    if self.holds(test, rows)? {
                        return self.eval(result, rows);
                    }
                }
                self.eval(otherwise, rows)?
            }
            Expr::Cast { expr, to, safe } => match (cast(&self.eval(expr, rows)?, to), safe) {
                (Ok(value), _) => value,
                (Err(_), true) => Value::Null,
                (Err(message), false) => return Err(Refusal::query(message)),
            },
            Expr::Call(function, arguments) => {
                call(*function, &all(arguments)?).map_err(Refusal::query)?
            }
            Expr::Subquery(usage, query) => {
                let given = self.subquery(query, rows)?;
                match usage {
                    SubqueryUse::Exists => Value::Bool(!given.is_empty()),
                    SubqueryUse::Scalar => match given.as_slice() {
                        [] => Value::Null,
                        [row] => row[0].clone(),
                        _ => {
                            return Err(Refusal::query(
                                "Scalar subquery produced more than one element",
                            ));
                        }
                    },
                }
            }
            Expr::InSubquery(value, query) => {
                let value = self.eval(value, rows)?;
                self.is_in(&value, query, rows)?
            }
        })
    }

    fn is_in(
        &self,
        value: &Value,
        query: &std::sync::Arc<super::plan::Query>,
        rows: &Rows<'_>,
    ) -> Result<Value, Refusal> {
        let given = self.keys(query, rows)?;
        if given.is_empty() {
            return Ok(Value::Bool(false));
        }
        if value.is_null() {
            return Ok(Value::Null);
        }
        if given.contains(&Key(value.clone())) {
            return Ok(Value::Bool(true));
        }
        let unknown = given.contains(&Key(Value::Null));
        Ok(if unknown {
            Value::Null
        } else {
            Value::Bool(false)
        })
    }
}

fn found<'a>(value: &Value, mut list: impl Iterator<Item = &'a Value> + Clone) -> Value {
    if value.is_null() {
        return if list.next().is_none() {
            Value::Bool(false)
        } else {
            Value::Null
        };
    }
    if list
        .clone()
        .any(|other| !other.is_null() && other.order(value).is_eq())
    {
        return Value::Bool(true);
    }
    if list.any(Value::is_null) {
        Value::Null
    } else {
        Value::Bool(false)
    }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> Value {
    if left.is_null() || right.is_null() {
        return Value::Null;
    }
    let is_nan = |value: &Value| matches!(value, Value::Float(number) if number.is_nan());
    if is_nan(left) || is_nan(right) {
        return Value::Bool(comparison == Comparison::NotEqual);
    }
    let order = left.order(right);
    Value::Bool(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

/// Adds, subtracts, multiplies and divides values of one type.
pub(super) fn arithmetic(
    operation: Arithmetic,
    left: &Value,
    right: &Value,
) -> Result<Value, String> {
    if operation == Arithmetic::Divide && !left.is_null() && !right.is_null() {
        return divide(left, right);
    }
    let result = match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Some(Value::Null),
        (Value::Int(left), Value::Int(right)) => match operation {
            Arithmetic::Add => left.checked_add(*right),
            Arithmetic::Subtract => left.checked_sub(*right),
            _ => left.checked_mul(*right),
        }
        .map(Value::Int),
        (Value::Float(left), Value::Float(right)) => Some(Value::Float(match operation {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            _ => left * right,
        })),
        (Value::Numeric(left), Value::Numeric(right)) => match operation {
            Arithmetic::Add => left.add(*right),
            Arithmetic::Subtract => left.subtract(*right),
            _ => left.multiply(*right),
        }
        .map(Value::Numeric),
        (Value::BigNumeric(left), Value::BigNumeric(right)) => match operation {
            Arithmetic::Add => left.add(right),
            Arithmetic::Subtract => left.subtract(right),
            _ => left.multiply(right),
        }
        .map(|number| Value::BigNumeric(Box::new(number))),
        _ => None,
    };
    result.ok_or_else(|| {
        let kind = match left {
            Value::Int(_) => "integer",
            Value::BigNumeric(_) => "bignumeric",
            _ => "numeric",
        };
        let (left, right) = (left.to_text(), right.to_text());
        format!(
            "{kind} overflow: {} {} {}",
            left.unwrap_or_default(),
            operation.name(),
            right.unwrap_or_default()
        )
    })
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', letter, rest @ ..] | [letter, rest @ ..] => {
            text.first() == Some(letter) && like(&text[1..], rest)
        }
    }
}

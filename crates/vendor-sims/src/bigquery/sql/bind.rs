//! Expressions: names are resolved, types checked, aggregates and windows taken out.

use std::cell::RefCell;
use std::sync::Arc;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, DataType, ExactNumberInfo, Expr as Ast, Ident,
    UnaryOperator, Value as Literal,
};

use super::bare::unknown;
use super::cast::{can_cast, coerce, common};
use super::functions;
use super::names::{Scope, fields_of, position};
use super::plan::{Arithmetic, Comparison, Expr, Grouping, SubqueryUse, Typed, Window};
use super::select::Binder;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{Type, Value, cast_text};

/// Binds the expressions of one query.
pub(super) struct Expressions<'a> {
    pub(super) binder: &'a Binder<'a>,
    pub(super) scope: &'a Scope<'a>,
    /// Names of the select list with what they stand for, where they may be used.
    pub(super) aliases: Vec<(String, &'a Ast)>,
    /// The groups, where the query has any.
    pub(super) grouping: Option<&'a RefCell<Grouping>>,
    /// The window functions found so far.
    pub(super) windows: &'a RefCell<Vec<Window>>,
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Over the rows of the `FROM` clause: no aggregates.
    Rows,
    /// Behind grouping: aggregates, no windows.
    Groups,
    /// In the select list and behind it: windows too.
    Output,
}

impl Expressions<'_> {
    /// Binds an expression that may only use the rows of the `FROM` clause.
    pub(super) fn rows(&self, ast: &Ast) -> Result<Typed, Refusal> {
        self.bind(ast, Place::Rows)
    }

    /// Binds a condition.
    pub(super) fn condition(&self, ast: &Ast, place: Place, what: &str) -> Result<Expr, Refusal> {
        let typed = self.bind(ast, place)?;
        coerce(&typed, &Type::Bool).ok_or_else(|| {
            Refusal::query(format!(
                "{what} should return type BOOL, but returns {}",
                typed.kind
            ))
        })
    }

    pub(super) fn bind(&self, ast: &Ast, place: Place) -> Result<Typed, Refusal> {
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

    fn identifier(&self, parts: &[Ident], place: Place) -> Result<Typed, Refusal> {
        if let [name] = parts {
            if let Some(parameter) = name.value.strip_prefix('@')
                && name.quote_style.is_none()
            {
                return self.binder.parameter(parameter);
            }
            if place != Place::Rows
                && let Some((_, ast)) = self
                    .aliases
                    .iter()
                    .find(|(alias, _)| alias.eq_ignore_ascii_case(&name.value))
                && !matches!(ast, Ast::Identifier(same) if same.value == name.value)
            {
                let inner = Expressions {
                    aliases: Vec::new(),
                    ..*self
                };
                return inner.bind(ast, place);
            }
        }
        if let [name, fields @ ..] = parts
            && let Some(parameter) = name.value.strip_prefix('@')
            && name.quote_style.is_none()
        {
            return fields_of(self.binder.parameter(parameter)?, fields);
        }
        let found = self.scope.resolve(parts)?;
        if place != Place::Rows && self.grouping.is_some() && reads_rows(&found.expr) {
            let shown: Vec<_> = parts.iter().map(|part| part.value.as_str()).collect();
            return Err(Refusal::query(format!(
                "SELECT list expression references column {} which is neither grouped nor aggregated{}",
                shown.join("."),
                position(&parts[0])
            )));
        }
        Ok(found)
    }

    fn literal(&self, value: &Literal) -> Result<Typed, Refusal> {
        let (value, kind) = match value {
            Literal::Null => (Value::Null, Type::Null),
            Literal::Boolean(value) => (Value::Bool(*value), Type::Bool),
            Literal::Number(text, false) => match text.parse::<i64>() {
                Ok(number) => (Value::Int(number), Type::Int64),
                Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                    return Err(Refusal::query(format!("Invalid integer literal: {text}")));
                }
                Err(_) => match text.parse::<f64>() {
                    Ok(number) => (Value::Float(number), Type::Float64),
                    Err(_) => return Err(unknown(text)),
                },
            },
            Literal::SingleQuotedString(text)
            | Literal::DoubleQuotedString(text)
            | Literal::TripleSingleQuotedString(text)
            | Literal::TripleDoubleQuotedString(text)
            | Literal::SingleQuotedRawStringLiteral(text)
            | Literal::DoubleQuotedRawStringLiteral(text) => (Value::text(text), Type::String),
            Literal::Placeholder(name) if name.starts_with('@') => {
                return self.binder.parameter(&name[1..]);
            }
            other => return Err(unknown(other)),
        };
        Ok(Typed {
            expr: Expr::Literal(value),
            kind,
        })
    }

    fn unary(&self, op: UnaryOperator, inner: &Ast, place: Place) -> Result<Typed, Refusal> {
        match op {
            UnaryOperator::Not => {
                let inner = self.condition(inner, place, "NOT")?;
                Ok(boolean(not(inner)))
            }
            UnaryOperator::Minus => {
                let inner = self.bind(inner, place)?;
                if !inner.kind.is_numeric() {
                    return Err(signature("operator -", &[&inner.kind]));
                }
                // A number with a sign is a literal still.
                if let Expr::Literal(value) = &inner.expr
                    && let Ok(value) = functions::negate(value)
                {
                    return Ok(Typed {
                        expr: Expr::Literal(value),
                        kind: inner.kind,
                    });
                }
                Ok(Typed {
                    expr: Expr::Negate(Box::new(inner.expr)),
                    kind: inner.kind,
                })
            }
            UnaryOperator::Plus => self.bind(inner, place),
            other => Err(unknown(other)),
        }
    }

    fn binary(
        &self,
        left: &Ast,
        op: &BinaryOperator,
        right: &Ast,
        place: Place,
    ) -> Result<Typed, Refusal> {
        let comparison = match op {
            BinaryOperator::And | BinaryOperator::Or => {
                let left = Box::new(self.condition(left, place, &op.to_string())?);
                let right = Box::new(self.condition(right, place, &op.to_string())?);
                return Ok(boolean(match op {
                    BinaryOperator::And => Expr::And(left, right),
                    _ => Expr::Or(left, right),
                }));
            }
            BinaryOperator::StringConcat => {
                let arguments = [left.clone(), right.clone()];
                return self.scalar("CONCAT", &arguments, place);
            }
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            BinaryOperator::Plus => return self.arithmetic(left, Arithmetic::Add, right, place),
            BinaryOperator::Minus => {
                return self.arithmetic(left, Arithmetic::Subtract, right, place);
            }
            BinaryOperator::Multiply => {
                return self.arithmetic(left, Arithmetic::Multiply, right, place);
            }
            BinaryOperator::Divide => {
                return self.arithmetic(left, Arithmetic::Divide, right, place);
            }
            other => return Err(unknown(format!("the operator {other}"))),
        };
        self.compare(left, comparison, right, place)
    }

    fn compare(
        &self,
        left: &Ast,
        comparison: Comparison,
        right: &Ast,
        place: Place,
    ) -> Result<Typed, Refusal> {
        let (left, right) = self.pair(left, right, place, comparison.name())?;
        Ok(boolean(Expr::Compare(
            comparison,
            Box::new(left),
            Box::new(right),
        )))
    }

    fn distinct(&self, left: &Ast, right: &Ast, place: Place) -> Result<Typed, Refusal> {
        let (left, right) = self.pair(left, right, place, "IS DISTINCT FROM")?;
        Ok(boolean(Expr::IsDistinct(Box::new(left), Box::new(right))))
    }

    /// Two expressions as ones of the type that they share.
    fn pair(
        &self,
        left: &Ast,
        right: &Ast,
        place: Place,
        operator: &str,
    ) -> Result<(Expr, Expr), Refusal> {
        let both = [self.bind(left, place)?, self.bind(right, place)?];
        let no_match = || {
            signature(
                &format!("operator {operator}"),
                &[&both[0].kind, &both[1].kind],
            )
        };
        let kind = functions::shared_type(&both, operator).map_err(|_| no_match())?;
        let ordered = matches!(operator, "=" | "!=" | "IS DISTINCT FROM") && kind != Type::Json
            || kind.has_order();
        match (coerce(&both[0], &kind), coerce(&both[1], &kind)) {
            (Some(left), Some(right)) if ordered => Ok((left, right)),
            _ => Err(no_match()),
        }
    }

    fn arithmetic(
        &self,
        left: &Ast,
        operation: Arithmetic,
        right: &Ast,
        place: Place,
    ) -> Result<Typed, Refusal> {
        let (left, right) = (self.bind(left, place)?, self.bind(right, place)?);
        let no_match = || {
            signature(
                &format!("operator {}", operation.name()),
                &[&left.kind, &right.kind],
            )
        };
        if !left.kind.is_numeric() || !right.kind.is_numeric() {
            return Err(no_match());
        }
        let mut kind = common(&left.kind, &right.kind).ok_or_else(no_match)?;
        kind = match (operation, kind) {
            // Integers are divided as doubles.
            (Arithmetic::Divide, Type::Int64 | Type::Null) => Type::Float64,
            (_, Type::Null) => Type::Int64,
            (_, kind) => kind,
        };
        match (coerce(&left, &kind), coerce(&right, &kind)) {
            (Some(left), Some(right)) => Ok(Typed {
                expr: Expr::Arithmetic(operation, Box::new(left), Box::new(right)),
                kind,
            }),
            _ => Err(no_match()),
        }
    }

    fn is_bool(
        &self,
        inner: &Ast,
        place: Place,
        wanted: bool,
        negated: bool,
    ) -> Result<Typed, Refusal> {
        let inner = self.condition(inner, place, "IS TRUE")?;
        let wanted = Expr::Literal(Value::Bool(wanted));
        let differs = Expr::IsDistinct(Box::new(inner), Box::new(wanted));
        Ok(boolean(if negated { differs } else { not(differs) }))
    }

    fn text(&self, ast: &Ast, place: Place) -> Result<Expr, Refusal> {
        let typed = self.bind(ast, place)?;
        coerce(&typed, &Type::String).ok_or_else(|| signature("LIKE", &[&typed.kind]))
    }

    fn case(
        &self,
        operand: Option<&Ast>,
        conditions: &[CaseWhen],
        otherwise: Option<&Ast>,
        place: Place,
    ) -> Result<Typed, Refusal> {
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for CaseWhen { condition, result } in conditions {
            tests.push(match operand {
                None => self.condition(condition, place, "CASE WHEN")?,
                Some(operand) => {
                    self.compare(operand, Comparison::Equal, condition, place)?
                        .expr
                }
            });
            results.push(self.bind(result, place)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.bind(otherwise, place)?,
            None => Typed {
                expr: Expr::Literal(Value::Null),
                kind: Type::Null,
            },
        });
        choice(tests, &results, "CASE")
    }

    fn subquery(
        &self,
        query: &sqlparser::ast::Query,
        place: Place,
    ) -> Result<Arc<super::plan::Query>, Refusal> {
        // Behind grouping the rows around are gone.
        let outer = if place == Place::Rows || self.grouping.is_none() {
            Some(self.scope)
        } else {
            None
        };
        Ok(Arc::new(self.binder.query(query, outer)?))
    }
}

pub(super) fn choice(tests: Vec<Expr>, results: &[Typed], name: &str) -> Result<Typed, Refusal> {
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

pub(super) fn signature(what: &str, kinds: &[&Type]) -> Refusal {
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

impl Comparison {
    fn name(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Arithmetic {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

/// The type that a statement names.
pub(super) fn data_type(ast: &DataType) -> Result<Type, Refusal> {
    Ok(match ast {
        DataType::Bool | DataType::Boolean => Type::Bool,
        DataType::Int64 | DataType::Integer(None) | DataType::Int(None) => Type::Int64,
        DataType::BigInt(None) | DataType::SmallInt(None) => Type::Int64,
        DataType::Float64 => Type::Float64,
        DataType::Numeric(ExactNumberInfo::None) | DataType::Decimal(ExactNumberInfo::None) => {
            Type::Numeric
        }
        DataType::BigNumeric(ExactNumberInfo::None)
        | DataType::BigDecimal(ExactNumberInfo::None) => Type::BigNumeric,
        DataType::String(None) => Type::String,
        DataType::Bytes(None) => Type::Bytes,
        DataType::Date => Type::Date,
        DataType::Time(None, _) => Type::Time,
        DataType::Datetime(None) => Type::Datetime,
        DataType::Timestamp(None, _) => Type::Timestamp,
        DataType::JSON => Type::Json,
        other => return Err(unknown(format!("the type {other} here"))),
    })
}

//! Operators and what is written like them: comparisons, arithmetic, `IS`, `CASE`.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr as Ast, UnaryOperator};

use super::{Expressions, Place, boolean, choice, not, signature};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::sql::bare::unknown;
use crate::bigquery::sql::cast::{coerce, common};
use crate::bigquery::sql::functions;
use crate::bigquery::sql::plan::{Arithmetic, Comparison, Expr, Typed};
use crate::bigquery::value::{Type, Value};

impl Expressions<'_> {
    pub(super) fn unary(
        &self,
        op: UnaryOperator,
        inner: &Ast,
        place: Place,
    ) -> Result<Typed, Refusal> {
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

    pub(super) fn binary(
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

    pub(super) fn compare(
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

    pub(super) fn distinct(&self, left: &Ast, right: &Ast, place: Place) -> Result<Typed, Refusal> {
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

    pub(super) fn is_bool(
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

    pub(super) fn case(
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
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

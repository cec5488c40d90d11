//! Names and literals.

use sqlparser::ast::{Expr as Ast, Ident, Value as Literal};

use super::{Expressions, Place, reads_rows};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::sql::bare::unknown;
use crate::bigquery::sql::names::{fields_of, position};
use crate::bigquery::sql::plan::{Expr, Typed};
use crate::bigquery::value::{Type, Value};

impl Expressions<'_> {
    pub(super) fn identifier(&self, parts: &[Ident], place: Place) -> Result<Typed, Refusal> {
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

    pub(super) fn literal(&self, value: &Literal) -> Result<Typed, Refusal> {
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
}

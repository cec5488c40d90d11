//! Select lists: items, wildcards, and the names of columns.

use sqlparser::ast::{
    Expr as Ast, Ident, SelectItem, SelectItemQualifiedWildcardKind, Value as Literal,
    WildcardAdditionalOptions,
};

use super::bare::unknown;
use super::bind::{Expressions, Place};
use super::names::parts;
use super::plan::{Expr, Output, Typed};
use crate::bigquery::refusal::Refusal;

impl Expressions<'_> {
    /// Binds one item of a select list.
    pub(super) fn item(
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

pub(super) fn named(item: &SelectItem) -> Option<(String, &Ast)> {
    match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((alias.value.clone(), expr)),
        _ => None,
    }
}

/// The column of the result that a term of an `ORDER BY` names.
pub(super) fn output_place(ast: &Ast, columns: &[Output]) -> Option<usize> {
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

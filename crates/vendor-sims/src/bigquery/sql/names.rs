//! Names in statements: of tables, and of what a query's `FROM` brings into view.

use std::cell::Cell;

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::Session;
use super::plan::{Expr, Output, Typed};
use crate::bigquery::catalog::TableName;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::Type;

/// One item of a `FROM` clause as names see it.
#[derive(Clone, Debug)]
pub(super) struct SourceNames {
    pub(super) alias: Option<String>,
    pub(super) columns: Vec<Output>,
    /// Columns behind the others that `*` does not show.
    pub(super) pseudo: Vec<Output>,
    /// Whether one of these was asked for.
    pub(super) uses_pseudo: Cell<bool>,
    /// Columns that `*` shows once although two sources have them, because of `USING`.
    pub(super) merged: Vec<String>,
}

/// What names an expression can use.
#[derive(Debug, Default)]
pub(super) struct Scope<'a> {
    pub(super) sources: Vec<SourceNames>,
    pub(super) outer: Option<&'a Scope<'a>>,
    /// Whether something was found further out.
    pub(super) is_correlated: Cell<bool>,
}

impl SourceNames {
    pub(super) fn new(alias: Option<String>, columns: Vec<Output>) -> Self {
        Self {
            alias,
            columns,
            pseudo: Vec::new(),
            uses_pseudo: Cell::new(false),
            merged: Vec::new(),
        }
    }

    fn place(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let mut found = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.name.eq_ignore_ascii_case(name));
        if let Some((place, _)) = found.next() {
            return match found.next() {
                None => Ok(Some(place)),
                Some(_) => Err(Refusal::query(format!("Column name {name} is ambiguous"))),
            };
        }
        let pseudo = self
            .pseudo
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name));
        if pseudo.is_some() {
            self.uses_pseudo.set(true);
        }
        Ok(pseudo.map(|place| self.columns.len() + place))
    }

    fn kind(&self, place: usize) -> Type {
        let column = self.columns.get(place);
        let column = column.or_else(|| self.pseudo.get(place - self.columns.len()));
        column.map_or(Type::Null, |column| column.kind.clone())
    }

    fn is_called(&self, name: &str) -> bool {
        self.alias
            .as_deref()
            .is_some_and(|alias| alias.eq_ignore_ascii_case(name))
    }
}

impl Scope<'_> {
    /// Finds a name of one or more parts.
    pub(super) fn resolve(&self, parts: &[Ident]) -> Result<Typed, Refusal> {
        let mut scope = Some(self);
        let mut depth = 0;
        while let Some(here) = scope {
            if let Some(found) = here.here(parts, depth)? {
                // Every query between reads what is further out.
                let mut between = self;
                for _ in 0..depth {
                    between.is_correlated.set(true);
                    match between.outer {
                        Some(outer) => between = outer,
                        None => break,
                    }
                }
                return Ok(found);
            }
            scope = here.outer;
            depth += 1;
        }
        let shown: Vec<_> = parts.iter().map(|part| part.value.as_str()).collect();
        Err(Refusal::query(format!(
            "Unrecognized name: {}{}",
            shown.join("."),
            parts.first().map(position).unwrap_or_default()
        )))
    }

    fn here(&self, parts: &[Ident], depth: usize) -> Result<Option<Typed>, Refusal> {
        let Some((first, rest)) = parts.split_first() else {
            return Ok(None);
        };
        let called = self
            .sources
            .iter()
            .position(|source| source.is_called(&first.value));
        if let (Some(source), Some((column, fields))) = (called, rest.split_first()) {
            let names = &self.sources[source];
            return match names.place(&column.value)? {
                Some(place) => fields_of(self.column(depth, source, place), fields).map(Some),
                None => Err(Refusal::query(format!(
                    "Name {} not found inside {}{}",
                    column.value,
                    first.value,
                    position(column)
                ))),
            };
        }
        let mut found = None;
        for (source, names) in self.sources.iter().enumerate() {
            if let Some(place) = names.place(&first.value)? {
                let is_merged = names
                    .merged
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&first.value));
                if found.is_some() && !is_merged {
                    return Err(Refusal::query(format!(
                        "Column name {} is ambiguous{}",
                        first.value,
                        position(first)
                    )));
                }
                found = found.or(Some((source, place)));
            }
        }
        match found {
            None => Ok(None),
            Some((source, place)) => fields_of(self.column(depth, source, place), rest).map(Some),
        }
    }

    pub(super) fn column(&self, depth: usize, source: usize, place: usize) -> Typed {
        Typed {
            expr: Expr::Column {
                depth,
                source,
                place,
            },
            kind: self.sources[source].kind(place),
        }
    }
}

/// Follows the names of fields into a struct.
pub(super) fn fields_of(from: Typed, names: &[Ident]) -> Result<Typed, Refusal> {
    let mut at = from;
    for name in names {
        let Type::Struct(fields) = &at.kind else {
            return Err(Refusal::query(format!(
                "Cannot access field {} on a value with type {}{}",
                name.value,
                at.kind,
                position(name)
            )));
        };
        let place = fields
            .iter()
            .position(|(field, _)| field.eq_ignore_ascii_case(&name.value));
        let Some(place) = place else {
            return Err(Refusal::query(format!(
                "Field name {} does not exist in {}{}",
                name.value,
                at.kind,
                position(name)
            )));
        };
        at = Typed {
            kind: fields[place].1.clone(),
            expr: Expr::Field(Box::new(at.expr), place),
        };
    }
    Ok(at)
}

/// ` at [1:8]`: where something stands in the statement.
pub(super) fn position(ident: &Ident) -> String {
    let start = ident.span.start;
    if start.line == 0 {
        String::new()
    } else {
        format!(" at [{}:{}]", start.line, start.column)
    }
}

/// The parts of a table's name; one pair of backquotes may hold several.
pub(super) fn parts(name: &ObjectName) -> Result<Vec<String>, Refusal> {
    let mut parts = Vec::new();
    for part in &name.0 {
        let ObjectNamePart::Identifier(ident) = part else {
            return Err(Refusal::query(format!("{name} is no name of a table")));
        };
        parts.extend(ident.value.split('.').map(str::to_owned));
    }
    if parts.iter().any(String::is_empty) {
        return Err(Refusal::query(format!("Invalid table name: {name}")));
    }
    Ok(parts)
}

/// A table's name with what the session leaves out added.
pub(super) fn table_name(name: &ObjectName, session: &Session) -> Result<TableName, Refusal> {
    let parts = parts(name)?;
    let (project, dataset, table) = match parts.as_slice() {
        [table] => match &session.default_dataset {
            Some((project, dataset)) => (project.clone(), dataset.clone(), table.clone()),
            None => {
                return Err(Refusal::invalid(format!(
                    "Table \"{table}\" must be qualified with a dataset (e.g. dataset.table)."
                )));
            }
        },
        [dataset, table] => (session.project.clone(), dataset.clone(), table.clone()),
        [project, dataset, table] => (project.clone(), dataset.clone(), table.clone()),
        _ => return Err(Refusal::query(format!("Invalid table name: {name}"))),
    };
    Ok(TableName {
        project,
        dataset,
        table,
    })
}

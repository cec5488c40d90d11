//! What must change so that a table takes a stream's rows.

use sync_core::batch::system;
use sync_core::{Error, ErrorKind, Result, SchemaChange};

use crate::bookkeeping;
use crate::column_type::ColumnType;
use crate::dialect::{Dialect, identifiers};
use crate::table::{Table, TableColumn, folded};

/// What a database has under a table's name and beside it.
#[derive(Debug)]
pub(crate) struct Existing {
    /// Those of [`bookkeeping::NAMES`] that are there.
    pub(crate) bookkeeping: Vec<&'static str>,
    /// What stands under the stream's name.
    pub(crate) table: Option<ExistingTable>,
}

/// Something under a table's name.
#[derive(Debug)]
pub(crate) struct ExistingTable {
    /// What the database says that it is, such as `table` or `view`.
    pub(crate) kind: String,
    pub(crate) columns: Vec<ExistingColumn>,
    /// The columns of the primary key, in its order.
    pub(crate) key: Vec<String>,
}

/// A column of an [`ExistingTable`].
#[derive(Debug)]
pub(crate) struct ExistingColumn {
    pub(crate) name: String,
    /// The type that the catalogue notes; none for system columns and columns of others.
    pub(crate) noted: Option<String>,
}

impl ExistingTable {
    fn column(&self, name: &str) -> Option<&ExistingColumn> {
        let name = folded(name);
        self.columns
            .iter()
            .find(|column| folded(&column.name) == name)
    }

    /// Whether a sync made this table, or somebody else.
    pub(crate) fn is_ours(&self) -> bool {
        let system_columns = system::ALL.iter().all(|name| self.column(name).is_some());
        self.kind == "table" && system_columns && self.noted().next().is_some()
    }

    /// The columns that came from the source, those included that it no longer has.
    pub(crate) fn noted(&self) -> impl Iterator<Item = &str> {
        let noted = self.columns.iter().filter(|column| column.noted.is_some());
        noted.map(|column| column.name.as_str())
    }
}

/// Changes, and the statements that make them.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    pub(crate) changes: Vec<SchemaChange>,
    pub(crate) statements: Vec<String>,
}

/// The steps from what exists to what is wanted; none where they agree.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] where adding does not suffice: the name belongs to something else, or
/// the key or the type of a column is another one.
pub(crate) fn steps(dialect: &dyn Dialect, wanted: &Table, existing: &Existing) -> Result<Steps> {
    let mut steps = Steps::default();
    for name in bookkeeping::NAMES {
        if !existing.bookkeeping.contains(&name) {
            steps.changes.push(SchemaChange::CreateTable {
                table: name.to_owned(),
            });
            steps.statements.push(bookkeeping::create(dialect, name));
        }
    }
    match &existing.table {
        None => steps.create(dialect, wanted),
        Some(table) => {
            check_same_owner(wanted, table)?;
            check_same_key(wanted, table)?;
            steps.add_columns(dialect, wanted, table)?;
        }
    }
    Ok(steps)
}

impl Steps {
    fn create(&mut self, dialect: &dyn Dialect, wanted: &Table) {
        let mut lines: Vec<String> = Vec::with_capacity(wanted.columns.len() + 3);
        for column in &wanted.columns {
            let not_null = if column.required { " NOT NULL" } else { "" };
            lines.push(format!("  {}{not_null}", definition(dialect, column)));
        }
        for alias in &wanted.aliases {
            lines.push(format!("  {}", dialect.alias(alias)));
        }
        let key = identifiers(dialect, wanted.key.iter().map(String::as_str));
        lines.push(format!("  PRIMARY KEY ({key})"));
        let columns: Vec<&str> = wanted
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        self.changes.push(SchemaChange::CreateTable {
            table: wanted.name.clone(),
        });
        self.statements
            .extend(bookkeeping::forget(dialect, &wanted.name));
        self.statements.push(format!(
            "CREATE TABLE {} (\n{}\n){}",
            dialect.identifier(&wanted.name),
            lines.join(",\n"),
            dialect.table_suffix()
        ));
        self.statements
            .push(bookkeeping::note_columns(dialect, wanted, &columns));
    }

    fn add_columns(
        &mut self,
        dialect: &dyn Dialect,
        wanted: &Table,
        existing: &ExistingTable,
    ) -> Result<()> {
        let mut added = Vec::new();
        for column in wanted
            .columns
            .iter()
            .filter(|column| column.source.is_some())
        {
            match existing.column(&column.name) {
                None => {
                    self.add(dialect, wanted, column, definition(dialect, column));
                    added.push(column.name.as_str());
                }
                Some(there) => check_same_type(wanted, column, there)?,
            }
        }
        if !added.is_empty() {
            self.statements
                .push(bookkeeping::note_columns(dialect, wanted, &added));
        }
        for alias in &wanted.aliases {
            if existing.column(alias.name).is_none() {
                let column = TableColumn {
                    name: alias.name.to_owned(),
                    column_type: alias.column_type,
                    required: false,
                    source: None,
                };
                self.add(dialect, wanted, &column, dialect.alias(alias));
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        dialect: &dyn Dialect,
        wanted: &Table,
        column: &TableColumn,
        definition: String,
    ) {
        self.changes.push(SchemaChange::AddColumn {
            table: wanted.name.clone(),
            column: column.name.clone(),
            column_type: dialect.type_of(column.column_type).to_owned(),
        });
        let table = dialect.identifier(&wanted.name);
        self.statements
            .push(format!("ALTER TABLE {table} ADD COLUMN {definition}"));
    }
}

fn definition(dialect: &dyn Dialect, column: &TableColumn) -> String {
    let declared = dialect.type_of(column.column_type);
    format!("{} {declared}", dialect.identifier(&column.name))
}

fn conflict(wanted: &Table, what: &str) -> Error {
    Error::new(ErrorKind::Conflict, what).with("table", &wanted.name)
}

fn check_same_owner(wanted: &Table, existing: &ExistingTable) -> Result<()> {
    if existing.is_ours() {
        return Ok(());
    }
    let what = "something that this sync did not make has the stream's name: rename or drop it, \
                or write to another database";
    Err(conflict(wanted, what).with("found", &existing.kind))
}

fn check_same_key(wanted: &Table, existing: &ExistingTable) -> Result<()> {
    let fold = |names: &[String]| names.iter().map(|name| folded(name)).collect::<Vec<_>>();
    if fold(&wanted.key) == fold(&existing.key) {
        return Ok(());
    }
    let what = "the stream's key is not the table's: drop or rename the table, then read the \
                stream anew";
    Err(conflict(wanted, what)
        .with("key of the table", existing.key.join(", "))
        .with("key of the stream", wanted.key.join(", ")))
}

fn check_same_type(wanted: &Table, column: &TableColumn, existing: &ExistingColumn) -> Result<()> {
    let Some(noted) = &existing.noted else {
        let what = "the table has a column of this name that this sync did not add: rename or \
                    drop that column";
        return Err(conflict(wanted, what).with("column", &column.name));
    };
    if ColumnType::from_word(noted) == Some(column.column_type) {
        return Ok(());
    }
    let what = "the column's type has changed, and rows of the old type are in the table: drop or \
                rename the table and read the stream anew, or leave the column out";
    Err(conflict(wanted, what)
        .with("column", &column.name)
        .with("type in the table", noted)
        .with("type at the source", column.column_type.as_str()))
}

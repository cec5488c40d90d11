//! What must change so that a table takes a stream's rows.

use arrow_schema::Schema;
use sync_core::batch::system;
use sync_core::{Error, ErrorKind, Result, SchemaChange, SchemaPlan, StreamDescriptor};

use crate::bookkeeping;
use crate::column_type::ColumnType;
use crate::dialect::{Dialect, identifiers};
use crate::reporting::{ALIASES, Alias};
use crate::table::{Table, TableColumn, folded};

/// What a database has under a table's name and beside it.
#[derive(Debug)]
pub(crate) struct Existing {
    /// The schema that the tables are to stand in, where it is not there.
    pub(crate) missing_schema: Option<String>,
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
    /// The type that the database declares, in its words.
    pub(crate) declared: String,
    /// The type that the catalogue notes; none for system columns and columns of others.
    pub(crate) noted: Option<String>,
    /// The database makes its values from other columns, and nobody may write it.
    pub(crate) is_generated: bool,
}

impl ExistingTable {
    pub(crate) fn column(&self, name: &str) -> Option<&ExistingColumn> {
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

    /// The columns that came from the source once and are no longer among the stream's.
    pub(crate) fn dropped(&self, dialect: &dyn Dialect, stream: &StreamDescriptor) -> Vec<&str> {
        let fields = stream.schema.fields();
        let kept: Vec<String> = fields
            .iter()
            .map(|field| folded(&dialect.stored(field.name())))
            .collect();
        self.noted()
            .filter(|column| !kept.contains(&folded(column)))
            .collect()
    }

    /// Checks that every column of a batch has one of its type in this table.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] naming the column.
    pub(crate) fn check_takes(
        &self,
        dialect: &dyn Dialect,
        stream: &StreamDescriptor,
        rows: &Schema,
    ) -> Result<()> {
        for field in rows.fields() {
            if system::ALL.contains(&field.name().as_str()) {
                continue;
            }
            let refuse = |what: &str| {
                Error::new(
                    ErrorKind::Conflict,
                    format!("{what}: plan and prepare the stream first"),
                )
                .with("table", stream.name.as_str())
                .with("column", field.name())
            };
            let there = self.column(&dialect.stored(field.name()));
            let Some((there, noted)) = there.and_then(|it| Some((it, it.noted.as_ref()?))) else {
                return Err(refuse("the table lacks a column of the batch"));
            };
            let column_type = ColumnType::of(field.data_type())?;
            if noted != column_type.as_str()
                || dialect.widened(&there.declared, column_type).is_some()
            {
                return Err(refuse(
                    "the table's column does not take the batch's values",
                ));
            }
        }
        Ok(())
    }

    /// The aliases that the table has and the database does not fill in by itself: whoever writes a row
    /// writes them.
    pub(crate) fn written_aliases(&self, dialect: &dyn Dialect) -> Vec<&'static Alias> {
        let is_written = |alias: &&Alias| {
            let there = self.column(alias.name).filter(|it| !it.is_generated);
            there.is_some_and(|it| it.declared == dialect.type_of(alias.column_type))
        };
        ALIASES.iter().filter(is_written).collect()
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
    if let Some(schema) = &existing.missing_schema {
        steps.changes.push(SchemaChange::CreateSchema {
            schema: schema.clone(),
        });
        steps.statements.push(format!(
            "CREATE SCHEMA IF NOT EXISTS {}",
            dialect.identifier(schema)
        ));
    }
    for name in bookkeeping::NAMES {
        if !existing.bookkeeping.contains(&name) {
            steps.changes.push(SchemaChange::CreateTable {
                table: name.to_owned(),
            });
            steps.statements.push(bookkeeping::create(dialect, name));
            if name == bookkeeping::BATCHES {
                steps.statements.push(bookkeeping::create_order(dialect));
            }
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

/// Checks that a statement which is still missing was planned.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] where it was not: what exists is not what was planned from.
pub(crate) fn check_planned(planned: &SchemaPlan, statement: &String) -> Result<()> {
    if planned.statements.contains(statement) {
        return Ok(());
    }
    let what = "the database has changed since the stream was planned: plan it again";
    Err(Error::new(ErrorKind::Conflict, what).with("stream", planned.stream.name.as_str()))
}

/// What exists of a stream's table, which must have been prepared.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] where nothing does, or what is not ours.
pub(crate) fn prepared(existing: Existing, stream: &StreamDescriptor) -> Result<ExistingTable> {
    existing
        .table
        .filter(ExistingTable::is_ours)
        .ok_or_else(|| {
            let what = "the stream has no table yet: plan and prepare it first";
            Error::new(ErrorKind::Conflict, what).with("stream", stream.name.as_str())
        })
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
            dialect.table(&wanted.name),
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
                Some(there) => {
                    check_same_type(wanted, column, there)?;
                    self.widen(dialect, wanted, column, there);
                }
            }
        }
        if !added.is_empty() {
            self.statements
                .push(bookkeeping::note_columns(dialect, wanted, &added));
        }
        for alias in &wanted.aliases {
            let there = existing.column(alias.name);
            if there.is_some_and(|it| it.is_generated) {
                // As earlier versions made it.
                self.statements
                    .extend(dialect.behind_added_alias(&wanted.name, alias));
            } else if there.is_none() {
                let column = TableColumn {
                    name: alias.name.to_owned(),
                    spelled: alias.name.to_owned(),
                    column_type: alias.column_type,
                    required: false,
                    source: None,
                };
                self.add(dialect, wanted, &column, dialect.added_alias(alias));
                self.statements
                    .extend(dialect.behind_added_alias(&wanted.name, alias));
            }
        }
        Ok(())
    }

    fn widen(
        &mut self,
        dialect: &dyn Dialect,
        wanted: &Table,
        column: &TableColumn,
        existing: &ExistingColumn,
    ) {
        if let Some(to) = dialect.widened(&existing.declared, column.column_type) {
            self.statements.push(format!(
                "ALTER TABLE {} ALTER COLUMN {} TYPE {to}",
                dialect.table(&wanted.name),
                dialect.identifier(&column.name)
            ));
            self.changes.push(SchemaChange::WidenColumn {
                table: wanted.name.clone(),
                column: column.name.clone(),
                from: existing.declared.clone(),
                to,
            });
        }
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
            column_type: dialect.type_of(column.column_type),
        });
        let table = dialect.table(&wanted.name);
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
    if noted == column.column_type.as_str() {
        return Ok(());
    }
    let what = "the column's type has changed, and rows of the old type are in the table: drop or \
                rename the table and read the stream anew, or leave the column out";
    Err(conflict(wanted, what)
        .with("column", &column.name)
        .with("type in the table", noted)
        .with("type at the source", column.column_type.as_str()))
}

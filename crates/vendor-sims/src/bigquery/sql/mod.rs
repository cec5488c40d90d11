//! A part of GoogleSQL, run over tables in memory with the types of BigQuery.
//!
//! Statements are parsed by `sqlparser`, bound to names and types, and run. What is not known is
//! refused with `invalidQuery`; nothing is guessed. docs.cloud.google.com/bigquery, GoogleSQL
//! reference.

mod aggregate;
mod bare;
mod bind;
mod calls;
mod cast;
mod data_type;
mod ddl;
mod dml;
mod eval;
mod from;
mod functions;
mod groups;
mod information_schema;
mod merge;
mod names;
mod plan;
mod projection;
mod run;
mod select;

use sqlparser::ast::{Query, Statement};
use sqlparser::dialect::BigQueryDialect;
use sqlparser::parser::{Parser, ParserError};

use self::bare::unknown;
use self::ddl::Performed;
use self::projection::{check_unique, name_columns};
use self::run::Run;
use self::select::Binder;
use super::catalog::{Catalog, Field, Schema, TableName};
use super::refusal::Refusal;
use super::value::{Row, Type, Value};

/// Characters of a statement.
const LONGEST: usize = 1_024 * 1_000;
/// Levels of nesting that the parser follows.
const DEEPEST: usize = 200;

/// What a statement is run with.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The project of names without one.
    pub(crate) project: String,
    /// Project and dataset of names without a dataset.
    pub(crate) default_dataset: Option<(String, String)>,
    /// Where the job runs.
    pub(crate) location: Option<String>,
    pub(crate) parameters: Vec<(String, Type, Value)>,
    /// In microseconds.
    pub(crate) now: i64,
    /// How long streamed rows cannot be changed, in microseconds.
    pub(crate) streaming_buffer: i64,
}

impl Session {
    fn check_location(&self, name: &TableName, location: &str) -> Result<(), Refusal> {
        match &self.location {
            Some(here) if !here.eq_ignore_ascii_case(location) => Err(Refusal::not_found(format!(
                "Not found: Dataset {}:{} was not found in location {here}",
                name.project, name.dataset
            ))),
            _ => Ok(()),
        }
    }
}

/// Rows that a statement inserted, changed and took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) inserted: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
}

/// What a statement, or the last one of a script, gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// In the words of `statementType`.
    pub(crate) statement: &'static str,
    pub(crate) schema: Schema,
    pub(crate) rows: Vec<Row>,
    /// Of a statement that changes rows.
    pub(crate) changes: Option<Changes>,
    /// Of a statement that changes a table: what it did.
    pub(crate) ddl: Option<(&'static str, TableName)>,
    /// Tables that were written.
    pub(crate) written: Vec<TableName>,
    /// Tables that were read.
    pub(crate) read: Vec<TableName>,
}

impl Outcome {
    fn empty(statement: &'static str) -> Self {
        Self {
            statement,
            schema: Schema::new(Vec::new()),
            rows: Vec::new(),
            changes: None,
            ddl: None,
            written: Vec::new(),
            read: Vec::new(),
        }
    }
}

/// A text that has been parsed: one statement or several.
#[derive(Clone, Debug)]
pub(crate) struct Script(Vec<Statement>);

impl Script {
    pub(crate) fn parse(sql: &str) -> Result<Self, Refusal> {
        if sql.chars().count() > LONGEST {
            return Err(Refusal::query(format!(
                "Query is too large: the maximum is {LONGEST} characters"
            )));
        }
        let parsed = Parser::new(&BigQueryDialect {})
            .with_recursion_limit(DEEPEST)
            .try_with_sql(sql)
            .and_then(|mut parser| parser.parse_statements());
        match parsed {
            Ok(statements) if statements.is_empty() => {
                Err(Refusal::query("Syntax error: Unexpected end of statement"))
            }
            Ok(statements) => Ok(Self(statements)),
            Err(ParserError::TokenizerError(message) | ParserError::ParserError(message)) => {
                Err(Refusal::query(format!("Syntax error: {message}")))
            }
            Err(ParserError::RecursionLimitExceeded) => Err(Refusal::query(
                "Syntax error: the statement is nested too deeply",
            )),
        }
    }

    /// The names of the tables that it changes the rows of, as they stand; for limits and faults.
    pub(crate) fn targets(&self, session: &Session) -> Vec<TableName> {
        use sqlparser::ast::{FromTable, TableFactor, TableObject};
        let of = |factor: &TableFactor| match factor {
            TableFactor::Table { name, .. } => names::table_name(name, session).ok(),
            _ => None,
        };
        let targets = self.0.iter().filter_map(|statement| match statement {
            Statement::Merge(merge) => of(&merge.table),
            Statement::Update(update) => of(&update.table.relation),
            Statement::Insert(insert) => match &insert.table {
                TableObject::TableName(name) => names::table_name(name, session).ok(),
                _ => None,
            },
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) =
                    &delete.from;
                tables.first().and_then(|table| of(&table.relation))
            }
            _ => None,
        });
        targets.collect()
    }

    /// Runs the statements one after the other. A transaction that is not committed leaves
    /// nothing behind.
    pub(crate) fn run(&self, catalog: &mut Catalog, session: &Session) -> Result<Outcome, Refusal> {
        let mut before: Option<Catalog> = None;
        let mut last = Outcome::empty("SCRIPT");
        let (mut written, mut read) = (Vec::new(), Vec::new());
        let mut changes = None;
        for statement in &self.0 {
            let result = match statement {
                Statement::StartTransaction {
                    modes,
                    begin: true,
                    transaction: _,
                    modifier: None,
                    statements,
                    exception: None,
                    has_end_keyword: false,
                } if modes.is_empty() && statements.is_empty() => {
                    if before.is_some() {
                        Err(Refusal::query("Transaction is already in progress"))
                    } else {
                        before = Some(catalog.clone());
                        continue;
                    }
                }
                Statement::Commit {
                    chain: false,
                    end: false,
                    modifier: None,
                } => match before.take() {
                    Some(_) => continue,
                    None => Err(Refusal::query("There is no active transaction to commit")),
                },
                Statement::Rollback {
                    chain: false,
                    savepoint: None,
                } => match before.take() {
                    Some(saved) => {
                        *catalog = saved;
                        continue;
                    }
                    None => Err(Refusal::query(
                        "There is no active transaction to roll back",
                    )),
                },
                statement => one(statement, catalog, session, before.is_some()),
            };
            match result {
                Ok(outcome) => {
                    written.extend(outcome.written.iter().cloned());
                    read.extend(outcome.read.iter().cloned());
                    changes = outcome.changes;
                    last = outcome;
                }
                Err(refusal) => {
                    if let Some(saved) = before {
                        *catalog = saved;
                    }
                    return Err(refusal);
                }
            }
        }
        if let Some(saved) = before {
            *catalog = saved;
        }
        last.written = written;
        last.read = read;
        if self.0.len() > 1 {
            last.statement = "SCRIPT";
            last.changes = changes;
        }
        Ok(last)
    }
}

fn one(
    statement: &Statement,
    catalog: &mut Catalog,
    session: &Session,
    in_transaction: bool,
) -> Result<Outcome, Refusal> {
    if let Some((name, change)) = row_change(statement, catalog, session)? {
        let table = change.table.clone();
        let changes = change.apply(catalog, session)?;
        return Ok(Outcome {
            changes: Some(changes),
            written: vec![table],
            ..Outcome::empty(name)
        });
    }
    if let Statement::Query(query) = statement {
        return select(query, catalog, session);
    }
    if in_transaction {
        return Err(Refusal::query(
            "DDL statements are not supported in a transaction",
        ));
    }
    let (name, performed): (_, Performed) = match statement {
        Statement::CreateTable(create) => (
            "CREATE_TABLE",
            ddl::create_table(statement, create, catalog, session)?,
        ),
        Statement::CreateView(create) => (
            "CREATE_VIEW",
            ddl::create_view(statement, create, catalog, session)?,
        ),
        Statement::AlterTable(alter) => (
            "ALTER_TABLE",
            ddl::alter_table(statement, alter, catalog, session)?,
        ),
        Statement::Drop {
            object_type,
            if_exists,
            names,
            cascade: false,
            restrict: false,
            purge: false,
            temporary: false,
            table: None,
        } => (
            "DROP_TABLE",
            ddl::drop_table(object_type, *if_exists, names, catalog, session)?,
        ),
        other => return Err(unknown(other)),
    };
    Ok(Outcome {
        ddl: Some((performed.operation, performed.table.clone())),
        written: vec![performed.table],
        ..Outcome::empty(name)
    })
}

/// Works out what a statement does to rows; none for statements that do nothing to any.
fn row_change(
    statement: &Statement,
    catalog: &Catalog,
    session: &Session,
) -> Result<Option<(&'static str, dml::Change)>, Refusal> {
    let binder = Binder::new(catalog, session);
    let run = Run::new(catalog, session.now);
    Ok(Some(match statement {
        Statement::Insert(insert) => ("INSERT", dml::insert(statement, insert, &binder, &run)?),
        Statement::Update(update) => ("UPDATE", dml::update(statement, update, &binder, &run)?),
        Statement::Delete(delete) => ("DELETE", dml::delete(statement, delete, &binder, &run)?),
        Statement::Merge(merge) => ("MERGE", merge::merge(statement, merge, &binder, &run)?),
        Statement::Truncate(truncate) => match truncate.table_names.as_slice() {
            [target]
                if truncate.table
                    && truncate.partitions.is_none()
                    && !truncate.if_exists
                    && truncate.identity.is_none()
                    && truncate.cascade.is_none() =>
            {
                ("TRUNCATE_TABLE", dml::truncate(&target.name, &binder)?)
            }
            _ => return Err(unknown(statement)),
        },
        _ => return Ok(None),
    }))
}

fn select(query: &Query, catalog: &Catalog, session: &Session) -> Result<Outcome, Refusal> {
    let binder = Binder::new(catalog, session);
    let mut bound = binder.query(query, None)?;
    name_columns(&mut bound.columns);
    check_unique(&bound.columns)?;
    let rows = Run::new(catalog, session.now).query(&bound, None)?;
    let fields = bound
        .columns
        .iter()
        .map(|column| Field::of(&column.name, &column.kind));
    Ok(Outcome {
        schema: Schema::new(fields.collect()),
        rows,
        read: binder.tables.into_inner(),
        ..Outcome::empty("SELECT")
    })
}

/// Parses the query of a view.
fn view_query(sql: &str) -> Result<Query, Refusal> {
    match Script::parse(sql)?.0.as_slice() {
        [Statement::Query(query)] => Ok((**query).clone()),
        _ => Err(Refusal::query("A view is one query")),
    }
}

/// The columns that a view would have.
pub(crate) fn view_schema(
    sql: &str,
    catalog: &Catalog,
    session: &Session,
) -> Result<Schema, Refusal> {
    let query = view_query(sql)?;
    let mut bound = Binder::new(catalog, session).query(&query, None)?;
    if bound.columns.iter().any(|column| column.name.is_empty()) {
        name_columns(&mut bound.columns);
    }
    check_unique(&bound.columns)?;
    let fields = bound
        .columns
        .iter()
        .map(|column| Field::of(&column.name, &column.kind));
    Ok(Schema::new(fields.collect()))
}

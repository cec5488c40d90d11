//! What tables a dataset has, and the carrying out of plans.

use std::sync::Arc;

use sync_core::{Error, ErrorKind, Result, SchemaPlan, StreamDescriptor};

use super::bookkeeping;
use super::failure::{failed, while_doing};
use super::options::Mode;
use super::planning::{self, Existing, ExistingTable, Step};
use super::resource;
use super::streaming;
use super::table::Table;
use super::warehouse::Warehouse;
use crate::client::names::TableRef;
use crate::client::{self as tables, Dataset, TablePatch, TableSchema, View};
use crate::{ErrorKind as ClientKind, Reason};

const LOOKING: &str = "the tables cannot be looked at";
const CHANGING: &str = "the tables cannot be changed";

/// How often columns are added to a table that others change at the same time.
const ATTEMPTS: u32 = 5;

/// What must change before a stream can be written. Changes nothing.
pub(super) async fn plan(warehouse: &Warehouse, stream: &StreamDescriptor) -> Result<SchemaPlan> {
    let planned = Planned::of(warehouse, stream).await?;
    let mut statements = Vec::with_capacity(planned.steps.steps.len());
    for step in &planned.steps.steps {
        statements.push(planned.statement(step)?);
    }
    Ok(SchemaPlan::new(
        Arc::new(stream.clone()),
        planned.steps.changes,
        statements,
    ))
}

/// Carries out what is still missing of a plan.
///
/// BigQuery has no transaction over several tables. Each step leaves what the next one can begin with, and
/// one that was carried out is no longer planned.
pub(super) async fn prepare(warehouse: &Warehouse, plan: &SchemaPlan) -> Result<()> {
    let planned = Planned::of(warehouse, &plan.stream).await?;
    for step in &planned.steps.steps {
        let statement = planned.statement(step)?;
        if !plan.statements.contains(&statement) {
            let what = "the dataset has changed since the stream was planned: plan it again";
            let stream = plan.stream.name.as_str();
            return Err(Error::new(ErrorKind::Conflict, what).with("stream", stream));
        }
        planned.carry_out(step).await?;
    }
    Ok(())
}

/// A stream's table, which must have been prepared: what it should be, and what is there.
pub(super) async fn prepared(
    warehouse: &Warehouse,
    stream: &StreamDescriptor,
) -> Result<(Table, ExistingTable)> {
    let wanted = Table::of(stream, warehouse.options().reporting_columns)?;
    let (name, purpose) = match warehouse.options().mode {
        Mode::StagedMerge => (wanted.name.clone(), planning::purpose::STREAM),
        Mode::Streaming => (
            streaming::landing_name(&wanted.name),
            planning::purpose::LANDING,
        ),
    };
    let there = look(warehouse, &name).await?;
    let there = there.map(|table| resource::existing(&table));
    match there {
        Some(there) if there.purpose.as_deref() == Some(purpose) => Ok((wanted, there)),
        _ => Err(not_prepared(stream)),
    }
}

/// The error of a stream that has no table.
pub(super) fn not_prepared(stream: &StreamDescriptor) -> Error {
    let what = "the stream has no table yet: plan and prepare it first";
    Error::new(ErrorKind::Conflict, what).with("stream", stream.name.as_str())
}

async fn look(warehouse: &Warehouse, name: &str) -> Result<Option<tables::Table>> {
    let reference = warehouse.reference(name)?;
    match warehouse.client().tables().get(&reference).await {
        Ok(table) => Ok(Some(table)),
        Err(error) if error.kind() == ClientKind::NotFound => Ok(None),
        Err(error) => Err(failed(LOOKING, error)),
    }
}

/// A stream's steps, with what they are carried out by.
struct Planned<'a> {
    warehouse: &'a Warehouse,
    stream: &'a StreamDescriptor,
    wanted: Table,
    steps: planning::Steps,
}

impl<'a> Planned<'a> {
    async fn of(warehouse: &'a Warehouse, stream: &'a StreamDescriptor) -> Result<Self> {
        let options = warehouse.options();
        let wanted = Table::of(stream, options.reporting_columns)?;
        let existing = existing(warehouse, &wanted).await?;
        let steps = planning::steps(options, stream, &wanted, &existing)?;
        Ok(Self {
            warehouse,
            stream,
            wanted,
            steps,
        })
    }

    /// What a step does, as a call of BigQuery's REST API or a statement: what a dry run shows.
    fn statement(&self, step: &Step) -> Result<String> {
        let call = |name: &str, table: &tables::Table| Ok(format!("{name} {}", json(table)?));
        match step {
            Step::CreateDataset => Ok(format!("datasets.insert {}", json(&self.dataset()?)?)),
            Step::CreateBookkeeping(name) => call("tables.insert", &self.bookkeeping(name)?),
            Step::CreateTable(definition) => {
                let reference = self.warehouse.reference(&definition.table.name)?;
                let stream = self.stream.name.as_str();
                call(
                    "tables.insert",
                    &resource::definition(reference, definition, stream),
                )
            }
            Step::Forget => Ok(self.forget()?.shown()),
            Step::AddColumns { table, columns } => {
                let fields = columns.iter().map(resource::added_field);
                let added = json(&TableSchema::new(fields))?;
                Ok(format!("tables.patch {table}, behind its columns: {added}"))
            }
            Step::Widen { table, column, to } => self.widen(table, column, to.name()),
            Step::ShowLatest { is_new: true } => call("tables.insert", &self.view()?),
            Step::ShowLatest { is_new: false } => call("tables.patch", &self.view()?),
        }
    }

    async fn carry_out(&self, step: &Step) -> Result<()> {
        let client = self.warehouse.client();
        let stream = self.stream.name.as_str();
        match step {
            Step::CreateDataset => {
                let made = client.datasets().insert(&self.dataset()?).await;
                there_is_one(made)
            }
            Step::CreateBookkeeping(name) => self.make(&self.bookkeeping(name)?).await,
            Step::CreateTable(definition) => {
                let reference = self.warehouse.reference(&definition.table.name)?;
                let table = resource::definition(reference, definition, stream);
                self.make(&table).await
            }
            Step::Forget => {
                let batches = self.warehouse.reference(bookkeeping::BATCHES)?;
                let forget = self.forget()?;
                self.warehouse.change("forget", &forget, &batches).await
            }
            Step::AddColumns { table, columns } => {
                let reference = self.warehouse.reference(table)?;
                let fields: Vec<_> = columns.iter().map(resource::added_field).collect();
                self.add(&reference, &fields).await
            }
            Step::Widen { table, column, to } => {
                let reference = self.warehouse.reference(table)?;
                let widen = super::request::Request::new(self.widen(table, column, to.name())?);
                self.warehouse.change("widen", &widen, &reference).await
            }
            Step::ShowLatest { is_new: true } => self.make(&self.view()?).await,
            Step::ShowLatest { is_new: false } => {
                let view = self.view()?;
                let query = View {
                    query: self.view_query(),
                    use_legacy_sql: false,
                };
                let patch = TablePatch {
                    view: Some(query),
                    ..TablePatch::default()
                };
                let reference = view.table_reference;
                let patched = client.tables().patch(&reference, &patch, None).await;
                patched.map(drop).map_err(while_doing(CHANGING))
            }
        }
    }

    async fn make(&self, table: &tables::Table) -> Result<()> {
        there_is_one(self.warehouse.client().tables().insert(table).await)
    }

    /// Adds columns behind those that are there, unless somebody else has added them meanwhile.
    async fn add(&self, table: &TableRef, added: &[tables::Field]) -> Result<()> {
        let tables = self.warehouse.client().tables();
        let mut attempt = 1;
        loop {
            let there = tables.get(table).await.map_err(while_doing(CHANGING))?;
            let mut schema = there.schema.unwrap_or_default();
            let known: Vec<_> = schema
                .fields
                .iter()
                .map(|it| it.name.to_ascii_lowercase())
                .collect();
            let missing = added
                .iter()
                .filter(|it| !known.contains(&it.name.to_ascii_lowercase()));
            schema.fields.extend(missing.cloned());
            if schema.fields.len() == known.len() {
                return Ok(());
            }
            let patch = TablePatch::of_schema(schema);
            match tables.patch(table, &patch, there.etag.as_deref()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.reason() == Reason::ConditionNotMet && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(failed(CHANGING, error)),
            }
        }
    }

    fn dataset(&self) -> Result<Dataset> {
        let options = self.warehouse.options();
        let location = options.create_dataset_in.clone().ok_or_else(|| {
            let what = "the dataset does not exist, and none may be made";
            Error::new(ErrorKind::NotFound, what)
        })?;
        Ok(Dataset::new(options.dataset.clone(), location))
    }

    fn bookkeeping(&self, name: &str) -> Result<tables::Table> {
        Ok(resource::bookkeeping(self.warehouse.reference(name)?, name))
    }

    fn forget(&self) -> Result<super::request::Request> {
        let batches = self.warehouse.quoted(bookkeeping::BATCHES);
        Ok(bookkeeping::forget(&batches, self.stream.name.as_str()))
    }

    fn widen(&self, table: &str, column: &str, to: &str) -> Result<String> {
        Ok(format!(
            "ALTER TABLE {} ALTER COLUMN {} SET DATA TYPE {to}",
            self.warehouse.quoted(table),
            super::names::quoted(column)
        ))
    }

    fn view_query(&self) -> String {
        let options = self.warehouse.options();
        streaming::view(&options.dataset, &self.wanted, self.stream.delete_mode)
    }

    fn view(&self) -> Result<tables::Table> {
        Ok(resource::view(
            self.warehouse.reference(&self.wanted.name)?,
            self.view_query(),
            &self.wanted.description,
            self.stream.name.as_str(),
        ))
    }
}

/// Whether it was made, now or before.
fn there_is_one<T>(made: crate::Result<T>) -> Result<()> {
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.reason() == Reason::Duplicate => Ok(()),
        Err(error) => Err(failed(CHANGING, error)),
    }
}

async fn existing(warehouse: &Warehouse, wanted: &Table) -> Result<Existing> {
    let options = warehouse.options();
    let mut existing = Existing::default();
    match warehouse.client().datasets().get(&options.dataset).await {
        Ok(_) => existing.has_dataset = true,
        Err(error) if error.kind() == ClientKind::NotFound => return Ok(existing),
        Err(error) => return Err(failed(LOOKING, error)),
    }
    for name in bookkeeping::NAMES {
        if look(warehouse, name).await?.is_some() {
            existing.bookkeeping.push(name);
        }
    }
    let table = look(warehouse, &wanted.name).await?;
    existing.table = table.as_ref().map(resource::existing);
    if options.mode == Mode::Streaming {
        let landing = look(warehouse, &streaming::landing_name(&wanted.name)).await?;
        existing.landing = landing.as_ref().map(resource::existing);
    }
    Ok(existing)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        let what = "a table cannot be written down";
        Error::new(ErrorKind::Internal, what).caused_by(error)
    })
}

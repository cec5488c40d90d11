//! What must change so that a stream can be written, as data.

use sync_core::{Error, ErrorKind, Result, SchemaChange, StreamDescriptor};

use super::bookkeeping;
use super::column_type::ColumnType;
use super::options::{BigQuerySinkOptions, Mode};
use super::streaming;
use super::table::{Origin, ROW, Table, TableColumn, came_from_source};
use crate::client::FieldType;

/// What a dataset has under the names that matter to a stream.
#[derive(Debug, Default)]
pub(super) struct Existing {
    /// Whether the dataset is there at all.
    pub(super) has_dataset: bool,
    /// Those of [`bookkeeping::NAMES`] that are there.
    pub(super) bookkeeping: Vec<&'static str>,
    /// What stands under the stream's name: its table, or in streaming mode its view.
    pub(super) table: Option<ExistingTable>,
    /// The table that rows are streamed into; not looked for in staged mode.
    pub(super) landing: Option<ExistingTable>,
}

/// Something under a table's name.
#[derive(Clone, Debug)]
pub(super) struct ExistingTable {
    /// What BigQuery says that it is, such as `TABLE` or `VIEW`.
    pub(super) kind: String,
    pub(super) columns: Vec<ExistingColumn>,
    /// The columns of the primary key, in its order.
    pub(super) key: Vec<String>,
    /// What a label says that this sink made it for.
    pub(super) purpose: Option<String>,
    /// The query of a view.
    pub(super) query: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub(super) created_at: Option<i64>,
}

/// A column of an [`ExistingTable`].
#[derive(Clone, Debug)]
pub(super) struct ExistingColumn {
    pub(super) name: String,
    pub(super) column_type: FieldType,
    pub(super) description: String,
}

impl ExistingTable {
    pub(super) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        let is_it = |column: &&ExistingColumn| column.name.eq_ignore_ascii_case(name);
        self.columns.iter().find(is_it)
    }

    /// The columns that came from the source once and are no longer among the stream's.
    pub(super) fn dropped(&self, table: &Table) -> Vec<&ExistingColumn> {
        let columns = self.columns.iter();
        let dropped = columns.filter(|column| {
            came_from_source(&column.description) && table.column(&column.name).is_none()
        });
        dropped.collect()
    }

    /// Checks that a batch's columns are all there, with types that take its values.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] naming the column.
    pub(super) fn check_takes(&self, table: &Table) -> Result<()> {
        for column in &table.columns {
            let there = self.column(&column.name);
            let takes = there.is_some_and(|there| column.column_type.fits(&there.column_type));
            if !takes {
                let what = "the table does not take a column of the batch: plan and prepare the stream first";
                return Err(Error::new(ErrorKind::Conflict, what)
                    .with("table", &table.name)
                    .with("column", &column.name));
            }
        }
        Ok(())
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The dataset is made.
    CreateDataset,
    /// A table of the bookkeeping is made.
    CreateBookkeeping(&'static str),
    /// The batches of a table that is no longer there are forgotten.
    Forget,
    /// The stream's table is made, or the one that its rows are streamed into.
    CreateTable(Definition),
    /// Columns are added, all at once, because changes of a table are counted.
    AddColumns {
        table: String,
        columns: Vec<TableColumn>,
    },
    /// A column takes more values.
    Widen {
        table: String,
        column: String,
        to: ColumnType,
    },
    /// The view of the latest states is made, or shows other columns.
    ShowLatest { is_new: bool },
}

/// A table to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) table: Table,
    pub(super) purpose: &'static str,
    /// Whether it is parted by the time at which rows come in, and has no key.
    pub(super) is_landing: bool,
}

/// What a label says that a table is for.
pub(super) mod purpose {
    /// Rows of a stream.
    pub(in super::super) const STREAM: &str = "stream";
    /// Rows of a stream, as they were streamed.
    pub(in super::super) const LANDING: &str = "landing";
    /// The bookkeeping.
    pub(in super::super) const BOOKKEEPING: &str = "bookkeeping";
    /// Rows of one batch on their way.
    pub(in super::super) const STAGING: &str = "staging";
}

/// Changes, and how they are made.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) changes: Vec<SchemaChange>,
    pub(super) steps: Vec<Step>,
}

/// The steps from what exists to what is wanted; none where they agree.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] where adding does not suffice: the name belongs to something else, or the key or
/// the type of a column is another one. [`ErrorKind::NotFound`] where there is no dataset and none may be
/// made.
pub(super) fn steps(
    options: &BigQuerySinkOptions,
    stream: &StreamDescriptor,
    wanted: &Table,
    existing: &Existing,
) -> Result<Steps> {
    let mut steps = Steps::default();
    if !existing.has_dataset {
        if options.create_dataset_in.is_none() {
            let what = "the dataset does not exist: make it in the location that the data must stay in, or \
                        let the sink make it";
            return Err(
                Error::new(ErrorKind::NotFound, what).with("dataset", options.dataset.to_string())
            );
        }
        steps.changes.push(SchemaChange::CreateSchema {
            schema: options.dataset.dataset_id.to_string(),
        });
        steps.steps.push(Step::CreateDataset);
    }
    for name in bookkeeping::NAMES {
        if !existing.bookkeeping.contains(&name) {
            steps.changes.push(SchemaChange::CreateTable {
                table: name.to_owned(),
            });
            steps.steps.push(Step::CreateBookkeeping(name));
        }
    }
    let forgets = existing.bookkeeping.contains(&bookkeeping::BATCHES);
    match options.mode {
        Mode::StagedMerge => {
            let definition = Definition {
                table: wanted.clone(),
                purpose: purpose::STREAM,
                is_landing: false,
            };
            steps.table(definition, existing.table.as_ref(), forgets)?;
        }
        Mode::Streaming => {
            let definition = Definition {
                table: streaming::landing(wanted),
                purpose: purpose::LANDING,
                is_landing: true,
            };
            steps.table(definition, existing.landing.as_ref(), forgets)?;
            steps.view(options, stream, wanted, existing.table.as_ref())?;
        }
    }
    Ok(steps)
}

impl Steps {
    fn table(
        &mut self,
        definition: Definition,
        existing: Option<&ExistingTable>,
        forgets: bool,
    ) -> Result<()> {
        let Some(existing) = existing else {
            self.changes.push(SchemaChange::CreateTable {
                table: definition.table.name.clone(),
            });
            if forgets {
                self.steps.push(Step::Forget);
            }
            self.steps.push(Step::CreateTable(definition));
            return Ok(());
        };
        let wanted = &definition.table;
        check_same_owner(wanted, existing, "TABLE", definition.purpose)?;
        if !definition.is_landing {
            check_same_key(wanted, existing)?;
        }
        let mut added = Vec::new();
        for column in &wanted.columns {
            let Some(there) = existing.column(&column.name) else {
                self.changes.push(SchemaChange::AddColumn {
                    table: wanted.name.clone(),
                    column: column.name.clone(),
                    column_type: column.column_type.name().to_owned(),
                });
                added.push(column.clone());
                continue;
            };
            if column.column_type.fits(&there.column_type) {
                continue;
            }
            // A table that is streamed into must not change the type of a column.
            if definition.is_landing || !column.column_type.widens(&there.column_type) {
                return Err(other_type(wanted, column, there));
            }
            self.changes.push(SchemaChange::WidenColumn {
                table: wanted.name.clone(),
                column: column.name.clone(),
                from: there.column_type.to_string(),
                to: column.column_type.name().to_owned(),
            });
            self.steps.push(Step::Widen {
                table: wanted.name.clone(),
                column: column.name.clone(),
                to: column.column_type,
            });
        }
        if !added.is_empty() {
            self.steps.push(Step::AddColumns {
                table: wanted.name.clone(),
                columns: added,
            });
        }
        Ok(())
    }

    fn view(
        &mut self,
        options: &BigQuerySinkOptions,
        stream: &StreamDescriptor,
        wanted: &Table,
        existing: Option<&ExistingTable>,
    ) -> Result<()> {
        let query = streaming::view(&options.dataset, wanted, stream.delete_mode);
        match existing {
            None => {
                self.changes.push(SchemaChange::CreateTable {
                    table: wanted.name.clone(),
                });
                self.steps.push(Step::ShowLatest { is_new: true });
            }
            Some(existing) => {
                check_same_owner(wanted, existing, "VIEW", purpose::STREAM)?;
                if existing.query.as_deref() != Some(query.as_str()) {
                    self.steps.push(Step::ShowLatest { is_new: false });
                }
            }
        }
        Ok(())
    }
}

fn conflict(wanted: &Table, what: &str) -> Error {
    Error::new(ErrorKind::Conflict, what).with("table", &wanted.name)
}

fn check_same_owner(
    wanted: &Table,
    existing: &ExistingTable,
    kind: &str,
    purpose: &str,
) -> Result<()> {
    let is_ours = existing.purpose.as_deref() == Some(purpose);
    if is_ours && existing.kind.eq_ignore_ascii_case(kind) {
        return Ok(());
    }
    let what = if is_ours {
        "the stream was written in the other mode before: drop what has its name and read it anew, or write \
         to another dataset"
    } else {
        "something that this sync did not make has the stream's name: rename or drop it, or write to another \
         dataset"
    };
    Err(conflict(wanted, what).with("found", &existing.kind))
}

fn check_same_key(wanted: &Table, existing: &ExistingTable) -> Result<()> {
    let fold = |names: &[String]| -> Vec<String> {
        names.iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    if fold(&wanted.key) == fold(&existing.key) {
        return Ok(());
    }
    let what =
        "the stream's key is not the table's: drop or rename the table, then read the stream anew";
    Err(conflict(wanted, what)
        .with("key of the table", existing.key.join(", "))
        .with("key of the stream", wanted.key.join(", ")))
}

fn other_type(wanted: &Table, column: &TableColumn, there: &ExistingColumn) -> Error {
    let what = if column.origin == Origin::Source {
        "the column's type has changed, and rows of the old type are in the table: drop or rename the table \
         and read the stream anew, or leave the column out"
    } else {
        "a column that the sync adds to each table has another type there: drop or rename the table"
    };
    conflict(wanted, what)
        .with("column", &column.name)
        .with("type in the table", there.column_type.to_string())
        .with("type at the source", column.column_type.name())
}

/// The columns that a landing table has beside those of the stream's.
pub(super) fn row_number() -> TableColumn {
    TableColumn {
        name: ROW.to_owned(),
        column_type: ColumnType::Integer,
        required: true,
        description: "The row's number in its batch".to_owned(),
        origin: Origin::Sync,
    }
}

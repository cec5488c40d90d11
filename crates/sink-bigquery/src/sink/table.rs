//! The table that a stream needs.

use sync_core::batch::{batch_schema, system};
use sync_core::stream::metadata;
use sync_core::{DeleteMode, Error, ErrorKind, Operation, Result, StreamDescriptor};

use super::bookkeeping;
use super::column_type::ColumnType;
use super::names;
use super::options::ReportingColumns;

/// Where a row's state stands in the order of all batches: `2026-01-31T18:02:00.000000Z/000000000012`, the
/// end of the window that it was read in, and the batch's number in it. It sorts as text.
pub(super) const VERSION: &str = "_version";

/// The number of a row in its batch; only where rows are staged or land.
pub(super) const ROW: &str = "_row";

/// The time of a row's last synchronisation, under the name that published reporting models read.
pub(super) const REPORTED_SYNCED: &str = "_fivetran_synced";

/// Whether a record is gone, under the name that published reporting models read.
pub(super) const REPORTED_DELETED: &str = "_fivetran_deleted";

/// The most columns of a table (BigQuery documentation, Quotas and limits).
const MOST_COLUMNS: usize = 10_000;

/// The most columns that a table is clustered by.
const MOST_CLUSTERED: usize = 4;

/// The most characters of a column's description.
const MOST_DESCRIBED: usize = 1_024;

/// What the description of a column that came from the source has behind the source's own words.
const OF_SOURCE: &str = "(source field ";

/// The table of a stream: its own columns, then the system columns, then those for reporting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<TableColumn>,
    pub(super) key: Vec<String>,
    /// A date column by whose months the table is parted.
    pub(super) partitioned_by: Option<String>,
    pub(super) clustered_by: Vec<String>,
    /// What people read of the table.
    pub(super) description: String,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
    /// Null is refused. Never so for a source's column outside the key, because a column that the source
    /// drops turns null.
    pub(super) required: bool,
    pub(super) description: String,
    pub(super) origin: Origin,
}

/// Where the values of a column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The source.
    Source,
    /// The pipeline or this sink.
    Sync,
}

impl Table {
    /// The table of a stream.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the stream contradicts itself or has names that BigQuery refuses or
    /// cannot tell apart, [`ErrorKind::Unsupported`] where it has too many columns.
    pub(super) fn of(stream: &StreamDescriptor, reporting: ReportingColumns) -> Result<Self> {
        stream.validate()?;
        let name = stream.name.as_str();
        if bookkeeping::NAMES.contains(&name) {
            let what = "this table name is taken by the bookkeeping: rename the stream";
            return Err(Error::new(ErrorKind::Config, what).with("stream", name));
        }
        let schema = batch_schema(stream, Operation::Upsert);
        let fields = schema.fields();
        let own = reporting_columns(stream, reporting);
        let spelled = fields.iter().map(|field| field.name().as_str());
        let spelled = spelled.chain([VERSION]).chain(own.iter().map(|it| it.0));
        let names = names::all_folded(name, spelled)?;
        if names.len() > MOST_COLUMNS {
            let what = "the stream has more columns than a table can have: select fewer";
            return Err(Error::new(ErrorKind::Unsupported, what)
                .with("stream", name)
                .with("columns", names.len().to_string())
                .with("limit", MOST_COLUMNS.to_string()));
        }
        let mut columns = Vec::with_capacity(names.len());
        for (field, folded) in fields.iter().zip(names) {
            let is_system = system::ALL.contains(&field.name().as_str());
            let column_type = ColumnType::of(field.data_type())
                .map_err(|error| error.with("stream", name).with("column", field.name()))?;
            columns.push(TableColumn {
                name: folded,
                column_type,
                required: (is_system && !field.is_nullable()) || stream.key.contains(field.name()),
                description: if is_system {
                    describe_system(field.name()).to_owned()
                } else {
                    describe(field)
                },
                origin: if is_system {
                    Origin::Sync
                } else {
                    Origin::Source
                },
            });
        }
        let synced = |name: &str, column_type, required, description: &str| TableColumn {
            name: name.to_owned(),
            column_type,
            required,
            description: description.to_owned(),
            origin: Origin::Sync,
        };
        columns.push(synced(
            VERSION,
            ColumnType::Text,
            true,
            "Where this state stands in the order of all: the end of its window, and its batch's number in it",
        ));
        for (name, column_type, description) in own {
            columns.push(synced(name, column_type, false, description));
        }
        let fold = |names: &[String]| names.iter().map(|it| names::folded(it)).collect::<Vec<_>>();
        Ok(Self {
            name: name.to_owned(),
            columns,
            key: fold(&stream.key),
            partitioned_by: stream.period.as_deref().map(names::folded),
            clustered_by: clustered_by(stream),
            description: format!(
                "{name}, one row a record, identified by {}",
                stream.key.join(", ")
            ),
        })
    }

    /// The columns whose values are uploaded: all but those that are the same in each row of a batch, which
    /// the merge adds.
    pub(super) fn column(&self, name: &str) -> Option<&TableColumn> {
        let is_it = |column: &&TableColumn| column.name.eq_ignore_ascii_case(name);
        self.columns.iter().find(is_it)
    }
}

/// The columns for reporting: name, type and description.
fn reporting_columns(
    stream: &StreamDescriptor,
    reporting: ReportingColumns,
) -> Vec<(&'static str, ColumnType, &'static str)> {
    let synced = (REPORTED_SYNCED, ColumnType::Timestamp, "As _synced_at");
    let deleted = (REPORTED_DELETED, ColumnType::Boolean, "As _deleted");
    match (reporting, stream.delete_mode) {
        (ReportingColumns::Off, _) => Vec::new(),
        (ReportingColumns::Fivetran, DeleteMode::Mark) => vec![synced, deleted],
        (ReportingColumns::Fivetran, _) => vec![synced],
    }
}

/// By what readers of finance data look for rows: account, entity and book where there are some, then what
/// identifies a record, by which the merge looks.
fn clustered_by(stream: &StreamDescriptor) -> Vec<String> {
    let roles = &stream.totals.roles;
    let roles = [&roles.account, &roles.entity, &roles.book];
    let roles = roles.into_iter().flatten();
    let roles = roles.filter(|name| stream.field(name).is_ok());
    let mut clustered: Vec<String> = Vec::with_capacity(MOST_CLUSTERED);
    for name in roles.chain(&stream.key) {
        let name = names::folded(name);
        if !clustered.contains(&name) && clustered.len() < MOST_CLUSTERED {
            clustered.push(name);
        }
    }
    clustered
}

/// A column as the source describes it: its label, what is said of it, its name and type there.
fn describe(field: &arrow_schema::Field) -> String {
    let of_source = |key: &str| field.metadata().get(key).map_or("", String::as_str).trim();
    let name = match of_source(metadata::SOURCE_NAME) {
        "" => field.name(),
        name => name,
    };
    let origin = match of_source(metadata::SOURCE_TYPE) {
        "" => format!("{OF_SOURCE}{name})"),
        declared => format!("{OF_SOURCE}{name}, {declared})"),
    };
    let mut words = of_source(metadata::LABEL).to_owned();
    let description = of_source(metadata::DESCRIPTION);
    if !description.is_empty() && description != words {
        words.push_str(if words.is_empty() { "" } else { ": " });
        words.push_str(description);
    }
    let room = MOST_DESCRIBED.saturating_sub(origin.chars().count() + 1);
    let mut words: String = words.chars().take(room).collect();
    if !words.is_empty() {
        words.push(' ');
    }
    words.extend(origin.chars().take(MOST_DESCRIBED));
    words
}

/// Whether a column of a table came from the source once, by its description.
pub(super) fn came_from_source(description: &str) -> bool {
    description.contains(OF_SOURCE)
}

fn describe_system(name: &str) -> &'static str {
    match name {
        system::RECORD_ID => "What identifies this state of the record",
        system::BATCH_ID => "The batch that brought it; see sync_batch",
        system::SYNCED_AT => "When the batch was cut",
        system::SOURCE_MODIFIED_AT => "When the record last changed at the source",
        _ => "Whether the record is gone at the source",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Schema};
    use sync_core::StreamName;

    use super::*;

    fn line() -> StreamDescriptor {
        let label = HashMap::from([
            (metadata::LABEL.to_owned(), "Account".to_owned()),
            (
                metadata::DESCRIPTION.to_owned(),
                "Number of the account".to_owned(),
            ),
            (metadata::SOURCE_NAME.to_owned(), "ACCOUNTNO".to_owned()),
            (metadata::SOURCE_TYPE.to_owned(), "TEXT".to_owned()),
        ]);
        let schema = Schema::new(vec![
            Field::new("recordno", DataType::Utf8, false),
            Field::new("accountno", DataType::Utf8, true).with_metadata(label),
            Field::new("entry_date", DataType::Date32, true),
            Field::new("rate", DataType::Decimal128(38, 18), true),
        ]);
        let name = StreamName::new("gl_detail").unwrap();
        let mut stream =
            StreamDescriptor::new(name, Arc::new(schema), vec!["recordno".into()]).unwrap();
        stream.period = Some("entry_date".into());
        stream.totals.roles.account = Some("accountno".into());
        stream
    }

    #[test]
    fn ledger_lines_are_parted_by_month_and_lie_by_account() {
        let table = Table::of(&line(), ReportingColumns::Fivetran).unwrap();
        assert_eq!(table.partitioned_by.as_deref(), Some("entry_date"));
        assert_eq!(table.clustered_by, ["accountno", "recordno"]);
        let names: Vec<_> = table.columns.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names[4..],
            [
                "_record_id",
                "_batch_id",
                "_synced_at",
                "_source_modified_at",
                "_deleted",
                "_version",
                "_fivetran_synced",
                "_fivetran_deleted"
            ]
        );
        assert_eq!(
            table.column("RATE").unwrap().column_type,
            ColumnType::BigNumeric
        );
        assert!(table.column("recordno").unwrap().required);
        assert!(!table.column("rate").unwrap().required);
    }

    #[test]
    fn a_column_is_described_in_the_sources_words() {
        let table = Table::of(&line(), ReportingColumns::Off).unwrap();
        let account = &table.column("accountno").unwrap().description;
        assert_eq!(
            account,
            "Account: Number of the account (source field ACCOUNTNO, TEXT)"
        );
        assert!(came_from_source(account));
        assert!(!came_from_source(
            &table.column("_deleted").unwrap().description
        ));
        let long = Field::new("x", DataType::Utf8, true).with_metadata(HashMap::from([(
            metadata::DESCRIPTION.to_owned(),
            "ä".repeat(2000),
        )]));
        let described = describe(&long);
        assert_eq!(described.chars().count(), MOST_DESCRIBED);
        assert!(came_from_source(&described));
    }
}

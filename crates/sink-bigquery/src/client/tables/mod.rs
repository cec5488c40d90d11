//! Tables: made, read, widened, removed.

mod schema;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sync_http::Method;

pub use self::schema::{Field, FieldType, Mode, TableSchema};
use crate::client::names::{DatasetRef, TableId, TableRef};
use crate::client::transport::Call;
use crate::client::{BigQuery, int64};
use crate::error::{Error, ErrorKind, Result};
use crate::pacing::Operation;

/// A table (BigQuery REST reference, `Table`). What BigQuery alone sets is read and never sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Table {
    /// Which table.
    pub table_reference: TableRef,
    /// The columns. A view has none of its own when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<TableSchema>,
    /// How its rows are parted by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_partitioning: Option<TimePartitioning>,
    /// Which columns its rows lie together by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clustering: Option<Clustering>,
    /// Whether a query has to name partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_partition_filter: Option<bool>,
    /// When it removes itself, in milliseconds of the Unix epoch.
    #[serde(
        default,
        with = "int64::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expiration_time: Option<i64>,
    /// Labels: keys and values of at most 63 lower-case letters, digits, `_` and `-`; at most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What it holds, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its title, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    /// Its primary key, which BigQuery believes and does not enforce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_constraints: Option<TableConstraints>,
    /// Of a view: its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// Which version of the table this is; for [`Tables::patch`].
    #[serde(default, skip_serializing)]
    pub etag: Option<String>,
    /// `TABLE`, `VIEW`, `EXTERNAL` and the like.
    #[serde(default, rename = "type", skip_serializing)]
    pub table_type: Option<String>,
    /// Where it lies.
    #[serde(default, skip_serializing)]
    pub location: Option<String>,
    /// How many rows it has, without those that were streamed and are still in the buffer.
    #[serde(default, with = "int64::optional", skip_serializing)]
    pub num_rows: Option<u64>,
    /// How large it is, without the buffer.
    #[serde(default, with = "int64::optional", skip_serializing)]
    pub num_bytes: Option<i64>,
    /// When it was made, in milliseconds of the Unix epoch.
    #[serde(default, with = "int64::optional", skip_serializing)]
    pub creation_time: Option<i64>,
    /// When it was last changed, in milliseconds of the Unix epoch.
    #[serde(default, with = "int64::optional", skip_serializing)]
    pub last_modified_time: Option<u64>,
    /// What was streamed and is still in the buffer; none if the buffer is empty.
    #[serde(default, skip_serializing)]
    pub streaming_buffer: Option<StreamingBuffer>,
}

impl Table {
    /// A table of this name and nothing else yet.
    #[must_use]
    pub fn new(table_reference: TableRef) -> Self {
        Self {
            table_reference,
            schema: None,
            time_partitioning: None,
            clustering: None,
            require_partition_filter: None,
            expiration_time: None,
            labels: BTreeMap::new(),
            description: None,
            friendly_name: None,
            table_constraints: None,
            view: None,
            etag: None,
            table_type: None,
            location: None,
            num_rows: None,
            num_bytes: None,
            creation_time: None,
            last_modified_time: None,
            streaming_buffer: None,
        }
    }

    /// The same table with these columns.
    #[must_use]
    pub fn with_schema(mut self, schema: TableSchema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The same table, parted by time.
    #[must_use]
    pub fn with_time_partitioning(mut self, partitioning: TimePartitioning) -> Self {
        self.time_partitioning = Some(partitioning);
        self
    }

    /// The same table, its rows lying together by these columns: at most four, the most important first.
    #[must_use]
    pub fn with_clustering<I: Into<String>>(mut self, fields: impl IntoIterator<Item = I>) -> Self {
        let fields = fields.into_iter().map(Into::into).collect();
        self.clustering = Some(Clustering { fields });
        self
    }

    /// The same table with one more label.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// The same table with this description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The same table, removing itself at this time, in milliseconds of the Unix epoch.
    #[must_use]
    pub const fn with_expiration_time(mut self, millis: i64) -> Self {
        self.expiration_time = Some(millis);
        self
    }

    /// The same table with this primary key. BigQuery believes it without looking: doubled keys make queries wrong.
    #[must_use]
    pub fn with_primary_key<I: Into<String>>(
        mut self,
        columns: impl IntoIterator<Item = I>,
    ) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        let primary_key = Some(PrimaryKey { columns });
        self.table_constraints = Some(TableConstraints { primary_key });
        self
    }

    /// The same table as a view with this query in GoogleSQL.
    #[must_use]
    pub fn with_view(mut self, query: impl Into<String>) -> Self {
        self.view = Some(View {
            query: query.into(),
            use_legacy_sql: false,
        });
        self
    }
}

/// How rows are parted by time. Without a field by when they came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TimePartitioning {
    /// `DAY`, `HOUR`, `MONTH` or `YEAR`.
    #[serde(rename = "type")]
    pub granularity: String,
    /// The column, of type DATE, TIMESTAMP or DATETIME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How long a partition is kept, in milliseconds.
    #[serde(
        default,
        with = "int64::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expiration_ms: Option<i64>,
}

impl TimePartitioning {
    /// Partitions of this length (`DAY`, `HOUR`, `MONTH` or `YEAR`) by when rows came.
    #[must_use]
    pub fn by_ingestion(granularity: impl Into<String>) -> Self {
        Self {
            granularity: granularity.into(),
            field: None,
            expiration_ms: None,
        }
    }

    /// Partitions of this length by a column.
    #[must_use]
    pub fn by_field(granularity: impl Into<String>, field: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::by_ingestion(granularity)
        }
    }

    /// The same, each partition kept for so many milliseconds.
    #[must_use]
    pub const fn with_expiration_ms(mut self, millis: i64) -> Self {
        self.expiration_ms = Some(millis);
        self
    }
}

/// Which columns rows lie together by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clustering {
    /// The columns, at most four, the most important first.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// Keys that are declared and not enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TableConstraints {
    /// The primary key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<PrimaryKey>,
}

/// A primary key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryKey {
    /// Its columns, at most 16.
    #[serde(default)]
    pub columns: Vec<String>,
}

/// A view's query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct View {
    /// The query.
    pub query: String,
    /// Whether it is in the old dialect.
    #[serde(default)]
    pub use_legacy_sql: bool,
}

/// What was streamed and is not yet in the table proper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct StreamingBuffer {
    /// About how many rows.
    #[serde(with = "int64::optional")]
    pub estimated_rows: Option<u64>,
    /// About how many bytes.
    #[serde(with = "int64::optional")]
    pub estimated_bytes: Option<u64>,
    /// When the oldest of them came, in milliseconds of the Unix epoch.
    #[serde(with = "int64::optional")]
    pub oldest_entry_time: Option<u64>,
}

/// What [`Tables::patch`] changes; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TablePatch {
    /// All columns, also those that stay, in their order, new ones at the end: BigQuery replaces the list as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<TableSchema>,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Labels to set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it removes itself, in milliseconds of the Unix epoch.
    #[serde(with = "int64::optional", skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<i64>,
    /// A view's query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

impl TablePatch {
    /// A patch that changes the columns: all of them, new ones at the end.
    #[must_use]
    pub fn of_schema(schema: TableSchema) -> Self {
        Self {
            schema: Some(schema),
            ..Self::default()
        }
    }
}

/// A table in a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TableEntry {
    /// Which table.
    pub table_reference: TableRef,
    /// `TABLE`, `VIEW` and the like.
    #[serde(default, rename = "type")]
    pub table_type: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When it removes itself, in milliseconds of the Unix epoch.
    #[serde(default, with = "int64::optional")]
    pub expiration_time: Option<i64>,
}

/// The tables of a [`BigQuery`].
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    pub(crate) client: &'a BigQuery,
}

impl Tables<'_> {
    /// Reads a table: its columns, what it holds, what is still in its streaming buffer.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none.
    pub async fn get(self, table: &TableRef) -> Result<Table> {
        let url = self.address(table)?;
        let call = Call::get("tables.get", url).about("table", table);
        self.client.transport.json(&call).await
    }

    /// Makes a table, in its dataset's location. Counts as a change of the table, and makes it
    /// [fresh](crate::client::Tabledata::insert_all) for streaming.
    ///
    /// # Errors
    ///
    /// `Conflict` with reason `Duplicate` when there is one already; also when an earlier attempt of this very call
    /// made it and its answer was lost.
    pub async fn insert(self, table: &Table) -> Result<Table> {
        let reference = &table.table_reference;
        let segments = [
            "projects",
            reference.project_id.as_str(),
            "datasets",
            reference.dataset_id.as_str(),
            "tables",
        ];
        let url = self.client.transport.api(&segments, &[])?;
        self.client
            .pacer
            .pass(Operation::ChangeTable(reference))
            .await?;
        let call = Call::new("tables.insert", Method::POST, url)
            .about("table", reference)
            .with_json(table)?;
        self.client.warmth.changed(reference);
        let made = self.client.transport.json(&call).await?;
        tracing::info!(table = %reference, "table made");
        Ok(made)
    }

    /// Changes what the patch names. With `etag`, of a table read before, only if nobody has changed it since.
    ///
    /// # Errors
    ///
    /// - `Conflict` with reason `ConditionNotMet` when somebody has changed it since: read it and try anew.
    /// - `Rejected` when the columns are not those of before with new ones at the end.
    pub async fn patch(
        self,
        table: &TableRef,
        patch: &TablePatch,
        etag: Option<&str>,
    ) -> Result<Table> {
        let url = self.address(table)?;
        self.client
            .pacer
            .pass(Operation::ChangeTable(table))
            .await?;
        let mut call = Call::new("tables.patch", Method::PATCH, url)
            .about("table", table)
            .with_json(patch)?;
        if let Some(etag) = etag {
            call = call.only_if(etag)?;
        }
        if patch.schema.is_some() {
            self.client.warmth.changed(table);
        }
        self.client.transport.json(&call).await
    }

    /// Removes a table with all its rows. False when there was none.
    ///
    /// A table that is streamed into must not be removed and made again: rows that were acknowledged may go to the old
    /// one (BigQuery documentation, "Streaming data", metadata errors).
    ///
    /// # Errors
    ///
    /// `Permission` and what any call may fail with.
    pub async fn delete(self, table: &TableRef) -> Result<bool> {
        let url = self.address(table)?;
        let call = Call::new("tables.delete", Method::DELETE, url).about("table", table);
        self.client.warmth.changed(table);
        match self.client.transport.done(&call).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The tables of a dataset, all pages of them.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such dataset.
    pub async fn list(self, dataset: &DatasetRef) -> Result<Vec<TableEntry>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            #[serde(default)]
            tables: Vec<TableEntry>,
            #[serde(default)]
            next_page_token: Option<String>,
        }

        let segments = [
            "projects",
            dataset.project_id.as_str(),
            "datasets",
            dataset.dataset_id.as_str(),
            "tables",
        ];
        let mut tables = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("maxResults", "1000")];
            if let Some(token) = &token {
                query.push(("pageToken", token));
            }
            let url = self.client.transport.api(&segments, &query)?;
            let call = Call::get("tables.list", url).about("dataset", dataset);
            let page: Page = self.client.transport.json(&call).await?;
            tables.extend(page.tables);
            let next = page.next_page_token.filter(|next| !next.is_empty());
            if next.is_some() && next == token {
                return Err(
                    Error::broken("the list of tables names the same page again")
                        .with("dataset", dataset.to_string()),
                );
            }
            match next {
                Some(next) => token = Some(next),
                None => return Ok(tables),
            }
        }
    }

    fn address(&self, table: &TableRef) -> Result<url::Url> {
        self.client
            .transport
            .api(&segments_of(table, &table.table_id), &[])
    }
}

fn segments_of<'t>(table: &'t TableRef, table_id: &'t TableId) -> [&'t str; 6] {
    [
        "projects",
        table.project_id.as_str(),
        "datasets",
        table.dataset_id.as_str(),
        "tables",
        table_id.as_str(),
    ]
}

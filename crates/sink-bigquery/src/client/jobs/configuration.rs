//! What a job is to do.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::client::names::{DatasetRef, JobId, Location, ProjectId, TableRef};
use crate::client::query::Parameter;
use crate::client::tables::{Clustering, TableSchema, TimePartitioning};

/// The body of jobs.insert.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submission<'a> {
    job_reference: Reference<'a>,
    configuration: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    project_id: &'a ProjectId,
    job_id: &'a JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a Location>,
}

impl<'a> Submission<'a> {
    pub(crate) fn new(
        project_id: &'a ProjectId,
        job_id: &'a JobId,
        location: Option<&'a Location>,
        labels: BTreeMap<String, String>,
        mut configuration: Value,
    ) -> Self {
        if let Some(configuration) = configuration.as_object_mut().filter(|_| !labels.is_empty()) {
            configuration.insert("labels".to_owned(), json!(labels));
        }
        Self {
            job_reference: Reference {
                project_id,
                job_id,
                location,
            },
            configuration,
        }
    }
}

/// A statement in GoogleSQL as a job (BigQuery REST reference, `JobConfigurationQuery`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryJob {
    /// The statement, at most 1,024,000 characters.
    pub sql: String,
    /// Its parameters, each `@name` in it.
    pub parameters: Vec<Parameter>,
    /// Where tables lie that are named without a dataset.
    pub default_dataset: Option<DatasetRef>,
    /// The table that it changes (`MERGE`, `UPDATE`, `DELETE`, `INSERT`), which has limits of its own: the client
    /// [paces](crate::pacing) by it, and [`run_query`](crate::client::Jobs::run_query) sends one at a time.
    pub changing: Option<TableRef>,
    /// Labels: keys and values of at most 63 lower-case letters, digits, `_` and `-`.
    pub labels: BTreeMap<String, String>,
    /// More bytes than this are refused instead of billed.
    pub maximum_bytes_billed: Option<u64>,
    /// BigQuery tries to stop the job after this long.
    pub timeout: Option<Duration>,
}

impl QueryJob {
    /// A statement.
    #[must_use]
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: Vec::new(),
            default_dataset: None,
            changing: None,
            labels: BTreeMap::new(),
            maximum_bytes_billed: None,
            timeout: None,
        }
    }

    /// The same statement with one more parameter.
    #[must_use]
    pub fn with_parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// The same statement, its tables lying in this dataset where they do not say so.
    #[must_use]
    pub fn with_default_dataset(mut self, dataset: DatasetRef) -> Self {
        self.default_dataset = Some(dataset);
        self
    }

    /// The same statement, known to change this table.
    #[must_use]
    pub fn changing(mut self, table: TableRef) -> Self {
        self.changing = Some(table);
        self
    }

    /// The same statement with one more label.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// The same statement, refused instead of billed for more bytes than this.
    #[must_use]
    pub const fn with_maximum_bytes_billed(mut self, bytes: u64) -> Self {
        self.maximum_bytes_billed = Some(bytes);
        self
    }

    pub(crate) fn configuration(&self) -> Value {
        let mut query = Map::new();
        query.insert("query".to_owned(), json!(self.sql));
        // The old dialect is what BigQuery takes by default.
        query.insert("useLegacySql".to_owned(), json!(false));
        if !self.parameters.is_empty() {
            query.insert("parameterMode".to_owned(), json!("NAMED"));
            query.insert("queryParameters".to_owned(), json!(self.parameters));
        }
        put(&mut query, "defaultDataset", self.default_dataset.as_ref());
        let bytes = self.maximum_bytes_billed.map(|bytes| bytes.to_string());
        put(&mut query, "maximumBytesBilled", bytes);
        let mut configuration = Map::new();
        configuration.insert("query".to_owned(), Value::Object(query));
        let timeout = self.timeout.map(|it| it.as_millis().to_string());
        put(&mut configuration, "jobTimeoutMs", timeout);
        Value::Object(configuration)
    }
}

/// What loaded data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// One JSON object a line; it may be compressed with gzip.
    Ndjson,
    /// Parquet.
    Parquet,
    /// Avro.
    Avro,
    /// Comma-separated; it may be compressed with gzip.
    Csv,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "NEWLINE_DELIMITED_JSON",
            Self::Parquet => "PARQUET",
            Self::Avro => "AVRO",
            Self::Csv => "CSV",
        }
    }
}

/// What becomes of the rows that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Write {
    /// They stay.
    #[default]
    Append,
    /// They go, and the table's columns and constraints are those of the load.
    Truncate,
    /// They go, and the table stays as it is.
    TruncateData,
    /// There must be none.
    Empty,
}

impl Write {
    const fn name(self) -> &'static str {
        match self {
            Self::Append => "WRITE_APPEND",
            Self::Truncate => "WRITE_TRUNCATE",
            Self::TruncateData => "WRITE_TRUNCATE_DATA",
            Self::Empty => "WRITE_EMPTY",
        }
    }
}

/// A load of uploaded rows into one table (BigQuery REST reference, `JobConfigurationLoad`). All of it or nothing: bad
/// rows are not left out, they fail the job.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoadJob {
    /// The table.
    pub destination: TableRef,
    /// What the data are.
    pub format: Format,
    /// The columns; none where the table is there and has them.
    pub schema: Option<TableSchema>,
    /// What becomes of the rows that are there.
    pub write: Write,
    /// Whether the table is made where it is missing. Default true.
    pub create: bool,
    /// How a new table is parted.
    pub time_partitioning: Option<TimePartitioning>,
    /// Which columns the rows of a new table lie together by.
    pub clustering: Option<Clustering>,
    /// `ALLOW_FIELD_ADDITION`, `ALLOW_FIELD_RELAXATION`: how far the load may change the table's columns.
    pub schema_update_options: Vec<String>,
    /// What decimals of Parquet and Avro become, the first that holds them: `NUMERIC`, `BIGNUMERIC`, `STRING`.
    pub decimal_target_types: Vec<String>,
    /// Labels of the job.
    pub labels: BTreeMap<String, String>,
    /// BigQuery tries to stop the job after this long.
    pub timeout: Option<Duration>,
    /// Up to this many bytes go along in one request. Default 5 MiB, where Google's own clients part too.
    pub multipart_up_to: usize,
    /// The pieces of a larger upload, in bytes; a multiple of 256 KiB, else the next below is taken. Default 8 MiB.
    pub chunk_bytes: usize,
}

impl LoadJob {
    /// Rows of this format, appended to this table.
    #[must_use]
    pub fn new(destination: TableRef, format: Format) -> Self {
        let decimal_target_types = match format {
            Format::Parquet | Format::Avro => vec!["NUMERIC".to_owned(), "BIGNUMERIC".to_owned()],
            Format::Ndjson | Format::Csv => Vec::new(),
        };
        Self {
            destination,
            format,
            schema: None,
            write: Write::Append,
            create: true,
            time_partitioning: None,
            clustering: None,
            schema_update_options: Vec::new(),
            decimal_target_types,
            labels: BTreeMap::new(),
            timeout: None,
            multipart_up_to: 5 * 1024 * 1024,
            chunk_bytes: 8 * 1024 * 1024,
        }
    }

    /// The same load of rows with these columns.
    #[must_use]
    pub fn with_schema(mut self, schema: TableSchema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The same load, doing this with the rows that are there.
    #[must_use]
    pub const fn with_write(mut self, write: Write) -> Self {
        self.write = write;
        self
    }

    /// The same load into a table that has to be there.
    #[must_use]
    pub const fn into_existing(mut self) -> Self {
        self.create = false;
        self
    }

    /// The same load with one more label.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// The same load in one request up to so many bytes, above that in pieces of so many.
    #[must_use]
    pub const fn with_upload_sizes(mut self, multipart_up_to: usize, chunk_bytes: usize) -> Self {
        self.multipart_up_to = multipart_up_to;
        self.chunk_bytes = chunk_bytes;
        self
    }

    pub(crate) fn configuration(&self) -> Value {
        let mut load = Map::new();
        load.insert("destinationTable".to_owned(), json!(self.destination));
        load.insert("sourceFormat".to_owned(), json!(self.format.name()));
        load.insert("writeDisposition".to_owned(), json!(self.write.name()));
        let create = if self.create {
            "CREATE_IF_NEEDED"
        } else {
            "CREATE_NEVER"
        };
        load.insert("createDisposition".to_owned(), json!(create));
        put(&mut load, "schema", self.schema.as_ref());
        put(
            &mut load,
            "timePartitioning",
            self.time_partitioning.as_ref(),
        );
        put(&mut load, "clustering", self.clustering.as_ref());
        if !self.schema_update_options.is_empty() {
            load.insert(
                "schemaUpdateOptions".to_owned(),
                json!(self.schema_update_options),
            );
        }
        if !self.decimal_target_types.is_empty() {
            load.insert(
                "decimalTargetTypes".to_owned(),
                json!(self.decimal_target_types),
            );
        }
        let mut configuration = Map::new();
        configuration.insert("load".to_owned(), Value::Object(load));
        let timeout = self.timeout.map(|it| it.as_millis().to_string());
        put(&mut configuration, "jobTimeoutMs", timeout);
        Value::Object(configuration)
    }
}

fn put(object: &mut Map<String, Value>, name: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), json!(value));
    }
}

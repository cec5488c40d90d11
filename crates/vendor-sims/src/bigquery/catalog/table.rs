//! A table: its resource, its rows, and what was streamed into it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{Mode, Schema, etag, kept};
use crate::bigquery::refusal::Refusal;
use crate::bigquery::value::{MICROS_PER_DAY, Row, Type, Value, truncated};

/// Labels of one resource.
const MOST_LABELS: usize = 64;
/// Columns by which a table can be clustered.
const MOST_CLUSTERING: usize = 4;
/// Columns of a primary key.
const MOST_KEY_COLUMNS: usize = 16;
/// Streamed rows of a table partitioned by ingestion are not in a partition for so long.
const UNPARTITIONED: i64 = 90 * 60 * 1_000_000;

/// Top-level keys of a table that a caller may set and that are given back.
const SETTABLE: [&str; 11] = [
    "description",
    "friendlyName",
    "labels",
    "expirationTime",
    "timePartitioning",
    "rangePartitioning",
    "clustering",
    "requirePartitionFilter",
    "tableConstraints",
    "defaultRoundingMode",
    "view",
];

/// The full name of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableName {
    pub(crate) project: String,
    pub(crate) dataset: String,
    pub(crate) table: String,
}

impl TableName {
    /// Reads a `TableReference`.
    pub(crate) fn parse(json: &Json, project: &str) -> Result<Self, Refusal> {
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let name = Self {
            project: json["projectId"].as_str().unwrap_or(project).to_owned(),
            dataset: text("datasetId"),
            table: text("tableId"),
        };
        if name.dataset.is_empty() || name.table.is_empty() {
            return Err(Refusal::invalid(
                "A table reference has projectId, datasetId and tableId",
            ));
        }
        Ok(name)
    }

    pub(crate) fn reference(&self) -> Json {
        json!({
            "projectId": self.project,
            "datasetId": self.dataset,
            "tableId": self.table,
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}.{}",
            self.project, self.dataset, self.table
        )
    }
}

/// A row with what the table knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) values: Row,
    /// When it came, in microseconds.
    pub(crate) at: i64,
    /// Whether it came by `insertAll`.
    pub(crate) streamed: bool,
}

/// What a table holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Rows(Arc<Vec<Stored>>),
    View(Arc<str>),
}

/// By which instants rows are put into partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Partitioning {
    None,
    /// By the time at which a row came: `HOUR`, `DAY`, `MONTH` or `YEAR`.
    Ingestion(String),
    /// By a column.
    Column {
        place: usize,
        unit: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: TableName,
    pub(crate) schema: Schema,
    pub(crate) content: Content,
    pub(crate) location: String,
    pub(crate) partitioning: Partitioning,
    /// In microseconds.
    pub(crate) created: i64,
    pub(crate) modified: i64,
    /// When its rows were replaced by a load or truncated last.
    pub(crate) truncated: Option<i64>,
    /// When columns were added last, and the schema before.
    pub(crate) widened: Option<(i64, Schema)>,
    /// Insert ids with the time at which each came.
    pub(crate) insert_ids: HashMap<String, i64>,
    etag: u64,
    settable: Map<String, Json>,
}

impl Table {
    /// Makes a table from a resource.
    pub(crate) fn new(
        name: TableName,
        body: &Json,
        location: &str,
        now: i64,
        stamp: u64,
    ) -> Result<Self, Refusal> {
        check_table_id(&name.table)?;
        let schema = Schema::parse(&body["schema"])?;
        let content = match body["view"]["query"].as_str() {
            Some(query) => Content::View(Arc::from(query)),
            None => Content::Rows(Arc::default()),
        };
        let mut table = Self {
            name,
            schema,
            content,
            location: location.to_owned(),
            partitioning: Partitioning::None,
            created: now,
            modified: now,
            truncated: None,
            widened: None,
            insert_ids: HashMap::new(),
            etag: stamp,
            settable: kept(body, &SETTABLE),
        };
        table.check(now)?;
        Ok(table)
    }

    /// Whether what was set can be meant.
    fn check(&mut self, now: i64) -> Result<(), Refusal> {
        check_labels(self.settable.get("labels").unwrap_or(&Json::Null))?;
        if self.expires().is_some_and(|at| at <= now) {
            return Err(Refusal::invalid(
                "Invalid value for expirationTime: it is in the past",
            ));
        }
        self.partitioning = self.partitioning()?;
        if let Some(columns) = self.settable.get("clustering").map(|it| &it["fields"]) {
            let columns = columns.as_array().map_or(&[][..], Vec::as_slice);
            if columns.is_empty() || columns.len() > MOST_CLUSTERING {
                return Err(Refusal::invalid(format!(
                    "Clustering takes 1 to {MOST_CLUSTERING} columns"
                )));
            }
            for column in columns {
                let name = column.as_str().unwrap_or_default();
                let field = self
                    .schema
                    .place(name)
                    .map(|place| &self.schema.fields[place]);
                let fits = field.is_some_and(|field| {
                    field.mode != Mode::Repeated
                        && field.element.has_order()
                        && !matches!(field.element, Type::Float64 | Type::Bytes | Type::Time)
                });
                if !fits {
                    return Err(Refusal::invalid(format!(
                        "The field specified for clustering cannot be found in the schema or is of a type that cannot be clustered by: {name}"
                    )));
                }
            }
        }
        if let Some(key) = self
            .settable
            .get("tableConstraints")
            .map(|it| &it["primaryKey"]["columns"])
        {
            let columns = key.as_array().map_or(&[][..], Vec::as_slice);
            let known = |column: &Json| {
                self.schema
                    .place(column.as_str().unwrap_or_default())
                    .is_some_and(|place| {
                        let field = &self.schema.fields[place];
                        field.mode != Mode::Repeated
                            && field.element.has_order()
                            && !matches!(field.element, Type::Float64 | Type::Time)
                    })
            };
            if columns.len() > MOST_KEY_COLUMNS || !columns.iter().all(known) {
                return Err(Refusal::invalid(format!(
                    "A primary key has at most {MOST_KEY_COLUMNS} columns that are in the schema and can be keys"
                )));
            }
        }
        Ok(())
    }

    fn partitioning(&self) -> Result<Partitioning, Refusal> {
        let Some(time) = self.settable.get("timePartitioning") else {
            return Ok(Partitioning::None);
        };
        let unit = time["type"].as_str().unwrap_or_default().to_owned();
        if !["HOUR", "DAY", "MONTH", "YEAR"].contains(&unit.as_str()) {
            return Err(Refusal::invalid(format!(
                "Invalid time partitioning type: {unit:?}"
            )));
        }
        let Some(column) = time["field"].as_str() else {
            return Ok(Partitioning::Ingestion(unit));
        };
        let place = self.schema.place(column).filter(|place| {
            let field = &self.schema.fields[*place];
            let kinds = [Type::Date, Type::Timestamp, Type::Datetime];
            let hours = unit == "HOUR" && field.element == Type::Date;
            kinds.contains(&field.element) && field.mode != Mode::Repeated && !hours
        });
        match place {
            Some(place) => Ok(Partitioning::Column { place, unit }),
            None => Err(Refusal::invalid(format!(
                "The field specified for partitioning can't be found in the schema or is no DATE, TIMESTAMP or DATETIME: {column}"
            ))),
        }
    }

    pub(crate) fn rows(&self) -> &[Stored] {
        match &self.content {
            Content::Rows(rows) => rows,
            Content::View(_) => &[],
        }
    }

    /// The rows, to be changed; none of a view.
    pub(crate) fn rows_mut(&mut self) -> Option<&mut Vec<Stored>> {
        match &mut self.content {
            Content::Rows(rows) => Some(Arc::make_mut(rows)),
            Content::View(_) => None,
        }
    }

    pub(crate) fn view(&self) -> Option<Arc<str>> {
        match &self.content {
            Content::View(query) => Some(Arc::clone(query)),
            Content::Rows(_) => None,
        }
    }

    /// When it ceases to be, in microseconds.
    pub(crate) fn expires(&self) -> Option<i64> {
        let millis: i64 = self
            .settable
            .get("expirationTime")?
            .as_str()?
            .parse()
            .ok()?;
        Some(millis.saturating_mul(1000))
    }

    pub(crate) fn etag(&self) -> String {
        etag(self.etag)
    }

    /// Notes a change of rows or resource.
    pub(crate) fn touch(&mut self, now: i64, stamp: u64) {
        self.modified = now;
        self.etag = stamp;
    }

    /// Puts another schema in the place of this one, as a load that truncates does.
    pub(crate) fn replace_schema(&mut self, schema: Schema, now: i64) -> Result<(), Refusal> {
        self.settable.remove("tableConstraints");
        self.schema = schema;
        self.check(now)
    }

    /// Adds and relaxes columns; anything else is refused.
    pub(crate) fn widen_schema(&mut self, schema: Schema, now: i64) -> Result<(), Refusal> {
        self.schema
            .check_successor(&schema, &self.name.to_string())?;
        let added = schema.fields.len() - self.schema.fields.len();
        let before = std::mem::replace(&mut self.schema, schema);
        if added > 0 {
            if let Some(rows) = self.rows_mut() {
                for row in rows {
                    let nulls = std::iter::repeat_n(Value::Null, added);
                    row.values = row.values.iter().cloned().chain(nulls).collect();
                }
            }
            self.widened = Some((now, before));
        }
        Ok(())
    }

    /// Changes what a body names and leaves the rest; a null takes a key away.
    pub(crate) fn patch(&mut self, body: &Json, now: i64, stamp: u64) -> Result<(), Refusal> {
        let mut changed = self.clone();
        for key in ["timePartitioning", "rangePartitioning"] {
            let given = body.get(key);
            let kept = changed.settable.get(key).unwrap_or(&Json::Null);
            if given.is_some_and(|given| partition_spec(given) != partition_spec(kept)) {
                return Err(Refusal::invalid(format!(
                    "Cannot change partitioning of table {}",
                    self.name
                )));
            }
        }
        for key in SETTABLE {
            match body.get(key) {
                None => {}
                Some(Json::Null) => {
                    changed.settable.remove(key);
                }
                // Labels are merged one by one.
                Some(Json::Object(labels)) if key == "labels" => {
                    let held = changed.settable.entry(key).or_insert_with(|| json!({}));
                    for (name, label) in labels {
                        if label.is_null() {
                            held.as_object_mut().map(|held| held.remove(name));
                        } else {
                            held[name] = label.clone();
                        }
                    }
                }
                Some(value) => {
                    changed.settable.insert(key.to_owned(), value.clone());
                }
            }
        }
        if let Some(query) = body["view"]["query"].as_str() {
            changed.content = Content::View(Arc::from(query));
        }
        if body.get("schema").is_some_and(|schema| !schema.is_null()) {
            let schema = Schema::parse(&body["schema"])?;
            if changed.view().is_some() {
                changed.schema = schema;
            } else {
                changed.widen_schema(schema, now)?;
            }
        }
        changed.check(now)?;
        changed.touch(now, stamp);
        *self = changed;
        Ok(())
    }

    /// The pseudo column `_PARTITIONTIME` of a row: null while it is in the streaming buffer.
    pub(crate) fn partition_time(&self, row: &Stored, now: i64) -> Value {
        let Partitioning::Ingestion(unit) = &self.partitioning else {
            return Value::Null;
        };
        if row.streamed && now - row.at < UNPARTITIONED {
            return Value::Null;
        }
        truncated(row.at, unit, &Type::Timestamp).map_or(Value::Null, Value::Timestamp)
    }

    /// The full resource, as `tables.get` shows it.
    pub(crate) fn resource(&self, buffered: impl Fn(&Stored) -> bool) -> Json {
        let mut out = self.settable.clone();
        let mut put = |key: &str, value: Json| out.insert(key.to_owned(), value);
        let TableName {
            project,
            dataset,
            table,
        } = &self.name;
        put("kind", json!("bigquery#table"));
        put("etag", json!(self.etag()));
        put("id", json!(self.name.to_string()));
        put(
            "selfLink",
            json!(format!(
                "https://bigquery.googleapis.com/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}"
            )),
        );
        put("tableReference", self.name.reference());
        put("schema", self.schema.resource());
        put("location", json!(self.location));
        put("creationTime", json!((self.created / 1000).to_string()));
        put(
            "lastModifiedTime",
            json!((self.modified / 1000).to_string()),
        );
        if self.view().is_some() {
            put("type", json!("VIEW"));
            return Json::Object(out);
        }
        put("type", json!("TABLE"));
        let mut counts = (0_u64, 0_u64);
        let mut buffer = (0_u64, 0_u64, i64::MAX);
        for row in self.rows() {
            let size: u64 = row.values.iter().map(Value::size).sum();
            if row.streamed && buffered(row) {
                buffer = (buffer.0 + 1, buffer.1 + size, buffer.2.min(row.at));
            } else {
                counts = (counts.0 + 1, counts.1 + size);
            }
        }
        put("numRows", json!(counts.0.to_string()));
        put("numBytes", json!(counts.1.to_string()));
        put("numLongTermBytes", json!("0"));
        if buffer.0 > 0 {
            put(
                "streamingBuffer",
                json!({
                    "estimatedRows": buffer.0.to_string(),
                    "estimatedBytes": buffer.1.to_string(),
                    "oldestEntryTime": (buffer.2 / 1000).to_string(),
                }),
            );
        }
        Json::Object(out)
    }

    /// The short form of `tables.list`.
    pub(crate) fn listed(&self) -> Json {
        let mut out = Map::new();
        for key in [
            "labels",
            "timePartitioning",
            "clustering",
            "expirationTime",
            "friendlyName",
        ] {
            if let Some(value) = self.settable.get(key) {
                out.insert(key.to_owned(), value.clone());
            }
        }
        out.insert("kind".to_owned(), json!("bigquery#table"));
        out.insert("id".to_owned(), json!(self.name.to_string()));
        out.insert("tableReference".to_owned(), self.name.reference());
        let kind = if self.view().is_some() {
            "VIEW"
        } else {
            "TABLE"
        };
        out.insert("type".to_owned(), json!(kind));
        out.insert(
            "creationTime".to_owned(),
            json!((self.created / 1000).to_string()),
        );
        Json::Object(out)
    }
}

/// Whether a streamed value's partition takes rows: from ten years back to one year ahead.
pub(crate) fn takes_streamed(value: &Value, now: i64) -> bool {
    let micros = match value {
        Value::Date(days) => i64::from(*days) * MICROS_PER_DAY,
        Value::Timestamp(micros) | Value::Datetime(micros) => *micros,
        _ => return true,
    };
    let year = 366 * MICROS_PER_DAY;
    (now - 10 * year..=now + year).contains(&micros)
}

fn partition_spec(json: &Json) -> (Json, Json, Json) {
    (
        json["type"].clone(),
        json["field"].clone(),
        json["range"].clone(),
    )
}

fn check_table_id(id: &str) -> Result<(), Refusal> {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' ');
    if id.is_empty() || id.len() > 1_024 || !id.chars().all(fits) {
        return Err(Refusal::invalid(format!(
            "Invalid table ID \"{id}\". Table IDs must be letters, marks, numbers, connectors, dashes or spaces and at most 1024 bytes long."
        )));
    }
    Ok(())
}

/// docs.cloud.google.com/bigquery, Introduction to labels.
pub(crate) fn check_labels(labels: &Json) -> Result<(), Refusal> {
    let Some(labels) = labels.as_object() else {
        return Ok(());
    };
    if labels.len() > MOST_LABELS {
        return Err(Refusal::invalid(format!(
            "A resource has at most {MOST_LABELS} labels"
        )));
    }
    let is_part = |letter: char| {
        letter.is_lowercase() || letter.is_numeric() || letter == '_' || letter == '-'
    };
    for (key, value) in labels {
        let value = value.as_str().unwrap_or_default();
        let key_fits = key.chars().next().is_some_and(char::is_lowercase)
            && key.chars().all(is_part)
            && key.chars().count() <= 63;
        if !key_fits || !value.chars().all(is_part) || value.chars().count() > 63 {
            return Err(Refusal::invalid(format!(
                "Label \"{key}\": \"{value}\" is not valid: lower-case letters, numbers, underscores and dashes, at most 63 characters, keys begin with a letter"
            )));
        }
    }
    Ok(())
}

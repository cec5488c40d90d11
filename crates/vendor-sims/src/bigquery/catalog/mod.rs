//! Projects, datasets and tables with what is in them.

mod schema;
mod table;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

pub(crate) use self::schema::{Field, Mode, Schema, element_type};
pub(crate) use self::table::{
    Content, Partitioning, Stored, Table, TableName, check_labels, takes_streamed,
};
use crate::bigquery::refusal::Refusal;

/// All that is stored. A copy is cheap: rows are shared until one of both changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    datasets: BTreeMap<(String, String), Dataset>,
    /// Counts changes; etags and generated names come from it.
    stamp: u64,
}

/// A dataset with its tables.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    pub(crate) project: String,
    pub(crate) id: String,
    pub(crate) location: String,
    pub(crate) created: i64,
    etag: u64,
    /// Labels, description and what else a caller may set.
    settable: Map<String, Json>,
    tables: BTreeMap<String, Table>,
    /// When tables of these names were deleted last, in microseconds.
    deleted: BTreeMap<String, i64>,
}

/// Top-level keys of a dataset that a caller may set and that are given back.
const SETTABLE: [&str; 8] = [
    "description",
    "friendlyName",
    "labels",
    "defaultTableExpirationMs",
    "defaultPartitionExpirationMs",
    "defaultRoundingMode",
    "storageBillingModel",
    "maxTimeTravelHours",
];

impl Catalog {
    /// A number that no other change has.
    pub(crate) fn stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    pub(crate) fn datasets(&self, project: &str) -> impl Iterator<Item = &Dataset> {
        let project = project.to_owned();
        self.datasets
            .values()
            .filter(move |dataset| dataset.project == project)
    }

    pub(crate) fn dataset(&self, project: &str, id: &str) -> Result<&Dataset, Refusal> {
        let key = (project.to_owned(), id.to_owned());
        self.datasets
            .get(&key)
            .ok_or_else(|| no_dataset(project, id))
    }

    fn dataset_mut(&mut self, project: &str, id: &str) -> Result<&mut Dataset, Refusal> {
        let key = (project.to_owned(), id.to_owned());
        self.datasets
            .get_mut(&key)
            .ok_or_else(|| no_dataset(project, id))
    }

    /// Makes a dataset from a resource.
    pub(crate) fn insert_dataset(
        &mut self,
        project: &str,
        body: &Json,
        now: i64,
    ) -> Result<&Dataset, Refusal> {
        let reference = &body["datasetReference"];
        let id = reference["datasetId"].as_str().unwrap_or_default();
        let named = reference["projectId"].as_str().unwrap_or(project);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if id.is_empty() || id.len() > 1_024 || !id.bytes().all(is_name) {
            return Err(Refusal::invalid(format!(
                "Invalid dataset ID \"{id}\". Dataset IDs must be alphanumeric (plus underscores) and must be at most 1024 characters long."
            )));
        }
        if named != project {
            return Err(Refusal::invalid(format!(
                "The project of the dataset, {named}, is not that of the request, {project}"
            )));
        }
        check_labels(&body["labels"])?;
        let key = (project.to_owned(), id.to_owned());
        if self.datasets.contains_key(&key) {
            return Err(Refusal::duplicate(format!(
                "Already Exists: Dataset {project}:{id}"
            )));
        }
        let etag = self.stamp();
        let dataset = Dataset {
            project: project.to_owned(),
            id: id.to_owned(),
            location: body["location"].as_str().unwrap_or("US").to_owned(),
            created: now,
            etag,
            settable: kept(body, &SETTABLE),
            tables: BTreeMap::new(),
            deleted: BTreeMap::new(),
        };
        Ok(self.datasets.entry(key).or_insert(dataset))
    }

    pub(crate) fn delete_dataset(
        &mut self,
        project: &str,
        id: &str,
        with_tables: bool,
    ) -> Result<(), Refusal> {
        let dataset = self.dataset(project, id)?;
        if !dataset.tables.is_empty() && !with_tables {
            return Err(Refusal::new(
                400,
                "resourceInUse",
                format!("Dataset {project}:{id} is still in use"),
            ));
        }
        self.datasets.remove(&(project.to_owned(), id.to_owned()));
        Ok(())
    }

    pub(crate) fn table(&self, name: &TableName) -> Result<&Table, Refusal> {
        let dataset = self.dataset(&name.project, &name.dataset)?;
        dataset
            .tables
            .get(&name.table)
            .ok_or_else(|| no_table(name))
    }

    pub(crate) fn table_mut(&mut self, name: &TableName) -> Result<&mut Table, Refusal> {
        let dataset = self.dataset_mut(&name.project, &name.dataset)?;
        dataset
            .tables
            .get_mut(&name.table)
            .ok_or_else(|| no_table(name))
    }

    pub(crate) fn has_table(&self, name: &TableName) -> bool {
        self.table(name).is_ok()
    }

    /// Puts a new table into its dataset.
    pub(crate) fn insert_table(&mut self, table: Table) -> Result<&mut Table, Refusal> {
        let name = table.name.clone();
        let dataset = self.dataset_mut(&name.project, &name.dataset)?;
        if dataset.tables.contains_key(&name.table) {
            return Err(Refusal::duplicate(format!("Already Exists: Table {name}")));
        }
        Ok(dataset.tables.entry(name.table).or_insert(table))
    }

    pub(crate) fn delete_table(&mut self, name: &TableName, now: i64) -> Result<Table, Refusal> {
        let dataset = self.dataset_mut(&name.project, &name.dataset)?;
        let table = dataset
            .tables
            .remove(&name.table)
            .ok_or_else(|| no_table(name))?;
        dataset.deleted.insert(name.table.clone(), now);
        Ok(table)
    }

    /// When a table of this name was deleted last.
    pub(crate) fn deleted_at(&self, name: &TableName) -> Option<i64> {
        let dataset = self.dataset(&name.project, &name.dataset).ok()?;
        dataset.deleted.get(&name.table).copied()
    }

    /// Drops the tables whose time is over.
    pub(crate) fn expire(&mut self, now: i64) {
        for dataset in self.datasets.values_mut() {
            let over = |table: &Table| table.expires().is_some_and(|at| at <= now);
            if dataset.tables.values().any(over) {
                dataset.tables.retain(|_, table| !over(table));
            }
        }
    }
}

impl Dataset {
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.values()
    }

    /// How long a new table without a time of its own lives, in milliseconds.
    pub(crate) fn table_life(&self) -> Option<i64> {
        self.settable
            .get("defaultTableExpirationMs")?
            .as_str()?
            .parse()
            .ok()
    }

    pub(crate) fn resource(&self) -> Json {
        let mut out = self.settable.clone();
        out.insert("kind".to_owned(), json!("bigquery#dataset"));
        out.insert("etag".to_owned(), json!(etag(self.etag)));
        out.insert(
            "id".to_owned(),
            json!(format!("{}:{}", self.project, self.id)),
        );
        out.insert(
            "datasetReference".to_owned(),
            json!({ "projectId": self.project, "datasetId": self.id }),
        );
        out.insert("location".to_owned(), json!(self.location));
        out.insert(
            "creationTime".to_owned(),
            json!((self.created / 1000).to_string()),
        );
        out.insert(
            "lastModifiedTime".to_owned(),
            json!((self.created / 1000).to_string()),
        );
        Json::Object(out)
    }
}

/// An etag as answers show it.
pub(crate) fn etag(stamp: u64) -> String {
    format!("sim-{stamp:08x}==")
}

/// The keys of a body that are kept.
fn kept(body: &Json, keys: &[&str]) -> Map<String, Json> {
    let entries = keys.iter().filter_map(|key| {
        let value = body.get(*key).filter(|value| !value.is_null())?;
        Some(((*key).to_owned(), value.clone()))
    });
    entries.collect()
}

fn no_dataset(project: &str, id: &str) -> Refusal {
    Refusal::not_found(format!("Not found: Dataset {project}:{id}"))
}

fn no_table(name: &TableName) -> Refusal {
    Refusal::not_found(format!("Not found: Table {name}"))
}

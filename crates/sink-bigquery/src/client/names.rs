//! Projects, datasets, tables, jobs and locations by name, checked before anything is sent.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result};

/// Longest name of a dataset, table or job, in characters.
const LONGEST: usize = 1024;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name, checked.
            ///
            /// # Errors
            ///
            /// `Config` when it is not one that BigQuery takes.
            pub fn new(name: impl Into<String>) -> Result<Self> {
                let name = name.into();
                $check(&name)?;
                Ok(Self(name))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

name! {
    /// A Google Cloud project: lower-case letters, digits and `-`; older ones have a domain in front
    /// (`example.com:books`).
    ProjectId, check_project
}

name! {
    /// A dataset within a project: ASCII letters, digits and `_`, at most 1024.
    DatasetId, check_dataset
}

name! {
    /// A table within a dataset: letters of any script, digits, `_`, `-` and spaces, at most 1024 characters. A
    /// partition of it may be named behind a `$` (`bills$20260131`).
    TableId, check_table
}

name! {
    /// A job: ASCII letters, digits, `_` and `-`, at most 1024. Unique in its project and location for six months and
    /// never to be used again, also when the job failed (BigQuery documentation, "Managing jobs").
    JobId, check_job
}

name! {
    /// Where data lies and jobs run: `US`, `EU` or a region such as `europe-west3`.
    Location, check_location
}

/// A dataset and its project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetRef {
    /// The project.
    pub project_id: ProjectId,
    /// The dataset.
    pub dataset_id: DatasetId,
}

impl DatasetRef {
    /// A dataset of a project.
    #[must_use]
    pub const fn new(project_id: ProjectId, dataset_id: DatasetId) -> Self {
        Self {
            project_id,
            dataset_id,
        }
    }

    /// A table of this dataset.
    #[must_use]
    pub fn table(&self, table_id: TableId) -> TableRef {
        TableRef {
            project_id: self.project_id.clone(),
            dataset_id: self.dataset_id.clone(),
            table_id,
        }
    }
}

impl fmt::Display for DatasetRef {
    /// `project.dataset`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.project_id, self.dataset_id)
    }
}

/// A table, its dataset and its project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableRef {
    /// The project.
    pub project_id: ProjectId,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// The table.
    pub table_id: TableId,
}

impl TableRef {
    /// A table of a dataset of a project.
    #[must_use]
    pub const fn new(project_id: ProjectId, dataset_id: DatasetId, table_id: TableId) -> Self {
        Self {
            project_id,
            dataset_id,
            table_id,
        }
    }

    /// Its dataset.
    #[must_use]
    pub fn dataset(&self) -> DatasetRef {
        DatasetRef {
            project_id: self.project_id.clone(),
            dataset_id: self.dataset_id.clone(),
        }
    }

    /// The same without the partition that a `$` names.
    #[must_use]
    pub fn whole_table(&self) -> Self {
        let name = self.table_id.as_str();
        let whole = name.split_once('$').map_or(name, |(whole, _)| whole);
        Self {
            table_id: TableId(whole.to_owned()),
            ..self.clone()
        }
    }
}

impl fmt::Display for TableRef {
    /// `project.dataset.table`. In SQL it goes between backquotes; no part of it can hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.project_id, self.dataset_id, self.table_id
        )
    }
}

fn check_project(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && name.len() <= 128 && name.chars().all(allowed) {
        return Ok(());
    }
    refuse(
        "a project id has lower-case letters, digits and '-', and begins with a letter",
        name,
    )
}

fn check_dataset(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.len() <= LONGEST && name.chars().all(allowed) {
        return Ok(());
    }
    refuse(
        "a dataset id has ASCII letters, digits and '_', at most 1024",
        name,
    )
}

fn check_table(name: &str) -> Result<()> {
    let (table, partition) = match name.split_once('$') {
        Some((table, partition)) => (table, Some(partition)),
        None => (name, None),
    };
    // Which characters beyond ASCII are letters and marks is for BigQuery to say.
    let allowed = |c: char| match c {
        '_' | '-' | ' ' => true,
        _ if c.is_ascii() => c.is_ascii_alphanumeric(),
        _ => !c.is_control() && !c.is_whitespace(),
    };
    let fits = !table.is_empty() && table.chars().count() <= LONGEST;
    let in_partition = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let partition_fits =
        partition.is_none_or(|part| !part.is_empty() && part.chars().all(in_partition));
    if fits && partition_fits && table.chars().all(allowed) {
        return Ok(());
    }
    refuse(
        "a table id has letters, digits, '_', '-' and spaces, at most 1024",
        name,
    )
}

fn check_job(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.len() <= LONGEST && name.chars().all(allowed) {
        return Ok(());
    }
    refuse(
        "a job id has ASCII letters, digits, '_' and '-', at most 1024",
        name,
    )
}

fn check_location(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(allowed) {
        return Ok(());
    }
    refuse(
        "a location is 'US', 'EU' or a region such as 'europe-west3'",
        name,
    )
}

fn refuse(rule: &str, name: &str) -> Result<()> {
    let shown: String = name.chars().take(80).collect();
    Err(Error::config(rule).with("name", format!("{shown:?}")))
}

#[cfg(test)]
mod tests {
    use super::{DatasetId, JobId, Location, ProjectId, TableId, TableRef};

    #[test]
    fn takes_what_the_documentation_allows_and_nothing_else() {
        for good in ["books-1", "example.com:books"] {
            ProjectId::new(good).unwrap();
        }
        for bad in ["", "Books", "books/1", "b`"] {
            ProjectId::new(bad).unwrap_err();
        }
        for good in ["_hidden", "Finance_2026"] {
            DatasetId::new(good).unwrap();
        }
        for bad in ["", "a-b", "a.b", "é"] {
            DatasetId::new(bad).unwrap_err();
        }
        for good in ["ap bill", "Zählung", "bills$20260131", "a-b_c"] {
            TableId::new(good).unwrap();
        }
        for bad in ["", "a.b", "a`b", "a\\b", "a/b", "$1", "a$", "a$b$c", "a\nb"] {
            TableId::new(bad).unwrap_err();
        }
        JobId::new("sync-bill_01-g2").unwrap();
        for bad in ["", "a:b", "a b", &"x".repeat(1025)] {
            JobId::new(bad).unwrap_err();
        }
        Location::new("europe-west3").unwrap();
        Location::new("EU?x=1").unwrap_err();
    }

    #[test]
    fn a_partition_belongs_to_its_table() {
        let text = r#"{"projectId":"p","datasetId":"d","tableId":"t$20260131"}"#;
        let table: TableRef = serde_json::from_str(text).unwrap();
        assert_eq!(table.to_string(), "p.d.t$20260131");
        assert_eq!(table.whole_table().to_string(), "p.d.t");
        let bad = text.replace("$", "`");
        serde_json::from_str::<TableRef>(&bad).unwrap_err();
    }
}

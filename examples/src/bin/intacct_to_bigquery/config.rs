//! The configuration file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where ledger and spool are kept.
    #[serde(default = "folder")]
    pub(crate) folder: PathBuf,
    /// The streams; all of them where there are none.
    #[serde(default)]
    pub(crate) streams: Vec<String>,
    pub(crate) intacct: Intacct,
    pub(crate) bigquery: BigQuery,
}

/// Whose books, and as whom they are read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Intacct {
    pub(crate) company: String,
    pub(crate) user: String,
    pub(crate) sender: String,
    /// One entity, not the top level.
    pub(crate) entity: Option<String>,
}

/// Where they go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BigQuery {
    /// The project that runs the jobs and pays for them.
    pub(crate) project: String,
    /// The project of the dataset, where it is another.
    pub(crate) dataset_project: Option<String>,
    pub(crate) dataset: String,
    /// The key file of a service account.
    pub(crate) key_file: Option<PathBuf>,
    /// Where the dataset is made, where it is not there.
    pub(crate) create_dataset_in: Option<String>,
    #[serde(default)]
    pub(crate) mode: Mode,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    #[default]
    StagedMerge,
    Streaming,
}

fn folder() -> PathBuf {
    PathBuf::from("sync-data")
}

impl Config {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("the file {} cannot be read", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not understood", file.display()))
    }
}

/// A password from the environment.
pub(crate) fn secret(variable: &str) -> Result<String> {
    std::env::var(variable)
        .with_context(|| format!("set {variable} in the environment to the password"))
}

//! Datasets: looked at, and made where somebody asks for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sync_http::Method;

use crate::client::names::{DatasetRef, Location};
use crate::client::transport::Call;
use crate::client::{BigQuery, int64};
use crate::error::Result;

/// A dataset (BigQuery REST reference, `Dataset`). What BigQuery alone sets is read and never sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Dataset {
    /// Which dataset.
    pub dataset_reference: DatasetRef,
    /// Where it lies. It never moves, and every job that touches it runs there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Labels: keys and values of at most 63 lower-case letters, digits, `_` and `-`; at most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What it holds, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How long a new table is kept, in milliseconds.
    #[serde(
        default,
        with = "int64::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub default_table_expiration_ms: Option<i64>,
    /// Whether names of tables are compared without regard to case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_case_insensitive: Option<bool>,
    /// Which version of the dataset this is.
    #[serde(default, skip_serializing)]
    pub etag: Option<String>,
    /// When it was made, in milliseconds of the Unix epoch.
    #[serde(default, with = "int64::optional", skip_serializing)]
    pub creation_time: Option<i64>,
}

impl Dataset {
    /// A dataset in this location.
    #[must_use]
    pub fn new(dataset_reference: DatasetRef, location: Location) -> Self {
        Self {
            dataset_reference,
            location: Some(location),
            labels: BTreeMap::new(),
            description: None,
            default_table_expiration_ms: None,
            is_case_insensitive: None,
            etag: None,
            creation_time: None,
        }
    }
}

/// The datasets of a [`BigQuery`].
#[derive(Clone, Copy, Debug)]
pub struct Datasets<'a> {
    pub(crate) client: &'a BigQuery,
}

impl Datasets<'_> {
    /// Reads a dataset; its [location](Dataset::location) is where its jobs have to run.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is none, `Permission` when these credentials may not see it.
    pub async fn get(self, dataset: &DatasetRef) -> Result<Dataset> {
        let segments = [
            "projects",
            dataset.project_id.as_str(),
            "datasets",
            dataset.dataset_id.as_str(),
        ];
        let url = self.client.transport.api(&segments, &[])?;
        let call = Call::get("datasets.get", url).about("dataset", dataset);
        self.client.transport.json(&call).await
    }

    /// Makes a dataset. Needs `bigquery.datasets.create`, which an account that only writes does not have.
    ///
    /// # Errors
    ///
    /// `Conflict` with reason `Duplicate` when there is one already; also when an earlier attempt of this very call
    /// made it and its answer was lost.
    pub async fn insert(self, dataset: &Dataset) -> Result<Dataset> {
        let reference = &dataset.dataset_reference;
        let segments = ["projects", reference.project_id.as_str(), "datasets"];
        let url = self.client.transport.api(&segments, &[])?;
        let call = Call::new("datasets.insert", Method::POST, url)
            .about("dataset", reference)
            .with_json(dataset)?;
        self.client.transport.json(&call).await
    }
}

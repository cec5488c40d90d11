//! A client of BigQuery's REST API, version 2.

mod answer;
mod datasets;
mod int64;
mod jobs;
pub mod names;
pub(crate) mod options;
mod query;
pub mod reason;
mod tabledata;
mod tables;
mod transport;

use std::fmt;
use std::sync::Arc;

use sync_http::{RetryBudget, Timing};
use url::Url;

pub use self::datasets::{Dataset, Datasets};
pub use self::jobs::{
    DmlStatistics, Format, Job, JobReference, JobState, JobStatistics, JobStatus, Jobs, LoadJob,
    LoadStatistics, QueryJob, QueryStatistics, Submitted, Write, ndjson,
};
pub use self::options::{EMULATOR_HOST, Options};
pub use self::query::{Cell, Parameter, QueryRequest, Row, Rows, Value, ValueType};
use self::tabledata::Warmth;
pub use self::tabledata::{
    FreshTables, InsertFailure, InsertOptions, InsertOutcome, InsertRow, InvalidRow, Tabledata,
};
pub use self::tables::{
    Clustering, Field, FieldType, Mode, PrimaryKey, StreamingBuffer, Table, TableConstraints,
    TableEntry, TablePatch, TableSchema, Tables, TimePartitioning, View,
};
use self::transport::Transport;
use crate::auth::{TokenProvider, Tokens};
use crate::client::names::{DatasetId, DatasetRef, Location, ProjectId, TableId, TableRef};
use crate::error::Result;
use crate::pacing::Pacer;

/// A client of BigQuery. Cheap to clone; clones share connections, the token, retry budget and pace.
#[derive(Clone)]
pub struct BigQuery {
    pub(crate) transport: Arc<Transport>,
    pub(crate) pacer: Pacer,
    pub(crate) warmth: Arc<Warmth>,
    project: ProjectId,
    location: Option<Location>,
}

impl BigQuery {
    /// A client with these settings that asks with this provider's tokens.
    ///
    /// # Errors
    ///
    /// `Config` when the endpoint cannot be what is asked, such as one without TLS that a token would be sent to.
    pub fn new(options: Options, provider: Arc<dyn TokenProvider>) -> Result<Self> {
        options.check(provider.as_ref())?;
        let timing = options.timing.clone();
        let transport = Transport {
            http: sync_http::Client::new(&options.client_options())?,
            api: below(&options.endpoint, "bigquery/v2/")?,
            upload: below(&options.endpoint, "upload/bigquery/v2/")?,
            quota_project: options.quota_project_header()?,
            tokens: Arc::new(Tokens::new(provider, timing.clone())),
            retry: options.retry.clone(),
            budget: RetryBudget::new(options.retry_budget),
            timing: timing.clone(),
        };
        Ok(Self {
            transport: Arc::new(transport),
            pacer: Pacer::new(options.pacing, timing.clone()),
            warmth: Arc::new(Warmth::new(timing.clone())),
            project: options.project,
            location: options.location,
        })
    }

    /// The same client, its jobs running in this location.
    #[must_use]
    pub fn in_location(&self, location: Location) -> Self {
        Self {
            location: Some(location),
            ..self.clone()
        }
    }

    /// The project that jobs run in and that pays for them.
    #[must_use]
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// A dataset of this project.
    ///
    /// # Errors
    ///
    /// `Config` when the name is none that BigQuery takes.
    pub fn dataset(&self, dataset: &str) -> Result<DatasetRef> {
        Ok(DatasetRef::new(
            self.project.clone(),
            DatasetId::new(dataset)?,
        ))
    }

    /// A table of a dataset of this project.
    ///
    /// # Errors
    ///
    /// `Config` when a name is none that BigQuery takes.
    pub fn table(&self, dataset: &str, table: &str) -> Result<TableRef> {
        Ok(self.dataset(dataset)?.table(TableId::new(table)?))
    }

    /// Where jobs run; none leaves it to BigQuery, which then takes `US`.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// The clock and sleeper that this client goes by.
    #[must_use]
    pub fn timing(&self) -> &Timing {
        &self.transport.timing
    }

    /// What keeps this client within BigQuery's limits.
    #[must_use]
    pub fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// Datasets.
    #[must_use]
    pub const fn datasets(&self) -> Datasets<'_> {
        Datasets { client: self }
    }

    /// Tables.
    #[must_use]
    pub const fn tables(&self) -> Tables<'_> {
        Tables { client: self }
    }

    /// Jobs.
    #[must_use]
    pub const fn jobs(&self) -> Jobs<'_> {
        Jobs { client: self }
    }

    /// Rows by streaming.
    #[must_use]
    pub const fn tabledata(&self) -> Tabledata<'_> {
        Tabledata { client: self }
    }
}

impl fmt::Debug for BigQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.transport.api.origin().ascii_serialization();
        f.debug_struct("BigQuery")
            .field("project", &self.project)
            .field("location", &self.location)
            .field("endpoint", &endpoint)
            .field("tokens", &self.transport.tokens)
            .finish_non_exhaustive()
    }
}

fn below(endpoint: &Url, path: &str) -> Result<Url> {
    let mut url = endpoint.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url.join(path).map_err(|source| {
        crate::error::Error::config("the endpoint is no base address").caused_by(source)
    })
}

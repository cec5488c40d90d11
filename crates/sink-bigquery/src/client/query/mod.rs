//! Asking: a statement that reads, and its rows page by page.

mod parameter;
mod rows;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use sync_http::{Method, Retry};

pub use self::parameter::{Parameter, Value, ValueType};
use self::rows::fields;
pub use self::rows::{Cell, Row};
use crate::client::jobs::{DmlStatistics, JobReference};
use crate::client::names::{DatasetRef, JobId, Location};
use crate::client::reason::{Reason, Remedy, rule_for};
use crate::client::tables::TableSchema;
use crate::client::transport::{Call, parsed};
use crate::client::{BigQuery, int64};
use crate::error::{Error, ErrorKind, JobTrouble, Result};

/// How long BigQuery may think before it answers "not yet".
const PATIENCE: &str = "10000";

/// A statement that fails in BigQuery is run again, up to so many times in all.
const RUNS: u32 = 3;

/// How long a statement may run.
const LONGEST: Duration = Duration::from_secs(7 * 3600);

/// A statement that reads. One that changes something belongs into [`Jobs`](crate::client::Jobs), where its id sees to it
/// that it happens once.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryRequest {
    /// The statement in GoogleSQL.
    pub sql: String,
    /// Its parameters, each `@name` in it.
    pub parameters: Vec<Parameter>,
    /// Where tables lie that are named without a dataset.
    pub default_dataset: Option<DatasetRef>,
    /// Labels: keys and values of at most 63 lower-case letters, digits, `_` and `-`.
    pub labels: BTreeMap<String, String>,
    /// More bytes than this are refused instead of billed.
    pub maximum_bytes_billed: Option<u64>,
    /// Rows of a page at most; BigQuery takes fewer where they would be more than 20 MB. Default 10,000.
    pub page_rows: u32,
}

impl QueryRequest {
    /// A statement.
    #[must_use]
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: Vec::new(),
            default_dataset: None,
            labels: BTreeMap::new(),
            maximum_bytes_billed: None,
            page_rows: 10_000,
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

    /// The same statement with pages of at most so many rows.
    #[must_use]
    pub const fn with_page_rows(mut self, rows: u32) -> Self {
        self.page_rows = rows;
        self
    }

    fn body(&self, location: Option<&Location>, request_id: &str) -> Json {
        let mut body = Map::new();
        let mut put = |name: &str, value: Json| body.insert(name.to_owned(), value);
        put("query", json!(self.sql));
        // The old dialect is what BigQuery takes by default.
        put("useLegacySql", json!(false));
        put("requestId", json!(request_id));
        put(
            "timeoutMs",
            json!(PATIENCE.parse::<u32>().unwrap_or(10_000)),
        );
        put("maxResults", json!(self.page_rows));
        put("formatOptions", json!({"useInt64Timestamp": true}));
        if !self.parameters.is_empty() {
            put("parameterMode", json!("NAMED"));
            put("queryParameters", json!(self.parameters));
        }
        if let Some(location) = location {
            put("location", json!(location));
        }
        if let Some(dataset) = &self.default_dataset {
            put("defaultDataset", json!(dataset));
        }
        if !self.labels.is_empty() {
            put("labels", json!(self.labels));
        }
        if let Some(bytes) = self.maximum_bytes_billed {
            put("maximumBytesBilled", json!(bytes.to_string()));
        }
        Json::Object(body)
    }
}

/// The answers of jobs.query and jobs.getQueryResults, as far as they are alike.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    job_complete: bool,
    #[serde(default)]
    job_reference: Option<JobReference>,
    #[serde(default)]
    schema: Option<TableSchema>,
    #[serde(default)]
    rows: Vec<Json>,
    #[serde(default, with = "int64::optional")]
    total_rows: Option<u64>,
    #[serde(default)]
    page_token: Option<String>,
    #[serde(default, with = "int64::optional")]
    num_dml_affected_rows: Option<i64>,
    #[serde(default)]
    dml_stats: Option<DmlStatistics>,
    #[serde(default, with = "int64::optional")]
    total_bytes_processed: Option<i64>,
    #[serde(default)]
    cache_hit: Option<bool>,
}

/// The rows of a result, fetched page by page.
#[derive(Debug)]
pub struct Rows {
    client: BigQuery,
    page_rows: u32,
    schema: Arc<TableSchema>,
    job: Option<JobReference>,
    rows: VecDeque<Row>,
    next: Option<String>,
    taken: u64,
    total_rows: Option<u64>,
    /// Rows that the statement changed, where it did.
    num_dml_affected_rows: Option<i64>,
    dml_stats: Option<DmlStatistics>,
    total_bytes_processed: Option<i64>,
    cache_hit: Option<bool>,
}

impl Rows {
    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// How many rows there are in all pages.
    #[must_use]
    pub const fn total_rows(&self) -> Option<u64> {
        self.total_rows
    }

    /// The job that ran the statement.
    #[must_use]
    pub fn job_id(&self) -> Option<&JobId> {
        self.job.as_ref().map(|job| &job.job_id)
    }

    /// Bytes read, which is what is paid for.
    #[must_use]
    pub const fn total_bytes_processed(&self) -> Option<i64> {
        self.total_bytes_processed
    }

    /// Whether the result came from an earlier one, at no cost.
    #[must_use]
    pub const fn cache_hit(&self) -> Option<bool> {
        self.cache_hit
    }

    /// Rows that the statement changed, where it was one that does.
    #[must_use]
    pub const fn num_dml_affected_rows(&self) -> Option<i64> {
        self.num_dml_affected_rows
    }

    /// The same one by one.
    #[must_use]
    pub const fn dml_stats(&self) -> Option<DmlStatistics> {
        self.dml_stats
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    ///
    /// - What any call may fail with, when the next page is fetched.
    /// - `Protocol` when the pages together have not as many rows as BigQuery said: none is missing in silence.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                self.taken += 1;
                return Ok(Some(row));
            }
            let Some(token) = self.next.take() else {
                // A statement that only changes something has no rows, whatever it counts.
                let total = self.total_rows.filter(|_| !self.schema.fields.is_empty());
                return match total {
                    Some(total) if total != self.taken => {
                        let message = "the pages of the result have another number of rows than BigQuery said";
                        Err(Error::broken(message)
                            .with("expected", total.to_string())
                            .with("read", self.taken.to_string()))
                    }
                    _ => Ok(None),
                };
            };
            let page = self
                .client
                .results(self.job.as_ref(), self.page_rows, Some(&token))
                .await?;
            if page.page_token.as_deref() == Some(token.as_str()) {
                return Err(
                    Error::broken("the result names the same page again").retrying(Retry::Never)
                );
            }
            self.take(page)?;
        }
    }

    /// All rows that are left.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    pub async fn all(mut self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }

    fn take(&mut self, page: Page) -> Result<()> {
        for row in page.rows {
            let cells = fields(row)?;
            if cells.len() != self.schema.fields.len() {
                return Err(Error::broken(
                    "a row of the result has another number of cells than there are columns",
                ));
            }
            let schema = Arc::clone(&self.schema);
            self.rows.push_back(Row { schema, cells });
        }
        self.next = page.page_token.filter(|token| !token.is_empty());
        Ok(())
    }
}

impl BigQuery {
    /// Runs a statement that reads, and gives its rows. Waits for as long as it runs.
    ///
    /// # Errors
    ///
    /// - `Rejected` with reason `InvalidQuery` when BigQuery does not take the statement.
    /// - `NotFound`, `Permission` as its tables are.
    /// - A failure of BigQuery's own only after three runs.
    pub async fn query(&self, request: QueryRequest) -> Result<Rows> {
        let mut run = 1;
        loop {
            match self.run(&request).await {
                Err(error) if run < RUNS && is_to_run_again(&error) => {
                    tracing::info!(%error, "the statement runs again");
                    self.timing().sleep(self.transport.retry.ceiling(run)).await;
                    run += 1;
                }
                Err(error) if is_to_run_again(&error) => {
                    return Err(error.retrying(Retry::Backoff).exhausted_after(run));
                }
                other => return other,
            }
        }
    }

    async fn run(&self, request: &QueryRequest) -> Result<Rows> {
        let started = self.timing().monotonic();
        let segments = ["projects", self.project().as_str(), "queries"];
        let url = self.transport.api(&segments, &[])?;
        let call = Call::new("jobs.query", Method::POST, url)
            .with_json(&request.body(self.location(), &request_id()))?;
        let mut page = self.page(&call).await?;
        let job = page.job_reference.clone();
        while !page.job_complete {
            if self.timing().monotonic().since(started) >= LONGEST {
                return Err(unfinished(job.as_ref()));
            }
            page = self.results(job.as_ref(), request.page_rows, None).await?;
        }
        let mut rows = Rows {
            client: self.clone(),
            page_rows: request.page_rows,
            schema: Arc::new(page.schema.take().unwrap_or_default()),
            job,
            rows: VecDeque::new(),
            next: None,
            taken: 0,
            total_rows: page.total_rows,
            num_dml_affected_rows: page.num_dml_affected_rows,
            dml_stats: page.dml_stats,
            total_bytes_processed: page.total_bytes_processed,
            cache_hit: page.cache_hit,
        };
        rows.take(page)?;
        Ok(rows)
    }

    async fn results(
        &self,
        job: Option<&JobReference>,
        page_rows: u32,
        token: Option<&str>,
    ) -> Result<Page> {
        let Some(job) = job else {
            return Err(Error::broken(
                "the answer to the statement names no job to ask for the rest",
            ));
        };
        let segments = [
            "projects",
            job.project_id.as_str(),
            "queries",
            job.job_id.as_str(),
        ];
        let page_rows = page_rows.to_string();
        let mut query = vec![
            ("timeoutMs", PATIENCE),
            ("maxResults", page_rows.as_str()),
            ("formatOptions.useInt64Timestamp", "true"),
        ];
        let location = job.location.as_ref().or(self.location());
        query.extend(location.map(|location| ("location", location.as_str())));
        query.extend(token.map(|token| ("pageToken", token)));
        let url = self.transport.api(&segments, &query)?;
        let call = Call::get("jobs.getQueryResults", url).about("job_id", &job.job_id);
        self.page(&call).await
    }

    /// A failure of the statement itself is not asked for again: it would be the same.
    async fn page(&self, call: &Call) -> Result<Page> {
        let transport = &self.transport;
        transport
            .repeat(call, |_attempt| async {
                let answer = transport.send(call).await.map_err(|error| {
                    if is_of_statement(&error) {
                        error.retrying(Retry::Never)
                    } else {
                        error
                    }
                })?;
                parsed(&answer)
            })
            .await
    }
}

fn unfinished(job: Option<&JobReference>) -> Error {
    let message = "the statement has not ended; make it smaller";
    let error = Error::new(ErrorKind::Timeout, Reason::JobUnfinished, message);
    match job {
        Some(job) => error.about_job(JobTrouble::Unfinished {
            job_id: job.job_id.clone(),
        }),
        None => error,
    }
}

/// Whether it is the statement that failed, not the request.
fn is_of_statement(error: &Error) -> bool {
    rule_for(error.http_status(), error.service_errors()).remedy == Remedy::NextJob
}

/// Whether the statement failed in a way of BigQuery's own. It only reads, so it may simply run again; but whoever
/// cancelled it meant it.
fn is_to_run_again(error: &Error) -> bool {
    is_of_statement(error) && error.reason() != Reason::Stopped
}

/// Under one id BigQuery runs a statement once, however often it is sent within 15 minutes.
fn request_id() -> String {
    let mut rng = Rng::new();
    std::iter::repeat_with(|| rng.alphanumeric())
        .take(36)
        .collect()
}

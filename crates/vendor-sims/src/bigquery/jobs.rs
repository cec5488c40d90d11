//! Jobs: submitted once under their id, run once, looked at as often as one likes.
//!
//! docs.cloud.google.com/bigquery, Introduction to jobs; REST reference, Job.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};

use super::catalog::{Schema, TableName};
use super::refusal::Refusal;
use super::sql::{Changes, Outcome, Script};
use super::value::{MICROS_PER_SECOND, Row};

/// A job that nobody asks about runs after so long all the same, in microseconds.
const UNATTENDED: i64 = 30 * MICROS_PER_SECOND;

/// Project, location in upper case, and id.
pub(super) type JobName = (String, String, String);

/// What a job is to do.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Load(Bytes),
    Query(Box<Asked>),
}

/// A query as a job runs it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) script: Result<Script, Refusal>,
    pub(super) default_dataset: Option<(String, String)>,
    pub(super) parameters: Vec<(String, super::value::Type, super::value::Value)>,
    pub(super) dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Running,
    Done,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Done => "DONE",
        }
    }
}

/// What a job gave.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// `statistics.load` or `statistics.query`.
    pub(super) statistics: Json,
    pub(super) schema: Option<Schema>,
    pub(super) rows: Vec<Row>,
    pub(super) changes: Option<Changes>,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) project: String,
    pub(super) location: String,
    pub(super) id: String,
    configuration: Json,
    /// Taken when it runs.
    pub(super) work: Option<Work>,
    /// The tables that it writes.
    pub(super) targets: Vec<TableName>,
    pub(super) state: State,
    /// How many more times it is asked about before it runs.
    polls: u32,
    created: i64,
    started: Option<i64>,
    ended: Option<i64>,
    /// A failure that it is to have instead of running.
    pub(super) doomed: Option<Refusal>,
    pub(super) error: Option<Refusal>,
    /// Further errors, of rows.
    pub(super) errors: Vec<Json>,
    pub(super) given: Given,
}

/// A job as it is submitted.
pub(super) struct Submitted {
    pub(super) project: String,
    pub(super) location: String,
    /// None where the service is to make one.
    pub(super) id: Option<String>,
    pub(super) configuration: Json,
    pub(super) work: Work,
    pub(super) targets: Vec<TableName>,
    pub(super) polls: u32,
    pub(super) doomed: Option<Refusal>,
}

/// All jobs. None is forgotten: ids can never be used again.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<JobName, Job>,
    /// In the order in which they came.
    waiting: Vec<JobName>,
    number: u64,
}

impl Jobs {
    pub(super) fn submit(&mut self, submitted: Submitted, now: i64) -> Result<JobName, Refusal> {
        self.number += 1;
        let id = match submitted.id {
            Some(id) => check_id(id)?,
            None => format!("job_sim_{:08}", self.number),
        };
        let location = submitted.location.to_ascii_uppercase();
        let name = (submitted.project.clone(), location, id.clone());
        if self.jobs.contains_key(&name) {
            return Err(Refusal::duplicate(format!(
                "Already Exists: Job {}:{}.{id}",
                submitted.project, submitted.location
            )));
        }
        let job = Job {
            project: submitted.project,
            location: submitted.location,
            id,
            configuration: submitted.configuration,
            work: Some(submitted.work),
            targets: submitted.targets,
            state: State::Pending,
            polls: submitted.polls,
            created: now,
            started: None,
            ended: None,
            doomed: submitted.doomed,
            error: None,
            errors: Vec::new(),
            given: Given::default(),
        };
        self.jobs.insert(name.clone(), job);
        self.waiting.push(name.clone());
        Ok(name)
    }

    pub(super) fn get(&self, name: &JobName) -> Option<&Job> {
        self.jobs.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &JobName) -> Option<&mut Job> {
        self.jobs.get_mut(name)
    }

    pub(super) fn list(&self, project: &str) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(move |job| job.project == project)
    }

    /// Finds a job. Without a location only those of the multi-regions are found.
    pub(super) fn find(
        &self,
        project: &str,
        id: &str,
        location: Option<&str>,
    ) -> Result<JobName, Refusal> {
        let places: &[&str] = match location {
            Some(_) => &[],
            None => &["US", "EU"],
        };
        let given = location.map(str::to_ascii_uppercase);
        let mut places = given
            .iter()
            .map(String::as_str)
            .chain(places.iter().copied());
        let found = places.find_map(|place| {
            let name = (project.to_owned(), place.to_owned(), id.to_owned());
            self.jobs.contains_key(&name).then_some(name)
        });
        found.ok_or_else(|| {
            let place = location
                .map(|location| format!("{location}."))
                .unwrap_or_default();
            Refusal::not_found(format!("Not found: Job {project}:{place}{id}"))
        })
    }

    /// Takes note that a job was asked about; whether it is to run now.
    pub(super) fn poll(&mut self, name: &JobName) -> bool {
        let Some(job) = self.jobs.get_mut(name) else {
            return false;
        };
        if job.state == State::Done {
            return false;
        }
        job.polls = job.polls.saturating_sub(1);
        job.state = State::Running;
        job.polls == 0
    }

    /// The jobs that are to run now although nobody asked about them.
    pub(super) fn due(&self, now: i64) -> Vec<JobName> {
        let due = self.waiting.iter().filter(|name| {
            self.jobs
                .get(*name)
                .is_some_and(|job| job.polls == 0 || now - job.created >= UNATTENDED)
        });
        due.cloned().collect()
    }

    /// How many jobs wait or run that write a table.
    pub(super) fn outstanding(&self, table: &TableName) -> usize {
        let writes = |name: &&JobName| {
            self.jobs.get(*name).is_some_and(|job| {
                matches!(job.work, Some(Work::Query(_))) && job.targets.contains(table)
            })
        };
        self.waiting.iter().filter(writes).count()
    }

    /// Notes that a job is done.
    pub(super) fn finish(&mut self, name: &JobName, result: Result<Given, Refusal>, now: i64) {
        self.waiting.retain(|waiting| waiting != name);
        if let Some(job) = self.jobs.get_mut(name) {
            job.state = State::Done;
            job.started = Some(now);
            job.ended = Some(now);
            job.work = None;
            match result {
                Ok(given) => job.given = given,
                Err(refusal) => job.error = Some(refusal),
            }
        }
    }
}

impl Job {
    /// `load` or `query`.
    pub(super) fn kind(&self) -> &'static str {
        if self.configuration["load"].is_object() {
            "load"
        } else {
            "query"
        }
    }

    /// What it was submitted with.
    pub(super) fn configuration(&self) -> &Json {
        &self.configuration
    }

    pub(super) fn reference(&self) -> Json {
        json!({ "projectId": self.project, "jobId": self.id, "location": self.location })
    }

    /// The resource, as `jobs.get` shows it.
    pub(super) fn resource(&self, email: &str) -> Json {
        let mut status = Map::new();
        status.insert("state".to_owned(), json!(self.state.name()));
        if let Some(error) = &self.error {
            status.insert("errorResult".to_owned(), error.proto());
            let mut errors = vec![error.proto()];
            errors.extend(self.errors.iter().cloned());
            status.insert("errors".to_owned(), json!(errors));
        } else if !self.errors.is_empty() {
            status.insert("errors".to_owned(), json!(self.errors));
        }
        let mut statistics = Map::new();
        let mut time = |key: &str, at: Option<i64>| {
            if let Some(at) = at {
                statistics.insert(key.to_owned(), json!((at / 1000).to_string()));
            }
        };
        time("creationTime", Some(self.created));
        time(
            "startTime",
            self.started
                .or((self.state != State::Pending).then_some(self.created)),
        );
        time("endTime", self.ended);
        if !self.given.statistics.is_null() {
            let kind = if self.configuration["load"].is_object() {
                "load"
            } else {
                "query"
            };
            statistics.insert(kind.to_owned(), self.given.statistics.clone());
        }
        json!({
            "kind": "bigquery#job",
            "etag": format!("sim-{}-{}", self.id, self.state.name()),
            "id": format!("{}:{}.{}", self.project, self.location, self.id),
            "selfLink": format!(
                "https://bigquery.googleapis.com/bigquery/v2/projects/{}/jobs/{}?location={}",
                self.project, self.id, self.location
            ),
            "user_email": email,
            "jobReference": self.reference(),
            "configuration": self.configuration,
            "status": status,
            "statistics": statistics,
        })
    }
}

fn check_id(id: String) -> Result<String, Refusal> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.is_empty() || id.len() > 1_024 || !id.bytes().all(fits) {
        return Err(Refusal::invalid(format!(
            "Invalid job ID \"{id}\". Job IDs must be alphanumeric (plus underscores and dashes) and must be at most 1024 characters long."
        )));
    }
    Ok(id)
}

/// What a query gave, as its job shows it.
pub(super) fn of_query(outcome: Outcome) -> Given {
    let bytes: u64 = outcome
        .rows
        .iter()
        .flat_map(|row| row.iter())
        .map(super::value::Value::size)
        .sum();
    let mut statistics = json!({
        "statementType": outcome.statement,
        "totalBytesProcessed": bytes.to_string(),
        "totalBytesBilled": "0",
        "cacheHit": false,
    });
    if let Some(changes) = &outcome.changes {
        statistics["dmlStats"] = dml_statistics(changes);
        statistics["numDmlAffectedRows"] = json!(affected(changes).to_string());
    }
    if let Some((operation, table)) = &outcome.ddl {
        statistics["ddlOperationPerformed"] = json!(operation);
        statistics["ddlTargetTable"] = table.reference();
    }
    if !outcome.read.is_empty() {
        let read: Vec<_> = outcome.read.iter().map(TableName::reference).collect();
        statistics["referencedTables"] = json!(read);
    }
    let is_query = outcome.changes.is_none() && outcome.ddl.is_none();
    Given {
        statistics,
        schema: is_query.then_some(outcome.schema),
        rows: outcome.rows,
        changes: outcome.changes,
    }
}

pub(super) fn dml_statistics(changes: &Changes) -> Json {
    json!({
        "insertedRowCount": changes.inserted.to_string(),
        "updatedRowCount": changes.updated.to_string(),
        "deletedRowCount": changes.deleted.to_string(),
    })
}

pub(super) fn affected(changes: &Changes) -> u64 {
    changes.inserted + changes.updated + changes.deleted
}

//! Methods of jobs, and running them.

use bytes::Bytes;
use serde_json::{Value as Json, json};
use sim_http::Answer;

use super::page::Page;
use super::{Service, World};
use crate::bigquery::catalog::{Partitioning, Schema, TableName, check_labels};
use crate::bigquery::faults::Plan;
use crate::bigquery::jobs::{
    Asked, Given, Job, JobName, State, Submitted, Work, affected, dml_statistics, of_query,
};
use crate::bigquery::load;
use crate::bigquery::refusal::Refusal;
use crate::bigquery::request::Request;
use crate::bigquery::sql::{Script, Session};
use crate::bigquery::value::{MICROS_PER_SECOND, parameter};

/// Microseconds for which identical requests with one `requestId` are one.
const REQUEST_ID_LIFE: i64 = 15 * 60 * MICROS_PER_SECOND;

impl Service {
    /// Takes a job in; it runs when it is asked about often enough.
    pub(super) fn submit(
        &self,
        world: &mut World,
        project: &str,
        body: &Json,
        media: Option<Bytes>,
        plan: &Plan,
        now: i64,
    ) -> Result<JobName, Refusal> {
        let configuration = &body["configuration"];
        let reference = &body["jobReference"];
        if reference["projectId"]
            .as_str()
            .is_some_and(|given| given != project)
        {
            return Err(Refusal::invalid(
                "The project of jobReference is not that of the request",
            ));
        }
        check_labels(&configuration["labels"])?;
        let location = reference["location"].as_str().map(str::to_owned);
        let (work, targets, location) = match (&configuration["load"], &configuration["query"]) {
            (Json::Object(_), Json::Null) => {
                load::check(configuration)?;
                let target = load::destination(configuration, project)?;
                let dataset = world.catalog.dataset(&target.project, &target.dataset).ok();
                let location = location
                    .or_else(|| dataset.map(|dataset| dataset.location.clone()))
                    .unwrap_or_else(|| "US".to_owned());
                let media = media.ok_or_else(|| Refusal::invalid("A load needs its media"))?;
                (Work::Load(media), vec![target], location)
            }
            (Json::Null, Json::Object(_)) if media.is_none() => {
                let query = &configuration["query"];
                let asked = self.asked(query, configuration["dryRun"] == true)?;
                let location = location.unwrap_or_else(|| place_of(world, project));
                let targets = self.targets(&asked, project);
                (Work::Query(Box::new(asked)), targets, location)
            }
            (Json::Null, Json::Null) => {
                return Err(Refusal::new(
                    501,
                    "notImplemented",
                    "the simulator runs load and query jobs only",
                ));
            }
            _ => {
                return Err(Refusal::invalid(
                    "Exactly one of the job's configurations must be set, and media is for load",
                ));
            }
        };
        let submitted = Submitted {
            project: project.to_owned(),
            location,
            id: reference["jobId"].as_str().map(str::to_owned),
            configuration: configuration.clone(),
            work,
            targets,
            polls: plan.job_polls.unwrap_or(self.settings.job_polls),
            doomed: plan.job_failure.clone(),
        };
        self.take_in(world, submitted, now)
    }

    /// Counts a job against the limits; one that is over a limit fails when it runs.
    fn take_in(
        &self,
        world: &mut World,
        mut submitted: Submitted,
        now: i64,
    ) -> Result<JobName, Refusal> {
        let limits = &self.settings.limits;
        let loads = matches!(submitted.work, Work::Load(_));
        let mut counted = Ok(());
        for table in &submitted.targets {
            let held = world.catalog.table(table).ok();
            let partitioned = held.is_some_and(|table| table.partitioning != Partitioning::None);
            counted = counted.and_then(|()| {
                if loads {
                    world.usage.load(table, limits, now)?;
                    world.usage.update(table, partitioned, limits, now)
                } else if world.jobs.outstanding(table) >= limits.dml_outstanding_per_table {
                    Err(Refusal::query(format!(
                        "Resources exceeded during query execution: Too many DML statements outstanding against table {table}, limit is 20."
                    )))
                } else {
                    world.usage.dml(table, limits, now)
                }
            });
        }
        if submitted.doomed.is_none() {
            submitted.doomed = counted.err();
        }
        let name = world.jobs.submit(submitted, now)?;
        if world
            .jobs
            .get(&name)
            .is_some_and(|_| self.settings.job_polls == 0)
        {
            self.run(world, &name, now);
        }
        Ok(name)
    }

    fn targets(&self, asked: &Asked, project: &str) -> Vec<TableName> {
        let Ok(script) = &asked.script else {
            return Vec::new();
        };
        let session = Session {
            default_dataset: asked.default_dataset.clone(),
            ..self.session(project, None, 0)
        };
        script.targets(&session)
    }

    /// Reads what `jobs.query` and `configuration.query` have in common.
    fn asked(&self, query: &Json, dry_run: bool) -> Result<Asked, Refusal> {
        if query["useLegacySql"] != false {
            return Err(Refusal::query(
                "the simulator knows no legacy SQL, which is the default of the API: set useLegacySql to false",
            ));
        }
        for key in [
            "destinationTable",
            "createSession",
            "continuous",
            "tableDefinitions",
        ] {
            if !query[key].is_null() && query[key] != false {
                return Err(Refusal::new(
                    501,
                    "notImplemented",
                    format!("the simulator does not know {key} of a query"),
                ));
            }
        }
        let sql = query["query"].as_str().unwrap_or_default();
        let given = query["queryParameters"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        if !given.is_empty() && query["parameterMode"] != "NAMED" {
            return Err(Refusal::invalid(
                "the simulator knows named parameters only: set parameterMode to NAMED",
            ));
        }
        let mut parameters = Vec::new();
        for each in given {
            let name = each["name"].as_str().unwrap_or_default();
            if name.is_empty() {
                return Err(Refusal::invalid("A named parameter needs a name"));
            }
            let (kind, value) = parameter(&each["parameterType"], &each["parameterValue"])?;
            parameters.push((name.to_owned(), kind, value));
        }
        let dataset = &query["defaultDataset"];
        let default_dataset = dataset["datasetId"].as_str().map(|id| {
            let project = dataset["projectId"]
                .as_str()
                .unwrap_or(&self.settings.project);
            (project.to_owned(), id.to_owned())
        });
        Ok(Asked {
            script: Script::parse(sql),
            default_dataset,
            parameters,
            dry_run,
        })
    }

    /// Takes note that somebody asks about a job, which runs when that was often enough.
    pub(super) fn ask(&self, world: &mut World, name: &JobName, now: i64) {
        if world.jobs.poll(name) {
            self.run(world, name, now);
        }
    }

    pub(super) fn run(&self, world: &mut World, name: &JobName, now: i64) {
        let Some(job) = world.jobs.get_mut(name) else {
            return;
        };
        let Some(work) = job.work.take() else {
            return;
        };
        let (project, location) = (job.project.clone(), job.location.clone());
        let configuration = job.configuration().clone();
        let result = match (job.doomed.take(), work) {
            (Some(refusal), _) => Err(refusal),
            (None, Work::Load(body)) => {
                let loaded = load::run(
                    &configuration,
                    &body,
                    &project,
                    &location,
                    &mut world.catalog,
                    now,
                );
                match loaded {
                    Ok((given, errors)) => {
                        job.errors = errors;
                        Ok(given)
                    }
                    Err(failed) => {
                        job.errors = failed.errors;
                        Err(failed.refusal)
                    }
                }
            }
            (None, Work::Query(asked)) => {
                let session = Session {
                    default_dataset: asked.default_dataset,
                    parameters: asked.parameters,
                    ..self.session(&project, Some(location), now)
                };
                asked
                    .script
                    .and_then(|script| {
                        if asked.dry_run {
                            script.run(&mut world.catalog.clone(), &session)
                        } else {
                            script.run(&mut world.catalog, &session)
                        }
                    })
                    .map(of_query)
            }
        };
        world.jobs.finish(name, result, now);
    }

    pub(super) fn job(&self, world: &World, name: &JobName) -> Result<Answer, Refusal> {
        let job = world
            .jobs
            .get(name)
            .ok_or_else(|| Refusal::not_found("Not found: Job"))?;
        Ok(Answer::json(
            200,
            &job.resource(world.tokens.account.email()),
        ))
    }

    pub(super) fn query(
        &self,
        world: &mut World,
        project: &str,
        request: &Request,
        plan: &Plan,
        now: i64,
    ) -> Result<Answer, Refusal> {
        if request.body.len() > self.settings.limits.query_bytes {
            return Err(Refusal::new(
                413,
                "requestTooLarge",
                "Request payload size exceeds the limit",
            ));
        }
        let body = self.read(request, "QueryRequest")?;
        let page = Page::of_body(&body);
        let request_id = body["requestId"].as_str().unwrap_or_default().to_owned();
        if request_id.len() > 36 || !request_id.is_ascii() {
            return Err(Refusal::invalid("requestId is at most 36 ASCII characters"));
        }
        if let Some((at, sent, job)) = world.requests.get(&request_id)
            && now - at < REQUEST_ID_LIFE
        {
            if *sent != request.body {
                return Err(Refusal::invalid(
                    "The requestId was used for another request",
                ));
            }
            let job = job.clone();
            return self.results(world, &job, &page, "bigquery#queryResponse");
        }
        check_labels(&body["labels"])?;
        let asked = self.asked(&body, body["dryRun"] == true)?;
        let location = body["location"].as_str().map(str::to_owned);
        let targets = self.targets(&asked, project);
        let submitted = Submitted {
            project: project.to_owned(),
            location: location.unwrap_or_else(|| place_of(world, project)),
            id: None,
            configuration: json!({ "query": {
                "query": body["query"],
                "useLegacySql": false,
            }, "jobType": "QUERY" }),
            work: Work::Query(Box::new(asked)),
            targets,
            polls: plan.job_polls.unwrap_or(1),
            doomed: plan.job_failure.clone(),
        };
        let job = self.take_in(world, submitted, now)?;
        self.ask(world, &job, now);
        if !request_id.is_empty() {
            world
                .requests
                .insert(request_id, (now, request.body.clone(), job.clone()));
        }
        self.results(world, &job, &page, "bigquery#queryResponse")
    }

    /// The results of a query job, or that it has none yet.
    pub(super) fn results(
        &self,
        world: &World,
        name: &JobName,
        page: &Page,
        kind: &str,
    ) -> Result<Answer, Refusal> {
        let job = world
            .jobs
            .get(name)
            .ok_or_else(|| Refusal::not_found("Not found: Job"))?;
        let mut body = json!({
            "kind": kind,
            "jobReference": job.reference(),
            "jobComplete": job.state == State::Done,
        });
        if job.state != State::Done {
            return Ok(Answer::json(200, &body));
        }
        if let Some(error) = &job.error {
            return Err(error.clone());
        }
        self.fill(&mut body, job, page);
        Ok(Answer::json(200, &body))
    }

    fn fill(&self, body: &mut Json, job: &Job, page: &Page) {
        let given: &Given = &job.given;
        body["totalBytesProcessed"] = given.statistics["totalBytesProcessed"].clone();
        body["cacheHit"] = json!(false);
        if let Some(changes) = &given.changes {
            body["numDmlAffectedRows"] = json!(affected(changes).to_string());
            if body["kind"] == "bigquery#queryResponse" {
                body["dmlStats"] = dml_statistics(changes);
            }
        }
        let schema = given.schema.as_ref().map(Schema::resource);
        body["schema"] = schema.unwrap_or_else(|| json!({ "fields": [] }));
        if given.schema.is_none() {
            return;
        }
        let (rows, next) = page.cut(&given.rows, &job.id, &self.settings.limits);
        body["totalRows"] = json!(given.rows.len().to_string());
        body["rows"] = json!(rows);
        if let Some(next) = next {
            body["pageToken"] = json!(next);
        }
    }

    /// Runs what waits, whoever asked for it.
    pub(in crate::bigquery) fn settle(&self) -> usize {
        let mut world = self.world();
        let now = self.clock.micros();
        let due = world.jobs.due(i64::MAX / 2);
        for name in &due {
            self.run(&mut world, name, now);
        }
        due.len()
    }
}

/// Where jobs without a location run: where all datasets of the project are, else in the US.
fn place_of(world: &World, project: &str) -> String {
    let mut places = world
        .catalog
        .datasets(project)
        .map(|dataset| dataset.location.as_str());
    let first = places.next().unwrap_or("US");
    let same = places.all(|place| place == first);
    (if same { first } else { "US" }).to_owned()
}

/// The tables that a text changes the rows of, for fault scripts; none where it cannot be told.
pub(super) fn target_tables(sql: &str) -> Vec<String> {
    let session = Session {
        project: String::new(),
        default_dataset: Some((String::new(), String::new())),
        location: None,
        parameters: Vec::new(),
        now: 0,
        streaming_buffer: 0,
    };
    let targets = Script::parse(sql).map(|script| script.targets(&session));
    targets
        .unwrap_or_default()
        .into_iter()
        .map(|name| name.table)
        .collect()
}

//! The API: each method over what is stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::catalog::{Catalog, Content, Schema, Table, TableName};
use super::credentials::{Tokens, allows};
use super::jobs::{
    Asked, Given, Job, JobName, Jobs, State, Submitted, Work, affected, dml_statistics, of_query,
};
use super::limits::{Limits, Usage};
use super::load;
use super::refusal::Refusal;
use super::request::{Call, Request, form, multipart};
use super::sql::{Script, Session, view_schema};
use super::value::{MICROS_PER_SECOND, Row, TimestampForm, cell, parameter};
use crate::clock::Clock;
use crate::delivery::Answer;

/// Milliseconds for which identical requests with one `requestId` are one.
const REQUEST_ID_LIFE: i64 = 15 * 60 * MICROS_PER_SECOND;

/// How the simulator behaves.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) url: String,
    pub(super) project: String,
    pub(super) limits: Limits,
    pub(super) authenticates: bool,
    /// How often a job is asked about before it is done.
    pub(super) job_polls: u32,
    pub(super) streaming: Streaming,
}

/// What makes streaming different from a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Streaming {
    /// Microseconds for which streamed rows cannot be changed.
    pub(super) buffer: i64,
}

/// What was called, for tests.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests by the name of the method, such as `jobs.query`.
    pub calls: BTreeMap<String, u64>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of the bodies received.
    pub bytes_received: u64,
}

/// Everything that changes.
pub(super) struct World {
    pub(super) catalog: Catalog,
    pub(super) jobs: Jobs,
    pub(super) tokens: Tokens,
    pub(super) usage: Usage,
    pub(super) stats: Stats,
    /// Jobs by the ids of the requests that made them, with the text that was sent.
    requests: HashMap<String, (i64, Bytes, JobName)>,
}

pub(super) struct Service {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    world: Mutex<World>,
}

impl Service {
    pub(super) fn new(settings: Settings, clock: Clock, tokens: Tokens, catalog: Catalog) -> Self {
        let world = World {
            catalog,
            jobs: Jobs::default(),
            tokens,
            usage: Usage::default(),
            stats: Stats::default(),
            requests: HashMap::new(),
        };
        Self {
            settings,
            clock,
            world: Mutex::new(world),
        }
    }

    /// What is stored, after what is due has happened.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = match self.world.lock() {
            Ok(world) => world,
            // A request that panicked leaves what it had done.
            Err(poisoned) => poisoned.into_inner(),
        };
        let now = self.clock.now();
        world.catalog.expire(now);
        for job in world.jobs.due(now) {
            self.run(&mut world, &job, now);
        }
        world
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let Some(call) = Call::of(request) else {
            return not_an_address();
        };
        let mut world = self.world();
        *world.stats.calls.entry(call.name().to_owned()).or_default() += 1;
        world.stats.bytes_received += request.body.len() as u64;
        let answer = self.call(&mut world, &call, request);
        let answer = answer.unwrap_or_else(|refusal| refused(&refusal));
        *world.stats.statuses.entry(answer.status).or_default() += 1;
        answer
    }

    fn call(&self, world: &mut World, call: &Call, request: &Request) -> Result<Answer, Refusal> {
        let now = self.clock.now();
        match call {
            Call::Token => {
                let kind = request.header("content-type").unwrap_or_default();
                if !kind.starts_with("application/x-www-form-urlencoded") {
                    let text = "The token endpoint takes application/x-www-form-urlencoded";
                    return Err(Refusal::invalid(text));
                }
                let form = form(&String::from_utf8_lossy(&request.body));
                return Ok(world.tokens.grant(&form, now));
            }
            Call::Machine(path) => return Ok(self.machine(world, path, request, now)),
            _ => {}
        }
        if self.settings.authenticates {
            let scopes = world.tokens.check(request.header("authorization"), now)?;
            if !allows(&scopes, call.name()) {
                return Err(Refusal::new(
                    403,
                    "insufficientPermissions",
                    "Request had insufficient authentication scopes.",
                ));
            }
        }
        if let Some(project) = call.project()
            && project != self.settings.project
            && world.catalog.datasets(project).next().is_none()
        {
            return Err(Refusal::not_found(format!("Not found: Project {project}")));
        }
        match call {
            Call::Token | Call::Machine(_) => Ok(not_an_address()),
            Call::DatasetsList(project) => {
                let datasets: Vec<_> = world.catalog.datasets(project).map(|dataset| json!({
                    "kind": "bigquery#dataset",
                    "id": format!("{}:{}", dataset.project, dataset.id),
                    "datasetReference": { "projectId": dataset.project, "datasetId": dataset.id },
                    "location": dataset.location,
                })).collect();
                let body = json!({ "kind": "bigquery#datasetList", "datasets": datasets });
                Ok(Answer::json(200, &body))
            }
            Call::DatasetsGet(project, id) => Ok(Answer::json(
                200,
                &world.catalog.dataset(project, id)?.resource(),
            )),
            Call::DatasetsInsert(project) => {
                let body = request.json()?;
                let dataset = world.catalog.insert_dataset(project, &body, now)?;
                Ok(Answer::json(200, &dataset.resource()))
            }
            Call::DatasetsDelete(project, id) => {
                let with_tables = request.parameter("deleteContents") == Some("true");
                world.catalog.delete_dataset(project, id, with_tables)?;
                Ok(Answer::new(204, "", Vec::new()))
            }
            Call::TablesList(project, dataset) => {
                self.list_tables(world, project, dataset, request)
            }
            Call::TablesInsert(project, dataset) => {
                self.insert_table(world, project, dataset, &request.json()?, now)
            }
            Call::TablesGet(project, dataset, table) => {
                let name = table_name(project, dataset, table)?;
                let resource = self.resource(world.catalog.table(&name)?, now);
                Ok(Answer::json(200, &resource))
            }
            Call::TablesPatch(project, dataset, table) => {
                let name = table_name(project, dataset, table)?;
                self.patch_table(world, &name, request, now)
            }
            Call::TablesDelete(project, dataset, table) => {
                let name = table_name(project, dataset, table)?;
                world.catalog.delete_table(&name, now)?;
                Ok(Answer::new(204, "", Vec::new()))
            }
            Call::InsertAll(..) => Err(Refusal::new(501, "notImplemented", "insertAll")),
            Call::TabledataList(project, dataset, table) => {
                let name = table_name(project, dataset, table)?;
                self.list_rows(world, &name, request, now)
            }
            Call::JobsInsert(project) => {
                let body = request.json()?;
                if body["configuration"]["load"].is_object() {
                    return Err(Refusal::invalid(
                        "A load without media names its files in sourceUris; the simulator has no Cloud Storage",
                    ));
                }
                let job = self.submit(world, project, &body, None, now)?;
                self.job(world, &job)
            }
            Call::JobsUpload(project) => match request.parameter("uploadType") {
                Some("multipart") => {
                    let (body, media) = multipart(request)?;
                    let job = self.submit(world, project, &body, Some(media), now)?;
                    self.job(world, &job)
                }
                other => Err(Refusal::invalid(format!(
                    "uploadType {other:?} is not known"
                ))),
            },
            Call::UploadPut(_) => Err(Refusal::not_found("There is no such upload")),
            Call::JobsList(project) => {
                let email = world.tokens.account.email().to_owned();
                let jobs: Vec<_> = world
                    .jobs
                    .list(project)
                    .map(|job| job.resource(&email))
                    .collect();
                Ok(Answer::json(
                    200,
                    &json!({ "kind": "bigquery#jobList", "jobs": jobs }),
                ))
            }
            Call::JobsGet(project, id) => {
                let name = world
                    .jobs
                    .find(project, id, request.parameter("location"))?;
                self.ask(world, &name, now);
                self.job(world, &name)
            }
            Call::JobsCancel(project, id) => {
                let name = world
                    .jobs
                    .find(project, id, request.parameter("location"))?;
                if world
                    .jobs
                    .get(&name)
                    .is_some_and(|job| job.state != State::Done)
                {
                    let stopped = Refusal::new(
                        499,
                        "stopped",
                        "Job execution was cancelled: User requested cancellation",
                    );
                    world.jobs.finish(&name, Err(stopped), now);
                }
                let email = world.tokens.account.email().to_owned();
                let job = world.jobs.get(&name).map(|job| job.resource(&email));
                let body = json!({ "kind": "bigquery#jobCancelResponse", "job": job });
                Ok(Answer::json(200, &body))
            }
            Call::JobsQuery(project) => self.query(world, project, request, now),
            Call::GetQueryResults(project, id) => {
                let name = world
                    .jobs
                    .find(project, id, request.parameter("location"))?;
                self.ask(world, &name, now);
                let page = Page::of_parameters(request, id)?;
                self.results(world, &name, &page, "bigquery#getQueryResultsResponse")
            }
        }
    }

    fn machine(&self, world: &mut World, path: &[String], request: &Request, now: i64) -> Answer {
        if request.header("metadata-flavor") != Some("Google") {
            let body = b"Missing Metadata-Flavor:Google header.".to_vec();
            return Answer::new(403, "text/html", body).with("metadata-flavor", "Google");
        }
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let email = world.tokens.account.email().to_owned();
        let text = |text: &str| Answer::new(200, "application/text", text.as_bytes().to_vec());
        let answer = match path.as_slice() {
            ["project", "project-id"] => text(&self.settings.project),
            ["instance", "service-accounts", who, what] if *who == "default" || *who == email => {
                match *what {
                    "token" => {
                        let token = world.tokens.of_machine(request.parameter("scopes"), now);
                        Answer::json(200, &token)
                    }
                    "email" => text(&email),
                    _ => Answer::new(404, "text/html", Vec::new()),
                }
            }
            _ => Answer::new(404, "text/html", Vec::new()),
        };
        answer.with("metadata-flavor", "Google")
    }

    pub(super) fn resource(&self, table: &Table, now: i64) -> Json {
        let buffer = self.settings.streaming.buffer;
        table.resource(|row| now - row.at < buffer)
    }

    fn session(&self, project: &str, location: Option<String>, now: i64) -> Session {
        Session {
            project: project.to_owned(),
            default_dataset: None,
            location,
            parameters: Vec::new(),
            now,
            streaming_buffer: self.settings.streaming.buffer,
        }
    }

    fn list_tables(
        &self,
        world: &World,
        project: &str,
        dataset: &str,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let tables: Vec<_> = world.catalog.dataset(project, dataset)?.tables().collect();
        let from: usize = match request.parameter("pageToken") {
            None => 0,
            Some(token) => token
                .strip_prefix("tables-")
                .and_then(|place| place.parse().ok())
                .ok_or_else(|| Refusal::invalid("Invalid pageToken"))?,
        };
        let most = request
            .number("maxResults")?
            .unwrap_or(50_usize)
            .clamp(1, 1_000);
        let mut body = json!({
            "kind": "bigquery#tableList",
            "totalItems": tables.len(),
            "tables": tables.iter().skip(from).take(most).map(|table| table.listed()).collect::<Vec<_>>(),
        });
        if from + most < tables.len() {
            body["nextPageToken"] = json!(format!("tables-{}", from + most));
        }
        Ok(Answer::json(200, &body))
    }

    fn insert_table(
        &self,
        world: &mut World,
        project: &str,
        dataset: &str,
        body: &Json,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let name = TableName::parse(&body["tableReference"], project)?;
        if name.project != project || name.dataset != dataset {
            return Err(Refusal::invalid(format!(
                "The table reference {name} does not match the dataset of the request"
            )));
        }
        let held = world.catalog.dataset(project, dataset)?;
        let location = held.location.clone();
        let mut body = body.clone();
        if body["view"].is_object() {
            if body["view"]["useLegacySql"] != false {
                return Err(Refusal::invalid(
                    "the simulator knows no legacy SQL: set useLegacySql to false",
                ));
            }
            let session = self.session(project, Some(location.clone()), now);
            let query = body["view"]["query"].as_str().unwrap_or_default();
            let mut schema = view_schema(query, &world.catalog, &session)?.resource();
            describe(&mut schema, &body["schema"]);
            body["schema"] = schema;
        } else if body["expirationTime"].is_null()
            && let Some(life) = held.table_life()
        {
            body["expirationTime"] = json!((now / 1000 + life).to_string());
        }
        if world.catalog.has_table(&name) {
            return Err(Refusal::duplicate(format!("Already Exists: Table {name}")));
        }
        world.usage.update(
            &name,
            body["timePartitioning"].is_object(),
            &self.settings.limits,
            now,
        )?;
        let stamp = world.catalog.stamp();
        let table = Table::new(name, &body, &location, now, stamp)?;
        let table = world.catalog.insert_table(table)?;
        let resource = self.resource(table, now);
        Ok(Answer::json(200, &resource))
    }

    fn patch_table(
        &self,
        world: &mut World,
        name: &TableName,
        request: &Request,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let mut body = request.json()?;
        let table = world.catalog.table(name)?;
        if let Some(etag) = request.header("if-match")
            && etag != "*"
            && etag != table.etag()
        {
            return Err(Refusal::new(
                412,
                "conditionNotMet",
                "Precondition check failed: the etag does not match",
            )
            .at("If-Match"));
        }
        let is_partitioned = table.partitioning != super::catalog::Partitioning::None;
        let (location, held) = (table.location.clone(), table.view());
        let query = body["view"]["query"].as_str().map(str::to_owned);
        if let (Some(_), Some(query)) = (&held, &query) {
            let session = self.session(&name.project, Some(location), now);
            let mut schema = view_schema(query, &world.catalog, &session)?.resource();
            describe(&mut schema, &body["schema"]);
            body["schema"] = schema;
        } else if query.is_some() {
            return Err(Refusal::invalid(format!("{name} is a table, not a view")));
        }
        world
            .usage
            .update(name, is_partitioned, &self.settings.limits, now)?;
        let stamp = world.catalog.stamp();
        let table = world.catalog.table_mut(name)?;
        table.patch(&body, now, stamp)?;
        let resource = self.resource(table, now);
        Ok(Answer::json(200, &resource))
    }

    fn list_rows(
        &self,
        world: &World,
        name: &TableName,
        request: &Request,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let table = world.catalog.table(name)?;
        if let Content::View(_) = table.content {
            return Err(Refusal::invalid("Cannot list a table of type VIEW."));
        }
        // Streamed rows are not listed before they leave the buffer.
        let buffer = self.settings.streaming.buffer;
        let rows: Vec<Row> = table
            .rows()
            .iter()
            .filter(|row| !row.streamed || now - row.at >= buffer)
            .map(|row| Row::clone(&row.values))
            .collect();
        let page = Page::of_parameters(request, &name.to_string())?;
        let (rows, next) = page.cut(&rows, &name.to_string(), &self.settings.limits);
        let mut body = json!({
            "kind": "bigquery#tableDataList",
            "etag": table.etag(),
            "totalRows": table.rows().len().to_string(),
            "rows": rows,
        });
        if let Some(next) = next {
            body["pageToken"] = json!(next);
        }
        Ok(Answer::json(200, &body))
    }

    /// Takes a job in; it runs when it is asked about often enough.
    fn submit(
        &self,
        world: &mut World,
        project: &str,
        body: &Json,
        media: Option<Bytes>,
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
        super::catalog::check_labels(&configuration["labels"])?;
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
            polls: self.settings.job_polls,
            doomed: None,
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
            let partitioned =
                held.is_some_and(|table| table.partitioning != super::catalog::Partitioning::None);
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
    fn ask(&self, world: &mut World, name: &JobName, now: i64) {
        if world.jobs.poll(name) {
            self.run(world, name, now);
        }
    }

    fn run(&self, world: &mut World, name: &JobName, now: i64) {
        let Some(job) = world.jobs.get_mut(name) else {
            return;
        };
        let Some(work) = job.work.take() else {
            return;
        };
        let (project, location) = (job.project.clone(), job.location.clone());
        let configuration = job.resource("")["configuration"].clone();
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

    fn job(&self, world: &World, name: &JobName) -> Result<Answer, Refusal> {
        let job = world
            .jobs
            .get(name)
            .ok_or_else(|| Refusal::not_found("Not found: Job"))?;
        Ok(Answer::json(
            200,
            &job.resource(world.tokens.account.email()),
        ))
    }

    fn query(
        &self,
        world: &mut World,
        project: &str,
        request: &Request,
        now: i64,
    ) -> Result<Answer, Refusal> {
        if request.body.len() > self.settings.limits.query_bytes {
            return Err(Refusal::new(
                413,
                "requestTooLarge",
                "Request payload size exceeds the limit",
            ));
        }
        let body = request.json()?;
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
        super::catalog::check_labels(&body["labels"])?;
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
            polls: 1,
            doomed: None,
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
    fn results(
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
    pub(super) fn settle(&self) -> usize {
        let mut world = self.world();
        let now = self.clock.now();
        let due = world.jobs.due(i64::MAX / 2);
        for name in &due {
            self.run(&mut world, name, now);
        }
        due.len()
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
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

fn table_name(project: &str, dataset: &str, table: &str) -> Result<TableName, Refusal> {
    if table.contains('$') {
        return Err(Refusal::new(
            501,
            "notImplemented",
            "the simulator knows no partition decorators",
        ));
    }
    Ok(TableName {
        project: project.to_owned(),
        dataset: dataset.to_owned(),
        table: table.to_owned(),
    })
}

/// Takes the descriptions of columns that a view's resource gives.
fn describe(schema: &mut Json, given: &Json) {
    let given = given["fields"].as_array().map_or(&[][..], Vec::as_slice);
    let fields = schema["fields"].as_array_mut();
    for field in fields.into_iter().flatten() {
        let named = given.iter().find(|other| other["name"] == field["name"]);
        if let Some(description) = named.and_then(|named| named.get("description")) {
            field["description"] = description.clone();
        }
    }
}

/// Which part of a result is asked for.
pub(super) struct Page {
    start: usize,
    most: Option<usize>,
    form: TimestampForm,
}

impl Page {
    /// Reads it from the parameters of a request about `of`.
    fn of_parameters(request: &Request, of: &str) -> Result<Self, Refusal> {
        let start = match request.parameter("pageToken") {
            None => request.number("startIndex")?.unwrap_or(0),
            Some(given) => given
                .rsplit_once('-')
                .filter(|(prefix, _)| *prefix == page_prefix(of))
                .and_then(|(_, start)| start.parse().ok())
                .ok_or_else(|| Refusal::invalid("Invalid pageToken").at("pageToken"))?,
        };
        let micros = request.parameter("formatOptions.useInt64Timestamp") == Some("true");
        let named = request.parameter("formatOptions.timestampOutputFormat");
        Ok(Self {
            start,
            most: request.number("maxResults")?,
            form: timestamp_form(micros, named),
        })
    }

    fn of_body(body: &Json) -> Self {
        let options = &body["formatOptions"];
        let micros = options["useInt64Timestamp"] == true;
        Self {
            start: 0,
            most: body["maxResults"]
                .as_u64()
                .and_then(|most| usize::try_from(most).ok()),
            form: timestamp_form(micros, options["timestampOutputFormat"].as_str()),
        }
    }

    /// The rows of the page, and the token of the next one of the same result.
    fn cut(&self, rows: &[Row], of: &str, limits: &Limits) -> (Vec<Json>, Option<String>) {
        let (mut out, mut bytes) = (Vec::new(), 0);
        for row in rows.iter().skip(self.start) {
            if self.most.is_some_and(|most| out.len() >= most) {
                break;
            }
            let row: Vec<_> = row.iter().map(|value| cell(value, self.form)).collect();
            let row = json!({ "f": row });
            // Text and marks; a cheap estimate of the whole.
            bytes += row.to_string().len();
            if bytes > limits.page_bytes && !out.is_empty() {
                break;
            }
            out.push(row);
        }
        let end = self.start + out.len();
        let next = (end < rows.len()).then(|| format!("{}-{end}", page_prefix(of)));
        (out, next)
    }
}

/// Tokens of one job are not taken for another.
fn page_prefix(of: &str) -> String {
    let sum = of.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("page{sum:016x}")
}

fn timestamp_form(micros: bool, named: Option<&str>) -> TimestampForm {
    match named {
        Some("INT64") => TimestampForm::Micros,
        Some("ISO8601_STRING") => TimestampForm::Iso,
        _ if micros => TimestampForm::Micros,
        _ => TimestampForm::Float,
    }
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = Answer::json(refusal.status, &refusal.envelope());
    if refusal.status == 401 {
        answer = answer.with(
            "www-authenticate",
            "Bearer realm=\"https://accounts.google.com/\"",
        );
    }
    answer
}

/// What the front end says to an address that it does not know.
fn not_an_address() -> Answer {
    let body = b"<!DOCTYPE html>\n<html lang=en><title>Error 404 (Not Found)!!1</title>\n<p>The requested URL was not found on this server.\n".to_vec();
    Answer::new(404, "text/html; charset=UTF-8", body)
}

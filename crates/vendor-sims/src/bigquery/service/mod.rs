//! The API: each method over what is stored.

mod page;
mod running;
mod tables;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use sim_http::{Answer, Clock};

use self::page::Page;
use self::tables::table_name;
use super::catalog::Catalog;
use super::credentials::{Tokens, allows};
use super::discovery::Discovery;
use super::faults::{self, Body, Cut, FaultScript, Faults, Plan, Refuse};
use super::jobs::{JobName, Jobs, State};
use super::limits::{Limits, Usage};
use super::refusal::Refusal;
use super::request::{Call, Request, form, multipart, parse};
use super::sql::Session;
use super::upload::{Step, Uploads};

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
    /// What requests are held against.
    pub(super) discovery: Option<Discovery>,
}

/// What makes streaming different from a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Streaming {
    /// Microseconds for which streamed rows cannot be changed.
    pub(super) buffer: i64,
    /// Microseconds for which a table that was made, emptied or widened is not seen as it is.
    pub(super) delay: i64,
    /// Microseconds for which a row with the same insert id is the same row.
    pub(super) dedupe: i64,
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
    uploads: Uploads,
    pub(super) faults: Faults,
}

pub(super) struct Service {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    world: Mutex<World>,
}

impl Service {
    pub(super) fn new(
        settings: Settings,
        clock: Clock,
        tokens: Tokens,
        catalog: Catalog,
        faults: FaultScript,
    ) -> Self {
        let world = World {
            catalog,
            jobs: Jobs::default(),
            tokens,
            usage: Usage::default(),
            stats: Stats::default(),
            requests: HashMap::new(),
            uploads: Uploads::default(),
            faults: Faults::new(faults),
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
        let now = self.clock.micros();
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
        let plan = if world.faults.is_empty() {
            Plan::default()
        } else {
            let asked = asked(&world, &call, request);
            faults::plan(&mut world.faults, &asked)
        };
        let done = if plan.does_nothing() {
            Answer::json(200, &Json::Null)
        } else {
            let answer = self.call(&mut world, &call, request, &plan);
            answer.unwrap_or_else(|refusal| refused(&refusal))
        };
        let answer = spoilt(done, &plan);
        *world.stats.statuses.entry(answer.status).or_default() += 1;
        answer
    }

    fn call(
        &self,
        world: &mut World,
        call: &Call,
        request: &Request,
        plan: &Plan,
    ) -> Result<Answer, Refusal> {
        let now = self.clock.micros();
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
        // The address of an upload is a secret of its own.
        let is_piece = matches!(call, Call::UploadPut(_));
        if self.settings.authenticates && !is_piece {
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
        if let Some(discovery) = &self.settings.discovery {
            let name = if call.name().starts_with("jobs.upload") {
                "jobs.insert"
            } else {
                call.name()
            };
            discovery.check_parameters(name, request.query.keys())?;
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
                let body = self.read(request, "Dataset")?;
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
                let body = self.read(request, "Table")?;
                self.insert_table(world, project, dataset, &body, now)
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
            Call::InsertAll(project, dataset, table) => {
                let name = table_name(project, dataset, table)?;
                self.insert_rows(world, &name, request, plan, now)
            }
            Call::TabledataList(project, dataset, table) => {
                let name = table_name(project, dataset, table)?;
                self.list_rows(world, &name, request, now)
            }
            Call::JobsInsert(project) => {
                let body = self.read(request, "Job")?;
                if body["configuration"]["load"].is_object() {
                    return Err(Refusal::invalid(
                        "A load without media names its files in sourceUris; the simulator has no Cloud Storage",
                    ));
                }
                let job = self.submit(world, project, &body, None, plan, now)?;
                self.job(world, &job)
            }
            Call::JobsUpload(project) => match request.parameter("uploadType") {
                Some("multipart") => {
                    let (body, media) = multipart(request)?;
                    self.check(&body, "Job")?;
                    let job = self.submit(world, project, &body, Some(media), plan, now)?;
                    self.job(world, &job)
                }
                Some("resumable") => self.begin_upload(world, project, request),
                other => Err(Refusal::invalid(format!(
                    "uploadType {other:?} is not known"
                ))),
            },
            Call::UploadPut(project) => self.continue_upload(world, project, request, plan, now),
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
            Call::JobsQuery(project) => self.query(world, project, request, plan, now),
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

    /// The body of a request, held against a schema of the Discovery document.
    fn read(&self, request: &Request, schema: &str) -> Result<Json, Refusal> {
        let body = request.json()?;
        self.check(&body, schema)?;
        Ok(body)
    }

    fn check(&self, body: &Json, schema: &str) -> Result<(), Refusal> {
        match &self.settings.discovery {
            Some(discovery) => discovery.check_body(schema, body),
            None => Ok(()),
        }
    }

    fn begin_upload(
        &self,
        world: &mut World,
        project: &str,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let body = self.read(request, "Job")?;
        super::load::check(&body["configuration"])?;
        super::load::destination(&body["configuration"], project)?;
        let announced = match request.header("x-upload-content-length") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Refusal::new(
                    400,
                    "badRequest",
                    format!("Bad X-Upload-Content-Length: {text}"),
                )
            })?),
        };
        let id = world.uploads.begin(project, body, announced);
        let place = format!(
            "{}/upload/bigquery/v2/projects/{project}/jobs?uploadType=resumable&upload_id={id}",
            self.settings.url
        );
        let answer = Answer::new(200, "text/plain; charset=utf-8", Vec::new());
        Ok(answer
            .with("location", place)
            .with("x-guploader-uploadid", id))
    }

    fn continue_upload(
        &self,
        world: &mut World,
        project: &str,
        request: &Request,
        plan: &Plan,
        now: i64,
    ) -> Result<Answer, Refusal> {
        let id = request.parameter("upload_id").unwrap_or_default();
        if plan.lose_upload {
            world.uploads.lose(id);
        }
        let range = request.header("content-range");
        let step = world
            .uploads
            .put(project, id, range, &request.body, plan.half_piece)?;
        match step {
            Step::More(there) => {
                let answer = Answer::new(308, "text/plain; charset=utf-8", Vec::new());
                Ok(match there.checked_sub(1) {
                    Some(last) => answer.with("range", format!("bytes=0-{last}")),
                    None => answer,
                })
            }
            Step::Done(job) => self.job(world, &job),
            Step::Whole(resource, media) => {
                let job = self.submit(world, project, &resource, Some(media), plan, now)?;
                world.uploads.finish(id, job.clone());
                self.job(world, &job)
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

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// A request as fault scripts look at it.
fn asked(world: &World, call: &Call, request: &Request) -> faults::Asked {
    let resource = match call {
        Call::JobsInsert(_) => parse(&request.body).ok(),
        Call::JobsUpload(_) => match request.parameter("uploadType") {
            Some("multipart") => multipart(request).ok().map(|(resource, _)| resource),
            _ => parse(&request.body).ok(),
        },
        Call::UploadPut(_) => {
            let id = request.parameter("upload_id").unwrap_or_default();
            world.uploads.resource(id).cloned()
        }
        Call::JobsQuery(_) => parse(&request.body)
            .ok()
            .map(|query| json!({ "configuration": { "query": query } })),
        Call::JobsGet(project, id) | Call::GetQueryResults(project, id) => {
            let found = world
                .jobs
                .find(project, id, request.parameter("location"))
                .ok();
            let job = found.and_then(|name| world.jobs.get(&name));
            let tables = job.map(|job| {
                job.targets
                    .iter()
                    .map(|table| table.table.clone())
                    .collect()
            });
            return faults::Asked {
                call: call.name(),
                tables: tables.unwrap_or_default(),
                kind: job.map(super::jobs::Job::kind),
            };
        }
        Call::TablesGet(_, _, table)
        | Call::TablesPatch(_, _, table)
        | Call::TablesDelete(_, _, table)
        | Call::InsertAll(_, _, table)
        | Call::TabledataList(_, _, table) => {
            return faults::Asked {
                call: call.name(),
                tables: vec![table.clone()],
                kind: None,
            };
        }
        Call::TablesInsert(..) => {
            let body = parse(&request.body).unwrap_or_default();
            let table = body["tableReference"]["tableId"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            return faults::Asked {
                call: call.name(),
                tables: vec![table],
                kind: None,
            };
        }
        _ => None,
    };
    let resource = resource.unwrap_or_default();
    let configuration = &resource["configuration"];
    let load = &configuration["load"];
    let (tables, kind) = if load.is_object() {
        let table = load["destinationTable"]["tableId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (vec![table], Some("load"))
    } else if let Some(sql) = configuration["query"]["query"].as_str() {
        (running::target_tables(sql), Some("query"))
    } else {
        (Vec::new(), None)
    };
    faults::Asked {
        call: call.name(),
        tables,
        kind,
    }
}

/// An answer as the plan lets it out.
fn spoilt(done: Answer, plan: &Plan) -> Answer {
    let mut answer = match &plan.refuse {
        Some(refuse) => in_its_place(refuse),
        None => done,
    };
    answer.delivery.before += Duration::from_millis(plan.slow_ms);
    answer.delivery.cut_at = match plan.cut {
        None => None,
        Some(Cut::Before | Cut::After) => Some(0),
        Some(Cut::Amid) => Some((answer.body.len() / 2).max(1)),
    };
    answer
}

fn in_its_place(refuse: &Refuse) -> Answer {
    let status = refuse.status;
    let mut answer = match refuse.body {
        Body::Json => {
            let message = if refuse.message.is_empty() {
                format!("The service answered {status}")
            } else {
                refuse.message.clone()
            };
            let mut body = Refusal::new(status, "backendError", message).envelope();
            let reason = if refuse.reason.is_empty() {
                "backendError"
            } else {
                &refuse.reason
            };
            body["error"]["errors"][0]["reason"] = json!(reason);
            Answer::json(status, &body)
        }
        Body::Html => {
            let page = format!(
                "<!DOCTYPE html>\n<html lang=en><title>Error {status}!!1</title>\n<p><b>{status}.</b> <ins>That's an error.</ins>\n"
            );
            Answer::new(status, "text/html; charset=UTF-8", page.into_bytes())
        }
        Body::Empty => Answer::new(status, "", Vec::new()),
    };
    if let Some(seconds) = refuse.retry_after {
        answer = answer.with("retry-after", seconds.to_string());
    }
    answer
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

//! Starting a simulator, and what a test asks of it while it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use sim_http::script::{Fired, Report};
use sim_http::{Clock, Endpoint, Error, ErrorKind, Server, Sleeper};
use time::OffsetDateTime;

use super::catalog::{Catalog, TableName};
use super::credentials::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ServiceAccount, Tokens};
use super::discovery::Discovery;
use super::faults::{Fault, FaultScript, Faults, RuleReport};
use super::limits::Limits;
use super::server;
use super::service::{Service, Settings, Stats, Streaming};
use super::value::{MICROS_PER_SECOND, plain};

/// Seconds for which an access token lives, as the vendor gives them out.
const TOKEN_LIFE: i64 = 3_599;

/// Microseconds for which rows with one insert id are one.
const DEDUPE: i64 = 60 * MICROS_PER_SECOND;
/// The variable that names the file of the Discovery document.
const DISCOVERY: &str = "BIGQUERY_DISCOVERY";

/// A row as a test sees it: the texts of the values by column, lists and objects where the column
/// is repeated or a record, null for nothing. Timestamps are in ISO 8601.
pub type Record = BTreeMap<String, Json>;

/// A simulator that is configured and not yet started.
#[must_use]
pub struct SimulatorBuilder {
    endpoint: Endpoint,
    project: String,
    datasets: Vec<(String, String)>,
    now: Option<OffsetDateTime>,
    authenticates: bool,
    account: Option<(String, String, String)>,
    token_life: i64,
    limits: Limits,
    job_polls: u32,
    latency: Duration,
    streaming_buffer: Duration,
    streaming_delay: Duration,
    discovery: Option<PathBuf>,
    faults: FaultScript,
    sleeper: Sleeper,
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimulatorBuilder")
            .field("listen", &self.endpoint.listen)
            .field("project", &self.project)
            .field("datasets", &self.datasets)
            .finish_non_exhaustive()
    }
}

impl Default for SimulatorBuilder {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::default(),
            project: "sim-project".to_owned(),
            datasets: Vec::new(),
            now: None,
            authenticates: true,
            account: None,
            token_life: TOKEN_LIFE,
            limits: Limits::default(),
            job_polls: 1,
            latency: Duration::ZERO,
            streaming_buffer: Duration::from_secs(30 * 60),
            streaming_delay: Duration::from_secs(2 * 60),
            discovery: std::env::var_os(DISCOVERY).map(PathBuf::from),
            faults: FaultScript::default(),
            sleeper: Sleeper::default(),
        }
    }
}

impl SimulatorBuilder {
    /// The address to listen on; port 0 takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.endpoint.listen = address;
        self
    }

    /// Allows an address that other machines can reach. The simulator protects nothing.
    pub fn allow_remote(mut self) -> Self {
        self.endpoint.allow_remote = true;
        self
    }

    /// The project; `sim-project` by default.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = project.into();
        self
    }

    /// A dataset that is there from the start, with its location, such as `US` or
    /// `europe-west3`.
    pub fn dataset(mut self, id: impl Into<String>, location: impl Into<String>) -> Self {
        self.datasets.push((id.into(), location.into()));
        self
    }

    /// Where the simulator's clock starts; with the machine's by default. Assertions are checked
    /// against it.
    pub fn now(mut self, now: OffsetDateTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Lets in requests without an access token.
    pub fn without_authentication(mut self) -> Self {
        self.authenticates = false;
        self
    }

    /// The service account that assertions come from: its address, the id of its key, and its
    /// public key in PEM (`BEGIN PUBLIC KEY`). Without one the simulator makes a key itself, see
    /// [`Handle::key_file`].
    pub fn service_account(
        mut self,
        email: impl Into<String>,
        key_id: impl Into<String>,
        public_key: impl Into<String>,
    ) -> Self {
        self.account = Some((email.into(), key_id.into(), public_key.into()));
        self
    }

    /// How long an access token lives, in whole seconds; 3,599 by default.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = i64::try_from(life.as_secs()).unwrap_or(TOKEN_LIFE);
        self
    }

    /// Other limits than the documented ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How often a job is asked about before it is done, 1 by default; 0 lets it be done in the
    /// answer to `jobs.insert`. A job that nobody asks about is done 30 seconds of the simulator's
    /// clock after it came.
    pub fn job_polls(mut self, polls: u32) -> Self {
        self.job_polls = polls;
        self
    }

    /// Waits so long before each answer is sent.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// How long streamed rows cannot be changed by statements, by the simulator's clock; 30
    /// minutes by default.
    pub fn streaming_buffer(mut self, duration: Duration) -> Self {
        self.streaming_buffer = duration;
        self
    }

    /// How long after a table was made, emptied or widened streaming does not see it as it is, by
    /// the simulator's clock; two minutes by default, and zero for never. Rows for a table that is
    /// new are refused with 404; those for one that was there before and was deleted, or that a
    /// load has emptied, are accepted and lost; added columns are not known.
    pub fn streaming_delay(mut self, duration: Duration) -> Self {
        self.streaming_delay = duration;
        self
    }

    /// Holds requests against this Discovery document of the API; the one that the environment
    /// names in `BIGQUERY_DISCOVERY` by default, and none without it.
    pub fn discovery(mut self, file: impl Into<PathBuf>) -> Self {
        self.discovery = Some(file.into());
        self
    }

    /// Lets things go wrong as the script says, from the first request on.
    pub fn faults(mut self, script: FaultScript) -> Self {
        self.faults = script;
        self
    }

    /// Passes a line about each request to `log`: method, path, status, bytes and time taken.
    pub fn log(mut self, log: fn(&str)) -> Self {
        self.endpoint.log = Some(log);
        self
    }

    /// Waits by `sleeper` where an answer is to be late, instead of by the real clock.
    pub fn sleeper<F>(mut self, sleeper: impl Fn(Duration) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.sleeper = Sleeper::new(sleeper);
        self
    }

    /// Binds the address and serves on the caller's tokio runtime.
    ///
    /// # Errors
    /// `Invalid` for an address that other machines can reach where that was not allowed, and for
    /// names, locations, keys, scripts and documents that cannot be; `Network` when the address cannot be bound.
    pub async fn start(self) -> Result<RunningSimulator, Error> {
        self.faults.check()?;
        let discovery = self.discovery.as_deref().map(Discovery::read).transpose()?;
        let account = match &self.account {
            Some((email, key_id, public_key)) => {
                ServiceAccount::with_public_key(email, key_id, public_key)?
            }
            None => {
                let project = self.project.clone();
                let made =
                    tokio::task::spawn_blocking(move || ServiceAccount::of_this_process(&project));
                made.await.map_err(|source| {
                    Error::invalid("no key for the service account could be made").because(source)
                })??
            }
        };
        let bound = self.endpoint.bind().await?;
        let now = self.now.unwrap_or_else(OffsetDateTime::now_utc);
        let now = i64::try_from(now.unix_timestamp_nanos() / 1_000).unwrap_or_default();
        let mut catalog = Catalog::default();
        for (id, location) in &self.datasets {
            let body = serde_json::json!({
                "datasetReference": { "projectId": self.project, "datasetId": id },
                "location": location,
            });
            catalog
                .insert_dataset(&self.project, &body, now)
                .map_err(|refusal| Error::invalid(refusal.message))?;
        }
        let url = format!("http://{}", bound.address());
        let tokens = Tokens::new(account, self.token_life, format!("{url}/token"));
        let micros =
            |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4);
        let settings = Settings {
            url: url.clone(),
            project: self.project,
            limits: self.limits,
            authenticates: self.authenticates,
            job_polls: self.job_polls,
            streaming: Streaming {
                buffer: micros(self.streaming_buffer),
                delay: micros(self.streaming_delay),
                dedupe: DEDUPE,
            },
            discovery,
        };
        let service = Arc::new(Service::new(
            settings,
            Clock::starting_at_micros(now),
            tokens,
            catalog,
            self.faults,
        ));
        let router = server::router(
            Arc::clone(&service),
            server::Manner {
                sleeper: self.sleeper,
                latency: self.latency,
            },
        );
        Ok(RunningSimulator {
            handle: Handle { service },
            server: bound.serve(router),
        })
    }
}

/// A simulator that runs; it stops when it is dropped.
#[derive(Debug)]
pub struct RunningSimulator {
    handle: Handle,
    server: Server,
}

impl RunningSimulator {
    /// Starts the configuration.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// Takes no more requests, and waits until those under way are answered, a second at most.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

impl std::ops::Deref for RunningSimulator {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

/// The way to look at a simulator from outside of its API. Clones are the same simulator.
#[derive(Clone)]
pub struct Handle {
    service: Arc<Service>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Handle")
            .field("url", &self.service.settings.url)
            .finish()
    }
}

impl Handle {
    pub(super) fn of(service: Arc<Service>) -> Self {
        Self { service }
    }

    /// `http://127.0.0.1:PORT`: the root of the API, of its token endpoint (`/token`) and of the
    /// metadata server.
    pub fn url(&self) -> &str {
        &self.service.settings.url
    }

    /// The project.
    pub fn project(&self) -> &str {
        &self.service.settings.project
    }

    /// The key file of the service account in JSON, with `token_uri` at the simulator. It has no
    /// private key where the public one was given.
    pub fn key_file(&self) -> String {
        let world = self.service.world();
        world.tokens.account.key_file(self.project(), self.url())
    }

    /// A user's file of application default credentials in JSON. Such a file names no token
    /// endpoint: the client has to be told [`Handle::url`] with `/token`.
    pub fn authorized_user_file(&self) -> String {
        serde_json::json!({
            "type": "authorized_user",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": REFRESH_TOKEN,
        })
        .to_string()
    }

    /// The rows of a table in the order in which they came.
    ///
    /// # Errors
    /// `NotFound` where there is no such table.
    pub fn rows(&self, dataset: &str, table: &str) -> Result<Vec<Record>, Error> {
        let world = self.service.world();
        let table = world
            .catalog
            .table(&self.name(dataset, table))
            .map_err(not_found)?;
        let rows = table.rows().iter().map(|row| {
            let pairs = table.schema.fields.iter().zip(row.values.iter());
            pairs
                .map(|(field, value)| (field.name.clone(), plain(value, &field.kind())))
                .collect()
        });
        Ok(rows.collect())
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// `NotFound` where there is no such table.
    pub fn row_count(&self, dataset: &str, table: &str) -> Result<usize, Error> {
        let world = self.service.world();
        let table = world
            .catalog
            .table(&self.name(dataset, table))
            .map_err(not_found)?;
        Ok(table.rows().len())
    }

    /// The resource of a table, as `tables.get` shows it.
    ///
    /// # Errors
    /// `NotFound` where there is no such table.
    pub fn table(&self, dataset: &str, table: &str) -> Result<Json, Error> {
        let world = self.service.world();
        let table = world
            .catalog
            .table(&self.name(dataset, table))
            .map_err(not_found)?;
        Ok(self.service.resource(table, self.service.clock.micros()))
    }

    /// The names of a dataset's tables and views, in order.
    ///
    /// # Errors
    /// `NotFound` where there is no such dataset.
    pub fn tables(&self, dataset: &str) -> Result<Vec<String>, Error> {
        let world = self.service.world();
        let dataset = world
            .catalog
            .dataset(self.project(), dataset)
            .map_err(not_found)?;
        Ok(dataset
            .tables()
            .map(|table| table.name.table.clone())
            .collect())
    }

    /// Every job so far, as `jobs.get` shows it, by location and id.
    pub fn jobs(&self) -> Vec<Json> {
        let world = self.service.world();
        let email = world.tokens.account.email();
        world
            .jobs
            .list(self.project())
            .map(|job| job.resource(email))
            .collect()
    }

    /// What was called since the start, or since the counts were last reset.
    pub fn stats(&self) -> Stats {
        self.service.world().stats.clone()
    }

    /// Starts the counts anew.
    pub fn reset_stats(&self) {
        self.service.world().stats = Stats::default();
    }

    /// Lets things go wrong as the script says, instead of the one before.
    ///
    /// # Errors
    /// `Invalid` for a script that cannot be meant; then the one before stays.
    pub fn set_faults(&self, script: FaultScript) -> Result<(), Error> {
        script.check()?;
        self.service.world().faults = Faults::new(script);
        Ok(())
    }

    /// Lets nothing go wrong any more.
    pub fn clear_faults(&self) {
        self.service.world().faults = Faults::default();
    }

    /// What went wrong so far, in its order; the first ten thousand.
    pub fn fault_story(&self) -> Vec<Fired> {
        self.fault_report().story
    }

    pub(super) fn fault_report(&self) -> Report<Fault> {
        self.service.world().faults.report()
    }

    /// The rules of the fault script, with how often each matched and fired.
    pub fn faults(&self) -> Vec<RuleReport> {
        self.fault_report().rules
    }

    /// Moves the simulator's clock ahead.
    pub fn advance(&self, by: Duration) {
        self.service.advance(by);
    }

    /// Ends all access tokens that were given out; answers how many.
    pub fn revoke_tokens(&self) -> usize {
        self.service.world().tokens.revoke()
    }

    /// Lets every job that waits run now; answers how many.
    pub fn settle_jobs(&self) -> usize {
        self.service.settle()
    }

    fn name(&self, dataset: &str, table: &str) -> TableName {
        TableName {
            project: self.project().to_owned(),
            dataset: dataset.to_owned(),
            table: table.to_owned(),
        }
    }
}

fn not_found(refusal: super::refusal::Refusal) -> Error {
    Error::new(ErrorKind::NotFound, refusal.message)
}

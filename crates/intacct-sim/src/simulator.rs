//! Starting a simulator, and the handle to the company that it serves.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sim_http::script::Fired;
use sim_http::{Clock, Endpoint, Error, ErrorKind, Server, Sleeper};
use time::OffsetDateTime;

use crate::access::Access;
use crate::company::{Changes, Company, Edit, START, Scale, Stamp};
use crate::faults::{FaultScript, RuleReport};
use crate::gateway::{Gateway, Hook, Settings, Stats};
use crate::object::quirk;
use crate::server;
use crate::tier::{Lanes, Tier};

/// A simulator that is configured and not yet started.
#[derive(Debug)]
pub struct Simulator {
    builder: SimulatorBuilder,
}

impl Simulator {
    /// Starts the configuration: seed 1, scale small, a free port of the loopback interface.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// Makes the company, if none was given, binds the address and serves on the caller's tokio
    /// runtime.
    ///
    /// # Errors
    /// `Invalid` when the address is not of this machine alone and that was not allowed, or when
    /// the clock would start before the first day of the books; `Network` when the address cannot
    /// be bound.
    pub async fn start(self) -> Result<RunningSimulator, Error> {
        self.builder.start().await
    }
}

/// Who may call the gateway, and for which company.
///
/// These are test values: the simulator protects nothing, and whoever reads its source knows the
/// default ones. `Debug` leaves the passwords out all the same.
#[derive(Clone)]
pub struct Credentials {
    /// Sender id of the control block.
    pub sender: String,
    /// Password of the sender.
    pub sender_password: String,
    /// Company id.
    pub company: String,
    /// User id.
    pub user: String,
    /// Password of the user.
    pub password: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            sender: "sim-sender".to_owned(),
            sender_password: "sim-sender-password".to_owned(),
            company: "DEMO".to_owned(),
            user: "sim-user".to_owned(),
            password: "sim-user-password".to_owned(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("sender", &self.sender)
            .field("company", &self.company)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The configuration of a simulator.
#[must_use]
pub struct SimulatorBuilder {
    seed: u64,
    scale: Scale,
    endpoint: Endpoint,
    start: OffsetDateTime,
    session: Duration,
    report_polls: u32,
    credentials: Credentials,
    company: Option<Company>,
    hook: Option<Hook>,
    faults: FaultScript,
    access: Access,
    tier: Option<Tier>,
    sleeper: Sleeper,
}

impl Default for SimulatorBuilder {
    fn default() -> Self {
        Self {
            seed: 1,
            scale: Scale::default(),
            endpoint: Endpoint::default(),
            start: START,
            session: Duration::from_secs(2 * 60 * 60),
            report_polls: 2,
            credentials: Credentials::default(),
            company: None,
            hook: None,
            faults: FaultScript::default(),
            access: Access::default(),
            tier: None,
            sleeper: Sleeper::default(),
        }
    }
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimulatorBuilder")
            .field("seed", &self.seed)
            .field("scale", &self.scale)
            .field("listen", &self.endpoint.listen)
            .finish_non_exhaustive()
    }
}

impl SimulatorBuilder {
    /// The seed of the generated company.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The size of the generated company.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// The address to listen on; port 0 takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.endpoint.listen = address;
        self
    }

    /// Allows an address that other machines can reach. The simulator has no secrets and no
    /// protection: anyone who can reach it can change the company.
    pub fn allow_remote(mut self) -> Self {
        self.endpoint.allow_remote = true;
        self
    }

    /// The instant at which the company's clock starts; 2026-01-31 18:00:00 UTC by default.
    pub fn now(mut self, now: OffsetDateTime) -> Self {
        self.start = now;
        self
    }

    /// How long a session lives after its last use, in whole seconds; two hours by default.
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.session = duration;
        self
    }

    /// How many times a report answers `PENDING` when it is asked for its records, 2 unless given.
    /// A `waitTime` of n seconds in the call takes n off.
    pub fn report_polls(mut self, polls: u32) -> Self {
        self.report_polls = polls;
        self
    }

    /// Other credentials than the default ones.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Serves this company instead of generating one.
    pub fn company(mut self, company: Company) -> Self {
        self.company = Some(company);
        self
    }

    /// Runs `hook` before each function is answered, with the number of the function since the
    /// start (or since the counts were last reset), from 1: a test changes the company between
    /// two calls of its client with it.
    pub fn before_call(
        mut self,
        hook: impl Fn(u64, &CompanyHandle) + Send + Sync + 'static,
    ) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Passes a line about each request to `log`: method, path, status, bytes and time taken.
    pub fn log(mut self, log: fn(&str)) -> Self {
        self.endpoint.log = Some(log);
        self
    }

    /// Lets things go wrong as the script says, from the first request on.
    pub fn faults(mut self, script: FaultScript) -> Self {
        self.faults = script;
        self
    }

    /// Lets in other users and senders than those of the credentials, each with what it may read.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Takes only so many requests at a time as the tier allows; as many as come by default.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Waits by `sleeper` where an answer is to be slow or a request to queue, instead of by the real clock.
    pub fn sleeper<F>(mut self, sleeper: impl Fn(Duration) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.sleeper = Sleeper::new(sleeper);
        self
    }

    /// Ends the configuration.
    pub fn build(self) -> Simulator {
        Simulator { builder: self }
    }

    /// Ends the configuration and starts, as [`Simulator::start`] does.
    ///
    /// # Errors
    /// As [`Simulator::start`]; `Invalid` too for a fault script or an access list that cannot be meant.
    pub async fn start(self) -> Result<RunningSimulator, Error> {
        self.faults.check()?;
        self.access.check()?;
        let earliest = i64::from(crate::calendar::days(2024, 2, 1)) * crate::calendar::DAY;
        let latest = i64::from(crate::calendar::days(2027, 1, 1)) * crate::calendar::DAY;
        if self.company.is_none() && !(earliest..latest).contains(&self.start.unix_timestamp()) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the books of a generated company run from 2024: start its clock between 2024-02-01 and 2026-12-31",
            ));
        }
        let bound = self.endpoint.bind().await?;
        let (seed, scale, start) = (self.seed, self.scale, self.start);
        let company = match self.company {
            Some(company) => company,
            None => tokio::task::spawn_blocking(move || Company::generate(seed, scale, start))
                .await
                .map_err(|source| {
                    Error::new(ErrorKind::Invalid, "the company could not be made").because(source)
                })?,
        };
        let url = format!("http://{}{}", bound.address(), server::GATEWAY_PATH);
        let settings = Settings {
            credentials: self.credentials,
            session_seconds: i64::try_from(self.session.as_secs()).unwrap_or(i64::MAX / 4),
            report_polls: self.report_polls,
            hook: self.hook,
            faults: self.faults,
            access: self.access,
            seed,
        };
        let clock = Clock::starting_at(self.start.unix_timestamp());
        let gateway = Arc::new(Gateway::new(company, clock, url, settings));
        let company = CompanyHandle { gateway };
        let router = server::router(
            company.clone(),
            server::Delays {
                sleeper: self.sleeper,
                lanes: self.tier.map(Lanes::new),
            },
        );
        Ok(RunningSimulator {
            company,
            server: bound.serve(router),
        })
    }
}

/// A simulator that answers; it stops when this is dropped.
#[derive(Debug)]
pub struct RunningSimulator {
    company: CompanyHandle,
    server: Server,
}

impl RunningSimulator {
    /// The address of the gateway: `http://127.0.0.1:PORT/ia/xml/xmlgw.phtml`.
    pub fn url(&self) -> &str {
        &self.company.gateway.url
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The company behind the gateway, to look at and to change.
    pub fn company(&self) -> &CompanyHandle {
        &self.company
    }

    /// Stops answering and waits until the last answer is out, a second at most.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }

    /// Serves until the task is stopped from outside.
    pub async fn wait(self) {
        self.server.wait().await;
    }
}

/// One record: field names and wire texts in the order of the object's fields; `None` for null.
pub type Record = Vec<(String, Option<String>)>;

/// A company that is being served. Cheap to clone; every clone speaks of the same company.
#[derive(Clone, Debug)]
pub struct CompanyHandle {
    pub(crate) gateway: Arc<Gateway>,
}

impl CompanyHandle {
    /// The names of its objects, with the number of their records.
    pub fn objects(&self) -> BTreeMap<String, usize> {
        let company = self.gateway.company();
        let names = company.names();
        names
            .into_iter()
            .filter_map(|name| {
                let object = company.object(name)?;
                Some((name.to_owned(), object.orders().by_key.len()))
            })
            .collect()
    }

    /// Every record of an object, ordered by RECORDNO: the truth, private records too.
    ///
    /// # Errors
    /// `NotFound` when the company has no such object.
    pub fn records(&self, object: &str) -> Result<Vec<Record>, Error> {
        let company = self.gateway.company();
        let object = company.object(object).ok_or_else(|| no_object(object))?;
        let slots = object.orders().by_key.iter();
        Ok(slots
            .map(|&slot| {
                let key = object.key(slot);
                (0..object.field_count())
                    .map(|field| {
                        let value = object.value(slot, field);
                        let mut text = Vec::new();
                        value.push(&mut text, quirk(key, field));
                        let text = String::from_utf8_lossy(&text).into_owned();
                        (
                            object.field(field).name.to_string(),
                            Some(text).filter(|_| !value.is_null()),
                        )
                    })
                    .collect()
            })
            .collect())
    }

    /// Applies round `round` of the change story and moves the clock two hours past its end.
    ///
    /// # Errors
    /// `Invalid` for a number outside 1 to 330; `Refused` for a round that is over: because it or
    /// a later one was applied, because the clock is past it, or because the company has no story.
    pub fn apply_round(&self, round: u32) -> Result<BTreeMap<String, Changes>, Error> {
        let _writing = self.gateway.writing();
        let mut company = self.gateway.company_mut();
        let late = company
            .round_starts(round)
            .is_some_and(|first| first < self.gateway.clock.seconds());
        if late {
            return Err(Error::refused(format!(
                "the clock is past the start of round {round}: its changes would be in the past"
            )));
        }
        let (changes, last) = company.apply_round(round)?;
        self.gateway.clock.move_to(last + 2 * crate::calendar::HOUR);
        Ok(changes)
    }

    /// Applies one edit, stamped with the company's time. It keeps the books consistent, or is
    /// refused and changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown object, record or field; `Invalid` for a text that the type of
    /// its field does not allow; `Refused` for what would leave the books inconsistent.
    pub fn edit(&self, edit: &Edit) -> Result<BTreeMap<String, Changes>, Error> {
        let _writing = self.gateway.writing();
        self.gateway
            .company_mut()
            .edit(edit, self.gateway.clock.seconds())
    }

    /// Adds cents to one line of the ledger and to nothing else, which no user can do: from then on the
    /// debits of its entry do not equal the credits. Balances follow the line.
    ///
    /// # Errors
    /// `NotFound` for an unknown line; `Refused` for an amount that would not be greater than 0, and for a
    /// company without a ledger.
    pub fn unbalance(&self, line: impl ToString, cents: i64) -> Result<(), Error> {
        let _writing = self.gateway.writing();
        self.gateway
            .company_mut()
            .unbalance(line.to_string(), cents, self.gateway.clock.seconds())
    }

    /// Gives records of an object another time of last change, and says how many there were.
    ///
    /// # Errors
    /// `NotFound` for an unknown object; `Invalid` for a text that is no time; `Refused` for an
    /// object whose records have no WHENMODIFIED.
    pub fn stamp(&self, stamp: &Stamp) -> Result<u64, Error> {
        let _writing = self.gateway.writing();
        self.gateway.company_mut().stamp(stamp)
    }

    /// Ends all sessions at once and says how many there were.
    pub fn expire_sessions(&self) -> usize {
        self.gateway.expire_sessions()
    }

    /// The company's time.
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.gateway.clock.seconds())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Moves the company's clock ahead.
    pub fn advance_clock(&self, seconds: u32) {
        self.gateway
            .clock
            .advance(Duration::from_secs(seconds.into()));
    }

    /// What was asked of the gateway since the start or the last reset.
    pub fn stats(&self) -> Stats {
        self.gateway.stats()
    }

    /// Lets things go wrong as the script says, instead of as the one before.
    ///
    /// # Errors
    /// `Invalid`, naming rule and field, for a script that cannot be meant; then the one before
    /// stays.
    pub fn set_faults(&self, script: FaultScript) -> Result<(), Error> {
        script.check()?;
        self.gateway.set_faults(script);
        Ok(())
    }

    /// Lets in whom this list names, instead of the one before; open sessions of a user who is
    /// not there any more are over.
    ///
    /// # Errors
    /// `Invalid` for a list that cannot be meant; then the one before stays.
    pub fn set_access(&self, access: Access) -> Result<(), Error> {
        access.check()?;
        self.gateway.set_access(access);
        Ok(())
    }

    /// Lets nothing go wrong any more.
    pub fn clear_faults(&self) {
        self.gateway.set_faults(FaultScript::default());
    }

    /// The rules of the fault script, with how often each matched and fired.
    pub fn faults(&self) -> Vec<RuleReport> {
        self.gateway.fault_report().rules
    }

    /// What went wrong so far, in its order; the first ten thousand.
    pub fn fault_story(&self) -> Vec<Fired> {
        self.gateway.fault_report().story
    }

    /// Starts the counts anew.
    pub fn reset_stats(&self) {
        self.gateway.reset_stats();
    }
}

pub(crate) fn no_object(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the company has no object {name:?}"),
    )
}

//! The gateway: takes the body of a request and answers it.
//!
//! An exchange goes through these stages: XML and control block, sender, schema of everything
//! else, authentication, functions one by one. Each stage has its own shape of failure. What goes
//! wrong on purpose is planned once the request has been read, and takes effect before the first
//! stage, in a stage, and after the last: in [`Gateway::answer`].

mod access;
mod answer;
mod asked;
mod authentication;
mod call;
pub(crate) mod content;
mod format;
mod legacy;
mod metadata;
mod operation;
mod query;
mod read;
mod report;
mod request;
mod session;
mod sql;
mod usage;
mod write;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sim_http::script::Report;
use sim_http::{Answer, Clock};

pub(crate) use self::answer::GatewayError;
use self::answer::{Failure, Xml};
pub(crate) use self::call::FUNCTIONS;
use self::call::{Call, LocationArgument};
use self::format::Format;
use self::report::Reports;
use self::request::{Authentication, Control, Request};
use self::session::{Caller, Sessions};
use self::usage::{CompanyRef, Usage};
use crate::access::Access;
use crate::company::Company;
use crate::faults::{self, Fault, FaultScript, Faults, FunctionPlan, Plan};
use crate::simulator::{CompanyHandle, Credentials};

/// The one policy of asynchronous requests that the gateway knows.
const POLICY: &str = "sim-policy";

/// What runs before the n-th function is answered, counted from 1.
pub(crate) type Hook = Arc<dyn Fn(u64, &CompanyHandle) + Send + Sync>;

/// The company behind its gateway.
pub(crate) struct Gateway {
    company: RwLock<Company>,
    pub(crate) clock: Clock,
    pub(crate) credentials: Credentials,
    pub(crate) session_seconds: i64,
    /// Polls of a report that are answered by `PENDING`.
    pub(crate) report_polls: u32,
    pub(crate) url: String,
    pub(crate) hook: Option<Hook>,
    /// Held while the company changes, and throughout a transaction that changes it.
    writing: Mutex<()>,
    sessions: Mutex<Sessions>,
    reports: Mutex<Reports>,
    usage: Mutex<Usage>,
    /// Function control ids that were completed under `uniqueid`.
    completed: Mutex<HashSet<String>>,
    stats: Mutex<Stats>,
    faults: Mutex<Faults>,
    seed: u64,
    drawn: AtomicU64,
    access: RwLock<Arc<Access>>,
}

/// What of a gateway can be chosen.
pub(crate) struct Settings {
    pub(crate) credentials: Credentials,
    pub(crate) session_seconds: i64,
    pub(crate) report_polls: u32,
    pub(crate) hook: Option<Hook>,
    pub(crate) faults: FaultScript,
    pub(crate) access: Access,
    /// Of all that is left to chance.
    pub(crate) seed: u64,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gateway")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What was asked of the gateway so far.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests to the gateway's address.
    pub requests: u64,
    /// Functions answered, well or not.
    pub functions: u64,
    /// Functions by their name.
    pub calls: BTreeMap<String, u64>,
    /// Functions by name and object, such as `query VENDOR`.
    pub calls_by_object: BTreeMap<String, u64>,
    /// Functions that failed.
    pub failures: u64,
    /// Records that were sent.
    pub records: u64,
    /// Transactions as they are billed: one for each call that reads, whatever its records, one
    /// for each record that is written, none for sessions and descriptions.
    pub transactions: u64,
    /// Requests that found no place in the tier.
    pub turned_away: u64,
}

/// Everything that a function needs to know.
struct Context<'g> {
    gateway: &'g Gateway,
    caller: &'g Caller,
    plan: &'g FunctionPlan,
    /// Whether the function is the only one of its request.
    alone: bool,
}

/// What a function has to say: its `data`, already written, or why not.
type Outcome = Result<(), Failure>;

impl Gateway {
    pub(crate) fn new(company: Company, clock: Clock, url: String, settings: Settings) -> Self {
        Self {
            company: RwLock::new(company),
            clock,
            credentials: settings.credentials,
            session_seconds: settings.session_seconds,
            report_polls: settings.report_polls,
            url,
            hook: settings.hook,
            writing: Mutex::default(),
            sessions: Mutex::default(),
            reports: Mutex::default(),
            usage: Mutex::default(),
            completed: Mutex::default(),
            stats: Mutex::default(),
            faults: Mutex::new(Faults::new(settings.faults)),
            seed: settings.seed,
            drawn: AtomicU64::new(0),
            access: RwLock::new(Arc::new(settings.access)),
        }
    }

    pub(crate) fn company(&self) -> RwLockReadGuard<'_, Company> {
        self.company.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn company_mut(&self) -> RwLockWriteGuard<'_, Company> {
        self.company.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever changes the company holds this meanwhile.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stats_mut(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats_mut().clone()
    }

    pub(crate) fn count_turned_away(&self) {
        self.stats_mut().turned_away += 1;
    }

    pub(crate) fn reset_stats(&self) {
        *self.stats_mut() = Stats::default();
    }

    /// Chance that is the same for the same seed and the same draws before.
    fn draw(&self) -> u64 {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        fastrand::Rng::with_seed(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).u64(..)
    }

    pub(crate) fn expire_sessions(&self) -> usize {
        self.sessions().expire_all()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    pub(crate) fn set_faults(&self, script: FaultScript) {
        *self.faults() = Faults::new(script);
    }

    pub(crate) fn fault_report(&self) -> Report<Fault> {
        self.faults().report()
    }

    /// Answers a request that came to `url`, the gateway's address as the caller knows it.
    /// `handle` is for the hook, which may change the company.
    pub(crate) fn answer(&self, body: &[u8], url: &str, handle: &CompanyHandle) -> Answer {
        self.stats_mut().requests += 1;
        let request = self.read(body);
        let plan = self.plan(request.as_ref().ok());
        for change in plan.company() {
            change_company(change, handle);
        }
        let answer = match &request {
            _ if plan.stops() => content::xml(200, Vec::new()),
            Ok(request) => {
                let exchange = Exchange {
                    plan: &plan,
                    sender: &request.control.sender,
                    url,
                    handle,
                    place: 0,
                    alone: false,
                };
                self.perform(request, &exchange)
            }
            Err(refusal) => content::xml(200, refusal.clone()),
        };
        plan.finish(answer, self.clock.seconds())
    }

    fn plan(&self, request: Option<&Request>) -> Plan {
        if self.faults().is_empty() {
            return Plan::default();
        }
        let asked = self.asked(request);
        let plan = faults::plan(&mut self.faults(), &asked, self.clock.seconds());
        if plan.ends_session() {
            for operation in request.into_iter().flat_map(|request| &request.operations) {
                if let Authentication::Session(id) = &operation.authentication {
                    self.sessions().expire(id);
                }
            }
        }
        plan
    }

    /// Reads a request as far as the sender's right to make it; otherwise the refusal.
    fn read(&self, body: &[u8]) -> Result<Request, Vec<u8>> {
        let Ok(body) = std::str::from_utf8(body) else {
            let problem = "XML error: the body is not UTF-8".to_owned();
            return Err(refuse(None, "XL03000003", vec![problem]));
        };
        let document =
            request::parse(body).map_err(|problems| refuse(None, "XL03000003", problems.0))?;
        let control = request::control(&document)
            .map_err(|problems| refuse(None, "XL03000003", problems.0))?;
        if !self.knows_sender(&control.sender, &control.password) {
            let problem = "Incorrect Intacct XML Partner ID or password.".to_owned();
            return Err(refuse(Some(&control), "XL03000006", vec![problem]));
        }
        if control
            .policy
            .as_deref()
            .is_some_and(|policy| policy != POLICY)
        {
            let problem = "The policy is not a valid transport policy.".to_owned();
            return Err(refuse(Some(&control), "XL03000006", vec![problem]));
        }
        request::operations(&document, control.clone())
            .map_err(|problems| refuse(Some(&control), "XL03000003", problems.0))
    }

    fn perform(&self, request: &Request, exchange: &Exchange<'_>) -> Answer {
        let mut xml = Xml::new(request.control.whitespace);
        xml.open("response");
        if request.control.policy.is_some() {
            // What comes of an asynchronous request goes to the address of its policy, of which
            // this gateway has none.
            self.operations(&mut Xml::fragment(), request, exchange);
            xml.open("acknowledgement");
            xml.leaf("status", "success");
            xml.close("acknowledgement");
            push_control(&mut xml, "success", Some(&request.control));
        } else {
            push_control(&mut xml, "success", Some(&request.control));
            self.operations(&mut xml, request, exchange);
        }
        xml.close("response");
        match xml.bare {
            None => content::xml(200, xml.bytes),
            Some((format, body)) => Answer::new(200, format.content_type(), body),
        }
    }

    fn operations(&self, xml: &mut Xml, request: &Request, exchange: &Exchange<'_>) {
        let functions = request.operations.iter().map(|one| one.functions.len());
        let alone = functions.sum::<usize>() == 1;
        let mut place = 0;
        for operation in &request.operations {
            xml.open("operation");
            let exchange = Exchange {
                place,
                alone,
                ..*exchange
            };
            self.operation(xml, &request.control, operation, &exchange);
            xml.close("operation");
            place += operation.functions.len();
        }
    }

    fn completed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes along with a request: what goes wrong with it, the address it came to, and the
/// company for the hook.
#[derive(Clone, Copy)]
struct Exchange<'e> {
    plan: &'e Plan,
    sender: &'e str,
    url: &'e str,
    handle: &'e CompanyHandle,
    /// Functions of the request that come before those of the operation at hand.
    place: usize,
    /// Whether the request has one function only.
    alone: bool,
}

/// Changes the company as a fault says; what the company refuses does not happen.
fn change_company(change: &Fault, handle: &CompanyHandle) {
    match change {
        Fault::Edit(edit) => drop(handle.edit(edit)),
        Fault::Stamp(stamp) => drop(handle.stamp(stamp)),
        Fault::AdvanceClock(seconds) => handle.advance_clock(*seconds),
        Fault::ApplyRound(round) => drop(handle.apply_round(*round)),
        _ => {}
    }
}

/// A failure of the control block: nothing was executed.
fn refuse(control: Option<&Control>, number: &str, problems: Vec<String>) -> Vec<u8> {
    let mut xml = Xml::new(control.is_none_or(|control| control.whitespace));
    xml.open("response");
    push_control(&mut xml, "failure", control);
    let errors: Vec<_> = problems
        .into_iter()
        .map(|problem| GatewayError::new(number, problem))
        .collect();
    xml.errors(
        &errors,
        control.is_some_and(|control| control.additional_info),
    );
    xml.close("response");
    xml.bytes
}

impl Context<'_> {
    fn call(&self, xml: &mut Xml, call: &Call) -> Outcome {
        if let Some(refusal) = self.refusal(call) {
            return Err(refusal.into());
        }
        match call {
            Call::GetApiSession(location) => self.open_session(xml, location),
            Call::Query(query) => self.query(xml, query),
            Call::ReadByQuery(query) => self.read_by_query(xml, query),
            Call::ReadMore(more) => self.read_more(xml, more),
            Call::Read(read) => self.read(xml, read),
            Call::ReadRelated { read, relation } => self.read_related(xml, read, relation),
            Call::ReadView {
                view,
                page_size,
                format,
            } => self.read_view(xml, view, *page_size, *format),
            Call::ReadReport(report) => self.read_report(xml, report),
            Call::Lookup(object) => self.lookup(xml, object),
            Call::Inspect { object, detail } => self.inspect(xml, object, *detail),
            Call::ReadUserFormatting(user) => self.user_formatting(xml, user),
            Call::ReadEntityDetails => self.entity_details(xml),
            Call::GetUserPermissions(user) => self.user_permissions(xml, user),
            Call::GetDimensions => self.dimensions(xml),
            Call::GetAuditTrail { object, key } => self.audit_trail(xml, object, key),
            Call::GetList(list) => self.get_list(xml, list),
            Call::Create(drafts) => self.create(xml, drafts),
            Call::Update(drafts) => self.update(xml, drafts),
            Call::Delete { object, keys } => self.delete(object, keys),
        }
    }

    /// The company that has this object: the usage of the gateway is none of the company's own.
    fn company_of(&self, object: &str) -> CompanyRef<'_> {
        if usage::is_usage(object) {
            CompanyRef::Usage(Box::new(self.gateway.usage().company()))
        } else {
            CompanyRef::Own(self.gateway.company())
        }
    }

    /// Records without an envelope leave no room for a second result.
    fn check_format(&self, format: Format) -> Result<(), GatewayError> {
        if format == Format::Xml || self.alone {
            return Ok(());
        }
        Err(GatewayError::new(
            "Query Failed",
            "A function that returns json or csv must be the only one of its request",
        ))
    }

    fn open_session(&self, xml: &mut Xml, location: &LocationArgument) -> Outcome {
        let refused = |text: &str| Err(GatewayError::new("Get API Session Failed", text).into());
        if !self.alone {
            return refused("getAPISession must be the only function of its request");
        }
        let entity = match location {
            LocationArgument::Same => self.caller.entity.clone(),
            LocationArgument::Top => None,
            LocationArgument::Entity(id) => match entity(&self.gateway.company(), id) {
                Some(entity) => Some(entity),
                None => return refused(&format!("The location id '{id}' is not an entity")),
            },
        };
        let id = entity
            .as_ref()
            .map_or_else(String::new, |(_, id)| id.clone());
        if self
            .caller
            .user
            .entity
            .as_ref()
            .is_some_and(|only| *only != id)
        {
            return refused("The user may not enter this location");
        }
        let login = &self.caller.user.login;
        let timeout = self.caller.timeout;
        let endpoint = self.plan.endpoint().unwrap_or(&self.caller.url);
        let mut sessions = self.gateway.sessions();
        let session = sessions.open(login, endpoint, entity, timeout);
        xml.open("data");
        xml.open("api");
        xml.leaf("sessionid", &session);
        xml.leaf("endpoint", endpoint);
        xml.leaf("locationid", &id);
        xml.close("api");
        xml.close("data");
        Ok(())
    }

    fn count_records(&self, records: usize) {
        self.gateway.stats_mut().records += records as u64;
    }
}

/// The entity of this id: its record number beside it.
fn entity(company: &Company, id: &str) -> Option<(u32, String)> {
    let books = company.books()?;
    let mut entities = books.entities.all().map(|(_, entity)| entity);
    let entity = entities.find(|entity| entity.code == id)?;
    Some((entity.head.id, entity.code.clone()))
}

fn push_control(xml: &mut Xml, status: &str, control: Option<&Control>) {
    xml.open("control");
    xml.leaf("status", status);
    let (sender, control_id, unique) = match control {
        Some(control) => (
            control.sender.as_str(),
            control.control_id.as_str(),
            control.unique,
        ),
        None => ("", "", false),
    };
    xml.leaf("senderid", sender);
    xml.leaf("controlid", control_id);
    if control.is_some() {
        xml.leaf("uniqueid", if unique { "true" } else { "false" });
        xml.leaf("dtdversion", "3.0");
    }
    xml.close("control");
}

//! The gateway: takes the body of a request and answers it.
//!
//! An exchange goes through these stages: XML and control block, sender, schema of everything
//! else, authentication, functions one by one. Each stage has its own shape of failure. What goes
//! wrong on purpose is planned once the request has been read, and takes effect before the first
//! stage, in a stage, and after the last: in [`Gateway::answer`].

mod answer;
mod asked;
mod call;
mod delivery;
mod metadata;
mod query;
mod read;
mod request;
mod session;
mod sql;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use self::answer::GatewayError;
use self::answer::Xml;
use self::call::{Call, LocationArgument};
pub(crate) use self::delivery::{Answer, Delivery};
use self::request::{Authentication, Control, Function, Operation, Request};
use self::session::{Caller, Sessions};
use crate::clock::Clock;
use crate::company::Company;
use crate::faults::{Fault, FaultScript, Faults, Fired, FunctionPlan, Plan, RuleReport, Work};
use crate::simulator::{CompanyHandle, Credentials};

/// What runs before the n-th function is answered, counted from 1.
pub(crate) type Hook = Arc<dyn Fn(u64, &CompanyHandle) + Send + Sync>;

/// The company behind its gateway.
pub(crate) struct Gateway {
    company: RwLock<Company>,
    pub(crate) clock: Clock,
    pub(crate) credentials: Credentials,
    pub(crate) session_seconds: i64,
    pub(crate) url: String,
    pub(crate) hook: Option<Hook>,
    sessions: Mutex<Sessions>,
    /// Function control ids that were completed under `uniqueid`.
    completed: Mutex<HashSet<String>>,
    stats: Mutex<Stats>,
    faults: Mutex<Faults>,
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
}

/// Everything that a function needs to know.
struct Context<'g> {
    gateway: &'g Gateway,
    caller: &'g Caller,
    plan: &'g FunctionPlan,
}

/// What a function has to say: its `data`, already written, or why not.
type Outcome = Result<(), GatewayError>;

impl Gateway {
    pub(crate) fn new(
        company: Company,
        clock: Clock,
        credentials: Credentials,
        session_seconds: i64,
        url: String,
        hook: Option<Hook>,
        faults: FaultScript,
    ) -> Self {
        Self {
            company: RwLock::new(company),
            clock,
            credentials,
            session_seconds,
            url,
            hook,
            sessions: Mutex::default(),
            completed: Mutex::default(),
            stats: Mutex::default(),
            faults: Mutex::new(Faults::new(faults)),
        }
    }

    pub(crate) fn company(&self) -> RwLockReadGuard<'_, Company> {
        self.company.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn company_mut(&self) -> RwLockWriteGuard<'_, Company> {
        self.company.write().unwrap_or_else(PoisonError::into_inner)
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

    pub(crate) fn reset_stats(&self) {
        *self.stats_mut() = Stats::default();
    }

    pub(crate) fn expire_sessions(&self) -> usize {
        self.sessions().expire_all()
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_faults(&self, script: FaultScript) {
        *self.faults() = Faults::new(script);
    }

    pub(crate) fn fault_report(&self) -> (u64, Vec<RuleReport>, Vec<Fired>) {
        let faults = self.faults();
        (faults.seed(), faults.report(), faults.story())
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
            _ if plan.stops() => Answer::xml(200, Vec::new()),
            Ok(request) => {
                let exchange = Exchange {
                    plan: &plan,
                    url,
                    handle,
                };
                Answer::xml(200, self.perform(request, &exchange))
            }
            Err(refusal) => Answer::xml(200, refusal.clone()),
        };
        plan.finish(answer, self.clock.now())
    }

    fn plan(&self, request: Option<&Request>) -> Plan {
        if self.faults().is_empty() {
            return Plan::default();
        }
        let asked = self.asked(request);
        let plan = self.faults().plan(&asked, self.clock.now());
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
        let expected = &self.credentials;
        if control.sender != expected.sender || control.password != expected.sender_password {
            let problem = "Incorrect Intacct XML Partner ID or password.".to_owned();
            return Err(refuse(Some(&control), "XL03000006", vec![problem]));
        }
        request::operations(&document, control.clone())
            .map_err(|problems| refuse(Some(&control), "XL03000003", problems.0))
    }

    fn perform(&self, request: &Request, exchange: &Exchange<'_>) -> Vec<u8> {
        let mut xml = Xml::new(request.control.whitespace);
        xml.open("response");
        push_control(&mut xml, "success", Some(&request.control));
        let mut place = 0;
        for operation in &request.operations {
            xml.open("operation");
            self.operation(&mut xml, &request.control, operation, place, exchange);
            xml.close("operation");
            place += operation.functions.len();
        }
        xml.close("response");
        xml.bytes
    }

    fn operation(
        &self,
        xml: &mut Xml,
        control: &Control,
        operation: &Operation,
        place: usize,
        exchange: &Exchange<'_>,
    ) {
        let now = self.clock.now();
        let caller = match self.authenticate(&operation.authentication, exchange, now) {
            Ok(caller) => caller,
            Err(refusal) => {
                xml.open("authentication");
                xml.leaf("status", "failure");
                xml.leaf("userid", &refusal.user);
                xml.leaf("companyid", &refusal.company);
                xml.leaf("locationid", "");
                xml.close("authentication");
                xml.errors(&[*refusal.error], control.additional_info);
                return;
            }
        };
        xml.open("authentication");
        xml.leaf("status", "success");
        xml.leaf("userid", &self.credentials.user);
        xml.leaf("companyid", &self.credentials.company);
        xml.leaf(
            "locationid",
            caller.entity.as_ref().map_or("", |(_, id)| id),
        );
        xml.session_times(now, caller.timeout);
        xml.close("authentication");
        let alone = operation.functions.len() == 1;
        let before_results = xml.bytes.len();
        let mut failure = None;
        for (at, function) in operation.functions.iter().enumerate() {
            // Data are written straight behind a success, which a failure takes back: copying
            // megabytes of records costs more than writing a few lines twice.
            let before = xml.bytes.len();
            let plan = exchange.plan.function(place + at);
            open_result(xml, "success", function);
            let behind_head = xml.bytes.len();
            let context = Context {
                gateway: self,
                caller: &caller,
                plan,
            };
            let outcome = context.function(xml, control, function, alone, exchange.handle);
            if let Err(error) = outcome {
                if operation.transaction {
                    xml.bytes.truncate(before);
                    failure = Some((at, error));
                    break;
                }
                let data = plan.data_beside_failure(&xml.bytes[behind_head..]);
                xml.bytes.truncate(before);
                open_result(xml, "failure", function);
                xml.bytes.extend_from_slice(&data);
                xml.errors(&[error], control.additional_info);
            }
            xml.close("result");
            plan.reshape(&mut xml.bytes, before);
        }
        let Some((failed, error)) = failure else {
            return;
        };
        // All are rolled back, those too that were never run.
        xml.bytes.truncate(before_results);
        let rolled_back = GatewayError::new(
            "XL03000009",
            "The entire transaction in this operation has been rolled back due to an error.",
        );
        for (place, function) in operation.functions.iter().enumerate() {
            if place == failed {
                open_result(xml, "failure", function);
                xml.errors(
                    &[error.clone(), rolled_back.clone()],
                    control.additional_info,
                );
            } else {
                open_result(xml, "aborted", function);
                xml.errors(std::slice::from_ref(&rolled_back), control.additional_info);
            }
            xml.close("result");
        }
    }

    fn authenticate(
        &self,
        given: &Authentication,
        exchange: &Exchange<'_>,
        now: i64,
    ) -> Result<Caller, Refusal> {
        let Exchange { plan, url, .. } = *exchange;
        let timeout = now + plan.session_lifetime().unwrap_or(self.session_seconds);
        if let Some(error) = plan.authentication() {
            let (user, company) = match given {
                Authentication::Login { user, company, .. } => (user.clone(), company.clone()),
                Authentication::Session(_) => Default::default(),
            };
            return Err(Refusal {
                user,
                company,
                error: Box::new(error),
            });
        }
        match given {
            Authentication::Session(id) => self
                .sessions()
                .extend(id, url, now, timeout)
                .ok_or_else(|| Refusal {
                    user: String::new(),
                    company: String::new(),
                    error: Box::new(GatewayError::new(
                        "XL03000006",
                        "Invalid session or session timed out",
                    )),
                }),
            Authentication::Login {
                user,
                company,
                password,
                location,
            } => {
                let expected = &self.credentials;
                let refusal = |text: &str| Refusal {
                    user: user.clone(),
                    company: company.clone(),
                    error: Box::new(GatewayError::new("XL03000006", text)),
                };
                if *user != expected.user
                    || *company != expected.company
                    || *password != expected.password
                {
                    return Err(refusal("Sign-in information is incorrect"));
                }
                let entity = match location {
                    None => None,
                    Some(id) => Some(entity(&self.company(), id).ok_or_else(|| {
                        refusal("Sign-in information is incorrect: no such entity")
                    })?),
                };
                Ok(Caller {
                    session: None,
                    entity,
                    timeout,
                    url: url.to_owned(),
                })
            }
        }
    }

    fn completed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct Refusal {
    user: String,
    company: String,
    error: Box<GatewayError>,
}

/// What goes along with a request: what goes wrong with it, the address it came to, and the
/// company for the hook.
#[derive(Clone, Copy)]
struct Exchange<'e> {
    plan: &'e Plan,
    url: &'e str,
    handle: &'e CompanyHandle,
}

/// Changes the company as a fault says; what the company refuses does not happen.
fn change_company(change: &Fault, handle: &CompanyHandle) {
    match change {
        Fault::Edit(edit) => drop(handle.edit(edit)),
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
    fn function(
        &self,
        xml: &mut Xml,
        control: &Control,
        function: &Function,
        alone: bool,
        handle: &CompanyHandle,
    ) -> Outcome {
        let gateway = self.gateway;
        let number = {
            let mut stats = gateway.stats_mut();
            stats.functions += 1;
            *stats
                .calls
                .entry(function.call.name().to_owned())
                .or_default() += 1;
            if let Some(object) = function.call.object() {
                // Names come from outside; only those of real objects are worth counting.
                if gateway.company().object(object).is_some() {
                    let key = format!("{} {object}", function.call.name());
                    *stats.calls_by_object.entry(key).or_default() += 1;
                }
            }
            stats.functions
        };
        if let Some(hook) = &gateway.hook {
            hook(number, handle);
        }
        if control.unique && gateway.completed().contains(&function.control_id) {
            gateway.stats_mut().failures += 1;
            return Err(GatewayError::new(
                "XL03000011",
                format!(
                    "A function with the control id '{}' has already been processed; duplicate refused",
                    function.control_id
                ),
            ));
        }
        let outcome = match self.plan.failure() {
            Some((error, Work::NotDone)) => Err(error),
            Some((error, _)) => self.call(xml, &function.call, alone).and(Err(error)),
            None => self.call(xml, &function.call, alone),
        };
        if outcome.is_err() {
            gateway.stats_mut().failures += 1;
        } else if control.unique {
            gateway.completed().insert(function.control_id.clone());
        }
        outcome
    }

    fn call(&self, xml: &mut Xml, call: &Call, alone: bool) -> Outcome {
        match call {
            Call::GetApiSession(location) => self.open_session(xml, location, alone),
            Call::Query(query) => self.query(xml, query),
            Call::ReadByQuery(query) => self.read_by_query(xml, query),
            Call::ReadMore(id) => self.read_more(xml, id),
            Call::Read {
                object,
                keys,
                fields,
                by_name,
            } => self.read(xml, object, keys, fields, *by_name),
            Call::Lookup(object) => self.lookup(xml, object),
            Call::Inspect { object, detail } => self.inspect(xml, object, *detail),
            Call::ReadUserFormatting(user) => self.user_formatting(xml, user),
            Call::GetDimensions => self.dimensions(xml),
        }
    }

    fn open_session(&self, xml: &mut Xml, location: &LocationArgument, alone: bool) -> Outcome {
        let refused = |text: &str| Err(GatewayError::new("Get API Session Failed", text));
        if !alone {
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
        let session = self.gateway.sessions().open(entity, self.caller.timeout);
        xml.open("data");
        xml.open("api");
        xml.leaf("sessionid", &session);
        let endpoint = self.plan.endpoint().unwrap_or(&self.caller.url);
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

fn open_result(xml: &mut Xml, status: &str, function: &Function) {
    xml.open("result");
    xml.leaf("status", status);
    xml.leaf("function", function.call.name());
    xml.leaf("controlid", &function.control_id);
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

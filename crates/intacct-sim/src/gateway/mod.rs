//! The gateway: takes the body of a request and answers it.
//!
//! An exchange goes through these stages: XML and control block, sender, schema of everything
//! else, authentication, functions one by one. Each stage has its own shape of failure. Faults
//! that a real network or gateway adds (throttling, cut or slow answers) belong before the first
//! stage and after the last, in [`Gateway::answer`].

mod answer;
mod call;
mod metadata;
mod query;
mod read;
mod request;
mod session;
mod sql;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::answer::{GatewayError, Xml};
use self::call::{Call, LocationArgument};
use self::request::{Authentication, Control, Function, Operation};
use self::session::{Caller, Sessions};
use crate::clock::Clock;
use crate::company::Company;
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

/// An answer: HTTP status and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Everything that a function needs to know.
struct Context<'g> {
    gateway: &'g Gateway,
    caller: &'g Caller,
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

    /// Answers a request that came to `url`, the gateway's address as the caller knows it.
    /// `handle` is for the hook, which may change the company.
    pub(crate) fn answer(&self, body: &[u8], url: &str, handle: &CompanyHandle) -> Answer {
        self.stats_mut().requests += 1;
        let Ok(body) = std::str::from_utf8(body) else {
            let problem = "XML error: the body is not UTF-8".to_owned();
            return self.refuse(None, "XL03000003", vec![problem]);
        };
        let document = match request::parse(body) {
            Ok(document) => document,
            Err(problems) => return self.refuse(None, "XL03000003", problems.0),
        };
        let control = match request::control(&document) {
            Ok(control) => control,
            Err(problems) => return self.refuse(None, "XL03000003", problems.0),
        };
        let expected = &self.credentials;
        if control.sender != expected.sender || control.password != expected.sender_password {
            let problem = "Incorrect Intacct XML Partner ID or password.".to_owned();
            return self.refuse(Some(&control), "XL03000006", vec![problem]);
        }
        let request = match request::operations(&document, control.clone()) {
            Ok(request) => request,
            Err(problems) => return self.refuse(Some(&control), "XL03000003", problems.0),
        };
        let mut xml = Xml::new(request.control.whitespace);
        xml.open("response");
        push_control(&mut xml, "success", Some(&request.control));
        for operation in &request.operations {
            xml.open("operation");
            self.operation(&mut xml, &request.control, operation, url, handle);
            xml.close("operation");
        }
        xml.close("response");
        Answer {
            status: 200,
            body: xml.bytes,
        }
    }

    /// A failure of the control block: nothing was executed.
    fn refuse(&self, control: Option<&Control>, number: &str, problems: Vec<String>) -> Answer {
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
        Answer {
            status: 200,
            body: xml.bytes,
        }
    }

    fn operation(
        &self,
        xml: &mut Xml,
        control: &Control,
        operation: &Operation,
        url: &str,
        handle: &CompanyHandle,
    ) {
        let now = self.clock.now();
        let caller = match self.authenticate(&operation.authentication, url, now) {
            Ok(caller) => caller,
            Err(refusal) => {
                xml.open("authentication");
                xml.leaf("status", "failure");
                xml.leaf("userid", &refusal.user);
                xml.leaf("companyid", &refusal.company);
                xml.leaf("locationid", "");
                xml.close("authentication");
                let error = GatewayError::new("XL03000006", refusal.text);
                xml.errors(&[error], control.additional_info);
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
        for (place, function) in operation.functions.iter().enumerate() {
            // Data are written straight behind a success, which a failure takes back: copying
            // megabytes of records costs more than writing a few lines twice.
            let before = xml.bytes.len();
            open_result(xml, "success", function);
            let outcome = self.function(xml, control, function, &caller, alone, handle);
            if let Err(error) = outcome {
                xml.bytes.truncate(before);
                if operation.transaction {
                    failure = Some((place, error));
                    break;
                }
                open_result(xml, "failure", function);
                xml.errors(&[error], control.additional_info);
            }
            xml.close("result");
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

    fn authenticate(&self, given: &Authentication, url: &str, now: i64) -> Result<Caller, Refusal> {
        let timeout = now + self.session_seconds;
        match given {
            Authentication::Session(id) => self
                .sessions()
                .extend(id, url, now, timeout)
                .ok_or_else(|| Refusal {
                    user: String::new(),
                    company: String::new(),
                    text: "Invalid session or session timed out".to_owned(),
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
                    text: text.to_owned(),
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

    fn function(
        &self,
        xml: &mut Xml,
        control: &Control,
        function: &Function,
        caller: &Caller,
        alone: bool,
        handle: &CompanyHandle,
    ) -> Outcome {
        let number = {
            let mut stats = self.stats_mut();
            stats.functions += 1;
            *stats
                .calls
                .entry(function.call.name().to_owned())
                .or_default() += 1;
            if let Some(object) = function.call.object() {
                // Names come from outside; only those of real objects are worth counting.
                if self.company().object(object).is_some() {
                    let key = format!("{} {object}", function.call.name());
                    *stats.calls_by_object.entry(key).or_default() += 1;
                }
            }
            stats.functions
        };
        if let Some(hook) = &self.hook {
            hook(number, handle);
        }
        if control.unique && self.completed().contains(&function.control_id) {
            self.stats_mut().failures += 1;
            return Err(GatewayError::new(
                "XL03000011",
                format!(
                    "A function with the control id '{}' has already been processed; duplicate refused",
                    function.control_id
                ),
            ));
        }
        let context = Context {
            gateway: self,
            caller,
        };
        let outcome = context.call(xml, &function.call, alone);
        if outcome.is_err() {
            self.stats_mut().failures += 1;
        } else if control.unique {
            self.completed().insert(function.control_id.clone());
        }
        outcome
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
    text: String,
}

impl Context<'_> {
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
        xml.leaf("endpoint", &self.caller.url);
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

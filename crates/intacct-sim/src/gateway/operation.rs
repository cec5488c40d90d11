//! Carrying out an operation: its functions one by one, or all of them or none.

use super::answer::{Failure, GatewayError, Xml};
use super::request::{Control, Function, Operation};
use super::session::Caller;
use super::{Context, Exchange, Gateway, Outcome};
use crate::faults::Work;

impl Gateway {
    pub(super) fn operation(
        &self,
        xml: &mut Xml,
        control: &Control,
        operation: &Operation,
        exchange: &Exchange<'_>,
    ) {
        let now = self.clock.seconds();
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
        xml.leaf("userid", &caller.user.login);
        xml.leaf("companyid", &self.credentials.company);
        xml.leaf(
            "locationid",
            caller.entity.as_ref().map_or("", |(_, id)| id),
        );
        xml.session_times(now, caller.timeout);
        xml.close("authentication");
        // A transaction that changes the company keeps all others from doing so meanwhile. The
        // hook may change it, and so comes before all of its functions.
        let writes = operation.functions.iter().any(|one| one.call.writes());
        let whole = operation.transaction && writes;
        if whole {
            for function in &operation.functions {
                self.announce(function, &caller, exchange);
            }
        }
        let held = whole.then(|| (self.writing(), self.company().clone()));
        let before_results = xml.bytes.len();
        let mut done = Vec::new();
        let mut failure = None;
        for (at, function) in operation.functions.iter().enumerate() {
            if !whole {
                self.announce(function, &caller, exchange);
            }
            let held = (!whole && function.call.writes()).then(|| self.writing());
            // Data are written straight behind a success, which a failure takes back: copying
            // megabytes of records costs more than writing a few lines twice.
            let before = xml.bytes.len();
            let plan = exchange.plan.function(exchange.place + at);
            open_result(xml, "success", function);
            let behind_head = xml.bytes.len();
            let context = Context {
                gateway: self,
                caller: &caller,
                plan,
                alone: exchange.alone,
            };
            let outcome = context.function(xml, control, function, &mut done);
            if let Err(error) = outcome {
                xml.bare = None;
                if operation.transaction {
                    xml.bytes.truncate(before);
                    failure = Some((at, error));
                    break;
                }
                let data = plan.data_beside_failure(&xml.bytes[behind_head..]);
                xml.bytes.truncate(before);
                open_result(xml, "failure", function);
                xml.bytes.extend_from_slice(&error.data);
                xml.bytes.extend_from_slice(&data);
                xml.errors(&error.errors, control.additional_info);
            }
            xml.close("result");
            plan.reshape(&mut xml.bytes, before);
            if !operation.transaction {
                self.completed().extend(done.drain(..));
            }
            drop(held);
        }
        let Some((failed, error)) = failure else {
            self.completed().extend(done);
            return;
        };
        if let Some((_, company)) = held {
            *self.company_mut() = company;
        }
        // All are rolled back, those too that were never run.
        xml.bytes.truncate(before_results);
        push_aborted(xml, control, operation, failed, error);
    }

    /// Counts a function and lets the hook run before it.
    fn announce(&self, function: &Function, caller: &Caller, exchange: &Exchange<'_>) {
        let call = &function.call;
        // Names come from outside; only those of real objects are worth counting.
        let object = call
            .object()
            .filter(|object| self.company().object(object).is_some());
        let number = {
            let mut stats = self.stats_mut();
            stats.functions += 1;
            stats.transactions += call.transactions();
            *stats.calls.entry(call.name().to_owned()).or_default() += 1;
            if let Some(object) = object {
                let key = format!("{} {object}", call.name());
                *stats.calls_by_object.entry(key).or_default() += 1;
            }
            stats.functions
        };
        let by = [exchange.sender, &caller.user.login];
        self.usage().count(self.clock.seconds(), by, call, object);
        if let Some(hook) = &self.hook {
            hook(number, exchange.handle);
        }
    }
}

impl Context<'_> {
    /// Carries a function out. `done` gathers the control ids of those that were completed.
    fn function(
        &self,
        xml: &mut Xml,
        control: &Control,
        function: &Function,
        done: &mut Vec<String>,
    ) -> Outcome {
        let id = &function.control_id;
        if control.unique && (done.contains(id) || self.gateway.completed().contains(id)) {
            self.gateway.stats_mut().failures += 1;
            return Err(GatewayError::new(
                "XL03000011",
                format!(
                    "A function with the control id '{id}' has already been processed; duplicate refused"
                ),
            )
            .into());
        }
        let fault = self.plan.failure();
        let outcome = match &fault {
            Some((_, Work::NotDone)) => Ok(()),
            _ => self.call(xml, &function.call),
        };
        let executed = !matches!(fault, Some((_, Work::NotDone)));
        // What was executed stays executed, even when its answer is lost.
        if control.unique && executed && outcome.is_ok() {
            done.push(id.clone());
        }
        let outcome = match fault {
            Some((error, _)) => outcome.and(Err(Failure::from(error))),
            None => outcome,
        };
        if outcome.is_err() {
            self.gateway.stats_mut().failures += 1;
        }
        outcome
    }
}

/// The results of a transaction of which a function failed.
fn push_aborted(
    xml: &mut Xml,
    control: &Control,
    operation: &Operation,
    failed: usize,
    error: Failure,
) {
    let rolled_back = GatewayError::new(
        "XL03000009",
        "The entire transaction in this operation has been rolled back due to an error.",
    );
    let mut errors = error.errors;
    errors.push(rolled_back.clone());
    for (place, function) in operation.functions.iter().enumerate() {
        if place == failed {
            open_result(xml, "failure", function);
            xml.errors(&errors, control.additional_info);
        } else {
            open_result(xml, "aborted", function);
            xml.errors(std::slice::from_ref(&rolled_back), control.additional_info);
        }
        xml.close("result");
    }
}

fn open_result(xml: &mut Xml, status: &str, function: &Function) {
    xml.open("result");
    xml.leaf("status", status);
    xml.leaf("function", function.call.name());
    xml.leaf("controlid", &function.control_id);
}

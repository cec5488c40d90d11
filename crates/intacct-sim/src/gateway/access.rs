//! Who is let in, and what is refused to whom: senders, users, permissions, subscriptions.

use super::answer::{GatewayError, Xml};
use super::call::{Call, Filter, Query, Selected};
use super::{Context, Gateway};
use crate::access::{Access, Formatting, User};
use crate::faults::ErrorText;
use crate::object::Object;
use crate::select::{Lens, Scope};

impl Gateway {
    /// Whether the gateway knows the sender by this password.
    pub(super) fn knows_sender(&self, id: &str, password: &str) -> bool {
        let expected = &self.credentials;
        let access = self.access();
        let mut others = access.senders.iter();
        others.any(|sender| sender.id == id && sender.password == password)
            || (id == expected.sender && password == expected.sender_password)
    }

    /// Whether the company has authorised the sender.
    pub(super) fn authorises(&self, sender: &str) -> bool {
        let access = self.access();
        let known = access.senders.iter().find(|known| known.id == sender);
        known.is_none_or(|known| known.authorised)
    }

    /// The user of this login.
    pub(super) fn user(&self, login: &str) -> Option<User> {
        let access = self.access();
        let known = access.users.iter().find(|user| user.login == login);
        known.cloned().or_else(|| {
            let expected = &self.credentials;
            (login == expected.user).then(|| User::new(&expected.user, &expected.password))
        })
    }

    /// The formats of a user that the access list names.
    pub(super) fn formatting(&self, login: &str) -> Option<Formatting> {
        let access = self.access();
        let known = access.users.iter().find(|user| user.login == login);
        known.map(|user| user.formatting.clone())
    }
}

impl Context<'_> {
    /// How the caller sees times and record numbers.
    pub(super) fn lens(&self) -> Lens {
        Lens {
            ahead: self.caller.user.formatting.ahead().unwrap_or_default(),
            textual_keys: self.plan.has_textual_keys(),
        }
    }

    /// What the caller sees of the company.
    pub(super) fn scope(&self, with_private: bool) -> Scope {
        Scope {
            entity: self.caller.entity.as_ref().map(|(key, _)| *key),
            with_private,
            settled: self
                .plan
                .late()
                .map(|late| self.gateway.clock.seconds() - late),
        }
    }

    /// Why the caller may not make a call at all, if so. Metadata are open to everybody.
    pub(super) fn refusal(&self, call: &Call) -> Option<GatewayError> {
        if matches!(call, Call::Lookup(_) | Call::Inspect { .. }) {
            return None;
        }
        let access = self.gateway.access();
        let user = &self.caller.user;
        let object = match call {
            // One that may not be written keeps all others of the call from it.
            Call::Create(drafts) | Call::Update(drafts) => {
                let mut objects = drafts.iter().map(|draft| &*draft.object);
                objects
                    .find(|object| !access.is_subscribed(object) || !user.may_read(object))
                    .or(call.object())?
            }
            _ => call.object()?,
        };
        let of_audit = object == "AUDITHISTORY" || matches!(call, Call::GetAuditTrail { .. });
        if of_audit && !user.audit_history {
            // The one refusal without a number.
            return Some(GatewayError::scripted(vec![ErrorText {
                description2: Some("You do not have permission to view audit history".to_owned()),
                ..ErrorText::default()
            }]));
        }
        let operation = operation(call.name());
        let kind = object.to_lowercase();
        let text = if !access.is_subscribed(object) {
            format!("API operation '{operation}' cannot be performed on objects of type {kind}")
        } else if !user.may_read(object) {
            format!(
                "You do not have permission for API operation {operation} on objects of type {kind}"
            )
        } else if let Call::Query(query) = call {
            return refused_fields(&access, query);
        } else {
            return None;
        };
        let error = ErrorText {
            support_id: Some("SimXMLGW~0001".to_owned()),
            ..ErrorText::new("PL04000005", text)
        };
        Some(GatewayError::scripted(vec![error]))
    }

    /// Describes the fields that `lookup` names and the object does not have.
    pub(super) fn push_refused_fields(&self, xml: &mut Xml, object: &dyn Object<'_>) {
        for name in self.gateway.access().refused(object.name()) {
            if object.find(name).is_none() {
                super::metadata::push_text_field(xml, name);
            }
        }
    }
}

/// The name of an operation in refusals: `readByQuery` is `READ_BY_QUERY`.
fn operation(function: &str) -> String {
    let mut name = String::new();
    for letter in function.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn refused_fields(access: &Access, query: &Query) -> Option<GatewayError> {
    let refused = access.refused(&query.object);
    if refused.is_empty() {
        return None;
    }
    let mut named: Vec<&str> = Vec::new();
    for one in &query.select {
        match one {
            Selected::Field(name) | Selected::Aggregate(_, name) => named.push(name),
        }
    }
    named.extend(query.order.iter().map(|(name, _)| name.as_str()));
    if let Some(filter) = &query.filter {
        filtered(filter, &mut named);
    }
    named.retain(|name| refused.iter().any(|refused| refused == name));
    named.dedup();
    if named.is_empty() {
        return None;
    }
    let list = named.join(", ");
    let text = format!("The following fields cannot be queried: {list}");
    Some(GatewayError::new("XL03000006", text))
}

/// The names of the fields in a filter.
fn filtered<'f>(filter: &'f Filter, named: &mut Vec<&'f str>) {
    match filter {
        Filter::And(all) | Filter::Or(all) => {
            for one in all {
                filtered(one, named);
            }
        }
        Filter::Compare(_, field, _) | Filter::Between(field, _, _) => named.push(field),
        Filter::Like { field, .. } | Filter::In { field, .. } | Filter::Null { field, .. } => {
            named.push(field);
        }
    }
}

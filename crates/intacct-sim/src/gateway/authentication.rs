//! Who is calling: by login or by session.

use super::answer::GatewayError;
use super::request::Authentication;
use super::session::Caller;
use super::{Exchange, Gateway, entity};
use crate::access::User;
use crate::faults;

/// Why a caller is not let in, and what the answer shows of what it gave.
pub(super) struct Refusal {
    pub(super) user: String,
    pub(super) company: String,
    pub(super) error: Box<GatewayError>,
}

/// A user, and record number and id of the entity.
type Owner = (User, Option<(u32, String)>);

impl Gateway {
    pub(super) fn authenticate(
        &self,
        given: &Authentication,
        exchange: &Exchange<'_>,
        now: i64,
    ) -> Result<Caller, Refusal> {
        let Exchange {
            plan, sender, url, ..
        } = *exchange;
        let unauthorised = (!self.authorises(sender)).then(faults::not_authorised);
        if let Some(error) = plan.authentication().or(unauthorised) {
            return Err(Refusal::of(given, error));
        }
        let timeout = now + plan.session_lifetime().unwrap_or(self.session_seconds);
        let refusal = |text: &str| Refusal::of(given, GatewayError::new("XL03000006", text));
        let (session, (user, entity)) = match given {
            Authentication::OAuth => return Err(refusal("Sign-in information is incorrect")),
            Authentication::Session(id) => {
                let owner = self.sessions().extend(id, url, now, timeout);
                let owner = owner.and_then(|(login, entity)| Some((self.user(&login)?, entity)));
                let owner = owner.ok_or_else(|| refusal("Invalid session or session timed out"))?;
                (Some(id.clone()), owner)
            }
            Authentication::Login {
                user,
                company,
                password,
                location,
            } => {
                let known = self.user(user).filter(|known| {
                    known.password == *password && *company == self.credentials.company
                });
                let known = known.ok_or_else(|| refusal("Sign-in information is incorrect"))?;
                let owner = self.enter(known, location.as_deref());
                let text = "Sign-in information is incorrect: no such entity";
                (None, owner.ok_or_else(|| refusal(text))?)
            }
        };
        Ok(Caller {
            session,
            user,
            entity,
            timeout,
            url: url.to_owned(),
        })
    }

    /// Leads a user into an entity, by default into the only one that the user may enter.
    fn enter(&self, user: User, location: Option<&str>) -> Option<Owner> {
        let only = user.entity.as_deref();
        let Some(id) = location.or(only) else {
            return Some((user, None));
        };
        if only.is_some_and(|only| only != id) {
            return None;
        }
        let entity = entity(&self.company(), id)?;
        Some((user, Some(entity)))
    }
}

impl Refusal {
    /// Logins get back who they said they were; sessions and tokens show nobody.
    fn of(given: &Authentication, error: GatewayError) -> Self {
        let (user, company) = match given {
            Authentication::Login { user, company, .. } => (user.clone(), company.clone()),
            Authentication::Session(_) | Authentication::OAuth => Default::default(),
        };
        Self {
            user,
            company,
            error: Box::new(error),
        }
    }
}

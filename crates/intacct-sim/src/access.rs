//! Who may call the gateway, and what each of them may read.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use sim_http::{Error, ErrorKind};

/// Users, senders and subscriptions of the company, beside the one user and the one sender of its
/// [`Credentials`](crate::Credentials), who may do everything unless they are named here.
///
/// In TOML or JSON:
///
/// ```toml
/// unsubscribed = ["CONTRACT"]
/// refused_fields = { PROJECT = ["CFDA", "AGENCY"] }
///
/// [[users]]
/// login = "reader"
/// password = "reader-password"
/// only = ["VENDOR", "APBILL"]
/// audit_history = false
/// formatting = { gmtoffset = "-08:00" }
///
/// [[senders]]
/// id = "stranger"
/// password = "stranger-password"
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Access {
    /// Users by their logins.
    pub users: Vec<User>,
    /// Senders that the gateway knows.
    pub senders: Vec<Sender>,
    /// Objects of applications to which the company is not subscribed.
    pub unsubscribed: Vec<String>,
    /// Fields by object that `lookup` names and `query` refuses; such as the object does not have
    /// are shown by `lookup` all the same.
    pub refused_fields: BTreeMap<String, Vec<String>>,
}

/// A user of the company.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct User {
    /// Login.
    pub login: String,
    /// Password; reports leave it out.
    #[serde(skip_serializing)]
    pub password: String,
    /// Id of the only entity that the user may enter; a login without one leads into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The only objects that the user may read; an empty role reads none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// Objects that the user may not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Whether the user may read AUDITHISTORY.
    #[serde(default = "yes")]
    pub audit_history: bool,
    /// How the user sees dates and times.
    #[serde(default)]
    pub formatting: Formatting,
}

fn yes() -> bool {
    true
}

impl fmt::Debug for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("User")
            .field("login", &self.login)
            .field("entity", &self.entity)
            .field("only", &self.only)
            .field("deny", &self.deny)
            .finish_non_exhaustive()
    }
}

impl User {
    /// A user who may read everything.
    pub fn new(login: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            login: login.into(),
            password: password.into(),
            entity: None,
            only: None,
            deny: Vec::new(),
            audit_history: true,
            formatting: Formatting::default(),
        }
    }

    /// Lets the user into this entity only.
    #[must_use]
    pub fn entity(mut self, id: impl Into<String>) -> Self {
        self.entity = Some(id.into());
        self
    }

    /// Lets the user read these objects only; none at all for an empty list.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, objects: impl IntoIterator<Item = S>) -> Self {
        self.only = Some(objects.into_iter().map(Into::into).collect());
        self
    }

    /// Keeps the user from reading an object.
    #[must_use]
    pub fn deny(mut self, object: impl Into<String>) -> Self {
        self.deny.push(object.into());
        self
    }

    /// Keeps the user from reading AUDITHISTORY, which is refused in words of its own.
    #[must_use]
    pub fn without_audit_history(mut self) -> Self {
        self.audit_history = false;
        self
    }

    /// Sets how the user sees dates and times.
    #[must_use]
    pub fn formatting(mut self, formatting: Formatting) -> Self {
        self.formatting = formatting;
        self
    }

    pub(crate) fn may_read(&self, object: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| only.iter().any(|name| name == object))
            && !self.deny.iter().any(|name| name == object)
    }
}

/// How a user sees dates and times (developer.intacct.com, Users: `readUserFormatting`).
///
/// Times of records are written in the user's offset; the other settings are reported only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Formatting {
    /// Locale, such as `en_US`.
    pub locale: String,
    /// Separator and the letters of year, month and day: `/mdY`, `.dmY`.
    pub dateformat: String,
    /// Hours and minutes ahead of GMT: `+00:00`, `-08:00`.
    pub gmtoffset: String,
    /// `12` or `24`.
    pub clock: String,
}

impl Default for Formatting {
    fn default() -> Self {
        Self {
            locale: "en_US".to_owned(),
            dateformat: "/mdY".to_owned(),
            gmtoffset: "+00:00".to_owned(),
            clock: "24".to_owned(),
        }
    }
}

impl Formatting {
    /// The usual formats in this offset, such as `-08:00`.
    pub fn at_offset(gmtoffset: impl Into<String>) -> Self {
        Self {
            gmtoffset: gmtoffset.into(),
            ..Self::default()
        }
    }

    /// Seconds ahead of UTC; none for a text that is no offset.
    pub(crate) fn ahead(&self) -> Option<i64> {
        let (sign, rest) = match self.gmtoffset.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let fits = (0..=14).contains(&hours) && (0..60).contains(&minutes);
        fits.then_some(sign * (hours * 60 + minutes) * 60)
    }
}

/// A sender of requests.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sender {
    /// Sender id.
    pub id: String,
    /// Password; reports leave it out.
    #[serde(skip_serializing)]
    pub password: String,
    /// Whether the company has authorised it.
    #[serde(default)]
    pub authorised: bool,
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sender")
            .field("id", &self.id)
            .field("authorised", &self.authorised)
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender that the gateway knows and the company has not authorised.
    pub fn stranger(id: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            password: password.into(),
            authorised: false,
        }
    }
}

/// The fields that are known to be looked up and then refused.
const REFUSED: [(&str, &[&str]); 2] = [
    (
        "PROJECT",
        &[
            "CFDA",
            "FUNDEDNAME",
            "AGENCY",
            "PAYER",
            "FUNDINGOTHERID",
            "ASSISTANCETYPE",
            "REVRESTRICTION",
            "RESTRICTIONEXPIRY",
            "RESTRICTIONEXPIRATIONDATE",
            "TIMESATISFACTIONSCHEDULED",
        ],
    ),
    (
        "ARINVOICE",
        &["INVOICENO", "DATECREATED", "DATEPOSTED", "DATEDUE"],
    ),
];

impl Access {
    /// Reads settings: JSON where the text begins with `{`, TOML otherwise.
    ///
    /// # Errors
    /// `Invalid`, naming the field, for a text that is neither, for unknown names, and for
    /// settings that cannot be meant.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let document = sim_http::document::read(text, "access list")?;
        let access: Self = sim_http::document::typed(document, "access list")?;
        access.check()?;
        Ok(access)
    }

    /// Adds a user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a sender.
    #[must_use]
    pub fn sender(mut self, sender: Sender) -> Self {
        self.senders.push(sender);
        self
    }

    /// Takes the company's subscription of an object away.
    #[must_use]
    pub fn unsubscribed(mut self, object: impl Into<String>) -> Self {
        self.unsubscribed.push(object.into());
        self
    }

    /// Lets `query` refuse the fields of PROJECT and ARINVOICE that real companies look up in vain.
    #[must_use]
    pub fn with_refused_fields(mut self) -> Self {
        for (object, fields) in REFUSED {
            let list = self.refused_fields.entry(object.to_owned()).or_default();
            list.extend(fields.iter().map(|&field| field.to_owned()));
        }
        self
    }

    /// Lets `query` refuse one more field of an object.
    #[must_use]
    pub fn refused_field(mut self, object: impl Into<String>, field: impl Into<String>) -> Self {
        let list = self.refused_fields.entry(object.into()).or_default();
        list.push(field.into());
        self
    }

    /// Refuses what cannot be meant.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for user in &self.users {
            if user.formatting.ahead().is_none() {
                let message = format!(
                    "access list: users {:?}: formatting.gmtoffset {:?} is no offset such as -08:00",
                    user.login, user.formatting.gmtoffset
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        Ok(())
    }

    pub(crate) fn refused<'s>(&'s self, object: &str) -> &'s [String] {
        self.refused_fields.get(object).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_subscribed(&self, object: &str) -> bool {
        !self.unsubscribed.iter().any(|name| name == object)
    }
}

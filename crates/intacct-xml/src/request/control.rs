//! The `control` element: which integration asks, and how its request is to be treated.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::writer::Writer;
use crate::error::Error;
use crate::name::ControlId;
use crate::sanitise::first_forbidden;

/// The control block of a request (developer.intacct.com, Requests).
#[derive(Clone)]
pub struct Control {
    sender_id: String,
    sender_password: SecretString,
    control_id: ControlId,
    uniqueness: Uniqueness,
    policy_id: Option<String>,
    show_additional_error_info: bool,
}

/// Whether the gateway executes a function control id more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uniqueness {
    /// `uniqueid` false: any number of times. Right for reads.
    #[default]
    Repeatable,
    /// `uniqueid` true: a function whose control id was executed before is refused, so that a write
    /// sent again after a lost answer cannot post twice.
    Once,
}

impl Control {
    /// The control block of an integration; both sender id and password are case sensitive.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if one of them is empty or holds a
    /// character that cannot be sent.
    pub fn new(
        sender_id: impl Into<String>,
        sender_password: impl Into<SecretString>,
        control_id: ControlId,
    ) -> Result<Self, Error> {
        let (sender_id, sender_password) = (sender_id.into(), sender_password.into());
        check_credential("sender id", &sender_id)?;
        check_credential("sender password", sender_password.expose_secret())?;
        Ok(Self {
            sender_id,
            sender_password,
            control_id,
            uniqueness: Uniqueness::default(),
            policy_id: None,
            show_additional_error_info: false,
        })
    }

    /// Sets whether a function control id is executed once only. Default: repeatable.
    #[must_use]
    pub fn with_uniqueness(mut self, uniqueness: Uniqueness) -> Self {
        self.uniqueness = uniqueness;
        self
    }

    /// Sends the request through an asynchronous transport policy: the answer is only an
    /// [acknowledgement](crate::response::Response::acknowledgement).
    #[must_use]
    pub fn with_policy_id(mut self, policy_id: impl Into<String>) -> Self {
        self.policy_id = Some(policy_id.into());
        self
    }

    /// Asks for the `additionalinfo` of errors.
    #[must_use]
    pub fn with_additional_error_info(mut self) -> Self {
        self.show_additional_error_info = true;
        self
    }

    /// The id of the integration.
    pub fn sender_id(&self) -> &str {
        &self.sender_id
    }

    /// The id that the answer echoes.
    pub fn control_id(&self) -> &ControlId {
        &self.control_id
    }

    /// Whether a function control id is executed once only.
    pub fn uniqueness(&self) -> Uniqueness {
        self.uniqueness
    }

    /// The children in the order that the schema demands.
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("control");
        writer.element("senderid", &self.sender_id);
        writer.secret("password", self.sender_password.expose_secret());
        writer.element("controlid", self.control_id.as_str());
        // The gateway's default is true, so false has to be said.
        let unique = match self.uniqueness {
            Uniqueness::Repeatable => "false",
            Uniqueness::Once => "true",
        };
        writer.element("uniqueid", unique);
        writer.element("dtdversion", "3.0");
        writer.optional("policyid", self.policy_id.as_deref());
        writer.element("includewhitespace", "false");
        if self.show_additional_error_info {
            // Its place in the sequence is not published; behind everything that is.
            writer.element("showadditionalerrorinfo", "true");
        }
        writer.close("control");
    }

    pub(super) fn largest_size(&self) -> usize {
        LONGEST_REFERENCE
            * (self.sender_id.len()
                + self.sender_password.expose_secret().len()
                + self.control_id.as_str().len()
                + self.policy_id.as_ref().map_or(0, String::len))
    }
}

/// No byte becomes longer than `&quot;`.
pub(super) const LONGEST_REFERENCE: usize = 6;

/// A credential is sent as it is or not at all: without a dropped character it would be another one.
pub(super) fn check_credential(what: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::invalid(format!("the {what} is empty")).advise("set it"));
    }
    if first_forbidden(text).is_some() {
        return Err(
            Error::invalid(format!("the {what} holds a character that XML forbids"))
                .advise("check how it was read; control characters cannot be sent"),
        );
    }
    Ok(())
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("sender_id", &self.sender_id)
            .field("sender_password", &"[redacted]")
            .field("control_id", &self.control_id)
            .field("uniqueness", &self.uniqueness)
            .field("policy_id", &self.policy_id)
            .field(
                "show_additional_error_info",
                &self.show_additional_error_info,
            )
            .finish()
    }
}

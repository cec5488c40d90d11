//! The `authentication` element: who asks, in which company.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::control::{LONGEST_REFERENCE, check_credential};
use super::writer::Writer;
use crate::error::Error;
use crate::secret::SessionId;

/// How a request proves who asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Authentication {
    /// With the credentials of a web-services user.
    Login(Login),
    /// With the session that `getAPISession` opened.
    Session(SessionId),
}

/// The credentials of a web-services user (developer.intacct.com, Requests).
#[derive(Clone)]
pub struct Login {
    user_id: String,
    company_id: String,
    password: SecretString,
    client_id: Option<String>,
    location_id: Option<String>,
}

impl Login {
    /// The login of a user into a company.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if one of the three is empty or holds a
    /// character that cannot be sent.
    pub fn new(
        company_id: impl Into<String>,
        user_id: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Result<Self, Error> {
        let (company_id, user_id, password) = (company_id.into(), user_id.into(), password.into());
        check_credential("company id", &company_id)?;
        check_credential("user id", &user_id)?;
        check_credential("user password", password.expose_secret())?;
        Ok(Self {
            user_id,
            company_id,
            password,
            client_id: None,
            location_id: None,
        })
    }

    /// Slides from a console into a client company.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the id is empty or cannot be sent.
    pub fn with_client(mut self, client_id: impl Into<String>) -> Result<Self, Error> {
        let client_id = client_id.into();
        check_credential("client id", &client_id)?;
        self.client_id = Some(client_id);
        Ok(self)
    }

    /// Logs into one entity of a multi-entity shared company.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the id is empty or cannot be sent.
    pub fn with_location(mut self, location_id: impl Into<String>) -> Result<Self, Error> {
        let location_id = location_id.into();
        check_credential("location id", &location_id)?;
        self.location_id = Some(location_id);
        Ok(self)
    }

    /// The company.
    pub fn company_id(&self) -> &str {
        &self.company_id
    }

    /// The user.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The password.
    pub fn password(&self) -> &SecretString {
        &self.password
    }

    /// The entity, if not the top level.
    pub fn location_id(&self) -> Option<&str> {
        self.location_id.as_deref()
    }
}

impl From<Login> for Authentication {
    fn from(login: Login) -> Self {
        Self::Login(login)
    }
}

impl From<SessionId> for Authentication {
    fn from(session: SessionId) -> Self {
        Self::Session(session)
    }
}

impl Authentication {
    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("authentication");
        match self {
            Self::Login(login) => login.write(writer),
            Self::Session(session) => writer.secret("sessionid", session.expose()),
        }
        writer.close("authentication");
    }

    pub(super) fn largest_size(&self) -> usize {
        let bytes = match self {
            Self::Login(login) => {
                login.user_id.len()
                    + login.company_id.len()
                    + login.password.expose_secret().len()
                    + login.client_id.as_ref().map_or(0, String::len)
                    + login.location_id.as_ref().map_or(0, String::len)
            }
            Self::Session(session) => session.expose().len(),
        };
        LONGEST_REFERENCE * bytes
    }
}

impl Login {
    /// The children in the order that the schema demands: with the company behind the password a
    /// login fails.
    fn write(&self, writer: &mut Writer<'_>) {
        writer.open("login");
        writer.element("userid", &self.user_id);
        writer.element("companyid", &self.company_id);
        writer.secret("password", self.password.expose_secret());
        writer.optional("clientid", self.client_id.as_deref());
        writer.optional("locationid", self.location_id.as_deref());
        writer.close("login");
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user_id", &self.user_id)
            .field("company_id", &self.company_id)
            .field("password", &"[redacted]")
            .field("client_id", &self.client_id)
            .field("location_id", &self.location_id)
            .finish()
    }
}

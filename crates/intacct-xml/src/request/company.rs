//! Questions about the company and its users, each answered at once.

use super::control::check_credential;
use super::writer::Writer;
use crate::error::{Error, shown};
use crate::name::ObjectName;

/// Asks for the dimensions, the user-defined ones included (developer.intacct.com, Dimensions).
#[derive(Clone, Copy, Debug, Default)]
pub struct GetDimensions;

/// Asks for the entities that the user may see (developer.intacct.com, Entities).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadEntityDetails;

/// Asks in which form a user sees dates and times (developer.intacct.com, Users).
#[derive(Clone, Debug)]
pub struct ReadUserFormatting(UserKey);

#[derive(Clone, Debug)]
enum UserKey {
    RecordNumber(u64),
    LoginId(String),
}

/// Asks what a user may do (developer.intacct.com, Users).
#[derive(Clone, Debug)]
pub struct GetUserPermissions {
    user_id: String,
}

/// Asks who did what to a record (developer.intacct.com, Audit trails).
#[derive(Clone, Debug)]
pub struct GetAuditTrail {
    object: ObjectName,
    key: AuditKey,
}

/// How the audit trail knows a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditKey {
    /// By its record number.
    RecordNumber(u64),
    /// By its unique name: the record number of a bill, the login id of a user.
    ObjectKey(String),
}

impl GetDimensions {
    pub(super) fn write(self, writer: &mut Writer<'_>) {
        writer.empty("getDimensions");
    }
}

impl ReadEntityDetails {
    pub(super) fn write(self, writer: &mut Writer<'_>) {
        writer.empty("readEntityDetails");
    }
}

impl ReadUserFormatting {
    /// Of the user with this login id.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty id.
    pub fn of_login(login_id: impl Into<String>) -> Result<Self, Error> {
        let login_id = login_id.into();
        check_credential("login id", &login_id)?;
        Ok(Self(UserKey::LoginId(login_id)))
    }

    /// Of the user with this record number in USERINFO.
    #[must_use]
    pub const fn of_record(record_number: u64) -> Self {
        Self(UserKey::RecordNumber(record_number))
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("readUserFormatting");
        match &self.0 {
            UserKey::RecordNumber(number) => writer.element("key", &number.to_string()),
            UserKey::LoginId(id) => writer.element("userId", id),
        }
        writer.close("readUserFormatting");
    }
}

impl GetUserPermissions {
    /// Of the user with this login id.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty id.
    pub fn new(login_id: impl Into<String>) -> Result<Self, Error> {
        let user_id = login_id.into();
        check_credential("login id", &user_id)?;
        Ok(Self { user_id })
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("getUserPermissions");
        writer.element("userId", &self.user_id);
        writer.close("getUserPermissions");
    }
}

impl GetAuditTrail {
    /// Of one record.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty key.
    pub fn new(object: ObjectName, key: AuditKey) -> Result<Self, Error> {
        if let AuditKey::ObjectKey(text) = &key
            && text.trim().is_empty()
        {
            return Err(Error::invalid(format!(
                "the audit trail of a record of {} without a key",
                shown(object.as_str())
            ))
            .advise("give the record's number or unique name"));
        }
        Ok(Self { object, key })
    }

    /// The object.
    pub fn object(&self) -> &ObjectName {
        &self.object
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.open("getAuditTrail");
        writer.element("object", self.object.as_str());
        match &self.key {
            AuditKey::RecordNumber(number) => writer.element("recordNo", &number.to_string()),
            AuditKey::ObjectKey(key) => writer.element("objectKey", key),
        }
        writer.close("getAuditTrail");
    }
}

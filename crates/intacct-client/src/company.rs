//! Questions about the company and its users.

use intacct_xml::ObjectName;
use intacct_xml::metadata::{
    ApplicationPermissions, AuditEntry, Dimension, EntityDetails, UserFormatting,
};
use intacct_xml::request::{
    AuditKey, GetAuditTrail, GetDimensions, GetUserPermissions, ReadEntityDetails,
    ReadUserFormatting,
};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::function::not_understood;

impl Client {
    /// The dimensions, the user-defined ones included (developer.intacct.com, Dimensions).
    ///
    /// # Errors
    /// Those of any call.
    pub async fn dimensions(&self) -> Result<Vec<Dimension>> {
        let records = self.records_of(GetDimensions).await?;
        Dimension::from_records(&records).map_err(|source| not_understood("getDimensions", source))
    }

    /// The entities that the user may see; none in a company with a single one (developer.intacct.com, Entities).
    ///
    /// # Errors
    /// Those of any call.
    pub async fn entity_details(&self) -> Result<Vec<EntityDetails>> {
        let records = self.records_of(ReadEntityDetails).await?;
        EntityDetails::from_records(&records)
            .map_err(|source| not_understood("readEntityDetails", source))
    }

    /// In which form a user sees dates and times (developer.intacct.com, Users).
    ///
    /// # Errors
    /// `Permission` where the user may not see users.
    pub async fn user_formatting(&self, user: ReadUserFormatting) -> Result<UserFormatting> {
        let records = self.records_of(user).await?;
        UserFormatting::from_records(&records)
            .map_err(|source| not_understood("readUserFormatting", source))
    }

    /// What a user may do, by application; those that the company has not subscribed to are not listed
    /// (developer.intacct.com, Users).
    ///
    /// # Errors
    /// `Permission` where the user may not see users.
    pub async fn user_permissions(&self, login_id: &str) -> Result<Vec<ApplicationPermissions>> {
        let call = GetUserPermissions::new(login_id).map_err(Error::unwritable)?;
        let records = self.records_of(call).await?;
        ApplicationPermissions::from_records(&records)
            .map_err(|source| not_understood("getUserPermissions", source))
    }

    /// Who did what to a record (developer.intacct.com, Audit trails).
    ///
    /// # Errors
    /// `Permission` where the user may not see audit trails.
    pub async fn audit_trail(&self, object: &ObjectName, key: AuditKey) -> Result<Vec<AuditEntry>> {
        let call = GetAuditTrail::new(object.clone(), key).map_err(Error::unwritable)?;
        let records = self.records_of(call).await?;
        AuditEntry::from_records(&records).map_err(|source| not_understood("getAuditTrail", source))
    }
}

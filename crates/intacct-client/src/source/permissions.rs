//! Which permission of a user's role lets an object be read.

use crate::error::Error;

/// What to do for a user who may not read an object, after an error of kind
/// [`Permission`](crate::ErrorKind::Permission): the permission to grant, by the names of the role's page.
pub fn remedy(object: &str, error: &Error) -> String {
    let about_audit = || {
        let mut texts = error.gateway_errors().iter();
        texts.any(|it| it.mentions("audit history"))
    };
    if object == "AUDITHISTORY" || about_audit() {
        return "grant the user's role View permission on custom reports (Platform Services)"
            .into();
    }
    match granted_by(object) {
        Some((application, what)) => format!(
            "grant the user's role List and View on {what} ({application}), subscribe the company to \
             {application} if it is not, or leave the stream out"
        ),
        None => format!(
            "grant the user's role List and View on {object} in the application that it belongs to, \
             subscribe the company to that application, or leave the stream out"
        ),
    }
}

/// The application, and what its permission page calls the object.
fn granted_by(object: &str) -> Option<(&'static str, &'static str)> {
    Some(match object {
        "GLACCOUNT" | "STATACCOUNT" => ("General Ledger", "accounts"),
        "GLJOURNAL" => ("General Ledger", "journals"),
        "GLBATCH" | "GLENTRY" => ("General Ledger", "journal entries"),
        "GLDETAIL" => (
            "General Ledger",
            "journal entries and the general ledger report",
        ),
        "GLACCOUNTBALANCE" => ("General Ledger", "account balances"),
        "REPORTINGPERIOD" => ("General Ledger", "reporting periods"),
        "VENDOR" => ("Accounts Payable", "vendors"),
        "APBILL" | "APBILLITEM" => ("Accounts Payable", "bills"),
        "APPYMT" | "APPYMTDETAIL" => ("Accounts Payable", "payments"),
        "CUSTOMER" => ("Accounts Receivable", "customers"),
        "ARINVOICE" | "ARINVOICEITEM" => ("Accounts Receivable", "invoices"),
        "DEPARTMENT" => ("Company", "departments"),
        "LOCATION" => ("Company", "locations"),
        "LOCATIONENTITY" => ("Company", "entities"),
        "CLASS" => ("Company", "classes"),
        "EMPLOYEE" => ("Company", "employees"),
        "PROJECT" => ("Projects", "projects"),
        _ => return None,
    })
}

//! What an answer says about itself: everything but its records.

use time::OffsetDateTime;

use super::gateway_error::GatewayError;
use crate::error::Error;
use crate::values::parse_session_time;

/// An answer of the gateway that was read to its end (developer.intacct.com, Responses).
///
/// That it was read does not mean that anything succeeded: ask [`failure`](Self::failure).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// What became of the request as a whole.
    pub control: ControlStatus,
    /// The status of an asynchronous request, which answers with this instead of an operation.
    pub acknowledgement: Option<Status>,
    /// The operations, one a request as this crate writes them; none if the control block failed.
    pub operations: Vec<Operation>,
    /// Why nothing was executed, where the control block failed.
    pub errors: Vec<GatewayError>,
    /// How many characters that XML forbids were dropped.
    pub dropped_characters: u64,
}

/// The word of a `status` element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It worked.
    Success,
    /// It did not work.
    Failure,
    /// It was undone because another function of the same transaction failed.
    Aborted,
}

/// The `control` element of an answer. Only the status is always there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ControlStatus {
    /// Whether the request was accepted for execution.
    pub status: Status,
    /// The integration that asked.
    pub sender_id: Option<String>,
    /// The request's control id.
    pub control_id: Option<String>,
    /// The request's `uniqueid`, as text.
    pub unique_id: Option<String>,
    /// The version of the format.
    pub dtd_version: Option<String>,
}

/// One `operation` of an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Operation {
    /// Who was recognised, or was not.
    pub authentication: AuthenticationStatus,
    /// What became of each function.
    pub results: Vec<FunctionResult>,
    /// Why no function was executed; the gateway puts this beside the authentication, not inside.
    pub errors: Vec<GatewayError>,
}

/// The `authentication` element of an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthenticationStatus {
    /// Whether the user or session was accepted.
    pub status: Status,
    /// The user; `None` also where it is empty, as it is for a session that is no longer valid.
    pub user_id: Option<String>,
    /// The company.
    pub company_id: Option<String>,
    /// The client company of a console.
    pub client_id: Option<String>,
    /// The entity; `None` at the top level.
    pub location_id: Option<String>,
    pub(super) session_timestamp: Option<String>,
    pub(super) session_timeout: Option<String>,
}

/// What became of one function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FunctionResult {
    /// Whether it worked.
    pub status: Status,
    /// The function, such as `query`.
    pub function: String,
    /// The control id that the request gave it.
    pub control_id: String,
    /// The key of what a legacy function created.
    pub key: Option<String>,
    /// The list of a legacy `get_list`.
    pub list_type: Option<ListType>,
    /// What the `data` element says; there may be data beside a failure.
    pub data: Option<DataAttributes>,
    /// How many records were handed over.
    pub records: u64,
    /// Why it did not work.
    pub errors: Vec<GatewayError>,
}

/// The attributes of a `data` element. Which of them there are depends on the function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataAttributes {
    /// The object that is listed.
    pub list_type: Option<String>,
    /// How many records the whole result has.
    pub total_count: Option<u64>,
    /// The place of the first record in the whole result, counted from 0.
    pub offset: Option<u64>,
    /// How many records this page has.
    pub count: Option<u64>,
    /// How many records come after this page.
    pub remaining: Option<u64>,
    /// What `readMore` takes for the next page; `None` also where it is empty.
    pub result_id: Option<String>,
}

/// The `listtype` element of a legacy `get_list`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListType {
    /// The object that is listed.
    pub object: String,
    /// The first record, counted from 0.
    pub start: Option<u64>,
    /// The last record, counted from 0.
    pub end: Option<u64>,
    /// How many records there are.
    pub total: Option<u64>,
}

/// Where in an answer a failure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// The request as a whole: nothing was executed.
    Control,
    /// The user or session: nothing was executed.
    Authentication,
    /// One function, or all functions of a transaction because of one.
    Function,
}

/// A failure that an answer reports.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Failure<'r> {
    /// Where it stands.
    pub level: Level,
    /// The errors, the cause usually first. There may be none.
    pub errors: &'r [GatewayError],
    /// The function that failed.
    pub result: Option<&'r FunctionResult>,
}

impl Response {
    /// The failure that this answer reports: the control block's, an authentication's, or the first
    /// function's that failed by itself. Functions that were aborted come last, because they only
    /// say that another one failed.
    pub fn failure(&self) -> Option<Failure<'_>> {
        if self.control.status != Status::Success || !self.errors.is_empty() {
            return Some(Failure {
                level: Level::Control,
                errors: &self.errors,
                result: None,
            });
        }
        for operation in &self.operations {
            if operation.authentication.status != Status::Success || !operation.errors.is_empty() {
                let errors = &operation.errors;
                return Some(Failure {
                    level: Level::Authentication,
                    errors,
                    result: None,
                });
            }
        }
        let with_status = |status| self.results().find(move |result| result.status == status);
        with_status(Status::Failure)
            .or_else(|| with_status(Status::Aborted))
            .map(FunctionResult::as_failure)
    }

    /// The results of all functions, in the order of the answer.
    pub fn results(&self) -> impl Iterator<Item = &FunctionResult> {
        self.operations
            .iter()
            .flat_map(|operation| &operation.results)
    }

    /// The result of the function with this control id.
    pub fn result(&self, control_id: &str) -> Option<&FunctionResult> {
        self.results()
            .find(|result| result.control_id == control_id)
    }
}

impl FunctionResult {
    /// This result's own failure, if it did not succeed.
    pub fn failure(&self) -> Option<Failure<'_>> {
        (self.status != Status::Success).then(|| self.as_failure())
    }

    fn as_failure(&self) -> Failure<'_> {
        Failure {
            level: Level::Function,
            errors: &self.errors,
            result: Some(self),
        }
    }
}

impl<'r> Failure<'r> {
    /// The error to report: the first that says more than that a transaction was rolled back.
    pub fn cause(&self) -> Option<&'r GatewayError> {
        self.errors
            .iter()
            .find(|error| !error.is_rollback())
            .or_else(|| self.errors.first())
    }
}

impl AuthenticationStatus {
    /// When the session began, or the answer was made; the vendor says both. Not in every answer.
    ///
    /// # Errors
    /// [`ErrorKind::Data`](crate::ErrorKind::Data) if it is there and not a time.
    pub fn session_timestamp(&self) -> Result<Option<OffsetDateTime>, Error> {
        session_time("sessiontimestamp", self.session_timestamp.as_deref())
    }

    /// When the session ends unless it is used before. Not in every answer.
    ///
    /// # Errors
    /// [`ErrorKind::Data`](crate::ErrorKind::Data) if it is there and not a time.
    pub fn session_timeout(&self) -> Result<Option<OffsetDateTime>, Error> {
        session_time("sessiontimeout", self.session_timeout.as_deref())
    }
}

fn session_time(name: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Error> {
    text.map(|text| parse_session_time(text).map_err(|error| error.in_field(name)))
        .transpose()
}

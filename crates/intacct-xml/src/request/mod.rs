//! Requests: typed documents that cannot be built in a form the gateway refuses.
//!
//! developer.intacct.com, Requests: one `control` element, then one `operation` with the
//! authentication and one or more functions.

mod authentication;
mod balances;
mod company;
mod control;
mod document;
mod filter;
mod inspect;
mod lookup;
mod query;
mod raw;
mod read;
mod read_by_query;
mod related;
mod report;
mod session;
mod value;
mod writer;

use std::collections::HashSet;

use zeroize::Zeroizing;

pub use self::authentication::{Authentication, Login};
pub use self::balances::{
    Accounts, BalancePeriod, BalanceSelection, GetAccountBalances, GetAccountBalancesByDimensions,
    GetTrialBalance, Statistical,
};
pub use self::company::{
    AuditKey, GetAuditTrail, GetDimensions, GetUserPermissions, ReadEntityDetails,
    ReadUserFormatting,
};
pub use self::control::{Control, Uniqueness};
pub use self::document::Document;
pub use self::filter::Filter;
pub use self::inspect::Inspect;
pub use self::lookup::Lookup;
pub use self::query::{Aggregate, Order, Query, QueryOptions, Selection};
pub use self::raw::{RawElement, RawFunction};
pub use self::read::{FieldList, Read, ReadByName};
pub use self::read_by_query::{ReadByQuery, ReadMore, quote_literal};
pub use self::related::{ReadRelated, ReadView};
pub use self::report::{ReadReport, ReportArgument, ReportKind};
pub use self::session::{EntityContext, GetApiSession};
pub use self::value::Value;
use self::writer::Writer;
use crate::error::Error;
use crate::escape::XmlBuffer;
use crate::name::{ControlId, ObjectName};

/// One request: what is posted to the gateway.
#[derive(Clone, Debug)]
pub struct Request {
    control: Control,
    authentication: Authentication,
    functions: Vec<Function>,
    transaction: Transaction,
}

/// Whether the functions of a request stand and fall together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transaction {
    /// Each function succeeds or fails by itself.
    #[default]
    Separate,
    /// All functions are one database transaction: one failure rolls all back, and the others answer
    /// `aborted`.
    Single,
}

/// One call with the id that its result is matched by.
#[derive(Clone, Debug)]
pub struct Function {
    control_id: ControlId,
    call: Call,
}

/// What a function does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Call {
    /// Opens an API session.
    GetApiSession(GetApiSession),
    /// Reads records by an expression; the preferred read.
    Query(Query),
    /// Reads records by an SQL-like text.
    ReadByQuery(ReadByQuery),
    /// Goes on with the result of a [`ReadByQuery`], a [`ReadView`] or a [`ReadReport`].
    ReadMore(ReadMore),
    /// Reads records by record number.
    Read(Read),
    /// Reads records by business id.
    ReadByName(ReadByName),
    /// Asks for the fields and relationships of an object.
    Lookup(Lookup),
    /// Asks which objects there are, or for the fields of one.
    Inspect(Inspect),
    /// Reads what a custom relation leads to.
    ReadRelated(ReadRelated),
    /// Reads a view of the user interface.
    ReadView(ReadView),
    /// Starts a report.
    ReadReport(ReadReport),
    /// Asks for the dimensions.
    GetDimensions(GetDimensions),
    /// Asks for the entities.
    ReadEntityDetails(ReadEntityDetails),
    /// Asks in which form a user sees dates and times.
    ReadUserFormatting(ReadUserFormatting),
    /// Asks what a user may do.
    GetUserPermissions(GetUserPermissions),
    /// Asks who did what to a record.
    GetAuditTrail(GetAuditTrail),
    /// Balances of accounts.
    GetAccountBalances(GetAccountBalances),
    /// Balances of accounts, parted by dimensions.
    GetAccountBalancesByDimensions(GetAccountBalancesByDimensions),
    /// The trial balance.
    GetTrialBalance(GetTrialBalance),
    /// A function that has no type of its own here, such as one that writes.
    Raw(RawFunction),
}

impl Request {
    /// A request of one or more functions.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is no function, if two have the
    /// same control id (their results could not be told apart), or if `getAPISession` is not alone
    /// (developer.intacct.com, API sessions).
    pub fn new(
        control: Control,
        authentication: Authentication,
        functions: impl IntoIterator<Item = Function>,
    ) -> Result<Self, Error> {
        let functions: Vec<Function> = functions.into_iter().collect();
        if functions.is_empty() {
            return Err(Error::invalid("a request has no function").advise("add at least one"));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = functions
            .iter()
            .find(|f| !seen.insert(f.control_id.as_str()))
        {
            return Err(Error::invalid(format!(
                "two functions of a request have the control id {}",
                twice.control_id
            ))
            .advise("give each its own, because results are matched by it"));
        }
        let opens_session = |f: &Function| matches!(f.call, Call::GetApiSession(_));
        if functions.len() > 1 && functions.iter().any(opens_session) {
            return Err(Error::invalid("getAPISession is not alone in its request")
                .advise("send it by itself and the other functions afterwards"));
        }
        Ok(Self {
            control,
            authentication,
            functions,
            transaction: Transaction::default(),
        })
    }

    /// Sets whether the functions stand and fall together.
    #[must_use]
    pub fn with_transaction(mut self, transaction: Transaction) -> Self {
        self.transaction = transaction;
        self
    }

    /// The control block.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Who asks.
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// The functions, in the order in which they are executed.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The document that is sent. It holds passwords or a session id and is wiped on drop.
    pub fn to_xml(&self) -> Document {
        let head = self.head();
        let likely: usize = self.functions.iter().map(Function::likely_size).sum();
        let mut document = XmlBuffer::with_capacity(head.len() + likely);
        // What holds secrets is filled in at the end, when the buffer no longer moves and leaves
        // copies behind.
        document.push_blank(head.len());
        let mut writer = Writer::new(&mut document);
        for function in &self.functions {
            function.write(&mut writer);
        }
        writer.close("content");
        writer.close("operation");
        writer.close("request");
        Document::new(&head, document)
    }

    /// The document up to its first function.
    fn head(&self) -> Zeroizing<XmlBuffer> {
        // Enough for it not to move.
        let largest = 1024 + self.control.largest_size() + self.authentication.largest_size();
        let mut head = Zeroizing::new(XmlBuffer::with_capacity(largest));
        head.push_raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
        let mut writer = Writer::new(&mut head);
        writer.open("request");
        self.control.write(&mut writer);
        let transaction = match self.transaction {
            Transaction::Separate => "false",
            Transaction::Single => "true",
        };
        writer.open_with("operation", &[("transaction", transaction)]);
        self.authentication.write(&mut writer);
        writer.open("content");
        head
    }
}

impl Function {
    /// A call under the id that its result will carry.
    pub fn new(control_id: ControlId, call: impl Into<Call>) -> Self {
        Self {
            control_id,
            call: call.into(),
        }
    }

    /// The id that the result is matched by.
    pub fn control_id(&self) -> &ControlId {
        &self.control_id
    }

    /// What the function does.
    pub fn call(&self) -> &Call {
        &self.call
    }

    fn likely_size(&self) -> usize {
        match &self.call {
            Call::Raw(call) => 128 + call.likely_size(),
            _ => 2048,
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.open_with("function", &[("controlid", self.control_id.as_str())]);
        self.call.write(writer);
        writer.close("function");
    }
}

impl Call {
    /// The vendor's name of the function, as its result repeats it.
    pub fn function_name(&self) -> &str {
        match self {
            Self::GetApiSession(_) => "getAPISession",
            Self::Query(_) => "query",
            Self::ReadByQuery(_) => "readByQuery",
            Self::ReadMore(_) => "readMore",
            Self::Read(_) => "read",
            Self::ReadByName(_) => "readByName",
            Self::Lookup(_) => "lookup",
            Self::Inspect(_) => "inspect",
            Self::ReadRelated(_) => "readRelated",
            Self::ReadView(_) => "readView",
            Self::ReadReport(_) => "readReport",
            Self::GetDimensions(_) => "getDimensions",
            Self::ReadEntityDetails(_) => "readEntityDetails",
            Self::ReadUserFormatting(_) => "readUserFormatting",
            Self::GetUserPermissions(_) => "getUserPermissions",
            Self::GetAuditTrail(_) => "getAuditTrail",
            Self::GetAccountBalances(_) => GetAccountBalances::NAME,
            Self::GetAccountBalancesByDimensions(_) => GetAccountBalancesByDimensions::NAME,
            Self::GetTrialBalance(_) => GetTrialBalance::NAME,
            Self::Raw(call) => call.name(),
        }
    }

    /// The object that is read, where the call names one.
    pub fn object(&self) -> Option<&ObjectName> {
        match self {
            Self::Query(call) => Some(call.object()),
            Self::ReadByQuery(call) => Some(call.object()),
            Self::Read(call) => Some(call.object()),
            Self::ReadByName(call) => Some(call.object()),
            Self::Lookup(call) => Some(call.object()),
            Self::Inspect(call) => call.object(),
            Self::ReadRelated(call) => Some(call.object()),
            Self::GetAuditTrail(call) => Some(call.object()),
            _ => None,
        }
    }

    /// What is asked, without the place that it is asked for: two pages, or two windows, of the same
    /// reading have the same shape, because values, keys, page size and offset are left out.
    ///
    /// For telling whether a request like this one has ever worked. It holds names, and no value.
    pub fn shape(&self) -> String {
        let mut shape = XmlBuffer::new();
        let mut writer = Writer::new(&mut shape);
        match self {
            Self::Query(call) => call.shape().write(&mut writer),
            Self::ReadByQuery(call) => call.shape().write(&mut writer),
            Self::Read(call) => call.shape().write(&mut writer),
            Self::ReadByName(call) => call.shape().write(&mut writer),
            _ => {
                writer.element(
                    self.function_name(),
                    self.object().map_or("", |o| o.as_str()),
                );
            }
        }
        shape.into_string()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::GetApiSession(call) => call.write(writer),
            Self::Query(call) => call.write(writer),
            Self::ReadByQuery(call) => call.write(writer),
            Self::ReadMore(call) => call.write(writer),
            Self::Read(call) => call.write(writer),
            Self::ReadByName(call) => call.write(writer),
            Self::Lookup(call) => call.write(writer),
            Self::Inspect(call) => call.write(writer),
            Self::ReadRelated(call) => call.write(writer),
            Self::ReadView(call) => call.write(writer),
            Self::ReadReport(call) => call.write(writer),
            Self::GetDimensions(call) => call.write(writer),
            Self::ReadEntityDetails(call) => call.write(writer),
            Self::ReadUserFormatting(call) => call.write(writer),
            Self::GetUserPermissions(call) => call.write(writer),
            Self::GetAuditTrail(call) => call.write(writer),
            Self::GetAccountBalances(call) => call.write(writer),
            Self::GetAccountBalancesByDimensions(call) => call.write(writer),
            Self::GetTrialBalance(call) => call.write(writer),
            Self::Raw(call) => call.write(writer),
        }
    }
}

macro_rules! call_from {
    ($($name:ident),*) => {$(
        impl From<$name> for Call {
            fn from(call: $name) -> Self {
                Self::$name(call)
            }
        }
    )*};
}

call_from!(
    GetApiSession,
    Query,
    ReadByQuery,
    ReadMore,
    Read,
    ReadByName,
    Lookup,
    Inspect,
    ReadRelated,
    ReadView,
    ReadReport,
    GetDimensions,
    ReadEntityDetails,
    ReadUserFormatting,
    GetUserPermissions,
    GetAuditTrail,
    GetAccountBalances,
    GetAccountBalancesByDimensions,
    GetTrialBalance
);

impl From<RawFunction> for Call {
    fn from(call: RawFunction) -> Self {
        Self::Raw(call)
    }
}

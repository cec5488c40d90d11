//! `readReport`: a report that runs on the server and is fetched in pages.

use super::balances::GetAccountBalancesByDimensions;
use super::query::checked_page_size;
use super::value::Value;
use super::writer::Writer;
use crate::error::Error;
use crate::name::FieldName;

/// Starts a report (developer.intacct.com, Custom reports and Account balances).
///
/// The first answer is an id; [`ReadMore::report`](super::ReadMore::report) asks for the pages until the report is
/// ready and then for one after the other. With the last page the server deletes the report.
#[derive(Clone, Debug)]
pub struct ReadReport {
    report: String,
    scope: Scope,
    page_size: u32,
}

#[derive(Clone, Debug)]
enum Scope {
    /// The definition only.
    Definition(ReportKind),
    /// A report with its arguments.
    Records {
        kind: ReportKind,
        arguments: Vec<ReportArgument>,
        wait_seconds: Option<u8>,
    },
    Standard(Box<GetAccountBalancesByDimensions>),
}

/// Who made a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportKind {
    /// A custom report.
    #[default]
    Custom,
    /// A report of the interactive custom report writer.
    Interactive,
    /// A custom report of the vendor's library.
    Library,
}

/// What a report is run with: a parameter, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportArgument {
    name: FieldName,
    value: ArgumentValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ArgumentValue {
    One(Value),
    Group(Vec<ReportArgument>),
}

impl ReportArgument {
    /// A parameter.
    pub fn new(name: FieldName, value: impl Into<Value>) -> Self {
        let value = ArgumentValue::One(value.into());
        Self { name, value }
    }

    /// A parameter of several parts, such as the two ends of a range.
    pub fn group(name: FieldName, parts: impl IntoIterator<Item = Self>) -> Self {
        let value = ArgumentValue::Group(parts.into_iter().collect());
        Self { name, value }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match &self.value {
            ArgumentValue::One(value) => writer.element(self.name.as_str(), value.as_str()),
            ArgumentValue::Group(parts) => {
                writer.open(self.name.as_str());
                for part in parts {
                    part.write(writer);
                }
                writer.close(self.name.as_str());
            }
        }
    }
}

impl ReadReport {
    /// The most records of a page, and the default.
    pub const LARGEST_PAGE: u32 = 1000;

    /// Runs a report by its name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty name.
    pub fn new(report: impl Into<String>, kind: ReportKind) -> Result<Self, Error> {
        let scope = Scope::Records {
            kind,
            arguments: Vec::new(),
            wait_seconds: None,
        };
        Self::scoped(report.into(), scope)
    }

    /// Asks what a report's parameters and columns are, instead of running it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty name.
    pub fn definition(report: impl Into<String>, kind: ReportKind) -> Result<Self, Error> {
        Self::scoped(report.into(), Scope::Definition(kind))
    }

    /// Runs the standard report of account balances by dimensions: the way to read many balances, because the server
    /// works on it for as long as it takes.
    #[must_use]
    pub fn account_balances(balances: GetAccountBalancesByDimensions) -> Self {
        Self {
            report: GetAccountBalancesByDimensions::NAME.to_owned(),
            scope: Scope::Standard(Box::new(balances)),
            page_size: Self::LARGEST_PAGE,
        }
    }

    fn scoped(report: String, scope: Scope) -> Result<Self, Error> {
        if report.trim().is_empty() {
            return Err(Error::invalid("a readReport without a report").advise("name the report"));
        }
        Ok(Self {
            report,
            scope,
            page_size: Self::LARGEST_PAGE,
        })
    }

    /// With these arguments. A definition takes none and stays as it is.
    #[must_use]
    pub fn with_arguments(mut self, given: impl IntoIterator<Item = ReportArgument>) -> Self {
        if let Scope::Records { arguments, .. } = &mut self.scope {
            *arguments = given.into_iter().collect();
        }
        self
    }

    /// Lets the server wait this long, 0 to 30 seconds, for the report before it answers with an id.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for more.
    pub fn with_wait_seconds(mut self, seconds: u8) -> Result<Self, Error> {
        if seconds > 30 {
            return Err(
                Error::invalid(format!("a wait of {seconds} seconds for a report"))
                    .advise("wait 0 to 30 seconds, and ask again then"),
            );
        }
        if let Scope::Records { wait_seconds, .. } = &mut self.scope {
            *wait_seconds = Some(seconds);
        }
        Ok(self)
    }

    /// In pages of 1 to 1000 records.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other size.
    pub fn with_page_size(mut self, page_size: u32) -> Result<Self, Error> {
        self.page_size = checked_page_size(page_size, Self::LARGEST_PAGE)?;
        Ok(self)
    }

    /// The report.
    pub fn report(&self) -> &str {
        &self.report
    }

    /// Whether only the definition is asked for.
    pub fn is_definition(&self) -> bool {
        matches!(self.scope, Scope::Definition(_))
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        let definition = if self.is_definition() {
            "true"
        } else {
            "false"
        };
        let mut attributes = Vec::new();
        match &self.scope {
            Scope::Standard(_) => attributes.push(("type", "STANDARD")),
            Scope::Definition(kind) | Scope::Records { kind, .. } => match kind {
                ReportKind::Custom => {}
                ReportKind::Interactive => attributes.push(("type", "interactive")),
                ReportKind::Library => attributes.push(("libraryReport", "true")),
            },
        }
        attributes.push(("returnDef", definition));
        writer.open_with("readReport", &attributes);
        writer.element("report", &self.report);
        match &self.scope {
            Scope::Definition(_) => {}
            Scope::Standard(balances) => {
                writer.open("arguments");
                balances.write(writer);
                writer.close("arguments");
                writer.element("pagesize", &self.page_size.to_string());
            }
            Scope::Records {
                arguments,
                wait_seconds,
                ..
            } => {
                if !arguments.is_empty() {
                    writer.open("arguments");
                    for argument in arguments {
                        argument.write(writer);
                    }
                    writer.close("arguments");
                }
                let wait = wait_seconds.map(|seconds| seconds.to_string());
                writer.optional("waitTime", wait.as_deref());
                writer.element("pagesize", &self.page_size.to_string());
            }
        }
        writer.close("readReport");
    }
}

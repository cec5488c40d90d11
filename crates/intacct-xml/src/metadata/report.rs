//! What `readReport` says about reports.

use super::{inner, named, owned};
use crate::error::Error;
use crate::response::Element;

/// What a report consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportDefinition {
    /// The name.
    pub name: String,
    /// The kind: `tabular`, `summary` or `CRW`.
    pub report_type: Option<String>,
    /// The object that it lists.
    pub object: Option<String>,
    /// What it can be run with.
    pub parameters: Vec<ReportParameter>,
    /// The names of its columns.
    pub columns: Vec<String>,
}

/// A parameter of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportParameter {
    /// The name that an argument carries.
    pub name: String,
    /// The name that people see.
    pub label: Option<String>,
    /// Whether it is asked for at each run.
    pub prompt_on_run: Option<String>,
}

impl ReportDefinition {
    /// Reads the records of a `readReport` that asked for the definition.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if there is no definition, or a part of it has no name.
    pub fn from_records(records: &[Element]) -> Result<Self, Error> {
        let definition = named(records, "report_definition")
            .ok_or_else(|| Error::missing("report_definition", "data"))?;
        let object = definition
            .text_of("OBJECT")
            .or_else(|| definition.text_of("ROOT"));
        let columns = definition
            .children_named("COLUMNS")
            .flat_map(|list| list.children())
            .filter_map(|column| owned(column.text_of("NAME").or_else(|| column.text())));
        Ok(Self {
            name: owned(definition.text_of("REPORTNAME"))
                .ok_or_else(|| Error::missing("REPORTNAME", "report_definition"))?,
            report_type: owned(definition.text_of("REPORTTYPE")),
            object: owned(object),
            parameters: inner(definition, "PARAMETERS", "PARAMETER")
                .map(ReportParameter::from_element)
                .collect::<Result<_, _>>()?,
            columns: columns.collect(),
        })
    }
}

impl ReportParameter {
    fn from_element(element: &Element) -> Result<Self, Error> {
        Ok(Self {
            name: owned(element.text_of("NAME"))
                .ok_or_else(|| Error::missing("NAME", "PARAMETER"))?,
            label: owned(element.text_of("label")),
            prompt_on_run: owned(element.text_of("promptOnRun")),
        })
    }
}

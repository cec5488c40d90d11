//! `readReport`, which answers in two phases: an id at once, the records when the report has run
//! (developer.intacct.com, Custom Reports).

use std::collections::HashMap;

use super::answer::{Column, GatewayError, Xml, push_fields};
use super::call::{Filter, ReadReport};
use super::format::{Format, Sheet};
use super::query::Names;
use super::read::check_page;
use super::{Context, Outcome};
use crate::select::{Case, Literals, Operator, Reading, Search};

/// A report of the company.
struct Report {
    name: &'static str,
    /// The attribute `type` by which it is asked for; none for original custom reports.
    kind: Option<&'static str>,
    /// `tabular` or `summary`.
    form: &'static str,
    object: &'static str,
    columns: &'static [&'static str],
    /// Fields by which a run can be narrowed.
    parameters: &'static [&'static str],
    /// Parameters without which it does not run.
    required: &'static [&'static str],
}

const REPORTS: [Report; 4] = [
    Report {
        name: "Vendor list",
        kind: None,
        form: "tabular",
        object: "VENDOR",
        columns: &["VENDORID", "NAME", "STATUS", "TOTALDUE"],
        parameters: &["STATUS"],
        required: &[],
    },
    Report {
        name: "Bills by vendor",
        kind: Some("interactive"),
        form: "tabular",
        object: "APBILL",
        columns: &["VENDORID", "RECORDID", "WHENDUE", "STATE", "TOTALDUE"],
        parameters: &["VENDORID", "STATE"],
        required: &[],
    },
    Report {
        name: "Ledger lines",
        kind: Some("interactive"),
        form: "tabular",
        object: "GLDETAIL",
        columns: &["ENTRY_DATE", "ACCOUNTNO", "BOOKID", "TR_TYPE", "AMOUNT"],
        parameters: &["ACCOUNTNO", "BOOKID"],
        required: &[],
    },
    Report {
        name: "Account balances",
        kind: Some("STANDARD"),
        form: "summary",
        object: "GLACCOUNTBALANCE",
        columns: &["ACCOUNTNO", "OPENBAL", "TOTDEBIT", "TOTCREDIT", "ENDBAL"],
        parameters: &["PERIOD", "BOOKID"],
        required: &["PERIOD"],
    },
];

/// The reports that were asked for and not read to their end, by their ids.
#[derive(Debug, Default)]
pub(super) struct Reports {
    runs: HashMap<String, Run>,
    started: u64,
}

/// A report that runs, or has run.
#[derive(Clone, Debug)]
struct Run {
    names: &'static [&'static str],
    /// Polls that are still answered by `PENDING`.
    pending: u32,
    rows: Vec<Vec<Vec<u8>>>,
    /// The same records as elements.
    elements: Vec<Vec<u8>>,
    at: usize,
    page_size: usize,
    format: Format,
}

impl Context<'_> {
    pub(super) fn read_report(&self, xml: &mut Xml, call: &ReadReport) -> Outcome {
        check_page(call.page_size)?;
        let company = self.gateway.company();
        let found = REPORTS
            .iter()
            .find(|report| report.name == call.report && report.kind == call.kind.as_deref());
        let (Some(report), Some(object)) = (
            found,
            found.and_then(|report| company.object(report.object)),
        ) else {
            let text = format!("Report definition {} not found", call.report);
            return Err(GatewayError::new("Read Report Failed", text).into());
        };
        if call.definition {
            push_definition(xml, report);
            return Ok(());
        }
        let object = &*object;
        let names = Names {
            company: &company,
            object,
            lens: self.lens(),
        };
        for required in report.required {
            if !call.arguments.iter().any(|(name, _)| name == required) {
                let text = format!("The report needs the argument {required}");
                return Err(GatewayError::new("Read Report Failed", text).into());
            }
        }
        let mut all = Vec::new();
        for (name, text) in &call.arguments {
            if !report.parameters.contains(&&**name) {
                let text = format!("The report has no parameter {name}");
                return Err(GatewayError::new("Read Report Failed", text).into());
            }
            all.push(Filter::Compare(Operator::Equal, name.clone(), text.clone()));
        }
        let reading = Reading {
            case: Case::Sensitive,
            literals: Literals::Labels,
        };
        let search = Search {
            filter: Some(names.condition(&Filter::And(all), reading)?),
            reading,
            scope: self.scope(false),
            order: Vec::new(),
            shuffle: self.gateway.draw(),
        };
        let found = search.run(object);
        let columns: Vec<_> = report
            .columns
            .iter()
            .filter_map(|name| names.find(name).map(|path| Column::new(name, path)))
            .collect();
        let slots = found.page(0, found.total());
        let mut run = Run {
            names: report.columns,
            // A caller who waits needs fewer polls.
            pending: self
                .gateway
                .report_polls
                .saturating_sub(u32::try_from(call.wait).unwrap_or(0)),
            rows: Vec::new(),
            elements: Vec::new(),
            at: 0,
            page_size: call.page_size as usize,
            format: call.format,
        };
        // The report shows the company as it is now, however late it is read.
        for slot in slots {
            if call.format == Format::Xml {
                let mut element = Vec::new();
                push_fields(&mut element, object, slot, &columns);
                run.elements.push(element);
            } else {
                let texts = columns
                    .iter()
                    .map(|column| super::answer::text_of(column, object, slot));
                run.rows.push(texts.collect());
            }
        }
        let id = self.gateway.reports().start(run);
        push_pending(xml, &id);
        Ok(())
    }

    /// `readMore` with the id of a report.
    pub(super) fn report_page(&self, xml: &mut Xml, id: &str) -> Outcome {
        let mut reports = self.gateway.reports();
        let Some(run) = reports.runs.get_mut(id) else {
            let text = "The report is not known: it was read to its end and deleted, or never was";
            return Err(GatewayError::new("readMore failed", text).into());
        };
        if run.pending > 0 {
            run.pending -= 1;
            push_pending(xml, id);
            return Ok(());
        }
        self.check_format(run.format)?;
        let total = run.rows.len() + run.elements.len();
        let (from, to) = (run.at, (run.at + run.page_size).min(total));
        run.at = to;
        self.count_records(to - from);
        if run.format == Format::Xml {
            let attributes = [
                ("listtype", "report"),
                ("count", &(to - from).to_string()),
                ("totalcount", &total.to_string()),
                ("numremaining", &(total - to).to_string()),
            ];
            xml.start("data", &attributes);
            xml.raw(">");
            for element in &run.elements[from..to] {
                xml.raw("<report>");
                xml.bytes.extend_from_slice(element);
                xml.close("report");
            }
            xml.close("data");
        } else {
            let mut sheet = Sheet::new(run.format, run.names.iter().map(|&name| name.to_owned()));
            for row in &run.rows[from..to] {
                sheet.row(row.iter().cloned());
            }
            xml.answer_bare(sheet);
        }
        if to == total {
            reports.runs.remove(id);
        }
        Ok(())
    }
}

impl Reports {
    fn start(&mut self, run: Run) -> String {
        self.started += 1;
        let id = format!("report{:08x}{:016x}", self.started, fastrand::u64(..));
        self.runs.insert(id.clone(), run);
        id
    }
}

fn push_pending(xml: &mut Xml, id: &str) {
    xml.open("data");
    xml.open("report_results");
    xml.leaf("REPORTID", id);
    xml.leaf("STATUS", "PENDING");
    xml.close("report_results");
    xml.close("data");
}

fn push_definition(xml: &mut Xml, report: &Report) {
    xml.open("data");
    xml.open("report_definition");
    xml.leaf("REPORTNAME", report.name);
    xml.leaf("REPORTTYPE", report.form);
    xml.leaf("OBJECT", report.object);
    xml.open("PARAMETERS");
    for name in report.parameters {
        xml.open("PARAMETER");
        xml.leaf("NAME", name);
        xml.leaf("label", name);
        let asked = report.required.contains(name);
        xml.leaf("promptOnRun", if asked { "true" } else { "false" });
        xml.close("PARAMETER");
    }
    xml.close("PARAMETERS");
    xml.leaf("SORTBY", "");
    xml.open("COLUMNS");
    for name in report.columns {
        xml.leaf("COLUMN", name);
    }
    xml.close("COLUMNS");
    xml.close("report_definition");
    xml.close("data");
}

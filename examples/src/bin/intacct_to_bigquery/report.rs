//! What it did, for a person or a program.

use std::io::{self, Write};
use std::time::Instant;

use intacct_sync_examples::runs::{objections, records_per_second, runs, tie_out};
use serde_json::json;
use sync_core::ledger::Verification;
use sync_core::pipeline::RunReport;
use sync_core::{Finding, Severity};

/// A run, and what it is called.
pub(crate) struct Run {
    pub(crate) title: &'static str,
    pub(crate) report: RunReport,
}

pub(crate) struct Outcome {
    dataset: String,
    runs: Vec<Run>,
    findings: Vec<Finding>,
    /// None where it was only looked.
    ledger: Option<Verification>,
    begun: Instant,
}

impl Outcome {
    pub(crate) fn of(
        dataset: String,
        runs: Vec<Run>,
        ledger: Verification,
        begun: Instant,
    ) -> Self {
        Self {
            dataset,
            runs,
            findings: Vec::new(),
            ledger: Some(ledger),
            begun,
        }
    }

    pub(crate) fn checked(dataset: String, findings: Vec<Finding>, begun: Instant) -> Self {
        Self {
            dataset,
            runs: Vec::new(),
            findings,
            ledger: None,
            begun,
        }
    }

    /// Whether the dataset equals the books; where it was only looked, whether nothing stands in the way.
    pub(crate) fn ties_out(&self) -> bool {
        let Some(ledger) = &self.ledger else {
            let mut findings = self.findings.iter();
            return findings.all(|finding| finding.severity < Severity::Failure);
        };
        let is_complete = self.runs.iter().all(|run| run.report.is_complete());
        let last = self.runs.last().is_some_and(|run| run.report.ties_out());
        is_complete && last && ledger.is_intact()
    }

    pub(crate) fn print_json(&self) -> io::Result<()> {
        let runs: Vec<_> = self.runs.iter().map(|run| &run.report).collect();
        let findings: Vec<_> = self.findings.iter().map(ToString::to_string).collect();
        let told = json!({
            "ties_out": self.ties_out(),
            "dataset": self.dataset,
            "runs": runs,
            "findings": findings,
            "ledger": self.ledger,
            "seconds": self.begun.elapsed().as_secs_f64(),
        });
        writeln!(io::stdout().lock(), "{told:#}")
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        let out = &mut io::stdout().lock();
        for finding in &self.findings {
            writeln!(out, "{finding}")?;
        }
        for run in &self.runs {
            writeln!(out, "\n{}", run.title)?;
            writeln!(out, "{}", runs(&run.report))?;
        }
        if let Some(last) = self.runs.last() {
            writeln!(out, "\nTie-out")?;
            writeln!(out, "{}", tie_out(&last.report))?;
        }
        for run in &self.runs {
            for line in objections(&run.report) {
                writeln!(out, "  {line}")?;
            }
        }
        if let Some(ledger) = &self.ledger {
            writeln!(out, "\nLedger: {ledger}")?;
        }
        let verdict = match (self.ties_out(), &self.ledger) {
            (true, Some(_)) => "equals the books, by counts and sums of each stream.",
            (false, Some(_)) => "DOES NOT EQUAL THE BOOKS.",
            (true, None) => "can be written to.",
            (false, None) => "CANNOT BE WRITTEN TO.",
        };
        write!(out, "\nThe dataset {} {verdict}", self.dataset)?;
        if let Some(first) = self.runs.first() {
            write!(
                out,
                " {} records a second in the first run,",
                records_per_second(&first.report)
            )?;
        }
        writeln!(out, " {:.1} s in all.", self.begun.elapsed().as_secs_f64())
    }
}

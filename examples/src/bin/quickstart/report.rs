//! What it did, for a person or a program.

use std::io::{self, Write};
use std::time::Instant;

use comfy_table::{Cell, Table};
use intacct_sync_examples::runs::{objections, records_per_second, runs, tie_out};
use intacct_sync_examples::tables::{grouped, right, table};
use serde_json::json;
use sync_core::ledger::Verification;
use sync_core::pipeline::RunReport;

use crate::company::{Change, Changed};
use crate::compare::Comparison;
use crate::options::Options;
use crate::queries::Answer;

pub(crate) struct Outcome {
    pub(crate) first: RunReport,
    pub(crate) change: Change,
    pub(crate) second: RunReport,
    pub(crate) comparison: Comparison,
    pub(crate) ledger: Verification,
    pub(crate) queries: Vec<Answer>,
    /// The most memory that this process held, in bytes, where the system says.
    pub(crate) memory: Option<u64>,
    pub(crate) begun: Instant,
    pub(crate) options: Options,
}

impl Outcome {
    /// Whether what has arrived equals the books in every way that was looked at.
    pub(crate) fn ties_out(&self) -> bool {
        self.first.is_complete()
            && self.second.ties_out()
            && self.comparison.differences == 0
            && self.ledger.is_intact()
    }

    pub(crate) fn print_json(&self) -> io::Result<()> {
        let told = json!({
            "ties_out": self.ties_out(),
            "database": self.options.destination(),
            "seed": self.options.seed,
            "scale": self.options.scale,
            "first_run": self.first,
            "change": self.change,
            "second_run": self.second,
            "comparison": self.comparison,
            "ledger": self.ledger,
            "queries": self.queries,
            "records_per_second": records_per_second(&self.first),
            "peak_memory_bytes": self.memory,
            "seconds": self.begun.elapsed().as_secs_f64(),
        });
        writeln!(io::stdout().lock(), "{told:#}")
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        let out = &mut io::stdout().lock();
        writeln!(out, "\nFirst run")?;
        writeln!(out, "{}", runs(&self.first))?;
        writeln!(out, "\nThen, in the company: {}", told(&self.change))?;
        writeln!(out, "\nSecond run")?;
        writeln!(out, "{}", runs(&self.second))?;
        writeln!(out, "\nTie-out")?;
        writeln!(out, "{}", tie_out(&self.second))?;
        for line in objections(&self.first)
            .iter()
            .chain(&objections(&self.second))
        {
            writeln!(out, "  {line}")?;
        }
        self.print_comparison(out)?;
        for answer in &self.queries {
            writeln!(out, "\n{}\n\n{}\n", answer.question, indented(&answer.sql))?;
            writeln!(out, "{}", answered(answer))?;
        }
        let shown = self.options.destination();
        match self.options.postgres_url_file {
            Some(_) => writeln!(out, "\nThe tables: {shown}")?,
            None => {
                writeln!(out, "\nThe file: {shown}")?;
                writeln!(out, "Look into it:  sqlite3 {shown} .tables")?;
            }
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        write!(out, "\n{} ", verdict(self.ties_out()))?;
        write!(
            out,
            "{} records a second in the first run, ",
            records_per_second(&self.first)
        )?;
        if let Some(memory) = self.memory {
            write!(out, "{} MB of memory at most, ", memory / 1_000_000)?;
        }
        writeln!(out, "{seconds:.1} s in all.")
    }

    fn print_comparison(&self, out: &mut impl Write) -> io::Result<()> {
        let Comparison {
            streams,
            records,
            values,
            differences,
            named,
        } = &self.comparison;
        writeln!(
            out,
            "\nRecord for record: {} records of {streams} streams, {} values, {differences} differences",
            grouped(*records),
            grouped(*values)
        )?;
        for difference in named {
            writeln!(out, "  {difference}")?;
        }
        writeln!(out, "Ledger: {}", self.ledger)
    }
}

fn verdict(ties_out: bool) -> &'static str {
    if ties_out {
        "What has arrived equals the books."
    } else {
        "WHAT HAS ARRIVED DOES NOT EQUAL THE BOOKS."
    }
}

fn told(change: &Change) -> String {
    let sum = |of: fn(&Changed) -> u64| change.values().map(of).sum::<u64>();
    format!(
        "{} records new, {} edited, {} deleted, and a late posting in an earlier period",
        sum(|changed| changed.created),
        sum(|changed| changed.updated),
        sum(|changed| changed.deleted)
    )
}

fn answered(answer: &Answer) -> Table {
    let columns: Vec<_> = answer.columns.iter().map(String::as_str).collect();
    let mut table = table(&columns);
    for row in &answer.rows {
        let cells = row.iter().map(|value| {
            let text = value.as_deref().unwrap_or("");
            let number =
                !text.is_empty() && text.bytes().all(|byte| b"0123456789.-".contains(&byte));
            if number {
                right(text.to_owned())
            } else {
                Cell::new(text)
            }
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    table
}

fn indented(sql: &str) -> String {
    sql.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

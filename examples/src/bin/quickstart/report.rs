//! What it did, for a person or a program.

use std::io::{self, Write};
use std::time::Instant;

use comfy_table::{Cell, Table};
use intacct_sync_examples::tables::{grouped, right, table};
use serde_json::json;
use sync_core::Severity;
use sync_core::ledger::Verification;
use sync_core::pipeline::{RunReport, TieOut};

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

fn records_per_second(run: &RunReport) -> u64 {
    let written: u64 = run.streams.iter().map(|stream| stream.written).sum();
    let millis = u64::try_from(run.elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    written.saturating_mul(1000) / millis
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

fn runs(run: &RunReport) -> Table {
    let mut table = table(&[
        "stream",
        "read",
        "written",
        "unchanged",
        "deleted",
        "rejected",
        "calls",
        "seconds",
    ]);
    let mut sums = [0; 6];
    for stream in &run.streams {
        let numbers = [
            stream.read,
            stream.written,
            stream.unchanged,
            stream.deleted,
            stream.rejected,
            stream.calls,
        ];
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number;
        }
        row(
            &mut table,
            stream.stream.as_str(),
            numbers,
            stream.elapsed.as_secs_f64(),
        );
    }
    row(&mut table, "all", sums, run.elapsed.as_secs_f64());
    table
}

fn row(table: &mut Table, name: &str, numbers: [u64; 6], seconds: f64) {
    let mut cells = vec![Cell::new(name)];
    cells.extend(numbers.map(|number| right(grouped(number))));
    cells.push(right(format!("{seconds:.2}")));
    table.add_row(cells);
}

fn tie_out(run: &RunReport) -> Table {
    let mut table = table(&[
        "stream",
        "verdict",
        "records",
        "totals compared",
        "deletes found by",
        "as of",
    ]);
    for stream in &run.streams {
        let (verdict, numbers, as_of) = match &stream.tie_out {
            TieOut::Equal {
                as_of,
                records,
                groups,
                sums,
                ..
            } => ("equal", Some((*records, groups * (sums + 1))), Some(as_of)),
            TieOut::Explained { as_of, .. } => ("explained", None, Some(as_of)),
            TieOut::Different { as_of, .. } => ("DIFFERENT", None, Some(as_of)),
            _ => ("not compared", None, None),
        };
        let (records, totals) = numbers.unzip();
        table.add_row(vec![
            Cell::new(&stream.stream),
            Cell::new(verdict),
            right(records.map(grouped).unwrap_or_default()),
            right(totals.map(grouped).unwrap_or_default()),
            Cell::new(stream.delete_detection),
            Cell::new(
                as_of
                    .map(|as_of| sync_core::window::rfc3339(*as_of))
                    .unwrap_or_default(),
            ),
        ]);
    }
    table
}

/// What stands against an equal verdict, a line each.
fn objections(run: &RunReport) -> Vec<String> {
    let told = run
        .findings
        .iter()
        .filter(|it| it.severity > Severity::Info);
    let mut lines: Vec<String> = told.map(ToString::to_string).collect();
    for stream in &run.streams {
        let name = &stream.stream;
        if let Some(error) = &stream.error {
            lines.push(format!("{name}: {error}"));
        }
        match &stream.tie_out {
            TieOut::Explained { differences, .. } | TieOut::Different { differences, .. } => {
                lines.push(format!("{name}: {} differences", differences.len()));
                let shown = differences.iter().take(5);
                lines.extend(shown.map(|difference| format!("  {difference}")));
            }
            TieOut::NotCompared { reason } => lines.push(format!("{name}: not compared: {reason}")),
            _ => {}
        }
    }
    lines
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

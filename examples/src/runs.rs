//! Runs of a pipeline, told in tables.

use comfy_table::{Cell, Table};
use sync_core::Severity;
use sync_core::pipeline::{RunReport, TieOut};

use crate::tables::{grouped, right, table};

/// Records that a run wrote in a second.
pub fn records_per_second(run: &RunReport) -> u64 {
    let written: u64 = run.streams.iter().map(|stream| stream.written).sum();
    let millis = u64::try_from(run.elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    written.saturating_mul(1000) / millis
}

/// What a run did, stream by stream.
pub fn runs(run: &RunReport) -> Table {
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

/// How each stream compares with the source.
pub fn tie_out(run: &RunReport) -> Table {
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
pub fn objections(run: &RunReport) -> Vec<String> {
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

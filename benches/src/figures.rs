//! The table of figures and ratios after a run, from what Criterion has stored.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

/// What the table compares with.
#[derive(Clone, Copy, Debug)]
pub struct Yardsticks {
    /// The candidates that each candidate's speed is divided by: a column each.
    pub candidates: &'static [&'static str],
    /// What one element of the throughput is, such as `record`.
    pub element: &'static str,
}

/// Prints the [tables] of this run. Prints nothing where nothing was measured, as in a test of the
/// benches.
///
/// # Errors
/// If Criterion's folder cannot be read.
#[expect(clippy::print_stdout, reason = "it is what a bench is run for")]
pub fn print(prefix: &str, since: SystemTime, yardsticks: Yardsticks) -> io::Result<()> {
    print!("{}", tables(prefix, since, yardsticks)?);
    Ok(())
}

/// The figures of this run, in Markdown: a table for each group whose name begins with the prefix.
///
/// Figures that are older than `since` are left out, because ratios count only within one run.
///
/// # Errors
/// If Criterion's folder cannot be read.
pub fn tables(prefix: &str, since: SystemTime, yardsticks: Yardsticks) -> io::Result<String> {
    let mut figures = Vec::new();
    let folder = criterion_folder();
    if folder.is_dir() {
        collect(&folder, since, &mut figures)?;
    }
    figures.retain(|figure| figure.group.starts_with(prefix));
    figures.sort_by(|a, b| (a.group.cmp(&b.group)).then(a.nanoseconds.total_cmp(&b.nanoseconds)));

    let mut out = String::new();
    for group in figures.chunk_by(|a, b| a.group == b.group) {
        out.push_str(&table(group, yardsticks));
    }
    Ok(out)
}

struct Figure {
    group: String,
    candidate: String,
    nanoseconds: f64,
    bytes: f64,
    elements: f64,
}

fn table(group: &[Figure], yardsticks: Yardsticks) -> String {
    let rods: Vec<_> = yardsticks
        .candidates
        .iter()
        .filter_map(|name| group.iter().find(|figure| figure.candidate == *name))
        .collect();
    let mut out = format!("\n{}\n\n", group.first().map_or("", |figure| &figure.group));
    out.push_str(&format!(
        "| candidate | MB/s | ns a {} |",
        yardsticks.element
    ));
    for rod in &rods {
        out.push_str(&format!(" x {} |", rod.candidate));
    }
    out.push_str(&format!(
        "\n|---|---:|---:|{}\n",
        "---:|".repeat(rods.len())
    ));
    for figure in group {
        out.push_str(&format!(
            "| {} | {:.0} | {:.1} |",
            figure.candidate,
            figure.bytes * 1e3 / figure.nanoseconds,
            figure.nanoseconds / figure.elements,
        ));
        for rod in &rods {
            out.push_str(&format!(" {:.2} |", rod.nanoseconds / figure.nanoseconds));
        }
        out.push('\n');
    }
    out
}

/// Where Criterion keeps its results.
fn criterion_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("CRITERION_HOME") {
        return folder.into();
    }
    // The bench's program is TARGET/release/deps/NAME, whatever TARGET is.
    let program = std::env::current_exe().unwrap_or_default();
    program
        .ancestors()
        .nth(3)
        .unwrap_or(Path::new("target"))
        .join("criterion")
}

fn collect(folder: &Path, since: SystemTime, figures: &mut Vec<Figure>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "new") {
            figures.extend(figure(&path, since)?);
        } else {
            collect(&path, since, figures)?;
        }
    }
    Ok(())
}

fn figure(folder: &Path, since: SystemTime) -> io::Result<Option<Figure>> {
    let estimates = folder.join("estimates.json");
    if fs::metadata(&estimates)?.modified()? < since {
        return Ok(None);
    }
    let benchmark: Benchmark = serde_json::from_slice(&fs::read(folder.join("benchmark.json"))?)?;
    let estimates: Estimates = serde_json::from_slice(&fs::read(estimates)?)?;
    let Some(Throughput::ElementsAndBytes { elements, bytes }) = benchmark.throughput else {
        return Ok(None);
    };
    Ok(Some(Figure {
        group: benchmark.group_id,
        candidate: benchmark.function_id.unwrap_or_default(),
        nanoseconds: estimates.median.point_estimate,
        bytes: bytes as f64,
        elements: elements as f64,
    }))
}

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
enum Throughput {
    ElementsAndBytes {
        elements: u64,
        bytes: u64,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

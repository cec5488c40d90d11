//! Candidates measured side by side.
//!
//! Criterion measures one candidate for seconds, then the next; on a shared machine the seconds
//! differ, and ratios of its figures with them. So each group is measured a second time in rounds:
//! every candidate for some milliseconds, again and again, and a ratio is the median of the rounds'.

use std::fmt::Write;
use std::time::Duration;

use criterion::measurement::Measurement;
use criterion::{Criterion, Throughput};

/// Things that do the same, to be compared.
pub struct Comparison<'c> {
    work: Work,
    rounds: usize,
    candidates: Vec<Candidate<'c>>,
}

/// What each candidate does in one go.
#[derive(Clone, Debug)]
pub struct Work {
    /// The group's name in benchmark ids, such as `escape/memo`.
    pub group: String,
    /// What is counted, such as `record`.
    pub element: &'static str,
    /// How many of them.
    pub elements: u64,
    /// How many bytes of input.
    pub bytes: u64,
}

struct Candidate<'c> {
    name: &'static str,
    run: Box<dyn FnMut() + 'c>,
    /// How often it is run in a round.
    repeats: u32,
    /// Nanoseconds of one run, by round.
    times: Vec<f64>,
}

/// How long a candidate is measured in one round, if one run does not take longer.
const SLICE: Duration = Duration::from_millis(12);

impl<'c> Comparison<'c> {
    /// A comparison in that many rounds.
    pub fn new(work: Work, rounds: usize) -> Self {
        Self {
            work,
            rounds,
            candidates: Vec::new(),
        }
    }

    /// Adds a candidate.
    pub fn add(&mut self, name: &'static str, run: impl FnMut() + 'c) {
        self.candidates.push(Candidate {
            name,
            run: Box::new(run),
            repeats: 1,
            times: Vec::new(),
        });
    }

    /// Has Criterion measure every candidate, then measures them in rounds and prints the table: a
    /// column for each of the yardsticks says how many times as fast as it a candidate is.
    ///
    /// Only `cargo bench` measures in rounds; a test of the benches does not.
    pub fn measure<M>(mut self, criterion: &mut Criterion<M>, clock: &M, yardsticks: &[&str])
    where
        M: Measurement<Value = Duration> + 'static,
    {
        let mut group = criterion.benchmark_group(&self.work.group);
        group.throughput(Throughput::ElementsAndBytes {
            elements: self.work.elements,
            bytes: self.work.bytes,
        });
        for candidate in &mut self.candidates {
            group.bench_function(candidate.name, |bencher| bencher.iter(&mut candidate.run));
        }
        group.finish();
        if is_measured() {
            self.run_rounds(clock);
            print(&self.table(yardsticks));
        }
    }

    fn run_rounds<M: Measurement<Value = Duration>>(&mut self, clock: &M) {
        for candidate in &mut self.candidates {
            // The first run also warms it up.
            candidate.time(clock);
            let once = candidate.time(clock).max(1.0);
            candidate.repeats = (SLICE.as_nanos() as f64 / once).clamp(1.0, 1e6) as u32;
        }
        let count = self.candidates.len().max(1);
        for round in 0..self.rounds {
            for place in 0..count {
                // Nobody always comes after the same neighbour's start.
                let candidate = &mut self.candidates[(round + place) % count];
                let time = candidate.time(clock);
                candidate.times.push(time);
            }
        }
    }

    fn table(&self, yardsticks: &[&str]) -> String {
        let find = |name: &&str| self.candidates.iter().find(|c| c.name == *name);
        let rods: Vec<_> = yardsticks.iter().filter_map(find).collect();
        let mut rows: Vec<_> = self.candidates.iter().collect();
        rows.sort_by(|a, b| median(a.times.iter()).total_cmp(&median(b.times.iter())));

        let mut out = format!("\n{}\n\n", self.work.group);
        let mut put = |text: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _ = out.write_fmt(text);
        };
        put(format_args!(
            "| candidate | MB/s | ns a {} |",
            self.work.element
        ));
        rods.iter()
            .for_each(|rod| put(format_args!(" / {} |", rod.name)));
        put(format_args!(
            "\n|---|---:|---:|{}\n",
            "---:|".repeat(rods.len())
        ));
        for row in rows {
            let time = median(row.times.iter());
            put(format_args!(
                "| {} | {:.0} | {:.1} |",
                row.name,
                self.work.bytes as f64 * 1e3 / time,
                time / self.work.elements.max(1) as f64,
            ));
            for rod in &rods {
                let ratios: Vec<_> = rod
                    .times
                    .iter()
                    .zip(&row.times)
                    .map(|(a, b)| a / b)
                    .collect();
                put(format_args!(" {:.3} |", median(ratios.iter())));
            }
            put(format_args!("\n"));
        }
        out
    }
}

impl Candidate<'_> {
    /// Nanoseconds of one run.
    fn time<M: Measurement<Value = Duration>>(&mut self, clock: &M) -> f64 {
        let start = clock.start();
        (0..self.repeats).for_each(|_| (self.run)());
        clock.to_f64(&clock.end(start)) / f64::from(self.repeats)
    }
}

fn median<'v>(values: impl Iterator<Item = &'v f64>) -> f64 {
    let mut values: Vec<_> = values.copied().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Whether the program is to measure: `cargo bench` says so, and Criterion has ways to say otherwise.
fn is_measured() -> bool {
    let mut arguments = std::env::args().skip(1);
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    is_bench && !arguments.any(|argument| matches!(argument.as_str(), "--test" | "--list"))
}

#[expect(clippy::print_stdout, reason = "it is what a bench is run for")]
fn print(table: &str) {
    print!("{table}");
}

//! Loads synthetic ledger lines into a database and says how quickly.
//!
//! `cargo run --release -p sink-sql --all-features --example load -- [sqlite|postgres] [rows]`
//!
//! With `postgres` it makes a server of its own for the time, which waits for its disk as in
//! production, and also says what `COPY` alone makes of the same rows.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

mod cpu;
mod lines;
#[cfg(all(feature = "postgres", unix))]
mod postgres;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sync_core::{Batch, Sink, StreamDescriptor, TotalsQuery};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// What a pipeline's batches have.
const BATCH: usize = 8_192;

/// So many batches are made before they are timed; all at once would not fit memory.
const AT_ONCE: usize = 12;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let engine = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let rows: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    match engine.as_str() {
        #[cfg(feature = "sqlite")]
        "sqlite" => {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("load.db");
            let options = sink_sql::SqliteOptions::default();
            load(&sink_sql::SqliteSink::open(&path, options)?, rows, &|| {
                Duration::ZERO
            })
            .await?;
            println!("the file has {} MiB", std::fs::metadata(&path)?.len() >> 20);
        }
        #[cfg(all(feature = "postgres", unix))]
        "postgres" => postgres::run(rows).await?,
        other => return Err(format!("there is no engine {other} here").into()),
    }
    println!("this process held {} MiB at most", peak_memory());
    Ok(())
}

/// Writes new rows, then the same keys with other values, and takes totals.
pub(crate) async fn load(
    sink: &dyn Sink,
    rows: usize,
    server: &dyn Fn() -> Duration,
) -> Result<(), Failure> {
    let stream = Arc::new(lines::ledger_lines()?);
    sink.prepare(&sink.plan(&stream).await?).await?;
    for (pass, name) in [(0, "new rows"), (1, "the same keys again")] {
        let mut cost = Cost::default();
        for range in ranges(rows) {
            let batches = batches(&stream, range, pass)?;
            let start = Start::now(server);
            // As a pipeline does: each is staged while the one before it is written.
            for (batch, next) in batches
                .iter()
                .zip(batches.iter().skip(1).map(Some).chain([None]))
            {
                let staged = async {
                    match next {
                        Some(next) => sink.stage(next).await,
                        None => Ok(()),
                    }
                };
                let (written, staged) = futures_util::future::join(sink.write(batch), staged).await;
                staged.and(written)?;
            }
            cost.add(start, server);
        }
        cost.say(name, rows);
    }
    sink.flush(&stream.name).await?;
    let start = Instant::now();
    let totals = sink
        .control_totals(&TotalsQuery::of(Arc::clone(&stream)))
        .await?;
    let groups = totals.map_or(0, |totals| totals.groups.len());
    let seconds = start.elapsed().as_secs_f64();
    println!("totals of {groups} groups in {seconds:.2} s");
    Ok(())
}

/// The rows of [`AT_ONCE`] batches behind each other.
pub(crate) fn ranges(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let step = BATCH * AT_ONCE;
    (0..rows)
        .step_by(step)
        .map(move |first| first..(first + step).min(rows))
}

/// The batches of some lines.
pub(crate) fn batches(
    stream: &Arc<StreamDescriptor>,
    range: Range<usize>,
    pass: u64,
) -> Result<Vec<Batch>, Failure> {
    let starts = range.clone().step_by(BATCH);
    starts
        .map(|first| {
            let rows = first..(first + BATCH).min(range.end);
            let lines = lines::lines(&stream.schema, rows, pass)?;
            let ordinal = (first / BATCH) as u64 + pass * 1_000_000;
            lines::batch(stream, &lines, ordinal)
        })
        .collect()
}

/// What writing has cost.
#[derive(Default)]
pub(crate) struct Cost {
    wall: Duration,
    here: Duration,
    server: Duration,
}

/// When some writing began.
pub(crate) struct Start {
    wall: Instant,
    here: Duration,
    server: Duration,
}

impl Start {
    /// `server` tells the processor time of a server.
    pub(crate) fn now(server: &dyn Fn() -> Duration) -> Self {
        Self {
            wall: Instant::now(),
            here: cpu::own(),
            server: server(),
        }
    }
}

impl Cost {
    pub(crate) fn add(&mut self, start: Start, server: &dyn Fn() -> Duration) {
        self.wall += start.wall.elapsed();
        self.here += cpu::own().saturating_sub(start.here);
        self.server += server().saturating_sub(start.server);
    }

    pub(crate) fn say(&self, what: &str, rows: usize) {
        let [wall, here, server] = [self.wall, self.here, self.server].map(|it| it.as_secs_f64());
        let (speed, a_processor) = (rows as f64 / wall, rows as f64 / (here + server));
        println!(
            "{what}: {rows} rows in {wall:.2} s, {speed:.0} rows/s; processors were busy for \
             {here:.2} s here and {server:.2} s in the server: {a_processor:.0} rows for each second"
        );
    }
}

/// The most memory that this process held, in MiB. Linux tells it.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() >> 10
}

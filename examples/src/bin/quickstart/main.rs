//! The whole road in one command: a simulated company's books into a SQLite file or a Postgres
//! database, twice, exactly.
//!
//! Starts the simulator, reads all default streams into `DIR/finance.db`, or into the database that
//! `--postgres-url-file` leads to, lets a day pass in the
//! company, reads what changed, and compares both sides record for record and by control totals.
//! Stop it at any moment and start it again with the same folder: it goes on where it was.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use intacct_client::Client;
use intacct_client::source::IntacctSource;
use intacct_sync_examples::progress::Progress;
use intacct_sync_examples::{failure::one_line, simulated};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions};
use sync_core::spool::FolderSpool;
use sync_core::store::{LedgerStore as _, SqliteStore};

mod company;
mod compare;
mod destination;
mod diary;
mod options;
mod queries;
mod report;

use company::Company;
use destination::Destination;
use diary::Diary;
use options::Options;
use report::Outcome;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(outcome) => {
            let told = if options.json {
                outcome.print_json()
            } else {
                outcome.print()
            };
            match told {
                // A reader that closed the pipe has seen enough; the work is done all the same.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    eprintln!("error: the outcome cannot be written: {error}");
                    ExitCode::FAILURE
                }
                _ if outcome.ties_out() => ExitCode::SUCCESS,
                _ => {
                    eprintln!(
                        "error: the destination does not equal the books; see the differences above"
                    );
                    ExitCode::FAILURE
                }
            }
        }
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(options: &Options) -> Result<Outcome> {
    let begun = Instant::now();
    std::fs::create_dir_all(&options.dir)
        .with_context(|| format!("the folder {} cannot be made", options.dir.display()))?;
    let mut diary = Diary::open(&options.dir, options.seed, options.scale)?;
    let progress = Arc::new(Progress::new(!options.json));

    progress.say("Starting a company with its books on a simulated Intacct gateway");
    let company = Company::start(options).await?;
    // What an interrupted or earlier start had changed happens again, second for second.
    for round in 1..=diary.rounds() {
        company.change(round).await?;
    }

    progress.heading("First run: everything, or what an earlier start left over");
    let first = {
        let books = Books::open(options, &company, &progress)?;
        books.pipeline.run().await.context("the first run failed")?
    };
    progress.finish();

    let round = diary.begin_round()?;
    let change = company.change(round).await?;
    progress.heading("A day passes in the company; second run: what changed");
    // A day later is another process: nothing is carried over but what lies in the folder.
    let books = Books::open(options, &company, &progress)?;
    let second = books
        .pipeline
        .run()
        .await
        .context("the second run failed")?;
    progress.finish();

    progress.heading("Comparing both sides record for record");
    let comparison = compare::record_for_record(&books, options, &company, &progress).await?;
    progress.finish();
    let known = books
        .destination
        .sink()
        .ledger_entries("quickstart")
        .await?;
    let ledger = books.store.verify(&known).await?;
    let queries = queries::answers(&books.destination).await?;
    let memory = peak_memory();
    company.stop().await;
    Ok(Outcome {
        first,
        change,
        second,
        comparison,
        ledger,
        queries,
        memory,
        begun,
        options: options.clone(),
    })
}

/// Everything between the gateway and the destination.
struct Books {
    source: Arc<IntacctSource>,
    destination: Destination,
    store: Arc<SqliteStore>,
    pipeline: Pipeline,
}

impl Books {
    fn open(options: &Options, company: &Company, progress: &Arc<Progress>) -> Result<Self> {
        let config = simulated::settings(company.gateway());
        let source = Arc::new(IntacctSource::new(Client::new(config)?));
        let destination = Destination::open(options)?;
        let store = Arc::new(SqliteStore::open(options.dir.join("sync-state.db"))?);
        let spool = Arc::new(FolderSpool::open(options.dir.join("spool"))?);
        let parts = Parts {
            source: Arc::clone(&source) as _,
            sinks: vec![destination.sink()],
            store: Arc::clone(&store) as _,
            spool,
        };
        let pipeline = Pipeline::new("quickstart", parts, PipelineOptions::default())
            .observed_by(Arc::clone(progress) as _);
        Ok(Self {
            source,
            destination,
            store,
            pipeline,
        })
    }
}

/// The most memory that this process held, in bytes. Linux says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

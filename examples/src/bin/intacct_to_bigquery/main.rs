//! A company's books from Sage Intacct into a dataset of BigQuery.
//!
//! With `--sandbox` both sides are simulated: the books go there, a day passes in the company, what changed
//! goes there too, and each stream is compared with the source by counts and sums. Without it, a configuration
//! file names company and dataset, and one run brings the dataset up to date.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use intacct_sync_examples::failure::one_line;

mod config;
mod options;
mod report;
mod road;
mod sandbox;

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
                    eprintln!("error: the dataset does not equal the books; see above");
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
    match &options.config {
        Some(file) => road::run(options, file).await,
        None => sandbox::run(options).await,
    }
}

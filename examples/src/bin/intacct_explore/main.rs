//! What a consultant runs first: whose company this is, what the user may read in it, which fields
//! there are and how many records.
//!
//! Without credentials it explores a simulated company. It only reads, a handful of records at most.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use intacct_sync_examples::failure::one_line;

mod connection;
mod options;
mod report;
mod survey;

use connection::Connection;
use options::Options;
use report::Told;

fn main() -> ExitCode {
    let options = Options::parse();
    let told = match explore(&options) {
        Ok(told) => told,
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            return ExitCode::FAILURE;
        }
    };
    let printed = if options.json {
        told.print_json()
    } else {
        told.print()
    };
    match printed {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: the answer cannot be written: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

#[tokio::main]
async fn explore(options: &Options) -> Result<Told> {
    let connection = Connection::open(options).await?;
    let client = connection.client();
    let told = if options.objects.is_empty() {
        Told::Company(Box::new(survey::company(client, options).await?))
    } else {
        Told::Objects(survey::objects(client, &options.objects).await?)
    };
    connection.close().await;
    Ok(told)
}

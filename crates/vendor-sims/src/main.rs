//! `vendor-sims`: services of other vendors on this machine.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vendor_sims::bigquery::{FaultScript, Limits, RunningSimulator};

/// Warehouses and reporting services to run on a laptop: strict simulators of their HTTP
/// interfaces.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    vendor: Vendor,
}

#[derive(Debug, Subcommand)]
enum Vendor {
    /// BigQuery's REST API with its token endpoint and the metadata server.
    Bigquery(BigQuery),
}

/// The first line on standard output is `listening on http://127.0.0.1:PORT`.
#[derive(Debug, Args)]
struct BigQuery {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Allow an address that other machines can reach.
    #[arg(long)]
    allow_remote: bool,
    /// File to write the port to, once requests are taken.
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// File to write the service account's key file to, with its token endpoint here.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The project.
    #[arg(long, default_value = "sim-project")]
    project: String,
    /// A dataset that is there from the start, with its location behind a colon; may be repeated.
    #[arg(long, value_name = "NAME[:LOCATION]", default_value = "finance:US")]
    dataset: Vec<String>,
    /// Instant at which the clock starts, such as 2026-01-31T18:00:00Z; now unless given.
    #[arg(long, value_parser = instant)]
    now: Option<OffsetDateTime>,
    /// Let in requests without an access token.
    #[arg(long)]
    no_auth: bool,
    /// How often a job is asked about before it is done.
    #[arg(long, default_value_t = 1)]
    job_polls: u32,
    /// Milliseconds to wait before each answer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Keep the documented sizes, but let any number of loads, statements and changes through.
    #[arg(long)]
    no_rates: bool,
    /// Seconds for which streaming does not see a table that was made, emptied or widened.
    #[arg(long, default_value_t = 120)]
    streaming_delay: u64,
    /// File with a fault script, in TOML or JSON: what goes wrong, in which calls, how often.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Discovery document of the API to hold requests against.
    #[arg(long, value_name = "FILE", env = "BIGQUERY_DISCOVERY")]
    discovery: Option<PathBuf>,
    /// Write a line about each request to standard error.
    #[arg(long)]
    verbose: bool,
}

fn instant(text: &str) -> Result<OffsetDateTime, time::error::Parse> {
    OffsetDateTime::parse(text, &Rfc3339)
}

fn log(line: &str) {
    // Nobody may be listening; that is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Vendor::Bigquery(arguments) = Arguments::parse().vendor;
    let running = bigquery(&arguments)
        .await
        .context("the simulator did not start")?;
    if let Some(file) = &arguments.key_file {
        write(file, &running.key_file())?;
    }
    if let Some(file) = &arguments.port_file {
        let port = running.url().rsplit(':').next().unwrap_or_default();
        write(file, port)?;
    }
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on {}", running.url())?;
        out.flush()?;
    }
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for an interrupt")?;
    running.shutdown().await;
    Ok(())
}

async fn bigquery(arguments: &BigQuery) -> anyhow::Result<RunningSimulator> {
    let mut builder = RunningSimulator::builder()
        .listen(arguments.listen)
        .project(&arguments.project)
        .job_polls(arguments.job_polls)
        .latency(Duration::from_millis(arguments.latency_ms))
        .streaming_delay(Duration::from_secs(arguments.streaming_delay));
    if let Some(file) = &arguments.faults {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the fault script {}", file.display()))?;
        let script = FaultScript::parse(&text).with_context(|| file.display().to_string())?;
        builder = builder.faults(script);
    }
    if let Some(file) = &arguments.discovery {
        builder = builder.discovery(file);
    }
    for dataset in &arguments.dataset {
        let (name, location) = dataset.split_once(':').unwrap_or((dataset, "US"));
        builder = builder.dataset(name, location);
    }
    if arguments.allow_remote {
        builder = builder.allow_remote();
    }
    if arguments.no_auth {
        builder = builder.without_authentication();
    }
    if arguments.no_rates {
        builder = builder.limits(Limits::without_rates());
    }
    if let Some(now) = arguments.now {
        builder = builder.now(now);
    }
    if arguments.verbose {
        builder = builder.log(log);
    }
    Ok(builder.start().await?)
}

/// Writes a file in one step, so that whoever waits for it reads all of it.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let draft = file.with_extension("part");
    std::fs::write(&draft, text).with_context(|| format!("cannot write {}", draft.display()))?;
    std::fs::rename(&draft, file).with_context(|| format!("cannot write {}", file.display()))
}

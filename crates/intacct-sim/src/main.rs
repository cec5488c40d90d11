//! `intacct-sim`: a Sage Intacct gateway on this machine.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use intacct_sim::{Access, FaultScript, Scale, Simulator, Tier};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A Sage Intacct XML gateway to run on a laptop: a seeded company behind a strict simulator.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Allow an address that other machines can reach.
    #[arg(long)]
    allow_remote: bool,
    /// Seed of the company: the same seed and scale make the same company.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Size by ledger lines: tiny (1 thousand), small (50 thousand), medium (1 million), large (5 million).
    #[arg(long, default_value = "small")]
    scale: Scale,
    /// Instant at which the company's clock starts, such as 2026-01-31T18:00:00Z.
    #[arg(long, value_parser = instant)]
    now: Option<OffsetDateTime>,
    /// File with a fault script, in TOML or JSON: what goes wrong, in which calls, how often.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How many times a report answers that it is pending.
    #[arg(long, default_value_t = 2)]
    report_polls: u32,
    /// File with other users, senders and permissions, in TOML or JSON.
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// How many requests the gateway takes at a time: standard (one runs, one waits), or any number.
    #[arg(long, value_enum, default_value_t = TierName::Any)]
    tier: TierName,
    /// Write a line about each request to standard error.
    #[arg(long)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TierName {
    Any,
    Standard,
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
    let arguments = Arguments::parse();
    let mut builder = Simulator::builder()
        .seed(arguments.seed)
        .scale(arguments.scale)
        .listen(arguments.listen)
        .report_polls(arguments.report_polls);
    if arguments.allow_remote {
        builder = builder.allow_remote();
    }
    if let Some(now) = arguments.now {
        builder = builder.now(now);
    }
    if let Some(file) = &arguments.faults {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the fault script {}", file.display()))?;
        let script = FaultScript::parse(&text).with_context(|| file.display().to_string())?;
        builder = builder.faults(script);
    }
    if let Some(file) = &arguments.access {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the access list {}", file.display()))?;
        let access = Access::parse(&text).with_context(|| file.display().to_string())?;
        builder = builder.access(access);
    }
    if let TierName::Standard = arguments.tier {
        builder = builder.tier(Tier::STANDARD);
    }
    if arguments.verbose {
        builder = builder.log(log);
    }
    let running = builder
        .start()
        .await
        .context("the simulator did not start")?;
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

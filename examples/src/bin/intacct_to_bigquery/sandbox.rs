//! Both sides simulated: books that nobody else has, in a warehouse that is gone afterwards.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use intacct_sim::Simulator;
use intacct_sync_examples::progress::Progress;
use intacct_sync_examples::simulated;
use sink_bigquery::auth::{AuthOptions, ServiceAccount, ServiceAccountKey};
use sink_bigquery::pacing::{Limits, PacingOptions};
use sink_bigquery::sink::{BigQuerySink, BigQuerySinkOptions, Mode};
use sink_bigquery::{BigQuery, DatasetId, DatasetRef, Options as ClientOptions, ProjectId};
use vendor_sims::bigquery::{Limits as SimulatedLimits, RunningSimulator};

use crate::options::Options;
use crate::report::{Outcome, Run};
use crate::road::Road;

const DATASET: &str = "sage_intacct";

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let begun = Instant::now();
    let progress = Arc::new(Progress::new(!options.json));
    progress.say("Starting a company on a simulated Intacct gateway, and a simulated BigQuery");
    let company = Simulator::builder()
        .seed(options.seed)
        .scale(options.scale.into())
        .start()
        .await?;
    let warehouse = RunningSimulator::builder()
        .dataset(DATASET, "EU")
        .limits(SimulatedLimits::without_rates())
        .start()
        .await?;
    let folder = tempfile::tempdir().context("no folder for ledger and spool can be made")?;
    let sink = sink(options, &warehouse)?;
    let dataset = sink.options().dataset.to_string();
    let open = || {
        let intacct = simulated::settings(company.url());
        Road::open(intacct, sink.clone(), folder.path(), &[], &progress)
    };

    progress.heading("First run: everything");
    let first = open()?
        .pipeline
        .run()
        .await
        .context("the first run failed")?;
    progress.finish();
    company.company().apply_round(1)?;
    progress.heading("A day passes in the company; second run: what changed");
    // A day later is another process: nothing is carried over but what lies in the folder.
    let road = open()?;
    let second = road.pipeline.run().await.context("the second run failed")?;
    progress.finish();
    let ledger = road.verify().await?;
    let runs = vec![
        Run {
            title: "First run",
            report: first,
        },
        Run {
            title: "Second run, a day later",
            report: second,
        },
    ];
    Ok(Outcome::of(dataset, runs, ledger, begun))
}

/// The sink, with a key of the simulated service account as Google hands them out.
fn sink(options: &Options, warehouse: &RunningSimulator) -> Result<BigQuerySink> {
    let key = ServiceAccountKey::from_text(&warehouse.key_file().into())?;
    let auth = AuthOptions::default().trusting(warehouse.url());
    let provider = ServiceAccount::new(key, &auth)?;
    // The simulator has no rates, so that nobody waits for them here.
    let mut limits = Limits::default();
    limits.changes_per_table.amount = 1_000_000;
    limits.statements_per_table.amount = 1_000_000;
    let project = ProjectId::new(warehouse.project())?;
    let client = ClientOptions::new(project.clone())?
        .with_endpoint(warehouse.url().parse()?)
        .with_pacing(PacingOptions::default().with_limits(limits));
    let client = BigQuery::new(client, Arc::new(provider))?;
    let dataset = DatasetRef::new(project, DatasetId::new(DATASET)?);
    let mode = if options.streaming {
        Mode::Streaming
    } else {
        Mode::StagedMerge
    };
    Ok(BigQuerySink::new(
        client,
        BigQuerySinkOptions::new(dataset).mode(mode),
    ))
}

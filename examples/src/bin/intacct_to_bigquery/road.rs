//! The road from a company to a dataset, simulated or not.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use intacct_client::source::IntacctSource;
use intacct_client::{Client, ClientConfig, Credentials, Sender, User};
use intacct_sync_examples::progress::Progress;
use sink_bigquery::auth::{
    AuthOptions, Environment, ServiceAccount, ServiceAccountKey, TokenProvider, find_default,
};
use sink_bigquery::pacing::{FilePaceStore, PacingOptions};
use sink_bigquery::sink::{BigQuerySink, BigQuerySinkOptions, Mode};
use sink_bigquery::{
    BigQuery, DatasetId, DatasetRef, Location, Options as ClientOptions, ProjectId,
};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions};
use sync_core::spool::FolderSpool;
use sync_core::store::{LedgerStore as _, SqliteStore};
use sync_core::{Sink as _, Source as _, StreamName};

use crate::config::{self, Config};
use crate::options::Options;
use crate::report::{Outcome, Run};

/// The pipeline's name: in the ledger, and in each batch's mark.
pub(crate) const PIPELINE: &str = "intacct_to_bigquery";

/// Everything between a company and a dataset.
pub(crate) struct Road {
    pub(crate) source: Arc<IntacctSource>,
    pub(crate) sink: BigQuerySink,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) pipeline: Pipeline,
}

impl Road {
    pub(crate) fn open(
        intacct: ClientConfig,
        sink: BigQuerySink,
        folder: &Path,
        streams: &[String],
        progress: &Arc<Progress>,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let source = Arc::new(IntacctSource::new(Client::new(intacct)?));
        let store = Arc::new(SqliteStore::open(folder.join("sync-state.db"))?);
        let spool = Arc::new(FolderSpool::open(folder.join("spool"))?);
        let mut options = PipelineOptions::default();
        let streams = streams.iter().map(|name| StreamName::new(name.as_str()));
        options.streams = streams.collect::<Result<_, _>>()?;
        let parts = Parts {
            source: Arc::clone(&source) as _,
            sinks: vec![Arc::new(sink.clone()) as _],
            store: Arc::clone(&store) as _,
            spool,
        };
        let pipeline =
            Pipeline::new(PIPELINE, parts, options).observed_by(Arc::clone(progress) as _);
        Ok(Self {
            source,
            sink,
            store,
            pipeline,
        })
    }

    /// Whether the ledger is whole, by what the dataset knows of it.
    pub(crate) async fn verify(&self) -> Result<sync_core::ledger::Verification> {
        let known = self.sink.ledger_entries(PIPELINE).await?;
        Ok(self.store.verify(&known).await?)
    }
}

/// One run between the company and the dataset that the file names.
pub(crate) async fn run(options: &Options, file: &Path) -> Result<Outcome> {
    let begun = Instant::now();
    let config = Config::read(file)?;
    let progress = Arc::new(Progress::new(!options.json));
    let sink = sink(&config).await?;
    let dataset = sink.options().dataset.to_string();
    let road = Road::open(
        intacct(&config)?,
        sink,
        &config.folder,
        &config.streams,
        &progress,
    )?;
    if options.check {
        let mut findings = road.source.check().await?;
        findings.extend(road.sink.check().await?);
        return Ok(Outcome::checked(dataset, findings, begun));
    }
    progress.say(&format!(
        "{} into the dataset {dataset}",
        config.intacct.company
    ));
    let report = road.pipeline.run().await.context("the run failed")?;
    progress.finish();
    let ledger = road.verify().await?;
    let run = Run {
        title: "Run",
        report,
    };
    Ok(Outcome::of(dataset, vec![run], ledger, begun))
}

fn intacct(config: &Config) -> Result<ClientConfig> {
    let sender = Sender {
        id: config.intacct.sender.clone(),
        password: config::secret("INTACCT_SENDER_PASSWORD")?.into(),
    };
    let user = User {
        company_id: config.intacct.company.clone(),
        id: config.intacct.user.clone(),
        password: config::secret("INTACCT_USER_PASSWORD")?.into(),
    };
    let mut settings = ClientConfig::new(Credentials::new(sender, user));
    settings
        .credentials
        .entity_id
        .clone_from(&config.intacct.entity);
    Ok(settings)
}

async fn sink(config: &Config) -> Result<BigQuerySink> {
    let named = &config.bigquery;
    let auth = AuthOptions::default();
    let provider: Arc<dyn TokenProvider> = match &named.key_file {
        Some(file) => Arc::new(ServiceAccount::new(
            ServiceAccountKey::from_file(file)?,
            &auth,
        )?),
        None => {
            find_default(&Environment::of_process(), &auth)
                .await?
                .provider
        }
    };
    std::fs::create_dir_all(&config.folder)
        .with_context(|| format!("the folder {} cannot be made", config.folder.display()))?;
    // What a day's limits have left must be known to the next run too.
    let pace = FilePaceStore::new(config.folder.join("bigquery-pace.json"));
    let project = ProjectId::new(&named.project)?;
    let options = ClientOptions::new(project.clone())?
        .with_pacing(PacingOptions::default().with_store(Arc::new(pace)));
    let client = BigQuery::new(options, provider)?;
    let holder = named.dataset_project.as_ref().map(ProjectId::new);
    let holder = holder.transpose()?.unwrap_or(project);
    let dataset = DatasetRef::new(holder, DatasetId::new(&named.dataset)?);
    let mut options = BigQuerySinkOptions::new(dataset).mode(match named.mode {
        config::Mode::StagedMerge => Mode::StagedMerge,
        config::Mode::Streaming => Mode::Streaming,
    });
    if let Some(location) = &named.create_dataset_in {
        options = options.create_dataset_in(Location::new(location)?);
    }
    Ok(BigQuerySink::new(client, options))
}

//! Where a history takes place: its store, its spool and its destination.

use std::path::PathBuf;
use std::sync::Arc;

use intacct_sync_tests::bigquery;
use serde::{Deserialize, Serialize};
use sink_bigquery::sink::{BigQuerySink, Mode};
use sink_sql::{PostgresOptions, PostgresSink, SqliteOptions, SqliteSink};
use sync_core::clock::{Clock, ManualClock, Sleeper};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions};
use sync_core::spool::{FolderSpool, Spool};
use sync_core::store::{
    PostgresStore, PostgresStoreOptions, Scope, SqliteStore, SqliteStoreOptions, Store,
};
use sync_core::{Sink, Source};
use time::OffsetDateTime;

pub(crate) const PIPELINE: &str = "crash";

/// Longer than a day of the books, so that payloads go while others stay.
const RETENTION: std::time::Duration = std::time::Duration::from_secs(30 * 60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
    /// A dataset into which batches are merged.
    BigQuery,
    /// One into which they are streamed.
    BigQueryStreaming,
}

/// A folder, and perhaps a database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    pub(crate) store: Engine,
    pub(crate) sink: Engine,
    /// How to connect to the database, or to the simulated BigQuery.
    pub(crate) settings: Option<String>,
}

/// What a pipeline is made of, before anybody steps in between.
#[derive(Clone, Debug)]
pub(crate) struct Road {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) spool: Arc<dyn Spool>,
}

/// A clock that stands at this second.
pub(crate) fn clock(seconds: i64) -> Arc<ManualClock> {
    let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    Arc::new(ManualClock::at(now))
}

impl Home {
    pub(crate) async fn road(&self, clock: &Arc<ManualClock>) -> sync_core::Result<Road> {
        Ok(Road {
            sink: self.sink(Arc::clone(clock) as _)?,
            store: self.store(Arc::clone(clock) as _).await?,
            spool: self.spool()?,
        })
    }

    pub(crate) fn sink(&self, clock: Arc<dyn Clock>) -> sync_core::Result<Arc<dyn Sink>> {
        Ok(match self.sink {
            Engine::Sqlite => {
                let options = SqliteOptions::default().clock(clock);
                Arc::new(SqliteSink::open(self.file(), options)?)
            }
            Engine::Postgres => {
                let options = PostgresOptions::default().clock(clock);
                Arc::new(PostgresSink::open(&self.settings().into(), options)?)
            }
            Engine::BigQuery | Engine::BigQueryStreaming => {
                let (client, mut options) = bigquery(&self.settings()).unwrap();
                if self.sink == Engine::BigQueryStreaming {
                    options = options.mode(Mode::Streaming);
                    options.cold_table = std::time::Duration::ZERO;
                }
                Arc::new(BigQuerySink::new(client, options.clock(clock)))
            }
        })
    }

    pub(crate) async fn store(&self, clock: Arc<dyn Clock>) -> sync_core::Result<Arc<dyn Store>> {
        Ok(match self.store {
            Engine::Sqlite => {
                let mut options = SqliteStoreOptions::default();
                options.clock = clock;
                Arc::new(SqliteStore::open_with(
                    self.folder.join("state.db"),
                    options,
                )?)
            }
            Engine::Postgres => {
                let mut options = PostgresStoreOptions::default();
                options.clock = clock;
                Arc::new(PostgresStore::open(&self.settings().into(), options).await?)
            }
            other => panic!("{other:?} is no store"),
        })
    }

    pub(crate) fn spool(&self) -> sync_core::Result<Arc<dyn Spool>> {
        let folder = self.folder.join("spool");
        Ok(Arc::new(FolderSpool::open(folder)?))
    }

    /// The destination's file, where it is one.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("finance.db")
    }

    pub(crate) fn settings(&self) -> String {
        self.settings.clone().expect("this home has a database")
    }

    pub(crate) fn scope(&self, stream: &str) -> Scope {
        let sink = match self.sink {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
            Engine::BigQuery | Engine::BigQueryStreaming => "bigquery",
        };
        Scope {
            pipeline: PIPELINE.into(),
            sink: sink.into(),
            stream: stream.parse().unwrap(),
        }
    }
}

/// The one pipeline of all histories.
pub(crate) fn pipeline(
    source: Arc<dyn Source>,
    road: Road,
    clock: Arc<ManualClock>,
    sleeper: Arc<dyn Sleeper>,
) -> Pipeline {
    let mut options = PipelineOptions::default();
    options.batch_rows = 5;
    options.spool_retention = RETENTION;
    let parts = Parts {
        source,
        sinks: vec![road.sink],
        store: road.store,
        spool: road.spool,
    };
    Pipeline::new(PIPELINE, parts, options)
        .with_clock(clock)
        .with_sleeper(sleeper)
}

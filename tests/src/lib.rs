//! What the end-to-end tests share: the whole road from a gateway to a warehouse.

pub mod logs;
mod warehouse;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use intacct_client::source::IntacctSource;
use intacct_client::{Client, ClientConfig, Credentials, EndpointTrust, Sender, User};
use sync_core::StreamName;
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions};
use sync_core::spool::FolderSpool;
use sync_core::store::SqliteStore;

/// A client's settings for a gateway on this machine, with the simulator's credentials.
pub fn settings(gateway: &str, password: &str) -> ClientConfig {
    let sender = Sender {
        id: "sim-sender".into(),
        password: "sim-sender-password".into(),
    };
    let (company_id, id, password) = ("DEMO".into(), "sim-user".into(), password.into());
    ClientConfig::new(Credentials::new(
        sender,
        User {
            company_id,
            id,
            password,
        },
    ))
    .with_endpoint(gateway, EndpointTrust::SameHost)
}

pub use warehouse::{DATASET, Warehouse, bigquery};

/// Tells each story of both warehouses: it takes the server of Postgres, or none for SQLite. Without Postgres on the
/// machine those stories are skipped.
#[macro_export]
macro_rules! of_both_warehouses {
    ($($story:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    super::$story(None).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(server) = intacct_sync_postgres_fixture::Server::shared() {
                        super::$story(Some(server)).await;
                    }
                }
            )*
        }
    };
}

/// Everything between a gateway and a warehouse.
#[derive(Debug)]
pub struct Road {
    /// Where records come from.
    pub source: Arc<IntacctSource>,
    /// Where they go.
    pub sink: Warehouse,
    /// What survives a crash.
    pub store: Arc<SqliteStore>,
    /// What connects them.
    pub pipeline: Pipeline,
}

impl Road {
    /// The road to `FOLDER/finance.db` for these streams; for all where there are none.
    pub fn open(settings: ClientConfig, folder: &Path, streams: &[&str]) -> Result<Self> {
        Self::into(Warehouse::sqlite(folder)?, settings, folder, streams)
    }

    /// The road to a warehouse, with its state in a folder.
    pub fn into(
        sink: Warehouse,
        settings: ClientConfig,
        folder: &Path,
        streams: &[&str],
    ) -> Result<Self> {
        let mut options = PipelineOptions::default();
        options.streams = streams
            .iter()
            .map(|name| StreamName::new(*name))
            .collect::<Result<_, _>>()?;
        Self::with(sink, settings, folder, options)
    }

    /// The road to a warehouse, gone in this way.
    pub fn with(
        sink: Warehouse,
        settings: ClientConfig,
        folder: &Path,
        options: PipelineOptions,
    ) -> Result<Self> {
        let source = Arc::new(IntacctSource::new(Client::new(settings)?));
        let store = Arc::new(SqliteStore::open(folder.join("sync-state.db"))?);
        let parts = Parts {
            source: Arc::clone(&source) as _,
            sinks: vec![sink.as_sink()],
            store: Arc::clone(&store) as _,
            spool: Arc::new(FolderSpool::open(folder.join("spool"))?),
        };
        let pipeline = Pipeline::new("books", parts, options);
        Ok(Self {
            source,
            sink,
            store,
            pipeline,
        })
    }
}

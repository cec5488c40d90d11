//! The shared store: a schema of a Postgres database.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;

use super::Lease;
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::postgres::{ConnectionOptions, Database, Session};

mod batches;
mod census;
mod change;
mod contracts;
mod leases;
mod ledger;
mod letters;
mod patience;
mod payloads;
mod periods;
mod progress;
mod records;
mod replays;
mod schema;

use change::Change;
use patience::{Patience, ask};

/// How a [`PostgresStore`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresStoreOptions {
    /// The schema that holds the store's tables; it is made where it is missing.
    pub schema: String,
    /// How sessions are opened. Their search path is the store's own.
    pub connection: ConnectionOptions,
    /// What tells the time of entries and leases. Leases end by it, so the clocks of all workers should
    /// agree to a fraction of a lease; what a worker may write does not depend on any clock.
    pub clock: Arc<dyn Clock>,
    /// How long a call goes on trying while the server cannot be reached.
    pub patience: Duration,
}

impl Default for PostgresStoreOptions {
    /// The schema `intacct_sync`, the machine's clock, a minute of patience.
    fn default() -> Self {
        Self {
            schema: "intacct_sync".into(),
            connection: ConnectionOptions::default(),
            clock: Arc::new(SystemClock),
            patience: Duration::from_secs(60),
        }
    }
}

/// A [`Store`](super::Store) in a schema of a Postgres database, for any number of workers on any number of machines.
///
/// Each call is one transaction. Where the connection is lost, it is made again until `patience` is
/// over; where it was lost while a change was being committed, the ledger is asked first whether the
/// change is there. A holder that died is taken over when its lease is over, and no sooner.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    schema: String,
    clock: Arc<dyn Clock>,
    patience: Duration,
    /// What tells this handle's leases from those of others.
    handle: Uuid,
    /// Leases given through this handle whose holders are gone.
    abandoned: Mutex<Vec<Lease>>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("database", &self.shared.database)
            .field("schema", &self.shared.schema)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store of a database, and makes it where it is missing. The connection string is one
    /// that [`Database::new`] takes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) where the connection string cannot be read or the schema is not a store,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where a newer version of this software made it, and what the
    /// server refuses.
    pub async fn open(connection: &SecretString, options: PostgresStoreOptions) -> Result<Self> {
        let mut settings = options.connection;
        settings.search_path = Some(options.schema.clone());
        let store = Self {
            shared: Arc::new(Shared {
                database: Database::new(connection, &settings)?,
                schema: options.schema,
                clock: options.clock,
                patience: options.patience,
                handle: Uuid::new_v4(),
                abandoned: Mutex::default(),
            }),
        };
        ask!(store, |session| schema::bring_up_to_date(
            session,
            &store.shared.schema
        ))?;
        Ok(store)
    }

    fn patience(&self) -> Patience {
        Patience::new(self.shared.patience)
    }

    async fn session(&self) -> Result<Session> {
        self.shared.database.session().await
    }

    async fn begin<'a>(&'a self, session: &'a mut Session) -> Result<Change<'a>> {
        Change::begin(session, &self.shared).await
    }
}

//! The spool: payloads of batches, kept until they are settled and for a retention time after.
//!
//! A payload is one Arrow IPC file with LZ4 buffers, named by what is in it. The store's ledger vouches
//! for its SHA-256, so that nothing that is read back is ever trusted for lying in the right place.

use std::fmt::Debug;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Digest;

mod folder;
#[cfg(feature = "object-store")]
mod object_store;
mod payload;
mod retention;
mod verification;

pub use folder::FolderSpool;
#[cfg(feature = "object-store")]
pub use object_store::ObjectStoreSpool;
pub(crate) use retention::{Retention, sweep};
pub use verification::{DamagedPayload, PayloadDamage, SpoolVerification, verify};

/// Where a payload lies, and what it must hash to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spooled {
    /// Its name inside the spool.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Keeps payloads of batches.
#[async_trait]
pub trait Spool: Debug + Send + Sync {
    /// Keeps a batch's rows; durable once it returns. The same batch twice is the same as once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] where there is no room, or the place cannot be written to. Nothing is
    /// left behind then that could be taken for a payload.
    async fn put(&self, batch: &Batch) -> Result<Spooled>;

    /// Gives the rows back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where they are gone, [`ErrorKind::Data`] where they are not what was put in.
    async fn get(&self, spooled: &Spooled) -> Result<RecordBatch>;

    /// Removes what goes by this name. What is not there is no error.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Everything that lies there, in no order: payloads, and what writers that died left of theirs.
    ///
    /// A spool that cannot tell gives nothing; then what no batch names stays for ever.
    async fn list(&self) -> Result<Vec<Listed>> {
        Ok(Vec::new())
    }

    /// Notes that a store, by the hash of its ledger's first entry, keeps its payloads here. Only one that
    /// has the spool to itself can tell what nobody needs from what is another's.
    async fn claim(&self, store: Digest) -> Result<Ownership> {
        let _ = store;
        Ok(Ownership::Unknown)
    }
}

/// Whose payloads lie in a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ownership {
    /// One store's.
    Sole,
    /// Those of more than one, ever.
    Shared,
    /// The spool cannot tell.
    Unknown,
}

/// Something that lies in a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name inside the spool.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was written, by the clock of where it lies.
    pub written_at: OffsetDateTime,
}

/// Where a spool notes whose it is, beside the folders of the streams.
const OWNER: &str = "OWNER";

/// What stands there once more than one store was seen.
const SHARED: &str = "more than one store";

/// Does work that takes the processor or the disk where it keeps nothing else waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Internal, "work on the spool was cut short").caused_by(error)
    })?
}

//! A spool in an object store.

use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload,
};
use time::OffsetDateTime;

use super::payload::{self, Content, Payload};
use super::{Listed, OWNER, Ownership, SHARED, Spool, Spooled, blocking};
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::id::Digest;

/// A spool in an object store: one object a batch, `PREFIX/STREAM/BATCH-DIGEST.arrow`.
///
/// The store comes ready from the crate `object_store`, with credentials, retries and encryption as it
/// has them: put that crate's features `aws`, `gcp` or `azure` among your own dependencies. An object
/// appears whole or not at all, and one that is there already is only replaced where it is damaged. A
/// payload is as durable as the store makes it; `object_store`'s own folders are not synchronised, so
/// take [`FolderSpool`](super::FolderSpool) for those.
///
/// Uploads in parts are not used, so there are no leftovers of such.
#[derive(Clone, Debug)]
pub struct ObjectStoreSpool {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl ObjectStoreSpool {
    /// A spool below a prefix, which may be empty.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the prefix is none: one with an empty segment or a `..`, for instance.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self> {
        let prefix = Path::parse(prefix).map_err(|error| {
            let what = "this is no prefix of an object store; give names parted by slashes";
            Error::new(ErrorKind::Config, what)
                .with("prefix", prefix)
                .caused_by(error)
        })?;
        Ok(Self { store, prefix })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/')
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn name(&self, path: &Path) -> Option<String> {
        let parts: Vec<_> = path.prefix_match(&self.prefix)?.collect();
        let parts = parts.iter().map(|part| part.as_ref());
        Some(parts.collect::<Vec<_>>().join("/"))
    }

    async fn put_as(
        &self,
        path: &Path,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<(), StoreError> {
        let options = PutOptions::from(mode);
        let put = self.store.put_opts(path, payload, options).await;
        put.map(drop)
    }

    /// Whether what lies there is what the batch's payload has to be.
    async fn holds(&self, path: &Path, spooled: &Spooled) -> Result<bool, StoreError> {
        let found = self.store.get(path).await?;
        if found.meta.size != spooled.bytes {
            return Ok(false);
        }
        let bytes = found.bytes().await?;
        Ok(payload::is(&bytes, spooled))
    }
}

#[async_trait]
impl Spool for ObjectStoreSpool {
    async fn put(&self, batch: &Batch) -> Result<Spooled> {
        let content = Content::of(batch);
        let Payload { bytes, spooled } = blocking(move || Payload::of(&content)).await?;
        let (path, needed) = (self.path(&spooled.name), bytes.len());
        let payload = PutPayload::from(bytes);
        let not_put = |error| {
            let what = "a batch cannot be spooled; see to the object store, then run again: nothing is lost";
            failed(what, &path, error).with("needed_bytes", needed.to_string())
        };
        let put = self.put_as(&path, payload.clone(), PutMode::Create).await;
        let replace = match put {
            Ok(()) => false,
            // Another run spooled the same rows, or a retried request had arrived.
            Err(StoreError::AlreadyExists { .. }) => {
                !self.holds(&path, &spooled).await.map_err(not_put)?
            }
            // The name tells the content, so writing over it changes nothing that is good.
            Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => true,
            Err(error) => return Err(not_put(error)),
        };
        if replace {
            let put = self.put_as(&path, payload, PutMode::Overwrite).await;
            put.map_err(not_put)?;
        }
        Ok(spooled)
    }

    async fn get(&self, spooled: &Spooled) -> Result<RecordBatch> {
        let path = self.path(&spooled.name);
        let not_read = |error| match error {
            StoreError::NotFound { .. } => payload::gone(spooled).with("path", path.to_string()),
            error => failed("a spooled payload cannot be read", &path, error),
        };
        let found = self.store.get(&path).await.map_err(not_read)?;
        if found.meta.size != spooled.bytes {
            return Err(payload::damaged(spooled).with("path", path.to_string()));
        }
        let bytes = found.bytes().await.map_err(not_read)?;
        let spooled = spooled.clone();
        let rows = blocking(move || payload::rows(bytes.into(), &spooled)).await;
        rows.map_err(|error| error.with("path", path.to_string()))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match self.store.delete(&path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("a spooled payload cannot be removed", &path, error)),
        }
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let objects: Vec<ObjectMeta> = self
            .store
            .list(prefix)
            .try_collect()
            .await
            .map_err(|error| failed("the spool cannot be listed", &self.prefix, error))?;
        let listed = objects.into_iter().filter_map(|object| {
            let seconds = object.last_modified.timestamp();
            let name = self.name(&object.location)?;
            Some(Listed {
                name: name.contains('/').then_some(name)?,
                bytes: object.size,
                written_at: OffsetDateTime::from_unix_timestamp(seconds).ok()?,
            })
        });
        Ok(listed.collect())
    }

    async fn claim(&self, store: Digest) -> Result<Ownership> {
        let path = self.path(OWNER);
        let failed = |error| failed("the spool cannot be written to", &path, error);
        let own = store.to_string();
        match self
            .put_as(&path, own.clone().into(), PutMode::Create)
            .await
        {
            Ok(()) => return Ok(Ownership::Sole),
            Err(StoreError::AlreadyExists { .. }) => {}
            // Who was first cannot be told.
            Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
                return Ok(Ownership::Unknown);
            }
            Err(error) => return Err(failed(error)),
        }
        let found = self.store.get(&path).await.map_err(failed)?;
        let owner = found.bytes().await.map_err(failed)?;
        if owner == own {
            return Ok(Ownership::Sole);
        }
        if owner != SHARED {
            let put = self.put_as(&path, SHARED.into(), PutMode::Overwrite).await;
            put.map_err(failed)?;
        }
        Ok(Ownership::Shared)
    }
}

fn failed(what: &str, path: &Path, error: StoreError) -> Error {
    let (kind, retry) = match &error {
        StoreError::PermissionDenied { .. } => (ErrorKind::Permission, Retry::Never),
        StoreError::Unauthenticated { .. } => (ErrorKind::Auth, Retry::Never),
        StoreError::InvalidPath { .. } | StoreError::UnknownConfigurationKey { .. } => {
            (ErrorKind::Config, Retry::Never)
        }
        _ => (ErrorKind::Unavailable, Retry::Backoff),
    };
    Error::new(kind, what)
        .with("path", path.to_string())
        .retrying(retry)
        .caused_by(error)
}

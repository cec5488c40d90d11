//! Where it is kept what has been used.

use std::fmt;
use std::fs;
use std::io::{ErrorKind as Io, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::client::reason::Reason;
use crate::error::{Error, ErrorKind, Result};

/// Keeps what has been used of limits: a short text, written whole each time. Belongs to one process at a time.
#[async_trait]
pub trait PaceStore: fmt::Debug + Send + Sync {
    /// What was saved last; none if nothing was.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    async fn load(&self) -> Result<Option<String>>;

    /// Keeps this instead of what was saved before. What was saved is there after a crash as well.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    async fn save(&self, record: &str) -> Result<()>;
}

/// Forgets when the process ends.
#[derive(Debug, Default)]
pub struct MemoryPaceStore {
    record: Mutex<Option<String>>,
}

#[async_trait]
impl PaceStore for MemoryPaceStore {
    async fn load(&self) -> Result<Option<String>> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(record.clone())
    }

    async fn save(&self, record: &str) -> Result<()> {
        let mut kept = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(record.to_owned());
        Ok(())
    }
}

/// One file, replaced at once with each save.
#[derive(Clone, Debug)]
pub struct FilePaceStore {
    path: PathBuf,
}

impl FilePaceStore {
    /// A store in this file. Its folder has to be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path.clone();
        let shown = path.display().to_string();
        let done = tokio::task::spawn_blocking(move || work(&path)).await;
        let done = done.map_err(|source| {
            Error::new(ErrorKind::Internal, Reason::Internal, "a task ended early")
                .caused_by(source)
        })?;
        done.map_err(|source| {
            let message = "the file that keeps the pace cannot be used; check that its folder is there and may be \
                           written to";
            Error::config(message)
                .with("path", shown)
                .caused_by(source)
        })
    }
}

#[async_trait]
impl PaceStore for FilePaceStore {
    async fn load(&self) -> Result<Option<String>> {
        self.on_disk(|path| match fs::read_to_string(path) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == Io::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn save(&self, record: &str) -> Result<()> {
        let record = record.to_owned();
        self.on_disk(move |path| {
            let mut beside = path.as_os_str().to_owned();
            beside.push(".new");
            let mut file = fs::File::create(&beside)?;
            file.write_all(record.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        })
        .await
    }
}

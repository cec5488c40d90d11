//! A spool in a folder.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use super::payload::{self, Content, Payload};
use super::{Listed, OWNER, Ownership, SHARED, Spool, Spooled};
use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Digest;

/// A spool in a folder: one file a batch, `STREAM/BATCH-DIGEST.arrow`, with the first 16 digits of the
/// digest. Files whose names end in `.part` are being written, or their writer died.
///
/// A payload's name appears only once its bytes are on the disk. For that it is synchronised, named, and
/// the folder synchronised: twice in all. Naming it first would leave the second nothing to do, but takes
/// no less time (3 ms a batch either way), and a machine that loses power could have a torn file under a
/// whole one's name.
#[derive(Clone, Debug)]
pub struct FolderSpool {
    folder: Arc<Path>,
}

impl FolderSpool {
    /// Opens a folder, and makes it where it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where it cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| {
            let what = "the spool's folder cannot be made; choose one that can be written to";
            Error::new(ErrorKind::Config, what)
                .with("folder", folder.display().to_string())
                .caused_by(error)
        })?;
        Ok(Self {
            folder: folder.into(),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Arc::clone(&self.folder);
        super::blocking(move || work(&folder)).await
    }
}

#[async_trait]
impl Spool for FolderSpool {
    async fn put(&self, batch: &Batch) -> Result<Spooled> {
        let content = Content::of(batch);
        self.blocking(move |folder| put(folder, Payload::of(&content)?))
            .await
    }

    async fn get(&self, spooled: &Spooled) -> Result<RecordBatch> {
        let spooled = spooled.clone();
        self.blocking(move |folder| get(folder, &spooled)).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.blocking(move |folder| {
            let path = folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(failed("a spooled payload cannot be removed", &path, error))
                }
                _ => Ok(()),
            }
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        self.blocking(list).await
    }

    async fn claim(&self, store: Digest) -> Result<Ownership> {
        self.blocking(move |folder| {
            let path = folder.join(OWNER);
            claim(&path, &store.to_string()).map_err(|error| {
                let what = "the spool cannot be written to; free space or mend its permissions";
                failed(what, &path, error)
            })
        })
        .await
    }
}

fn put(folder: &Path, payload: Payload) -> Result<Spooled> {
    let Payload { bytes, spooled } = payload;
    let path = folder.join(&spooled.name);
    let parent = path.parent().unwrap_or(folder);
    // Each writer has a file of its own, so that two which write the same batch do not mix their bytes.
    let unfinished = path.with_extension(format!("{}.part", Uuid::now_v7()));
    let written = write(parent, &unfinished, &path, &bytes);
    written.map_err(|error| {
        // What could not be finished would take up room that is wanted.
        let _ = fs::remove_file(&unfinished);
        not_put(&path, bytes.len(), error)
    })?;
    Ok(spooled)
}

fn write(parent: &Path, unfinished: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(parent)?;
    let mut file = File::create_new(unfinished)?;
    file.write_all(bytes)?;
    // The name appears only once the bytes are on the disk, and the folder's own entry with it.
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    sync_folder(parent)
}

/// Why a batch is not in the spool. Nothing of it was sent, and nothing counts as read because of it.
fn not_put(path: &Path, needed: usize, error: io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::StorageFull => {
            "the disk is full and a batch cannot be spooled; free space or choose another folder for the spool, then run again: nothing is lost"
        }
        io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "a quota or limit of file sizes is reached and a batch cannot be spooled; raise it or choose another folder for the spool, then run again: nothing is lost"
        }
        _ => {
            "a batch cannot be spooled; see to the folder or choose another, then run again: nothing is lost"
        }
    };
    failed(what, path, error).with("needed_bytes", needed.to_string())
}

fn get(folder: &Path, spooled: &Spooled) -> Result<RecordBatch> {
    let path = folder.join(&spooled.name);
    let read = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => payload::gone(spooled).with("path", path.display().to_string()),
        _ => failed("a spooled payload cannot be read", &path, error),
    };
    let file = File::open(&path).map_err(read)?;
    // One that has grown is not read to its end to find that out.
    let mut bytes = Vec::with_capacity(usize::try_from(spooled.bytes).unwrap_or(0).min(MOST_AHEAD));
    let limit = spooled.bytes.saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(read)?;
    payload::rows(bytes, spooled).map_err(|error| error.with("path", path.display().to_string()))
}

/// Most bytes that are set aside for a payload before it is read.
const MOST_AHEAD: usize = 64 << 20;

fn list(folder: &Path) -> Result<Vec<Listed>> {
    let what = "the spool's folder cannot be listed";
    let mut found = Vec::new();
    for stream in entries(folder).map_err(|error| failed(what, folder, error))? {
        if !stream.is_dir() {
            continue;
        }
        let unlisted = |error| failed(what, &stream, error);
        for path in entries(&stream).map_err(unlisted)? {
            let facts = match fs::metadata(&path) {
                // Renamed or removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                facts => facts.map_err(unlisted)?,
            };
            let Ok(name) = path.strip_prefix(folder) else {
                continue;
            };
            if !facts.is_file() {
                continue;
            }
            found.push(Listed {
                // As payloads are named, whatever parts paths here.
                name: name.to_string_lossy().replace('\\', "/"),
                bytes: facts.len(),
                written_at: OffsetDateTime::from(facts.modified().map_err(unlisted)?),
            });
        }
    }
    Ok(found)
}

fn claim(path: &Path, store: &str) -> io::Result<Ownership> {
    let owner = match File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path)?,
        made => made.map(|_| String::new())?,
    };
    // Empty is also what a writer leaves that was stopped in between.
    if owner.is_empty() {
        fs::write(path, store)?;
    } else if owner != store {
        if owner != SHARED {
            fs::write(path, SHARED)?;
        }
        return Ok(Ownership::Shared);
    }
    Ok(Ownership::Sole)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file; its entries are journalled by the file system.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, what)
        .with("path", path.display().to_string())
        .caused_by(error)
}

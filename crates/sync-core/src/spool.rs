//! The spool: payloads of batches, kept until they are settled and for a retention time after.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_select::concat::concat_batches;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::batch::Batch;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BatchId, Digest};
use crate::stream::StreamName;

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
    async fn put(&self, batch: &Batch) -> Result<Spooled>;

    /// Gives the rows back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where they are gone, [`ErrorKind::Data`] where they are not what was put in.
    async fn get(&self, spooled: &Spooled) -> Result<RecordBatch>;

    /// Forgets a payload. One that is not there is no error.
    async fn remove(&self, spooled: &Spooled) -> Result<()>;
}

/// A spool in a folder: one Arrow IPC file a batch, `STREAM/BATCH-DIGEST.arrow`, with the first 16 digits
/// of the digest.
///
/// The digest is in the name because two runs may spool the same batch at once, one of them on its way
/// to being told that it lost the stream. Their rows tell different times of synchronising, so neither
/// may overwrite what the other's ledger entry vouches for.
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
        tokio::task::spawn_blocking(move || work(&folder))
            .await
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "work on the spool was cut short").caused_by(error)
            })?
    }
}

#[async_trait]
impl Spool for FolderSpool {
    async fn put(&self, batch: &Batch) -> Result<Spooled> {
        let (stream, id, rows) = (
            batch.stream().name.clone(),
            batch.id(),
            batch.rows().clone(),
        );
        self.blocking(move |folder| put(folder, &stream, id, &rows))
            .await
    }

    async fn get(&self, spooled: &Spooled) -> Result<RecordBatch> {
        let spooled = spooled.clone();
        self.blocking(move |folder| get(folder, &spooled)).await
    }

    async fn remove(&self, spooled: &Spooled) -> Result<()> {
        let spooled = spooled.clone();
        self.blocking(move |folder| {
            let path = folder.join(&spooled.name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(failed("a spooled payload cannot be removed", &path, error))
                }
                _ => Ok(()),
            }
        })
        .await
    }
}

fn put(folder: &Path, stream: &StreamName, id: BatchId, rows: &RecordBatch) -> Result<Spooled> {
    let parent = folder.join(stream.as_str());
    let what = "a batch cannot be spooled; free space or choose another folder, then run again";
    fs::create_dir_all(&parent).map_err(|error| failed(what, &parent, error))?;

    let unfinished = parent.join(format!("{id}-{}.part", Uuid::now_v7()));
    let file = File::create_new(&unfinished).map_err(|error| failed(what, &unfinished, error))?;
    let not_written = |error| failed(what, &unfinished, arrow_error(error));
    let hashing = Hashing {
        file: std::io::BufWriter::new(file),
        hash: Sha256::new(),
        bytes: 0,
    };
    let mut writer = FileWriter::try_new(hashing, rows.schema_ref()).map_err(not_written)?;
    writer.write(rows).map_err(not_written)?;
    let hashing = writer.into_inner().map_err(not_written)?;
    let (digest, bytes) = (
        Digest::from_bytes(hashing.hash.finalize().into()),
        hashing.bytes,
    );
    let file = hashing
        .file
        .into_inner()
        .map_err(|error| failed(what, &unfinished, error.into_error()))?;

    // The name appears only once the bytes are on the disk, and the folder's own entry with it.
    file.sync_all()
        .map_err(|error| failed(what, &unfinished, error))?;
    let digits = digest.to_string();
    let name = format!("{stream}/{id}-{}.arrow", &digits[..16]);
    let path = folder.join(&name);
    fs::rename(&unfinished, &path).map_err(|error| failed(what, &path, error))?;
    sync_folder(&parent).map_err(|error| failed(what, &parent, error))?;
    Ok(Spooled {
        name,
        bytes,
        digest,
    })
}

fn get(folder: &Path, spooled: &Spooled) -> Result<RecordBatch> {
    let path = folder.join(&spooled.name);
    let open = || {
        File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                let what =
                    "a spooled payload is gone; its records must be read from the source again";
                Error::new(ErrorKind::NotFound, what).with("file", path.display().to_string())
            }
            _ => failed("a spooled payload cannot be opened", &path, error),
        })
    };
    let mut hash = Sha256::new();
    let mut reader = BufReader::with_capacity(1 << 16, open()?);
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = reader
            .read(&mut piece)
            .map_err(|error| failed("a spooled payload cannot be read", &path, error))?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
    }
    let damaged = || {
        let what = "a spooled payload is damaged; its records must be read from the source again";
        Error::new(ErrorKind::Data, what).with("file", path.display().to_string())
    };
    if Digest::from_bytes(hash.finalize().into()) != spooled.digest {
        return Err(damaged());
    }
    let unreadable = |error: arrow_schema::ArrowError| damaged().caused_by(error);
    let reader = FileReader::try_new_buffered(open()?, None).map_err(unreadable)?;
    let schema = reader.schema();
    let batches = reader
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    concat_batches(&schema, &batches).map_err(unreadable)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file; its entries are journalled by the file system.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, what)
        .with("path", path.display().to_string())
        .caused_by(error)
}

fn arrow_error(error: arrow_schema::ArrowError) -> std::io::Error {
    match error {
        arrow_schema::ArrowError::IoError(_, error) => error,
        other => std::io::Error::other(other),
    }
}

/// Hashes what passes through on its way to the file.
#[derive(Debug)]
struct Hashing {
    file: std::io::BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

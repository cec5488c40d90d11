//! Knowing of a holder on this machine that it is gone.
//!
//! Whoever has the store open holds a lock on a file of its own beside it. The operating system lets go
//! of the lock when the process ends, so a file that can be locked is a dead holder's.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result, Retry};

/// This handle's own file, locked.
#[derive(Debug)]
pub(super) struct Liveness {
    handle: Uuid,
    store: PathBuf,
    /// Held for its lock alone.
    _lock: File,
}

impl Liveness {
    /// Makes this handle known to be alive, and clears up behind those that are not.
    pub(super) fn begin(store: &Path) -> Result<Self> {
        for path in dead(store) {
            // Whoever else clears up at this time may be faster.
            let _ = fs::remove_file(path);
        }
        let handle = Uuid::new_v4();
        let path = file_of(store, handle);
        let refused =
            |kind, what: &str| Error::new(kind, what).with("lock", path.display().to_string());
        let lock = File::create_new(&path).map_err(|error| {
            let what = "the store's folder cannot be written to; choose one that can";
            refused(ErrorKind::Config, what).caused_by(error)
        })?;
        lock.try_lock().map_err(|error| {
            let what = "this file system keeps no locks; put the store on a local disk";
            refused(ErrorKind::Config, what).caused_by(error)
        })?;
        Ok(Self {
            handle,
            store: store.to_owned(),
            _lock: lock,
        })
    }

    /// What tells this handle from all others.
    pub(super) fn handle(&self) -> Uuid {
        self.handle
    }

    /// Whether a handle that some process of this machine had is gone.
    pub(super) fn is_gone(&self, handle: Uuid) -> bool {
        handle != self.handle && is_dead(&file_of(&self.store, handle))
    }
}

impl Drop for Liveness {
    fn drop(&mut self) {
        let _ = fs::remove_file(file_of(&self.store, self.handle));
    }
}

/// Older versions let one process at a time have the store, by this lock. Whoever brings its schema up
/// to date holds it meanwhile.
pub(super) fn hold_against_older(store: &Path) -> Result<File> {
    let path = beside(store, "lock");
    let refused =
        |kind, what: &str| Error::new(kind, what).with("lock", path.display().to_string());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| {
            let what = "the store's folder cannot be written to; choose one that can";
            refused(ErrorKind::Config, what).caused_by(error)
        })?;
    file.try_lock().map_err(|_| {
        let what = "an older version of this software is using the store; wait until it has ended";
        refused(ErrorKind::Conflict, what).retrying(Retry::Backoff)
    })?;
    Ok(file)
}

fn dead(store: &Path) -> Vec<PathBuf> {
    let folder = match store.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Vec::new(),
    };
    let opening = beside(store, "holder-");
    let Some(opening) = opening.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let of_holders = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with(opening))
    });
    of_holders
        .map(|entry| entry.path())
        .filter(|path| is_dead(path))
        .collect()
}

fn is_dead(path: &Path) -> bool {
    match File::options().write(true).open(path) {
        Ok(file) => !matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn file_of(store: &Path, handle: Uuid) -> PathBuf {
    beside(store, &format!("holder-{handle}"))
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(store);
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

//! What has happened in the simulated company, so that a new start can let it happen again.
//!
//! The simulator forgets when the process ends; the file does not. Its changes are functions of
//! seed, scale and round, so the number of rounds is all that must be remembered.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use intacct_sync_examples::simulated::Scale;

pub(crate) struct Diary {
    path: PathBuf,
    page: Page,
}

#[derive(Serialize, Deserialize)]
struct Page {
    seed: u64,
    scale: Scale,
    rounds: u32,
}

impl Diary {
    pub(crate) fn open(folder: &Path, seed: u64, scale: Scale) -> Result<Self> {
        let path = folder.join("company.json");
        let page = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{} is not what this program writes; choose another --dir",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Page {
                seed,
                scale,
                rounds: 0,
            },
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", path.display()));
            }
        };
        if (page.seed, page.scale) != (seed, scale) {
            bail!(
                "{} holds the books of another company (seed {}, scale {}); choose another --dir, \
                 or those",
                folder.display(),
                page.seed,
                page.scale
            );
        }
        Ok(Self { path, page })
    }

    /// The rounds that have begun.
    pub(crate) fn rounds(&self) -> u32 {
        self.page.rounds
    }

    /// Notes that another round begins, before anything of it happens.
    pub(crate) fn begin_round(&mut self) -> Result<u32> {
        self.page.rounds += 1;
        self.write()
            .with_context(|| format!("{} cannot be written", self.path.display()))?;
        Ok(self.page.rounds)
    }

    fn write(&self) -> Result<()> {
        let unfinished = self.path.with_extension("part");
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(&self.page)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        Ok(())
    }
}

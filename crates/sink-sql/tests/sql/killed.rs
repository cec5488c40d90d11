//! A process of its own that writes small batches and then one that never ends, until it is killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use sync_core::{Batch, Landed, Sink};

use crate::behaviour::upserts;
use crate::vendors::{row, vendors};

const SMALL: u64 = 3;

/// The process, which does not outlive the test, whatever becomes of that.
pub(crate) struct Killed(Child);

impl Killed {
    /// Starts the child of this name among the tests, told where by these variables, and waits until its small batches
    /// are written.
    pub(crate) fn start<'v>(
        child: &str,
        told: impl IntoIterator<Item = (&'static str, &'v OsStr)>,
    ) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", child, "--nocapture"])
            .envs(told)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let child = Self(child);
        assert!(lines.any(|line| line.unwrap().contains("small batches written")));
        child
    }

    pub(crate) fn assert_still_runs(&mut self) {
        assert!(
            self.0.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the child does.
pub(crate) async fn write_until_killed(sink: &impl Sink, long: &Batch) {
    for ordinal in 0..SMALL {
        sink.write(&small_batch(ordinal)).await.unwrap();
    }
    println!("small batches written");
    sink.write(long).await.unwrap();
}

pub(crate) async fn assert_small_batches_landed(sink: &impl Sink) {
    for ordinal in 0..SMALL {
        let landed = sink.lookup(&small_batch(ordinal).id()).await.unwrap();
        assert!(matches!(landed, Landed::Yes(_)));
    }
}

/// One of those that the child wrote, of three rows named `small`.
pub(crate) fn small_batch(ordinal: u64) -> Batch {
    let rows = ["a", "b", "c"].map(|key| row(&format!("{key}{ordinal}"), "small"));
    upserts(&vendors(), ordinal, rows.into())
}

/// So many rows of this name, and one named `the end`, which is never done with.
pub(crate) fn long_batch(rows: usize, name: &str) -> Batch {
    let rows = (0..rows).map(|key| row(&format!("long{key}"), name));
    let end = row("long at last", "the end");
    upserts(&vendors(), 1000, rows.chain([end]).collect())
}

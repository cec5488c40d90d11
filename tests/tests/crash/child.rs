//! The process that is killed: one run of the pipeline.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sync_core::pipeline::{ReplayOptions, ReplaySelection};
use sync_core::store::{LetterFilter, ReplayMode};
use sync_core::{RecordKey, StreamName};
use time::OffsetDateTime;

use crate::books::Books;
use crate::home::{Home, clock, pipeline};
use crate::stepped::{stepped, stepped_source};
use crate::steps::{Border, Kill, Steps, reached};

/// Where the child finds what it is to do.
const ORDERS: &str = "CRASH_TEST_ORDERS";

/// What a child's pipeline is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Errand {
    /// Bring a day to the destination.
    Run,
    /// Send every batch again, whether it is there or not.
    Replay,
    /// Send the letter of this record again, which could not be read and now can.
    Retry { stream: StreamName, key: RecordKey },
}

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) errand: Errand,
    pub(crate) home: Home,
    pub(crate) seed: u64,
    pub(crate) day: u32,
    /// What its clock shows, in seconds since 1970.
    pub(crate) now: i64,
    pub(crate) kill: Option<Kill>,
    /// What tells its files from those of others.
    pub(crate) number: u32,
}

impl Orders {
    fn file(&self, what: &str) -> PathBuf {
        self.home.folder.join(format!("{what}-{}", self.number))
    }

    /// Starts the child.
    pub(crate) fn carry_out(&self) -> Running {
        self.start(Command::new(std::env::current_exe().unwrap()))
    }

    /// Starts a child that can write no file beyond so many blocks of 512 or 1024 bytes.
    pub(crate) fn carry_out_with(&self, blocks: u32) -> Running {
        let mut shell = Command::new("sh");
        // A write beyond the limit is an error then, and no signal.
        shell.args(["-c", r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#]);
        shell.arg(blocks.to_string());
        shell.arg(std::env::current_exe().unwrap());
        self.start(shell)
    }

    fn start(&self, mut command: Command) -> Running {
        let said = File::create(self.file("said")).unwrap();
        let child = command
            .args(["--exact", "child::the_child_that_is_killed", "--nocapture"])
            .env(ORDERS, serde_json::to_string(self).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        Running {
            child,
            orders: self.clone(),
        }
    }
}

/// A child that does not outlive the test, whatever becomes of that.
pub(crate) struct Running {
    child: Child,
    orders: Orders,
}

/// How a child ended, and the borders that it reached, in their order.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) borders: Vec<Border>,
    /// What it told; nothing where it was killed.
    pub(crate) told: Option<Value>,
}

impl Running {
    /// Kills it from outside, so long from now.
    pub(crate) fn kill_after(&mut self, moment: Duration) {
        // No more than a draw of lots: whatever the child does at that time, it is killed.
        std::thread::sleep(moment);
        self.child.kill().unwrap();
    }

    pub(crate) fn end(mut self) -> End {
        let status = self.child.wait().unwrap();
        let orders = &self.orders;
        let said = || std::fs::read_to_string(orders.file("said")).unwrap();
        let told = match (status.code(), status.signal()) {
            (Some(0), _) => {
                let told = std::fs::read_to_string(orders.file("told")).unwrap();
                Some(serde_json::from_str(&told).unwrap())
            }
            (_, Some(9)) => None,
            _ => panic!("{orders:?} ended with {status}: {}", said()),
        };
        let borders = reached(&orders.file("trace"));
        for file in ["trace", "told", "said"] {
            let _ = std::fs::remove_file(orders.file(file));
        }
        End { borders, told }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test by itself: the process that the tests start.
#[test]
fn the_child_that_is_killed() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let told = runtime.block_on(run(&orders));
    std::fs::write(orders.file("told"), told.to_string()).unwrap();
}

async fn run(orders: &Orders) -> Value {
    match try_to_run(orders).await {
        Ok(report) => report,
        Err(error) => serde_json::json!({ "error": error.chain() }),
    }
}

async fn try_to_run(orders: &Orders) -> sync_core::Result<Value> {
    let clock = clock(orders.now);
    let steps = Steps::traced(&orders.file("trace"), orders.kill.clone());
    let steps = Arc::new(steps);
    let opened = steps.around("open", orders.home.road(&clock)).await;
    let road = stepped(opened?, &orders.home, &steps);
    let mut books = Books::on(orders.seed, orders.day);
    books.rereads = matches!(orders.errand, Errand::Retry { .. });
    let source = stepped_source(books, &steps);
    let pipeline = pipeline(source, road, clock, Arc::clone(&steps) as _);
    Ok(match &orders.errand {
        Errand::Run => serde_json::to_value(pipeline.run().await?),
        Errand::Replay => {
            let (from, until) = (None, clock_end());
            let everything = ReplaySelection::Window { from, until };
            let force = ReplayOptions::in_mode(ReplayMode::Force);
            serde_json::to_value(pipeline.replay(&everything, &force).await?)
        }
        Errand::Retry { stream, key } => {
            let mut filter = LetterFilter::default();
            (filter.stream, filter.key) = (Some(stream.clone()), Some(key.clone()));
            serde_json::to_value(pipeline.retry_letters(&filter).await?)
        }
    }
    .unwrap())
}

/// Later than all windows.
fn clock_end() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(4_000_000_000).unwrap()
}

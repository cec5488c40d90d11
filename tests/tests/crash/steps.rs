//! The steps of a run: counted, noted, and the places at which it is killed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sync_core::clock::Sleeper;
use tokio::sync::Notify;

/// Steps between the renewals of a lease.
const STEPS_A_RENEWAL: u64 = 40;

/// A border of a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Border {
    pub(crate) moment: Moment,
    /// What is done, such as `store.settle(upsert) of bill`.
    pub(crate) step: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Moment {
    Before,
    After,
}

impl fmt::Display for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.moment {
            Moment::Before => '>',
            Moment::After => '<',
        };
        write!(f, "{sign}{}", self.step)
    }
}

impl Border {
    /// The step, of whichever stream.
    pub(crate) fn kind(&self) -> &str {
        self.step.split(" of ").next().unwrap_or(&self.step)
    }

    fn read(line: &str) -> Option<Self> {
        let moment = match line.get(..1)? {
            ">" => Moment::Before,
            "<" => Moment::After,
            _ => return None,
        };
        let step = line[1..].to_owned();
        Some(Self { moment, step })
    }
}

/// When a process kills itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kill {
    pub(crate) at: Border,
    /// Which time that this border is reached, from 1.
    pub(crate) time: u32,
    /// How long after it.
    pub(crate) later: Duration,
}

/// What happens at a border; the number says which time it is reached.
pub(crate) type Happening = dyn Fn(&Border, u32) + Send + Sync;

/// The steps of one run.
pub(crate) struct Steps {
    state: Mutex<State>,
    happening: Box<Happening>,
    reached: Notify,
}

struct State {
    reached: BTreeMap<Border, u32>,
    total: u64,
    trace: Option<File>,
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}

impl Steps {
    /// Something happens at each border.
    pub(crate) fn with(happening: impl Fn(&Border, u32) + Send + Sync + 'static) -> Self {
        Self::new(None, Box::new(happening))
    }

    /// Each border is noted in a file, then the process is killed where that is the order.
    pub(crate) fn traced(trace: &Path, kill: Option<Kill>) -> Self {
        let killing = move |border: &Border, time| {
            if let Some(kill) = kill
                .as_ref()
                .filter(|it| it.at == *border && it.time == time)
            {
                kill_this_process(kill.later);
            }
        };
        let trace = File::create(trace).unwrap();
        Self::new(Some(trace), Box::new(killing))
    }

    fn new(trace: Option<File>, happening: Box<Happening>) -> Self {
        let state = State {
            reached: BTreeMap::new(),
            total: 0,
            trace,
        };
        Self {
            state: Mutex::new(state),
            happening,
            reached: Notify::new(),
        }
    }

    pub(crate) async fn around<T>(&self, step: &str, work: impl Future<Output = T>) -> T {
        self.reach(Moment::Before, step);
        let done = work.await;
        self.reach(Moment::After, step);
        done
    }

    fn reach(&self, moment: Moment, step: &str) {
        let step = step.to_owned();
        let border = Border { moment, step };
        let time = {
            let mut state = self.state.lock().unwrap();
            if let Some(trace) = &mut state.trace {
                // One call, so that a line is there whole or not at all.
                trace.write_all(format!("{border}\n").as_bytes()).unwrap();
            }
            state.total += 1;
            let time = state.reached.entry(border.clone()).or_default();
            *time += 1;
            *time
        };
        (self.happening)(&border, time);
        self.reached.notify_waiters();
    }

    fn total(&self) -> u64 {
        self.state.lock().unwrap().total
    }
}

/// Time passes as steps are made, so that leases are renewed in the middle of the shortest run.
#[async_trait]
impl Sleeper for Steps {
    async fn sleep(&self, _: Duration) {
        let until = self.total() + STEPS_A_RENEWAL;
        loop {
            let reached = self.reached.notified();
            if self.total() >= until {
                return;
            }
            reached.await;
        }
    }
}

/// The borders that a run has reached, in their order.
pub(crate) fn reached(trace: &Path) -> Vec<Border> {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    text.lines()
        .map(|line| Border::read(line).unwrap())
        .collect()
}

fn kill_this_process(later: Duration) {
    let kill = || {
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
    };
    if later.is_zero() {
        kill();
    } else {
        let reached = Instant::now();
        std::thread::spawn(move || {
            while reached.elapsed() < later {
                std::hint::spin_loop();
            }
            kill();
        });
    }
}

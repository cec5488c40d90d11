//! The clocks that candidates are measured with.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What is counted as the time that a candidate takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The processor time of the thread that measures: other work on a shared machine counts only
    /// through caches and clock rates. For code that stays on one thread and does not wait.
    ///
    /// Where the platform has no such clock, it is wall time.
    #[default]
    ThreadCpu,
    /// Wall time, where waiting is the subject.
    Wall,
}

impl Clock {
    /// The time since some moment that stays the same.
    pub fn now(self) -> Duration {
        match self {
            Self::ThreadCpu => thread_cpu(),
            Self::Wall => wall(),
        }
    }
}

#[cfg(unix)]
fn thread_cpu() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

#[cfg(not(unix))]
fn thread_cpu() -> Duration {
    wall()
}

fn wall() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed()
}

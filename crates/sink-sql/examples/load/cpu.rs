//! Processor time, which tells more than wall time where a machine is shared. Linux tells it.

use std::fs;
use std::time::Duration;

/// What /proc counts in: 100 a second on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of this process.
pub(crate) fn own() -> Duration {
    of(std::process::id(), Children::Left)
}

/// The processor time of a process, of those that it has started, and of those of them that have
/// ended.
#[cfg(all(feature = "postgres", unix))]
pub(crate) fn with_children(process: u32) -> Duration {
    let mut total = of(process, Children::Ended);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(number) = number
            && fields(number)
                .first()
                .is_some_and(|&parent| parent == u64::from(process))
        {
            total += of(number, Children::Left);
        }
    }
    total
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Children {
    Left,
    #[cfg(all(feature = "postgres", unix))]
    Ended,
}

fn of(process: u32, children: Children) -> Duration {
    let fields = fields(process);
    // proc_pid_stat(5): utime, stime, cutime, cstime, counted from the parent's number.
    let taken = if children == Children::Left {
        10..12
    } else {
        10..14
    };
    let ticks: u64 = fields.get(taken).unwrap_or_default().iter().sum();
    TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The numbers of /proc/PID/stat from the parent's on, behind the name, which may hold anything.
fn fields(process: u32) -> Vec<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let numbers = behind_name.split_whitespace().skip(1);
    numbers.map(|number| number.parse().unwrap_or(0)).collect()
}

//! What the figures were measured on.

use std::fmt;
use std::process::Command;

use time::{Date, OffsetDateTime};

/// The machine, its compiler and the day.
#[derive(Clone, Debug)]
pub struct Machine {
    day: Date,
    processor: String,
    processors: usize,
    /// How many threads wanted a processor in the last minute, if the system says.
    load: Option<String>,
    compiler: String,
}

impl Machine {
    /// This machine, now.
    pub fn this() -> Self {
        Self {
            day: OffsetDateTime::now_utc().date(),
            processor: processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            load: load(),
            compiler: answer("rustc", &["--version"]).unwrap_or_else(|| "rustc".to_owned()),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            day,
            processor,
            processors,
            ..
        } = self;
        write!(f, "{day}, {processor}, {processors} processors")?;
        if let Some(load) = &self.load {
            write!(f, ", load {load}")?;
        }
        write!(f, ", {}", self.compiler)
    }
}

fn processor() -> Option<String> {
    let described = std::fs::read_to_string("/proc/cpuinfo").ok();
    let model = described.as_deref().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    model.or_else(|| answer("sysctl", &["-n", "machdep.cpu.brand_string"]))
}

fn load() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split(' ').next()?.to_owned())
}

fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    // The commit and its day in brackets say nothing that the version does not.
    let text = text.split(" (").next()?;
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

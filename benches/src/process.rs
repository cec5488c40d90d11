//! Parts of a measurement that run in processes of their own, so that what they use is theirs alone.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::paced::Pace;
use crate::parsing::Result;

/// The argument before the name of a part.
pub const PART: &str = "--part";

/// The name of the part that is a paced gateway.
pub const GATEWAY: &str = "gateway";

/// What a process used for its work.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The records that it moved.
    pub records: u64,
    /// From the first request behind the login to the end.
    pub wall: Duration,
    /// Processor time in the same span.
    pub cpu: Duration,
    /// The most memory that was resident since the process began, in bytes; 0 where the platform
    /// does not tell.
    pub peak_bytes: u64,
}

impl Usage {
    /// Runs the work and says what it used.
    ///
    /// # Errors
    /// As the work.
    pub fn of(work: impl FnOnce() -> Result<u64>) -> Result<Self> {
        let (begun, cpu_before) = (Instant::now(), cpu());
        let records = work()?;
        Ok(Self {
            records,
            wall: begun.elapsed(),
            cpu: cpu().saturating_sub(cpu_before),
            peak_bytes: peak_bytes(),
        })
    }

    /// A line that another process reads.
    pub fn line(&self) -> String {
        let nanos = |time: Duration| time.as_nanos();
        let (records, peak) = (self.records, self.peak_bytes);
        format!("{records} {} {} {peak}", nanos(self.wall), nanos(self.cpu))
    }

    fn parse(line: &str) -> Result<Self> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let mut next = || -> Result<u64> { Ok(numbers.next().ok_or("a part says too little")??) };
        Ok(Self {
            records: next()?,
            wall: Duration::from_nanos(next()?),
            cpu: Duration::from_nanos(next()?),
            peak_bytes: next()?,
        })
    }

    /// Microseconds of processor time a record.
    pub fn cpu_micros_a_record(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.records.max(1) as f64
    }

    /// Records a second.
    pub fn speed(&self) -> f64 {
        self.records as f64 / self.wall.as_secs_f64()
    }

    /// The most resident memory in units of 2²⁰ bytes.
    pub fn peak_mib(&self) -> f64 {
        self.peak_bytes as f64 / f64::from(1 << 20)
    }
}

/// A paced gateway in its own process; it ends with this value.
#[derive(Debug)]
pub struct GatewayProcess {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl GatewayProcess {
    /// Starts one.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(pace: &Pace) -> Result<Self> {
        let mut child = part(GATEWAY, &pace.arguments())?
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let told = child.stdout.as_mut().ok_or("the gateway says nothing")?;
        BufReader::new(told).read_line(&mut url)?;
        let url = url.trim().to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a part to its end.
///
/// # Errors
/// If it fails, or does not say what it used.
pub fn run(name: &str, arguments: &[String]) -> Result<Usage> {
    let mut child = part(name, arguments)?.stdout(Stdio::piped()).spawn()?;
    let mut told = String::new();
    let out = child.stdout.as_mut().ok_or("the part says nothing")?;
    out.read_to_string(&mut told)?;
    if !child.wait()?.success() {
        return Err(format!("the part {name} failed").into());
    }
    Usage::parse(&told)
}

/// A part in the program that has only it, if that was built; else in this one, whose size then counts
/// as memory.
fn part(name: &str, arguments: &[String]) -> Result<Command> {
    let this = std::env::current_exe()?;
    let own = this.with_file_name(format!("part-{name}{}", std::env::consts::EXE_SUFFIX));
    let mut command = match own.exists() {
        true => Command::new(own),
        false => {
            let mut whole = Command::new(this);
            whole.arg(PART).arg(name);
            whole
        }
    };
    command.args(arguments);
    Ok(command)
}

/// What a program does that has only one part: runs it and tells what it used.
///
/// # Errors
/// As the part.
pub fn tell(run: fn(&[String]) -> Result<Usage>) -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let line = run(&arguments)?.line();
    Ok(std::io::stdout().write_all(line.as_bytes())?)
}

#[cfg(unix)]
fn cpu() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

#[cfg(not(unix))]
fn cpu() -> Duration {
    Duration::ZERO
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

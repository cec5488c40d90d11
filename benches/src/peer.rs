//! Programs in other languages that read the same page, each in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::parsing::Result;

/// Where the programs and their packages are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// A program that reads a page each time that it is asked to, and says how long that took.
///
/// It ends with its value.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// How many records it finds in the page.
    pub records: u64,
}

impl Peer {
    /// What Python programs do: `taps` or `lxml`.
    ///
    /// # Errors
    /// If there is no Python or a package is missing.
    pub fn python(way: &str, page: &Path) -> Result<Self> {
        let own = Path::new(FOLDER).join(".venv/bin/python3");
        let python = if own.exists() {
            own
        } else {
            PathBuf::from("python3")
        };
        let mut command = Command::new(python);
        command.arg("read_page.py").arg(way).arg(page);
        Self::start(command)
    }

    /// What the vendor's SDK for Node does.
    ///
    /// # Errors
    /// If there is no Node or the package is missing.
    pub fn node(page: &Path) -> Result<Self> {
        let mut command = Command::new("node");
        command.arg("read_page.js").arg(page);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let mut process = command
            .current_dir(FOLDER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("{} cannot be run: {error}", command.get_program().display())
            })?;
        let answers = process.stdout.take().ok_or("the program says nothing")?;
        let mut peer = Self {
            orders: process.stdin.take(),
            answers: BufReader::new(answers),
            records: 0,
            process,
        };
        peer.records = match peer.number() {
            Ok(records) => records,
            Err(_) => return Err(peer.last_words().into()),
        };
        Ok(peer)
    }

    /// Has the page read once; the processor time that it took.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn read(&mut self) -> Result<Duration> {
        let orders = self.orders.as_mut().ok_or("the program takes no orders")?;
        orders.write_all(b"\n")?;
        orders.flush()?;
        Ok(Duration::from_nanos(self.number()?))
    }

    fn number(&mut self) -> Result<u64> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    fn last_words(&mut self) -> String {
        let errors = self.process.stderr.take();
        let lines = errors.map(|errors| BufReader::new(errors).lines().map_while(|l| l.ok()));
        let last = lines.into_iter().flatten().last();
        last.unwrap_or_else(|| "the program said nothing".to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Without more orders it ends by itself.
        self.orders = None;
        let _ = self.process.wait();
    }
}

//! The server: found, made, started, stopped, and its databases.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

/// Waits for the end of its input, which comes when the process that started it is gone, and clears up
/// behind it. `$1` is pg_ctl, `$2` the data, `$3` the folder.
const CARETAKER: &str = r#"read -r _; "$1" stop --mode immediate --pgdata "$2"; rm -rf "$3""#;

/// A Postgres that listens on a Unix socket in its own folder alone, and trusts whoever can reach it.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// Whom the server runs as: Postgres refuses to be run by root.
    user: Option<User>,
    databases: AtomicU64,
    disk: Disk,
    /// Its input is closed when this process ends.
    caretaker: Child,
}

/// Whether a server waits until what it confirms is on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// It does, as in production; for measuring.
    Awaited,
    /// It does not: quicker, and a failure of the machine could lose something.
    Ignored,
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Connections are told and closed, open transactions rolled back.
    Fast,
    /// As when its power fails; it recovers at the next start.
    Immediate,
}

/// An empty database of one test. It stays until the server goes.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Server,
    name: String,
}

#[derive(Clone, Copy, Debug)]
struct User {
    id: u32,
    group: u32,
}

impl Server {
    /// The server that all tests of this process share; none, and a word about it, where Postgres is
    /// not installed. Restart only servers of your own.
    #[allow(clippy::print_stderr)]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        let shared = SHARED.get_or_init(Self::start).as_ref();
        if shared.is_none() {
            eprintln!("skipped: no Postgres is found here; install it, or set POSTGRES_BIN");
        }
        shared
    }

    /// Makes and starts a server of the caller's own; none where Postgres is not installed.
    ///
    /// A transaction that it confirmed survives [`Stop::Immediate`], and not the machine's own
    /// failure, which no test brings about: it does not wait for the disk.
    pub fn start() -> Option<Self> {
        Self::start_with(Disk::Ignored)
    }

    /// As [`Server::start`], with a disk that is awaited or not.
    pub fn start_with(disk: Disk) -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(
                std::env::var_os("POSTGRES_REQUIRED").is_none(),
                "Postgres is required here, and its programs are not found"
            );
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir()
            .unwrap_or_else(|error| panic!("no temporary folder can be made: {error}"));
        let user = substitute_for_root(&folder);
        let folder = folder.keep();
        let data = folder.join("data");
        let mut make = command(&programs.join("initdb"), user);
        make.args(["--auth=trust", "--username=postgres", "--encoding=UTF8"]);
        make.args(["--no-locale", "--no-sync", "--pgdata"])
            .arg(&data);
        run(&mut make);
        let caretaker = command(Path::new("sh"), user)
            .args(["-c", CARETAKER, "caretaker"])
            .args([&programs.join("pg_ctl"), &data, &folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // So that an interrupt at the keyboard does not end it first.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("no caretaker for Postgres: {error}"));
        let server = Self {
            programs,
            folder,
            user,
            databases: AtomicU64::new(0),
            disk,
            caretaker,
        };
        server.resume();
        Some(server)
    }

    /// Starts it again once it was stopped; returns when it answers.
    pub fn resume(&self) {
        let disk = match self.disk {
            Disk::Awaited => "on",
            Disk::Ignored => "off",
        };
        let options = format!(
            "-c unix_socket_directories='{}' -c listen_addresses='' -c fsync={disk} \
             -c full_page_writes={disk} -c max_connections=200 -c logging_collector=off",
            self.folder.display()
        );
        let mut start = command(&self.programs.join("pg_ctl"), self.user);
        start.args(["start", "--wait", "--timeout=60", "--options", &options]);
        start.arg("--log").arg(self.folder.join("log"));
        start.arg("--pgdata").arg(self.folder.join("data"));
        // The server inherits these, and whoever reads the test's output would wait for it.
        start.stdout(Stdio::null()).stderr(Stdio::null());
        let status = start
            .status()
            .unwrap_or_else(|error| panic!("pg_ctl cannot be run: {error}"));
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(status.success(), "Postgres does not start: {}", log());
    }

    /// Stops it; returns when it is gone.
    pub fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let mut stop = command(&self.programs.join("pg_ctl"), self.user);
        stop.args(["stop", "--wait", "--timeout=60", "--mode", mode]);
        stop.arg("--pgdata").arg(self.folder.join("data"));
        run(&mut stop);
    }

    /// Makes an empty database.
    pub fn database(&self) -> Database<'_> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        Database { server: self, name }
    }

    /// The folder that holds its socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn psql(&self, database: &str, statements: &str) -> String {
        let mut psql = command(&self.programs.join("psql"), self.user);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        psql.args(["--set=ON_ERROR_STOP=1", "--username=postgres", "--host"]);
        psql.arg(&self.folder)
            .args(["--dbname", database, "--command", statements]);
        run(&mut psql).trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.caretaker.stdin.take());
        let _ = self.caretaker.wait();
    }
}

impl Database<'_> {
    /// How to connect to it: words and values, as libpq and tokio-postgres read them.
    pub fn settings(&self) -> String {
        let folder = self.server.folder.display();
        format!("host={folder} user=postgres dbname={}", self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `psql` answers to a statement: a line for each row, columns parted by `|`, null empty.
    pub fn ask(&self, statement: &str) -> String {
        self.server.psql(&self.name, statement)
    }
}

/// The folder of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let named = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<PathBuf> = ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path().join("bin")))
        .collect();
    installed.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    named
        .into_iter()
        .chain(installed)
        .chain(std::env::split_paths(&search_path))
        .find(|folder| {
            ["initdb", "pg_ctl", "postgres", "psql"]
                .iter()
                .all(|program| folder.join(program).is_file())
        })
}

/// The number in `/usr/lib/postgresql/15/bin`.
fn version(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name);
    let digits: String = name
        .and_then(OsStr::to_str)
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

/// Gives the folder to a user without rights where this process is root's.
fn substitute_for_root(folder: &TempDir) -> Option<User> {
    let owner = fs::metadata(folder.path()).map_or(0, |metadata| metadata.uid());
    if owner != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = ["postgres", "nobody"]
        .iter()
        .find_map(|name| account(&accounts, name))
        .unwrap_or_else(|| panic!("Postgres is not run by root, and there is nobody else"));
    chown(folder.path(), Some(user.id), Some(user.group))
        .unwrap_or_else(|error| panic!("Postgres cannot be given its folder: {error}"));
    Some(user)
}

fn account(accounts: &str, name: &str) -> Option<User> {
    let line = accounts
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1);
    Some(User {
        id: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

/// A program that keeps nothing of this process: not its user, its folder, or its settings for clients.
fn command(program: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    if let Some(user) = user {
        command.uid(user.id).gid(user.group);
    }
    command
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{:?} cannot be run: {error}", command.get_program()));
    assert!(
        output.status.success(),
        "{:?} fails: {}",
        command.get_program(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

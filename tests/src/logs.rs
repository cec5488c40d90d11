//! Everything that is logged while a program of tests runs, at every level, searched for what must
//! not be in it.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

static WATCH: OnceLock<&'static LogWatch> = OnceLock::new();

/// Watches the log of this program from the first call on.
pub fn watch() -> &'static LogWatch {
    WATCH.get_or_init(|| {
        let watch: &'static LogWatch = Box::leak(Box::default());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(watch)
            .finish();
        // What libraries say through `log` comes along.
        if subscriber.try_init().is_err() {
            watch
                .state()
                .leaks
                .insert("another subscriber is installed: nothing was watched".into());
        }
        watch
    })
}

/// The log so far, searched line by line; nothing of it is kept but what was found.
#[derive(Debug, Default)]
pub struct LogWatch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    forbidden: BTreeSet<String>,
    leaks: BTreeSet<String>,
    lines: u64,
    levels: BTreeSet<&'static str>,
}

impl LogWatch {
    /// Adds texts that must not be logged.
    pub fn forbid<T: Into<String>>(&self, texts: impl IntoIterator<Item = T>) -> &Self {
        self.state()
            .forbidden
            .extend(texts.into_iter().map(Into::into));
        self
    }

    /// Panics if something was logged that must not be, or if so little was that nothing can be
    /// said.
    ///
    /// # Panics
    /// As said.
    pub fn assert_clean(&self) {
        let state = self.state();
        assert!(
            state.leaks.is_empty(),
            "the log has secrets: {:#?}",
            state.leaks
        );
        for level in ["TRACE", "DEBUG"] {
            assert!(
                state.levels.contains(level),
                "nothing was logged at {level}: the capture does not work"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn search(&mut self, line: &str) {
        self.lines += 1;
        for level in ["TRACE", "DEBUG"] {
            if line.contains(level) {
                self.levels.insert(level);
            }
        }
        let named = self
            .forbidden
            .iter()
            .find(|text| line.contains(text.as_str()));
        let found = match named {
            Some(text) => Some(text.clone()),
            None => session_in(line).map(|_| "a session id".to_owned()),
        };
        if let Some(found) = found {
            self.leaks
                .insert(format!("{found} in: {}", line.trim_end()));
        }
    }
}

/// A session id as the simulator makes them: forty random letters, a number, two dots.
fn session_in(line: &str) -> Option<&str> {
    line.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .find(|word| {
            word.strip_suffix("..")
                .is_some_and(|id| id.len() > 40 && !id.contains('.'))
        })
}

impl io::Write for &LogWatch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        String::from_utf8_lossy(bytes)
            .lines()
            .for_each(|line| state.search(line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static LogWatch {
    type Writer = &'static LogWatch;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_recognised() {
        let id = "a-_Z".repeat(10);
        assert!(session_in(&format!("<sessionid>{id}12..</sessionid>")).is_some());
        assert!(session_in("connecting to 127.0.0.1:80.. waiting").is_none());
    }
}

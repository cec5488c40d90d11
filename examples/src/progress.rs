//! Progress bars while it works.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use indicatif::{
    HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use sync_core::StreamName;
use sync_core::pipeline::{Event, Observer};

/// Shows a bar for each stream that is being worked on. Silent where nobody looks.
pub struct Progress {
    all: MultiProgress,
    bars: Mutex<HashMap<StreamName, ProgressBar>>,
    speaks: bool,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("speaks", &self.speaks)
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// Shows bars and texts where `speaks`, and nothing else.
    pub fn new(speaks: bool) -> Self {
        let target = if speaks {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            all: MultiProgress::with_draw_target(target),
            bars: Mutex::default(),
            speaks,
        }
    }

    /// A line of text.
    #[expect(clippy::print_stderr, reason = "what it is for")]
    pub fn say(&self, text: &str) {
        if self.speaks {
            eprintln!("{text}");
        }
    }

    /// A line of text with a blank one before.
    pub fn heading(&self, text: &str) {
        self.say(&format!("\n{text}"));
    }

    /// Clears what is left on the screen.
    pub fn finish(&self) {
        for (_, bar) in self
            .bars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
        {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }

    /// Sets a stream's bar.
    pub fn set(&self, stream: &StreamName, position: u64, length: u64) {
        let bar = self.bar(stream);
        bar.set_length(length);
        bar.set_position(position);
        if position >= length {
            self.done(stream);
        }
    }

    fn bar(&self, stream: &StreamName) -> ProgressBar {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.entry(stream.clone())
            .or_insert_with(|| self.new_bar(stream))
            .clone()
    }

    fn new_bar(&self, stream: &StreamName) -> ProgressBar {
        let style = ProgressStyle::with_template(
            "  {prefix:<20} {bar:32.cyan/dim} {human_pos:>10}/{human_len:<10} {rate:>12} {msg}",
        );
        let bar = self.all.add(ProgressBar::new(0));
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━━─").with_key("rate", rate));
        }
        bar.set_prefix(stream.to_string());
        bar
    }

    fn done(&self, stream: &StreamName) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(stream) {
            bar.finish_and_clear();
        }
    }
}

/// Records a second, without places behind the point.
fn rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    // A float of a clock's; no record's value goes through it.
    let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
}

impl Observer for Progress {
    fn observe(&self, event: Event<'_>) {
        match event {
            Event::PageRead {
                stream,
                records,
                remaining,
            } => {
                let bar = self.bar(stream);
                let read = bar.position() + records;
                bar.set_length(read + remaining.unwrap_or(0));
                bar.set_position(read);
            }
            Event::KeysListed { stream, keys } => {
                self.bar(stream)
                    .set_message(format!("{keys} keys compared"));
            }
            Event::BatchRecovered { stream, resent, .. } => {
                let how = if resent {
                    "was sent again"
                } else {
                    "had arrived"
                };
                self.say(&format!("  {stream}: a batch of an interrupted run {how}"));
            }
            Event::StreamEnded { report } => self.done(&report.stream),
            Event::StreamFailed { report, error } => {
                self.done(&report.stream);
                self.say(&format!("  {}: {}", report.stream, error.chain()));
            }
            _ => {}
        }
    }
}

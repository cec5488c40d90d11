//! Records matched at two places at once.

use super::layout::Layout;
use super::run::{Limits, MOST_RECORDS, Run, behind_space};

/// Two runs of records, the second of which begins further on in the window.
///
/// Where a value ends is known only when its bytes have been looked at, and only then where the next
/// one begins: most of a run's time is waiting for that. So two runs are matched in turn, field by
/// field. Where the second begins is a guess, a record's start tag some thirty records ahead: what it
/// holds counts only once the first has arrived exactly there.
#[derive(Default)]
pub(super) struct Matcher {
    pub(super) near: Run,
    far: Option<Run>,
    /// The memory of a run that is not used.
    spare: Run,
    /// The layout of the far run.
    layout: u64,
    /// How long the records last matched were, on average.
    record_len: usize,
}

impl Matcher {
    /// The window is another one, or its contents have moved.
    pub(super) fn forget_window(&mut self) {
        if let Some(far) = self.far.take() {
            self.spare = far;
        }
    }

    /// Matches as many whole records as fit into a block, up to the first that is different.
    pub(super) fn fill(&mut self, layout: &Layout, window: &[u8], from: usize, limits: Limits) {
        let begin = behind_space(window, from);
        if self.layout != layout.id() || self.far.as_ref().is_some_and(|far| far.begin < begin) {
            self.forget_window();
            self.layout = layout.id();
        }
        if let Some(far) = self.far.take_if(|far| far.begin == begin) {
            self.spare = std::mem::replace(&mut self.near, far);
            return;
        }
        self.near.begin(layout, begin, limits);
        if self.far.is_none() {
            self.fill_both(layout, window, limits);
        }
        let until = self.far.as_ref().map_or(usize::MAX, |far| far.begin);
        while !self.near.is_full() && self.near.next(window) < until {
            if self.near.add(layout, window).is_none() {
                break;
            }
        }
        if let Some(len) = (self.near.end() - begin).checked_div(self.near.records()) {
            self.record_len = len;
        }
    }

    fn fill_both(&mut self, layout: &Layout, window: &[u8], limits: Limits) {
        let Some(begin) = self.guess(layout, window) else {
            return;
        };
        let mut far = std::mem::take(&mut self.spare);
        far.begin(layout, begin, limits);
        let mut fit = true;
        while fit && !self.near.is_full() && !far.is_full() && self.near.next(window) < begin {
            fit = Run::add_to_both([&mut self.near, &mut far], layout, window) == [true; 2];
        }
        if far.records() > 0 {
            self.far = Some(far);
        } else {
            self.spare = far;
        }
    }

    /// A place further on where a record may begin.
    fn guess(&self, layout: &Layout, window: &[u8]) -> Option<usize> {
        /// A run that begins so many records behind the other is reached before that is full.
        const AHEAD: usize = MOST_RECORDS - 2;
        /// So many records are worth two runs.
        const FEWEST: usize = 3;
        let begin = self.near.begin;
        let rest = window.len().saturating_sub(begin);
        if self.record_len == 0 || rest < 2 * FEWEST * self.record_len {
            return None;
        }
        let ahead = begin + (AHEAD * self.record_len).min(rest / 2);
        let found = layout.start.find(window.get(ahead..)?)?;
        Some(ahead + found)
    }
}

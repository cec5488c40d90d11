//! The layout of a record, learned from the one before and predicted for the next.
//!
//! The records of a page repeat their markup: three quarters of its bytes and more are names that
//! stood there before. So a record that a general reader has read once is remembered as the bytes
//! between its values, and the next record is compared with them instead of being parsed:
//!
//! ```text
//!   <VENDOR><RECORDNO>17</RECORDNO><NAME>Smith &amp; Sons</NAME><TAXID></TAXID></VENDOR><VENDOR>…
//!   └──── first ────┘┊  └─ behind RECORDNO ─┘┊            └─ behind NAME ─┘┊└─ behind TAXID ─┘
//!                    ┊                       ┊                             ┊
//!                    value: up to the        value with a reference,       value: empty
//!                    next `<`                decoded aside
//! ```
//!
//! Between two literals only the value is looked at, 32 bytes at a time, for whatever may end it or
//! change it. No name is looked up: which field a value belongs to follows from its place.
//!
//! Where a field begins is known only when the one before it has been found to its end, so a processor
//! that follows one record after the other mostly waits. Therefore two records are followed field by
//! field in turn, the second some thirty records further on, where a start tag of the record was found:
//!
//! ```text
//!   <data> <V>…</V><V>…</V> … <V>…</V> <V>…</V><V>…</V> … <V>…</V> <V>…
//!          └──── near: 1, 3, 5, … ───┘ └──── far: 2, 4, 6, … ────┘
//!                                      ↑ a guess, until near ends exactly here
//! ```
//!
//! A record that leaves fields out is followed from element to element: behind a literal that does
//! not fit, the element that stands there is looked for among the later fields of the layout. Fields
//! that the layout does not have yet are added to it once the general reader has read their record.
//!
//! # Why it is correct
//!
//! - The names in the layout, and that they follow each other, were accepted by the general reader.
//!   Every byte of markup is compared with them, so what is accepted here is a record element that
//!   holds nothing but elements without attributes, each with text in it or empty, in an order
//!   without repetition.
//! - In a text, everything that means more than itself stops the scan: `<` ends it, `&` begins one of
//!   the references that XML knows or the record is declined, and so it is for a carriage return and
//!   for a character that XML forbids.
//! - The markup is UTF-8 because it is the layout's, and a text beyond ASCII is checked to be UTF-8.
//! - A record is handed over only when its end tag was seen, so there is nothing to take back.
//! - The far records begin at what may be no start tag at all but a piece of a comment. They are handed
//!   over only once everything before them has been read and ended right there, and then they are what
//!   following them from there would have given.
//!
//! # When it declines
//!
//! A comment, a CDATA section, an attribute, an element in an element, a name that is new or comes
//! out of order, an unknown entity, a character to drop, a text longer than the options allow, the
//! last bytes of the answer: then nothing of the record has been handed over, and the general reader
//! decides. It may teach a new layout. What the fast road declines is never an error by that alone.

mod block;
mod layout;
mod literal;
mod matcher;
mod plain;
mod run;

pub(super) use self::block::Checked;
pub use self::block::{Block, Value};

use self::layout::{Gaps, Layout};
use self::matcher::Matcher;
use self::plain::LOOK;
pub(super) use self::run::Limits;
use super::tape::Tape;

/// The layout of the records last seen, if they had one.
#[derive(Default)]
pub(super) struct Predictor {
    layout: Option<Layout>,
    matcher: Matcher,
    /// How many records did not fit since the record element last changed.
    declined: u32,
}

/// Records that fit, before it is known where in the answer they stand.
pub(super) struct Matched {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) records: u64,
    /// The records themselves included.
    pub(super) elements: u64,
}

impl Predictor {
    /// The window is another one than before, or its contents have moved.
    pub(super) fn begin_window(&mut self) {
        self.matcher.forget_window();
    }

    /// Matches records from here on, as many as are handed over at once.
    pub(super) fn matched(
        &mut self,
        window: &[u8],
        from: usize,
        limits: Limits,
    ) -> Option<Matched> {
        let layout = self.layout.as_ref()?;
        if limits.text_bytes < LOOK {
            // One look may then be too much.
            return None;
        }
        self.matcher.fill(layout, window, from, limits);
        let run = &self.matcher.near;
        let records = run.records() as u64;
        (records > 0).then(|| Matched {
            begin: run.begin,
            end: run.end(),
            records,
            elements: run.fields + records,
        })
    }

    /// The records last matched, whose text this is.
    pub(super) fn block<'a>(
        &'a self,
        text: &'a [u8],
        ordinal: u64,
        position: u64,
    ) -> Option<Block<'a>> {
        Some(Block {
            layout: self.layout.as_ref()?,
            text,
            decoded: &self.matcher.near.decoded,
            spans: self.matcher.near.spans(),
            starts: &self.matcher.near.starts,
            hidden: &[],
            ordinal,
            position,
        })
    }

    /// Learns from a record that the general reader has read, unless that has not paid for a while.
    pub(super) fn learn(&mut self, tape: &Tape, record: &str) {
        /// So many times every record teaches; then one in so many.
        const EAGER: u32 = 128;
        const SELDOM: u32 = 64;
        /// More fields than any object has: looking for places among them is not worth it.
        const MOST_FIELDS: usize = 2_000;
        self.declined += 1;
        if self.declined > EAGER && !self.declined.is_multiple_of(SELDOM) {
            return;
        }
        let Some((name, fields)) = tape.shape() else {
            return;
        };
        let known = self
            .layout
            .as_ref()
            .filter(|layout| layout.record() == name);
        let names: Vec<String> = match known {
            Some(layout) => layout.united(fields),
            None => fields.map(str::to_owned).collect(),
        };
        if known.is_none() {
            self.declined = 0;
        }
        if names.len() > MOST_FIELDS {
            return;
        }
        let gaps = Gaps::of(record.as_bytes());
        if known.is_some_and(|layout| layout.is_of(&names, gaps)) {
            // It declined for what was in the record, not for its layout.
            return;
        }
        if let Some(layout) = Layout::new(name, names, gaps) {
            self.layout = Some(layout);
        }
    }
}

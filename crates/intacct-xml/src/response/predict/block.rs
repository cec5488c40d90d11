//! Records that fit a layout, handed over together.

use super::layout::Layout;
use super::run::MOST_RECORDS;
use crate::error::Error;
use crate::response::tape::twice_at_most;
use crate::response::target::{RecordEnd, RecordTarget};

/// Records of one layout that stand behind each other in an answer, not yet copied anywhere.
///
/// A [`RecordTarget`] is given them whole and may look a field up once for all of them. Each record
/// has a place for every field of the layout; what stands there is a [`Value`].
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub(super) layout: &'a Layout,
    /// The records as they stand in the answer; checked to be UTF-8.
    pub(super) text: &'a [u8],
    /// The texts that had references in them; UTF-8 as well.
    pub(super) decoded: &'a [u8],
    /// By record, then by field.
    pub(super) spans: &'a [Span],
    /// Where each record begins in the text.
    pub(super) starts: &'a [u32],
    /// The fields that are kept from the target.
    pub(super) hidden: &'a [usize],
    /// How many records of the answer come before these.
    pub(super) ordinal: u64,
    /// Where in the answer the text stands.
    pub(super) position: u64,
}

/// The text of a block, and the texts that had references in them.
#[derive(Clone, Copy)]
pub(in crate::response) struct Checked<'a> {
    text: &'a str,
    decoded: &'a str,
}

/// What a record has of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The record does not have the field.
    Absent,
    /// The field is there, empty or self-closed.
    Empty,
    /// The field's text, decoded; never empty.
    Text(&'a str),
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// In the text, or from [`DECODED`] on in the decoded texts.
    start: u32,
    len: u32,
}

const DECODED: u32 = 1 << 31;

impl<'a> Checked<'a> {
    #[inline(never)]
    fn decoded_at(self, span: Span) -> &'a str {
        let start = (span.start & !DECODED) as usize;
        let text = self.decoded.get(start..start + span.len as usize);
        text.unwrap_or_default()
    }
}

impl Span {
    pub(super) const ABSENT: Self = Self {
        start: 0,
        len: u32::MAX,
    };
    pub(super) const EMPTY: Self = Self { start: 0, len: 0 };
    /// Texts of a block stand below this.
    pub(super) const LIMIT: usize = DECODED as usize;

    /// 0 if it is absent.
    #[inline(always)]
    fn text_len(self) -> usize {
        if self.len == u32::MAX {
            0
        } else {
            self.len as usize
        }
    }

    pub(super) fn in_text(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            len: (end - start) as u32,
        }
    }

    pub(super) fn in_decoded(start: usize, end: usize) -> Self {
        Self {
            start: start as u32 | DECODED,
            len: (end - start) as u32,
        }
    }
}

impl<'a> Block<'a> {
    /// No block has more records: a bit for each fits into 32.
    pub const MOST_RECORDS: usize = MOST_RECORDS;

    /// How many records there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The name of the record element, such as `VENDOR`.
    pub fn record_name(&self) -> &'a str {
        self.layout.record()
    }

    /// The names of the fields, in the order in which they stand in every record.
    pub fn names(&self) -> &'a [String] {
        self.layout.names()
    }

    /// A number that is the same for blocks with the same names, so that a target looks them up once.
    pub fn layout_id(&self) -> u64 {
        self.layout.id()
    }

    /// The place of a field, if the layout has it.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.layout.place(name)
    }

    /// What a record has of a field; both are counted from 0.
    ///
    /// [`Value::Absent`] for places that there are not.
    #[inline]
    pub fn value(&self, record: usize, field: usize) -> Value<'a> {
        if field >= self.layout.len() || self.hidden.contains(&field) {
            return Value::Absent;
        }
        match self.spans.get(record * self.layout.len() + field) {
            Some(&span) => self.resolve(span),
            None => Value::Absent,
        }
    }

    /// The same records without some of their fields, to be handed to another target. A record that it wants
    /// [again](RecordEnd::Again) it gets with all of them.
    #[must_use]
    pub fn hiding(self, fields: &'a [usize]) -> Self {
        Self {
            hidden: fields,
            ..self
        }
    }

    /// A field's texts, by record; `None` for empty and absent ones alike. They are UTF-8.
    #[inline]
    pub fn texts(&self, field: usize) -> impl Iterator<Item = Option<&'a [u8]>> {
        let block = *self;
        let is_shown = !self.hidden.contains(&field);
        let rows = self.spans.chunks_exact(self.layout.len());
        rows.take(self.len()).map(move |row| {
            let span = row
                .get(field)
                .copied()
                .filter(|span| is_shown && span.text_len() > 0)?;
            Some(block.bytes_at(span))
        })
    }

    /// A field's texts, by record, each at the start of what stands behind it, and its length: 0 for
    /// empty and absent ones alike.
    #[cfg(feature = "arrow")]
    #[inline(always)]
    pub(in crate::response) fn starts_of_texts(
        &self,
        field: usize,
    ) -> impl Iterator<Item = (&'a [u8], usize)> {
        let block = *self;
        let is_shown = !self.hidden.contains(&field);
        let rows = self.spans.chunks_exact(self.layout.len());
        rows.take(self.len()).map(move |row| {
            let span = row.get(field).copied().unwrap_or(Span::ABSENT);
            let len = if is_shown { span.text_len() } else { 0 };
            (block.from(span), len)
        })
    }

    /// A record's fields that are not absent, in order: their places in the layout, and their texts as
    /// in [`starts_of_texts`](Self::starts_of_texts).
    #[inline(always)]
    pub(in crate::response) fn fields(
        &self,
        record: usize,
    ) -> impl Iterator<Item = (usize, &'a [u8], usize)> {
        let fields = self.layout.len();
        let row = self.spans.get(record * fields..(record + 1) * fields);
        let block = *self;
        let nothing_is_hidden = self.hidden.is_empty();
        let spans = row.unwrap_or_default().iter().enumerate();
        spans.filter_map(move |(field, &span)| {
            let is_shown = nothing_is_hidden || !block.hidden.contains(&field);
            (is_shown && span != Span::ABSENT).then(|| (field, block.from(span), span.text_len()))
        })
    }

    /// What a record shows of a field: its text, which may be empty, or nothing if it does not have it.
    pub(in crate::response) fn shown(&self, record: usize, field: usize) -> Option<&'a [u8]> {
        let span = self.row(record).get(field).copied()?;
        let is_shown = span != Span::ABSENT && !self.hidden.contains(&field);
        is_shown.then(|| self.bytes_at(span))
    }

    /// A record's texts from a field on, each at the start of what stands behind it, and its length, as
    /// in [`starts_of_texts`](Self::starts_of_texts); `None` where the record does not have the field, and
    /// nothing at all behind the first that is decoded.
    #[inline(always)]
    pub(in crate::response) fn short_texts(
        &self,
        record: usize,
        field: usize,
    ) -> impl Iterator<Item = Option<(&'a [u8], usize)>> {
        let all = if self.hidden.is_empty() {
            self.row(record)
        } else {
            &[]
        };
        let text = self.text;
        all.get(field..)
            .unwrap_or_default()
            .iter()
            .map_while(move |span| {
                if span.len == u32::MAX {
                    return Some(None);
                }
                Some(Some((text.get(span.start as usize..)?, span.len as usize)))
            })
    }

    fn row(&self, record: usize) -> &'a [Span] {
        let fields = self.layout.len();
        self.spans
            .get(record * fields..(record + 1) * fields)
            .unwrap_or_default()
    }

    /// How many records have a field, be it empty.
    pub fn occurrences(&self, field: usize) -> usize {
        (0..self.len())
            .filter(|&record| self.value(record, field) != Value::Absent)
            .count()
    }

    /// All of its text, checked to be so: once for many values.
    pub(in crate::response) fn checked(&self) -> Checked<'a> {
        // It is, because whole values are, and the markup between them.
        Checked {
            text: simdutf8::basic::from_utf8(self.text).unwrap_or_default(),
            decoded: simdutf8::basic::from_utf8(self.decoded).unwrap_or_default(),
        }
    }

    /// Calls back with a record's fields that are not absent, in order: their names, and their texts.
    #[inline(always)]
    pub(in crate::response) fn each_checked_field(
        &self,
        record: usize,
        checked: Checked<'a>,
        mut each: impl FnMut(&'a str, &'a str),
    ) {
        let fields = self.names().iter().zip(self.row(record)).enumerate();
        for (field, (name, span)) in fields {
            if *span == Span::ABSENT || (!self.hidden.is_empty() && self.hidden.contains(&field)) {
                continue;
            }
            // Decoded texts stand where no text of an answer does.
            let (start, len) = (span.start as usize, span.len as usize);
            let text = match checked.text.get(start..start + len) {
                Some(text) => text,
                None => checked.decoded_at(*span),
            };
            each(name, text);
        }
    }

    #[inline]
    fn resolve(&self, span: Span) -> Value<'a> {
        match span.len {
            0 => Value::Empty,
            u32::MAX => Value::Absent,
            // Whole values are UTF-8.
            _ => Value::Text(std::str::from_utf8(self.bytes_at(span)).unwrap_or_default()),
        }
    }

    /// The text of a span that has one.
    #[inline(always)]
    fn bytes_at(&self, span: Span) -> &'a [u8] {
        self.from(span).get(..span.len as usize).unwrap_or_default()
    }

    /// What stands where a span begins, and behind it.
    #[inline(always)]
    fn from(&self, span: Span) -> &'a [u8] {
        let whole = if span.start < DECODED {
            self.text
        } else {
            self.decoded
        };
        whole
            .get((span.start & !DECODED) as usize..)
            .unwrap_or_default()
    }

    /// Hands over each record as if it had been read one call at a time.
    ///
    /// # Errors
    /// The first error of the target, with the record that it concerns.
    pub fn replay(&self, target: &mut (impl RecordTarget + ?Sized)) -> Result<(), Error> {
        (0..self.len()).try_for_each(|record| {
            let mut block = *self;
            let hand_over = |target: &mut _| {
                let end = block.replay_one(record, target);
                block.hidden = &[];
                end
            };
            twice_at_most(target, hand_over).map_err(|error| self.locate(record, error))
        })
    }

    fn replay_one(
        &self,
        record: usize,
        target: &mut (impl RecordTarget + ?Sized),
    ) -> Result<RecordEnd, Error> {
        target.begin_record(self.record_name())?;
        for (field, name) in self.names().iter().enumerate() {
            match self.value(record, field) {
                Value::Absent => {}
                Value::Empty => target.field(name, None)?,
                Value::Text(text) => target.field(name, Some(text))?,
            }
        }
        target.end_record()
    }

    /// Adds to an error which record it concerns.
    #[must_use]
    pub fn locate(&self, record: usize, error: Error) -> Error {
        let start = self.starts.get(record).copied().unwrap_or_default();
        let behind_tag = u64::from(start) + self.layout.begin.len() as u64;
        error
            .at(self.position + behind_tag)
            .in_record(self.ordinal + record as u64)
    }
}

impl std::fmt::Debug for Block<'_> {
    /// Leaves the values out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("record_name", &self.record_name())
            .field("names", &self.names())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

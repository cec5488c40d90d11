//! Records that stand behind each other, compared with a layout.

use wide::u8x16;

use super::block::Span;
use super::layout::Layout;
use super::literal::Literal;
use super::plain::{LANES, PlainField, plain_fields, plain_fields_of_both};
use crate::response::cursor::{Reference, character};

/// How many records are handed over at once: enough to spread the costs of a call, few enough that
/// their places stay in the nearest cache.
pub(super) const MOST_RECORDS: usize = 32;

/// The places of the values of records that stand behind each other; the memory is used again.
#[derive(Default)]
pub(super) struct Run {
    /// By record, then by field.
    spans: Vec<Span>,
    pub(super) starts: Vec<u32>,
    pub(super) decoded: Vec<u8>,
    /// How many fields the records have.
    pub(super) fields: u64,
    /// Where in the window the first record begins. All other places are counted from here.
    pub(super) begin: usize,
    /// Where the last record ends.
    len: usize,
    limits: Limits,
}

/// Beyond these a record is for the general reader to refuse.
#[derive(Clone, Copy, Default)]
pub(in crate::response) struct Limits {
    pub(in crate::response) text_bytes: usize,
    pub(in crate::response) fields: u64,
}

/// Behind `<FIELD`, or, if there is no such field, behind `</RECORD>`.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    field: usize,
}

/// A record that is being matched.
struct Record<'a> {
    window: &'a [u8],
    row: &'a mut [Span],
    start: usize,
    /// How many bytes were decoded before.
    decoded: usize,
    /// How many fields of the layout it has not.
    left_out: usize,
}

impl Run {
    /// Begins anew, at a place of the window.
    pub(super) fn begin(&mut self, layout: &Layout, begin: usize, limits: Limits) {
        self.starts.clear();
        self.decoded.clear();
        self.fields = 0;
        self.begin = begin;
        self.len = 0;
        self.limits = limits;
        let spans = layout.len() * MOST_RECORDS;
        if self.spans.len() != spans {
            self.spans.clear();
            self.spans.resize(spans, Span::ABSENT);
        }
    }

    pub(super) fn end(&self) -> usize {
        self.begin + self.len
    }

    /// Where the record behind the last begins.
    pub(super) fn next(&self, window: &[u8]) -> usize {
        behind_space(window, self.end())
    }

    pub(super) fn records(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.records() == MOST_RECORDS
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Adds the record behind the last, if it fits.
    pub(super) fn add(&mut self, layout: &Layout, window: &[u8]) -> Option<()> {
        let mut spans = std::mem::take(&mut self.spans);
        let added = self
            .record(layout, window, &mut spans)
            .and_then(|mut record| {
                let end = self.whole(layout, &mut record);
                self.keep(&record, end)
            });
        self.spans = spans;
        added
    }

    /// Adds the record behind the last to two runs, field by field in turn. Says for each whether its
    /// record fitted.
    pub(super) fn add_to_both(runs: [&mut Self; 2], layout: &Layout, window: &[u8]) -> [bool; 2] {
        let [a, b] = runs;
        let (mut spans_a, mut spans_b) =
            (std::mem::take(&mut a.spans), std::mem::take(&mut b.spans));
        let records =
            a.record(layout, window, &mut spans_a)
                .zip(b.record(layout, window, &mut spans_b));
        let added = records.map(|(mut record_a, mut record_b)| {
            let ends = Self::both(layout, [a, b], [&mut record_a, &mut record_b]);
            [a.keep(&record_a, ends[0]), b.keep(&record_b, ends[1])]
        });
        a.spans = spans_a;
        b.spans = spans_b;
        added.map_or([false; 2], |added| added.map(|added| added.is_some()))
    }

    /// The ends of two records. As long as they go on alike they are followed together, then each alone.
    #[inline(never)]
    fn both(
        layout: &Layout,
        [a, b]: [&mut Self; 2],
        [record_a, record_b]: [&mut Record<'_>; 2],
    ) -> [Option<usize>; 2] {
        let mut place_a = first_field(layout, record_a);
        let mut place_b = first_field(layout, record_b);
        while let (Some(at_a), Some(at_b)) = (place_a, place_b) {
            let field = at_a.field;
            if at_b.field != field || field >= layout.len() {
                break;
            }
            let together = plain_fields_of_both(
                [record_a.window, record_b.window],
                [at_a.at, at_b.at],
                [
                    record_a.row.get_mut(field..).unwrap_or_default(),
                    record_b.row.get_mut(field..).unwrap_or_default(),
                ],
                layout.behind.get(field..).unwrap_or_default(),
                a.limits.text_bytes,
            );
            let field = field + together.fields;
            let [at_a, at_b] = together.at.map(|at| Place { at, field });
            if field == layout.len() {
                return [Some(at_a.at), Some(at_b.at)];
            }
            let [last_a, last_b] = together.last;
            place_a = a.next_field(layout, record_a, at_a, last_a);
            place_b = b.next_field(layout, record_b, at_b, last_b);
        }
        let end_a = place_a.and_then(|place| a.rest(layout, record_a, place));
        let end_b = place_b.and_then(|place| b.rest(layout, record_b, place));
        [end_a, end_b]
    }

    /// The place behind a field whose value is plain and so long, or is not plain.
    #[inline(always)]
    fn next_field(
        &mut self,
        layout: &Layout,
        record: &mut Record<'_>,
        Place { at, field }: Place,
        plain: Option<PlainField>,
    ) -> Option<Place> {
        let Some(PlainField { len, next }) = plain else {
            return self.other_field(layout, record, Place { at, field });
        };
        *record.row.get_mut(field)? = Span::in_text(at + 1, at + 1 + len);
        Some(Place {
            at: next,
            field: field + 1,
        })
    }

    fn record<'a>(
        &self,
        layout: &Layout,
        window: &'a [u8],
        spans: &'a mut [Span],
    ) -> Option<Record<'a>> {
        let window = window.get(self.begin..)?;
        let window = window.get(..Span::LIMIT).unwrap_or(window);
        let first = self.records() * layout.len();
        Some(Record {
            window,
            row: spans.get_mut(first..first + layout.len())?,
            start: behind_space(window, self.len),
            decoded: self.decoded.len(),
            left_out: 0,
        })
    }

    /// Keeps a record that was matched up to there, or forgets it.
    fn keep(&mut self, record: &Record<'_>, end: Option<usize>) -> Option<()> {
        let fields = (record.row.len() - record.left_out) as u64;
        let Some(end) = end.filter(|_| fields <= self.limits.fields) else {
            self.decoded.truncate(record.decoded);
            return None;
        };
        self.starts.push(record.start as u32);
        self.fields += fields;
        self.len = end;
        Some(())
    }

    /// The end of a record.
    fn whole(&mut self, layout: &Layout, record: &mut Record<'_>) -> Option<usize> {
        let first = first_field(layout, record)?;
        self.rest(layout, record, first)
    }

    /// The end of a record, from one of its fields on.
    fn rest(&mut self, layout: &Layout, record: &mut Record<'_>, from: Place) -> Option<usize> {
        let Place { mut at, mut field } = from;
        while field < layout.len() {
            let plain = plain_fields(
                record.window,
                at,
                record.row.get_mut(field..)?,
                layout.behind.get(field..)?,
                self.limits.text_bytes,
            );
            at = plain.at;
            field += plain.fields;
            if field < layout.len() {
                Place { at, field } = self.other_field(layout, record, Place { at, field })?;
            }
        }
        Some(at)
    }

    /// Notes a field that is not plain or not followed by the one that was expected.
    #[inline(never)]
    fn other_field(
        &mut self,
        layout: &Layout,
        record: &mut Record<'_>,
        Place { at, field }: Place,
    ) -> Option<Place> {
        let window = record.window;
        let tag = window.get(at..)?;
        let behind = layout.behind.get(field)?;
        let expect = |expected: &Literal, at: usize| {
            let next = Place {
                at: at + expected.len(),
                field: field + 1,
            };
            expected.is_at(at, window).then_some(next)
        };
        let at = if tag.starts_with(b">") {
            let end = self.value(window, at + 1, record.row.get_mut(field)?)?;
            if let Some(next) = expect(&behind.value, end) {
                return Some(next);
            }
            let close = layout.close.get(field)?;
            close.is_at(end, window).then(|| end + close.len())?
        } else {
            *record.row.get_mut(field)? = Span::EMPTY;
            let forms = [&b"/>"[..], b" />"];
            let end = at + forms.iter().find(|form| tag.starts_with(form))?.len();
            if let Some(next) = expect(&behind.empty, end) {
                return Some(next);
            }
            end
        };
        find_next(layout, record, at, field + 1)
    }

    /// Notes the value that begins here and gives the place of the `<` behind it.
    fn value(&mut self, window: &[u8], start: usize, span: &mut Span) -> Option<usize> {
        let mut at = start;
        let mut is_ascii = true;
        let mut has_references = false;
        let end = loop {
            let look = Look::at(window, at)?;
            is_ascii &= look.is_ascii();
            if look.stops == 0 {
                at += LANES;
                continue;
            }
            at += look.stops.trailing_zeros() as usize;
            match window.get(at)? {
                b'<' => break at,
                b'&' => has_references = true,
                b'\t' | b'\n' => {}
                // A control character to drop, or a carriage return to turn into a line feed.
                _ => return None,
            }
            at += 1;
        };
        let value = window.get(start..end)?;
        if value.len() > self.limits.text_bytes || !(is_ascii || is_allowed_text(value)) {
            return None;
        }
        *span = if has_references {
            self.decode(value)?
        } else {
            Span::in_text(start, end)
        };
        Some(end)
    }

    fn decode(&mut self, raw: &[u8]) -> Option<Span> {
        let start = self.decoded.len();
        let mut rest = raw;
        while let Some(place) = memchr::memchr(b'&', rest) {
            let (text, reference) = rest.split_at(place);
            self.decoded.extend_from_slice(text);
            let (character, behind) = match reference {
                [b'&', b'a', b'm', b'p', b';', behind @ ..] => (b'&', behind),
                [b'&', b'l', b't', b';', behind @ ..] => (b'<', behind),
                [b'&', b'g', b't', b';', behind @ ..] => (b'>', behind),
                _ => {
                    rest = self.decode_other(reference)?;
                    continue;
                }
            };
            self.decoded.push(character);
            rest = behind;
        }
        self.decoded.extend_from_slice(rest);
        let end = self.decoded.len();
        (end < Span::LIMIT).then(|| Span::in_decoded(start, end))
    }

    /// What stands behind a reference that is not one of the common ones.
    fn decode_other<'r>(&mut self, reference: &'r [u8]) -> Option<&'r [u8]> {
        let len = memchr::memchr(b';', reference)?;
        let name = std::str::from_utf8(&reference[1..len]).ok()?;
        let Reference::Allowed(character) = character(name) else {
            return None;
        };
        let mut utf8 = [0; 4];
        let utf8 = character.encode_utf8(&mut utf8);
        self.decoded.extend_from_slice(utf8.as_bytes());
        Some(&reference[len + 1..])
    }
}

/// The place behind `<FIRST`, or behind the record if it is empty.
#[inline(always)]
fn first_field(layout: &Layout, record: &mut Record<'_>) -> Option<Place> {
    let (window, start) = (record.window, record.start);
    if layout.first.is_at(start, window) {
        let at = start + layout.first.len();
        return Some(Place { at, field: 0 });
    }
    if layout.begin.is_at(start, window) {
        return find_next(layout, record, start + layout.begin.len(), 0);
    }
    None
}

/// The next element, where it is not the one that was expected. The fields before it are absent.
fn find_next(layout: &Layout, record: &mut Record<'_>, from: usize, field: usize) -> Option<Place> {
    /// How many fields are commonly left out together.
    const NEAR: usize = 8;
    let window = record.window;
    let at = behind_space(window, from);
    let next = if window.get(at..at + 2)? == b"</" {
        layout.end.is_at(at, window).then(|| Place {
            at: at + layout.end.len(),
            field: layout.len(),
        })?
    } else {
        let near = layout.open.iter().enumerate().skip(field).take(NEAR);
        near.map(|(field, open)| (field, open, at + open.len()))
            .find(|(_, open, behind)| {
                open.is_at(at, window) && matches!(window.get(*behind), Some(b'>' | b'/' | b' '))
            })
            .map(|(field, _, at)| Place { at, field })
            .or_else(|| find_by_name(layout, window, at))?
    };
    record.row.get_mut(field..next.field)?.fill(Span::ABSENT);
    record.left_out += next.field - field;
    Some(next)
}

fn find_by_name(layout: &Layout, window: &[u8], at: usize) -> Option<Place> {
    let tag = window.get(at..)?.strip_prefix(b"<")?;
    let len = tag
        .iter()
        .position(|byte| matches!(byte, b'>' | b'/' | b' '))?;
    let name = std::str::from_utf8(&tag[..len]).ok()?;
    Some(Place {
        at: at + 1 + len,
        field: layout.place(name)?,
    })
}

#[inline]
pub(super) fn behind_space(window: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = window.get(at) {
        at += 1;
    }
    at
}

/// What 16 bytes of a value are, one bit for each.
struct Look {
    /// What ends the value or changes it.
    stops: u32,
    /// Parts of characters beyond ASCII.
    beyond_ascii: u32,
}

impl Look {
    #[inline(always)]
    fn at(window: &[u8], at: usize) -> Option<Self> {
        Some(Self::of(window.get(at..)?.first_chunk()?))
    }

    #[inline(always)]
    fn of(bytes: &[u8; LANES]) -> Self {
        let bytes = u8x16::new(*bytes);
        let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
        let control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
        Self {
            stops: (is(b'<') | is(b'&') | control).to_bitmask(),
            beyond_ascii: bytes.to_bitmask(),
        }
    }

    /// Whether the bytes before the first stop are.
    #[inline(always)]
    fn is_ascii(&self) -> bool {
        let before = self.stops.wrapping_sub(1) & !self.stops;
        self.beyond_ascii & before == 0
    }
}

/// Whether a value is UTF-8 and has neither U+FFFE nor U+FFFF. Control characters are not looked for.
fn is_allowed_text(value: &[u8]) -> bool {
    let is_noncharacter = |three: &[u8]| matches!(three, [0xEF, 0xBF, 0xBE | 0xBF]);
    std::str::from_utf8(value).is_ok() && !value.windows(3).any(is_noncharacter)
}

//! Records compared with a layout.

use wide::u8x16;

use super::block::Span;
use super::layout::Layout;
use crate::response::cursor::{Reference, character};

/// How many records are handed over at once: enough to spread the costs of a call, few enough that
/// their places stay in the nearest cache.
pub(super) const MOST_RECORDS: usize = 32;

/// The places of the values of some records; the memory is used again for the next.
#[derive(Default)]
pub(super) struct Matcher {
    pub(super) spans: Vec<Span>,
    pub(super) starts: Vec<u32>,
    pub(super) decoded: Vec<u8>,
    /// How many fields the records have.
    pub(super) fields: u64,
    /// Where the first record begins, and where the last one ends.
    pub(super) begin: usize,
    pub(super) end: usize,
    limits: Limits,
}

/// Beyond these a record is for the general reader to refuse.
#[derive(Clone, Copy, Default)]
pub(in crate::response) struct Limits {
    pub(in crate::response) text_bytes: usize,
    pub(in crate::response) fields: u64,
}

/// Behind `<FIELD`, or, if there is no such field, behind `</RECORD>`.
struct Place {
    at: usize,
    field: usize,
}

impl Matcher {
    /// Matches as many whole records as fit into a block, up to the first that is different.
    pub(super) fn fill(&mut self, layout: &Layout, window: &[u8], from: usize, limits: Limits) {
        self.starts.clear();
        self.decoded.clear();
        self.fields = 0;
        self.limits = limits;
        let width = layout.len();
        if self.spans.len() != width * MOST_RECORDS {
            self.spans.clear();
            self.spans.resize(width * MOST_RECORDS, Span::ABSENT);
        }
        self.begin = behind_space(window, from);
        let window = window.get(self.begin..).unwrap_or_default();
        let window = window.get(..Span::LIMIT).unwrap_or(window);
        let mut spans = std::mem::take(&mut self.spans);
        let mut end = 0;
        for row in spans.chunks_exact_mut(width) {
            let start = behind_space(window, end);
            let decoded = self.decoded.len();
            let Some(behind) = self.record(layout, window, start, row) else {
                self.decoded.truncate(decoded);
                break;
            };
            self.starts.push(start as u32);
            end = behind;
        }
        self.end = self.begin + end;
        self.spans = spans;
    }

    /// The end of the record that begins here, if it fits.
    #[inline(never)]
    fn record(
        &mut self,
        layout: &Layout,
        window: &[u8],
        start: usize,
        row: &mut [Span],
    ) -> Option<usize> {
        let Place { mut at, mut field } = first_field(layout, window, start, row)?;
        let mut left_out = field;
        while field < row.len() {
            let behind = layout.behind_value.iter().zip(&layout.behind_empty);
            for (span, (expected, behind_empty)) in row.iter_mut().zip(behind).skip(field) {
                // Behind `<FIELD`. Nearly always a plain value follows, then the field that was expected.
                let Some(end) = self.plain_value(window, at) else {
                    if is_self_closed(window, at) && behind_empty.is_at(at + 2, window) {
                        *span = Span::EMPTY;
                        at += 2 + behind_empty.len();
                        field += 1;
                        continue;
                    }
                    break;
                };
                if !expected.is_at(end, window) {
                    break;
                }
                *span = Span::in_text(at + 1, end);
                at = end + expected.len();
                field += 1;
            }
            if field < row.len() {
                let next = self.other_field(layout, window, Place { at, field }, row)?;
                left_out += next.field - field - 1;
                Place { at, field } = next;
            }
        }
        let fields = (row.len() - left_out) as u64;
        self.fields += fields;
        (fields <= self.limits.fields).then_some(at)
    }

    /// The end of a value of ASCII that nothing else ends or changes, if the rest of its start tag and
    /// such a value stand there.
    #[inline(always)]
    fn plain_value(&self, window: &[u8], at: usize) -> Option<usize> {
        let (b'>', value) = window
            .get(at..)?
            .split_first_chunk::<17>()?
            .0
            .split_first()?
        else {
            return None;
        };
        let look = Look::of(value.first_chunk()?);
        if !look.is_ascii() {
            return None;
        }
        if look.stops != 0 {
            return Some(at + 1 + look.stops.trailing_zeros() as usize);
        }
        self.long_plain_value(window, at + 1)
    }

    #[inline(always)]
    fn long_plain_value(&self, window: &[u8], start: usize) -> Option<usize> {
        let mut at = start + LANES;
        loop {
            let look = Look::at(window, at)?;
            if !look.is_ascii() {
                return None;
            }
            if look.stops != 0 {
                let end = at + look.stops.trailing_zeros() as usize;
                return (end - start <= self.limits.text_bytes).then_some(end);
            }
            at += LANES;
        }
    }

    /// Notes a field that is not as plain or not followed by the one that was expected.
    #[inline(never)]
    fn other_field(
        &mut self,
        layout: &Layout,
        window: &[u8],
        Place { at, field }: Place,
        row: &mut [Span],
    ) -> Option<Place> {
        let tag = window.get(at..)?;
        let behind = if tag.starts_with(b">") {
            let end = self.value(window, at + 1, row.get_mut(field)?)?;
            let expected = layout.behind_value.get(field)?;
            if expected.is_at(end, window) {
                return Some(Place {
                    at: end + expected.len(),
                    field: field + 1,
                });
            }
            let close = layout.close.get(field)?;
            if !close.is_at(end, window) {
                return None;
            }
            end + close.len()
        } else {
            *row.get_mut(field)? = Span::EMPTY;
            let forms = [&b"/>"[..], b" />"];
            let behind = at + forms.iter().find(|form| tag.starts_with(form))?.len();
            let expected = layout.behind_empty.get(field)?;
            if expected.is_at(behind, window) {
                return Some(Place {
                    at: behind + expected.len(),
                    field: field + 1,
                });
            }
            behind
        };
        find_next(layout, window, behind, field + 1, row)
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
            let common = COMMON.iter().find(|(name, _)| reference.starts_with(name));
            rest = if let Some((name, character)) = common {
                self.decoded.push(*character);
                &reference[name.len()..]
            } else {
                let len = memchr::memchr(b';', reference)?;
                let name = std::str::from_utf8(&reference[1..len]).ok()?;
                let Reference::Allowed(character) = character(name) else {
                    return None;
                };
                let mut utf8 = [0; 4];
                self.decoded
                    .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                &reference[len + 1..]
            };
        }
        self.decoded.extend_from_slice(rest);
        let end = self.decoded.len();
        (end < Span::LIMIT).then(|| Span::in_decoded(start, end))
    }
}

const COMMON: [(&[u8], u8); 3] = [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>')];

/// The place behind `<FIRST`, or behind the record if it is empty.
#[inline(always)]
fn first_field(layout: &Layout, window: &[u8], start: usize, row: &mut [Span]) -> Option<Place> {
    if layout.first.is_at(start, window) {
        let at = start + layout.first.len();
        return Some(Place { at, field: 0 });
    }
    if layout.begin.is_at(start, window) {
        return find_next(layout, window, start + layout.begin.len(), 0, row);
    }
    None
}

/// The next element, where it is not the one that was expected. The fields before it are absent.
fn find_next(
    layout: &Layout,
    window: &[u8],
    from: usize,
    field: usize,
    row: &mut [Span],
) -> Option<Place> {
    /// How many fields are commonly left out together.
    const NEAR: usize = 8;
    let at = behind_space(window, from);
    if window.get(at..at + 2)? == b"</" {
        row.get_mut(field..)?.fill(Span::ABSENT);
        return layout.end.is_at(at, window).then(|| Place {
            at: at + layout.end.len(),
            field: row.len(),
        });
    }
    for (found, open) in layout.open.iter().enumerate().skip(field).take(NEAR) {
        let behind = at + open.len();
        if open.is_at(at, window) && matches!(window.get(behind), Some(b'>' | b'/' | b' ')) {
            row.get_mut(field..found)?.fill(Span::ABSENT);
            return Some(Place {
                at: behind,
                field: found,
            });
        }
    }
    let tag = window.get(at..)?.strip_prefix(b"<")?;
    let len = tag
        .iter()
        .position(|byte| matches!(byte, b'>' | b'/' | b' '))?;
    let name = std::str::from_utf8(&tag[..len]).ok()?;
    let found = layout.place(name)?;
    row.get_mut(field..found)?.fill(Span::ABSENT);
    Some(Place {
        at: at + 1 + len,
        field: found,
    })
}

#[inline(always)]
fn is_self_closed(window: &[u8], at: usize) -> bool {
    window.get(at..).is_some_and(|tag| tag.starts_with(b"/>"))
}

#[inline]
fn behind_space(window: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = window.get(at) {
        at += 1;
    }
    at
}

/// How many bytes are looked at together.
pub(super) const LANES: usize = 16;

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

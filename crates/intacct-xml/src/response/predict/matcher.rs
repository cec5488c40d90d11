//! Records compared with a layout.

use wide::u8x16;

use super::block::Span;
use super::layout::Layout;
use crate::response::cursor::{Reference, character};

/// How many records are handed over at once: enough to spread the costs of a call, few enough that
/// their places stay in the nearest cache.
const MOST_RECORDS: usize = 32;

/// The places of the values of some records; the memory is used again for the next.
#[derive(Default)]
pub(super) struct Matcher {
    pub(super) spans: Vec<Span>,
    pub(super) starts: Vec<u32>,
    pub(super) decoded: String,
    /// How many fields the records have.
    pub(super) fields: u64,
    /// Where the first record begins, and where the last one ends.
    pub(super) begin: usize,
    pub(super) end: usize,
    longest_text: usize,
}

enum Next {
    /// Behind `<FIELD` of a later field.
    Field(usize, usize),
    /// Behind `</RECORD>`.
    End(usize),
}

impl Matcher {
    /// Matches as many whole records as fit into a block, up to the first that is different.
    pub(super) fn fill(
        &mut self,
        layout: &Layout,
        window: &[u8],
        from: usize,
        longest_text: usize,
    ) {
        self.starts.clear();
        self.decoded.clear();
        self.fields = 0;
        self.longest_text = longest_text;
        let width = layout.len();
        if self.spans.len() != width * MOST_RECORDS {
            self.spans.clear();
            self.spans.resize(width * MOST_RECORDS, Span::ABSENT);
        }
        let mut spans = std::mem::take(&mut self.spans);
        self.begin = behind_space(window, from);
        self.end = from;
        for row in spans.chunks_exact_mut(width) {
            let start = behind_space(window, self.end);
            let decoded = self.decoded.len();
            let Some(end) = self.record(layout, window, start, row) else {
                self.decoded.truncate(decoded);
                break;
            };
            self.starts.push((start - self.begin) as u32);
            self.end = end;
        }
        self.spans = spans;
    }

    /// The end of the record that begins here, if it fits.
    #[inline]
    fn record(
        &mut self,
        layout: &Layout,
        window: &[u8],
        start: usize,
        row: &mut [Span],
    ) -> Option<usize> {
        let mut present = 0;
        let mut at;
        let mut field = 0;
        if layout.first.is_at(start, window) {
            at = start + layout.first.len();
        } else if layout.begin.is_at(start, window) {
            match find_next(layout, window, start + layout.begin.len(), 0)? {
                Next::Field(found, behind) => {
                    row[..found].fill(Span::ABSENT);
                    (field, at) = (found, behind);
                }
                Next::End(end) => {
                    row.fill(Span::ABSENT);
                    return Some(end);
                }
            }
        } else {
            return None;
        }
        loop {
            present += 1;
            let behind = match window.get(at)? {
                b'>' => {
                    let end = self.value(window, at + 1, row.get_mut(field)?)?;
                    let expected = layout.behind_value.get(field)?;
                    if expected.is_at(end, window) {
                        at = end + expected.len();
                        field += 1;
                        if field < row.len() {
                            continue;
                        }
                        self.fields += present;
                        return Some(at);
                    }
                    let close = &layout.close[field];
                    if !close.is_at(end, window) {
                        return None;
                    }
                    end + close.len()
                }
                b'/' | b' ' => {
                    let empty = window.get(at..)?;
                    let len = [&b"/>"[..], b" />"]
                        .iter()
                        .find(|form| empty.starts_with(form))?
                        .len();
                    *row.get_mut(field)? = Span::EMPTY;
                    let expected = &layout.behind_empty[field];
                    if expected.is_at(at + len, window) {
                        at += len + expected.len();
                        field += 1;
                        if field < row.len() {
                            continue;
                        }
                        self.fields += present;
                        return Some(at);
                    }
                    at + len
                }
                _ => return None,
            };
            match find_next(layout, window, behind, field + 1)? {
                Next::Field(found, behind) => {
                    row.get_mut(field + 1..found)?.fill(Span::ABSENT);
                    (field, at) = (found, behind);
                }
                Next::End(end) => {
                    row.get_mut(field + 1..)?.fill(Span::ABSENT);
                    self.fields += present;
                    return Some(end);
                }
            }
        }
    }

    /// Notes the value that begins here and gives the place of the `<` behind it.
    #[inline]
    fn value(&mut self, window: &[u8], start: usize, span: &mut Span) -> Option<usize> {
        let mut at = start;
        let mut has_references = false;
        let end = loop {
            let stops = stops(window, at)?;
            if stops == 0 {
                at += 16;
                continue;
            }
            let stop = at + stops.trailing_zeros() as usize;
            match window.get(stop)? {
                b'<' => break stop,
                b'&' => {
                    has_references = true;
                    at = stop + 1;
                }
                b'\t' | b'\n' => at = stop + 1,
                0xEF if is_character(window, stop) => at = stop + 3,
                // A control character to drop, or a carriage return to turn into a line feed.
                _ => return None,
            }
        };
        let place = |place: usize| place - self.begin;
        if end - start > self.longest_text || place(end) >= Span::LIMIT {
            return None;
        }
        *span = if has_references {
            self.decode(window.get(start..end)?)?
        } else {
            Span::in_text(place(start), place(end))
        };
        Some(end)
    }

    #[cold]
    fn decode(&mut self, raw: &[u8]) -> Option<Span> {
        let raw = std::str::from_utf8(raw).ok()?;
        let start = self.decoded.len();
        let mut pieces = raw.split('&');
        self.decoded.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (name, text) = piece.split_once(';')?;
            let Reference::Allowed(character) = character(name) else {
                return None;
            };
            self.decoded.push(character);
            self.decoded.push_str(text);
        }
        let end = self.decoded.len();
        (end < Span::LIMIT).then(|| Span::in_decoded(start, end))
    }
}

/// The next element, where it is not the one that was expected.
fn find_next(layout: &Layout, window: &[u8], from: usize, field: usize) -> Option<Next> {
    /// How many fields are commonly left out together.
    const NEAR: usize = 8;
    let at = behind_space(window, from);
    if window.get(at..at + 2)? == b"</" {
        return layout
            .end
            .is_at(at, window)
            .then(|| Next::End(at + layout.end.len()));
    }
    for (near, open) in layout.open.iter().enumerate().skip(field).take(NEAR) {
        let behind = at + open.len();
        if open.is_at(at, window) && matches!(window.get(behind), Some(b'>' | b'/' | b' ')) {
            return Some(Next::Field(near, behind));
        }
    }
    let tag = window.get(at..)?.strip_prefix(b"<")?;
    let len = tag
        .iter()
        .position(|byte| matches!(byte, b'>' | b'/' | b' '))?;
    let name = std::str::from_utf8(&tag[..len]).ok()?;
    let found = layout.place(name).filter(|&found| found >= field)?;
    Some(Next::Field(found, at + 1 + len))
}

#[inline]
fn behind_space(window: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = window.get(at) {
        at += 1;
    }
    at
}

/// One bit for each of the next 16 bytes that may end a value or change it.
#[inline]
fn stops(window: &[u8], at: usize) -> Option<u32> {
    let bytes = u8x16::new(*window.get(at..)?.first_chunk()?);
    let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
    let control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    Some((is(b'<') | is(b'&') | control | is(0xEF)).to_bitmask())
}

/// Whether what begins with this 0xEF is neither U+FFFE nor U+FFFF.
fn is_character(window: &[u8], at: usize) -> bool {
    matches!(window.get(at + 1..at + 3), Some(&[second, third])
        if second != 0xBF || !matches!(third, 0xBE | 0xBF))
}

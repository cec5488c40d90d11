//! Fields that are nothing but their text, and that follow each other as expected.
//!
//! This is where most of the time goes, so the loops here do nothing else: what is not plain is left to
//! whoever called them.

use wide::i8x16;

use super::block::Span;
use super::layout::Behind;
use super::literal::REACH;

/// How many bytes are looked at in one vector.
pub(super) const LANES: usize = 16;

/// How many bytes of a value are looked at together: hardly one in ten is longer.
pub(super) const LOOK: usize = 2 * LANES;

/// Where plain fields end.
pub(super) struct Plain {
    /// Behind the last `<FIELD` that was expected.
    pub(super) at: usize,
    pub(super) fields: usize,
}

/// Where the plain fields of one of two runs end.
pub(super) struct PlainInBoth {
    pub(super) at: [usize; 2],
    pub(super) fields: usize,
    /// The field behind them, in a run in which that is plain too.
    pub(super) last: [Option<PlainField>; 2],
}

#[derive(Clone, Copy)]
pub(super) struct PlainField {
    /// The length of its value.
    pub(super) len: usize,
    /// Behind what was expected behind it.
    pub(super) next: usize,
}

/// Notes fields whose values are of ASCII which nothing else ends or changes, as many as follow each other
/// as expected behind `<FIELD`. Values are of so many bytes at most, which must be no less than [`LOOK`].
#[inline(never)]
pub(super) fn plain_fields(
    window: &[u8],
    mut at: usize,
    spans: &mut [Span],
    behind: &[Behind],
    most: usize,
) -> Plain {
    let mut fields = 0;
    for (span, behind) in spans.iter_mut().zip(behind) {
        let Some(field) = plain_field(window, at, behind, most) else {
            break;
        };
        *span = Span::in_text(at + 1, at + 1 + field.len);
        at = field.next;
        fields += 1;
    }
    Plain { at, fields }
}

/// The same in two places in turn, so that the one need not wait for the other.
#[inline(never)]
pub(super) fn plain_fields_of_both(
    [window_a, window_b]: [&[u8]; 2],
    [mut at_a, mut at_b]: [usize; 2],
    [spans_a, spans_b]: [&mut [Span]; 2],
    behind: &[Behind],
    most: usize,
) -> PlainInBoth {
    let mut fields = 0;
    let mut last = [None; 2];
    for ((span_a, span_b), behind) in spans_a.iter_mut().zip(spans_b).zip(behind) {
        let field_a = plain_field(window_a, at_a, behind, most);
        let field_b = plain_field(window_b, at_b, behind, most);
        let (Some(field_a), Some(field_b)) = (field_a, field_b) else {
            last = [field_a, field_b];
            break;
        };
        *span_a = Span::in_text(at_a + 1, at_a + 1 + field_a.len);
        *span_b = Span::in_text(at_b + 1, at_b + 1 + field_b.len);
        at_a = field_a.next;
        at_b = field_b.next;
        fields += 1;
    }
    PlainInBoth {
        at: [at_a, at_b],
        fields,
        last,
    }
}

/// A field, if the rest of its start tag, a plain value and what was expected behind it stand there.
///
/// One check of the bounds, and then all is done within an array: the value cannot be longer than what is
/// looked at, nor what is expected than [`REACH`].
#[inline(always)]
fn plain_field(window: &[u8], at: usize, behind: &Behind, most: usize) -> Option<PlainField> {
    let text = window.get(at..)?.first_chunk::<{ 1 + LOOK + REACH }>()?;
    let (open, value) = text.split_first()?;
    let (first, second) = value.split_at(LANES);
    let stops = stops(first.first_chunk()?) | stops(second.first_chunk()?) << LANES;
    if *open != b'>' {
        return closed_field(text, at, behind);
    }
    if stops == 0 {
        return long_plain_field(window, at + 1, behind, most);
    }
    let len = stops.trailing_zeros() as usize;
    // Where something else than `<` stands at the end, nothing can follow as expected.
    let follows = behind.value.is_in(value.get(len..)?.first_chunk()?);
    follows.then(|| PlainField {
        len,
        next: at + 1 + len + behind.value.reach(),
    })
}

/// The same for a field that ends with its start tag.
#[inline(never)]
fn closed_field(text: &[u8], at: usize, behind: &Behind) -> Option<PlainField> {
    let rest = text.strip_prefix(b"/>")?;
    let follows = behind.empty.is_in(rest.first_chunk()?);
    follows.then(|| PlainField {
        len: 0,
        next: at + 2 + behind.empty.reach(),
    })
}

#[inline(never)]
fn long_plain_field(
    window: &[u8],
    start: usize,
    behind: &Behind,
    most: usize,
) -> Option<PlainField> {
    let mut len = LOOK;
    loop {
        let value = window
            .get(start + len..)?
            .first_chunk::<{ LANES + REACH }>()?;
        let stops = stops(value.first_chunk()?);
        if stops != 0 {
            let more = (stops | 1 << LANES).trailing_zeros() as usize;
            let follows = behind.value.is_in(value.get(more..)?.first_chunk()?);
            len += more;
            return (follows && len <= most).then(|| PlainField {
                len,
                next: start + len + behind.value.reach(),
            });
        }
        len += LANES;
    }
}

/// What ends a value or changes it, and parts of characters beyond ASCII, one bit for each byte.
#[inline(always)]
fn stops(bytes: &[u8; LANES]) -> u32 {
    let bytes = i8x16::new(bytes.map(|byte| byte as i8));
    let is = |byte: u8| bytes.simd_eq(i8x16::splat(byte as i8));
    // Bytes beyond ASCII are less than 0 and so less than a space, as control characters are.
    (is(b'<') | is(b'&') | bytes.simd_lt(i8x16::splat(b' ' as i8))).to_bitmask()
}

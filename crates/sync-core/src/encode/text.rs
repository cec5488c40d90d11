//! Text, copied sixteen bytes at a time and looked at while it is.

use std::ops::Range;

use super::rows::store;

const BLOCK: usize = 16;

/// The most that JSON makes of a byte: `\u001f`.
pub(super) const JSON_GROWTH: usize = 6;
/// The most that CSV makes of a byte: two quotes of one.
pub(super) const CSV_GROWTH: usize = 2;
/// What is touched behind a text.
pub(super) const MOST_BYTES: usize = BLOCK;

/// Writes the inside of a JSON string (RFC 8259, section 7).
#[inline(always)]
pub(super) fn json(bytes: &[u8], text: Range<usize>, room: &mut [u8], at: usize) -> usize {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    let mut at = at;
    let mut from = text.start;
    while let Some(special) = copied(bytes, from..text.end, room, &mut at, is_special) {
        let escape = ESCAPES[usize::from(bytes[special])];
        store(room, at, escape);
        at += usize::from(escape[7]);
        from = special + 1;
    }
    at
}

/// Why a text is not written to Postgres.
pub(super) const NUL: &str = "a character U+0000, which no text of Postgres holds";

/// Writes the inside of a quoted CSV field (RFC 4180).
#[inline(always)]
pub(super) fn csv(
    bytes: &[u8],
    text: Range<usize>,
    room: &mut [u8],
    at: usize,
) -> Result<usize, &'static str> {
    let mut at = at;
    let mut from = text.start;
    let is_special = |byte: u8| byte == b'"' || byte == 0;
    while let Some(special) = copied(bytes, from..text.end, room, &mut at, is_special) {
        if bytes[special] == 0 {
            return Err(NUL);
        }
        store(room, at, *b"\"\"");
        at += 2;
        from = special + 1;
    }
    Ok(at)
}

/// Writes text as it is.
#[inline(always)]
pub(super) fn plain(
    bytes: &[u8],
    text: Range<usize>,
    room: &mut [u8],
    at: usize,
) -> Result<usize, &'static str> {
    let mut at = at;
    match copied(bytes, text, room, &mut at, |byte| byte == 0) {
        Some(_) => Err(NUL),
        None => Ok(at),
    }
}

/// Copies as far as the first special byte, and says where that is.
#[inline(always)]
fn copied(
    bytes: &[u8],
    text: Range<usize>,
    room: &mut [u8],
    at: &mut usize,
    is_special: impl Fn(u8) -> bool + Copy,
) -> Option<usize> {
    let mut from = text.start;
    while from < text.end {
        let left = text.end - from;
        let block = block(bytes, from, left);
        store(room, *at, block);
        let specials = marks(block, is_special);
        let clean = specials.trailing_zeros() as usize / 8;
        if clean < left.min(BLOCK) {
            *at += clean;
            return Some(from + clean);
        }
        from += left.min(BLOCK);
        *at += left.min(BLOCK);
    }
    None
}

/// The next sixteen bytes; behind a text that is usually the next one.
#[inline(always)]
fn block(bytes: &[u8], from: usize, left: usize) -> [u8; BLOCK] {
    match bytes[from..].first_chunk() {
        Some(block) => *block,
        None => last_block(bytes, from, left),
    }
}

#[cold]
fn last_block(bytes: &[u8], from: usize, left: usize) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    let rest = &bytes[from..from + left.min(BLOCK)];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// The bits of the bytes that are special, the first byte lowest.
#[inline(always)]
fn marks(block: [u8; BLOCK], is_special: impl Fn(u8) -> bool) -> u128 {
    u128::from_le_bytes(block.map(|byte| if is_special(byte) { 0xFF } else { 0 }))
}

/// What stands for a byte that JSON escapes, and its length in the last place.
const ESCAPES: [[u8; 8]; 128] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut escapes = [[0; 8]; 128];
    let mut byte = 0;
    while byte < 32 {
        escapes[byte] = [
            b'\\',
            b'u',
            b'0',
            b'0',
            HEX[byte >> 4],
            HEX[byte & 15],
            0,
            6,
        ];
        byte += 1;
    }
    let short = [
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'\n', b'n'),
        (b'\r', b'r'),
        (b'\t', b't'),
        (8, b'b'),
        (12, b'f'),
    ];
    let mut place = 0;
    while place < short.len() {
        let (byte, letter) = short[place];
        escapes[byte as usize] = [b'\\', letter, 0, 0, 0, 0, 0, 2];
        place += 1;
    }
    escapes
};

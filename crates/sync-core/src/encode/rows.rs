//! Rows into the caller's buffer, as many as fit.

use std::ops::Range;

use super::unwritable::{Refused, Unwritable};

/// A form of rows.
pub(super) trait Rows {
    /// The bytes of text in these rows: they take no fewer.
    fn text_bytes(&self, rows: Range<usize>) -> usize;

    /// The most that these rows take, with that many bytes of text among them, and what is stored
    /// behind them on the way.
    fn most_bytes(&self, rows: usize, text_bytes: usize) -> usize;

    /// Writes a row at a place where there is room for it, and returns where it ends.
    fn write(&self, row: usize, room: &mut [u8], at: usize) -> Result<usize, Refused>;

    fn column_name(&self, column: usize) -> &str;
}

/// How many rows room is made for at a time: few enough that the room stays in the fastest cache.
const BLOCK: usize = 16;

/// Appends rows until the buffer would be longer than `max_len`, and returns the first that was not
/// written.
pub(super) fn append(
    form: &impl Rows,
    rows: Range<usize>,
    max_len: usize,
    out: &mut Vec<u8>,
) -> Result<usize, Unwritable> {
    let mut at = out.len();
    let mut row = rows.start;
    let mut refused = None;
    'rows: while row < rows.end {
        let left = max_len.saturating_sub(at);
        let mut end = rows.end.min(row + BLOCK);
        let mut text_bytes = form.text_bytes(row..end);
        if text_bytes > left {
            // No room for rows that cannot fit: a single text may be larger than all memory times six.
            end = row + 1;
            text_bytes = form.text_bytes(row..end);
            if text_bytes > left {
                break;
            }
        }
        let most = at + form.most_bytes(end - row, text_bytes);
        if out.len() < most {
            out.resize(most, 0);
        }
        while row < end {
            match form.write(row, out, at) {
                Ok(behind) if behind <= max_len => at = behind,
                Ok(_) => break 'rows,
                Err((column, reason)) => {
                    let column = form.column_name(column).to_owned();
                    refused = Some(Unwritable {
                        row,
                        column,
                        reason,
                    });
                    break 'rows;
                }
            }
            row += 1;
        }
    }
    out.truncate(at);
    refused.map_or(Ok(row), Err)
}

/// Stores a block. What of it is not meant to stay is overwritten by what is stored next.
#[inline(always)]
pub(super) fn store<const N: usize>(room: &mut [u8], at: usize, block: [u8; N]) {
    room[at..at + N].copy_from_slice(&block);
}

/// Bytes that are written as they are, such as the name of a column.
pub(super) struct Literal {
    /// Padded to whole blocks.
    blocks: Vec<[u8; Self::BLOCK]>,
    len: usize,
}

impl Literal {
    const BLOCK: usize = 32;

    pub(super) fn new(bytes: &[u8]) -> Self {
        let block = |bytes: &[u8]| {
            let mut block = [0; Self::BLOCK];
            block[..bytes.len()].copy_from_slice(bytes);
            block
        };
        Self {
            blocks: bytes.chunks(Self::BLOCK).map(block).collect(),
            len: bytes.len(),
        }
    }

    /// The most that [`Literal::write`] touches.
    pub(super) fn most_bytes(&self) -> usize {
        self.blocks.len() * Self::BLOCK
    }

    #[inline(always)]
    pub(super) fn write(&self, room: &mut [u8], at: usize) -> usize {
        let mut to = at;
        for block in &self.blocks {
            store(room, to, *block);
            to += Self::BLOCK;
        }
        at + self.len
    }
}

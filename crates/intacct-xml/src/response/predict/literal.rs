//! Bytes to be found at a known place.

use wide::u8x16;

/// A piece of markup, compared in whole blocks.
#[derive(Debug)]
pub(super) struct Literal {
    /// The first bytes, filled up with zeros.
    head: [[u8; 16]; 2],
    /// Which of them count.
    needed: u32,
    len: u32,
    /// What does not stand in the head, in blocks from its end on; the last overlaps the head.
    rest: Box<[[u8; 16]]>,
}

impl Literal {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut head = [[0; 16]; 2];
        for (place, &byte) in head.as_flattened_mut().iter_mut().zip(bytes) {
            *place = byte;
        }
        let in_head = bytes.len().min(32);
        let blocks = bytes.len().saturating_sub(in_head).div_ceil(16);
        let from_the_end =
            (1..=blocks).filter_map(|block| bytes[..bytes.len() - 16 * (block - 1)].last_chunk());
        Self {
            head,
            needed: u32::MAX.checked_shr(32 - in_head as u32).unwrap_or(0),
            len: bytes.len() as u32,
            rest: from_the_end.copied().collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it stands there. No for a place too near the end to be read in blocks.
    #[inline(always)]
    pub(super) fn is_at(&self, place: usize, window: &[u8]) -> bool {
        let Some(block) = window.get(place..).and_then(<[u8]>::first_chunk::<32>) else {
            return false;
        };
        let (low, high) = block.split_at(16);
        let equal = equal(low, &self.head[0]) | (equal(high, &self.head[1]) << 16);
        equal & self.needed == self.needed
            && (self.rest.is_empty() || self.rest_is_at(place, window))
    }

    #[inline]
    fn rest_is_at(&self, place: usize, window: &[u8]) -> bool {
        let Some(mut text) = window.get(place..place + self.len()) else {
            return false;
        };
        self.rest
            .iter()
            .all(|block| match text.split_last_chunk::<16>() {
                Some((before, last)) => {
                    text = before;
                    equal(last, block) == 0xFFFF
                }
                None => false,
            })
    }
}

/// One bit for each byte that is the same.
#[inline(always)]
fn equal(bytes: &[u8], others: &[u8; 16]) -> u32 {
    let Some(bytes) = bytes.first_chunk() else {
        return 0;
    };
    u8x16::new(*bytes).simd_eq(u8x16::new(*others)).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_literal_counts() {
        let text: Vec<u8> = (1..=130).collect();
        for len in 0..=90 {
            let literal = Literal::new(&text[7..7 + len]);
            assert!(literal.is_at(7, &text), "{len}");
            for changed in 0..len {
                let mut text = text.clone();
                text[7 + changed] ^= 0x80;
                assert!(!literal.is_at(7, &text), "{len} {changed}");
            }
        }
        assert!(!Literal::new(b"<A").is_at(80, &text[..100]));
    }
}

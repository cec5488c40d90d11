//! Bytes to be found at a known place.

use wide::u8x16;

/// How many bytes of a literal are compared as blocks.
pub(super) const REACH: usize = 80;

/// A piece of markup.
#[derive(Debug)]
pub(super) struct Literal {
    head: [Block; 2],
    /// What does not stand in the head, if it is not too long.
    tail: Option<Box<[Block; 3]>>,
    is_short: bool,
    len: u8,
    bytes: Box<[u8]>,
}

/// Sixteen bytes, of which some may not count.
#[derive(Clone, Copy, Debug)]
struct Block {
    bytes: u8x16,
    free: u8x16,
}

impl Literal {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut blocks = (0..REACH / 16).map(|number| Block::new(bytes, 16 * number));
        let mut block = || blocks.next().unwrap_or_else(|| Block::new(&[], 0));
        let (head, tail) = ([block(), block()], [block(), block(), block()]);
        let is_in_tail = (33..=REACH).contains(&bytes.len());
        Self {
            head,
            tail: is_in_tail.then(|| Box::new(tail)),
            is_short: bytes.len() <= 32,
            len: bytes.len().min(REACH) as u8,
            bytes: bytes.into(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How long it is, where [`is_in`](Self::is_in) can find it: no more than [`REACH`].
    #[inline(always)]
    pub(super) fn reach(&self) -> usize {
        usize::from(self.len & 0x7F)
    }

    /// Whether it stands there.
    #[inline]
    pub(super) fn is_at(&self, place: usize, window: &[u8]) -> bool {
        let Some(text) = window.get(place..) else {
            return false;
        };
        match text.first_chunk() {
            Some(text) if self.bytes.len() <= REACH => self.is_in(text),
            _ => text.starts_with(&self.bytes),
        }
    }

    /// Whether these bytes begin with it. No if it is longer than they are.
    #[inline(always)]
    pub(super) fn is_in(&self, text: &[u8; REACH]) -> bool {
        let [first, second] = &self.head;
        let head = first.is_in::<0>(text) & second.is_in::<16>(text);
        head.to_bitmask() == 0xFFFF && (self.is_short || self.tail_is_in(text))
    }

    #[inline(always)]
    fn tail_is_in(&self, text: &[u8; REACH]) -> bool {
        let Some(tail) = &self.tail else {
            return false;
        };
        let [third, fourth, fifth] = &**tail;
        let tail = third.is_in::<32>(text) & fourth.is_in::<48>(text) & fifth.is_in::<64>(text);
        tail.to_bitmask() == 0xFFFF
    }
}

impl Block {
    fn new(bytes: &[u8], from: usize) -> Self {
        let bytes = bytes.get(from..).unwrap_or_default();
        let mut block = [0; 16];
        let mut free = [0xFF; 16];
        for ((place, free), &byte) in block.iter_mut().zip(&mut free).zip(bytes) {
            *place = byte;
            *free = 0;
        }
        Self {
            bytes: u8x16::new(block),
            free: u8x16::new(free),
        }
    }

    /// All ones for each byte that is the same at this place or does not count.
    #[inline(always)]
    fn is_in<const PLACE: usize>(&self, text: &[u8; REACH]) -> u8x16 {
        let (_, text) = text.split_at(PLACE);
        let text = text.first_chunk().copied().unwrap_or([0; 16]);
        u8x16::new(text).simd_eq(self.bytes) | self.free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_literal_counts() {
        let text: Vec<u8> = (1..=230).collect();
        for len in 0..=120 {
            let literal = Literal::new(&text[7..7 + len]);
            assert!(literal.is_at(7, &text), "{len}");
            assert!(literal.is_at(7, &text[..7 + len]), "{len}");
            assert_eq!(
                literal.is_in(text[7..].first_chunk().unwrap()),
                len <= REACH,
                "{len}"
            );
            for changed in 0..len {
                let mut text = text.clone();
                text[7 + changed] ^= 0x80;
                assert!(!literal.is_at(7, &text), "{len} {changed}");
                assert!(
                    !literal.is_in(text[7..].first_chunk().unwrap()),
                    "{len} {changed}"
                );
            }
        }
        assert!(!Literal::new(b"<A").is_at(99, &text[..100]));
    }
}

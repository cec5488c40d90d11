//! Yes and no, packed as Arrow packs them.

use arrow_buffer::{BooleanBuffer, Buffer};

/// A row of bits, the first in the lowest place. Bits can be taken back.
#[derive(Default)]
pub(super) struct Bits {
    words: Vec<u32>,
    len: usize,
}

impl Bits {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, bit: bool) {
        self.extend(u32::from(bit), 1);
    }

    /// Adds the lowest bits, up to 32 of them; those above must be zeros.
    pub(super) fn extend(&mut self, bits: u32, count: usize) {
        let place = self.len % 32;
        if let (1.., Some(last)) = (place, self.words.last_mut()) {
            *last |= bits << place;
            if place + count > 32 {
                self.words.push(bits >> (32 - place));
            }
        } else {
            self.words.push(bits);
        }
        self.len += count;
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.words.truncate(len.div_ceil(32));
        if let (place @ 1.., Some(last)) = (len % 32, self.words.last_mut()) {
            *last &= (1 << place) - 1;
        }
        self.len = len;
    }

    /// Takes all bits out and leaves room for as many.
    pub(super) fn take(&mut self) -> BooleanBuffer {
        let room = self.words.len();
        let mut words = std::mem::replace(&mut self.words, Vec::with_capacity(room));
        words.iter_mut().for_each(|word| *word = word.to_le());
        let len = std::mem::take(&mut self.len);
        BooleanBuffer::new(Buffer::from_vec(words), 0, len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_are_what_was_put_in(
            steps in prop::collection::vec((any::<u32>(), 0_usize..=32, prop::option::of(0_usize..200)), 0..12),
        ) {
            let (mut bits, mut simple) = (Bits::default(), Vec::new());
            for (word, count, cut) in steps {
                let word = word & u32::MAX.checked_shr(32 - count as u32).unwrap_or(0);
                if count > 0 {
                    bits.extend(word, count);
                }
                simple.extend((0..count).map(|place| word >> place & 1 == 1));
                if let Some(cut) = cut {
                    bits.truncate(cut);
                    simple.truncate(cut);
                }
                prop_assert_eq!(bits.len(), simple.len());
            }
            prop_assert_eq!(bits.take().iter().collect::<Vec<_>>(), simple);
        }
    }
}

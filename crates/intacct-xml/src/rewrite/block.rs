//! Sixteen bytes looked at together.

use wide::u8x16;

use super::form::{Form, noncharacter_at};
use super::{BLOCK, SOURCE, array};

/// Sixteen bytes.
#[derive(Clone, Copy)]
pub(crate) struct Vector(u8x16);

impl Vector {
    pub(super) const LANES: usize = 16;

    #[inline(always)]
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        Self(u8x16::new(bytes))
    }

    #[inline(always)]
    pub(super) fn from_halves(first: [u8; 8], last: [u8; 8]) -> Self {
        let first = u128::from(u64::from_le_bytes(first));
        let last = u128::from(u64::from_le_bytes(last));
        Self::new((first | (last << 64)).to_le_bytes())
    }

    #[inline(always)]
    pub(super) fn to_array(self) -> [u8; 16] {
        self.0.to_array()
    }

    /// The lanes with one of these bytes.
    #[inline(always)]
    pub(super) fn is(self, byte: u8) -> Lanes {
        Lanes(self.0.simd_eq(u8x16::splat(byte)))
    }

    /// The lanes with one of two bytes, which differ in this bit alone.
    #[inline(always)]
    pub(super) fn is_but_for(self, byte: u8, bit: u8) -> Lanes {
        Lanes((self.0 | u8x16::splat(bit)).simd_eq(u8x16::splat(byte | bit)))
    }

    /// The lanes with a byte below the space.
    #[inline(always)]
    pub(super) fn is_control(self) -> Lanes {
        Lanes(self.0.min(u8x16::splat(0x1F)).simd_eq(self.0))
    }
}

/// For each of sixteen bytes, yes or no.
#[derive(Clone, Copy)]
pub(crate) struct Lanes(u8x16);

impl Lanes {
    #[inline(always)]
    pub(super) fn none() -> Self {
        Self(u8x16::splat(0))
    }

    #[inline(always)]
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline(always)]
    pub(super) fn and_not(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self.0.to_bitmask())
    }
}

/// A first look at some vectors: in doubt, not clean.
pub(super) struct Look {
    marks: Lanes,
    highest: u8x16,
}

/// Counted from the space and wrapping: control characters come last, and before them come the
/// bytes that characters from U+F000 up begin with, the noncharacters among them.
const LAST: u8 = 0xEFu8.wrapping_sub(b' ');

impl Default for Look {
    #[inline(always)]
    fn default() -> Self {
        Self {
            marks: Lanes::none(),
            highest: u8x16::splat(0),
        }
    }
}

impl Look {
    #[inline(always)]
    pub(super) fn add<F: Form>(&mut self, vector: Vector) {
        self.marks = self.marks.or(F::marks(vector));
        self.highest = self.highest.max(vector.0 - u8x16::splat(b' '));
    }

    #[inline(always)]
    pub(super) fn is_clean(&self) -> bool {
        let last = self.highest.max(u8x16::splat(LAST)).simd_eq(self.highest);
        self.marks.or(Lanes(last)).bits() == 0
    }
}

/// The vectors of a block.
#[inline(always)]
pub(super) fn load(source: &[u8; SOURCE]) -> [Vector; 4] {
    [0, 16, 32, 48].map(|at| Vector::new(array(&source[at..at + 16])))
}

/// The places in a vector that change, or may.
#[inline(always)]
pub(super) fn places_in_doubt<F: Form>(vector: Vector) -> u64 {
    let from_space = vector.0 - u8x16::splat(b' ');
    let last = from_space.max(u8x16::splat(LAST)).simd_eq(from_space);
    F::marks(vector).or(Lanes(last)).bits()
}

/// The places in a block that have to change, the first in the lowest bit.
#[inline(always)]
pub(super) fn places<F: Form>(block: &[Vector; 4], source: &[u8; SOURCE]) -> u64 {
    let places = bits(block, F::changes);
    let begins = bits(block, |vector| vector.is(0xEF));
    if begins == 0 {
        return places;
    }
    places | noncharacters(source, begins)
}

/// Of the places with the byte that U+FFFE and U+FFFF begin with, those where one of them stands.
fn noncharacters(source: &[u8; SOURCE], begins: u64) -> u64 {
    // Full-width punctuation begins so in every sentence, but hardly any goes on so.
    let goes_on = bits(&load(source), |vector| vector.is(0xBF));
    let mut candidates = begins & ((goes_on >> 1) | (1 << (BLOCK - 1)));
    let mut found = 0;
    while candidates != 0 {
        let place = candidates.trailing_zeros();
        if noncharacter_at(source, place as usize) {
            found |= 1 << place;
        }
        candidates &= candidates - 1;
    }
    found
}

#[inline(always)]
fn bits(block: &[Vector; 4], lanes: impl Fn(Vector) -> Lanes) -> u64 {
    let [a, b, c, d] = block.map(|vector| lanes(vector).bits());
    a | (b << 16) | (c << 32) | (d << 48)
}

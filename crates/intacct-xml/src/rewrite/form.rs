//! Which characters change, and into what.

use super::block::{Lanes, Vector};

/// A way to write text.
pub(crate) trait Form {
    /// What each byte that changes is written as: up to seven bytes of text, and their number in
    /// the eighth. Nothing, where it is dropped.
    const WRITTEN: &'static [u64; 256];

    /// Whether somebody wants to know how many characters have changed.
    const COUNTS: bool = false;

    /// Lanes with printable ASCII that changes.
    fn marks(vector: Vector) -> Lanes;

    /// Lanes that change; of more than one byte only the noncharacters do, and they are not in it.
    fn changes(vector: Vector) -> Lanes;

    /// Whether the byte changes, or begins a character that may.
    #[inline(always)]
    fn may_change(byte: u8) -> bool {
        Self::WRITTEN[byte as usize] != COPIED
    }
}

/// No reference is longer than `&quot;`.
pub(super) const LONGEST: usize = 6;

/// As it can stand between two tags.
pub(crate) struct Text;

/// As it can stand in an attribute value, whichever quotes surround it.
pub(crate) struct Attribute;

/// As it can stand in a string of JSON (RFC 8259); what XML forbids is dropped.
pub(crate) struct Json;

/// As it stands, but for what XML forbids.
pub(crate) struct Sanitised;

/// As it stands.
pub(super) struct Unchanged;

impl Form for Text {
    const WRITTEN: &'static [u64; 256] = &TEXT;

    #[inline(always)]
    fn marks(vector: Vector) -> Lanes {
        vector.is(b'&').or(vector.is_but_for(b'<', b'<' ^ b'>'))
    }

    #[inline(always)]
    fn changes(vector: Vector) -> Lanes {
        let white = vector.is(b'\t').or(vector.is(b'\n'));
        vector.is_control().and_not(white).or(Self::marks(vector))
    }
}

impl Form for Attribute {
    const WRITTEN: &'static [u64; 256] = &ATTRIBUTE;

    #[inline(always)]
    fn marks(vector: Vector) -> Lanes {
        vector
            .is_but_for(b'&', b'&' ^ b'\'')
            .or(vector.is_but_for(b'<', b'<' ^ b'>'))
            .or(vector.is(b'"'))
    }

    #[inline(always)]
    fn changes(vector: Vector) -> Lanes {
        vector.is_control().or(Self::marks(vector))
    }
}

impl Form for Json {
    const WRITTEN: &'static [u64; 256] = &JSON;

    #[inline(always)]
    fn marks(vector: Vector) -> Lanes {
        vector.is(b'"').or(vector.is(b'\\'))
    }

    #[inline(always)]
    fn changes(vector: Vector) -> Lanes {
        vector.is_control().or(Self::marks(vector))
    }
}

impl Form for Sanitised {
    const WRITTEN: &'static [u64; 256] = &SANITISED;
    const COUNTS: bool = true;

    #[inline(always)]
    fn marks(_: Vector) -> Lanes {
        Lanes::none()
    }

    #[inline(always)]
    fn changes(vector: Vector) -> Lanes {
        let white = vector.is(b'\t').or(vector.is(b'\n')).or(vector.is(b'\r'));
        vector.is_control().and_not(white)
    }
}

impl Form for Unchanged {
    const WRITTEN: &'static [u64; 256] = &[COPIED; 256];

    #[inline(always)]
    fn marks(_: Vector) -> Lanes {
        Lanes::none()
    }

    #[inline(always)]
    fn changes(_: Vector) -> Lanes {
        Lanes::none()
    }
}

/// The number of bytes in an entry of [`Form::WRITTEN`].
#[inline(always)]
pub(super) fn length(written: u64) -> usize {
    (written >> 56) as usize
}

/// How many bytes the character that changes has, by its first.
#[inline(always)]
pub(super) fn width(byte: u8) -> usize {
    1 + 2 * usize::from(byte == 0xEF)
}

/// U+FFFE and U+FFFF are EF BF BE and EF BF BF.
#[inline(always)]
pub(super) fn noncharacter_at(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at..at + 3), Some([0xEF, 0xBF, 0xBE | 0xBF]))
}

/// In [`Form::WRITTEN`], a byte that never changes.
const COPIED: u64 = u64::MAX;

static TEXT: [u64; 256] = written(&[
    (b'\t', None),
    (b'\n', None),
    (b'\r', Some("&#13;")),
    (b'&', Some("&amp;")),
    (b'<', Some("&lt;")),
    (b'>', Some("&gt;")),
]);

static ATTRIBUTE: [u64; 256] = written(&[
    (b'\t', Some("&#9;")),
    (b'\n', Some("&#10;")),
    (b'\r', Some("&#13;")),
    (b'&', Some("&amp;")),
    (b'<', Some("&lt;")),
    (b'>', Some("&gt;")),
    (b'"', Some("&quot;")),
    (b'\'', Some("&#39;")),
]);

static JSON: [u64; 256] = written(&[
    (b'\t', Some("\\t")),
    (b'\n', Some("\\n")),
    (b'\r', Some("\\r")),
    (b'"', Some("\\\"")),
    (b'\\', Some("\\\\")),
]);

static SANITISED: [u64; 256] = written(&[(b'\t', None), (b'\n', None), (b'\r', None)]);

/// Control characters and noncharacters are dropped, all others copied, with these exceptions.
const fn written(exceptions: &[(u8, Option<&str>)]) -> [u64; 256] {
    let mut table = [COPIED; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = 0;
        control += 1;
    }
    table[0xEF] = 0;
    let mut next = 0;
    while next < exceptions.len() {
        let (byte, reference) = exceptions[next];
        table[byte as usize] = match reference {
            Some(reference) => packed(reference.as_bytes()),
            None => COPIED,
        };
        next += 1;
    }
    table
}

const fn packed(reference: &[u8]) -> u64 {
    assert!(reference.len() <= LONGEST);
    let mut bytes = [0; 8];
    let mut at = 0;
    while at < reference.len() {
        bytes[at] = reference[at];
        at += 1;
    }
    bytes[7] = reference.len() as u8;
    u64::from_le_bytes(bytes)
}

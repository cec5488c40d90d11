//! Identities that are functions of content: the same input gives the same id on any machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};

/// 256 bits of SHA-256, written as 64 lower-case hex digits.
///
/// Links of the ledger's hash chain and checksums of spooled payloads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// 128 bits: SHA-256 of company, stream, key and content of one record, cut to half.
///
/// Written as 32 lower-case hex digits. Equal ids mean equal records, so it also tells whether a
/// record that is read again has changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; 16]);

/// 128 bits: SHA-256 of pipeline, stream, operation, window, ordinal and record ids, cut to half.
///
/// Written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId([u8; 16]);

/// One execution of a pipeline: a UUID of version 7, so that runs sort by their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// A new one, later than all that this process made before.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text).map(Self).map_err(|error| {
            Error::new(ErrorKind::Data, "a run id is a UUID")
                .with("text", text)
                .caused_by(error)
        })
    }
}

/// Feeds parts into a hash so that no two different sequences of parts give the same bytes: each
/// part goes in behind its length.
#[derive(Clone, Debug)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hash in its own domain, so that ids of different kinds never meet.
    pub fn new(domain: &str) -> Self {
        Self(Sha256::new()).part(domain.as_bytes())
    }

    /// Adds one part.
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.push(bytes);
        self
    }

    /// Adds one part in place.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// All 256 bits.
    pub fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    fn half(self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&self.digest().0[..16]);
        half
    }

    /// Cut to the 128 bits of a record id.
    pub fn record_id(self) -> RecordId {
        RecordId(self.half())
    }

    /// Cut to the 128 bits of a batch id.
    pub fn batch_id(self) -> BatchId {
        BatchId(self.half())
    }
}

macro_rules! hex_id {
    ($name:ident, $bytes:literal, $what:literal) => {
        impl $name {
            #[doc = concat!("The ", stringify!($bytes), " bytes.")]
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// From its bytes.
            pub fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 2 * $bytes];
                for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    pair[0] = HEX[usize::from(byte >> 4)];
                    pair[1] = HEX[usize::from(byte & 15)];
                }
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let malformed = || {
                    Error::new(
                        ErrorKind::Data,
                        concat!($what, " is ", stringify!($bytes), " bytes in hex"),
                    )
                    .with("text", text)
                };
                let mut bytes = [0; $bytes];
                if text.len() != 2 * $bytes {
                    return Err(malformed());
                }
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let digit = |hex: u8| char::from(hex).to_digit(16).ok_or_else(malformed);
                    *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

const HEX: &[u8; 16] = b"0123456789abcdef";

hex_id!(Digest, 32, "a digest");
hex_id!(RecordId, 16, "a record id");
hex_id!(BatchId, 16, "a batch id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = Hasher::new("t").part(b"ab").part(b"c").digest();
        let two = Hasher::new("t").part(b"a").part(b"bc").digest();
        assert_ne!(one, two);
    }

    #[test]
    fn the_same_parts_give_the_same_id_on_every_machine_and_day() {
        let id = Hasher::new("record")
            .part(b"DEMO")
            .part(b"vendor")
            .record_id();
        assert_eq!(id.to_string(), "b60fdcaefc8c7250141a76ed6593cae6");
        assert_eq!(id.to_string().parse::<RecordId>().unwrap(), id);
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        assert!("xyz".parse::<Digest>().is_err());
        assert!("zz".repeat(16).parse::<BatchId>().is_err());
        assert!("é".repeat(16).parse::<BatchId>().is_err());
    }
}

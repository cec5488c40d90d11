//! The keys of hashes: named in mappings, given apart from them.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::mapping::HashKeyName;
use crate::error::{Error, ErrorKind, Result};

/// Fewer bytes could be found by trying.
const FEWEST_BYTES: usize = 16;

/// Keys by which columns are hashed, by the names that mappings call them. They are shown by no `Debug`,
/// written to no ledger, and named in no error.
///
/// The bytes of a key are those of its text, so that anybody who has it can compute a hash again:
/// `printf %s VALUE | openssl dgst -sha256 -hmac KEY`.
#[derive(Clone, Default)]
pub struct HashKeys(BTreeMap<HashKeyName, Keyed>);

impl HashKeys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// And this one, of at least 16 bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming the key, where it is shorter.
    pub fn with(mut self, name: impl Into<String>, key: &SecretString) -> Result<Self> {
        let name = HashKeyName(name.into());
        let bytes = key.expose_secret().as_bytes();
        let keyed = Hmac::<Sha256>::new_from_slice(bytes).ok();
        let Some(keyed) = keyed.filter(|_| bytes.len() >= FEWEST_BYTES) else {
            let what = "a key of hashes has at least 16 bytes; take 32 random ones in hex";
            return Err(Error::new(ErrorKind::Config, what).with("key", name.0));
        };
        self.0.insert(name, Keyed(keyed));
        Ok(self)
    }

    pub(super) fn get(&self, name: &HashKeyName) -> Option<&Keyed> {
        self.0.get(name)
    }
}

impl fmt::Debug for HashKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.keys().map(|name| (&name.0, "[redacted]")))
            .finish()
    }
}

/// A hash that has taken its key in.
#[derive(Clone)]
pub(super) struct Keyed(Hmac<Sha256>);

impl Keyed {
    /// Appends the hash of a text, in hex.
    pub(super) fn push_hash(&self, text: &str, hash: &mut String) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.0.clone();
        mac.update(text.as_bytes());
        for byte in mac.finalize().into_bytes() {
            hash.push(char::from(HEX[usize::from(byte >> 4)]));
            hash.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }

    /// What tells this key from another, so that a changed one is seen.
    pub(super) fn check(&self) -> String {
        let mut check = String::new();
        self.push_hash("intacct-sync/hash-key-check/1", &mut check);
        check
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

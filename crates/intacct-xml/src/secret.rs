//! The one secret that goes both ways.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The id of an API session: whoever holds it acts as the user until it expires.
///
/// It is opaque, is wiped from memory on drop, and prints as `[redacted]`.
#[derive(Clone)]
pub struct SessionId(SecretString);

impl SessionId {
    /// Takes an id as the gateway gave it.
    pub fn new(id: impl Into<SecretString>) -> Self {
        Self(id.into())
    }

    /// The id itself. Call it where it is written into a request and nowhere else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId([redacted])")
    }
}

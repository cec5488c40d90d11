//! A request as it is sent.

use std::fmt;
use std::hint::black_box;
use std::ops::Deref;

use zeroize::Zeroize;

use crate::escape::XmlBuffer;

/// A request as it is sent, in UTF-8. It holds passwords or a session id, prints as its length, and
/// is wiped from memory on drop.
///
/// What it holds of the [control block](super::Control) and the
/// [authentication](super::Authentication) is wiped in the way that a compiler may not leave out. What the functions hold,
/// which may be a thousand records, is overwritten too, at the speed of memory, but that
/// is not a promise.
pub struct Document {
    text: String,
    /// The bytes up to the first function.
    head: usize,
}

impl Document {
    /// The head, and behind as many blank bytes the rest.
    pub(super) fn new(head: &XmlBuffer, mut document: XmlBuffer) -> Self {
        document.fill_in_start(head.as_bytes());
        Self {
            text: document.into_string(),
            head: head.len(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Deref for Document {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl AsRef<[u8]> for Document {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl AsRef<str> for Document {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Document");
        shown.field("len", &self.text.len()).finish_non_exhaustive()
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        if let Some(head) = bytes.get_mut(..self.head) {
            head.zeroize();
        }
        // Byte by byte, as above, would take longer than to write the document.
        bytes.fill(0);
        black_box(&bytes);
    }
}

//! The client's errors as a source's.

use sync_core::Error;

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::new(error.kind(), "the books cannot be read")
            .following(&error)
            .caused_by(error)
    }
}

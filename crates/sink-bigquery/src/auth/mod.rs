//! Who asks: tokens for the `Authorization` header.

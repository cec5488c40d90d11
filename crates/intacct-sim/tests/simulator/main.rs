//! The simulator from outside: raw HTTP, no client crate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod books;
mod envelope;
mod faults;
mod formats;
mod functions;
mod queries;
mod reads;
mod truth;
mod wire;
mod writes;

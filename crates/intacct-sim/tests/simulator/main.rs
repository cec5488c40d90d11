//! The simulator from outside: raw HTTP, no client crate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod books;
mod customs;
mod envelope;
mod faults;
mod formats;
mod functions;
mod queries;
mod reads;
mod strict;
mod tier;
mod truth;
mod visibility;
mod wire;
mod writes;

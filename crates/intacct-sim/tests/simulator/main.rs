//! The simulator from outside: raw HTTP, no client crate.

mod books;
mod envelope;
mod queries;
mod reads;
mod truth;
mod wire;

//! A pipeline that is killed at every step, and one whose surroundings fail: afterwards books,
//! destination and ledger agree exactly.
//!
//! The books are a function of a seed and a day, so that the process that is killed and the one that
//! judges have the same. A history is some days of books, each brought to the destination by processes
//! of which all but the last are killed with SIGKILL: before or after a step, inside of one, or at a
//! random moment by somebody else.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod again;
mod agreement;
mod books;
mod child;
mod faults;
mod history;
mod home;
mod kills;
mod stepped;
mod steps;
mod witness;
mod workers;

#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod comparison;
pub mod cpu_time;
pub mod escaping;
pub mod page;
pub mod paging;
pub mod parsing;
pub mod record;
pub mod text;

/// The seed of everything that the benches measure.
pub const SEED: u64 = 20_260_131;

#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod clock;
pub mod comparison;
pub mod encoding;
pub mod end_to_end;
pub mod escaping;
pub mod goal;
pub mod machine;
pub mod paced;
pub mod page;
pub mod paging;
pub mod parsing;
pub mod peer;
pub mod process;
pub mod record;
pub mod report;
pub mod rounds;
pub mod suites;
pub mod text;
pub mod writing;

/// The seed of everything that the benches measure.
pub const SEED: u64 = 20_260_131;

//! What the examples share: the simulated company's credentials, progress, tables, runs told, errors as one
//! line.

pub mod failure;
pub mod progress;
pub mod runs;
pub mod simulated;
pub mod tables;

//! What the examples share: the simulated company's credentials, tables, errors as one line.

pub mod failure;
pub mod simulated;
pub mod tables;

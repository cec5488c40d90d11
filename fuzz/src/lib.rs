//! What the targets share: pages that look like the gateway's, and reading them in every way.

pub mod outcome;
pub mod page;

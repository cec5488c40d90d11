//! What becomes of a stream on its way to the destination: the mapping that a person wrote, and the
//! contract with those who read the destination.
//!
//! A mapping renames, drops, casts, hashes and masks columns, and adds constant ones. It is checked as a
//! whole before anything runs ([`check`]). A contract says what a destination was promised of a stream;
//! how far a stream may depart from it is its [`ContractMode`]. Neither rounds a value nor loses one
//! silently: a value that does not fit sends its record to the dead letters.

mod cells;
#[cfg(test)]
mod checks;
mod concealed;
mod contract;
mod keys;
mod kind;
#[cfg(test)]
mod laws;
mod mapped;
mod mapping;
mod resolve;
mod source;
mod stage;
mod treat;

pub use contract::{AcceptedContract, Contract, ContractColumn, ContractMode};
pub use keys::HashKeys;
pub use kind::ColumnKind;
pub use mapped::{Problem, check};
pub use mapping::{ColumnMapping, Constant, HashKeyName, Mask, Shaping, StreamMapping, Treatment};
pub use resolve::{Decision, Difference};

pub(crate) use mapped::{Mapped, refusal};
pub(crate) use source::ShapedSource;
pub(crate) use stage::{Errand, Shape};

#![doc = include_str!("../README.md")]

mod error;
mod kind;
mod retry;

pub use crate::error::{Error, chain};
pub use crate::kind::ErrorKind;
pub use crate::retry::{Phase, Retry};

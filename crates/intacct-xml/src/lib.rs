#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod error;
pub mod escape;
pub mod metadata;
pub mod name;
pub mod request;
pub mod response;
mod rewrite;
pub mod sanitise;
mod secret;
#[cfg(test)]
mod text_strategy;
pub mod values;

pub use crate::error::{BodyShape, Error, ErrorKind};
pub use crate::name::{ControlId, FieldName, ObjectName};
pub use crate::secret::SessionId;

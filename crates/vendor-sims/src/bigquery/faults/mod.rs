//! What goes wrong on purpose: which calls, how often, and what happens to them.
//!
//! [`script`] reads a script, [`fault`] names what can go wrong, and [`engine`] decides which rules
//! fire for a request; the service acts by its [`Plan`].

mod engine;
mod fault;
mod script;

pub(super) use self::engine::{Asked, Faults, Plan, plan};
pub use self::fault::{Body, Cut, Fault, Refuse};
pub use self::script::{FaultScript, Rule, RuleReport, When};

//! What goes wrong on purpose: the script, which calls it meets, and what it does to answers.
//!
//! [`script`] reads a script, [`fault`] names what can go wrong, [`engine`] decides which rules
//! fire for a request, [`edge`] answers in the place of the gateway, and [`reshape`] spoils what
//! the gateway has answered. The gateway asks for a [`Plan`] once a request has been read.

mod edge;
mod engine;
mod fault;
mod moments;
mod reshape;
mod script;

pub(crate) use self::edge::not_authorised;
pub(crate) use self::engine::{Asked, Faults, FunctionPlan, Plan, plan};
pub use self::fault::{
    Body, Characters, Cloudflare, ControlFailure, Cut, ErrorText, Errors, Fault, FunctionFailure,
    Http, RetryAfterForm, ShownTimeout, Slow, Spoiler, Totals, Truncate, Work,
};
pub use self::moments::{Instant, Weekly};
pub use self::script::{By, FaultScript, Rule, RuleReport, When};

//! What is measured: groups of candidates that do the same, by subject.

use crate::comparison::Meter;
use crate::parsing::Result;

pub mod build_request;
pub mod encode;
pub mod end_to_end;
pub mod escape;
pub mod pagination;
pub mod parse;
pub mod sanitise_page;
pub mod users_tools;

/// Groups about one subject.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// The first part of its groups' names.
    pub name: &'static str,
    /// Hands its groups to the meter, one after the other.
    pub run: fn(&mut dyn Meter) -> Result<()>,
}

/// All suites.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "escape",
        run: escape::run,
    },
    Suite {
        name: "sanitise_page",
        run: sanitise_page::run,
    },
    Suite {
        name: "build_request",
        run: build_request::run,
    },
    Suite {
        name: "parse",
        run: parse::run,
    },
    Suite {
        name: "users_tools",
        run: users_tools::run,
    },
    Suite {
        name: "encode",
        run: encode::run,
    },
    Suite {
        name: "pagination",
        run: pagination::run,
    },
    Suite {
        name: "end_to_end",
        run: end_to_end::run,
    },
];

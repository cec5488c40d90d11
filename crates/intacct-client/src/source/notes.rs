//! What a person must know of the reading, noticed on the way.

use std::sync::{Mutex, PoisonError};

use sync_core::{Finding, Severity};

use super::hierarchy::Flaw;

/// Findings, each once.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Vec<Finding>>);

impl Notes {
    pub(super) fn add(&self, finding: Finding) {
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    pub(super) fn all(&self) -> Vec<Finding> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn add_flaw(&self, stream: &str, flaw: &Flaw) {
        let (what, remedy) = match flaw {
            Flaw::Cycle(around) => (
                format!("the hierarchy goes in a circle: {around}; the path is cut there"),
                "give one of them another parent in Intacct",
            ),
            Flaw::NoParent { record, parent } => (
                format!("{record} names the parent {parent}, which is not among the records"),
                "let the user see the parent, or correct the record in Intacct",
            ),
        };
        self.add(Finding::new(Severity::Warning, stream, what).remedy(remedy));
    }
}

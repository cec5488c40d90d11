//! Counting calls: the vendor bills them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use intacct_xml::request::Call;

/// The calls of a client so far, by function and object.
///
/// One function of one request that was sent is one call, whether it succeeded or not; the vendor counts a page of
/// `query` as one transaction (Sage Intacct help, View API usage).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    counts: BTreeMap<(String, Option<String>), CallCount>,
}

/// What calls of one function on one object came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCount {
    /// Calls that were sent, repeats included.
    pub sent: u64,
    /// Those of them that did not succeed.
    pub failed: u64,
    /// Records that came back.
    pub records: u64,
    /// Bytes of the answers, after decompression. The bytes of an answer to several functions count for the first.
    pub bytes: u64,
}

impl CallCounts {
    /// The counts by function and object, in alphabetical order. There is no object for `getAPISession`,
    /// `readMore`, and `inspect` of everything.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>, CallCount)> {
        self.counts
            .iter()
            .map(|((function, object), count)| (function.as_str(), object.as_deref(), *count))
    }

    /// The calls of one function on all objects.
    #[must_use]
    pub fn of_function(&self, function: &str) -> CallCount {
        let matching = self.counts.iter().filter(|((name, _), _)| name == function);
        matching.fold(CallCount::default(), |sum, (_, count)| sum.plus(count))
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> CallCount {
        self.counts
            .values()
            .fold(CallCount::default(), CallCount::plus)
    }
}

impl CallCount {
    fn plus(self, other: &Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            failed: self.failed + other.failed,
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Where a client counts its calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    counts: Mutex<CallCounts>,
}

impl CallLog {
    pub(crate) fn count(&self, call: &Call, outcome: CallCount) {
        let object = call.object().map(|object| object.as_str().to_owned());
        let key = (call.function_name().to_owned(), object);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = counts.counts.entry(key).or_default();
        *entry = entry.plus(&outcome);
    }

    pub(crate) fn snapshot(&self) -> CallCounts {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

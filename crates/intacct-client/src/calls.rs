//! Counting calls: the vendor bills them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use intacct_xml::request::Call;

/// The calls of a client so far, by function, object and label.
///
/// One function of one request that was sent is one call, whether it succeeded or not; the vendor counts a page of
/// `query` as one transaction (Sage Intacct help, View API usage).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    counts: BTreeMap<Key, CallCount>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    function: String,
    object: Option<String>,
    label: Option<String>,
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
    /// Time from sending to the last byte. That of several functions in one request counts for the first.
    pub elapsed: Duration,
}

impl CallCounts {
    /// The counts by function and object, in alphabetical order. There is no object for `getAPISession`,
    /// `readMore`, and `inspect` of everything.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>, CallCount)> {
        let mut merged: Vec<(&str, Option<&str>, CallCount)> = Vec::new();
        for (key, count) in &self.counts {
            let (function, object) = (key.function.as_str(), key.object.as_deref());
            match merged.last_mut() {
                Some(last) if (last.0, last.1) == (function, object) => last.2 = last.2.plus(count),
                _ => merged.push((function, object, *count)),
            }
        }
        merged.into_iter()
    }

    /// The calls of one function on all objects.
    #[must_use]
    pub fn of_function(&self, function: &str) -> CallCount {
        self.sum(|key| key.function == function)
    }

    /// The calls that were made under a [label](crate::Client::labelled), such as the name of a stream.
    #[must_use]
    pub fn of_label(&self, label: &str) -> CallCount {
        self.sum(|key| key.label.as_deref() == Some(label))
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> CallCount {
        self.sum(|_| true)
    }

    /// The calls since an earlier count of the same client: those of one run, for instance.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().filter_map(|(key, count)| {
            let before = earlier.counts.get(key).copied().unwrap_or_default();
            let count = count.minus(&before);
            (count.sent > 0).then(|| (key.clone(), count))
        });
        Self {
            counts: counts.collect(),
        }
    }

    fn sum(&self, of: impl Fn(&Key) -> bool) -> CallCount {
        let matching = self.counts.iter().filter(|(key, _)| of(key));
        matching.fold(CallCount::default(), |sum, (_, count)| sum.plus(count))
    }
}

impl CallCount {
    fn plus(self, other: &Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            failed: self.failed + other.failed,
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
            elapsed: self.elapsed + other.elapsed,
        }
    }

    fn minus(self, other: &Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(other.sent),
            failed: self.failed.saturating_sub(other.failed),
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
            elapsed: self.elapsed.saturating_sub(other.elapsed),
        }
    }
}

/// Where a client counts its calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    counts: Mutex<CallCounts>,
}

impl CallLog {
    pub(crate) fn count(&self, call: &Call, label: Option<&str>, outcome: CallCount) {
        let key = Key {
            function: call.function_name().to_owned(),
            object: call.object().map(|object| object.as_str().to_owned()),
            label: label.map(str::to_owned),
        };
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

//! Control totals: what is compared to say that the warehouse equals the books.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use crate::decimal::Decimal;
use crate::stream::StreamDescriptor;

/// Which totals to take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TotalsQuery {
    /// The stream. [`StreamDescriptor::totals`] says what is summed and how it is grouped.
    pub stream: Arc<StreamDescriptor>,
    /// Leaves out records that were modified at or after this time; records that say nothing of
    /// when they were modified count. Without effect on a stream that has no such column.
    pub modified_before: Option<OffsetDateTime>,
}

impl TotalsQuery {
    /// Totals of all live records.
    pub fn of(stream: Arc<StreamDescriptor>) -> Self {
        Self {
            stream,
            modified_before: None,
        }
    }

    /// Totals of the live records that were last modified before this time.
    #[must_use]
    pub fn modified_before(mut self, time: OffsetDateTime) -> Self {
        self.modified_before = Some(time);
        self
    }
}

/// The values of the group-by columns as text, in their order; empty text where there is none.
pub type GroupKey = Vec<String>;

/// Number of records and sums of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupTotals {
    /// How many records.
    pub records: u64,
    /// The sums, in the order of [`TotalsShape::sums`](crate::stream::TotalsShape).
    pub sums: Vec<Decimal>,
}

/// Counts and sums by group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlTotals {
    /// Every group that has at least one record.
    pub groups: BTreeMap<GroupKey, GroupTotals>,
}

/// A group in which two sides differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The group.
    pub group: GroupKey,
    /// What differs: `records`, or the column whose sums do.
    pub measure: String,
    /// What the source has.
    pub source: String,
    /// What the destination has.
    pub destination: String,
}

impl ControlTotals {
    /// How many records there are in all groups.
    pub fn records(&self) -> u64 {
        self.groups.values().map(|totals| totals.records).sum()
    }

    /// Where the two sides are not equal, to the last digit.
    pub fn differences(&self, destination: &Self, sums: &[String]) -> Vec<Difference> {
        let nothing = GroupTotals {
            records: 0,
            sums: vec![Decimal::ZERO; sums.len()],
        };
        let mut found = Vec::new();
        let groups: std::collections::BTreeSet<_> = self
            .groups
            .keys()
            .chain(destination.groups.keys())
            .collect();
        for group in groups {
            let ours = self.groups.get(group).unwrap_or(&nothing);
            let theirs = destination.groups.get(group).unwrap_or(&nothing);
            let mut differ = |measure: &str, source: String, destination: String| {
                let (group, measure) = (group.clone(), measure.to_owned());
                found.push(Difference {
                    group,
                    measure,
                    source,
                    destination,
                });
            };
            if ours.records != theirs.records {
                differ(
                    "records",
                    ours.records.to_string(),
                    theirs.records.to_string(),
                );
            }
            for (position, name) in sums.iter().enumerate() {
                let side = |totals: &GroupTotals| totals.sums.get(position).copied();
                if side(ours) != side(theirs) {
                    let written =
                        |sum: Option<Decimal>| sum.map_or("missing".into(), |sum| sum.to_string());
                    differ(name, written(side(ours)), written(side(theirs)));
                }
            }
        }
        found
    }
}

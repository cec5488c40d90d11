//! Control totals: what is compared to say that the warehouse equals the books.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use crate::condition::Condition;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
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
    /// Counts only the records that meet all of these.
    pub matching: Vec<Condition>,
    /// What becomes of days by which records are grouped.
    pub days: Days,
}

impl TotalsQuery {
    /// Totals of all live records.
    pub fn of(stream: Arc<StreamDescriptor>) -> Self {
        Self {
            stream,
            modified_before: None,
            matching: Vec::new(),
            days: Days::default(),
        }
    }

    /// Totals of the live records that were last modified before this time.
    #[must_use]
    pub fn modified_before(mut self, time: OffsetDateTime) -> Self {
        self.modified_before = Some(time);
        self
    }

    /// Totals of the records that meet this condition too.
    #[must_use]
    pub fn matching(mut self, condition: Condition) -> Self {
        self.matching.push(condition);
        self
    }

    /// Totals that are grouped by the months of days.
    #[must_use]
    pub fn by_month(mut self) -> Self {
        self.days = Days::ToMonths;
        self
    }
}

/// What becomes of the days of date columns by which records are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Days {
    /// They stay: `2026-01-31`.
    #[default]
    Kept,
    /// They become their months: `2026-01`.
    ToMonths,
}

impl Days {
    /// A day as text, `2026-01-31` or empty, as it stands in a group's key.
    pub fn folded(self, day: &str) -> &str {
        match self {
            Self::Kept => day,
            Self::ToMonths => day.get(..7).unwrap_or(day),
        }
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

impl GroupTotals {
    /// No records, and sums of nothing.
    pub fn nothing(sums: usize) -> Self {
        Self {
            records: 0,
            sums: vec![Decimal::ZERO; sums],
        }
    }

    /// Adds records.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`] where a sum has more than 38 digits.
    pub fn add(&mut self, more: &Self) -> Result<()> {
        self.records += more.records;
        for (sum, more) in self.sums.iter_mut().zip(&more.sums) {
            *sum = sum.checked_add(*more).ok_or_else(too_long)?;
        }
        Ok(())
    }
}

fn too_long() -> Error {
    Error::new(ErrorKind::Data, "a control total has more than 38 digits")
}

impl ControlTotals {
    /// Adds to a group; it may be there already, because null and empty text are one group, and the
    /// days of a month are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`] where a sum has more than 38 digits.
    pub fn add(&mut self, key: GroupKey, more: GroupTotals) -> Result<()> {
        match self.groups.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(more);
                Ok(())
            }
            Entry::Occupied(mut occupied) => occupied.get_mut().add(&more),
        }
    }

    /// Takes groups out of these, such as those of some of the records; a group that is left without
    /// a record goes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`] where what is taken out is not in, or a sum has more than 38 digits.
    pub fn take_out(&mut self, some: &Self) -> Result<()> {
        for (key, out) in &some.groups {
            let not_in = || {
                let what = "totals of some records are not among those of all";
                Error::new(ErrorKind::Data, what).with("group", key.join(" "))
            };
            let group = self.groups.get_mut(key).ok_or_else(not_in)?;
            group.records = group.records.checked_sub(out.records).ok_or_else(not_in)?;
            for (sum, out) in group.sums.iter_mut().zip(&out.sums) {
                *sum = sum.checked_sub(*out).ok_or_else(too_long)?;
            }
            if group.records == 0 {
                self.groups.remove(key);
            }
        }
        Ok(())
    }

    /// The groups in which the two sides are not equal, to the last digit.
    pub fn groups_that_differ(&self, destination: &Self) -> Vec<GroupKey> {
        let keys = self.groups.keys().chain(destination.groups.keys());
        let keys: BTreeSet<_> = keys.collect();
        keys.into_iter()
            .filter(|key| self.groups.get(*key) != destination.groups.get(*key))
            .cloned()
            .collect()
    }

    /// How many records there are in all groups.
    pub fn records(&self) -> u64 {
        self.groups.values().map(|totals| totals.records).sum()
    }
}

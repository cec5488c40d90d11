//! Where two sides differ, and how much of it single records account for.

use std::collections::BTreeMap;

use super::Sides;
use super::examine::Examined;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::stream::StreamDescriptor;
use crate::tie_out::{Difference, Explanation, RECORDS};
use crate::totals::{GroupKey, GroupTotals};

/// Most records of which all combinations are tried.
pub(super) const MOST_SUBSET: usize = 10;

/// A group: the position of its grouping among the stream's, and its key.
pub(super) type Place = (usize, GroupKey);

/// A number of records and sums, either of which may be less than nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amounts {
    records: i128,
    sums: Vec<Decimal>,
}

/// What records add to the source's side of groups, less what they add to the destination's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contribution(pub(super) BTreeMap<Place, Amounts>);

impl Contribution {
    /// Records that the source has.
    pub(super) fn add(
        &mut self,
        grouping: usize,
        group: &GroupKey,
        totals: &GroupTotals,
    ) -> Result<()> {
        self.change(grouping, group, totals, false)
    }

    /// Records that the destination has.
    pub(super) fn subtract(
        &mut self,
        grouping: usize,
        group: &GroupKey,
        totals: &GroupTotals,
    ) -> Result<()> {
        self.change(grouping, group, totals, true)
    }

    fn change(
        &mut self,
        grouping: usize,
        group: &GroupKey,
        totals: &GroupTotals,
        less: bool,
    ) -> Result<()> {
        let place = (grouping, group.clone());
        let amounts = self.0.entry(place).or_insert_with(|| Amounts {
            records: 0,
            sums: vec![Decimal::ZERO; totals.sums.len()],
        });
        let records = i128::from(totals.records);
        amounts.records += if less { -records } else { records };
        for (sum, more) in amounts.sums.iter_mut().zip(&totals.sums) {
            let changed = if less {
                sum.checked_sub(*more)
            } else {
                sum.checked_add(*more)
            };
            *sum = changed.ok_or_else(|| {
                Error::new(ErrorKind::Data, "a difference has more than 38 digits")
            })?;
        }
        if amounts.is_nothing() {
            self.0.remove(&(grouping, group.clone()));
        }
        Ok(())
    }

    /// Both together; nothing where that has too many digits.
    fn plus(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        for (place, amounts) in &other.0 {
            let sum = match both.0.remove(place) {
                Some(own) => own.plus(amounts)?,
                None => amounts.clone(),
            };
            if !sum.is_nothing() {
                both.0.insert(place.clone(), sum);
            }
        }
        Some(both)
    }

    fn at(&self, place: &Place) -> Option<&Amounts> {
        self.0.get(place)
    }
}

impl Amounts {
    fn is_nothing(&self) -> bool {
        self.records == 0 && self.sums.iter().all(|sum| *sum == Decimal::ZERO)
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        let sums = self.sums.iter().zip(&other.sums);
        let sums: Option<Vec<_>> = sums.map(|(sum, more)| sum.checked_add(*more)).collect();
        Some(Self {
            records: self.records + other.records,
            sums: sums?,
        })
    }
}

/// The groups in which two sides differ.
#[derive(Debug)]
pub(super) struct Differences {
    groupings: Vec<Vec<String>>,
    sums: Vec<String>,
    /// What the source has more than the destination.
    pub(super) total: Contribution,
    /// Records in the differing groups of each grouping, on the side that has more.
    pub(super) records: Vec<u64>,
}

impl Differences {
    pub(super) fn between(stream: &StreamDescriptor, sides: &Sides) -> Result<Self> {
        let mut total = Contribution::default();
        let mut records = Vec::new();
        for (position, (ours, theirs)) in sides.source.iter().zip(&sides.destination).enumerate() {
            let mut most = 0;
            for group in ours.groups_that_differ(theirs) {
                let (own, other) = (ours.groups.get(&group), theirs.groups.get(&group));
                if let Some(totals) = own {
                    total.add(position, &group, totals)?;
                }
                if let Some(totals) = other {
                    total.subtract(position, &group, totals)?;
                }
                let count = |side: Option<&GroupTotals>| side.map_or(0, |side| side.records);
                most += count(own).max(count(other));
            }
            records.push(most);
        }
        Ok(Self {
            groupings: stream.totals.groupings().cloned().collect(),
            sums: stream.totals.sums.clone(),
            total,
            records,
        })
    }

    /// Whether some of these records, and nothing else, make up all the differences.
    pub(super) fn are_some_of(&self, records: &[Contribution]) -> bool {
        if records.is_empty() || records.len() > MOST_SUBSET {
            return false;
        }
        (0u32..1 << records.len()).any(|chosen| {
            let chosen = records
                .iter()
                .enumerate()
                .filter(|(number, _)| chosen >> number & 1 == 1);
            let mut sum = Some(Contribution::default());
            for (_, record) in chosen {
                sum = sum.and_then(|sum| sum.plus(record));
            }
            sum.as_ref() == Some(&self.total)
        })
    }

    /// The groups of a grouping that these records do not account for.
    pub(super) fn unaccounted(&self, grouping: usize, examined: &Examined) -> Vec<GroupKey> {
        let places = self.total.0.iter().filter(|(place, _)| place.0 == grouping);
        let known = examined.together();
        places
            .filter(|(place, amounts)| {
                known.as_ref().and_then(|known| known.at(place)) != Some(amounts)
            })
            .map(|(place, _)| place.1.clone())
            .collect()
    }

    /// Each measure that differs, with what is known of its group.
    pub(super) fn explained(&self, sides: &Sides, examined: &Examined) -> Vec<Difference> {
        let known = examined.together();
        let mut told = Vec::new();
        for (place, amounts) in &self.total.0 {
            let (grouping, group) = place;
            let accounted_for = known.as_ref().and_then(|known| known.at(place)) == Some(amounts);
            let explanations = examined.explanations(place);
            let nothing = GroupTotals::nothing(self.sums.len());
            let side = |totals: &[crate::totals::ControlTotals]| {
                let totals = totals.get(*grouping);
                totals
                    .and_then(|totals| totals.groups.get(group))
                    .unwrap_or(&nothing)
                    .clone()
            };
            let (ours, theirs) = (side(&sides.source), side(&sides.destination));
            let by = self.groupings.get(*grouping).map_or(&[][..], Vec::as_slice);
            let mut tell = |measure: &str, source: Decimal, destination: Decimal| {
                if source != destination {
                    let mut difference = Difference::new(by, group, measure, source, destination);
                    difference.explanations.clone_from(&explanations);
                    difference.accounted_for = accounted_for;
                    told.push(difference);
                }
            };
            let count =
                |records: u64| Decimal::new(i128::from(records), 0).unwrap_or(Decimal::ZERO);
            tell(RECORDS, count(ours.records), count(theirs.records));
            for (name, (source, destination)) in
                self.sums.iter().zip(ours.sums.iter().zip(&theirs.sums))
            {
                tell(name, *source, *destination);
            }
        }
        told
    }
}

impl Examined {
    /// What all these records account for together; none where that cannot be told.
    fn together(&self) -> Option<Contribution> {
        let mut sum = Contribution::default();
        for record in &self.records {
            sum = sum.plus(&record.contribution)?;
        }
        Some(sum)
    }

    /// Why the records differ that touch a group.
    fn explanations(&self, place: &Place) -> Vec<Explanation> {
        let mut by_reason: BTreeMap<_, Explanation> = BTreeMap::new();
        let touching = self
            .records
            .iter()
            .filter(|it| it.contribution.at(place).is_some());
        for record in touching {
            let explanation = by_reason
                .entry(record.reason)
                .or_insert_with(|| Explanation::new(record.reason));
            explanation.records += record.keys.len() as u64;
            if record.in_closed_period {
                explanation.in_closed_period += record.keys.len() as u64;
            }
            let room = Explanation::KEYS.saturating_sub(explanation.keys.len());
            explanation
                .keys
                .extend(record.keys.iter().take(room).cloned());
        }
        by_reason.into_values().collect()
    }
}

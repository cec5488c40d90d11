//! Looking into differences record by record.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use time::Date;

use super::Comparison;
use super::difference::{Contribution, Differences};
use super::in_flight::{InFlight, microseconds};
use crate::batch::{RecordKey, record_ids, record_keys};
use crate::column::{Column, Value};
use crate::condition::Condition;
use crate::decimal::Decimal;
use crate::error::Result;
use crate::id::RecordId;
use crate::source::ReadRequest;
use crate::tie_out::Reason;
use crate::totals::{GroupKey, GroupTotals, TotalsQuery};

/// Most groups that are looked into at once, and most records in them.
const MOST_GROUPS: usize = 50;
const MOST_RECORDS: u64 = 50_000;
/// Dead letters that are known to the examination, the youngest ones.
const DEAD_LETTERS: usize = 10_000;
/// Keys that are asked for in one query.
const KEYS_A_QUERY: usize = 1_000;

/// What was found of single records.
#[derive(Debug, Default)]
pub(super) struct Examined {
    pub(super) records: Vec<ExaminedRecords>,
}

/// Records that make a difference, for one reason.
#[derive(Debug)]
pub(super) struct ExaminedRecords {
    pub(super) keys: Vec<RecordKey>,
    pub(super) reason: Reason,
    pub(super) in_closed_period: bool,
    pub(super) contribution: Contribution,
}

/// Compares the records of groups that differ.
pub(super) struct Examiner<'a> {
    comparison: &'a Comparison<'a>,
    in_flight: &'a InFlight,
    /// The columns of all groupings, and that of the period.
    columns: Vec<String>,
}

/// A record as one side has it.
#[derive(Clone, Debug)]
struct Side {
    values: Vec<String>,
    totals: GroupTotals,
    /// The id of its state, and when it was modified: where the source has it.
    state: Option<(RecordId, Option<i64>)>,
}

#[derive(Debug, Default)]
struct Sides {
    ours: BTreeMap<RecordKey, Side>,
    theirs: BTreeMap<RecordKey, Side>,
    /// What the source has and cannot be read.
    unreadable: BTreeSet<RecordKey>,
}

impl<'a> Examiner<'a> {
    pub(super) fn new(comparison: &'a Comparison<'a>, in_flight: &'a InFlight) -> Self {
        let stream = comparison.stream;
        let mut columns: Vec<String> = Vec::new();
        for column in stream.totals.groupings().flatten().chain(&stream.period) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        Self {
            comparison,
            in_flight,
            columns,
        }
    }

    /// Looks into the groupings with the fewest records first: what is found there may account for the
    /// others too. Groups of too many records stay unexplained.
    pub(super) async fn examine(&self, differences: &Differences) -> Result<Examined> {
        let mut examined = Examined::default();
        let mut order: Vec<_> = (0..differences.records.len()).collect();
        order.sort_by_key(|&grouping| differences.records.get(grouping));
        for grouping in order {
            let groups = differences.unaccounted(grouping, &examined);
            let records = differences.records.get(grouping).copied().unwrap_or(0);
            if groups.is_empty() || groups.len() > MOST_GROUPS || records > MOST_RECORDS {
                continue;
            }
            let known: HashSet<_> = examined.records.iter().flat_map(|it| &it.keys).collect();
            let mut sides = self.sides(grouping, groups).await?;
            sides.ours.retain(|key, _| !known.contains(key));
            sides.theirs.retain(|key, _| !known.contains(key));
            sides.unreadable.retain(|key| !known.contains(key));
            let found = self.compared(sides).await?;
            examined.records.extend(found);
        }
        Ok(examined)
    }

    /// The records of groups, as both sides have them.
    async fn sides(&self, grouping: usize, groups: Vec<GroupKey>) -> Result<Sides> {
        let mut sides = Sides::default();
        let stream = self.comparison.stream;
        let Some(columns) = stream.totals.groupings().nth(grouping) else {
            return Ok(sides);
        };
        for group in groups {
            let conditions = columns.iter().zip(group);
            let conditions = conditions.map(|(column, value)| Condition::is(column, value));
            let conditions: Vec<_> = conditions.collect();
            self.read(conditions.clone(), &mut sides).await?;
            self.landed(conditions, &mut sides).await?;
        }
        // Some may stand in another group on the other side.
        let only = |some: &BTreeMap<RecordKey, Side>, others: &BTreeMap<RecordKey, Side>| {
            let only = some.keys().filter(|key| !others.contains_key(*key));
            only.cloned().collect::<Vec<_>>()
        };
        let (only_ours, only_theirs) = (
            only(&sides.ours, &sides.theirs),
            only(&sides.theirs, &sides.ours),
        );
        for these in exactly(&stream.key, &only_theirs) {
            self.read(these, &mut sides).await?;
        }
        for these in exactly(&stream.key, &only_ours) {
            self.landed(these, &mut sides).await?;
        }
        Ok(sides)
    }

    /// Reads records of the source.
    async fn read(&self, conditions: Vec<Condition>, sides: &mut Sides) -> Result<()> {
        let Comparison { source, stream, .. } = self.comparison;
        let request = ReadRequest::matching(Arc::clone(stream), conditions);
        let mut pages = source.read(request);
        while let Some(page) = pages.try_next().await? {
            let keys = record_keys(stream, &page.rows)?;
            let ids = record_ids(source.company(), stream, &page.rows, &keys)?;
            let named = |names: &[String]| -> Result<Vec<Column<'_>>> {
                let columns = names.iter().map(|name| Column::named(&page.rows, name));
                columns.collect()
            };
            let (columns, sums) = (named(&self.columns)?, named(&stream.totals.sums)?);
            let modified = stream.modified.as_ref();
            let modified = modified.map(|name| Column::named(&page.rows, name));
            let modified = modified.transpose()?;
            for (row, (key, id)) in keys.into_iter().zip(ids).enumerate() {
                let modified = modified.as_ref().map(|column| column.value(row));
                let modified = match modified {
                    Some(Value::Timestamp(at)) => Some(at),
                    _ => None,
                };
                let values = columns.iter().map(|column| {
                    let mut text = String::new();
                    column.value(row).push_to(&mut text);
                    text
                });
                let sums = sums.iter().map(|column| match column.value(row) {
                    Value::Decimal(amount) => amount,
                    _ => Decimal::ZERO,
                });
                let side = Side {
                    values: values.collect(),
                    totals: GroupTotals {
                        records: 1,
                        sums: sums.collect(),
                    },
                    state: Some((id, modified)),
                };
                sides.ours.insert(key, side);
            }
            let unreadable = page.rejected.into_iter();
            sides
                .unreadable
                .extend(unreadable.filter_map(|record| record.key));
        }
        Ok(())
    }

    /// Asks the destination for records one by one: for totals that are grouped by their keys.
    async fn landed(&self, conditions: Vec<Condition>, sides: &mut Sides) -> Result<()> {
        let Comparison { sink, stream, .. } = self.comparison;
        let mut by = stream.key.clone();
        let others = self
            .columns
            .iter()
            .filter(|column| !stream.key.contains(column));
        by.extend(others.cloned());
        let mut query = self.comparison.query(&by);
        query.matching = conditions;
        let Some(totals) = sink.control_totals(&query).await? else {
            return Ok(());
        };
        for (texts, totals) in totals.groups {
            let key = texts.iter().take(stream.key.len()).map(String::as_str);
            let key = RecordKey::new(key);
            let value = |column: &String| {
                let position = by.iter().position(|name| name == column)?;
                texts.get(position).cloned()
            };
            let values = self
                .columns
                .iter()
                .map(|column| value(column).unwrap_or_default());
            let side = Side {
                values: values.collect(),
                totals,
                state: None,
            };
            sides.theirs.insert(key, side);
        }
        Ok(())
    }

    /// The records that are not the same on both sides, and why.
    async fn compared(&self, mut sides: Sides) -> Result<Vec<ExaminedRecords>> {
        let as_of = microseconds(self.comparison.as_of);
        let has_time = self.comparison.stream.modified.is_some();
        // What changed since the time is left out on both sides.
        let is_later =
            |side: &Side| matches!(side.state, Some((_, Some(at))) if has_time && at >= as_of);
        let later: HashSet<_> = sides
            .ours
            .iter()
            .filter(|(_, side)| is_later(side))
            .map(|(key, _)| key.clone())
            .collect();
        let is_left_out = |key: &RecordKey| later.contains(key) || self.in_flight.contains(key);
        sides.unreadable.retain(|key| !is_left_out(key));
        let keys: BTreeSet<_> = sides.ours.keys().chain(sides.theirs.keys()).collect();
        let keys = keys.into_iter().filter(|key| {
            let same = match (sides.ours.get(*key), sides.theirs.get(*key)) {
                (Some(ours), Some(theirs)) => {
                    ours.values == theirs.values && ours.totals == theirs.totals
                }
                _ => false,
            };
            !same && !is_left_out(key) && !sides.unreadable.contains(*key)
        });
        let keys: Vec<_> = keys.cloned().collect();
        let known = Known::of(self.comparison, &keys, &sides.ours).await?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let (ours, theirs) = (sides.ours.get(&key), sides.theirs.get(&key));
            let reason = self.reason(&key, ours, theirs, &known);
            let mut contribution = Contribution::default();
            for (position, grouping) in self.comparison.stream.totals.groupings().enumerate() {
                if let Some(side) = ours {
                    contribution.add(position, &self.group(grouping, side), &side.totals)?;
                }
                if let Some(side) = theirs {
                    contribution.subtract(position, &self.group(grouping, side), &side.totals)?;
                }
            }
            let either = ours.into_iter().chain(theirs);
            found.push(ExaminedRecords {
                keys: vec![key.clone()],
                reason,
                in_closed_period: either.into_iter().any(|side| self.is_closed(side)),
                contribution,
            });
        }
        if !sides.unreadable.is_empty() {
            found.push(self.unreadable(sides.unreadable).await?);
        }
        Ok(found)
    }

    /// What cannot be read can still be counted and summed where it is.
    async fn unreadable(&self, keys: BTreeSet<RecordKey>) -> Result<ExaminedRecords> {
        let Comparison {
            source,
            sink,
            stream,
            ..
        } = self.comparison;
        let mut contribution = Contribution::default();
        let keys: Vec<_> = keys.into_iter().collect();
        for these in exactly(&stream.key, &keys) {
            for (position, grouping) in stream.totals.groupings().enumerate() {
                let mut query: TotalsQuery = self.comparison.query(grouping);
                query.matching.clone_from(&these);
                let ours = source.control_totals(&query).await?;
                for (group, totals) in ours.into_iter().flat_map(|it| it.groups) {
                    contribution.add(position, &group, &totals)?;
                }
                let theirs = sink.control_totals(&query).await?;
                for (group, totals) in theirs.into_iter().flat_map(|it| it.groups) {
                    contribution.subtract(position, &group, &totals)?;
                }
            }
        }
        Ok(ExaminedRecords {
            keys,
            reason: Reason::Rejected,
            in_closed_period: false,
            contribution,
        })
    }

    fn reason(
        &self,
        key: &RecordKey,
        ours: Option<&Side>,
        theirs: Option<&Side>,
        known: &Known,
    ) -> Reason {
        let delivered = known.delivered.contains(key);
        let as_delivered = known.as_delivered.contains(key);
        match (ours, theirs) {
            (None, _) if !delivered => Reason::AddedToDestination,
            (None, _) => Reason::DeletedAtSource,
            (Some(_), None) if delivered => Reason::RemovedFromDestination,
            (Some(_), Some(_)) if as_delivered => Reason::ChangedInDestination,
            (Some(_), Some(_)) if !delivered => Reason::AddedToDestination,
            (Some(_), _) if known.rejected.contains(key) => Reason::Rejected,
            (Some(ours), _) => match ours.state {
                // Every run reads all of them.
                _ if self.comparison.stream.modified.is_none() => Reason::ChangedMeanwhile,
                Some((_, Some(at))) if at < self.read_again_from() => Reason::NotNoticed,
                _ => Reason::Late,
            },
        }
    }

    /// From when on the next run reads again, in microseconds.
    fn read_again_from(&self) -> i64 {
        microseconds(self.comparison.as_of - self.comparison.lookback)
    }

    fn group(&self, grouping: &[String], side: &Side) -> GroupKey {
        let values = grouping.iter().map(|column| self.value(column, side));
        values.map(str::to_owned).collect()
    }

    fn value<'s>(&self, column: &str, side: &'s Side) -> &'s str {
        let position = self.columns.iter().position(|name| name == column);
        let value = position.and_then(|position| side.values.get(position));
        value.map_or("", String::as_str)
    }

    fn is_closed(&self, side: &Side) -> bool {
        let Comparison {
            stream,
            closed_through,
            ..
        } = self.comparison;
        let (Some(period), Some(closed_through)) = (&stream.period, closed_through) else {
            return false;
        };
        is_closed(self.value(period, side), *closed_through)
    }
}

/// Conditions that these records meet and no others, for as few queries as may be. Of keys with several
/// columns, those that have all but one in common are asked for together.
fn exactly(columns: &[String], keys: &[RecordKey]) -> Vec<Vec<Condition>> {
    let values: Vec<Vec<&str>> = keys.iter().map(|key| key.values().collect()).collect();
    let different = |position: usize| {
        let of_column = values.iter().map(|values| values.get(position));
        of_column.collect::<BTreeSet<_>>().len()
    };
    let Some(listed) = (0..columns.len()).max_by_key(|position| different(*position)) else {
        return Vec::new();
    };
    let mut together: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for mut common in values.into_iter().filter(|it| it.len() == columns.len()) {
        let own = common.remove(listed);
        together.entry(common).or_default().push(own);
    }
    let mut queries = Vec::new();
    for (common, own) in together {
        let others = columns
            .iter()
            .enumerate()
            .filter(|(position, _)| *position != listed);
        let common = others.zip(common);
        let common = common.map(|((_, column), value)| Condition::is(column, value));
        let common: Vec<_> = common.collect();
        for own in own.chunks(KEYS_A_QUERY) {
            let listed = Condition::one_of(&columns[listed], own.iter().copied());
            queries.push(common.iter().cloned().chain([listed]).collect());
        }
    }
    queries
}

/// Whether a day, as `2026-01-31`, is one of those that are closed.
fn is_closed(day: &str, closed_through: Date) -> bool {
    // Texts of days sort as the days do.
    !day.is_empty() && day <= day_text(closed_through).as_str()
}

/// A day as columns write it.
pub(in crate::pipeline) fn day_text(day: Date) -> String {
    let (year, month, day) = day.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}", u8::from(month))
}

/// What the store knows of records.
struct Known {
    /// Delivered, and not deleted since.
    delivered: HashSet<RecordKey>,
    /// Of those, the ones whose state at the source is the one that was delivered.
    as_delivered: HashSet<RecordKey>,
    rejected: HashSet<RecordKey>,
}

impl Known {
    async fn of(
        comparison: &Comparison<'_>,
        keys: &[RecordKey],
        ours: &BTreeMap<RecordKey, Side>,
    ) -> Result<Self> {
        let (store, scope) = (comparison.store, comparison.scope);
        if keys.is_empty() {
            let (delivered, as_delivered, rejected) = Default::default();
            return Ok(Self {
                delivered,
                as_delivered,
                rejected,
            });
        }
        let states = keys.iter().filter_map(|key| {
            let (id, _) = ours.get(key)?.state?;
            Some((key.clone(), id))
        });
        let states: Vec<_> = states.collect();
        let changed = store.changed(scope, &states).await?;
        let same = states.into_iter().zip(changed);
        let same = same.filter_map(|((key, _), changed)| (!changed).then_some(key));
        let letters = store.dead_letters(scope, DEAD_LETTERS).await?;
        Ok(Self {
            delivered: store.live_keys(scope, keys).await?.into_iter().collect(),
            as_delivered: same.collect(),
            rejected: letters
                .into_iter()
                .filter_map(|letter| letter.key)
                .collect(),
        })
    }
}

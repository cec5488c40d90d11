//! Records that the source has changed since the time that is compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use time::{Duration, OffsetDateTime};

use super::difference::Contribution;
use super::{Comparison, Sides};
use crate::batch::{RecordKey, record_keys};
use crate::column::{Column, Value};
use crate::condition::Condition;
use crate::error::Result;
use crate::source::ReadRequest;
use crate::totals::ControlTotals;
use crate::window::Window;

/// Keys that a destination is asked for in one query.
const KEYS_A_QUERY: usize = 1_000;

/// Longer than anything that is in flight, in case the source's clock runs ahead.
const FAR: Duration = Duration::days(366);

/// The keys of the records that were modified at or after a time.
#[derive(Debug)]
pub(super) struct InFlight(BTreeSet<RecordKey>);

impl InFlight {
    /// Asks the source. Of a stream without a time of change, nothing is known to be in flight.
    pub(super) async fn ask(comparison: &Comparison<'_>) -> Result<Self> {
        let mut keys = BTreeSet::new();
        let stream = comparison.stream;
        let Some(modified) = &stream.modified else {
            return Ok(Self(keys));
        };
        let window = Window {
            from: Some(comparison.as_of),
            until: comparison.as_of + FAR,
        };
        let request = ReadRequest::changes(Arc::clone(stream), window, None);
        let mut pages = comparison.source.read(request);
        let since = microseconds(comparison.as_of);
        while let Some(page) = pages.try_next().await? {
            let modified = Column::named(&page.rows, modified)?;
            let of_page = record_keys(stream, &page.rows)?;
            // A source may add what depends on these, and what says no time.
            let is_later =
                |row: &usize| matches!(modified.value(*row), Value::Timestamp(at) if at >= since);
            let later = (0..page.rows.num_rows()).filter(is_later);
            keys.extend(later.filter_map(|row| of_page.get(row).cloned()));
            keys.extend(page.rejected.into_iter().filter_map(|record| record.key));
        }
        Ok(Self(keys))
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn contains(&self, key: &RecordKey) -> bool {
        self.0.contains(key)
    }

    /// What was not in flight before.
    pub(super) fn since(&self, before: &Self) -> Vec<RecordKey> {
        self.0.difference(&before.0).cloned().collect()
    }

    /// Takes them out of the destination's side: the source does not count them any more.
    pub(super) async fn take_out_of(
        &self,
        comparison: &Comparison<'_>,
        sides: &mut Sides,
    ) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.0.iter().cloned().collect();
        let groupings = comparison.stream.totals.groupings();
        for (grouping, all) in groupings.zip(&mut sides.destination) {
            let some = in_destination(comparison, grouping, &keys).await?;
            all.take_out(&some)?;
        }
        Ok(())
    }
}

/// What the destination has of some records, as of the time.
async fn in_destination(
    comparison: &Comparison<'_>,
    grouping: &[String],
    keys: &[RecordKey],
) -> Result<ControlTotals> {
    let mut some = ControlTotals::default();
    // A record that says when it changed has a key of one column.
    let Some(column) = comparison.stream.key.first() else {
        return Ok(some);
    };
    for keys in keys.chunks(KEYS_A_QUERY) {
        let these = Condition::one_of(column, keys.iter().map(RecordKey::as_str));
        let query = comparison.query(grouping).matching(these);
        if let Some(totals) = comparison.sink.control_totals(&query).await? {
            for (key, group) in totals.groups {
                some.add(key, group)?;
            }
        }
    }
    Ok(some)
}

/// What the destination has of each of some records, as of the time.
pub(super) async fn were(
    comparison: &Comparison<'_>,
    keys: Vec<RecordKey>,
) -> Result<Vec<Contribution>> {
    let mut found = Vec::new();
    if keys.len() > super::difference::MOST_SUBSET {
        return Ok(found);
    }
    for key in keys {
        let mut contribution = Contribution::default();
        for (position, grouping) in comparison.stream.totals.groupings().enumerate() {
            let totals = in_destination(comparison, grouping, std::slice::from_ref(&key)).await?;
            for (group, totals) in &totals.groups {
                contribution.subtract(position, group, totals)?;
            }
        }
        found.push(contribution);
    }
    Ok(found)
}

pub(in crate::pipeline) fn microseconds(time: OffsetDateTime) -> i64 {
    let microseconds = time.unix_timestamp_nanos().div_euclid(1_000);
    i64::try_from(microseconds).unwrap_or(i64::MAX)
}

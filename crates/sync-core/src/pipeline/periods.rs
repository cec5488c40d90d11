//! Periods of the books: open ones can be read whole in each run, closed ones are verified once and then
//! watched.
//!
//! A period is a calendar month of the stream's period column. That of a closed one is verified by reading
//! it whole: what differs from what was delivered is delivered, and its count, sums and content are kept. From then
//! on the source is asked for count and sums of all closed months in each run, and every changed record that a
//! run reads is looked at for the month in which it counts. A change in a closed month is delivered like any
//! other, and told as what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use time::{Date, Month};

use super::delivery::Delivery;
use super::event::Event;
use super::extraction::{Extraction, Halting, Piece};
use super::tie_out::{day_text, microseconds};
use crate::batch::{RecordKey, Records};
use crate::column::{Column, Value};
use crate::condition::Condition;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Severity};
use crate::id::{Digest, Hasher};
use crate::ledger::EntryKind;
use crate::origin::{OriginSpan, kept};
use crate::source::ReadRequest;
use crate::store::{DeadLetter, VerifiedPeriod};
use crate::tie_out::{Check, Difference, Explanation, RECORDS, Reason, TieOut};
use crate::totals::TotalsQuery;

/// Which periods are closed, and how open ones are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PeriodOptions {
    /// The last day of which the books are closed. Where it is not given, the source is asked
    /// ([`Source::closed_through`](crate::Source::closed_through)); where that cannot say either, no period
    /// counts as closed. A month counts as closed once its last day is.
    #[serde(serialize_with = "as_text")]
    pub closed_through: Option<Date>,
    /// How the periods behind it are read.
    pub open: OpenPeriods,
}

/// How open periods are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OpenPeriods {
    /// What says that it was changed is read, once.
    #[default]
    AsTheyChange,
    /// They are read whole in every run that has a window, and compared by keys and content: so what
    /// changed without saying so is found too. It costs a call for each page of the open periods.
    ReadWhole,
}

fn as_text<S: Serializer>(
    day: &Option<Date>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    day.map(day_text).serialize(serializer)
}

/// What is known of a stream's periods in one run.
#[derive(Debug, Default)]
pub(super) struct PeriodWatch {
    /// The last closed month as `2025-12`, and its last day.
    closed: Option<(String, Date)>,
    verified: BTreeMap<String, VerifiedPeriod>,
    /// What this run read and delivered of verified months.
    changed: BTreeMap<String, Vec<RecordKey>>,
}

impl PeriodWatch {
    /// Asks what is closed and what was verified; nothing of a stream without periods.
    pub(super) async fn begin(to: &Delivery) -> Result<Self> {
        let mut watch = Self::default();
        if to.stream.period.is_none() {
            return Ok(watch);
        }
        watch.closed = closed_through(to).await?.and_then(last_closed_month);
        let store = &to.parts().store;
        let verified = store.verified_periods(to.scope()).await?;
        let closed = watch.closed.as_ref().map(|(month, _)| month.as_str());
        let (verified, reopened): (Vec<_>, Vec<_>) = verified
            .into_iter()
            .partition(|it| closed.is_some_and(|closed| it.period.as_str() <= closed));
        if !reopened.is_empty() {
            let reopened: Vec<_> = reopened.into_iter().map(|it| it.period).collect();
            store.reopen_periods(&to.claim, &reopened).await?;
        }
        let verified = verified.into_iter();
        watch.verified = verified.map(|it| (it.period.clone(), it)).collect();
        Ok(watch)
    }

    /// Looks at records that are about to be delivered.
    pub(super) fn note(&mut self, to: &Delivery, records: &Records) -> Result<()> {
        let Some(period) = to.stream.period.as_ref() else {
            return Ok(());
        };
        if self.verified.is_empty() {
            return Ok(());
        }
        let days = Column::named(records.rows(), period)?;
        let mut day = String::new();
        for (row, key) in records.keys().iter().enumerate() {
            day.clear();
            days.value(row).push_to(&mut day);
            let month = day.get(..MONTH).unwrap_or("");
            if self.verified.contains_key(month) {
                let changed = self.changed.entry(month.to_owned()).or_default();
                changed.push(key.clone());
            }
        }
        Ok(())
    }
}

/// The length of `2026-01`.
const MONTH: usize = 7;

/// The last day of which the books are closed, by the options or by what the source says.
pub(super) async fn closed_through(to: &Delivery) -> Result<Option<Date>> {
    match to.pipeline.options.periods.closed_through {
        Some(day) => Ok(Some(day)),
        None => to.parts().source.closed_through().await,
    }
}

/// The last month of which all days are closed, and its last day.
fn last_closed_month(through: Date) -> Option<(String, Date)> {
    let (year, month, _) = through.to_calendar_date();
    let first = Date::from_calendar_date(year, month, 1).ok()?;
    let is_last = through.next_day().is_none_or(|next| next.month() != month);
    let last = if is_last {
        through
    } else {
        first.previous_day()?
    };
    Some((month_text(last), last))
}

fn month_text(day: Date) -> String {
    day_text(day).chars().take(MONTH).collect()
}

/// First and last day of a month that is written as `2025-12`.
fn days_of(month: &str) -> Option<(Date, Date)> {
    let (year, number) = month.split_once('-')?;
    let number = Month::try_from(number.parse::<u8>().ok()?).ok()?;
    let year = year.parse().ok()?;
    let first = Date::from_calendar_date(year, number, 1).ok()?;
    let last = Date::from_calendar_date(year, number, number.length(year)).ok()?;
    Some((first, last))
}

/// What was found by reading periods whole.
#[derive(Debug, Default)]
struct Seen {
    records: u64,
    sums: BTreeMap<String, Decimal>,
    content: Content,
    /// Records that were not as they were delivered, and say no time of change that this run has not read.
    drifted: Vec<RecordKey>,
    /// Records that were delivered and are not there.
    missing: u64,
}

impl Extraction {
    /// Reads what is to be read of periods by themselves, behind the window's changes and deletes.
    pub(super) async fn see_to_periods(&mut self) -> Halting<()> {
        let Some(period) = self.stream.period.clone() else {
            return Ok(());
        };
        let is_read_whole = self.pipeline.options.periods.open == OpenPeriods::ReadWhole;
        if self.watch.closed.is_none() && !is_read_whole {
            return Ok(());
        }
        let Some(first) = self.members.first().map(|member| Arc::clone(&member.to)) else {
            return Ok(());
        };
        // What is on its way is not in the index yet.
        self.in_step().await?;
        let store = &self.pipeline.parts.store;
        let live = store.live_by_period(first.scope()).await?;
        let days: Option<BTreeSet<String>> = live.map(|live| live.into_keys().collect());
        if let Some((month, last)) = self.watch.closed.clone() {
            self.see_to_closed(&first, &period, &month, last, days.as_ref())
                .await?;
        }
        if is_read_whole {
            let from = self.watch.closed.as_ref().and_then(|(_, it)| it.next_day());
            let seen = self.read_whole(&first, &period, (from, None), days.as_ref());
            let seen = seen.await?;
            self.tell_drift(&first, from, &seen).await?;
        }
        Ok(())
    }

    async fn see_to_closed(
        &mut self,
        to: &Delivery,
        period: &str,
        closed: &str,
        last: Date,
        days: Option<&BTreeSet<String>>,
    ) -> Halting<()> {
        let Some(now) = self.closed_totals(period, last).await? else {
            let what =
                "the source cannot tell the totals of closed periods, so they are not watched";
            let name = self.stream.name.as_str();
            let finding = Finding::new(Severity::Warning, name, what);
            to.report().findings.push(finding);
            return Ok(());
        };
        let of_days = days.into_iter().flatten();
        let of_days = of_days.filter_map(|day| day.get(..MONTH).map(str::to_owned));
        let mut months: BTreeSet<String> = of_days.filter(|it| it.as_str() <= closed).collect();
        months.extend(now.keys().cloned());
        months.extend(self.watch.verified.keys().cloned());
        months.remove("");
        let (mut records, mut differences) = (0, Vec::new());
        for month in &months {
            let before = self.watch.verified.get(month).cloned();
            let read = self.watch.changed.remove(month).unwrap_or_default();
            let nothing = || (0, BTreeMap::new());
            let told = now.get(month).cloned().unwrap_or_else(nothing);
            if let Some(before) = &before
                && read.is_empty()
                && before.records == told.0
                && is_same(&before.sums, &told.1)
            {
                records += before.records;
                continue;
            }
            let Some((first, last)) = days_of(month) else {
                continue;
            };
            let span = (Some(first), Some(last));
            let seen = self.read_whole(to, period, span, days).await?;
            records += seen.records;
            let verified = VerifiedPeriod {
                period: month.clone(),
                records: seen.records,
                sums: seen.sums.clone(),
                content: seen.content.digest(seen.records),
            };
            let store = Arc::clone(&to.parts().store);
            let Some(before) = before else {
                store.verify_period(&to.claim, &verified, None).await?;
                continue;
            };
            if before == verified {
                // It was changed, and changed back.
                continue;
            }
            let found = self.changes_of(period, &before, &verified, read, &seen);
            let change = serde_json::json!({ "before": before, "differences": found });
            let change = change.to_string();
            store
                .verify_period(&to.claim, &verified, Some(&change))
                .await?;
            self.tell_change(to, month, &found);
            differences.extend(found);
        }
        let as_of = self.window.until;
        let verdict = if differences.is_empty() {
            TieOut::Equal {
                as_of,
                records,
                groups: months.len() as u64,
                sums: self.stream.totals.sums.len() as u64,
                in_flight: 0,
            }
        } else {
            TieOut::Different {
                as_of,
                source_records: records,
                destination_records: self.watch.verified.values().map(|it| it.records).sum(),
                differences,
                in_flight: 0,
            }
        };
        let mut stream = (*self.stream).clone();
        stream.totals.roles.period = Some(period.to_owned());
        let mut told = to.told(Check::ClosedPeriod);
        told.stream = &stream;
        told.keep(&verdict).await?;
        Ok(())
    }

    /// Count and sums of each closed month at the source; none where it cannot tell.
    async fn closed_totals(
        &self,
        period: &str,
        last: Date,
    ) -> Result<Option<BTreeMap<String, (u64, BTreeMap<String, Decimal>)>>> {
        let mut stream = (*self.stream).clone();
        stream.totals = stream.totals.grouped_by(vec![period.to_owned()]);
        let names = stream.totals.sums.clone();
        let query = TotalsQuery::of(Arc::new(stream))
            .by_month()
            .matching(Condition::between(period, None, Some(last)));
        let totals = self.pipeline.parts.source.control_totals(&query).await?;
        Ok(totals.map(|totals| {
            let groups = totals.groups.into_iter();
            let months = groups.map(|(key, group)| {
                let sums = names.iter().cloned().zip(group.sums).collect();
                (key.concat(), (group.records, sums))
            });
            months.collect()
        }))
    }

    /// What is other in a closed month than it was when it was verified.
    fn changes_of(
        &self,
        period: &str,
        before: &VerifiedPeriod,
        now: &VerifiedPeriod,
        read: Vec<RecordKey>,
        seen: &Seen,
    ) -> Vec<Difference> {
        let mut explanation = Explanation::new(Reason::InClosedPeriod);
        let mut keys: BTreeSet<RecordKey> = read.into_iter().collect();
        keys.extend(seen.drifted.iter().cloned());
        // Records that are gone are not among those that were read.
        let gone = before.records.saturating_sub(now.records).max(seen.missing);
        explanation.records = (keys.len() as u64).max(gone).max(1);
        explanation.in_closed_period = explanation.records;
        explanation.keys = keys.into_iter().take(Explanation::KEYS).collect();
        let count = |number: u64| Decimal::new(i128::from(number), 0).unwrap_or(Decimal::ZERO);
        let changed = (
            CHANGED.to_owned(),
            count(explanation.records),
            Decimal::ZERO,
        );
        let records = (
            RECORDS.to_owned(),
            count(now.records),
            count(before.records),
        );
        let sums = now.sums.iter().map(|(name, sum)| {
            let was = before.sums.get(name).copied().unwrap_or(Decimal::ZERO);
            (name.clone(), *sum, was)
        });
        let measures = [changed, records].into_iter().chain(sums);
        let measures = measures.filter(|(_, now, before)| now != before);
        let (by, group) = ([period.to_owned()], [now.period.clone()]);
        let differences = measures.map(|(measure, now, before)| {
            let mut difference = Difference::new(&by, &group, &measure, now, before);
            difference.explanations.push(explanation.clone());
            difference.accounted_for = true;
            difference
        });
        differences.collect()
    }

    fn tell_change(&self, to: &Delivery, month: &str, differences: &[Difference]) {
        let stream = &self.stream.name;
        let records = differences.iter().flat_map(|it| &it.explanations);
        let records = records.map(|it| it.records).max().unwrap_or(0);
        to.observe(Event::ClosedPeriodChanged {
            stream,
            period: month,
            records,
        });
        let told: Vec<_> = differences.iter().map(told_of_period).collect();
        let what = format!("the closed period {month} was changed: {}", told.join("; "));
        let finding = Finding::new(Severity::Warning, stream.as_str(), what).remedy(
            "find out who posted into it; the warehouse has the change, and reports of that period \
             have other figures than before",
        );
        to.report().findings.push(finding);
    }

    async fn tell_drift(&self, to: &Delivery, first: Option<Date>, seen: &Seen) -> Result<()> {
        let drifted = seen.drifted.len() as u64;
        if drifted == 0 && seen.missing == 0 {
            return Ok(());
        }
        let missing = seen.missing;
        let keys: Vec<_> = seen.drifted.iter().take(Explanation::KEYS).collect();
        let body = serde_json::json!({
            "scope": to.scope(),
            "from": first.map(day_text),
            "changed": drifted,
            "gone": missing,
            "keys": keys,
        });
        let store = &to.parts().store;
        store
            .note(&to.claim, EntryKind::DriftFound, &body.to_string())
            .await?;
        let stream = &self.stream.name;
        to.observe(Event::DriftFound {
            stream,
            records: drifted + missing,
        });
        let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
        let what = format!(
            "{drifted} records of open periods had changed without a time of change that a window \
             brings ({}), and {missing} were gone; they were delivered",
            keys.join(", ")
        );
        let finding = Finding::new(Severity::Warning, stream.as_str(), what);
        to.report().findings.push(finding);
        Ok(())
    }

    /// Reads the records of some days whole, and delivers what is not as it was delivered.
    async fn read_whole(
        &mut self,
        first_sink: &Delivery,
        period: &str,
        (first, last): (Option<Date>, Option<Date>),
        days: Option<&BTreeSet<String>>,
    ) -> Halting<Seen> {
        let (from, to) = (first.map(day_text), last.map(day_text));
        let is_inside = |day: &&String| {
            !day.is_empty()
                && from.as_ref().is_none_or(|from| *day >= from)
                && to.as_ref().is_none_or(|to| *day <= to)
        };
        let days = days.into_iter().flatten().filter(is_inside);
        let days: Vec<String> = days.cloned().collect();
        // A census of no days would be one of all.
        if !days.is_empty() {
            self.begin_census(Some(&days)).await?;
        }
        let conditions = vec![Condition::between(period, first, last)];
        let request = ReadRequest::matching(Arc::clone(&self.stream), conditions);
        let mut pages = self.pipeline.read_ahead(request);
        let mut seen = Seen::default();
        while let Some(page) = pages.recv().await {
            let page = page?;
            if let Some(keyless) = page.rejected.iter().find(|record| record.key.is_none()) {
                let what = "a key cannot be read, so a period cannot be compared by its keys";
                let error = Error::new(ErrorKind::Data, what).with("column", &keyless.column);
                return Err(error.with("reason", &keyless.reason).into());
            }
            let unreadable = page.rejected.iter().filter_map(|it| it.key.clone());
            let unreadable: Vec<_> = unreadable.collect();
            let letters: Vec<_> = page.rejected.into_iter().map(DeadLetter::from).collect();
            let records = self.identified(page.rows.clone())?;
            if !days.is_empty() {
                self.count_keys(&unreadable).await?;
                self.count_keys(records.keys()).await?;
            }
            seen.take_in(&self.stream.totals.sums, &records)?;
            let rows = records.len() as u64;
            let mut origins = vec![OriginSpan {
                rows,
                origin: page.origin,
            }];
            let changed = self.changed_records(page.rows, &mut origins).await?;
            seen.drifted.extend(self.drifted(&changed)?);
            self.deliver_changed(changed, &origins, &letters).await?;
        }
        if !days.is_empty() {
            self.in_step().await?;
            let before = first_sink.report().deleted;
            self.deliver_missing_in_parts().await?;
            self.in_step().await?;
            seen.missing = first_sink.report().deleted - before;
        }
        Ok(seen)
    }

    async fn deliver_changed(
        &mut self,
        changed: Records,
        origins: &[OriginSpan],
        letters: &[DeadLetter],
    ) -> Halting<()> {
        for member in &self.members {
            member.to.report().rejected += letters.len() as u64;
            if changed.is_empty() && !letters.is_empty() {
                let store = &self.pipeline.parts.store;
                store.advance(&member.to.claim, None, letters).await?;
            }
        }
        let size = self.size();
        let most = size.target_rows.min(size.max_rows).max(1);
        let rows = changed.len();
        for begin in (0..rows).step_by(most) {
            let chunk = begin..rows.min(begin + most);
            let mask: Vec<bool> = (0..rows).map(|row| chunk.contains(&row)).collect();
            let piece = Piece {
                origins: kept(origins, &mask),
                // The window's own cursor stays where it is.
                cursor: None,
                unreadable: if begin == 0 { letters } else { &[] },
            };
            self.deliver_to_all(changed.clone().only(&mask)?, piece)
                .await?;
        }
        Ok(())
    }

    /// Of changed records, those that changed before the end of the window: the others are the next one's.
    fn drifted(&self, records: &Records) -> Result<Vec<RecordKey>> {
        let modified = self.stream.modified.as_ref();
        let modified = modified.map(|name| Column::named(records.rows(), name));
        let modified = modified.transpose()?;
        let until = microseconds(self.window.until);
        let is_later = |row: usize| {
            let at = modified.as_ref().map(|column| column.value(row));
            matches!(at, Some(Value::Timestamp(at)) if at >= until)
        };
        let changed = records.keys().iter().enumerate();
        let drifted = changed.filter(|(row, _)| !is_later(*row));
        Ok(drifted.map(|(_, key)| key.clone()).collect())
    }
}

/// The measure of how many records of a closed period changed.
const CHANGED: &str = "changed records";

fn told_of_period(difference: &Difference) -> String {
    let Difference {
        measure,
        source,
        destination,
        ..
    } = difference;
    if measure == CHANGED {
        return difference.explanation();
    }
    format!("{measure} {source}, as it was verified {destination}")
}

/// Sums of nothing may be missing on one side.
fn is_same(before: &BTreeMap<String, Decimal>, now: &BTreeMap<String, Decimal>) -> bool {
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let sum = |sums: &BTreeMap<String, Decimal>, name: &String| {
        sums.get(name).copied().unwrap_or(Decimal::ZERO)
    };
    names
        .into_iter()
        .all(|name| sum(before, name) == sum(now, name))
}

impl Seen {
    fn take_in(&mut self, sums: &[String], records: &Records) -> Result<()> {
        self.records += records.len() as u64;
        for name in sums {
            let column = Column::named(records.rows(), name)?;
            let sum = self.sums.entry(name.clone()).or_insert(Decimal::ZERO);
            for row in 0..records.len() {
                if let Value::Decimal(amount) = column.value(row) {
                    *sum = sum.checked_add(amount).ok_or_else(|| {
                        Error::new(ErrorKind::Data, "a period's sum has more than 38 digits")
                    })?;
                }
            }
        }
        for (key, id) in records.keys().iter().zip(records.ids()) {
            let record = Hasher::new("intacct-sync/period/1");
            let record = record.part(key.as_str().as_bytes()).part(id.as_bytes());
            self.content.add(&record.digest());
        }
        Ok(())
    }
}

/// The content of a set of records, whatever their order: the sum of their hashes modulo 2^256.
#[derive(Clone, Copy, Debug, Default)]
struct Content([u64; 4]);

impl Content {
    fn add(&mut self, record: &Digest) {
        let mut carry = false;
        for (limb, bytes) in self.0.iter_mut().zip(record.as_bytes().chunks_exact(8)) {
            let more = bytes
                .iter()
                .rev()
                .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            let (sum, over) = limb.overflowing_add(more);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over || again);
        }
    }

    fn digest(&self, records: u64) -> Digest {
        let mut hasher = Hasher::new("intacct-sync/period-content/1").part(&records.to_le_bytes());
        for limb in self.0 {
            hasher.push(&limb.to_le_bytes());
        }
        hasher.digest()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;

    #[test]
    fn a_month_is_closed_with_its_last_day() {
        let closed = |day| last_closed_month(day).unwrap();
        assert_eq!(
            closed(date!(2025 - 12 - 31)),
            ("2025-12".into(), date!(2025 - 12 - 31))
        );
        assert_eq!(
            closed(date!(2026 - 01 - 30)),
            ("2025-12".into(), date!(2025 - 12 - 31))
        );
        assert_eq!(closed(date!(2024 - 02 - 29)).0, "2024-02");
        assert_eq!(
            days_of("2024-02"),
            Some((date!(2024 - 02 - 01), date!(2024 - 02 - 29)))
        );
        assert_eq!(days_of("2024"), None);
    }

    proptest! {
        #[test]
        fn content_knows_no_order_and_no_record_twice(
            keys in prop::collection::vec(any::<u32>(), 1..20),
        ) {
            let of = |keys: &[u32]| {
                let mut content = Content::default();
                for key in keys {
                    content.add(&Hasher::new("test").part(&key.to_le_bytes()).digest());
                }
                content.digest(keys.len() as u64)
            };
            let mut sorted = keys.clone();
            sorted.sort_unstable();
            prop_assert_eq!(of(&keys), of(&sorted));
            let mut more = keys.clone();
            more.push(keys[0]);
            prop_assert_ne!(of(&keys), of(&more));
        }
    }
}

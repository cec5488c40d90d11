//! Ledger lines against the balances that the source keeps of them: a check across two streams, both as the
//! destination has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::Date;
use time::macros::format_description;

use super::held_lease::HeldLease;
use super::report::{CheckReport, StreamReport};
use super::tie_out::Told;
use super::{Parts, Pipeline};
use crate::condition::Condition;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RunId;
use crate::ledger_check::LedgerCheck;
use crate::sink::Sink;
use crate::source::Source;
use crate::stream::{Roles, StreamDescriptor, StreamName, TotalsShape};
use crate::tie_out::{Check, Difference, Explanation, Reason, TieOut};
use crate::totals::{ControlTotals, GroupTotals, TotalsQuery};

/// Differing groups that the source is asked for again.
const MOST_ASKED: usize = 200;

/// What is compared: the columns of a difference's group, in this order.
const BY: [&str; 4] = ["book", "period", "account", "location"];

/// Book, account, location.
type Place = [String; 3];

/// Debits and credits of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Movement {
    debit: Decimal,
    credit: Decimal,
}

/// A balance of one place in one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Balance {
    opening: Decimal,
    movement: Movement,
    ending: Decimal,
}

/// A period that consists of whole months.
#[derive(Clone, Debug)]
struct Months {
    first: Date,
    last: Date,
    names: BTreeSet<String>,
}

/// Makes the source's checks of what was just brought up to date, and keeps their outcome. None where another
/// run holds the stream that they are told of.
pub(super) async fn check(
    pipeline: &Pipeline,
    run: RunId,
    streams: &[Arc<StreamDescriptor>],
    reports: &[StreamReport],
) -> Result<Vec<CheckReport>> {
    let Parts {
        source,
        sinks,
        store,
        ..
    } = &pipeline.parts;
    let mut found = Vec::new();
    let checks = source.ledger_checks().await?;
    let mut of_sinks = Vec::with_capacity(checks.len() * sinks.len());
    for check in &checks {
        of_sinks.extend(sinks.iter().map(|sink| (check, sink)));
    }
    for (check, sink) in of_sinks {
        let told_of = streams.iter().find(|it| it.name == check.balances.stream);
        let Some(stream) = told_of else {
            continue;
        };
        let lease = match HeldLease::acquire(pipeline, run, &stream.name).await {
            Ok(lease) => lease,
            Err(error) if error.kind() == ErrorKind::Conflict => continue,
            Err(error) => return Err(error),
        };
        let claim = lease.claim(sink.name());
        let balances = LedgerBalances {
            source: source.as_ref(),
            sink: sink.as_ref(),
            check,
            streams,
            reports,
        };
        let report = balances.compare().await;
        let mut stream = (**stream).clone();
        stream.totals.roles = LedgerBalances::roles();
        let told = Told {
            company: source.company(),
            sink: sink.as_ref(),
            store: store.as_ref(),
            claim: &claim,
            stream: &stream,
            check: report.check,
            compared_at: pipeline.clock.now(),
        };
        let kept = told.keep(&report.tie_out).await;
        lease.release().await;
        kept?;
        found.push(report);
    }
    Ok(found)
}

/// One check, of what one destination has.
struct LedgerBalances<'a> {
    source: &'a dyn Source,
    sink: &'a dyn Sink,
    check: &'a LedgerCheck,
    /// The streams of the run. One whose columns have other names in the destination is not compared.
    streams: &'a [Arc<StreamDescriptor>],
    reports: &'a [StreamReport],
}

impl LedgerBalances<'_> {
    /// Compares, or says why not.
    async fn compare(&self) -> CheckReport {
        let stream = self.check.balances.stream.clone();
        let tie_out = match self.compared().await {
            Ok(tie_out) => tie_out,
            // The check is about what the streams say together; each by itself is whole.
            Err(error) => TieOut::NotCompared {
                reason: error.chain(),
            },
        };
        CheckReport {
            check: Check::LedgerBalances,
            stream,
            sink: self.sink.name().to_owned(),
            tie_out,
        }
    }

    /// What the columns of a difference's group are to an accountant.
    fn roles() -> Roles {
        let [book, period, account, entity] = BY.map(|name| Some(name.to_owned()));
        Roles {
            book,
            entity,
            period,
            account,
        }
    }

    async fn compared(&self) -> Result<TieOut> {
        let LedgerCheck {
            lines,
            balances,
            periods,
        } = self.check;
        let not_compared = |reason: String| Ok(TieOut::NotCompared { reason });
        let mut as_of = None;
        for name in [&lines.stream, &balances.stream, &periods.stream] {
            let mut reports = self.reports.iter();
            let report = reports.find(|it| it.stream == *name && it.sink == self.sink.name());
            let Some(report) = report else {
                return not_compared(format!("{name} is not among the streams of the run"));
            };
            if report.error.is_some() {
                return not_compared(format!("{name} could not be completed"));
            }
            if *name == lines.stream {
                as_of = report.tie_out.as_of().or(report.window.map(|it| it.until));
            }
        }
        let Some(as_of) = as_of else {
            return not_compared(format!("it is not known as of when {} is", lines.stream));
        };
        let Some(days) = self.totals(&periods.stream, self.days()).await? else {
            return not_compared("the destination cannot tell its totals".to_owned());
        };
        let (periods, other) = months_of(&days)?;
        let balances = self.ask(self.sink_totals(self.balances_query(None)?).await?)?;
        let lines = self.sink_totals(self.lines_query(None)?).await?;
        let lines = by_month(&lines)?;
        let compared = Compared::new(&lines, &balances, &periods);
        let mut differences = compared.differences();
        let mut not_told = compared.left_out;
        not_told.extend(
            other
                .into_iter()
                .filter(|name| balances.keys().any(|(period, _)| period == name)),
        );
        if !differences.is_empty() {
            self.explain(&mut differences, &periods, &balances).await?;
        }
        let records = compared.groups;
        if !not_told.is_empty() && records == 0 {
            let left_out: Vec<_> = not_told.into_iter().collect();
            return not_compared(format!("nothing can be compared: {}", left_out.join(", ")));
        }
        if differences.is_empty() {
            return Ok(TieOut::Equal {
                as_of,
                records,
                groups: records,
                sums: 3,
                in_flight: 0,
            });
        }
        let explained = differences.iter().all(Difference::is_explained);
        let (source_records, destination_records) = (records, records);
        Ok(if explained {
            TieOut::Explained {
                as_of,
                source_records,
                destination_records,
                differences,
                in_flight: 0,
            }
        } else {
            TieOut::Different {
                as_of,
                source_records,
                destination_records,
                differences,
                in_flight: 0,
            }
        })
    }

    /// Asks the source, where the two do not agree, for what its lines are now: lines are as of the end of a
    /// window, and balances of the time at which they were read.
    async fn explain(
        &self,
        differences: &mut [Difference],
        periods: &BTreeMap<String, Months>,
        balances: &BTreeMap<(String, Place), Balance>,
    ) -> Result<()> {
        let groups: BTreeSet<_> = differences.iter().map(|it| it.group.clone()).collect();
        if groups.len() > MOST_ASKED {
            return Ok(());
        }
        let asked: BTreeSet<_> = groups
            .iter()
            .filter_map(|group| Some((group.first()?.clone(), group.get(1)?.clone())))
            .collect();
        let mut fresh: BTreeMap<(String, Place), Movement> = BTreeMap::new();
        for (book, period) in asked {
            let Some(months) = periods.get(&period) else {
                continue;
            };
            let query = self.lines_query(Some((&book, months)))?;
            let Some(totals) = self.source.control_totals(&query).await? else {
                return Ok(());
            };
            for ((_, place), movement) in by_month(&totals)? {
                let sum = fresh.entry((period.clone(), place)).or_insert(NOTHING);
                *sum = sum.plus(movement)?;
            }
        }
        // A balance that was read before what the lines are now.
        let query = self.balances_query(Some(&groups))?;
        let later = match self.source.control_totals(&query).await? {
            Some(totals) => self.ask(totals)?,
            None => BTreeMap::new(),
        };
        for difference in differences {
            let [book, period, account, location] = &difference.group[..] else {
                continue;
            };
            let place = [book.clone(), account.clone(), location.clone()];
            let key = (period.clone(), place);
            let now = fresh.get(&key).copied().unwrap_or(NOTHING);
            let agrees = |balances: &BTreeMap<(String, Place), Balance>| {
                balances
                    .get(&key)
                    .map_or(now == NOTHING, |it| it.movement == now && it.adds_up())
            };
            if agrees(balances) || agrees(&later) {
                let mut explanation = Explanation::new(Reason::ReadAtOtherTime);
                explanation.records = 1;
                difference.explanations.push(explanation);
                difference.accounted_for = true;
            }
        }
        Ok(())
    }

    fn ask(&self, totals: ControlTotals) -> Result<BTreeMap<(String, Place), Balance>> {
        let columns = &self.check.balances;
        let (debits, credits) = (columns.debits.len(), columns.credits.len());
        let mut found = BTreeMap::new();
        for (key, group) in totals.groups {
            let [book, period, account, location] = <[String; 4]>::try_from(key).map_err(|_| {
                Error::new(ErrorKind::Protocol, "a balance is not grouped as asked")
            })?;
            let sum = |from: usize, count: usize| {
                let sums = group.sums.iter().skip(from).take(count);
                sums.copied().try_fold(Decimal::ZERO, plus)
            };
            let balance = Balance {
                opening: sum(0, 1)?,
                movement: Movement {
                    debit: sum(1, debits)?,
                    credit: sum(1 + debits, credits)?,
                },
                ending: sum(1 + debits + credits, 1)?,
            };
            found.insert((period, [book, account, location]), balance);
        }
        Ok(found)
    }

    async fn sink_totals(&self, query: TotalsQuery) -> Result<ControlTotals> {
        self.sink.control_totals(&query).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "the destination cannot tell its totals",
            )
        })
    }

    async fn totals(
        &self,
        stream: &StreamName,
        shape: TotalsShape,
    ) -> Result<Option<ControlTotals>> {
        let query = self.query(stream, shape)?;
        self.sink.control_totals(&query).await
    }

    fn query(&self, stream: &StreamName, shape: TotalsShape) -> Result<TotalsQuery> {
        let found = self.streams.iter().find(|it| it.name == *stream);
        let found = found.ok_or_else(|| {
            let what = "a check is about a stream that the run does not have";
            Error::new(ErrorKind::Internal, what).with("stream", stream.as_str())
        })?;
        let mut shaped = (**found).clone();
        shaped.totals = shape;
        Ok(TotalsQuery::of(Arc::new(shaped)))
    }

    /// Lines by place and month; of one book and period where they are given.
    fn lines_query(&self, only: Option<(&str, &Months)>) -> Result<TotalsQuery> {
        let lines = &self.check.lines;
        let mut group_by = lines.place.to_vec();
        group_by.push(lines.day.clone());
        let shape = TotalsShape {
            sums: vec![lines.debit.clone(), lines.credit.clone()],
            group_by,
            ..TotalsShape::default()
        };
        let mut query = self.query(&lines.stream, shape)?.by_month();
        query.matching.extend(lines.counted.clone());
        if let Some((book, months)) = only {
            let [of_book, ..] = &lines.place;
            query.matching.push(Condition::is(of_book, book));
            let (first, last) = (Some(months.first), Some(months.last));
            query
                .matching
                .push(Condition::between(&lines.day, first, last));
        }
        Ok(query)
    }

    /// Balances by book, period, account and location; of some periods where they are given.
    fn balances_query(&self, only: Option<&BTreeSet<Vec<String>>>) -> Result<TotalsQuery> {
        let columns = &self.check.balances;
        let [book, account, location] = columns.place.clone();
        let mut sums = vec![columns.opening.clone()];
        sums.extend(columns.debits.iter().chain(&columns.credits).cloned());
        sums.push(columns.ending.clone());
        let shape = TotalsShape {
            sums,
            group_by: vec![book, columns.period.clone(), account, location],
            ..TotalsShape::default()
        };
        let mut query = self.query(&columns.stream, shape)?;
        if let Some(groups) = only {
            let periods: BTreeSet<_> = groups.iter().filter_map(|group| group.get(1)).collect();
            let periods = Condition::one_of(&columns.period, periods);
            query.matching.push(periods);
        }
        Ok(query)
    }

    fn days(&self) -> TotalsShape {
        let periods = &self.check.periods;
        TotalsShape {
            group_by: vec![
                periods.name.clone(),
                periods.first.clone(),
                periods.last.clone(),
            ],
            ..TotalsShape::default()
        }
    }
}

/// Both sides, ready to be compared.
struct Compared<'a> {
    lines: &'a BTreeMap<(String, Place), Movement>,
    balances: &'a BTreeMap<(String, Place), Balance>,
    periods: &'a BTreeMap<String, Months>,
    /// The books that have both lines and balances: others are put together from these.
    books: BTreeSet<String>,
    groups: u64,
    /// What is not compared.
    left_out: BTreeSet<String>,
}

impl<'a> Compared<'a> {
    fn new(
        lines: &'a BTreeMap<(String, Place), Movement>,
        balances: &'a BTreeMap<(String, Place), Balance>,
        periods: &'a BTreeMap<String, Months>,
    ) -> Self {
        let of_lines: BTreeSet<_> = lines.keys().map(|(_, [book, ..])| book).collect();
        let of_balances: BTreeSet<_> = balances.keys().map(|(_, [book, ..])| book).collect();
        let books = of_lines
            .intersection(&of_balances)
            .copied()
            .cloned()
            .collect();
        let left_out = of_lines.symmetric_difference(&of_balances);
        let left_out = left_out.map(|book| format!("book {book} has lines or balances, not both"));
        let groups = balances
            .keys()
            .filter(|(period, _)| periods.contains_key(period));
        Self {
            lines,
            balances,
            periods,
            groups: groups.count() as u64,
            books,
            left_out: left_out.collect(),
        }
    }

    fn differences(&self) -> Vec<Difference> {
        let asked: BTreeSet<&String> = self.balances.keys().map(|(period, _)| period).collect();
        let mut found = Vec::new();
        for period in asked {
            let Some(months) = self.periods.get(period) else {
                continue;
            };
            let mut moved: BTreeMap<&Place, Option<Movement>> = BTreeMap::new();
            for ((month, place), movement) in self.lines {
                if months.names.contains(month) {
                    let sum = moved.entry(place).or_insert(Some(NOTHING));
                    *sum = sum.and_then(|sum| sum.plus(*movement).ok());
                }
            }
            let of_period = self.balances.iter();
            let of_period = of_period.filter(|((name, _), _)| name == period);
            let balances: BTreeMap<&Place, &Balance> = of_period
                .map(|((_, place), balance)| (place, balance))
                .collect();
            let places: BTreeSet<&Place> = moved
                .keys()
                .copied()
                .chain(balances.keys().copied())
                .collect();
            for place in places
                .into_iter()
                .filter(|[book, ..]| self.books.contains(book))
            {
                let lines = moved.get(place).copied().flatten().unwrap_or(NOTHING);
                let nothing = Balance {
                    opening: Decimal::ZERO,
                    movement: NOTHING,
                    ending: Decimal::ZERO,
                };
                let balance = balances.get(place).copied().copied();
                let is_kept = balance.is_some();
                let balance = balance.unwrap_or(nothing);
                let [book, account, location] = place.clone();
                let group = [book, period.clone(), account, location];
                let ending = plus(balance.opening, lines.debit).ok();
                let ending = ending.and_then(|it| it.checked_sub(lines.credit));
                let ending = ending.filter(|_| is_kept).unwrap_or(balance.ending);
                let measures = [
                    ("debits", balance.movement.debit, lines.debit),
                    ("credits", balance.movement.credit, lines.credit),
                    ("ending balance", balance.ending, ending),
                ];
                for (measure, of_balance, of_lines) in measures {
                    if of_balance != of_lines {
                        let by = BY.map(str::to_owned);
                        let difference =
                            Difference::new(&by, &group, measure, of_balance, of_lines);
                        found.push(difference);
                    }
                }
            }
        }
        found
    }
}

const NOTHING: Movement = Movement {
    debit: Decimal::ZERO,
    credit: Decimal::ZERO,
};

impl Movement {
    fn plus(self, other: Self) -> Result<Self> {
        Ok(Self {
            debit: plus(self.debit, other.debit)?,
            credit: plus(self.credit, other.credit)?,
        })
    }
}

impl Balance {
    /// Whether opening balance and movement are the ending balance.
    fn adds_up(&self) -> bool {
        let debited = self.opening.checked_add(self.movement.debit);
        let ending = debited.and_then(|it| it.checked_sub(self.movement.credit));
        ending == Some(self.ending)
    }
}

fn plus(left: Decimal, right: Decimal) -> Result<Decimal> {
    left.checked_add(right)
        .ok_or_else(|| Error::new(ErrorKind::Data, "a ledger's sum has more than 38 digits"))
}

/// Movements by month and place.
fn by_month(totals: &ControlTotals) -> Result<BTreeMap<(String, Place), Movement>> {
    let mut found = BTreeMap::new();
    for (key, GroupTotals { sums, .. }) in &totals.groups {
        let [book, account, location, month] = <[String; 4]>::try_from(key.clone())
            .map_err(|_| Error::new(ErrorKind::Protocol, "lines are not grouped as asked"))?;
        let sum = |at: usize| sums.get(at).copied().unwrap_or(Decimal::ZERO);
        let movement = Movement {
            debit: sum(0),
            credit: sum(1),
        };
        found.insert((month, [book, account, location]), movement);
    }
    Ok(found)
}

/// The periods that consist of whole months, and the names of the others.
fn months_of(days: &ControlTotals) -> Result<(BTreeMap<String, Months>, Vec<String>)> {
    let format = format_description!("[year]-[month]-[day]");
    let (mut found, mut other) = (BTreeMap::new(), Vec::new());
    for key in days.groups.keys() {
        let [name, first, last] = <[String; 3]>::try_from(key.clone())
            .map_err(|_| Error::new(ErrorKind::Protocol, "periods are not grouped as asked"))?;
        let (first, last) = (Date::parse(&first, format), Date::parse(&last, format));
        let whole = match (first, last) {
            (Ok(first), Ok(last)) => whole_months(first, last),
            _ => None,
        };
        match whole {
            Some(months) => {
                found.insert(name, months);
            }
            None => other.push(name),
        }
    }
    Ok((found, other))
}

fn whole_months(first: Date, last: Date) -> Option<Months> {
    let is_last = last.next_day().is_none_or(|next| next.day() == 1);
    if first.day() != 1 || !is_last || last < first {
        return None;
    }
    let mut names = BTreeSet::new();
    let mut day = first;
    // No period is longer than the calendar.
    while day <= last {
        names.insert(super::tie_out::day_text(day).chars().take(7).collect());
        day = day.checked_add(time::Duration::days(i64::from(
            day.month().length(day.year()),
        )))?;
    }
    Some(Months { first, last, names })
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn quarters_are_whole_months_and_weeks_are_not() {
        let quarter = whole_months(date!(2025 - 10 - 01), date!(2025 - 12 - 31)).unwrap();
        let names: Vec<_> = quarter.names.into_iter().collect();
        assert_eq!(names, ["2025-10", "2025-11", "2025-12"]);
        assert!(whole_months(date!(2025 - 10 - 01), date!(2025 - 10 - 28)).is_none());
        assert!(whole_months(date!(2025 - 10 - 02), date!(2025 - 10 - 31)).is_none());
    }
}

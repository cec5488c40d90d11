//! The walk itself: which query comes next, and which records of its answer are new. Sends nothing.

use intacct_xml::request::{Filter, Order, Query, Value};
use time::{Duration, OffsetDateTime};

use super::cursor::Cursor;
use super::order::KeyOrder;
use super::pace::Pace;
use super::spec::{NullPass, Range, WalkSpec, WalkWindow};
use crate::error::{Error, ErrorKind, Reason, Result};

/// Where one record of a page stands, as the answer gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowKey<'a> {
    /// The text of the modified field; none when it is empty, and in a walk by key.
    pub modified: Option<&'a str>,
    /// The text of the key field.
    pub key: Option<&'a str>,
}

/// What a page brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// The index of the first new record; all before it were released with earlier pages.
    pub from: usize,
    /// The walk's position behind this page: everything up to it has been released.
    pub cursor: Option<Cursor>,
}

/// A walk as a state machine: ask for the [next query](Self::next_query), send it, hand in the keys that came, release
/// what it says, until there is no next query.
///
/// What it has to know of the records is its cursor and the pass it is in, so that a walk resumed from a cursor goes on
/// as the one that wrote it.
///
/// Keys are taken in the order of numbers or in that of texts, whichever the gateway keeps to; a walk whose records stand
/// in neither, or first in one and then in the other, ends with an error.
#[derive(Clone, Debug)]
pub struct Walk {
    spec: WalkSpec,
    stage: Stage,
    cursor: Option<Cursor>,
    /// The end of the part of the window that is read now, where the whole is too much for one query.
    part: Option<OffsetDateTime>,
    /// The seconds of a part.
    width: Option<Pace>,
    order: KeyOrder,
    /// How many records the last page said come behind it, where the next query asks for just those.
    expected: Option<u64>,
    /// How many records of the window the last page said come behind it.
    left: Option<u64>,
    check: Check,
}

/// What a walk through a window has before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    /// From here on.
    pub(super) from: OffsetDateTime,
    /// The end of the window.
    pub(super) high: OffsetDateTime,
    /// So many records, as the last page said.
    pub(super) records: u64,
}

/// Whether the gateway compares keys in the order that it puts them in. If it did not, asking for what lies behind a
/// key would leave records out. It is asked when fewer come than were told to remain, and when nothing was told: for
/// the greatest keys up to the one in question, of which it must be the greatest, unless it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    NotNeeded,
    /// The greatest keys are to be asked for.
    Due,
    /// Another was the greatest: it is to be asked whether the one in question is gone.
    IsGone,
    Passed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// By key over everything, or over the records without a modified time.
    Keys {
        after: Option<String>,
    },
    /// By modified time and key.
    Window(From),
    /// The rest of the records that share one modified time.
    Tie {
        at: OffsetDateTime,
        after: String,
    },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// From this time on; without one, from the beginning of time.
    Since(Option<OffsetDateTime>),
    /// From this time on, without the records at it up to this key.
    At {
        time: OffsetDateTime,
        released: String,
    },
    Behind(OffsetDateTime),
}

impl Walk {
    /// A walk from its beginning.
    #[must_use]
    pub fn new(spec: WalkSpec) -> Self {
        let stage = match &spec.range {
            Range::Window {
                nulls: NullPass::Skip,
                window,
                ..
            } => Stage::Window(From::Since(window.low)),
            Range::Keys | Range::Window { .. } => Stage::Keys { after: None },
        };
        Self::at(spec, stage, None)
    }

    /// A walk that goes on behind a cursor of a walk over the same records.
    ///
    /// # Errors
    /// `Config` when the cursor is not of such a walk.
    pub fn resume(spec: WalkSpec, cursor: Cursor) -> Result<Self> {
        let key = cursor.key.clone();
        let stage = match (&spec.range, cursor.modified) {
            (Range::Window { window, .. }, Some(at)) if within(at, window) => {
                Stage::Tie { at, after: key }
            }
            (Range::Keys, None) => Stage::Keys { after: Some(key) },
            (Range::Window { nulls, .. }, None) if *nulls != NullPass::Skip => {
                Stage::Keys { after: Some(key) }
            }
            _ => {
                return Err(Error::invalid(
                    "the cursor does not belong to this walk; start the walk from its beginning",
                ));
            }
        };
        Ok(Self::at(spec, stage, Some(cursor)))
    }

    fn at(spec: WalkSpec, stage: Stage, cursor: Option<Cursor>) -> Self {
        let mut walk = Self {
            spec,
            stage,
            cursor,
            part: None,
            width: None,
            order: KeyOrder::UNKNOWN,
            expected: None,
            left: None,
            check: Check::NotNeeded,
        };
        walk.settle();
        walk.check = walk.check_at_first();
        walk
    }

    /// Nothing was told of what lies behind the key that is asked from first.
    fn check_at_first(&self) -> Check {
        match self.stage {
            Stage::Keys { after: Some(_) } | Stage::Tie { .. } => Check::Due,
            _ => Check::NotNeeded,
        }
    }

    /// What the walk reads.
    #[must_use]
    pub fn spec(&self) -> &WalkSpec {
        &self.spec
    }

    /// Everything up to here has been released; none before the first record.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// How many records the next query asks for.
    #[must_use]
    pub fn page_size(&self) -> u32 {
        self.spec.page_size
    }

    /// Asks for this many records from now on, 1 to 2000.
    ///
    /// # Errors
    /// `Config` for another size.
    pub fn set_page_size(&mut self, page_size: u32) -> Result<()> {
        self.spec = self.spec.clone().with_page_size(page_size)?;
        Ok(())
    }

    /// Splits what is left of the window, because a query over it takes too long: to put many records in order is slow,
    /// however few of them are asked for. Later parts grow again. False when there is nothing to split.
    pub fn narrow(&mut self) -> bool {
        let (Stage::Window(from), Range::Window { window, .. }) = (&self.stage, &self.spec.range)
        else {
            return false;
        };
        let beginning = |low: &Option<OffsetDateTime>| low.unwrap_or(OLDEST.min(window.high));
        let low = match from {
            From::Since(low) => beginning(low),
            From::At { time, .. } | From::Behind(time) => *time,
        };
        let half = (self.end(window) - low).whole_seconds() / 2;
        let end = low.checked_add(Duration::seconds(half));
        let (Some(end), Ok(half @ 2..)) = (end, u64::try_from(half)) else {
            return false;
        };
        let whole = (window.high - beginning(&window.low)).whole_seconds();
        let whole = u64::try_from(whole).unwrap_or(half).max(half);
        let width = self.width.get_or_insert_with(|| Pace::new(2, whole, 1));
        width.slow_down_to(half);
        self.part = Some(end);
        true
    }

    /// What is left of the window, where the last page told how much that is.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        let (Stage::Window(From::At { time, .. }), Range::Window { window, .. }) =
            (&self.stage, &self.spec.range)
        else {
            return None;
        };
        // What a page of a part says is of the part.
        let records = self.left.filter(|_| self.part.is_none())?;
        Some(Ahead {
            from: *time,
            high: window.high,
            records,
        })
    }

    /// Leaves what lies from there on to another walk. It must be behind [what was read](Self::ahead).
    pub(super) fn end_at(&mut self, end: OffsetDateTime) {
        if let Range::Window { window, .. } = &mut self.spec.range {
            window.high = end.min(window.high);
        }
    }

    /// The query to send now; none when the walk is done. The same until an answer is accepted.
    ///
    /// # Errors
    /// `Config` when the query cannot be written.
    pub fn next_query(&self) -> Result<Option<Query>> {
        let Some((bounds, order)) = self.bounds() else {
            return Ok(None);
        };
        let page_size = match self.check {
            // Two tell the order that they are put in.
            Check::Due | Check::IsGone => 2,
            Check::NotNeeded | Check::Passed => self.spec.page_size,
        };
        let filters = bounds.into_iter().chain(self.spec.filter.clone());
        let spec = &self.spec;
        let mut query = Query::new(spec.object.clone(), spec.select.iter().cloned())
            .and_then(|query| query.with_page_size(page_size))
            .map_err(Error::unwritable)?
            .with_order(order)
            .with_options(spec.options);
        let mut filters = filters.peekable();
        if filters.peek().is_some() {
            query = query.with_filter(Filter::all(filters).map_err(Error::unwritable)?);
        }
        Ok(Some(match &spec.doc_par_id {
            Some(id) => query.with_doc_par_id(id),
            None => query,
        }))
    }

    /// Takes in the answer to [`next_query`](Self::next_query): where its records stand, in its order, and how many more
    /// match the query (`numremaining`; where the answer does not say, a short page is the last).
    ///
    /// # Errors
    /// `Protocol` with [`Reason::OrderBroken`] when the records are not in the order, or not in the bounds, that were
    /// asked for: going on could miss records. The walk stays where it was.
    pub fn accept(&mut self, rows: &[RowKey<'_>], remaining: Option<u64>) -> Result<Released> {
        match self.check {
            Check::Due => {
                (self.order, self.check) = self.checked(rows)?;
                return Ok(self.withheld(rows));
            }
            Check::IsGone if rows.is_empty() => {
                self.check = Check::Passed;
                return Ok(self.withheld(rows));
            }
            Check::IsGone => return Err(compared_otherwise()),
            Check::NotNeeded | Check::Passed => {}
        }
        let more = match remaining {
            Some(remaining) => remaining > 0,
            None => rows.len() as u64 >= u64::from(self.spec.page_size),
        };
        if more && rows.is_empty() {
            return Err(broken("an empty page with more behind it"));
        }
        let (positions, order) = self.positions(rows)?;
        let come = remaining.map(|remaining| remaining.saturating_add(rows.len() as u64));
        let too_few = come
            .zip(self.expected)
            .is_some_and(|(come, expected)| come < expected);
        if too_few && self.check != Check::Passed {
            self.check = Check::Due;
            return Ok(self.withheld(rows));
        }
        let from = match &self.stage {
            Stage::Window(From::At { time, released }) => positions
                .iter()
                .take_while(|(at, key)| {
                    *at == Some(*time) && order.holds_at_or_before(key, released)
                })
                .count(),
            _ => 0,
        };
        let next = self.behind(&positions, from, more);
        if let Some((modified, key)) = positions.get(from..).and_then(<[_]>::last) {
            self.cursor = Some(Cursor {
                modified: *modified,
                key: (*key).to_owned(),
            });
        }
        self.left = remaining.filter(|_| matches!(self.stage, Stage::Window(_)));
        let goes_on = match (&self.stage, &next) {
            (Stage::Keys { .. }, Stage::Keys { .. }) => true,
            (Stage::Tie { at, .. }, Stage::Tie { at: same, .. }) => at == same,
            _ => false,
        };
        self.stage = next;
        self.order = order;
        self.expected = remaining.filter(|_| goes_on);
        self.settle();
        self.check = if goes_on {
            Check::NotNeeded
        } else {
            self.check_at_first()
        };
        Ok(Released {
            from,
            cursor: self.cursor.clone(),
        })
    }

    /// Nothing of a page is released, and the walk stays where it is.
    fn withheld(&self, rows: &[RowKey<'_>]) -> Released {
        Released {
            from: rows.len(),
            cursor: self.cursor.clone(),
        }
    }

    /// The orders that are left after the check, and what is to be checked next: its rows are the greatest keys up to the
    /// last one, greatest first.
    fn checked(&self, rows: &[RowKey<'_>]) -> Result<(KeyOrder, Check)> {
        let (Stage::Keys { after: Some(last) } | Stage::Tie { after: last, .. }) = &self.stage
        else {
            return Ok((self.order, Check::Passed));
        };
        let keys: Option<Vec<&str>> = rows.iter().map(|row| row.key).collect();
        let keys = keys.ok_or_else(|| broken("a record without a key"))?;
        let in_order = |order: KeyOrder, pair: &[&str]| order.after_seeing(pair[1], pair[0]);
        let mut pairs = keys.windows(2);
        let order = pairs.try_fold(self.order, in_order);
        let order = order.ok_or_else(compared_otherwise)?;
        match keys.first() {
            None => Ok((order, Check::IsGone)),
            Some(greatest) if greatest == last => Ok((order, Check::Passed)),
            Some(greatest) => {
                let order = order.after_seeing(greatest, last);
                Ok((order.ok_or_else(compared_otherwise)?, Check::IsGone))
            }
        }
    }

    /// The stage behind a page whose new records begin at `from`.
    fn behind(&self, positions: &[Position<'_>], from: usize, more: bool) -> Stage {
        let last = positions.last().map(|(at, key)| (*at, (*key).to_owned()));
        match (&self.stage, last) {
            (Stage::Keys { .. }, Some((_, key))) if more => Stage::Keys { after: Some(key) },
            (Stage::Keys { .. }, _) => match &self.spec.range {
                Range::Keys => Stage::Done,
                Range::Window { window, .. } => Stage::Window(From::Since(window.low)),
            },
            (Stage::Tie { at, .. }, Some((_, key))) if more => Stage::Tie {
                at: *at,
                after: key,
            },
            (Stage::Tie { at, .. }, _) => Stage::Window(From::Behind(*at)),
            (Stage::Window(From::At { time, released }), _) if more && from == positions.len() => {
                // Nothing new: the page has become smaller than what was released at this time.
                Stage::Tie {
                    at: *time,
                    after: released.clone(),
                }
            }
            (Stage::Window(_), Some((Some(time), key))) if more => {
                // With the whole page at one time, asking from that time on again would bring the same page.
                let all_at_once = positions.first().is_some_and(|(at, _)| *at == Some(time));
                if all_at_once {
                    Stage::Tie {
                        at: time,
                        after: key,
                    }
                } else {
                    Stage::Window(From::At {
                        time,
                        released: key,
                    })
                }
            }
            // The end of the part counts as the beginning of the next.
            (Stage::Window(_), _) => match &self.part {
                Some(end) => Stage::Window(From::Since(Some(*end))),
                None => Stage::Done,
            },
            (Stage::Done, _) => Stage::Done,
        }
    }

    /// Where the records stand, after checking that they do in the order and the bounds that were asked for, and which
    /// orders of keys explain it.
    fn positions<'a>(&self, rows: &[RowKey<'a>]) -> Result<(Vec<Position<'a>>, KeyOrder)> {
        let mut positions: Vec<Position<'a>> = Vec::with_capacity(rows.len());
        let mut order = self.order;
        for row in rows {
            let key = row.key.ok_or_else(|| broken("a record without a key"))?;
            let position = (self.modified(row)?, key);
            let explained = match positions.last() {
                Some((at, _)) if *at < position.0 => Some(order),
                Some((at, before)) if *at == position.0 => order.after_seeing(before, key),
                Some(_) => None,
                None => self.explains_first(order, position),
            };
            order = explained
                .ok_or_else(|| broken("records that are not in the order that was asked for"))?;
            positions.push(position);
        }
        Ok((positions, order))
    }

    fn modified(&self, row: &RowKey<'_>) -> Result<Option<OffsetDateTime>> {
        let window = match (&self.stage, &self.spec.range) {
            (Stage::Window(_) | Stage::Tie { .. }, Range::Window { window, .. }) => window,
            _ => return Ok(None),
        };
        let text = row
            .modified
            .ok_or_else(|| broken("a record without a modified time in a window"))?;
        let at = self.spec.instant_of(text);
        let at =
            at.map_err(|source| broken("a modified time that is no timestamp").caused_by(source))?;
        let in_part = !matches!(self.stage, Stage::Window(_)) || at < self.end(window);
        if within(at, window) && in_part {
            Ok(Some(at))
        } else {
            Err(broken("a record from outside the window"))
        }
    }

    /// The orders that are left if the first record of a page lies behind what the query excluded.
    fn explains_first(&self, order: KeyOrder, (at, key): Position<'_>) -> Option<KeyOrder> {
        let when = |holds: bool| holds.then_some(order);
        match &self.stage {
            Stage::Keys { after: None } | Stage::Done => Some(order),
            Stage::Keys { after: Some(after) } => order.after_seeing(after, key),
            Stage::Tie { at: tie, after } if at == Some(*tie) => order.after_seeing(after, key),
            Stage::Tie { .. } => None,
            Stage::Window(From::Since(low)) => when(low.is_none_or(|low| at >= Some(low))),
            Stage::Window(From::At { time, .. }) => when(at >= Some(*time)),
            Stage::Window(From::Behind(time)) => when(at > Some(*time)),
        }
    }

    /// The conditions of the next query, and its order.
    fn bounds(&self) -> Option<(Vec<Filter>, Vec<Order>)> {
        let key = &self.spec.key;
        let behind = |after: &str| match self.check {
            Check::Due => Filter::less_than_or_equal_to(key.clone(), after),
            Check::IsGone => Filter::equal_to(key.clone(), after),
            Check::NotNeeded | Check::Passed => Filter::greater_than(key.clone(), after),
        };
        let by_key = || match self.check {
            Check::Due => vec![Order::descending(key.clone())],
            _ => vec![Order::ascending(key.clone())],
        };
        let Range::Window {
            modified,
            window,
            nulls,
        } = &self.spec.range
        else {
            let Stage::Keys { after } = &self.stage else {
                return None;
            };
            return Some((after.as_deref().map(behind).into_iter().collect(), by_key()));
        };
        let value = |at: OffsetDateTime| Value::instant(at, self.spec.source_offset);
        let field = || modified.clone();
        let below_end = || Filter::less_than(field(), value(self.end(window)));
        Some(match &self.stage {
            Stage::Done => return None,
            Stage::Keys { after } => {
                let matching = match nulls {
                    NullPass::Matching(filter) => Some(filter.clone()),
                    NullPass::All | NullPass::Skip => None,
                };
                let filters = [
                    Some(Filter::is_null(field())),
                    after.as_deref().map(behind),
                    matching,
                ];
                (filters.into_iter().flatten().collect(), by_key())
            }
            Stage::Tie { at, after } => (
                vec![Filter::equal_to(field(), value(*at)), behind(after)],
                by_key(),
            ),
            Stage::Window(from) => {
                let low = match from {
                    From::Since(low) => {
                        low.map(|low| Filter::greater_than_or_equal_to(field(), value(low)))
                    }
                    From::At { time, .. } => {
                        Some(Filter::greater_than_or_equal_to(field(), value(*time)))
                    }
                    From::Behind(time) => Some(Filter::greater_than(field(), value(*time))),
                };
                let order = vec![Order::ascending(field()), Order::ascending(key.clone())];
                (low.into_iter().chain([below_end()]).collect(), order)
            }
        })
    }

    /// Where the part of the window ends that is read now.
    fn end(&self, window: &WalkWindow) -> OffsetDateTime {
        self.part.unwrap_or(window.high)
    }

    /// Passes over what can bring nothing, and on to the next part of the window behind a part that is done.
    fn settle(&mut self) {
        let Range::Window { window, .. } = &self.spec.range else {
            return;
        };
        loop {
            let end = self.end(window);
            let done = match &self.stage {
                Stage::Window(From::Since(low)) => low.is_some_and(|low| low >= end),
                // Timestamps have whole seconds.
                Stage::Window(From::Behind(time)) => time
                    .checked_add(Duration::SECOND)
                    .is_none_or(|next| next >= end),
                _ => false,
            };
            if !done {
                return;
            }
            let Some(end) = self.part.take() else {
                self.stage = Stage::Done;
                return;
            };
            self.stage = Stage::Window(From::Since(Some(end)));
            let Some(width) = &mut self.width else {
                continue;
            };
            width.went_well();
            let seconds = i64::try_from(width.now()).unwrap_or(i64::MAX);
            let next = end.checked_add(Duration::seconds(seconds));
            self.part = next.filter(|end| *end < window.high);
        }
    }
}

/// Nothing in the source is older: where a window without a lower end is split from.
const OLDEST: OffsetDateTime = time::macros::datetime!(1990-01-01 00:00 UTC);

/// Modified time, where the stage has one, and key.
type Position<'a> = (Option<OffsetDateTime>, &'a str);

fn within(at: OffsetDateTime, window: &WalkWindow) -> bool {
    at < window.high && window.low.is_none_or(|low| at >= low)
}

fn compared_otherwise() -> Error {
    broken("keys that are compared in another order than they are put in")
}

fn broken(what: &str) -> Error {
    let message = format!(
        "a page has {what}: going on could miss records; check the key field, the modified field and the \
         time zone of the source"
    );
    Error::new(ErrorKind::Protocol, Reason::OrderBroken, message)
}

#[cfg(test)]
mod tests;

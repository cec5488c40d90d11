//! The walk itself: which query comes next, and which records of its answer are new. Sends nothing.

use std::cmp::Ordering;

use intacct_xml::request::{Filter, Order, Query, Value};
use intacct_xml::values::parse_timestamp;
use time::{Duration, OffsetDateTime};

use super::cursor::Cursor;
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
/// Its whole state is its cursor and the pass it is in, so that a walk resumed from a cursor goes on exactly as the
/// one that wrote it.
#[derive(Clone, Debug)]
pub struct Walk {
    spec: WalkSpec,
    stage: Stage,
    cursor: Option<Cursor>,
    /// The part of the window that is read now, where the whole is too much for one query.
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    end: OffsetDateTime,
    width: Duration,
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
        };
        walk.settle();
        walk
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
        let low = match from {
            From::Since(low) => low.unwrap_or(OLDEST.min(window.high)),
            From::At { time, .. } | From::Behind(time) => *time,
        };
        let width = Duration::seconds((self.end(window) - low).whole_seconds() / 2);
        let Some(end) = low.checked_add(width).filter(|_| width > Duration::SECOND) else {
            return false;
        };
        self.part = Some(Part { end, width });
        true
    }

    /// The query to send now; none when the walk is done. The same until an answer is accepted.
    ///
    /// # Errors
    /// `Config` when the query cannot be written.
    pub fn next_query(&self) -> Result<Option<Query>> {
        let Some((bounds, order)) = self.bounds() else {
            return Ok(None);
        };
        let filters = bounds.into_iter().chain(self.spec.filter.clone());
        let spec = &self.spec;
        let mut query = Query::new(spec.object.clone(), spec.select.iter().cloned())
            .and_then(|query| query.with_page_size(spec.page_size))
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
        let more = match remaining {
            Some(remaining) => remaining > 0,
            None => rows.len() as u64 >= u64::from(self.spec.page_size),
        };
        if more && rows.is_empty() {
            return Err(broken("an empty page with more behind it"));
        }
        let positions = self.positions(rows)?;
        let from = match &self.stage {
            Stage::Window(From::At { time, released }) => positions
                .iter()
                .take_while(|(at, key)| {
                    *at == Some(*time) && compare_keys(key, released) != Ordering::Greater
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
        self.stage = next;
        self.settle();
        Ok(Released {
            from,
            cursor: self.cursor.clone(),
        })
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
                Some(part) => Stage::Window(From::Since(Some(part.end))),
                None => Stage::Done,
            },
            (Stage::Done, _) => Stage::Done,
        }
    }

    /// Where the records stand, after checking that they do in the order and the bounds that were asked for.
    fn positions<'a>(&self, rows: &[RowKey<'a>]) -> Result<Vec<Position<'a>>> {
        let mut positions: Vec<Position<'a>> = Vec::with_capacity(rows.len());
        for row in rows {
            let position = (
                self.modified(row)?,
                row.key.ok_or_else(|| broken("a record without a key"))?,
            );
            let last = positions.last().copied();
            let in_order = match last {
                Some(last) => compare(last, position) == Ordering::Less,
                None => self.follows(position),
            };
            if !in_order {
                return Err(broken(
                    "records that are not in the order that was asked for",
                ));
            }
            positions.push(position);
        }
        Ok(positions)
    }

    fn modified(&self, row: &RowKey<'_>) -> Result<Option<OffsetDateTime>> {
        let window = match (&self.stage, &self.spec.range) {
            (Stage::Window(_) | Stage::Tie { .. }, Range::Window { window, .. }) => window,
            _ => return Ok(None),
        };
        let text = row
            .modified
            .ok_or_else(|| broken("a record without a modified time in a window"))?;
        let local = parse_timestamp(text)
            .map_err(|source| broken("a modified time that is no timestamp").because(source))?;
        let at = local
            .assume_offset(self.spec.source_offset)
            .to_offset(time::UtcOffset::UTC);
        let in_part = !matches!(self.stage, Stage::Window(_)) || at < self.end(window);
        if within(at, window) && in_part {
            Ok(Some(at))
        } else {
            Err(broken("a record from outside the window"))
        }
    }

    /// Whether the first record of a page lies behind what the query excluded.
    fn follows(&self, (at, key): Position<'_>) -> bool {
        match &self.stage {
            Stage::Keys { after } => after
                .as_deref()
                .is_none_or(|after| compare_keys(key, after) == Ordering::Greater),
            Stage::Tie { at: tie, after } => {
                at == Some(*tie) && compare_keys(key, after) == Ordering::Greater
            }
            Stage::Window(From::Since(low)) => low.is_none_or(|low| at >= Some(low)),
            Stage::Done => true,
            Stage::Window(From::At { time, .. }) => at >= Some(*time),
            Stage::Window(From::Behind(time)) => at > Some(*time),
        }
    }

    /// The conditions of the next query, and its order.
    fn bounds(&self) -> Option<(Vec<Filter>, Vec<Order>)> {
        let key = &self.spec.key;
        let behind = |after: &str| Filter::greater_than(key.clone(), after);
        let by_key = || vec![Order::ascending(key.clone())];
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
        self.part.map_or(window.high, |part| part.end)
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
            let Some(part) = self.part.take() else {
                self.stage = Stage::Done;
                return;
            };
            self.stage = Stage::Window(From::Since(Some(part.end)));
            let width = part.width.saturating_mul(2);
            let next = part.end.checked_add(width);
            self.part = next
                .filter(|end| *end < window.high)
                .map(|end| Part { end, width });
        }
    }
}

/// Nothing in the source is older: where a window without a lower end is split from.
const OLDEST: OffsetDateTime = time::macros::datetime!(1990-01-01 00:00 UTC);

/// Modified time, where the stage has one, and key.
type Position<'a> = (Option<OffsetDateTime>, &'a str);

fn compare((left_at, left_key): Position<'_>, (right_at, right_key): Position<'_>) -> Ordering {
    left_at
        .cmp(&right_at)
        .then_with(|| compare_keys(left_key, right_key))
}

/// By number where both are, else by text. `RECORDNO` is a number in all objects, though some call it text.
fn compare_keys(left: &str, right: &str) -> Ordering {
    match (digits(left), digits(right)) {
        (Some(left), Some(right)) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
        _ => left.cmp(right),
    }
}

/// The digits of a whole number, without zeros before it.
fn digits(text: &str) -> Option<&str> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.trim_start_matches('0'))
}

fn within(at: OffsetDateTime, window: &WalkWindow) -> bool {
    at < window.high && window.low.is_none_or(|low| at >= low)
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

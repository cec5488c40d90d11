//! A window read in parts, several of them at once, their pages in the order of one walk.

use std::collections::{HashMap, VecDeque};

use futures_util::{StreamExt as _, TryStreamExt as _};
use intacct_xml::FieldName;
use intacct_xml::request::{Aggregate, Filter, Query, Selection};
use intacct_xml::values::parse_timestamp;
use time::{Duration, OffsetDateTime};

use super::cursor::Cursor;
use super::spec::{NullPass, Range, WalkSpec, WalkWindow};
use super::stream::WalkPage;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::page::{Pager, Pages};

/// A part of a walk: what it reads, and where it goes on.
pub(super) type Part = (WalkSpec, Option<Cursor>);

/// Opens the pages of a part.
type Open<P> = Box<dyn FnMut(Part) -> Pages<P> + Send>;

/// Reads parts ahead, so many at a time, and gives their pages one part after the other.
///
/// A part that is not at its turn has at most two pages in memory, so that reading ahead stays bounded
/// however much there is.
pub(super) struct PartsPager<R> {
    pub(super) at_once: usize,
    pub(super) left: VecDeque<Part>,
    pub(super) open: Open<WalkPage<R>>,
    pub(super) reading: VecDeque<Pages<WalkPage<R>>>,
    pub(super) number: u64,
}

impl<R: Send + 'static> Pager for PartsPager<R> {
    type Page = WalkPage<R>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        loop {
            while self.reading.len() < self.at_once {
                let Some(part) = self.left.pop_front() else {
                    break;
                };
                let mut pages = (self.open)(part);
                pages.start();
                self.reading.push_back(pages);
            }
            let Some(first) = self.reading.front_mut() else {
                return Ok(None);
            };
            match first.next().await {
                Some(page) => {
                    let mut page = page?;
                    page.number = self.number;
                    self.number += 1;
                    return Ok(Some(page));
                }
                None => {
                    self.reading.pop_front();
                }
            }
        }
    }
}

/// Parts of about this many pages: more would wait, fewer would cost more calls.
const PAGES_A_PART: u64 = 2;
/// Never more parts than these.
const MOST_PARTS: u64 = 512;

/// The parts of a walk behind a cursor; none where it cannot be parted.
///
/// Costs a call, which counts the window's records and tells the first time that one of them changed.
pub(super) async fn parts(
    client: &Client,
    spec: &WalkSpec,
    resume: Option<&Cursor>,
) -> Result<Option<VecDeque<Part>>> {
    let Range::Window {
        modified,
        window,
        nulls,
    } = &spec.range
    else {
        return Ok(None);
    };
    let Some((count, oldest)) = extent(client, spec, modified, window).await? else {
        return Ok(None);
    };
    let pages = count.div_ceil(u64::from(spec.page_size));
    let wanted = pages.div_ceil(PAGES_A_PART).clamp(1, MOST_PARTS);
    let mut parts = VecDeque::new();
    let settled = resume.map(|cursor| cursor.modified);
    if *nulls != NullPass::Skip && !matches!(settled, Some(Some(_))) {
        let cursor = resume.filter(|cursor| cursor.modified.is_none()).cloned();
        parts.push_back((of_nulls(spec, modified, nulls), cursor));
    }
    for (part, begins_anywhere) in split(window, oldest, wanted) {
        let mut part_spec = spec.clone().with_null_pass(NullPass::Skip);
        let low = if begins_anywhere {
            window.low
        } else {
            part.low
        };
        if let Range::Window { window, .. } = &mut part_spec.range {
            *window = WalkWindow {
                low,
                high: part.high,
            };
        }
        let cursor = match settled {
            Some(Some(at)) if at >= part.high => continue,
            Some(Some(at)) if part.low.is_none_or(|low| at >= low) || begins_anywhere => {
                resume.cloned()
            }
            _ => None,
        };
        parts.push_back((part_spec, cursor));
    }
    Ok(Some(parts))
}

/// The pass over records without a modified time, as a walk of its own by key.
pub(super) fn of_nulls(spec: &WalkSpec, modified: &FieldName, nulls: &NullPass) -> WalkSpec {
    let mut by_key = spec.clone();
    by_key.range = Range::Keys;
    let never = Filter::is_null(modified.clone());
    let matching = match nulls {
        NullPass::Matching(filter) => never.and(filter.clone()),
        NullPass::All | NullPass::Skip => never,
    };
    by_key.filter = Some(match spec.filter.clone() {
        Some(filter) => matching.and(filter),
        None => matching,
    });
    by_key
}

/// So many parts of equal width from the oldest record on; the first also takes what is older.
pub(super) fn split(
    window: &WalkWindow,
    oldest: OffsetDateTime,
    parts: u64,
) -> Vec<(WalkWindow, bool)> {
    let low = window.low.map_or(oldest, |low| low.max(oldest));
    let whole = u64::try_from((window.high - low).whole_seconds()).unwrap_or(0);
    let width = whole.div_ceil(parts.max(1)).max(1);
    let width = Duration::seconds(i64::try_from(width).unwrap_or(i64::MAX));
    let mut pieces = Vec::new();
    let mut begin = low;
    loop {
        let end = begin.checked_add(width).unwrap_or(window.high);
        let end = end.min(window.high).max(begin);
        let is_last = end >= window.high;
        let high = if is_last { window.high } else { end };
        let piece = WalkWindow {
            low: Some(begin),
            high,
        };
        pieces.push((piece, pieces.is_empty()));
        if is_last {
            return pieces;
        }
        begin = end;
    }
}

/// How many records a window has, and when the first of them was modified.
async fn extent(
    client: &Client,
    spec: &WalkSpec,
    modified: &FieldName,
    window: &WalkWindow,
) -> Result<Option<(u64, OffsetDateTime)>> {
    let field = || modified.clone();
    let value = |at| intacct_xml::request::Value::instant(at, spec.source_offset);
    let low = window
        .low
        .map(|low| Filter::greater_than_or_equal_to(field(), value(low)));
    let high = Filter::less_than(field(), value(window.high));
    let filters = low.into_iter().chain([high]).chain(spec.filter.clone());
    let select = [
        Selection::Aggregate(Aggregate::Count, spec.key.clone()),
        Selection::Aggregate(Aggregate::Minimum, field()),
    ];
    let query = Query::new(spec.object.clone(), select)
        .map_err(Error::unwritable)?
        .with_filter(Filter::all(filters).map_err(Error::unwritable)?)
        .with_options(spec.options);
    let mut pages = client.query_as::<HashMap<String, Option<String>>>(query);
    let told = match pages.try_next().await {
        Ok(page) => page.and_then(|page| page.records.into_iter().next()),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "a window cannot be counted, reading it in one piece");
            return Ok(None);
        }
    };
    let Some(told) = told else {
        return Ok(None);
    };
    let aggregate = |function: &str, field: &FieldName| {
        let qualified = told.get(&format!("{function}.{field}"));
        qualified
            .or_else(|| told.get(field.as_str()))
            .cloned()
            .flatten()
    };
    let count = aggregate("COUNT", &spec.key).and_then(|text| text.trim().parse().ok());
    let oldest = aggregate("MIN", modified).and_then(|text| parse_timestamp(&text).ok());
    let oldest = oldest.map(|local| {
        let at = local.assume_offset(spec.source_offset);
        at.to_offset(time::UtcOffset::UTC)
    });
    Ok(count.zip(oldest))
}

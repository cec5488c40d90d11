//! A window read in parts, several of them at once, their pages in the order of one walk.
//!
//! ```text
//!   window  │ first page │ rest of the first part │ part │ part │ not cut yet …         │
//!             tells how many records are left, and how dense they lie
//! ```
//!
//! Parts are cut one by one, each as wide as should hold two pages by what is known by then of how dense records lie.
//! A part that turns out larger is read all the same, only not as much ahead.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use intacct_xml::FieldName;
use intacct_xml::request::Filter;
use time::{Duration, OffsetDateTime};

use super::cursor::Cursor;
use super::machine::Ahead;
use super::pager::WalkPager;
use super::spec::{NullPass, Range, WalkSpec, WalkWindow};
use super::stream::{MakeTarget, WalkPage, walk_pager};
use crate::batch::Batching;
use crate::client::Client;
use crate::error::Result;
use crate::page::{Pager, Pages};

/// Reads a window in parts and gives their pages one part after the other.
///
/// One part is being used and as many are read ahead as may be asked for at once, each at most two pages, so that what
/// is in memory stays bounded however much there is.
pub(super) struct PartsPager<B: Batching> {
    client: Client,
    at_once: usize,
    plan: Option<(WalkSpec, Option<Cursor>)>,
    target: MakeTarget<B>,
    /// What no part has been cut from.
    rest: Option<Rest>,
    reading: VecDeque<Part<B::Records>>,
    number: u64,
}

/// A part of a window, being read.
struct Part<R> {
    /// Those that were read before the others could begin.
    first: VecDeque<WalkPage<R>>,
    pages: Pages<WalkPage<R>>,
    /// How wide it is, until its first page has told how many records it has.
    untold: Option<u64>,
}

/// The end of a window that is still to be cut into parts.
struct Rest {
    spec: WalkSpec,
    low: OffsetDateTime,
    high: OffsetDateTime,
    /// How many records there should be in it; what parts hold more than expected is taken off.
    records: i64,
    /// Seconds of a part.
    width: u64,
}

/// Parts of about this many pages: more would have to wait with the part before them, fewer would cost more calls.
const PAGES_A_PART: usize = 2;

impl<B: Batching> PartsPager<B> {
    pub(super) fn new(
        client: &Client,
        at_once: usize,
        plan: (WalkSpec, Option<Cursor>),
        target: MakeTarget<B>,
    ) -> Self {
        Self {
            client: client.clone(),
            at_once,
            plan: Some(plan),
            target,
            rest: None,
            reading: VecDeque::new(),
            number: 0,
        }
    }

    /// Reads the first page of the window, and of the records without a modified time meanwhile.
    async fn begin(&mut self, spec: WalkSpec, resume: Option<Cursor>) -> Result<()> {
        let Range::Window {
            modified, nulls, ..
        } = &spec.range
        else {
            let pager = self.pager(spec, resume)?;
            self.read(Pages::new(pager), VecDeque::new(), None);
            return Ok(());
        };
        let (of_nulls_resumed, resume): (_, Option<Cursor>) = match resume {
            Some(cursor) if cursor.modified.is_some() => (None, Some(cursor)),
            cursor => (Some(cursor), None),
        };
        if let (Some(cursor), false) = (of_nulls_resumed, *nulls == NullPass::Skip) {
            let pager = self.pager(of_nulls(&spec, modified, nulls), cursor)?;
            self.read(Pages::new(pager), VecDeque::new(), None);
        }
        let spec = spec.with_null_pass(NullPass::Skip);
        let mut lead = self.pager(spec.clone(), resume)?;
        let mut first = VecDeque::new();
        // Behind a cursor comes first what shares its time; that tells nothing of the rest.
        while first.len() < 2 {
            let Some(page) = lead.next_page().await? else {
                break;
            };
            first.push_back(page);
            if let Some(ahead) = lead.course().ahead() {
                self.cut_behind(&mut lead, spec, ahead);
                break;
            }
        }
        self.read(Pages::ahead(lead, PAGES_A_PART), first, None);
        Ok(())
    }

    /// Ends a walk where the first part ends, by how dense its page is.
    fn cut_behind(&mut self, lead: &mut WalkPager<super::Walk, B>, spec: WalkSpec, ahead: Ahead) {
        let wanted = records_of_part(&spec);
        let rows = lead.keys().rows();
        let first = rows
            .first()
            .and_then(|row| spec.instant_of(row.modified?).ok());
        let seen = first.map_or(0, |first| (ahead.from - first).whole_seconds());
        let width = wide_enough(u64::try_from(seen).unwrap_or(0), rows.len() as u64, wanted);
        // One page, so that the next part is not waited for any longer than this one.
        let pages = PAGES_A_PART as u64;
        let (own_width, own) = ((width / pages).max(1), wanted / pages);
        let end = ahead.from.checked_add(seconds(own_width));
        let Some(end) = end.filter(|end| *end < ahead.high && ahead.records > wanted) else {
            return;
        };
        lead.course().end_at(end);
        self.rest = Some(Rest {
            spec,
            low: end,
            high: ahead.high,
            records: i64::try_from(ahead.records.saturating_sub(own)).unwrap_or(i64::MAX),
            width,
        });
    }

    /// Cuts as many parts as may be read now.
    fn cut(&mut self) -> Result<()> {
        while self.reading.len() <= self.at_once
            && let Some(rest) = &mut self.rest
        {
            let wanted = i64::try_from(records_of_part(&rest.spec)).unwrap_or(i64::MAX);
            let end = rest.low.checked_add(seconds(rest.width));
            let end = end.filter(|end| *end < rest.high && rest.records > rest.fits_in_one());
            let window = WalkWindow::new(Some(rest.low), end.unwrap_or(rest.high));
            let spec = rest.spec.within(window);
            let width = (window.high - window.low.unwrap_or(window.high)).whole_seconds();
            rest.low = window.high;
            rest.records -= wanted;
            if end.is_none() {
                self.rest = None;
            }
            let pager = self.pager(spec, None)?;
            let width = u64::try_from(width).ok();
            self.read(Pages::ahead(pager, PAGES_A_PART), VecDeque::new(), width);
        }
        Ok(())
    }

    fn pager(
        &mut self,
        spec: WalkSpec,
        resume: Option<Cursor>,
    ) -> Result<WalkPager<super::Walk, B>> {
        walk_pager(&self.client, (spec, resume), &mut *self.target)
    }

    fn read(
        &mut self,
        mut pages: Pages<WalkPage<B::Records>>,
        first: VecDeque<WalkPage<B::Records>>,
        untold: Option<u64>,
    ) {
        pages.start();
        self.reading.push_back(Part {
            first,
            pages,
            untold,
        });
    }
}

impl Rest {
    /// How many records may be left for the last part.
    fn fits_in_one(&self) -> i64 {
        let page = i64::from(self.spec.page_size);
        page * PAGES_A_PART as i64 - page / 64
    }

    /// Takes in how many records a part of that width had.
    fn learn(&mut self, width: u64, records: u64) {
        let wanted = records_of_part(&self.spec);
        self.records += i64::try_from(wanted).unwrap_or(i64::MAX);
        self.records -= i64::try_from(records).unwrap_or(i64::MAX);
        // One part may say little of the next: no bound is moved too far at once.
        let (least, most) = (width / 4, width.saturating_mul(4));
        self.width = wide_enough(width, records, wanted).clamp(least.max(1), most.max(1));
    }
}

impl<B: Batching> Pager for PartsPager<B> {
    type Page = WalkPage<B::Records>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        if let Some((spec, resume)) = self.plan.take() {
            self.begin(spec, resume).await?;
        }
        loop {
            self.cut()?;
            let Some(part) = self.reading.front_mut() else {
                return Ok(None);
            };
            let page = match part.first.pop_front() {
                Some(page) => Some(page),
                None => part.pages.next().await.transpose()?,
            };
            if let (Some(width), Some(rest)) = (part.untold.take(), &mut self.rest) {
                let records = page.as_ref().map_or(0, |page| {
                    page.released.saturating_add(page.remaining.unwrap_or(0))
                });
                rest.learn(width, records);
            }
            match page {
                Some(mut page) => {
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

/// How many records a part should have: a few less than its pages hold, so that chance seldom makes it a page more.
fn records_of_part(spec: &WalkSpec) -> u64 {
    let pages = u64::from(spec.page_size) * PAGES_A_PART as u64;
    (pages - pages / 32).max(1)
}

/// The seconds that hold so many records, where these seconds hold those.
fn wide_enough(seconds: u64, records: u64, wanted: u64) -> u64 {
    let wide = u128::from(seconds.max(1)) * u128::from(wanted) / u128::from(records.max(1));
    u64::try_from(wide).unwrap_or(u64::MAX).max(1)
}

fn seconds(seconds: u64) -> Duration {
    Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
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

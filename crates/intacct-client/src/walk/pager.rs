//! The pages of a walk, one after the other, each as large as the gateway bears.

use intacct_xml::request::{Function, Query};
use intacct_xml::response::DataAttributes;

use super::keys::{Keys, Noting};
use super::machine::{Released, Walk};
use super::offset::OffsetWalk;
use super::pace::Pace;
use super::spec::Refusals;
use super::stream::WalkPage;
use crate::batch::Batching;
use crate::client::{Client, Work};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::describe;
use crate::page::Pager;
use crate::transport::new_control_id;

/// Pages that go well before a larger one is tried again.
const PATIENCE: u32 = 4;

/// What decides where a walk goes next: by key or by offset.
pub(super) trait Course: Send + 'static {
    fn next_query(&self) -> Result<Option<Query>>;

    fn page_size(&self) -> u32;

    /// Asks for about so many records from now on.
    fn set_page_size(&mut self, page_size: u32) -> Result<()>;

    fn accept(&mut self, keys: &Keys, data: &DataAttributes) -> Result<Released>;

    /// Asks for a narrower range after a query that was too much; false where there is nothing to narrow.
    fn narrow_after(&mut self, error: &Error) -> bool;
}

impl Course for Walk {
    fn next_query(&self) -> Result<Option<Query>> {
        self.next_query()
    }

    fn page_size(&self) -> u32 {
        self.page_size()
    }

    fn set_page_size(&mut self, page_size: u32) -> Result<()> {
        self.set_page_size(page_size)
    }

    fn accept(&mut self, keys: &Keys, data: &DataAttributes) -> Result<Released> {
        self.accept(&keys.rows(), data.remaining)
    }

    fn narrow_after(&mut self, error: &Error) -> bool {
        let refused = matches!(error.reason(), Reason::Function | Reason::Processing)
            && self.spec().refusals == Refusals::Narrow;
        (refused || error.kind() == ErrorKind::Timeout) && self.narrow()
    }
}

impl Course for OffsetWalk {
    fn next_query(&self) -> Result<Option<Query>> {
        self.next_query()
    }

    fn page_size(&self) -> u32 {
        self.page_size()
    }

    fn set_page_size(&mut self, page_size: u32) -> Result<()> {
        // A page holds the last record of the one before, and must bring a new one.
        self.set_page_size(page_size.max(2))
    }

    fn accept(&mut self, keys: &Keys, data: &DataAttributes) -> Result<Released> {
        self.accept(&keys.joined(), data.total_count, data.remaining)
    }

    fn narrow_after(&mut self, _: &Error) -> bool {
        false
    }
}

pub(super) struct WalkPager<C, B> {
    client: Client,
    course: C,
    pace: Pace,
    keys: Keys,
    batching: B,
    number: u64,
}

impl<C: Course, B: Batching> WalkPager<C, B> {
    pub(super) fn new(client: &Client, course: C, keys: Keys, batching: B) -> Self {
        let config = client.config();
        let (least, most) = (config.min_page_size, config.page_size);
        Self {
            client: client.clone(),
            course,
            pace: Pace::new(u64::from(least), u64::from(most), PATIENCE),
            keys,
            batching,
            number: 0,
        }
    }

    pub(super) fn course(&mut self) -> &mut C {
        &mut self.course
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Prepares a lighter query after one that was too much, or gives its error back.
    fn lighten(&mut self, error: Error) -> Result<()> {
        let is_for_its_size =
            error.kind() == ErrorKind::Timeout || error.reason() == Reason::TooLarge;
        let narrowed = self.course.narrow_after(&error);
        let smaller = is_for_its_size && self.pace.slow_down();
        if smaller {
            self.keep_pace()?;
        }
        if !narrowed && !smaller {
            return Err(error);
        }
        let page_size = self.course.page_size();
        tracing::warn!(page_size, narrowed, %error, "a page was too much, asking for less");
        Ok(())
    }

    fn keep_pace(&mut self) -> Result<()> {
        let page_size = u32::try_from(self.pace.now()).unwrap_or(u32::MAX);
        self.course.set_page_size(page_size)
    }
}

impl<C: Course, B: Batching> Pager for WalkPager<C, B> {
    type Page = WalkPage<B::Records>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        loop {
            let Some(query) = self.course.next_query()? else {
                return Ok(None);
            };
            let functions = [Function::new(new_control_id()?, query)];
            let mut noting = Noting {
                keys: &mut self.keys,
                target: self.batching.target(),
            };
            let page_size = self.course.page_size();
            let work = Work::one(&functions).with_page(self.client.config(), page_size);
            let sent = match self.client.send(work, &mut noting).await {
                Ok(sent) => sent,
                Err(error) => {
                    self.lighten(error)?;
                    continue;
                }
            };
            let [function] = &functions;
            let result = sent.result(function)?;
            let data = result.data.clone().unwrap_or_default();
            let released = self
                .course
                .accept(&self.keys, &data)
                .map_err(|error| describe(error, function))?;
            let count = result.records.saturating_sub(released.from as u64);
            let records = self.batching.take(released.from..)?;
            if self.pace.went_well() {
                self.keep_pace()?;
            }
            if count == 0 {
                // Passes that bring nothing new are no pages.
                continue;
            }
            let page = WalkPage {
                records,
                cursor: released.cursor,
                number: self.number,
                released: count,
                remaining: data.remaining,
                dropped_characters: sent.response().dropped_characters,
                control_id: function.control_id().as_str().to_owned(),
            };
            self.number += 1;
            return Ok(Some(page));
        }
    }
}

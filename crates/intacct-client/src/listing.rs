//! Results that the gateway keeps and gives page by page: how far one has been read.

use intacct_xml::response::DataAttributes;

use crate::error::Result;
use crate::query::{changed, missing};

/// How far a result has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) total: u64,
    read: u64,
    pub(crate) remaining: u64,
}

impl Progress {
    /// How far it has been read with one page more.
    ///
    /// A request that was repeated may have moved the gateway's cursor twice: then a page is missing, and what is left
    /// is less than it should be.
    pub(crate) fn after(before: Option<Self>, data: &DataAttributes, count: u64) -> Result<Self> {
        let remaining = data.remaining.ok_or_else(|| missing("numremaining"))?;
        let total = data.total_count.ok_or_else(|| missing("totalcount"))?;
        let (read, total_before, expected) = match before {
            Some(before) => (before.read, before.total, before.remaining),
            None => (0, total, total),
        };
        let found = count.saturating_add(remaining);
        if total != total_before || found != expected {
            return Err(changed(expected, found));
        }
        let read = read.saturating_add(count);
        if remaining > 0 && count == 0 {
            return Err(changed(total, read));
        }
        Ok(Self {
            total,
            read,
            remaining,
        })
    }
}

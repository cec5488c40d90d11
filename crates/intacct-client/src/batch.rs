//! What pages are read into.

use std::ops::RangeFrom;

use intacct_xml::response::{RecordTarget, Records};
use serde::de::DeserializeOwned;

use crate::error::Result;

/// Takes the records of one page after the other, in memory that may be used again.
pub(crate) trait Batching: Send + 'static {
    /// The records of one page.
    type Records: Send + 'static;

    /// Where the reader puts them.
    fn target(&mut self) -> &mut (dyn RecordTarget + Send);

    /// Takes out the records of the page that was read to its end, from this place on, counted over all records of
    /// the answer.
    fn take(&mut self, released: RangeFrom<usize>) -> Result<Self::Records>;
}

impl<T: DeserializeOwned + Send + 'static> Batching for Records<T> {
    type Records = Vec<T>;

    fn target(&mut self) -> &mut (dyn RecordTarget + Send) {
        self
    }

    fn take(&mut self, released: RangeFrom<usize>) -> Result<Vec<T>> {
        let mut records = Records::take(self);
        records.drain(..released.start.min(records.len()));
        Ok(records)
    }
}

#[cfg(feature = "arrow")]
mod arrow {
    use std::ops::RangeFrom;

    use intacct_xml::response::{Columns, Page, RecordTarget};

    use super::Batching;
    use crate::error::{Error, ErrorKind, Reason, Result};

    impl Batching for Columns {
        type Records = Page;

        fn target(&mut self) -> &mut (dyn RecordTarget + Send) {
            self
        }

        fn take(&mut self, released: RangeFrom<usize>) -> Result<Page> {
            let mut page = self.finish().map_err(|source| {
                let message = "a page does not fit into an Arrow batch; ask for smaller pages";
                Error::new(ErrorKind::Protocol, Reason::TooLarge, message).caused_by(source)
            })?;
            let withheld = |ordinal: u64| ordinal < released.start as u64;
            let withheld_rejects = page
                .rejected
                .iter()
                .filter(|record| withheld(record.ordinal))
                .count();
            page.rejected.retain(|record| !withheld(record.ordinal));
            let rows = page.batch.num_rows();
            let withheld_rows = released.start.saturating_sub(withheld_rejects).min(rows);
            page.batch = page.batch.slice(withheld_rows, rows - withheld_rows);
            Ok(page)
        }
    }
}

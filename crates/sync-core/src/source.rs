//! Where records come from.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use time::{Date, OffsetDateTime};

use crate::batch::{RecordKey, SourceBatch, UnreadableRecord};
use crate::condition::Condition;
use crate::error::Result;
use crate::finding::Finding;
use crate::ledger_check::LedgerCheck;
use crate::stream::{StreamDescriptor, StreamName};
use crate::totals::{ControlTotals, TotalsQuery};
use crate::window::{Cursor, Window};

/// What to read of a stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadRequest {
    /// The stream.
    pub stream: Arc<StreamDescriptor>,
    /// Which records, and how much of them.
    pub selection: Selection,
}

/// Which records to read, and how much of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// The records that were last modified inside the window, and those that never say when they
    /// were. All records where the stream has no modified column.
    Changes {
        /// The window.
        window: Window,
        /// Leaves out what stands up to here in the source's order.
        after: Option<Cursor>,
    },
    /// The key columns of all live records.
    Keys,
    /// The key columns of the live records of some periods, and perhaps of others near them.
    KeysOfPeriods(Vec<PeriodDay>),
    /// The live records that meet all of these conditions, whenever they were modified.
    Matching(Vec<Condition>),
}

/// A day of a stream's period column; none for the records that say none.
pub type PeriodDay = Option<Date>;

/// The names and texts of a record, in the source's own words.
pub type RecordTexts = Vec<(String, Option<String>)>;

/// A record that was read again from its texts: a batch of one row, or why it cannot be read.
pub type Reread = std::result::Result<RecordBatch, UnreadableRecord>;

/// Something that the source says was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deletion {
    /// This record.
    Record(RecordKey),
    /// All records that hold this in the stream's `keep_together` column, because what they belong to
    /// is gone.
    Group(String),
    /// Some record that the source does not name by its key: what it is called there.
    Unknown(String),
}

impl ReadRequest {
    /// Reads what changed in a window, behind a cursor.
    pub fn changes(stream: Arc<StreamDescriptor>, window: Window, after: Option<Cursor>) -> Self {
        Self {
            stream,
            selection: Selection::Changes { window, after },
        }
    }

    /// Lists the keys of the live records of some periods.
    pub fn keys_of_periods(stream: Arc<StreamDescriptor>, periods: Vec<PeriodDay>) -> Self {
        Self {
            stream,
            selection: Selection::KeysOfPeriods(periods),
        }
    }

    /// Reads the live records that meet all of these conditions.
    pub fn matching(stream: Arc<StreamDescriptor>, conditions: Vec<Condition>) -> Self {
        Self {
            stream,
            selection: Selection::Matching(conditions),
        }
    }

    /// Lists the keys of all live records.
    pub fn keys(stream: Arc<StreamDescriptor>) -> Self {
        Self {
            stream,
            selection: Selection::Keys,
        }
    }
}

/// A system of record.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// What kind of system this is, such as `intacct`.
    fn name(&self) -> &str;

    /// Whose books these are. Part of every record's id.
    fn company(&self) -> &str;

    /// The source's own time: windows are cut by it, not by the clock of this machine.
    async fn now(&self) -> Result<OffsetDateTime>;

    /// What a person must know before a run: permissions, clock, quota.
    async fn check(&self) -> Result<Vec<Finding>>;

    /// The streams that can be read.
    async fn discover(&self) -> Result<Vec<StreamDescriptor>>;

    /// Pages of records, each released only once it has arrived whole.
    ///
    /// A source fetches the next page while the last is being used. An error ends the stream.
    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>>;

    /// Counts and sums, where the source can tell them.
    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>>;

    /// What the source says was deleted in a window; asked where the stream's grade is
    /// [`DeleteDetection::AuditHistory`](crate::DeleteDetection::AuditHistory). It may be told twice, late,
    /// and of records that exist again.
    fn deletions(
        &self,
        stream: Arc<StreamDescriptor>,
        window: Window,
    ) -> BoxStream<'_, Result<Vec<Deletion>>> {
        let _ = (stream, window);
        futures_util::stream::empty().boxed()
    }

    /// Which of these records exist; none where the source cannot say.
    async fn existing(
        &self,
        stream: &Arc<StreamDescriptor>,
        keys: &[RecordKey],
    ) -> Result<Option<Vec<RecordKey>>> {
        let _ = (stream, keys);
        Ok(None)
    }

    /// Reads records again from their texts, as [`UnreadableRecord::fields`] has them, by what the stream is
    /// now: of each, in their order, the batch of its one row, or why it still cannot be read. None where the
    /// source cannot; then they are read as a destination would write them.
    ///
    /// The source may be asked for what belongs to such records, not for the records.
    async fn reread(
        &self,
        stream: &Arc<StreamDescriptor>,
        records: &[RecordTexts],
    ) -> Result<Option<Vec<Reread>>> {
        let _ = (stream, records);
        Ok(None)
    }

    /// The last day of which the books are closed; none where the source cannot say.
    async fn closed_through(&self) -> Result<Option<Date>> {
        Ok(None)
    }

    /// The streams that must agree with one another.
    async fn ledger_checks(&self) -> Result<Vec<LedgerCheck>> {
        Ok(Vec::new())
    }

    /// What was found on the way that a person must know: fields left out, objects that the user may
    /// not read, records that are wrong in themselves. Everything since the source was made.
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }

    /// How many calls were made for a stream so far: they cost money.
    fn calls(&self, stream: &StreamName) -> u64 {
        let _ = stream;
        0
    }
}

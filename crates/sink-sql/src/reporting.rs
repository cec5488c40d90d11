//! The columns that published reporting models expect beside ours.

use sync_core::batch::system;
use sync_core::{DeleteMode, StreamDescriptor};

use crate::column_type::ColumnType;

/// Whether tables also carry the two system columns that published reporting models read.
///
/// SQLite computes them from ours when they are read; in Postgres they are written beside ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportingColumns {
    /// `_fivetran_synced` shows `_synced_at`. `_fivetran_deleted` shows `_deleted`, and is there
    /// only where a stream's deletes are marks ([`DeleteMode::Mark`]).
    #[default]
    Fivetran,
    /// None.
    Off,
}

/// A column that shows another one under a second name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alias {
    pub(crate) name: &'static str,
    pub(crate) of: &'static str,
    pub(crate) column_type: ColumnType,
}

/// All that there are.
pub(crate) static ALIASES: [Alias; 2] = [SYNCED, DELETED];

const SYNCED: Alias = Alias {
    name: "_fivetran_synced",
    of: system::SYNCED_AT,
    column_type: ColumnType::Timestamp,
};

const DELETED: Alias = Alias {
    name: "_fivetran_deleted",
    of: system::DELETED,
    column_type: ColumnType::Boolean,
};

impl ReportingColumns {
    pub(crate) fn aliases(self, stream: &StreamDescriptor) -> Vec<Alias> {
        match (self, stream.delete_mode) {
            (Self::Off, _) => Vec::new(),
            (Self::Fivetran, DeleteMode::Mark) => vec![SYNCED, DELETED],
            (Self::Fivetran, _) => vec![SYNCED],
        }
    }
}

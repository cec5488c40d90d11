//! What a destination was promised of a stream: its columns and what they hold.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::kind::ColumnKind;
use crate::id::Digest;

/// How far a stream's schema may change once something of it was delivered.
///
/// In all modes, a column that disappears at the source stays in the destination and turns null as rows
/// are written again, and a decimal that gains places is widened in place. Columns that a mapping names
/// were asked for, and are taken in all modes but [`Freeze`](Self::Freeze).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContractMode {
    /// New columns are added. A column whose type changes goes on in a new one, such as `amount__text`,
    /// and turns null itself; the stream is then read whole once more.
    #[default]
    Evolve,
    /// Any difference fails the stream before it is read.
    Freeze,
    /// Records that have a value in a column that is new, or of another type than before, go to the dead
    /// letters.
    DiscardRow,
    /// Such columns are left out; the run's report says how many values were.
    DiscardValue,
}

/// What was promised of a stream, by the names that the destination's columns have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The columns that were ever promised, in their order. None ever goes.
    pub columns: Vec<ContractColumn>,
    /// Those that identify a record.
    pub key: Vec<String>,
    /// The one that says when a record last changed.
    pub modified: Option<String>,
    /// The one whose equal neighbours are never parted.
    pub keep_together: Option<String>,
    /// The one by whose days keys are compared.
    pub period: Option<String>,
    /// Columns that the source has and that were not taken.
    pub left_out: BTreeSet<String>,
    /// What tells the mapping from others.
    pub mapping: Digest,
}

/// One column of a [`Contract`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractColumn {
    /// Its name in the destination.
    pub name: String,
    /// The column, as the mapping names it, whose values it holds: another one where the type changed.
    pub of: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether the stream fills it now; else it turns null.
    pub supplied: bool,
}

impl Contract {
    /// The columns by this name of the mapping, whatever they hold.
    pub(super) fn columns_of<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a ContractColumn> {
        let of_it = |it: &&ContractColumn| it.of.eq_ignore_ascii_case(name);
        self.columns.iter().filter(of_it)
    }
}

/// What the store remembers of a stream's contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedContract {
    /// The contract.
    pub contract: Contract,
    /// Whether rows that were delivered before it are still in their old shape, so that the stream is to
    /// be read whole once more.
    pub reread: bool,
}

impl AcceptedContract {
    /// A contract, and whether the stream is to be read whole for it.
    pub fn new(contract: Contract, reread: bool) -> Self {
        Self { contract, reread }
    }
}

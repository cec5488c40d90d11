//! What a stream is now beside what was promised of it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::contract::{Contract, ContractColumn, ContractMode};
use super::kind::ColumnKind;
use super::mapped::{Mapped, MappedColumn, folded};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Digest;

/// A difference between what a stream is now and its contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "difference")]
#[non_exhaustive]
pub enum Difference {
    /// A column is new.
    ColumnAdded {
        /// The column.
        column: String,
        /// What it holds.
        holds: ColumnKind,
        /// What becomes of it.
        decision: Decision,
    },
    /// A column that had disappeared is there again.
    ColumnReturned {
        /// The column, as the destination calls it.
        column: String,
        /// What it holds.
        holds: ColumnKind,
    },
    /// A column has disappeared; in the destination it stays, and turns null.
    ColumnGone {
        /// The column.
        column: String,
        /// What it held.
        held: ColumnKind,
    },
    /// A column takes more values than before, and those that it has stay as they are.
    TypeWidened {
        /// The column.
        column: String,
        /// What it held.
        from: ColumnKind,
        /// What it holds now.
        to: ColumnKind,
    },
    /// A column holds something else now.
    TypeChanged {
        /// The column.
        column: String,
        /// What it held.
        from: ColumnKind,
        /// What it holds now.
        to: ColumnKind,
        /// Where its values go from now on, where they are taken.
        into: Option<String>,
        /// What becomes of them.
        decision: Decision,
    },
    /// The mapping, or one of its keys, is another one.
    MappingChanged {
        /// What told the old one from others.
        from: Digest,
        /// What tells the new one.
        to: Digest,
    },
}

/// What becomes of values that the contract does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// They are delivered, in a column of their own.
    Taken,
    /// They are left out, and counted.
    ValuesLeftOut,
    /// The records that have one go to the dead letters.
    RowsRejected,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ColumnAdded { column, holds, .. } => write!(f, "{column} ({holds}) is new"),
            Self::ColumnReturned { column, holds } => {
                write!(f, "{column} ({holds}) is there again")
            }
            Self::ColumnGone { column, held } => write!(f, "{column} ({held}) is gone"),
            Self::TypeWidened { column, from, to } => {
                write!(
                    f,
                    "{column} was {from} and is {to}, which holds all that it had"
                )
            }
            Self::TypeChanged {
                column,
                from,
                to,
                into,
                ..
            } => {
                write!(f, "{column} was {from} and is {to}")?;
                match into {
                    Some(into) => write!(f, ", and goes on in {into}"),
                    None => Ok(()),
                }
            }
            Self::MappingChanged { .. } => f.write_str("the mapping or one of its keys changed"),
        }
    }
}

/// What is to be delivered from now on.
#[derive(Clone, Debug)]
pub(super) struct Resolution {
    pub(super) contract: Contract,
    /// For each column of the mapping, the position of its column in the contract, if it is taken.
    pub(super) places: Vec<Option<usize>>,
    pub(super) differences: Vec<Difference>,
    /// Whether what was delivered before has another shape now.
    pub(super) reread: bool,
}

/// Compares a stream with what was promised of it; of a stream that was never delivered, nothing was.
///
/// # Errors
///
/// [`ErrorKind::Conflict`] listing the differences where the contract is frozen, and where the key is
/// not the one promised.
pub(super) fn resolve(
    mapped: &Mapped,
    promised: Option<&Contract>,
    mode: ContractMode,
) -> Result<Resolution> {
    let mut resolving = Resolving {
        taken: mapped.columns.iter().map(|it| folded(it.name())).collect(),
        columns: Vec::new(),
        left_out: BTreeSet::new(),
        differences: Vec::new(),
        reread: false,
        mode,
    };
    if let Some(promised) = promised {
        for column in &promised.columns {
            resolving.taken.insert(folded(&column.name));
            resolving.columns.push(ContractColumn {
                supplied: false,
                ..column.clone()
            });
        }
    }
    let places: Vec<_> = mapped
        .columns
        .iter()
        .map(|column| resolving.place(column, promised))
        .collect();
    if let Some(promised) = promised {
        resolving.note_gone(promised);
        if promised.mapping != mapped.digest {
            resolving.reread = true;
            resolving.differences.push(Difference::MappingChanged {
                from: promised.mapping,
                to: mapped.digest,
            });
        }
    }
    let name_of = |column: &String| {
        let position = mapped.columns.iter().position(|it| {
            mapped
                .renamed(column)
                .is_some_and(|renamed| std::ptr::eq(renamed, it))
        })?;
        let place = places[position]?;
        Some(resolving.columns[place].name.clone())
    };
    let source = &mapped.source;
    let contract = Contract {
        key: source.key.iter().filter_map(name_of).collect(),
        modified: source.modified.as_ref().and_then(name_of),
        keep_together: source.keep_together.as_ref().and_then(name_of),
        period: source.period.as_ref().and_then(name_of),
        columns: resolving.columns.clone(),
        left_out: resolving.left_out.clone(),
        mapping: mapped.digest,
    };
    let Resolving {
        differences,
        reread,
        ..
    } = resolving;
    if let Some(promised) = promised {
        check_key(mapped, promised, &contract)?;
        check_purposes(mapped, &contract, &differences)?;
        if mode == ContractMode::Freeze && !differences.is_empty() {
            return Err(frozen(mapped, &differences));
        }
    }
    Ok(Resolution {
        contract,
        places,
        differences,
        reread,
    })
}

struct Resolving {
    /// Names that no new column may get, in lower case.
    taken: BTreeSet<String>,
    columns: Vec<ContractColumn>,
    left_out: BTreeSet<String>,
    differences: Vec<Difference>,
    reread: bool,
    mode: ContractMode,
}

impl Resolving {
    fn place(&mut self, column: &MappedColumn, promised: Option<&Contract>) -> Option<usize> {
        let Some(promised) = promised else {
            return Some(self.push(column.name().to_owned(), column));
        };
        let mut versions = promised.columns_of(column.name());
        let same = |it: &ContractColumn| it.kind.word() == column.kind.word();
        let position = |it: &ContractColumn| {
            let found = promised
                .columns
                .iter()
                .position(|there| there.name == it.name);
            found.unwrap_or_default()
        };
        if let Some(there) = versions.find(|it| same(it)) {
            let there_at = position(there);
            self.supply(column, there, there_at, promised);
            return Some(there_at);
        }
        let before = promised
            .columns_of(column.name())
            .find(|it| it.supplied)
            .or_else(|| promised.columns_of(column.name()).last());
        let decision = self.decision(column);
        let taken = decision == Decision::Taken;
        let into = taken.then(|| match before {
            // The name is the mapping's own, so nothing else has it but an older column.
            None if !promised
                .columns
                .iter()
                .any(|it| it.name.eq_ignore_ascii_case(column.name())) =>
            {
                column.name().to_owned()
            }
            _ => self.name_beside(column),
        });
        let name = column.name().to_owned();
        if let Some(before) = before {
            self.differences.push(Difference::TypeChanged {
                column: name,
                from: before.kind,
                to: column.kind,
                into: into.clone(),
                decision,
            });
        } else {
            self.differences.push(Difference::ColumnAdded {
                column: into.clone().unwrap_or(name),
                holds: column.kind,
                decision,
            });
        }
        let Some(into) = into else {
            self.left_out.insert(column.name().to_owned());
            return None;
        };
        let was_left_out = promised.left_out.contains(column.name());
        self.reread |= before.is_some() || was_left_out;
        Some(self.push(into, column))
    }

    /// A column that the contract has, by its type, gets its values.
    fn supply(
        &mut self,
        column: &MappedColumn,
        there: &ContractColumn,
        position: usize,
        promised: &Contract,
    ) {
        let now = &mut self.columns[position];
        now.supplied = true;
        if let (ColumnKind::Decimal { scale: had }, ColumnKind::Decimal { scale: has }) =
            (there.kind, column.kind)
            && has > had
        {
            now.kind = column.kind;
            self.differences.push(Difference::TypeWidened {
                column: there.name.clone(),
                from: there.kind,
                to: column.kind,
            });
        }
        if !there.supplied {
            // What another version of the column held meanwhile is to be read into this one.
            self.reread |= promised.columns_of(column.name()).any(|it| it.supplied)
                || promised.left_out.contains(column.name());
            self.differences.push(Difference::ColumnReturned {
                column: there.name.clone(),
                holds: column.kind,
            });
        }
    }

    fn decision(&self, column: &MappedColumn) -> Decision {
        match self.mode {
            _ if column.asked_for => Decision::Taken,
            ContractMode::Evolve | ContractMode::Freeze => Decision::Taken,
            ContractMode::DiscardRow => Decision::RowsRejected,
            ContractMode::DiscardValue => Decision::ValuesLeftOut,
        }
    }

    /// `amount__text`, and where that is taken, `amount__text_2` and so on.
    fn name_beside(&self, column: &MappedColumn) -> String {
        let plain = format!("{}__{}", column.name(), column.kind.word());
        if !self.taken.contains(&folded(&plain)) {
            return plain;
        }
        let numbered = (2_u32..).map(|number| format!("{plain}_{number}"));
        let mut free = numbered.filter(|name| !self.taken.contains(&folded(name)));
        free.next().unwrap_or(plain)
    }

    fn push(&mut self, name: String, column: &MappedColumn) -> usize {
        self.taken.insert(folded(&name));
        self.columns.push(ContractColumn {
            name,
            of: column.name().to_owned(),
            kind: column.kind,
            supplied: true,
        });
        self.columns.len() - 1
    }

    /// Columns that were filled and are not, unless their values go on elsewhere.
    fn note_gone(&mut self, promised: &Contract) {
        for (before, now) in promised.columns.iter().zip(&self.columns) {
            let told = self.differences.iter().any(|it| {
                matches!(it, Difference::TypeChanged { column, .. }
                    if column.eq_ignore_ascii_case(&before.of))
            });
            let goes_on = self
                .columns
                .iter()
                .any(|it| it.supplied && it.of.eq_ignore_ascii_case(&before.of));
            if before.supplied && !now.supplied && !told && !goes_on {
                self.differences.push(Difference::ColumnGone {
                    column: before.name.clone(),
                    held: before.kind,
                });
            }
        }
    }
}

fn check_key(mapped: &Mapped, promised: &Contract, contract: &Contract) -> Result<()> {
    if promised.key == contract.key {
        return Ok(());
    }
    let what = "the stream's key, or the type of one of its columns, has changed, and rows are in the \
                destination by the old one: drop or rename the table there, and read the stream by a \
                pipeline of another name";
    let error = Error::new(ErrorKind::Conflict, what).with("stream", mapped.source.name.as_str());
    Err(error
        .with("key promised", promised.key.join(", "))
        .with("key now", contract.key.join(", ")))
}

/// A column that the sync goes by cannot be left out.
fn check_purposes(mapped: &Mapped, contract: &Contract, differences: &[Difference]) -> Result<()> {
    let source = &mapped.source;
    let purposes = [
        (&source.modified, &contract.modified),
        (&source.keep_together, &contract.keep_together),
        (&source.period, &contract.period),
    ];
    let lost = purposes
        .into_iter()
        .find(|(before, after)| before.is_some() && after.is_none());
    let Some((Some(column), _)) = lost else {
        return Ok(());
    };
    let what = "the contract leaves out a column that the sync goes by: let the stream evolve, or name \
                the column in its mapping";
    let error = Error::new(ErrorKind::Conflict, what)
        .with("stream", source.name.as_str())
        .with("column", column);
    Err(listed(error, differences))
}

fn frozen(mapped: &Mapped, differences: &[Difference]) -> Error {
    let what = "the stream is not what its frozen contract says: mend the source or the mapping, or \
                let it evolve for one run";
    let error = Error::new(ErrorKind::Conflict, what).with("stream", mapped.source.name.as_str());
    listed(error, differences)
}

fn listed(error: Error, differences: &[Difference]) -> Error {
    differences
        .iter()
        .fold(error, |error, it| error.with("difference", it.to_string()))
}

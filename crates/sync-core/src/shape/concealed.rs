//! Keeping out of dead letters what the destination is not to see.

use std::collections::BTreeMap;

use super::mapped::{Mapped, Supply, folded};
use super::treat::Treat;
use crate::batch::UnreadableRecord;
use crate::column::Value;
use crate::stream::metadata;

/// The columns that a mapping drops, hashes or masks, by the names that the stream and its source give
/// them. Rejected records are kept whole but for these.
#[derive(Debug)]
pub(super) struct Concealed(BTreeMap<String, Conceal>);

#[derive(Clone, Debug)]
enum Conceal {
    /// The destination gets no value, so nobody else does.
    LeaveOut,
    /// The destination gets the value like this.
    Treat(Treat),
}

impl Concealed {
    pub(super) fn of(mapped: &Mapped) -> Self {
        let mut concealed = BTreeMap::new();
        let mut add = |column: &str, conceal: Conceal| {
            let field = mapped.source.field(column).ok();
            let at_source = field.and_then(|it| it.metadata().get(metadata::SOURCE_NAME));
            for name in at_source.into_iter().map(String::as_str).chain([column]) {
                concealed.insert(folded(name), conceal.clone());
            }
        };
        for column in &mapped.dropped {
            add(column, Conceal::LeaveOut);
        }
        for column in &mapped.columns {
            if let Supply::Column { name, treat } = &column.supply
                && treat.hides()
            {
                add(name, Conceal::Treat(treat.clone()));
            }
        }
        Self(concealed)
    }

    /// Whether the destination gets nothing of this column.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        matches!(self.0.get(&folded(name)), Some(Conceal::LeaveOut))
    }

    /// Whether the destination gets another value than the source has.
    pub(super) fn treats(&self, name: &str) -> bool {
        matches!(self.0.get(&folded(name)), Some(Conceal::Treat(_)))
    }

    pub(super) fn conceal(&self, letters: &mut [UnreadableRecord]) {
        if self.0.is_empty() {
            return;
        }
        for letter in letters {
            match self.0.get(&folded(&letter.column)) {
                Some(Conceal::LeaveOut) => letter.text.clear(),
                Some(Conceal::Treat(treat)) => letter.text = treated(treat, &letter.text),
                None => {}
            }
            letter
                .fields
                .retain_mut(|(name, text)| match self.0.get(&folded(name)) {
                    Some(Conceal::LeaveOut) => false,
                    Some(Conceal::Treat(treat)) => {
                        *text = text.as_ref().map(|text| treated(treat, text));
                        true
                    }
                    None => true,
                });
        }
    }
}

fn treated(treat: &Treat, text: &str) -> String {
    let mut hidden = String::new();
    match treat.apply(Value::Text(text), &mut hidden) {
        Ok(Value::Text(text)) => text.to_owned(),
        _ => String::new(),
    }
}

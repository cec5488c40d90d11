//! Debits equal credits, for each journal entry before it is sent.
//!
//! A batch need not hold all lines of an entry: a window brings those that changed. So an entry that does not
//! balance in the batch is asked for at the source, whole, and judged by that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use serde::Serialize;
use time::OffsetDateTime;

use super::delivery::Delivery;
use super::event::Event;
use crate::condition::Condition;
use crate::decimal::Decimal;
use crate::entry::{EntryBalance, EntryKey, EntryRule};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, Severity};
use crate::ledger::EntryKind;
use crate::stream::{Roles, StreamDescriptor};
use crate::tie_out::{Check, Difference, TieOut};
use crate::totals::TotalsQuery;

/// Entries that a source is asked for in one query.
const ENTRIES_A_QUERY: usize = 500;

/// Entries that are named one by one.
const MOST_NAMED: usize = 20;

/// What becomes of journal entries whose debits do not equal their credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnbalancedEntries {
    /// They are sent, because the warehouse is to equal the books as they are, and they are told: in the
    /// ledger before they are sent, as an event, as a finding, and in `sync_tie_out`.
    #[default]
    Told,
    /// The stream stops before the batch that they are in. They are told in the ledger all the same.
    Stop,
}

/// What was seen of entries in one window.
#[derive(Debug, Default)]
pub(super) struct EntryTally {
    judged: BTreeSet<EntryKey>,
    unbalanced: BTreeMap<EntryKey, EntryBalance>,
    /// Entries of which only some lines came, and of which the source cannot tell the others.
    unknown: u64,
}

impl EntryTally {
    /// Looks at the lines of a batch that is about to be sent.
    pub(super) async fn judge(&mut self, sinks: &[&Delivery], rows: &RecordBatch) -> Result<()> {
        let Some((to, rule)) = sinks
            .first()
            .and_then(|to| Some((*to, to.stream.entries.as_ref()?)))
        else {
            return Ok(());
        };
        let mut doubtful = BTreeSet::new();
        for (key, balance) in rule.balances(rows)? {
            if balance.is_balanced() {
                self.judged.insert(key);
            } else {
                doubtful.extend(key.into_iter().next());
            }
        }
        let doubtful: Vec<String> = doubtful.into_iter().collect();
        let mut found = BTreeMap::new();
        for entries in doubtful.chunks(ENTRIES_A_QUERY) {
            match whole(to, rule, entries).await? {
                None => self.unknown += entries.len() as u64,
                Some(balances) => {
                    for (key, balance) in balances {
                        if balance.is_balanced() {
                            // Somebody may have mended it meanwhile.
                            self.unbalanced.remove(&key);
                        } else if self.unbalanced.insert(key.clone(), balance) != Some(balance) {
                            found.insert(key.clone(), balance);
                        }
                        self.judged.insert(key);
                    }
                }
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        for to in sinks {
            tell(to, rule, &found).await?;
        }
        match to.pipeline.options.unbalanced_entries {
            UnbalancedEntries::Told => Ok(()),
            UnbalancedEntries::Stop => {
                let what = "journal entries whose debits do not equal their credits are not sent: \
                            correct them in the books, or let them be sent and told";
                let error = Error::new(ErrorKind::Data, what);
                let error = error.with("stream", to.stream.name.as_str());
                Err(error.with("entries", in_words(&found)))
            }
        }
    }

    /// Keeps what was seen, once the window is read.
    pub(super) async fn keep(&self, to: &Delivery, as_of: OffsetDateTime) -> Result<()> {
        let Some(rule) = &to.stream.entries else {
            return Ok(());
        };
        let judged = self.judged.len() as u64;
        if judged == 0 && self.unknown == 0 {
            return Ok(());
        }
        let verdict = if !self.unbalanced.is_empty() {
            let by: Vec<_> = rule.key().cloned().collect();
            let differences = self.unbalanced.iter();
            let differences = differences.map(|(key, it)| {
                let mut difference = Difference::new(&by, key, DEBIT, it.debit, it.credit);
                difference.measure = DEBIT.to_owned();
                difference
            });
            TieOut::Different {
                as_of,
                source_records: judged,
                destination_records: judged - (self.unbalanced.len() as u64).min(judged),
                differences: differences.collect(),
                in_flight: 0,
            }
        } else if self.unknown > 0 {
            let unknown = self.unknown;
            let reason = format!(
                "{unknown} entries came with some of their lines, and the source cannot tell the others"
            );
            TieOut::NotCompared { reason }
        } else {
            TieOut::Equal {
                as_of,
                records: judged,
                groups: judged,
                sums: 1,
                in_flight: 0,
            }
        };
        let stream = named_roles(&to.stream);
        let mut told = to.told(Check::JournalEntries);
        told.stream = &stream;
        told.keep(&verdict).await.map(drop)
    }
}

/// The measure of [`Check::JournalEntries`]: debits stand on the source's side, credits on the other.
const DEBIT: &str = "debits and credits";

/// A stream whose totals need not be grouped by book for its entries to be.
fn named_roles(stream: &Arc<StreamDescriptor>) -> StreamDescriptor {
    let mut stream = (**stream).clone();
    stream.totals.roles = Roles {
        period: None,
        ..stream.totals.roles
    };
    stream
}

/// What whole entries debit and credit at the source; none where it cannot tell.
async fn whole(
    to: &Delivery,
    rule: &EntryRule,
    entries: &[String],
) -> Result<Option<BTreeMap<EntryKey, EntryBalance>>> {
    let mut stream = (*to.stream).clone();
    stream.totals = rule.shape();
    let these = Condition::one_of(&rule.entry, entries);
    let mut query = TotalsQuery::of(Arc::new(stream)).matching(these);
    query.matching.extend(rule.counted.clone());
    let totals = to.parts().source.control_totals(&query).await?;
    totals.map(|totals| rule.told(&totals)).transpose()
}

async fn tell(
    to: &Delivery,
    rule: &EntryRule,
    found: &BTreeMap<EntryKey, EntryBalance>,
) -> Result<()> {
    let by: Vec<_> = rule.key().collect();
    let entries = found.iter().map(|(key, balance)| {
        let named: serde_json::Map<_, _> = by
            .iter()
            .zip(key)
            .map(|(column, value)| ((*column).clone(), value.clone().into()))
            .collect();
        serde_json::json!({
            "entry": named,
            "debits": balance.debit.to_string(),
            "credits": balance.credit.to_string(),
        })
    });
    let body = serde_json::json!({ "scope": to.scope(), "entries": entries.collect::<Vec<_>>() });
    let store = &to.parts().store;
    store
        .note(&to.claim, EntryKind::EntriesUnbalanced, &body.to_string())
        .await?;
    let stream = &to.stream.name;
    to.observe(Event::EntriesUnbalanced {
        stream,
        entries: found.len() as u64,
    });
    if to.pipeline.options.unbalanced_entries == UnbalancedEntries::Stop {
        return Ok(());
    }
    let what = format!(
        "journal entries whose debits do not equal their credits were sent: {}",
        in_words(found)
    );
    let finding = Finding::new(Severity::Warning, stream.as_str(), what)
        .remedy("correct them in the books; the next run reads them again");
    to.report().findings.push(finding);
    Ok(())
}

/// The first of the entries with what they debit and credit.
fn in_words(found: &BTreeMap<EntryKey, EntryBalance>) -> String {
    let named = found.iter().take(MOST_NAMED).map(|(key, balance)| {
        let difference = balance.debit.checked_sub(balance.credit);
        let difference = difference.unwrap_or(Decimal::ZERO);
        let (key, debit, credit) = (key.join(" "), balance.debit, balance.credit);
        format!("{key}: debits {debit}, credits {credit}, difference {difference}")
    });
    let named = named.collect::<Vec<_>>().join("; ");
    let more = found.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    named + &more
}

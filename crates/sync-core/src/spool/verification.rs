//! Whether the spool holds what the ledger vouches for.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::retention::unnamed;
use super::{Listed, Spool, Spooled};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BatchId;
use crate::ledger::{Entry, EntryKind};
use crate::store::{Scope, Store};

/// What a verification of the spool found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SpoolVerification {
    /// Payloads that are whole.
    pub whole: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Payloads that are not.
    pub damaged: Vec<DamagedPayload>,
    /// What lies in the spool and no batch names. A run that is on its way leaves some for a moment; what
    /// stays is swept once it is a day old.
    pub unnamed: Vec<String>,
}

impl SpoolVerification {
    /// Whether everything that the ledger vouches for is there, byte for byte.
    pub fn is_intact(&self) -> bool {
        self.damaged.is_empty()
    }
}

/// A payload that is not what the ledger vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DamagedPayload {
    /// Whose batch it is.
    pub scope: Scope,
    /// The batch.
    pub batch: BatchId,
    /// The payload's name in the spool.
    pub name: String,
    /// What is wrong with it.
    pub damage: PayloadDamage,
}

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PayloadDamage {
    /// It is not there.
    Missing,
    /// Its bytes are others.
    Changed,
    /// The store names another payload for the batch than the ledger, or the ledger names none.
    NotInLedger,
    /// The ledger vouches for it and tells of no removal, but the store does not know of it. So it is
    /// with what was removed before the ledger told of that.
    NotInStore,
}

/// Reads every payload that the store or the ledger say is in the spool, and names those that are missing
/// or are not, byte for byte, what was put in. Runs may go on meanwhile.
///
/// That the ledger itself is whole is for [`LedgerStore::verify`](crate::store::LedgerStore::verify) to say; each needs the other.
///
/// # Errors
///
/// Where store or spool cannot be read; damage is no error.
pub async fn verify(store: &dyn Store, spool: &dyn Spool) -> Result<SpoolVerification> {
    let mut vouched = Vouched::default();
    vouched.read_on(store).await?;
    let expected: HashSet<_> = vouched.payloads.keys().cloned().collect();
    let listed = spool.list().await?;
    let kept = store.payloads().await?;
    let mut states = Vec::with_capacity(kept.len());
    for payload in &kept {
        states.push(state(spool, &payload.spooled).await?);
    }
    // What was prepared or removed meanwhile.
    vouched.read_on(store).await?;

    let mut found = SpoolVerification::default();
    let mut known = HashSet::with_capacity(kept.len());
    for (payload, state) in kept.iter().zip(states) {
        let key = (payload.scope.clone(), payload.batch);
        let damage = match vouched.payloads.get(&key) {
            None if vouched.is_gone(&key, &payload.spooled) => continue,
            Some(spooled) if *spooled == payload.spooled => state,
            _ => Some(PayloadDamage::NotInLedger),
        };
        known.insert(key);
        match damage {
            Some(damage) => found.damaged.push(DamagedPayload {
                scope: payload.scope.clone(),
                batch: payload.batch,
                name: payload.spooled.name.clone(),
                damage,
            }),
            None => {
                found.whole += 1;
                found.bytes += payload.spooled.bytes;
            }
        }
    }
    for (scope, batch) in expected {
        let key = (scope, batch);
        if known.contains(&key) {
            continue;
        }
        if let Some(spooled) = vouched.payloads.get(&key) {
            found.damaged.push(DamagedPayload {
                scope: key.0,
                batch,
                name: spooled.name.clone(),
                damage: PayloadDamage::NotInStore,
            });
        }
    }
    found
        .damaged
        .sort_by(|one, other| one.name.cmp(&other.name));
    found.unnamed = unnamed(listed, &kept)
        .map(|Listed { name, .. }| name)
        .collect();
    found.unnamed.sort();
    Ok(found)
}

async fn state(spool: &dyn Spool, spooled: &Spooled) -> Result<Option<PayloadDamage>> {
    match spool.get(spooled).await {
        Ok(_) => Ok(None),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Ok(Some(PayloadDamage::Missing)),
            ErrorKind::Data => Ok(Some(PayloadDamage::Changed)),
            _ => Err(error),
        },
    }
}

/// The payloads that the ledger says are in the spool, as far as it was read.
#[derive(Debug, Default)]
struct Vouched {
    read: u64,
    payloads: HashMap<(Scope, BatchId), Spooled>,
    /// What the entries that were read last tell to be gone.
    removed: HashSet<String>,
    given_up: HashSet<(Scope, BatchId)>,
}

/// What the entries that tell of payloads have in common.
#[derive(Deserialize)]
struct OfBatch {
    scope: Scope,
    batch: BatchId,
    payload: Spooled,
}

#[derive(Deserialize)]
struct Removed {
    payloads: Vec<String>,
}

impl Vouched {
    fn is_gone(&self, key: &(Scope, BatchId), spooled: &Spooled) -> bool {
        self.removed.contains(&spooled.name) || self.given_up.contains(key)
    }

    async fn read_on(&mut self, store: &dyn Store) -> Result<()> {
        self.removed.clear();
        self.given_up.clear();
        loop {
            let entries = store.entries(self.read, ENTRIES_AT_ONCE).await?;
            let Some(last) = entries.last() else {
                break;
            };
            self.read = last.sequence;
            for entry in &entries {
                self.take(entry)?;
            }
        }
        let removed = &self.removed;
        self.payloads
            .retain(|_, spooled| !removed.contains(&spooled.name));
        Ok(())
    }

    fn take(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind == EntryKind::BatchPrepared.as_str() {
            let of: OfBatch = body(entry)?;
            // Put again after it was removed.
            self.removed.remove(&of.payload.name);
            self.payloads.insert((of.scope, of.batch), of.payload);
        } else if entry.kind == EntryKind::BatchGivenUp.as_str() {
            let of: OfBatch = body(entry)?;
            let key = (of.scope, of.batch);
            self.payloads.remove(&key);
            self.given_up.insert(key);
        } else if entry.kind == EntryKind::PayloadsRemoved.as_str() {
            let Removed { payloads } = body(entry)?;
            self.removed.extend(payloads);
        }
        Ok(())
    }
}

/// Most entries of the ledger in memory at once.
const ENTRIES_AT_ONCE: usize = 1_000;

fn body<'a, T: Deserialize<'a>>(entry: &'a Entry) -> Result<T> {
    serde_json::from_str(&entry.body).map_err(|error| {
        let what =
            "an entry of the ledger does not say what its kind says; verify the ledger first";
        Error::new(ErrorKind::Data, what)
            .with("entry", entry.sequence.to_string())
            .with("kind", &entry.kind)
            .caused_by(error)
    })
}

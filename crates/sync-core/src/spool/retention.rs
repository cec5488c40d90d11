//! What leaves the spool: settled payloads by age and by size, and what no batch names.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use time::OffsetDateTime;

use super::{Listed, Spool, Spooled};
use crate::error::Result;
use crate::id::RunId;
use crate::store::{KeptPayload, Removal, RemovalReason, RemovedPayload, Store};

/// How long, and how much, the spool keeps of what is settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// How long a payload stays once its batch is settled.
    pub(crate) age: Duration,
    /// How many bytes there may be in all.
    pub(crate) bytes: Option<u64>,
}

impl Retention {
    /// Removes what is due. The ledger hears of it first: whatever stops the process in between leaves
    /// payloads that no batch names, which are swept later, and never one that is missed.
    pub(crate) async fn enforce(
        &self,
        store: &dyn Store,
        spool: &dyn Spool,
        run: RunId,
        now: OffsetDateTime,
    ) -> Result<()> {
        let (aged, too_much) = self.due(&store.payloads().await?, now);
        remove(store, spool, run, RemovalReason::Age, aged).await?;
        remove(store, spool, run, RemovalReason::Size, too_much).await
    }

    /// What is too old, and what else has to go for the rest to fit: oldest first, and nothing that a
    /// batch which is not settled may need again.
    fn due(
        &self,
        kept: &[KeptPayload],
        now: OffsetDateTime,
    ) -> (Vec<RemovedPayload>, Vec<RemovedPayload>) {
        let payloads = by_name(kept);
        let mut left: u64 = payloads.iter().map(|(payload, _)| payload.bytes).sum();
        let mut settled: Vec<_> = payloads
            .into_iter()
            .filter_map(|(payload, settled_at)| Some((settled_at?, payload)))
            .collect();
        // Of those that were settled at once, the one that was prepared first.
        settled.sort_by_key(|(settled_at, _)| *settled_at);
        let (mut aged, mut too_much) = (Vec::new(), Vec::new());
        for (settled_at, payload) in settled {
            let chosen = if settled_at < now - self.age {
                &mut aged
            } else if self.bytes.is_some_and(|limit| left > limit) {
                &mut too_much
            } else {
                break;
            };
            left -= payload.bytes;
            chosen.push(payload);
        }
        (aged, too_much)
    }
}

/// Payloads by their names, in the order of their first batches, with when the last of their batches was
/// settled; none where one is not.
fn by_name(kept: &[KeptPayload]) -> Vec<(RemovedPayload, Option<OffsetDateTime>)> {
    let mut found: Vec<(RemovedPayload, Option<OffsetDateTime>)> = Vec::with_capacity(kept.len());
    let mut places = HashMap::with_capacity(kept.len());
    for payload in kept {
        let Spooled { name, bytes, .. } = &payload.spooled;
        let place = *places.entry(name).or_insert(found.len());
        if place == found.len() {
            let removed = RemovedPayload {
                name: name.clone(),
                bytes: *bytes,
                of: Vec::new(),
            };
            found.push((removed, payload.settled_at));
        }
        let (removed, settled_at) = &mut found[place];
        removed.of.push((payload.scope.clone(), payload.batch));
        *settled_at = match (*settled_at, payload.settled_at) {
            (Some(one), Some(other)) => Some(one.max(other)),
            _ => None,
        };
    }
    found
}

/// Removes what no batch names and was written before this: what was left by a writer that died, or that
/// was refused before it could prepare its batch. One that only slept, and wakes with its payload gone,
/// reads its records again.
pub(crate) async fn sweep(
    store: &dyn Store,
    spool: &dyn Spool,
    run: RunId,
    written_before: OffsetDateTime,
) -> Result<()> {
    let listed = spool.list().await?;
    let kept = store.payloads().await?;
    let old = unnamed(listed, &kept).filter(|it| it.written_at < written_before);
    let payloads = old.map(|it| RemovedPayload {
        name: it.name,
        bytes: it.bytes,
        of: Vec::new(),
    });
    remove(
        store,
        spool,
        run,
        RemovalReason::Unnamed,
        payloads.collect(),
    )
    .await
}

/// What lies in the spool without a batch that names it. The listing comes first, so that what was put
/// and prepared meanwhile is known.
pub(super) fn unnamed(listed: Vec<Listed>, kept: &[KeptPayload]) -> impl Iterator<Item = Listed> {
    let names: HashSet<_> = kept.iter().map(|it| it.spooled.name.clone()).collect();
    listed
        .into_iter()
        .filter(move |it| !names.contains(&it.name))
}

async fn remove(
    store: &dyn Store,
    spool: &dyn Spool,
    run: RunId,
    reason: RemovalReason,
    mut payloads: Vec<RemovedPayload>,
) -> Result<()> {
    while !payloads.is_empty() {
        let rest = payloads.split_off(payloads.len().min(MOST_IN_AN_ENTRY));
        let removal = Removal { reason, payloads };
        store.forget_payloads(run, &removal).await?;
        for payload in &removal.payloads {
            spool.remove(&payload.name).await?;
        }
        payloads = rest;
    }
    Ok(())
}

/// Most payloads that one entry of the ledger names.
const MOST_IN_AN_ENTRY: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Hasher;
    use crate::store::Scope;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds as u64)
    }

    fn kept(name: &str, sink: &str, bytes: u64, settled_at: Option<i64>) -> KeptPayload {
        KeptPayload {
            scope: Scope {
                pipeline: "books".into(),
                sink: sink.into(),
                stream: "entry".parse().unwrap(),
            },
            batch: Hasher::new("test").part(name.as_bytes()).batch_id(),
            spooled: Spooled {
                name: name.into(),
                bytes,
                digest: Hasher::new("test").part(name.as_bytes()).digest(),
            },
            settled_at: settled_at.map(at),
        }
    }

    fn names((aged, too_much): (Vec<RemovedPayload>, Vec<RemovedPayload>)) -> [Vec<String>; 2] {
        [aged, too_much].map(|list| list.into_iter().map(|it| it.name).collect())
    }

    #[test]
    fn the_oldest_settled_go_first_and_what_is_not_settled_stays() {
        let all = [
            kept("waiting", "one", 500, None),
            kept("young", "one", 10, Some(100)),
            kept("old", "one", 10, Some(50)),
            kept("older", "one", 10, Some(40)),
        ];
        let due = |age, bytes| {
            let age = Duration::from_secs(age);
            names(Retention { age, bytes }.due(&all, at(110)))
        };
        assert_eq!(due(65, None), [vec!["older".to_owned()], vec![]]);
        assert_eq!(due(65, Some(520)), [vec!["older".to_owned()], vec![]]);
        assert_eq!(
            due(999, Some(519)),
            [vec![], vec!["older".to_owned(), "old".to_owned()]]
        );
        assert_eq!(
            due(65, Some(510)),
            [vec!["older".to_owned()], vec!["old".to_owned()]]
        );
        assert_eq!(due(999, Some(0))[1].len(), 3);
        assert_eq!(due(999, Some(530)), [vec![], vec![] as Vec<String>]);
    }

    #[test]
    fn a_payload_of_several_sinks_stays_until_the_last_has_it() {
        let rules = Retention {
            age: Duration::from_secs(10),
            bytes: Some(10),
        };
        let one = kept("shared", "one", 10, Some(5));
        let waiting = [one.clone(), kept("shared", "other", 10, None)];
        assert_eq!(
            names(rules.due(&waiting, at(100))),
            [vec![] as Vec<String>, vec![]]
        );
        let late = [one, kept("shared", "other", 10, Some(95))];
        // Counted once, so it fits; and as old as its last delivery.
        assert_eq!(
            names(rules.due(&late, at(100))),
            [vec![] as Vec<String>, vec![]]
        );
        let (aged, _) = rules.due(&late, at(106));
        assert_eq!(aged[0].of.len(), 2);
    }
}

//! Recomputing the chain, and naming what does not hold.

use std::collections::HashSet;
use std::str::from_utf8;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Damage, EntryKind, Head, Verification};
use crate::id::{Digest, RunId};

/// An entry exactly as it is stored: also what is no text, no run and no hash.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) sequence: i64,
    pub(crate) at: Vec<u8>,
    pub(crate) run: Option<Vec<u8>>,
    pub(crate) kind: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl Link {
    /// The head behind this entry, if it follows that one.
    fn behind(&self, last: Head) -> Head {
        last.linked([&self.at, self.run(), &self.kind, &self.body])
    }

    /// Whether its stored hash is the one that it has behind that head.
    fn follows(&self, last: Head) -> bool {
        self.behind(last).hash.as_bytes()[..] == self.hash[..]
    }

    fn run(&self) -> &[u8] {
        self.run.as_deref().unwrap_or_default()
    }

    /// The head that its stored hash would be, as that number.
    fn head(&self, sequence: u64) -> Option<Head> {
        let bytes = self.hash.as_slice().try_into().ok()?;
        let hash = Digest::from_bytes(bytes);
        Some(Head { sequence, hash })
    }

    fn kind(&self) -> String {
        String::from_utf8_lossy(&self.kind).into_owned()
    }
}

/// Recomputes the chain entry by entry, in the order of their numbers, in constant memory.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// The last entry that holds.
    head: Head,
    /// The entry that does not, until the one behind it tells more.
    broken: Option<Link>,
    /// Hashes that a destination knows of and that were not met yet.
    known: HashSet<Digest>,
}

impl Verifier {
    /// A verifier that expects to meet these hashes.
    pub(crate) fn new(known: &[Digest]) -> Self {
        Self {
            head: Head::genesis(),
            broken: None,
            known: known.iter().copied().collect(),
        }
    }

    /// Takes the next entry; a verdict once it is certain that the chain does not hold.
    pub(crate) fn push(&mut self, entry: Link) -> Option<Verification> {
        if let Some(broken) = self.broken.take() {
            return Some(self.explain(&broken, Some(&entry)));
        }
        let next = entry.behind(self.head);
        // No run and an empty one have one hash, and only one of them is ever written.
        let is_own = entry.run.as_ref().is_none_or(|run| !run.is_empty());
        let is_next = u64::try_from(entry.sequence) == Ok(next.sequence);
        if is_own && is_next && next.hash.as_bytes()[..] == entry.hash[..] {
            self.head = next;
            self.known.remove(&next.hash);
        } else {
            self.broken = Some(entry);
        }
        None
    }

    /// The verdict once all entries were taken.
    pub(crate) fn finish(mut self) -> Verification {
        if let Some(broken) = self.broken.take() {
            return self.explain(&broken, None);
        }
        if let Some(hash) = self.known.iter().min() {
            let reason = format!(
                "the destination knows of {} entries that are not in the ledger, such as {hash}: \
                 entries were cut off its end, or all of it was written anew",
                self.known.len()
            );
            return Verification::Broken {
                sequence: self.head.sequence + 1,
                kind: None,
                damage: Damage::CutOff,
                reason,
            };
        }
        Verification::Intact { head: self.head }
    }

    fn explain(&self, broken: &Link, next: Option<&Link>) -> Verification {
        let expected = self.head.sequence + 1;
        let verdict = |kind: Option<&Link>, damage, reason: String| Verification::Broken {
            sequence: expected,
            kind: kind.map(Link::kind),
            damage,
            reason,
        };
        let stands = |damage, reason: &str| verdict(Some(broken), damage, reason.to_owned());
        match u64::try_from(broken.sequence) {
            Ok(number) if number == expected => {}
            _ if broken.follows(self.head) => {
                let reason = format!("it was given the number {}", broken.sequence);
                return verdict(Some(broken), Damage::Moved, reason);
            }
            Ok(number) if number > expected => {
                let reason = match number - 1 {
                    last if last == expected => "the entry is missing".to_owned(),
                    last => format!("the entries {expected} to {last} are missing"),
                };
                return verdict(None, Damage::Removed, reason);
            }
            _ => {
                let reason = format!("there is an entry with the number {}", broken.sequence);
                return verdict(Some(broken), Damage::Inserted, reason);
            }
        }
        if let Some(kind) = kind_before(broken, self.head) {
            let reason = format!("its kind was changed; it was {}", kind.as_str());
            return verdict(Some(broken), Damage::Changed, reason);
        }
        let Some(next) = next else {
            return stands(Damage::Changed, &told(broken));
        };
        let own = broken.head(expected);
        if next.follows(self.head) {
            // The one behind it is what should stand here.
            let genuine = next.head(expected);
            if genuine.is_some_and(|genuine| broken.follows(genuine)) {
                let what = "it and the one behind it were exchanged";
                return stands(Damage::Moved, what);
            }
            return stands(
                Damage::Inserted,
                "it was put before the entry that had this number",
            );
        }
        if own.is_some_and(|own| next.follows(own)) {
            return stands(Damage::Changed, &told(broken));
        }
        if next.follows(broken.behind(self.head)) {
            return stands(Damage::HashChanged, "its hash was changed");
        }
        if let Some(own) = broken.head(expected + 1)
            && next.follows(own)
        {
            let what = "the entry that had this number was removed, and those behind it renumbered";
            return stands(Damage::Removed, what);
        }
        let what = "it is not what was written, and neither is the one behind it";
        stands(Damage::Rewritten, what)
    }
}

/// The kind that an entry had, if nothing else of it was changed.
fn kind_before(broken: &Link, last: Head) -> Option<EntryKind> {
    let mut tried = broken.clone();
    let others = EntryKind::ALL.into_iter();
    let mut others = others.filter(|kind| kind.as_str().as_bytes() != broken.kind);
    others.find(|kind| {
        tried.kind = kind.as_str().as_bytes().to_vec();
        tried.follows(last)
    })
}

/// What of an entry was changed, as far as that can be told: its hash is as it was.
fn told(broken: &Link) -> String {
    let text = |bytes: &[u8]| from_utf8(bytes).map(str::to_owned).ok();
    let is_run = |run: &[u8]| {
        let parsed = text(run).and_then(|run| run.parse::<RunId>().ok());
        parsed.is_some_and(|parsed| parsed.to_string().as_bytes() == run)
    };
    let is_time = text(&broken.at).is_some_and(|at| OffsetDateTime::parse(&at, &Rfc3339).is_ok());
    let is_json = serde_json::from_slice::<serde_json::Value>(&broken.body).is_ok();
    let suspects = [
        ("its run", !broken.run.as_deref().is_none_or(is_run)),
        ("its time", !is_time),
        ("its body", !is_json),
        ("its hash", broken.hash.len() != 32),
    ];
    match suspects.iter().find(|(_, suspect)| *suspect) {
        Some((what, _)) => format!("{what} was changed, and is none any more"),
        None => {
            "its time, run or body is not what was written, or it does not follow the entry before"
                .to_owned()
        }
    }
}

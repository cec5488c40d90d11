//! Comparing the control totals of both sides, and explaining where they differ.
//!
//! Both sides are compared as of the end of the window. What the source changes after that time it no longer
//! counts, while the destination still has what it was before; so the source is asked for those records, and
//! they are taken out of the destination's totals too. Where the source changes while it is being asked, it
//! is asked again. What is left is looked into record by record.

use std::sync::Arc;
use std::time::Duration;

use time::{Date, OffsetDateTime};

use super::Parts;
use super::delivery::Delivery;
use super::periods::closed_through;
use crate::error::Result;
use crate::id::Digest;
use crate::ledger::EntryKind;
use crate::sink::Sink;
use crate::source::Source;
use crate::store::{Claim, Scope, Store};
use crate::stream::StreamDescriptor;
use crate::tie_out::{Check, TieOut, TieOutRecord};
use crate::totals::{ControlTotals, TotalsQuery};

mod difference;
mod examine;
mod in_flight;

use difference::Differences;
use examine::Examiner;
pub(super) use examine::day_text;
use in_flight::InFlight;
pub(super) use in_flight::microseconds;

/// How often a source that changes while it is asked is asked again.
const ROUNDS: u32 = 4;

impl Delivery {
    /// Compares both sides and notes the verdict in the ledger and in the destination. The source is
    /// asked, unless its totals are known.
    pub(super) async fn tie_out(
        &self,
        as_of: OffsetDateTime,
        known: Option<ControlTotals>,
    ) -> Result<()> {
        let Parts { source, store, .. } = self.parts();
        let comparison = Comparison {
            source: source.as_ref(),
            sink: self.sink.as_ref(),
            store: store.as_ref(),
            scope: self.scope(),
            stream: &self.stream,
            as_of,
            lookback: self.pipeline.options.lookback,
            closed_through: closed_through(self).await?,
        };
        let verdict = comparison.compare(known).await?;
        self.told(Check::ControlTotals).keep(&verdict).await?;
        self.report().tie_out = verdict;
        Ok(())
    }

    /// What keeps the outcome of a comparison.
    pub(super) fn told(&self, check: Check) -> Told<'_> {
        let Parts { source, store, .. } = self.parts();
        Told {
            company: source.company(),
            sink: self.sink.as_ref(),
            store: store.as_ref(),
            claim: &self.claim,
            stream: &self.stream,
            check,
            compared_at: self.pipeline.clock.now(),
        }
    }
}

/// A verdict on its way to the ledger and to the destination.
pub(super) struct Told<'a> {
    pub(super) company: &'a str,
    pub(super) sink: &'a dyn Sink,
    pub(super) store: &'a dyn Store,
    pub(super) claim: &'a Claim,
    pub(super) stream: &'a StreamDescriptor,
    pub(super) check: Check,
    pub(super) compared_at: OffsetDateTime,
}

impl Told<'_> {
    pub(super) async fn keep(&self, verdict: &TieOut) -> Result<Digest> {
        let scope = &self.claim.scope;
        let body = serde_json::json!({ "scope": scope, "check": self.check, "tie_out": verdict });
        let ledger_entry = self
            .store
            .note(self.claim, EntryKind::TiedOut, &body.to_string())
            .await?;
        let record = TieOutRecord {
            run: self.claim.run,
            pipeline: scope.pipeline.clone(),
            company: self.company.to_owned(),
            stream: self.stream.name.clone(),
            check: self.check,
            compared_at: self.compared_at,
            tie_out: verdict.clone(),
            roles: self.stream.totals.roles.clone(),
            ledger_entry,
        };
        self.sink.record_tie_out(&record).await?;
        Ok(ledger_entry)
    }
}

/// Source and destination of one stream, to be compared as of a time.
pub(super) struct Comparison<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) sink: &'a dyn Sink,
    pub(super) store: &'a dyn Store,
    pub(super) scope: &'a Scope,
    pub(super) stream: &'a Arc<StreamDescriptor>,
    pub(super) as_of: OffsetDateTime,
    /// How far before that time the next run reads again.
    pub(super) lookback: Duration,
    /// The last day that is closed.
    pub(super) closed_through: Option<Date>,
}

/// The totals of both sides, one of each grouping.
struct Sides {
    source: Vec<ControlTotals>,
    destination: Vec<ControlTotals>,
}

impl Comparison<'_> {
    async fn compare(&self, known: Option<ControlTotals>) -> Result<TieOut> {
        let sides = match self.ask(known).await? {
            Ok(sides) => sides,
            Err(reason) => return Ok(TieOut::NotCompared { reason }),
        };
        if sides.are_equal() {
            return Ok(self.equal(&sides, 0));
        }
        let mut before = InFlight::ask(self).await?;
        for _ in 0..ROUNDS {
            let mut sides = match self.ask(None).await? {
                Ok(sides) => sides,
                Err(reason) => return Ok(TieOut::NotCompared { reason }),
            };
            before.take_out_of(self, &mut sides).await?;
            if sides.are_equal() {
                return Ok(self.equal(&sides, before.len()));
            }
            let differences = Differences::between(self.stream, &sides)?;
            let after = InFlight::ask(self).await?;
            let moved = after.since(&before);
            if !moved.is_empty() {
                // Whether the source still counted them is not known; but if it counted some of them and
                // not the others, and nothing else differs, the two sides are equal.
                let were = in_flight::were(self, moved).await?;
                if differences.are_some_of(&were) {
                    return Ok(self.equal(&sides, after.len()));
                }
                before = after;
                continue;
            }
            let examined = Examiner::new(self, &after).examine(&differences).await?;
            let last = InFlight::ask(self).await?;
            if last.since(&after).is_empty() {
                return Ok(self.concluded(&sides, &differences, &examined, after.len()));
            }
            before = last;
        }
        let reason = format!(
            "the source changed while it was compared, {ROUNDS} times in a row; the next run compares again"
        );
        Ok(TieOut::NotCompared { reason })
    }

    /// Asks both sides, or says which of them cannot tell.
    async fn ask(
        &self,
        known: Option<ControlTotals>,
    ) -> Result<std::result::Result<Sides, String>> {
        let Self { source, sink, .. } = self;
        let cannot = |who: &str| Ok(Err(format!("the {who} cannot tell its totals")));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut known = known;
        for grouping in self.stream.totals.groupings() {
            let query = self.query(grouping);
            let told = match known.take() {
                Some(known) => Some(known),
                None => source.control_totals(&query).await?,
            };
            let Some(told) = told else {
                return cannot("source");
            };
            ours.push(told);
        }
        for grouping in self.stream.totals.groupings() {
            let query = self.query(grouping);
            let Some(told) = sink.control_totals(&query).await? else {
                return cannot("destination");
            };
            theirs.push(told);
        }
        Ok(Ok(Sides {
            source: ours,
            destination: theirs,
        }))
    }

    /// The totals of a grouping as of the time.
    fn query(&self, grouping: &[String]) -> TotalsQuery {
        let mut stream = (**self.stream).clone();
        stream.totals = stream.totals.grouped_by(grouping.to_vec());
        TotalsQuery::of(Arc::new(stream)).modified_before(self.as_of)
    }

    fn equal(&self, sides: &Sides, in_flight: u64) -> TieOut {
        TieOut::Equal {
            as_of: self.as_of,
            records: sides.records().0,
            groups: sides
                .source
                .iter()
                .map(|totals| totals.groups.len() as u64)
                .sum(),
            sums: self.stream.totals.sums.len() as u64,
            in_flight,
        }
    }

    fn concluded(
        &self,
        sides: &Sides,
        differences: &Differences,
        examined: &examine::Examined,
        in_flight: u64,
    ) -> TieOut {
        let as_of = self.as_of;
        let (source_records, destination_records) = sides.records();
        let differences = differences.explained(sides, examined);
        if differences.iter().all(|it| it.is_explained()) {
            TieOut::Explained {
                as_of,
                source_records,
                destination_records,
                differences,
                in_flight,
            }
        } else {
            TieOut::Different {
                as_of,
                source_records,
                destination_records,
                differences,
                in_flight,
            }
        }
    }
}

impl Sides {
    fn are_equal(&self) -> bool {
        self.source == self.destination
    }

    /// Records of the source and of the destination.
    fn records(&self) -> (u64, u64) {
        let count = |totals: &[ControlTotals]| totals.first().map_or(0, ControlTotals::records);
        (count(&self.source), count(&self.destination))
    }
}

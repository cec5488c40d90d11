//! Comparing the control totals of both sides.

use std::sync::Arc;

use time::OffsetDateTime;

use super::delivery::Delivery;
use super::report::TieOut;
use crate::error::Result;
use crate::ledger::EntryKind;
use crate::totals::{ControlTotals, TotalsQuery};

impl Delivery {
    /// Compares both sides and notes the verdict in the ledger. The source is asked, unless its
    /// totals are known.
    pub(super) async fn tie_out(
        &self,
        as_of: OffsetDateTime,
        known: Option<ControlTotals>,
    ) -> Result<()> {
        let verdict = self.compare(as_of, known).await?;
        let body = serde_json::json!({ "scope": self.scope(), "tie_out": verdict });
        self.parts()
            .store
            .note(&self.claim, EntryKind::TiedOut, &body.to_string())
            .await?;
        self.report().tie_out = verdict;
        Ok(())
    }

    async fn compare(&self, as_of: OffsetDateTime, known: Option<ControlTotals>) -> Result<TieOut> {
        let (source, sink) = (&self.parts().source, &self.sink);
        let query = TotalsQuery::of(Arc::clone(&self.stream)).modified_before(as_of);
        let not_compared = |who: &str| TieOut::NotCompared {
            reason: format!("the {who} cannot tell its totals"),
        };
        let ours = match known {
            Some(known) => Some(known),
            None => source.control_totals(&query).await?,
        };
        let Some(ours) = ours else {
            return Ok(not_compared("source"));
        };
        let Some(theirs) = sink.control_totals(&query).await? else {
            return Ok(not_compared("destination"));
        };
        let sums = &self.stream.totals.sums;
        let differences = ours.differences(&theirs, sums);
        if differences.is_empty() {
            return Ok(TieOut::Equal {
                as_of,
                records: ours.records(),
                groups: ours.groups.len() as u64,
                sums: sums.len() as u64,
            });
        }
        let everything = source
            .control_totals(&TotalsQuery::of(Arc::clone(&self.stream)))
            .await?;
        let everything = everything.map_or(0, |totals| totals.records());
        let in_flight = everything.saturating_sub(ours.records());
        Ok(TieOut::Different {
            as_of,
            differences,
            in_flight,
            rejected: self.report().rejected,
        })
    }
}

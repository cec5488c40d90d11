//! Closed periods as they were verified.

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, Values, rows, scope_number};
use super::patience::{ask, change};
use crate::error::Result;
use crate::postgres::Session;
use crate::store::periods::{sums_from, sums_text};
use crate::store::stored::{digest, signed, unsigned};
use crate::store::{Claim, PeriodStore, Scope, VerifiedPeriod, wording};

#[async_trait]
impl PeriodStore for PostgresStore {
    async fn verified_periods(&self, scope: &Scope) -> Result<Vec<VerifiedPeriod>> {
        ask!(self, |session| verified_periods(&session, scope))
    }

    async fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        told: Option<&str>,
    ) -> Result<()> {
        change!(self, Some(claim), |change| change
            .verify_period(claim, period, told))
    }

    async fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Result<()> {
        change!(self, Some(claim), |change| change
            .reopen_periods(claim, periods))
    }
}

impl Change<'_> {
    async fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        change: Option<&str>,
    ) -> Result<()> {
        let scope = self.scope(&claim.scope).await?;
        let upsert = "INSERT INTO verified_periods
                          (scope, period, records, sums, content, verified_at)
                      VALUES ($1, $2, $3, $4, $5, $6)
                      ON CONFLICT (scope, period) DO UPDATE SET
                          records = excluded.records, sums = excluded.sums,
                          content = excluded.content, verified_at = excluded.verified_at";
        let (records, sums) = (signed(period.records), sums_text(&period.sums));
        let content = period.content.as_bytes().as_slice();
        let values: Values<'_> = &[&scope, &period.period, &records, &sums, &content, &self.now];
        self.execute(upsert, values).await?;
        let told = wording::period_verified(&claim.scope, period, change);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    async fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Result<()> {
        let scope = self.scope(&claim.scope).await?;
        let delete = "DELETE FROM verified_periods WHERE scope = $1 AND period = ANY($2)";
        self.execute(delete, &[&scope, &periods]).await?;
        let told = wording::periods_reopened(&claim.scope, periods);
        self.tell(Some(claim.run), &told).await.map(drop)
    }
}

pub(super) async fn verified_periods(
    session: &Session,
    scope: &Scope,
) -> Result<Vec<VerifiedPeriod>> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(Vec::new());
    };
    let select = "SELECT period, records, sums, content FROM verified_periods
                  WHERE scope = $1 ORDER BY period";
    let found = rows(session, select, &[&number]).await?;
    let periods = found.iter().map(|row| {
        Ok(VerifiedPeriod {
            period: row.get(0),
            records: unsigned(row.get(1)),
            sums: sums_from(row.get(2))?,
            content: digest(row.get(3))?,
        })
    });
    periods.collect()
}

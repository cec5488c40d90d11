//! Closed periods as they were verified.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::change::{Change, scope_number};
use super::failure::Work;
use crate::error::Result;
use crate::id::Digest;
use crate::store::periods::{sums_from, sums_text};
use crate::store::stored::{signed, unsigned};
use crate::store::{Claim, PeriodStore, Scope, VerifiedPeriod, wording};

#[async_trait]
impl PeriodStore for SqliteStore {
    async fn verified_periods(&self, scope: &Scope) -> Result<Vec<VerifiedPeriod>> {
        let scope = scope.clone();
        self.read(move |connection| verified_periods(connection, &scope))
            .await
    }

    async fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        change: Option<&str>,
    ) -> Result<()> {
        let (period, told) = (period.clone(), change.map(str::to_owned));
        self.change_by(claim, move |change, claim| {
            change.verify_period(claim, &period, told.as_deref())
        })
        .await
    }

    async fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Result<()> {
        let periods = periods.to_owned();
        self.change_by(claim, move |change, claim| {
            change.reopen_periods(claim, &periods)
        })
        .await
    }
}

impl Change<'_> {
    fn verify_period(
        &self,
        claim: &Claim,
        period: &VerifiedPeriod,
        change: Option<&str>,
    ) -> Work<()> {
        let scope = self.scope(&claim.scope)?;
        let upsert = "INSERT INTO verified_periods
                          (scope, period, records, sums, content, verified_at)
                      VALUES (?, ?, ?, ?, ?, ?)
                      ON CONFLICT (scope, period) DO UPDATE SET
                          records = excluded.records, sums = excluded.sums,
                          content = excluded.content, verified_at = excluded.verified_at";
        let values = params![
            scope,
            period.period,
            signed(period.records),
            sums_text(&period.sums),
            period.content.as_bytes(),
            self.now
        ];
        self.execute(upsert, values)?;
        let told = wording::period_verified(&claim.scope, period, change);
        self.tell(Some(claim.run), &told).map(drop)
    }

    fn reopen_periods(&self, claim: &Claim, periods: &[String]) -> Work<()> {
        let scope = self.scope(&claim.scope)?;
        for period in periods {
            let delete = "DELETE FROM verified_periods WHERE scope = ? AND period = ?";
            self.execute(delete, params![scope, period])?;
        }
        let told = wording::periods_reopened(&claim.scope, periods);
        self.tell(Some(claim.run), &told).map(drop)
    }
}

pub(super) fn verified_periods(
    connection: &Connection,
    scope: &Scope,
) -> Work<Vec<VerifiedPeriod>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(Vec::new());
    };
    let select = "SELECT period, records, sums, content FROM verified_periods
                  WHERE scope = ? ORDER BY period";
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query([number])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (sums, content): (String, [u8; 32]) = (row.get(2)?, row.get(3)?);
        found.push(VerifiedPeriod {
            period: row.get(0)?,
            records: unsigned(row.get(1)?),
            sums: sums_from(&sums)?,
            content: Digest::from_bytes(content),
        });
    }
    Ok(found)
}

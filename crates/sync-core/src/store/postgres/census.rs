//! Counting what the source has, to find what it has no more.

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, Values, rows, scope_number};
use super::patience::{ask, change};
use super::records::keys_of;
use crate::batch::RecordKey;
use crate::error::Result;
use crate::postgres::Session;
use crate::store::stored::signed;
use crate::store::{CensusStore, Claim, Scope};

#[async_trait]
impl CensusStore for PostgresStore {
    async fn begin_census(&self, claim: &Claim, periods: Option<&[String]>) -> Result<()> {
        let periods = periods.unwrap_or_default();
        change!(self, Some(claim), |change| change
            .begin_census(claim, periods))
    }

    async fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Result<()> {
        change!(self, Some(claim), |change| change.count_keys(claim, keys))
    }

    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>> {
        ask!(self, |session| missing_keys(&session, scope, after, limit))
    }
}

impl Change<'_> {
    async fn begin_census(&self, claim: &Claim, periods: &[String]) -> Result<()> {
        let scope = self.scope(&claim.scope).await?;
        self.execute("DELETE FROM census WHERE scope = $1", &[&scope])
            .await?;
        self.execute("DELETE FROM census_periods WHERE scope = $1", &[&scope])
            .await?;
        let insert = "INSERT INTO census_periods (scope, period)
                      SELECT $1, period FROM unnest($2::text[]) AS given (period)
                      ON CONFLICT DO NOTHING";
        self.execute(insert, &[&scope, &periods]).await.map(drop)
    }

    async fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Result<()> {
        let scope = self.scope(&claim.scope).await?;
        let keys: Vec<_> = keys.iter().map(RecordKey::as_str).collect();
        let insert = "INSERT INTO census (scope, key)
                      SELECT $1, key FROM unnest($2::text[]) AS given (key)
                      ON CONFLICT DO NOTHING";
        self.execute(insert, &[&scope, &keys]).await.map(drop)
    }
}

async fn missing_keys(
    session: &Session,
    scope: &Scope,
    after: Option<&RecordKey>,
    limit: usize,
) -> Result<Vec<RecordKey>> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(Vec::new());
    };
    let select = "SELECT key FROM records WHERE scope = $1 AND ($2::text IS NULL OR key > $2)
                  AND NOT EXISTS (SELECT 1 FROM census
                                  WHERE census.scope = $1 AND census.key = records.key)
                  AND (NOT EXISTS (SELECT 1 FROM census_periods WHERE scope = $1)
                       OR period IN (SELECT period FROM census_periods WHERE scope = $1))
                  ORDER BY key LIMIT $3";
    let after = after.map(RecordKey::as_str);
    let values: Values<'_> = &[&number, &after, &signed(limit as u64)];
    Ok(keys_of(&rows(session, select, values).await?))
}

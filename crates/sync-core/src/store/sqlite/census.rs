//! Counting what the source has, to find what it has no more.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::change::{Change, scope_number};
use super::failure::Work;
use crate::batch::RecordKey;
use crate::error::Result;
use crate::store::{CensusStore, Claim, Scope};

#[async_trait]
impl CensusStore for SqliteStore {
    async fn begin_census(&self, claim: &Claim, periods: Option<&[String]>) -> Result<()> {
        let periods = periods.map(<[String]>::to_vec).unwrap_or_default();
        self.change_by(claim, move |change, claim| {
            change.begin_census(claim, &periods)
        })
        .await
    }

    async fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Result<()> {
        let keys = keys.to_owned();
        self.change_by(claim, move |change, claim| change.count_keys(claim, &keys))
            .await
    }

    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>> {
        let (scope, after) = (scope.clone(), after.cloned());
        self.read(move |connection| missing_keys(connection, &scope, after.as_ref(), limit))
            .await
    }
}

impl Change<'_> {
    fn begin_census(&self, claim: &Claim, periods: &[String]) -> Work<()> {
        let scope = self.scope(&claim.scope)?;
        self.execute("DELETE FROM temp.census WHERE scope = ?", [scope])?;
        self.execute("DELETE FROM temp.census_periods WHERE scope = ?", [scope])?;
        let insert = "INSERT OR IGNORE INTO temp.census_periods (scope, period) VALUES (?, ?)";
        for period in periods {
            self.execute(insert, params![scope, period])?;
        }
        Ok(())
    }

    fn count_keys(&self, claim: &Claim, keys: &[RecordKey]) -> Work<()> {
        let scope = self.scope(&claim.scope)?;
        let insert = "INSERT OR IGNORE INTO temp.census (scope, key) VALUES (?, ?)";
        for key in keys {
            self.execute(insert, params![scope, key.as_str()])?;
        }
        Ok(())
    }
}

fn missing_keys(
    connection: &Connection,
    scope: &Scope,
    after: Option<&RecordKey>,
    limit: usize,
) -> Work<Vec<RecordKey>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(Vec::new());
    };
    let select = "SELECT key FROM records WHERE scope = ?1 AND (?2 IS NULL OR key > ?2)
                  AND NOT EXISTS (SELECT 1 FROM temp.census
                                  WHERE census.scope = ?1 AND census.key = records.key)
                  AND (NOT EXISTS (SELECT 1 FROM temp.census_periods WHERE scope = ?1)
                       OR period IN (SELECT period FROM temp.census_periods WHERE scope = ?1))
                  ORDER BY key LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let after = after.map(RecordKey::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![number, after, limit], |row| {
        row.get::<_, String>(0).map(RecordKey::from_text)
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

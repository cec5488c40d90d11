//! The index of the records that the destination has.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{rows, scope_number};
use super::patience::ask;
use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::RecordId;
use crate::postgres::Session;
use crate::store::stored::unsigned;
use crate::store::{RecordStore, Scope};

#[async_trait]
impl RecordStore for PostgresStore {
    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>> {
        ask!(self, |session| changed(&session, scope, records))
    }

    async fn live_records(&self, scope: &Scope) -> Result<u64> {
        ask!(self, |session| live_records(&session, scope))
    }

    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>> {
        ask!(self, |session| live_by_period(&session, scope))
    }

    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
        ask!(self, |session| live_keys(&session, scope, keys))
    }

    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>> {
        ask!(self, |session| keys_of_owners(&session, scope, owners))
    }
}

pub(super) async fn changed(
    session: &Session,
    scope: &Scope,
    records: &[(RecordKey, RecordId)],
) -> Result<Vec<bool>> {
    let mut changed = vec![true; records.len()];
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(changed);
    };
    let keys: Vec<_> = records.iter().map(|(key, _)| key.as_str()).collect();
    let ids: Vec<_> = records
        .iter()
        .map(|(_, id)| id.as_bytes().as_slice())
        .collect();
    let select = "SELECT given.place FROM unnest($2::text[], $3::bytea[])
                      WITH ORDINALITY AS given (key, record, place)
                  JOIN records ON records.scope = $1 AND records.key = given.key
                  WHERE records.record = given.record";
    for row in rows(session, select, &[&number, &keys, &ids]).await? {
        let place = usize::try_from(row.get::<_, i64>(0)).unwrap_or(0);
        if let Some(changed) = place
            .checked_sub(1)
            .and_then(|place| changed.get_mut(place))
        {
            *changed = false;
        }
    }
    Ok(changed)
}

async fn live_records(session: &Session, scope: &Scope) -> Result<u64> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(0);
    };
    let select = "SELECT count(*) FROM records WHERE scope = $1";
    let found = rows(session, select, &[&number]).await?;
    Ok(found.first().map_or(0, |row| unsigned(row.get(0))))
}

async fn live_by_period(session: &Session, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(Some(BTreeMap::new()));
    };
    let select = "SELECT period, count(*) FROM records WHERE scope = $1 GROUP BY period";
    let found = rows(session, select, &[&number]).await?;
    let periods = found.iter().map(|row| {
        let period: Option<String> = row.get(0);
        period.map(|period| (period, unsigned(row.get(1))))
    });
    Ok(periods.collect())
}

async fn live_keys(session: &Session, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(Vec::new());
    };
    let texts: Vec<_> = keys.iter().map(RecordKey::as_str).collect();
    let select = "SELECT given.key FROM unnest($2::text[]) WITH ORDINALITY AS given (key, place)
                  JOIN records ON records.scope = $1 AND records.key = given.key
                  ORDER BY given.place";
    Ok(keys_of(&rows(session, select, &[&number, &texts]).await?))
}

async fn keys_of_owners(
    session: &Session,
    scope: &Scope,
    owners: &[String],
) -> Result<Vec<RecordKey>> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(Vec::new());
    };
    let select = "SELECT records.key FROM unnest($2::text[])
                      WITH ORDINALITY AS given (owner, place)
                  JOIN records ON records.scope = $1 AND records.owner = given.owner
                  ORDER BY given.place, records.key";
    Ok(keys_of(&rows(session, select, &[&number, &owners]).await?))
}

pub(super) fn keys_of(rows: &[tokio_postgres::Row]) -> Vec<RecordKey> {
    rows.iter()
        .map(|row| RecordKey::from_text(row.get::<_, String>(0)))
        .collect()
}

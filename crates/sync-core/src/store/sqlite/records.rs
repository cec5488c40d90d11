//! The index of the records that the destination has.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::change::scope_number;
use super::failure::Work;
use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::RecordId;
use crate::store::stored::unsigned;
use crate::store::{RecordStore, Scope};

#[async_trait]
impl RecordStore for SqliteStore {
    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>> {
        let (scope, records) = (scope.clone(), records.to_owned());
        self.read(move |connection| changed(connection, &scope, &records))
            .await
    }

    async fn live_records(&self, scope: &Scope) -> Result<u64> {
        let scope = scope.clone();
        self.read(move |connection| live_records(connection, &scope))
            .await
    }

    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>> {
        let scope = scope.clone();
        self.read(move |connection| live_by_period(connection, &scope))
            .await
    }

    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
        let (scope, keys) = (scope.clone(), keys.to_owned());
        self.read(move |connection| live_keys(connection, &scope, keys))
            .await
    }

    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>> {
        let (scope, owners) = (scope.clone(), owners.to_owned());
        self.read(move |connection| keys_of_owners(connection, &scope, &owners))
            .await
    }
}

/// Keys looked up by one statement.
const KEYS_AT_ONCE: usize = 128;

fn changed(
    connection: &Connection,
    scope: &Scope,
    records: &[(RecordKey, RecordId)],
) -> Work<Vec<bool>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(vec![true; records.len()]);
    };
    let places = ", ?".repeat(KEYS_AT_ONCE - 1);
    let select = format!("SELECT key, record FROM records WHERE scope = ? AND key IN (?{places})");
    let mut select = connection.prepare_cached(&select)?;
    let mut known: HashMap<String, [u8; 16]> = HashMap::new();
    for asked in records.chunks(KEYS_AT_ONCE) {
        select.raw_bind_parameter(1, number)?;
        for place in 0..KEYS_AT_ONCE {
            // What is left over asks for nothing, so that one statement serves.
            let key = asked.get(place).map(|(key, _)| key.as_str());
            select.raw_bind_parameter(place + 2, key)?;
        }
        let mut found = select.raw_query();
        while let Some(row) = found.next()? {
            known.insert(row.get(0)?, row.get(1)?);
        }
    }
    let changed = records
        .iter()
        .map(|(key, id)| known.get(key.as_str()) != Some(id.as_bytes()));
    Ok(changed.collect())
}

fn live_records(connection: &Connection, scope: &Scope) -> Work<u64> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(0);
    };
    let select = "SELECT count(*) FROM records WHERE scope = ?";
    let live = connection.query_row(select, [number], |row| row.get(0))?;
    Ok(unsigned(live))
}

fn live_by_period(connection: &Connection, scope: &Scope) -> Work<Option<BTreeMap<String, u64>>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(Some(BTreeMap::new()));
    };
    let select = "SELECT period, count(*) FROM records WHERE scope = ? GROUP BY period";
    let mut select = connection.prepare(select)?;
    let rows = select.query_map([number], |row| {
        let (period, records): (Option<String>, i64) = (row.get(0)?, row.get(1)?);
        Ok(period.map(|period| (period, unsigned(records))))
    })?;
    Ok(rows.collect::<rusqlite::Result<Option<_>>>()?)
}

fn live_keys(connection: &Connection, scope: &Scope, keys: Vec<RecordKey>) -> Work<Vec<RecordKey>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(Vec::new());
    };
    let select = "SELECT EXISTS (SELECT 1 FROM records WHERE scope = ? AND key = ?)";
    let mut select = connection.prepare_cached(select)?;
    let mut live = Vec::new();
    for key in keys {
        let lives = select.query_row(params![number, key.as_str()], |row| row.get(0))?;
        if lives {
            live.push(key);
        }
    }
    Ok(live)
}

fn keys_of_owners(
    connection: &Connection,
    scope: &Scope,
    owners: &[String],
) -> Work<Vec<RecordKey>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(Vec::new());
    };
    let select = "SELECT key FROM records WHERE scope = ? AND owner = ? ORDER BY key";
    let mut select = connection.prepare_cached(select)?;
    let mut keys = Vec::new();
    for owner in owners {
        let rows = select.query_map(params![number, owner], |row| {
            row.get::<_, String>(0).map(RecordKey::from_text)
        })?;
        for key in rows {
            keys.push(key?);
        }
    }
    Ok(keys)
}

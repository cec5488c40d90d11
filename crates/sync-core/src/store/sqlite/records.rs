//! The index of the records that the destination has.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::change::scope_number;
use super::failure::Work;
use crate::batch::RecordKey;
use crate::id::RecordId;
use crate::store::Scope;
use crate::store::stored::unsigned;

pub(super) fn changed(
    connection: &Connection,
    scope: &Scope,
    records: &[(RecordKey, RecordId)],
) -> Work<Vec<bool>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(vec![true; records.len()]);
    };
    let select = "SELECT record FROM records WHERE scope = ? AND key = ?";
    let mut select = connection.prepare_cached(select)?;
    let mut changed = Vec::with_capacity(records.len());
    for (key, id) in records {
        let known: Option<[u8; 16]> = select
            .query_row(params![number, key.as_str()], |row| row.get(0))
            .optional()?;
        changed.push(known.as_ref() != Some(id.as_bytes()));
    }
    Ok(changed)
}

pub(super) fn live_records(connection: &Connection, scope: &Scope) -> Work<u64> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(0);
    };
    let select = "SELECT count(*) FROM records WHERE scope = ?";
    let live = connection.query_row(select, [number], |row| row.get(0))?;
    Ok(unsigned(live))
}

pub(super) fn live_by_period(
    connection: &Connection,
    scope: &Scope,
) -> Work<Option<BTreeMap<String, u64>>> {
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

pub(super) fn live_keys(
    connection: &Connection,
    scope: &Scope,
    keys: Vec<RecordKey>,
) -> Work<Vec<RecordKey>> {
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

pub(super) fn keys_of_owners(
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

//! Streaming: a table that only grows, and a view with the latest state of each record.

use sync_core::DeleteMode;
use sync_core::batch::system;

use super::names::quoted;
use super::planning;
use super::table::{REPORTED_DELETED, REPORTED_SYNCED, ROW, Table, VERSION};
use crate::client::names::DatasetRef;

/// The characters of a [`VERSION`], and of the ids of records and batches: what a delete says is one text in the
/// view, so that the latest one's words stay together.
const VERSION_LENGTH: usize = 40;
const ID_LENGTH: usize = 32;

/// The name of the table that the rows of a stream land in.
pub(super) fn landing_name(stream: &str) -> String {
    format!("{stream}_landing")
}

/// The table that rows land in: nothing but its key and what the sync adds is required, because what says
/// that a record is gone has nothing else.
pub(super) fn landing(table: &Table) -> Table {
    let is_computed = |name: &str| name == REPORTED_SYNCED || name == REPORTED_DELETED;
    let mut columns = table.columns.clone();
    columns.retain(|column| !is_computed(&column.name));
    columns.push(planning::row_number());
    Table {
        name: landing_name(&table.name),
        columns,
        key: table.key.clone(),
        partitioned_by: None,
        clustered_by: table.key.iter().take(4).cloned().collect(),
        description: format!(
            "{}, each row as it was streamed; the view shows the latest",
            table.name
        ),
    }
}

/// The query of the view.
///
/// A record's last upsert is shown, whatever came how often and in which order. A later delete marks it, as a
/// mark in a table would, or takes it out where the stream's deletes remove.
pub(super) fn view(dataset: &DatasetRef, table: &Table, delete_mode: DeleteMode) -> String {
    let later = format!("SUBSTR(`_gone`, 1, {VERSION_LENGTH}) > {}", quoted(VERSION));
    let is_gone = format!("IFNULL({later}, FALSE)");
    let of_delete = |name: &str, from: usize| {
        format!(
            "IF({is_gone}, SUBSTR(`_gone`, {from}, {ID_LENGTH}), {name}) AS {name}",
            name = quoted(name)
        )
    };
    let synced_at = format!("IF({is_gone}, `_gone_at`, {})", quoted(system::SYNCED_AT));
    let shown = table
        .columns
        .iter()
        .map(|column| match column.name.as_str() {
            system::RECORD_ID => of_delete(system::RECORD_ID, VERSION_LENGTH + 1),
            system::BATCH_ID => of_delete(system::BATCH_ID, VERSION_LENGTH + ID_LENGTH + 1),
            name @ (system::SYNCED_AT | REPORTED_SYNCED) => {
                format!("{synced_at} AS {}", quoted(name))
            }
            name @ (system::DELETED | REPORTED_DELETED) => format!("{is_gone} AS {}", quoted(name)),
            other => quoted(other),
        });
    let shown: Vec<_> = shown.collect();
    let key: Vec<_> = table.key.iter().map(|name| quoted(name)).collect();
    let key = key.join(", ");
    let removed = match delete_mode {
        DeleteMode::Remove => format!(" AND NOT {is_gone}"),
        _ => String::new(),
    };
    format!(
        "SELECT {} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {deleted}, {version} DESC, \
         {row} DESC) AS `_rank`, MAX(IF({deleted}, CONCAT({version}, {record}, {batch}), NULL)) OVER (PARTITION BY \
         {key}) AS `_gone`, MAX(IF({deleted}, {synced_at}, NULL)) OVER (PARTITION BY {key}) AS `_gone_at` \
         FROM `{dataset}.{landing}`) WHERE `_rank` = 1 AND NOT {deleted}{removed}",
        shown.join(", "),
        deleted = quoted(system::DELETED),
        version = quoted(VERSION),
        record = quoted(system::RECORD_ID),
        batch = quoted(system::BATCH_ID),
        synced_at = quoted(system::SYNCED_AT),
        row = quoted(ROW),
        landing = landing_name(&table.name),
    )
}

//! The audit history: who deleted what, as far as it says (developer.intacct.com, Audit trails).
//!
//! It names records by RECORDNO, or, for some objects, by the id that people see; never the lines of a
//! document. It can be late, name what was made again, and fail on a page for no reason that it gives.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use intacct_xml::request::{Filter, Query};
use intacct_xml::response::Level;
use intacct_xml::values::parse_timestamp;
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sync_core::{Deletion, RecordKey, Result};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use super::contract::{Contract, name_of};
use super::request_error;
use crate::Client;
use crate::error::Error as ClientError;
use crate::walk::{NullPass, Refusals, WalkSpec, WalkWindow};

pub(super) const AUDITHISTORY: &str = "AUDITHISTORY";

/// What was deleted, read once for all streams of a run.
#[derive(Debug, Default)]
pub(super) struct AuditLog(Mutex<Covered>);

#[derive(Debug, Default)]
struct Covered {
    span: Option<(OffsetDateTime, OffsetDateTime)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    at: OffsetDateTime,
    object: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Entry {
    accesstime: Option<String>,
    objecttype: Option<String>,
    objectkey: Option<String>,
}

impl AuditLog {
    /// What was deleted of an object, or of what its lines belong to, between two times. `until` is as far
    /// as is read where it must be, so that the next stream finds it here.
    pub(super) async fn deletions(
        &self,
        client: &Client,
        contract: &Contract,
        objects: &BTreeSet<String>,
        (low, high): (OffsetDateTime, OffsetDateTime),
        until: OffsetDateTime,
    ) -> Result<Vec<Deletion>> {
        let mut covered = self.0.lock().await;
        let is_covered = covered
            .span
            .is_some_and(|(from, to)| from <= low && high <= to);
        if !is_covered {
            let rows = read(client, objects, low, until).await?;
            *covered = Covered {
                span: Some((low, until)),
                rows,
            };
        }
        let inside = covered
            .rows
            .iter()
            .filter(|row| (low..high).contains(&row.at));
        let named =
            |object: &ObjectName, row: &Row| row.object.eq_ignore_ascii_case(object.as_str());
        let told = inside.filter_map(|row| {
            let is_number = row.key.bytes().all(|byte| byte.is_ascii_digit());
            if named(&contract.object, row) {
                Some(match is_number {
                    true => Deletion::Record(RecordKey::new([row.key.as_str()])),
                    false => Deletion::Unknown(row.key.clone()),
                })
            } else if contract
                .owner
                .as_ref()
                .is_some_and(|owner| named(owner, row))
            {
                Some(match is_number {
                    true => Deletion::Group(row.key.clone()),
                    false => Deletion::Unknown(row.key.clone()),
                })
            } else {
                None
            }
        });
        Ok(told.collect())
    }
}

/// Whether the user may read it; why not, if not.
pub(super) async fn denial(client: &Client, now: OffsetDateTime) -> Result<Option<ClientError>> {
    let field = |name: &str| name_of(FieldName::new(name));
    let since =
        intacct_xml::request::Value::instant(now - Duration::DAY, client.config().source_offset);
    let filter = Filter::equal_to(field("ACCESSMODE")?, "D").and(Filter::greater_than_or_equal_to(
        field("ACCESSTIME")?,
        since,
    ));
    let object = name_of(ObjectName::new(AUDITHISTORY))?;
    let query = Query::new(object, [field("ID")?])
        .and_then(|query| query.with_page_size(1))
        .map_err(request_error)?
        .with_filter(filter);
    match client.query_as::<IgnoredAny>(query).try_next().await {
        Ok(_) => Ok(None),
        Err(error) if error.level() == Some(Level::Function) && !error.is_transient() => {
            Ok(Some(error))
        }
        Err(error) => Err(error.into()),
    }
}

async fn read(
    client: &Client,
    objects: &BTreeSet<String>,
    low: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Vec<Row>> {
    let field = |name: &str| name_of(FieldName::new(name));
    let types = objects.iter().map(String::as_str);
    let of_types = Filter::one_of(field("OBJECTTYPE")?, types).map_err(request_error)?;
    let deleted = Filter::equal_to(field("ACCESSMODE")?, "D");
    let object = name_of(ObjectName::new(AUDITHISTORY))?;
    let window = WalkWindow::new(Some(low), until);
    let spec = WalkSpec::by_modified(object, field("ID")?, field("ACCESSTIME")?, window)?
        .with_fields([field("OBJECTTYPE")?, field("OBJECTKEY")?])
        .with_filter(of_types.and(deleted))
        .with_null_pass(NullPass::Skip)
        .with_refusals(Refusals::Narrow);
    let offset = client.config().source_offset;
    let mut rows = Vec::new();
    let mut pages = client.walk_as::<Entry>(spec, None);
    while let Some(page) = pages.try_next().await? {
        for entry in page.records {
            let at = entry.accesstime.as_deref().map(parse_timestamp);
            if let (Some(Ok(at)), Some(object), Some(key)) = (at, entry.objecttype, entry.objectkey)
            {
                let at = at.assume_offset(offset);
                rows.push(Row { at, object, key });
            }
        }
    }
    Ok(rows)
}

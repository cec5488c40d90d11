//! Finding out what a user may read of an object: a page of one record tells, `lookup` does not.

use intacct_xml::FieldName;
use intacct_xml::request::{Filter, Query, Value};
use sync_core::{Error, Result};
use time::{Duration, OffsetDateTime};

use super::blueprint::Blueprint;
use super::contract::name_of;
use super::{reading, request_error};
use crate::Client;
use crate::error::{Error as ClientError, ErrorKind as ClientKind};

/// What a page of one record told.
#[derive(Debug)]
pub(super) enum Probed {
    /// The object can be read, but for these fields, by its time of change or not.
    Readable {
        refused: Vec<FieldName>,
        filterable: bool,
    },
    /// The user may not read it, or the company does not have it.
    Denied(ClientError),
}

/// Asks for a page of one record, leaving out fields until none is refused.
pub(super) async fn probe(
    client: &Client,
    wanted: &Blueprint,
    fields: &[FieldName],
    now: OffsetDateTime,
) -> Result<Probed> {
    let modified = wanted.modified.as_ref().map(FieldName::new);
    let mut probe = Probe {
        client,
        wanted,
        recent: modified.map(name_of).transpose()?.map(|field| {
            let since = Value::instant(now - Duration::DAY, client.config().source_offset);
            Filter::greater_than_or_equal_to(field, since)
        }),
    };
    let is_needed = |field: &FieldName| {
        let mut needed = wanted.key.iter().chain(&wanted.modified);
        needed.any(|name| name == field.as_str())
    };
    let (needed, mut rest): (Vec<_>, Vec<_>) = fields.iter().cloned().partition(is_needed);
    let mut refused = Vec::new();
    let whole: Vec<_> = fields.to_vec();
    let mut asked = whole;
    loop {
        let error = match probe.ask(&asked).await? {
            Answer::Given => {
                let filterable = probe.recent.is_some() || wanted.modified.is_none();
                return Ok(Probed::Readable {
                    refused,
                    filterable,
                });
            }
            Answer::Denied(error) => return Ok(Probed::Denied(error)),
            Answer::Refused(error) => error,
        };
        let named = named_in(&error, &rest);
        let mut dropped = if named.is_empty() {
            match probe.ask(&needed).await? {
                Answer::Given => probe.bisect(&needed, &rest).await?,
                Answer::Denied(error) => return Ok(Probed::Denied(error)),
                // Not a field that is selected, but the one that is filtered by.
                Answer::Refused(_) if probe.recent.take().is_some() => continue,
                Answer::Refused(error) => return Err(error.into()),
            }
        } else {
            named
        };
        if dropped.is_empty() {
            // Each half is taken, and the whole is not: nothing that leaving out fields mends.
            return Err(error.into());
        }
        rest.retain(|field| !dropped.contains(field));
        asked.retain(|field| !dropped.contains(field));
        refused.append(&mut dropped);
    }
}

struct Probe<'a> {
    client: &'a Client,
    wanted: &'a Blueprint,
    /// Only what was changed lately: a view over the ledger is never asked without a filter.
    recent: Option<Filter>,
}

enum Answer {
    Given,
    Refused(ClientError),
    Denied(ClientError),
}

impl Probe<'_> {
    async fn ask(&self, fields: &[FieldName]) -> Result<Answer> {
        let mut query = Query::new(self.wanted.object.clone(), fields.iter().cloned())
            .and_then(|query| query.with_page_size(1))
            .map_err(request_error)?
            .with_options(reading::options());
        let filters = self.recent.iter().chain(&self.wanted.filter).cloned();
        if let Ok(filter) = Filter::all(filters) {
            query = query.with_filter(filter);
        }
        if let Some(id) = &self.wanted.doc_par_id {
            query = query.with_doc_par_id(id);
        }
        match self.client.call(query).await {
            Ok(_) => Ok(Answer::Given),
            Err(error) if super::is_absent(&error) => Ok(Answer::Denied(error)),
            Err(error) if error.kind() == ClientKind::Rejected => Ok(Answer::Refused(error)),
            Err(error) => Err(Error::from(error)),
        }
    }

    /// The fields that are refused by themselves.
    async fn bisect(&self, needed: &[FieldName], fields: &[FieldName]) -> Result<Vec<FieldName>> {
        let mut refused = Vec::new();
        let mut parts = vec![fields.to_vec()];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let asked: Vec<_> = needed.iter().chain(&part).cloned().collect();
            match self.ask(&asked).await? {
                Answer::Given => {}
                Answer::Denied(error) => return Err(error.into()),
                Answer::Refused(_) if part.len() == 1 => refused.extend(part),
                Answer::Refused(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second.to_vec(), first.to_vec()]);
                }
            }
        }
        Ok(refused)
    }
}

/// The fields that a refusal names.
fn named_in(error: &ClientError, fields: &[FieldName]) -> Vec<FieldName> {
    let named = error.refused_fields();
    let is_named = |field: &&FieldName| named.contains(&field.as_str());
    fields.iter().filter(is_named).cloned().collect()
}

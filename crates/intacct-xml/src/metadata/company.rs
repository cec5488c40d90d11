//! What the company says about its dimensions, entities, users and records.

use time::{OffsetDateTime, UtcOffset};

use super::{flag, inner, named, owned};
use crate::error::{Error, shown};
use crate::response::Element;
use crate::values::parse_session_time;

/// A dimension that `getDimensions` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dimension {
    /// The integration name of its object.
    pub object_name: String,
    /// The name that people see.
    pub label: Option<String>,
    /// The name that people see where the company renamed it.
    pub term: Option<String>,
    /// Whether the company defined it.
    pub user_defined: bool,
    /// Whether ledger lines carry it.
    pub in_ledger: bool,
}

/// An entity that `readEntityDetails` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityDetails {
    /// The id that a session is opened for.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The record number.
    pub record_number: Option<u64>,
    /// The base currency.
    pub currency: Option<String>,
    /// The first month of the fiscal year.
    pub first_fiscal_month: Option<String>,
    /// The first month of the tax year.
    pub first_tax_month: Option<String>,
    /// The day that weeks begin on.
    pub week_start: Option<String>,
}

/// In which form a user sees dates and times, as `readUserFormatting` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserFormatting {
    /// The user's record number.
    pub record_number: Option<u64>,
    /// Language and country, such as `en_US`.
    pub locale: Option<String>,
    /// The separator and the order of `m`, `d` and `y` or `Y`, such as `/mdY`.
    pub date_format: Option<String>,
    /// The offset from GMT: a fixed one, which daylight saving time moves.
    pub gmt_offset: UtcOffset,
    /// `12` or `24`.
    pub clock: Option<String>,
}

/// What a user may do in one application, as `getUserPermissions` says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplicationPermissions {
    /// The application. It is subscribed to, or it would not be listed.
    pub application: String,
    /// The policies, each with the rights that the user has.
    pub policies: Vec<Policy>,
}

/// A policy and the rights to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The name, such as `Vendors`.
    pub name: String,
    /// The rights, such as `List` and `View`.
    pub rights: Vec<String>,
}

/// An entry of the audit trail of a record, as `getAuditTrail` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Who did it.
    pub user_id: Option<String>,
    /// The object, in lower case.
    pub object: Option<String>,
    /// The record's unique name.
    pub object_key: Option<String>,
    /// When; here, unlike in records, with its offset.
    pub accessed_at: Option<OffsetDateTime>,
    /// What was done, in a word: `delete`, `modify`, `create`, `access`, `workflow` and the like.
    pub access_mode: Option<String>,
    /// What a workflow did.
    pub workflow_action: Option<String>,
    /// Through what: `ui`, `api`, `csv` or `system`.
    pub source: Option<String>,
}

impl Dimension {
    /// Reads the records of a `getDimensions`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if there is no list, or a dimension without a name.
    pub fn from_records(records: &[Element]) -> Result<Vec<Self>, Error> {
        let list =
            named(records, "dimensions").ok_or_else(|| Error::missing("dimensions", "data"))?;
        let dimensions = list.children_named("dimension").map(|element| {
            Ok(Self {
                object_name: owned(element.text_of("objectName"))
                    .ok_or_else(|| Error::missing("objectName", "dimension"))?,
                label: owned(element.text_of("objectLabel")),
                term: owned(element.text_of("termLabel")),
                user_defined: flag(element, "userDefinedDimension")?,
                in_ledger: flag(element, "enabledInGL")?,
            })
        });
        dimensions.collect()
    }
}

impl EntityDetails {
    /// Reads the records of a `readEntityDetails`. A company without entities has none.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if an entity has no id.
    pub fn from_records(records: &[Element]) -> Result<Vec<Self>, Error> {
        let entities = records.iter().flat_map(|record| {
            let is_entity = record.name().eq_ignore_ascii_case("entity");
            let inside = record.children_named("entity");
            is_entity.then_some(record).into_iter().chain(inside)
        });
        let entities = entities.map(|element| {
            Ok(Self {
                id: owned(element.text_of("id")).ok_or_else(|| Error::missing("id", "entity"))?,
                name: owned(element.text_of("name")),
                record_number: number(element, "recordno")?,
                currency: owned(element.text_of("currency")),
                first_fiscal_month: owned(element.text_of("firstfiscalmonth")),
                first_tax_month: owned(element.text_of("firstfiscaltaxmonth")),
                week_start: owned(element.text_of("weekstart")),
            })
        });
        entities.collect()
    }
}

impl UserFormatting {
    /// Reads the records of a `readUserFormatting`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if there is no formatting, or its offset is none.
    pub fn from_records(records: &[Element]) -> Result<Self, Error> {
        let element = named(records, "userformatting")
            .ok_or_else(|| Error::missing("userformatting", "data"))?;
        let offset = element
            .text_of("gmtoffset")
            .map(str::trim)
            .unwrap_or_default();
        let gmt_offset = parse_offset(offset).ok_or_else(|| {
            Error::protocol(format!(
                "the gmtoffset of a user is \"{}\", not +hh:mm",
                shown(offset)
            ))
        })?;
        Ok(Self {
            record_number: number(element, "recordno")?,
            locale: owned(element.text_of("locale")),
            date_format: owned(element.text_of("dateformat")),
            gmt_offset,
            clock: owned(element.text_of("clock")),
        })
    }
}

impl ApplicationPermissions {
    /// Reads the records of a `getUserPermissions`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if there is no list, or a part of it has no name.
    pub fn from_records(records: &[Element]) -> Result<Vec<Self>, Error> {
        let list =
            named(records, "permissions").ok_or_else(|| Error::missing("permissions", "data"))?;
        let applications = list.children_named("appSubscription").map(|element| {
            Ok(Self {
                application: owned(element.text_of("applicationName"))
                    .ok_or_else(|| Error::missing("applicationName", "appSubscription"))?,
                policies: inner(element, "policies", "policy")
                    .map(Policy::from_element)
                    .collect::<Result<_, _>>()?,
            })
        });
        applications.collect()
    }

    /// Whether the user has a right to a policy of this application, whatever the case of the names.
    pub fn allows(&self, policy: &str, right: &str) -> bool {
        let policies = self.policies.iter();
        let mut found = policies.filter(|found| found.name.eq_ignore_ascii_case(policy));
        found.any(|found| {
            found
                .rights
                .iter()
                .any(|has| has.eq_ignore_ascii_case(right))
        })
    }
}

impl Policy {
    fn from_element(element: &Element) -> Result<Self, Error> {
        let rights = element.text_of("rights").unwrap_or_default().split('|');
        Ok(Self {
            name: owned(element.text_of("policyName"))
                .ok_or_else(|| Error::missing("policyName", "policy"))?,
            rights: rights.filter_map(|right| owned(Some(right))).collect(),
        })
    }
}

impl AuditEntry {
    /// Reads the records of a `getAuditTrail`. None means that nothing was done since the trail is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Data`](crate::ErrorKind::Data) if a time cannot be read.
    pub fn from_records(records: &[Element]) -> Result<Vec<Self>, Error> {
        let entries = records.iter().flat_map(|record| {
            let is_entry = record.name().eq_ignore_ascii_case("auditTrailDetail");
            let inside = record.children_named("auditTrailDetail");
            is_entry.then_some(record).into_iter().chain(inside)
        });
        let entries = entries.map(|element| {
            let accessed_at = owned(element.text_of("accessTime"));
            Ok(Self {
                user_id: owned(element.text_of("userId")),
                object: owned(element.text_of("object")),
                object_key: owned(element.text_of("objectKey")),
                accessed_at: accessed_at
                    .map(|text| parse_session_time(&text).map_err(|e| e.in_field("accessTime")))
                    .transpose()?,
                access_mode: owned(element.text_of("accessMode")),
                workflow_action: owned(element.text_of("workflowAction")),
                source: owned(element.text_of("source")),
            })
        });
        entries.collect()
    }
}

fn number(element: &Element, name: &'static str) -> Result<Option<u64>, Error> {
    let text = owned(element.text_of(name));
    text.map(|text| {
        text.parse().map_err(|_| {
            Error::protocol(format!(
                "{name} of an answer is \"{}\", not a number",
                shown(&text)
            ))
        })
    })
    .transpose()
}

/// `+hh:mm` or `-hh:mm`.
fn parse_offset(text: &str) -> Option<UtcOffset> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let part = |text: &str| {
        let all_digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        all_digits.then(|| text.parse::<i8>().ok()).flatten()
    };
    let (hours, minutes) = (part(hours)?, part(minutes)?);
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::parse_offset;
    use time::macros::offset;

    #[test]
    fn offsets_are_hours_and_minutes() {
        assert_eq!(parse_offset("-08:00"), Some(offset!(-8)));
        assert_eq!(parse_offset("+09:30"), Some(offset!(+9:30)));
        assert_eq!(parse_offset("-03:30"), Some(offset!(-3:30)));
        assert_eq!(parse_offset("+00:00"), Some(offset!(+0)));
        for bad in [
            "", "08:00", "+8", "+0800", "+ 8:00", "+99:00", "+08:99", "GMT", "é8:00", "+é:00",
        ] {
            assert_eq!(parse_offset(bad), None, "{bad}");
        }
    }
}

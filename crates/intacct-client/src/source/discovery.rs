//! From what a company has (`lookup`) and what its user may read (a page of one) to contracts.

use std::collections::BTreeMap;
use std::sync::Arc;

use intacct_xml::ObjectName;
use intacct_xml::metadata::ObjectDefinition;
use sync_core::{DeleteDetection, Error, ErrorKind, Finding, Result, Severity, StreamName};
use time::OffsetDateTime;

use super::blueprint::Blueprint;
use super::catalogue::{DEFINITIONS, Reading};
use super::contract::{self, Contract, name_of};
use super::notes::Notes;
use super::options::{ObjectStream, SourceOptions, UserDefinedDimensions};
use super::probing::{Probed, probe};
use super::{audit, is_absent, permissions};
use crate::Client;
use crate::error::Error as ClientError;

/// The streams of a company.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) streams: BTreeMap<StreamName, Known>,
    /// Those that others refer to first.
    pub(super) order: Vec<StreamName>,
}

/// What is known of one stream.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) contract: Arc<Contract>,
    /// Why it cannot be read.
    pub(super) denied: Option<Denied>,
}

/// An object that the user may not read.
#[derive(Clone, Debug)]
pub(super) struct Denied {
    remedy: String,
    cause: ClientError,
}

impl Denied {
    pub(super) fn new(object: &str, cause: ClientError) -> Self {
        let remedy = permissions::remedy(object, &cause);
        Self { remedy, cause }
    }

    pub(super) fn finding(&self, stream: &StreamName) -> Finding {
        let what = format!("the user may not read it: {}", self.cause);
        Finding::new(Severity::Failure, stream.as_str(), what).remedy(self.remedy.clone())
    }

    pub(super) fn error(&self) -> Error {
        let what = format!("the user may not read the object; {}", self.remedy);
        Error::new(ErrorKind::Permission, what).caused_by(self.cause.clone())
    }
}

impl Known {
    /// What can be read, and how.
    pub(super) fn summary(&self) -> Finding {
        let contract = &self.contract;
        let added = match contract.custom_columns {
            0 => String::new(),
            added => format!(", {added} of them the company's own"),
        };
        let how = match contract.reading {
            Reading::ByModified => "changes by their time",
            Reading::Whole => "whole in each run, by key",
            Reading::ByPeriod => "whole in each run, by period",
            Reading::ByOffset => "whole in each run, by offset",
        };
        let deletes = match contract.descriptor.delete_detection {
            DeleteDetection::None => "not found".to_owned(),
            grade => format!("found by {grade}"),
        };
        let fields = contract.select.len();
        let what = format!("can be read: {fields} fields{added}; {how}; deletes are {deletes}");
        Finding::new(Severity::Info, contract.descriptor.name.as_str(), what)
    }
}

/// Looks everything up and asks for a page of one of each.
pub(super) async fn discover(
    client: &Client,
    options: &SourceOptions,
    notes: &Notes,
) -> Result<Found> {
    let mut discovery = Discovery {
        client,
        notes,
        now: client.source_time().await?,
        deletes: DeleteDetection::AuditHistory,
        found: Found {
            streams: BTreeMap::new(),
            order: Vec::new(),
        },
    };
    discovery.choose_grade().await?;
    let replaced = |stream: &str| {
        let mut added = options.objects.iter();
        added.any(|it| it.stream.as_str() == stream)
    };
    let wanted = DEFINITIONS.iter().filter(|definition| {
        options.defaults.includes(definition.stream) && !replaced(definition.stream)
    });
    for definition in wanted {
        let wanted = Blueprint::of_default(definition, &options.books)?;
        discovery.add_default(wanted).await?;
    }
    for added in &options.objects {
        discovery.add_object(added).await?;
    }
    if options.dimensions == UserDefinedDimensions::Added {
        for dimension in client.dimensions().await? {
            let known = discovery.found.streams.values();
            let mut known = known.map(|known| known.contract.object.as_str());
            if dimension.user_defined && !known.any(|object| object == dimension.object_name) {
                let object = name_of(ObjectName::new(&dimension.object_name))?;
                discovery.add_object(&ObjectStream::new(object)?).await?;
            }
        }
    }
    Ok(discovery.found)
}

struct Discovery<'a> {
    client: &'a Client,
    notes: &'a Notes,
    now: OffsetDateTime,
    /// How deletes are found where changes are read.
    deletes: DeleteDetection,
    found: Found,
}

impl Discovery<'_> {
    async fn choose_grade(&mut self) -> Result<()> {
        if let Some(denial) = audit::denial(self.client, self.now).await? {
            self.deletes = DeleteDetection::KeySet;
            let what = format!(
                "the audit history cannot be read, so deletes are found by comparing keys: {denial}"
            );
            let remedy = permissions::remedy(audit::AUDITHISTORY, &denial);
            self.notes
                .add(Finding::new(Severity::Warning, "audit history", what).remedy(remedy));
        }
        Ok(())
    }

    async fn add_default(&mut self, wanted: Blueprint) -> Result<()> {
        match self.look_up(&wanted.object).await? {
            Ok(found) => self.add(wanted, &found).await,
            Err(absent) => {
                let severity = Severity::Warning;
                self.note_absent(severity, &wanted.stream, &wanted.object, &absent);
                Ok(())
            }
        }
    }

    async fn add_object(&mut self, added: &ObjectStream) -> Result<()> {
        if self.found.streams.contains_key(&added.stream) {
            let what = "two objects have one stream's name; give one of them another";
            return Err(Error::new(ErrorKind::Config, what).with("stream", added.stream.as_str()));
        }
        match self.look_up(&added.object).await? {
            Ok(found) => {
                let wanted = Blueprint::of_object(added, &found)?;
                self.add(wanted, &found).await
            }
            Err(absent) => {
                // It was asked for by name.
                let severity = Severity::Failure;
                self.note_absent(severity, &added.stream, &added.object, &absent);
                Ok(())
            }
        }
    }

    async fn look_up(
        &self,
        object: &ObjectName,
    ) -> Result<std::result::Result<ObjectDefinition, ClientError>> {
        match self.client.lookup(object).await {
            Ok(found) => Ok(Ok(found)),
            Err(error) if is_absent(&error) => Ok(Err(error)),
            Err(error) => Err(error.into()),
        }
    }

    fn note_absent(
        &self,
        severity: Severity,
        stream: &StreamName,
        object: &ObjectName,
        absent: &ClientError,
    ) {
        let what = format!("the company has no such object, or hides it: {absent}");
        let remedy = permissions::remedy(object.as_str(), absent);
        self.notes
            .add(Finding::new(severity, stream.as_str(), what).remedy(remedy));
    }

    async fn add(&mut self, mut wanted: Blueprint, found: &ObjectDefinition) -> Result<()> {
        let stream = wanted.stream.clone();
        let told = match self.probed(&wanted, found).await {
            Ok(told) => told,
            Err(error) if concerns_the_object(error.kind()) => {
                let what = format!("cannot be read: {}", error.chain());
                let finding = Finding::new(Severity::Failure, stream.as_str(), what);
                let remedy = "leave the stream out, or ask for fewer of its fields";
                self.notes.add(finding.remedy(remedy));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (refused, denied) = match told {
            Probed::Denied(error) => {
                let denied = Denied::new(wanted.object.as_str(), error);
                self.notes.add(denied.finding(&stream));
                (Vec::new(), Some(denied))
            }
            Probed::Readable {
                refused,
                filterable,
            } => {
                if !filterable {
                    self.note_unfilterable(&mut wanted);
                }
                (refused, None)
            }
        };
        if !refused.is_empty() {
            let names: Vec<_> = refused.iter().map(|field| field.as_str()).collect();
            let what = format!(
                "queries refuse the fields {}; the columns are left out",
                names.join(", ")
            );
            self.notes
                .add(Finding::new(Severity::Warning, stream.as_str(), what));
        }
        match Contract::new(&wanted, found, &refused, self.deletes) {
            Ok((contract, findings)) => {
                findings.into_iter().for_each(|it| self.notes.add(it));
                let contract = Arc::new(contract);
                let known = Known { contract, denied };
                self.found.order.push(stream.clone());
                self.found.streams.insert(stream, known);
            }
            Err(error) => {
                let what = format!("cannot be read: {}", error.chain());
                self.notes
                    .add(Finding::new(Severity::Failure, stream.as_str(), what));
            }
        }
        Ok(())
    }

    async fn probed(&self, wanted: &Blueprint, found: &ObjectDefinition) -> Result<Probed> {
        if wanted.reading == Reading::ByPeriod {
            // Only the legacy read gives it, and that takes a period: `check` asks for one.
            return Ok(Probed::Readable {
                refused: Vec::new(),
                filterable: true,
            });
        }
        let fields = contract::candidates(wanted, found)?;
        probe(self.client, wanted, &fields, self.now).await
    }

    fn note_unfilterable(&self, wanted: &mut Blueprint) {
        let modified = wanted.modified.take().unwrap_or_default();
        wanted.reading = Reading::Whole;
        let what = format!("queries do not filter by {modified}; every run reads the whole object");
        let stream = wanted.stream.as_str();
        self.notes
            .add(Finding::new(Severity::Warning, stream, what));
    }
}

/// Whether the other objects may still be read.
fn concerns_the_object(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Rejected | ErrorKind::NotFound | ErrorKind::Unsupported
    )
}

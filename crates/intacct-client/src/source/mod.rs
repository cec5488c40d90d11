//! A company's books as a [`Source`] of the default streams.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use intacct_xml::ObjectName;
use intacct_xml::metadata::ObjectDefinition;
use intacct_xml::request::Query;
use sync_core::{
    ControlTotals, Error, ErrorKind, Finding, ReadRequest, Result, Selection, Severity, Source,
    SourceBatch, StreamDescriptor, StreamName, TotalsQuery,
};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use crate::Client;
use crate::error::{ErrorKind as ClientErrorKind, Reason};

mod balances;
mod catalogue;
mod contract;
mod failure;
mod reading;
mod totals;

use catalogue::{DEFINITIONS, Reading};
use contract::{Contract, is_related, name_of};

/// The books of one company: 19 default streams, from the chart of accounts to ledger lines and
/// account balances.
///
/// What a company has is looked up once, when it is first asked for: fields that it lacks are left
/// out, its custom fields are added.
pub struct IntacctSource {
    client: Client,
    company: String,
    found: OnceCell<Found>,
}

struct Found {
    contracts: BTreeMap<StreamName, Arc<Contract>>,
    /// In the order of the catalogue.
    order: Vec<StreamName>,
    findings: Vec<Finding>,
}

impl IntacctSource {
    /// The books that this client's user may read.
    pub fn new(client: Client) -> Self {
        let company = client.config().credentials.user.company_id.clone();
        Self {
            client,
            company,
            found: OnceCell::new(),
        }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn found(&self) -> Result<&Found> {
        self.found.get_or_try_init(|| self.look_up()).await
    }

    async fn look_up(&self) -> Result<Found> {
        let mut found = Found {
            contracts: BTreeMap::new(),
            order: Vec::new(),
            findings: Vec::new(),
        };
        for definition in DEFINITIONS {
            let object = name_of(ObjectName::new(definition.object))?;
            let defined: ObjectDefinition = match self.client.lookup(&object).await {
                Ok(defined) => defined,
                Err(error) if is_absent(&error) => {
                    let what = format!("the company has no such object, or hides it: {error}");
                    let remedy =
                        "subscribe to the application that it belongs to, or leave the stream out";
                    let finding = Finding::new(Severity::Warning, definition.stream, what);
                    found.findings.push(finding.remedy(remedy));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for (field, _) in definition.fields() {
                if defined.field(field).is_none() && !is_related(field, &defined) {
                    let what = format!("the company has no field {field}; the column is left out");
                    found
                        .findings
                        .push(Finding::new(Severity::Info, definition.stream, what));
                }
            }
            let contract = Contract::new(definition, &defined)?;
            let name = contract.descriptor.name.clone();
            found.order.push(name.clone());
            found.contracts.insert(name, Arc::new(contract));
        }
        Ok(found)
    }

    async fn contract(&self, stream: &StreamDescriptor) -> Result<Arc<Contract>> {
        let contract = self.found().await?.contracts.get(stream.name.as_str());
        contract.map(Arc::clone).ok_or_else(|| {
            let what = "the company has no such stream; discover lists those that it has";
            Error::new(ErrorKind::NotFound, what).with("stream", stream.name.as_str())
        })
    }

    async fn pages(&self, request: ReadRequest) -> Result<BoxStream<'static, Result<SourceBatch>>> {
        let contract = self.contract(&request.stream).await?;
        let client = &self.client;
        match (contract.reading, request.selection) {
            (Reading::ByModified, Selection::Changes { window, after }) => {
                Ok(reading::changes(client, contract, window, after))
            }
            (Reading::Whole, Selection::Changes { .. }) => Ok(reading::whole(client, contract)),
            (Reading::ByPeriod, Selection::Changes { .. }) => {
                Ok(balances::read(client.clone(), contract).boxed())
            }
            (Reading::ByModified | Reading::Whole, Selection::Keys) => {
                Ok(reading::keys(client, contract))
            }
            (_, selection) => {
                let what = "this stream cannot be read in that way";
                Err(Error::new(ErrorKind::Unsupported, what)
                    .with("selection", format!("{selection:?}")))
            }
        }
    }

    /// Whether the user may read an object: a page of one record tells, `lookup` does not.
    async fn probe(&self, contract: &Contract) -> Result<Option<Finding>> {
        let stream = contract.descriptor.name.as_str();
        if contract.reading == Reading::ByPeriod {
            return Ok(None);
        }
        let query = Query::new(contract.object.clone(), contract.key.iter().cloned())
            .and_then(|query| query.with_page_size(1))
            .map_err(request_error)?;
        match self
            .client
            .query_as::<serde::de::IgnoredAny>(query)
            .try_next()
            .await
        {
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => {
                let remedy =
                    "grant the user's role View permission on the object, or leave the stream out";
                let what = format!("the user may not read it: {error}");
                Ok(Some(
                    Finding::new(Severity::Failure, stream, what).remedy(remedy),
                ))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A request that this adapter built wrongly: no data of a user's goes into it but names.
fn request_error(error: intacct_xml::Error) -> Error {
    Error::new(ErrorKind::Config, "a request cannot be built").caused_by(error)
}

fn is_absent(error: &crate::Error) -> bool {
    error.kind() == ClientErrorKind::Permission || matches!(error.reason(), Reason::UnknownObject)
}

#[async_trait]
impl Source for IntacctSource {
    fn name(&self) -> &str {
        "intacct"
    }

    fn company(&self) -> &str {
        &self.company
    }

    async fn now(&self) -> Result<OffsetDateTime> {
        Ok(self.client.source_time().await?)
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        let session = self.client.login().await?;
        let user = session.user_id.unwrap_or_default();
        let what = format!("user {user} is logged in to company {}", self.company);
        let mut findings = vec![Finding::new(Severity::Info, "session", what)];
        let found = self.found().await?;
        findings.extend(found.findings.iter().cloned());
        for name in &found.order {
            if let Some(contract) = found.contracts.get(name) {
                findings.extend(self.probe(contract).await?);
            }
        }
        Ok(findings)
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        let found = self.found().await?;
        let contracts = found
            .order
            .iter()
            .filter_map(|name| found.contracts.get(name));
        Ok(contracts
            .map(|contract| (*contract.descriptor).clone())
            .collect())
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        stream::once(self.pages(request)).try_flatten().boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let contract = self.contract(&query.stream).await?;
        match contract.reading {
            // Aggregates of balances are not documented, so they are read once more and summed here.
            Reading::ByPeriod => {
                let pages = balances::read(self.client.clone(), contract);
                totals::of_pages(pages.boxed(), query).await.map(Some)
            }
            Reading::ByModified | Reading::Whole => {
                totals::by_aggregates(&self.client, &contract, query)
                    .await
                    .map(Some)
            }
        }
    }

    fn calls(&self, stream: &StreamName) -> u64 {
        let definition = DEFINITIONS.iter().find(|it| it.stream == stream.as_str());
        let Some(definition) = definition else {
            return 0;
        };
        let counts = self.client.calls();
        let own = counts.iter().filter(|(function, object, _)| match object {
            Some(object) => *object == definition.object,
            // `readMore` names no object, and only balances are read by it.
            None => *function == "readMore" && definition.reading == Reading::ByPeriod,
        });
        own.map(|(_, _, count)| count.sent).sum()
    }
}

impl fmt::Debug for IntacctSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntacctSource")
            .field("company", &self.company)
            .finish_non_exhaustive()
    }
}

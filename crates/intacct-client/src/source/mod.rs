//! A company's books as a [`Source`] of the default streams, and of any other object.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sync_core::ledger_check::LedgerCheck;
use sync_core::{
    ControlTotals, Deletion, Error, ErrorKind, Finding, ReadRequest, RecordKey, RecordTexts,
    Reread, Result, Selection, Severity, Source, SourceBatch, StreamDescriptor, StreamName,
    TotalsQuery, Window,
};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use crate::Client;
use crate::error::Reason;

mod audit;
mod balances;
mod blueprint;
mod catalogue;
mod conditions;
mod contract;
mod discovery;
mod failure;
mod hierarchy;
mod notes;
mod options;
mod permissions;
mod probing;
mod reading;
mod totals;

pub use options::{
    Books, DefaultStreams, FieldChoice, ObjectStream, SourceOptions, UserDefinedDimensions,
};
pub use permissions::remedy as permission_remedy;

use audit::AuditLog;
use catalogue::Reading;
use contract::Contract;
use discovery::{Found, Known};
use notes::Notes;
use reading::Reader;

/// The books of one company: 19 default streams, from the chart of accounts to ledger lines and
/// account balances, and whatever other objects are added.
///
/// What a company has, and what the user may read of it, is found out once, when it is first asked
/// for: fields that it lacks or that queries refuse are left out, its custom fields and user-defined
/// dimensions are added.
pub struct IntacctSource {
    client: Client,
    /// The client in the zone of the source's timestamps, as it was when the run began.
    in_zone: Mutex<Option<Client>>,
    company: String,
    options: SourceOptions,
    found: OnceCell<Found>,
    notes: Arc<Notes>,
    audit: AuditLog,
}

impl IntacctSource {
    /// The books that this client's user may read.
    pub fn new(client: Client) -> Self {
        Self::with_options(client, SourceOptions::default())
    }

    /// Those of them that the options name, and in the way that they name.
    pub fn with_options(client: Client, options: SourceOptions) -> Self {
        let company = client.config().credentials.user.company_id.clone();
        Self {
            client,
            in_zone: Mutex::default(),
            company,
            options,
            found: OnceCell::new(),
            notes: Arc::default(),
            audit: AuditLog::default(),
        }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn found(&self) -> Result<&Found> {
        let discover = || async {
            let client = self.in_zone().await?;
            discovery::discover(&client, &self.options, &self.notes).await
        };
        self.found.get_or_try_init(discover).await
    }

    /// The client that reads and writes timestamps in the right zone.
    async fn in_zone(&self) -> Result<Client> {
        let known = self
            .in_zone
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match known {
            Some(client) => Ok(client),
            None => self.ask_for_zone().await,
        }
    }

    async fn ask_for_zone(&self) -> Result<Client> {
        let client = self.client.in_source_zone().await?;
        let mut known = self.in_zone.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(client.clone());
        Ok(client)
    }

    async fn known(&self, stream: &StreamDescriptor) -> Result<&Known> {
        let known = self.found().await?.streams.get(stream.name.as_str());
        known.ok_or_else(|| {
            let what = "the company has no such stream; discover lists those that it has";
            Error::new(ErrorKind::NotFound, what).with("stream", stream.name.as_str())
        })
    }

    /// A stream that the user may read.
    async fn readable(&self, stream: &StreamDescriptor) -> Result<Arc<Contract>> {
        let known = self.known(stream).await?;
        match &known.denied {
            None => Ok(Arc::clone(&known.contract)),
            Some(denied) => Err(denied.error()),
        }
    }

    async fn reader(&self, stream: &StreamDescriptor) -> Result<Reader> {
        Ok(Reader {
            client: self.in_zone().await?.labelled(stream.name.as_str()),
            contract: self.readable(stream).await?,
            notes: Arc::clone(&self.notes),
        })
    }

    async fn pages(&self, request: ReadRequest) -> Result<BoxStream<'static, Result<SourceBatch>>> {
        let reader = self.reader(&request.stream).await?;
        match (reader.contract.reading, request.selection) {
            (Reading::ByModified, Selection::Changes { window, after }) => {
                Ok(reader.changes(window, after))
            }
            (Reading::Whole, Selection::Changes { .. }) => Ok(reader.whole()),
            (Reading::ByOffset, Selection::Changes { .. }) => Ok(reader.by_offset()),
            (Reading::ByPeriod, Selection::Changes { .. }) => Ok(self.balances(reader).boxed()),
            (Reading::ByModified | Reading::Whole, Selection::Keys) => Ok(reader.all_keys()),
            (Reading::ByModified | Reading::Whole, Selection::KeysOfPeriods(days)) => {
                Ok(reader.keys_of(&days))
            }
            (Reading::ByModified | Reading::Whole, Selection::Matching(conditions)) => {
                Ok(reader.matching(&conditions))
            }
            (Reading::ByOffset, Selection::Matching(conditions)) => {
                Ok(conditions::those_that_meet(reader.by_offset(), conditions))
            }
            (Reading::ByPeriod, Selection::Matching(conditions)) => {
                let balances = self.balances(reader).boxed();
                Ok(conditions::those_that_meet(balances, conditions))
            }
            (_, selection) => {
                let what = "this stream cannot be read in that way";
                Err(Error::new(ErrorKind::Unsupported, what)
                    .with("selection", format!("{selection:?}")))
            }
        }
    }

    async fn told_deletions(
        &self,
        stream: &StreamDescriptor,
        window: Window,
    ) -> Result<Vec<Deletion>> {
        let Some(from) = window.from else {
            return Ok(Vec::new());
        };
        let found = self.found().await?;
        let contract = self.readable(stream).await?;
        let contracts = found.streams.values().map(|known| &known.contract);
        let objects = contracts.flat_map(|it| [Some(&it.object), it.owner.as_ref()]);
        let objects = objects.flatten().map(|it| it.as_str().to_ascii_lowercase());
        let objects = objects.collect();
        let client = self.in_zone().await?;
        let lag = self.options.audit_lag;
        let span = (from - lag, window.until - lag);
        let told = self
            .audit
            .deletions(&client, &contract, &objects, span, window.until);
        told.await.inspect_err(|error| {
            let what = format!(
                "the audit history could not be read in this run, so keys are compared: {}",
                error.chain()
            );
            self.notes
                .add(Finding::new(Severity::Warning, "audit history", what));
        })
    }

    fn balances(
        &self,
        reader: Reader,
    ) -> impl futures_util::Stream<Item = Result<SourceBatch>> + Send + 'static {
        balances::read(reader.client, reader.contract, self.options.books.clone())
    }
}

/// A request that this adapter built wrongly: no data of a user's goes into it but names.
fn request_error(error: intacct_xml::Error) -> Error {
    Error::new(ErrorKind::Config, "a request cannot be built").caused_by(error)
}

/// Whether the gateway says of an object that the user may not read it, or that there is none.
fn is_absent(error: &crate::Error) -> bool {
    matches!(error.reason(), Reason::Permission | Reason::UnknownObject)
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
        // A run begins here, and daylight saving time may have moved the zone since the last one.
        self.ask_for_zone().await?;
        Ok(self.client.source_time().await?)
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        let session = self.client.login().await?;
        let user = session.user_id.unwrap_or_default();
        let what = format!("user {user} is logged in to company {}", self.company);
        let mut findings = vec![Finding::new(Severity::Info, "session", what)];
        let found = self.found().await?;
        for name in &found.order {
            if let Some(known) = found.streams.get(name) {
                let readable = match (known.contract.reading, &known.denied) {
                    (Reading::ByPeriod, None) => {
                        let books = &self.options.books;
                        balances::probe(&self.client, &known.contract, books).await?
                    }
                    (_, denied) => denied.clone(),
                };
                findings.push(match readable {
                    Some(denied) => denied.finding(name),
                    None => known.summary(),
                });
            }
        }
        findings.extend(self.notes.all());
        Ok(findings)
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        let found = self.found().await?;
        let known = found.order.iter().filter_map(|it| found.streams.get(it));
        Ok(known
            .map(|known| (*known.contract.descriptor).clone())
            .collect())
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        stream::once(self.pages(request)).try_flatten().boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let reader = self.reader(&query.stream).await?;
        match reader.contract.reading {
            // Aggregates of balances are not documented, so they are read once more and summed here.
            Reading::ByPeriod => {
                let pages = self.balances(reader);
                totals::of_pages(pages.boxed(), query).await.map(Some)
            }
            Reading::ByModified | Reading::Whole | Reading::ByOffset => {
                totals::by_aggregates(&reader, query).await.map(Some)
            }
        }
    }

    fn deletions(
        &self,
        stream: Arc<StreamDescriptor>,
        window: Window,
    ) -> BoxStream<'_, Result<Vec<Deletion>>> {
        stream::once(async move { self.told_deletions(&stream, window).await }).boxed()
    }

    async fn existing(
        &self,
        stream: &Arc<StreamDescriptor>,
        keys: &[RecordKey],
    ) -> Result<Option<Vec<RecordKey>>> {
        let reader = self.reader(stream).await?;
        if reader.contract.key.len() != 1 {
            return Ok(None);
        }
        reader.existing(keys).await.map(Some)
    }

    async fn reread(
        &self,
        stream: &Arc<StreamDescriptor>,
        records: &[RecordTexts],
    ) -> Result<Option<Vec<Reread>>> {
        let reader = self.reader(stream).await?;
        reader.reread(records).await.map(Some)
    }

    async fn ledger_checks(&self) -> Result<Vec<LedgerCheck>> {
        let found = self.found().await?;
        Ok(balances::check(&found.streams).into_iter().collect())
    }

    fn findings(&self) -> Vec<Finding> {
        self.notes.all()
    }

    fn calls(&self, stream: &StreamName) -> u64 {
        self.client.calls().of_label(stream.as_str()).sent
    }
}

impl fmt::Debug for IntacctSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntacctSource")
            .field("company", &self.company)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

//! `readReport`: a report that runs on the gateway and is fetched page by page.
//!
//! developer.intacct.com, Custom reports and Account balances.

use std::time::Duration;

use intacct_xml::Error as XmlError;
use intacct_xml::metadata::ReportDefinition;
use intacct_xml::request::{Function, ReadMore, ReadReport};
use intacct_xml::response::{Block, DataStart, RecordEnd, RecordTarget, Records};
use serde::de::DeserializeOwned;
use sync_http::Moment;

use crate::batch::Batching;
use crate::client::{Client, Work};
use crate::error::{Error, ErrorKind, Reason, Result};
use crate::function::{describe, not_understood};
use crate::listing::Progress;
use crate::page::{Page, Pager, Pages};
use crate::query::missing;
use crate::read_by_query::cursor_lost;
use crate::transport::new_control_id;

/// How a report is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportPolling {
    /// The wait before it is first asked for; each further wait is twice as long. Default 5 seconds.
    pub first: Duration,
    /// The longest wait. Default 1 minute. Every question is a call.
    pub longest: Duration,
    /// How long it may take in all. Default 1 hour.
    pub deadline: Duration,
}

impl Default for ReportPolling {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            deadline: Duration::from_secs(60 * 60),
        }
    }
}

impl ReportPolling {
    /// The same waiting for no longer than this.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same waiting with these waits: the first, and the longest.
    #[must_use]
    pub const fn with_waits(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// The wait behind one of this length.
    fn next(&self, wait: Duration) -> Duration {
        wait.saturating_mul(2).min(self.longest)
    }
}

impl Client {
    /// Runs a report and gives its pages, as structs, once it is ready.
    ///
    /// The stream ends with an error of kind `Timeout` and reason [`Reason::ReportPending`] when the report is not ready
    /// in time, and of kind `Conflict` when its rest cannot be had: reason [`Reason::CursorLost`] when the gateway does
    /// not know it any more, as it deletes a report with its last page, even if that never arrived;
    /// [`Reason::TotalChanged`] when a page is missing. In all three run the report again.
    pub fn read_report_as<T: DeserializeOwned + Send + 'static>(
        &self,
        report: ReadReport,
        polling: ReportPolling,
    ) -> Pages<Page<Vec<T>>> {
        self.read_report_into(report, polling, Records::<T>::new())
    }

    /// Runs a report and gives its pages as Arrow batches; otherwise as [`read_report_as`](Self::read_report_as).
    #[cfg(feature = "arrow")]
    pub fn read_report_batches(
        &self,
        report: ReadReport,
        polling: ReportPolling,
        schema: arrow_schema::SchemaRef,
    ) -> Pages<Page<intacct_xml::response::Page>> {
        match self.columns(schema) {
            Ok(columns) => self.read_report_into(report, polling, columns),
            Err(error) => Pages::failed(error),
        }
    }

    /// What a report's parameters and columns are; made with [`ReadReport::definition`].
    ///
    /// # Errors
    /// `Config` for a request that would run the report.
    pub async fn report_definition(&self, report: ReadReport) -> Result<ReportDefinition> {
        if !report.is_definition() {
            let message = "the request runs the report instead of asking what it is; use ReadReport::definition";
            return Err(Error::invalid(message));
        }
        let records = self.records_of(report).await?;
        ReportDefinition::from_records(&records)
            .map_err(|source| not_understood("readReport", source))
    }

    fn read_report_into<B: Batching>(
        &self,
        report: ReadReport,
        polling: ReportPolling,
        batching: B,
    ) -> Pages<Page<B::Records>> {
        if report.is_definition() {
            let message =
                "the request asks what the report is instead of running it; use report_definition";
            return Pages::failed(Error::invalid(message));
        }
        Pages::new(ReportPager {
            client: self.clone(),
            report,
            polling,
            batching,
            number: 0,
            state: State::NotStarted,
        })
    }
}

struct ReportPager<B> {
    client: Client,
    report: ReadReport,
    polling: ReportPolling,
    batching: B,
    number: u64,
    state: State,
}

enum State {
    NotStarted,
    Running {
        report_id: String,
        since: Moment,
        wait: Duration,
    },
    Ready {
        report_id: String,
        progress: Progress,
    },
    Ended,
}

impl<B: Batching> Pager for ReportPager<B> {
    type Page = Page<B::Records>;

    async fn next_page(&mut self) -> Result<Option<Self::Page>> {
        loop {
            let (report_id, before) = match &self.state {
                State::Ended => return Ok(None),
                State::NotStarted => (None, None),
                State::Running { report_id, .. } => {
                    let report_id = report_id.clone();
                    self.wait().await?;
                    (Some(report_id), None)
                }
                State::Ready {
                    report_id,
                    progress,
                } => (Some(report_id.clone()), Some(*progress)),
            };
            if let Some(page) = self.ask(report_id, before).await? {
                return Ok(Some(page));
            }
        }
    }
}

impl<B: Batching> ReportPager<B> {
    /// Waits until it is time to ask again.
    async fn wait(&mut self) -> Result<()> {
        let State::Running { since, wait, .. } = &mut self.state else {
            return Ok(());
        };
        let timing = &self.client.config().timing;
        if timing.monotonic().since(*since).saturating_add(*wait) > self.polling.deadline {
            let message =
                "the report was not ready in time; run it again with a longer deadline or for less";
            let error = Error::new(ErrorKind::Timeout, Reason::ReportPending, message);
            let seconds = self.polling.deadline.as_secs();
            return Err(self.describe(error).with("seconds", seconds.to_string()));
        }
        timing.sleep(*wait).await;
        *wait = self.polling.next(*wait);
        Ok(())
    }

    /// Starts the report, or asks for its next page. None when it is not ready.
    async fn ask(
        &mut self,
        report_id: Option<String>,
        before: Option<Progress>,
    ) -> Result<Option<Page<B::Records>>> {
        let control_id = new_control_id()?;
        let functions = [match &report_id {
            None => Function::new(control_id, self.report.clone()),
            Some(id) => Function::new(control_id, ReadMore::report(id).map_err(Error::unwritable)?),
        }];
        let mut target = StatusOrRecords {
            records: self.batching.target(),
            status: None,
            in_status: false,
        };
        let outcome = self.client.send(Work::one(&functions), &mut target).await;
        let status = target.status.take();
        let sent = match outcome {
            Ok(sent) => sent,
            Err(error) if report_id.is_some() => return Err(self.describe(gone(error))),
            Err(error) => return Err(self.describe(error)),
        };
        let [function] = &functions;
        let report = self.report.report().to_owned();
        let wrong = |error| describe(error, function).with("report", &report);
        if let Some(status) = status {
            if before.is_some() {
                let message = "the report is no longer ready after its first page; run it again";
                let error = Error::new(ErrorKind::Conflict, Reason::CursorLost, message);
                return Err(wrong(error));
            }
            self.go_on_waiting(status, function)?;
            return Ok(None);
        }
        let result = sent.result(function)?;
        let data = result.data.clone().unwrap_or_default();
        let progress = Progress::after(before, &data, result.records).map_err(&wrong)?;
        let page = Page {
            records: self.batching.take(0..)?,
            number: self.number,
            count: result.records,
            total: Some(progress.total),
            dropped_characters: sent.response().dropped_characters,
        };
        self.number += 1;
        self.state = match report_id {
            _ if progress.remaining == 0 => State::Ended,
            Some(report_id) => State::Ready {
                report_id,
                progress,
            },
            None => return Err(wrong(missing("REPORTID"))),
        };
        Ok(Some(page))
    }

    fn go_on_waiting(&mut self, status: Status, function: &Function) -> Result<()> {
        let refused = |this: &Self, kind, reason, message: &str| {
            this.describe(describe(Error::new(kind, reason, message), function))
        };
        // A report that is done answers with its records, so any other word than these means that it never will.
        let pending = ["PENDING", "DONE", "RUNNING", "INPROGRESS"];
        let word = status.word.unwrap_or_default();
        if !pending
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&word))
        {
            let message = "the report failed on the gateway; run it again";
            let error = refused(self, ErrorKind::Rejected, Reason::Function, message);
            return Err(error.with("status", word));
        }
        match &self.state {
            State::Running { .. } => {}
            _ => {
                let Some(report_id) = status.report_id else {
                    return Err(self.describe(describe(missing("REPORTID"), function)));
                };
                self.state = State::Running {
                    report_id,
                    since: self.client.config().timing.monotonic(),
                    wait: self.polling.first,
                };
            }
        }
        Ok(())
    }

    fn describe(&self, error: Error) -> Error {
        error.with("report", self.report.report())
    }
}

/// A report is deleted with its last page, whether that arrived or not; any refusal of its id means that it is gone.
fn gone(error: Error) -> Error {
    if error.level().is_none() || error.is_transient() {
        return error;
    }
    let message = "the report is gone: its rest can no longer be had; run it again";
    cursor_lost(error, message)
}

/// What a report answers before it has records.
#[derive(Debug, Default)]
struct Status {
    report_id: Option<String>,
    word: Option<String>,
}

/// Takes a report's status out of an answer, and leaves everything else to the target of its records.
struct StatusOrRecords<'t> {
    records: &'t mut (dyn RecordTarget + Send),
    status: Option<Status>,
    in_status: bool,
}

const STATUS: &str = "report_results";

impl RecordTarget for StatusOrRecords<'_> {
    fn begin_response(&mut self) -> std::result::Result<(), XmlError> {
        self.status = None;
        self.in_status = false;
        self.records.begin_response()
    }

    fn begin_data(&mut self, data: &DataStart<'_>) -> std::result::Result<(), XmlError> {
        self.records.begin_data(data)
    }

    fn attribute(
        &mut self,
        element: &str,
        name: &str,
        value: &str,
    ) -> std::result::Result<(), XmlError> {
        if self.in_status || element == STATUS {
            return Ok(());
        }
        self.records.attribute(element, name, value)
    }

    fn begin_record(&mut self, name: &str) -> std::result::Result<(), XmlError> {
        if name == STATUS {
            self.in_status = true;
            self.status = Some(Status::default());
            return Ok(());
        }
        self.records.begin_record(name)
    }

    fn field(&mut self, name: &str, value: Option<&str>) -> std::result::Result<(), XmlError> {
        match &mut self.status {
            Some(status) if self.in_status => {
                match name {
                    "REPORTID" => status.report_id = value.map(str::to_owned),
                    "STATUS" => status.word = value.map(|word| word.trim().to_owned()),
                    _ => {}
                }
                Ok(())
            }
            _ => self.records.field(name, value),
        }
    }

    fn begin_group(&mut self, name: &str) -> std::result::Result<(), XmlError> {
        if self.in_status {
            Ok(())
        } else {
            self.records.begin_group(name)
        }
    }

    fn end_group(&mut self, name: &str) -> std::result::Result<(), XmlError> {
        if self.in_status {
            Ok(())
        } else {
            self.records.end_group(name)
        }
    }

    fn text(&mut self, text: &str) -> std::result::Result<(), XmlError> {
        if self.in_status {
            Ok(())
        } else {
            self.records.text(text)
        }
    }

    fn end_record(&mut self) -> std::result::Result<RecordEnd, XmlError> {
        if std::mem::take(&mut self.in_status) {
            return Ok(RecordEnd::Done);
        }
        self.records.end_record()
    }

    fn records(&mut self, block: &Block<'_>) -> std::result::Result<(), XmlError> {
        if block.record_name() == STATUS {
            return block.replay(self);
        }
        self.records.records(block)
    }

    fn end_data(&mut self) -> std::result::Result<(), XmlError> {
        self.records.end_data()
    }
}

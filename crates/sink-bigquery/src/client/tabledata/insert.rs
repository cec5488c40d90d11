//! Sending rows until each is decided.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use sync_http::header::HeaderValue;
use sync_http::{Method, Phase, Retry};
use time::OffsetDateTime;
use url::Url;

use super::request::{Part, body, halves, parts, refuse_doubles};
use super::verdict::verdict;
use super::{
    FreshTables, InsertFailure, InsertOptions, InsertOutcome, InsertRow, InvalidRow, Tabledata,
};
use crate::client::names::TableRef;
use crate::client::reason::{Reason, rule_for};
use crate::client::tables::Table;
use crate::client::transport::{Call, JSON, parsed};
use crate::error::{Error, ErrorKind, Result, ServiceError};

/// A connection that breaks on a larger body than this may have been broken by its size: BigQuery's front end does so.
const MAYBE_TOO_LARGE: usize = 1_000_000;

/// How long a table that exists is waited for to be known to streaming.
const PROPAGATION: Duration = Duration::from_secs(600);

impl Tabledata<'_> {
    /// Streams rows into a table that exists, and says of each what became of it.
    ///
    /// - Requests are cut by [`InsertOptions`], halved where BigQuery finds them too large, and sent several at once.
    /// - What is lost on the way is sent again with the same insert ids.
    /// - Rows that only shared a request with an invalid one are sent again without it.
    ///
    /// # Errors
    ///
    /// - Reason `FreshTable` when the table was made or changed too recently: nothing was sent, and the error says how long
    ///   to wait.
    /// - `NotFound` when there is no such table.
    /// - `Config` when two rows have the same insert id, or the options are out of bounds.
    /// - Otherwise what stopped it. [`InsertFailure`] says which rows are decided all the same.
    pub async fn insert_all(
        self,
        table: &TableRef,
        rows: &[InsertRow],
        options: &InsertOptions,
    ) -> std::result::Result<InsertOutcome, InsertFailure> {
        let nothing_sent = |error: Error| InsertFailure {
            error: error.with("table", table.to_string()),
            outcome: InsertOutcome::default(),
            undecided: (0..rows.len()).collect(),
        };
        options.check().map_err(nothing_sent)?;
        refuse_doubles(rows).map_err(nothing_sent)?;
        if rows.is_empty() {
            return Ok(InsertOutcome::default());
        }
        self.warm(table, options).await.map_err(nothing_sent)?;
        let insertion = Insertion {
            tabledata: self,
            table,
            url: self.address(table).map_err(nothing_sent)?,
            rows,
            options,
            stopped: Mutex::new(None),
        };
        insertion.run().await
    }

    /// Returns once the table may be streamed into, or refuses.
    async fn warm(&self, table: &TableRef, options: &InsertOptions) -> Result<()> {
        if options.fresh_tables == FreshTables::Allow {
            return Ok(());
        }
        let warmth = &self.client.warmth;
        loop {
            let left = match warmth.left(table, options.warm_up) {
                Some(left) => left,
                None => {
                    warmth.made(table, self.made(table).await?);
                    continue;
                }
            };
            if left.is_zero() {
                return Ok(());
            }
            if options.fresh_tables == FreshTables::Refuse {
                let message = "the table was made or changed too recently to be streamed into: rows could be lost; wait, \
                               or load into it meanwhile";
                return Err(
                    Error::new(ErrorKind::Unavailable, Reason::FreshTable, message)
                        .retrying(Retry::After(left))
                        .in_phase(Phase::NotSent)
                        .with("seconds_left", left.as_secs().to_string()),
                );
            }
            tracing::info!(%table, seconds = left.as_secs(), "waiting until the table may be streamed into");
            self.client.timing().sleep(left).await;
        }
    }

    /// When the table was made, by this machine's clock as far as the answer tells the difference.
    async fn made(&self, table: &TableRef) -> Result<OffsetDateTime> {
        let whole = table.whole_table();
        let transport = &self.client.transport;
        let segments = [
            "projects",
            whole.project_id.as_str(),
            "datasets",
            whole.dataset_id.as_str(),
            "tables",
            whole.table_id.as_str(),
        ];
        let url = transport.api(&segments, &[])?;
        let call = Call::get("tables.get", url);
        let (found, date) = transport
            .repeat(&call, |_attempt| async {
                let answer = transport.send(&call).await?;
                Ok((parsed::<Table>(&answer)?, answer.date()))
            })
            .await?;
        let now = self.client.timing().now();
        // A table of unknown age counts as new.
        let Some(millis) = found.creation_time else {
            return Ok(now);
        };
        let made = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
        let made = made.map_err(|source| {
            Error::broken("the table was made at no time that there is").caused_by(source)
        })?;
        let ahead = date.map_or(time::Duration::ZERO, |date| now - date);
        Ok(made.saturating_add(ahead))
    }

    fn address(&self, table: &TableRef) -> Result<Url> {
        let segments = [
            "projects",
            table.project_id.as_str(),
            "datasets",
            table.dataset_id.as_str(),
            "tables",
            table.table_id.as_str(),
            "insertAll",
        ];
        self.client.transport.api(&segments, &[])
    }
}

/// The rows of one call on their way.
struct Insertion<'a> {
    tabledata: Tabledata<'a>,
    table: &'a TableRef,
    url: Url,
    rows: &'a [InsertRow],
    options: &'a InsertOptions,
    /// What stopped the first part that failed; no further part begins then.
    stopped: Mutex<Option<Error>>,
}

/// What became of the rows of one part.
#[derive(Default)]
struct Tally {
    outcome: InsertOutcome,
    undecided: Part,
}

/// How one request went.
enum Step {
    /// All its rows are decided.
    Done,
    /// It was too large.
    Split,
}

impl Insertion<'_> {
    async fn run(self) -> std::result::Result<InsertOutcome, InsertFailure> {
        let (parts, too_large) = parts(self.rows, self.options);
        let mut all = Tally::default();
        all.outcome.invalid = too_large.into_iter().map(row_too_large).collect();
        let tallies = futures_util::stream::iter(parts)
            .map(|part| self.deliver(part))
            .buffer_unordered(self.options.at_once)
            .collect::<Vec<_>>()
            .await;
        for tally in tallies {
            all.outcome.inserted += tally.outcome.inserted;
            all.outcome.invalid.extend(tally.outcome.invalid);
            all.undecided.extend(tally.undecided);
        }
        all.outcome.invalid.sort_by_key(|row| row.index);
        all.undecided.sort_unstable();
        let stopped = self.stopped.into_inner();
        match stopped.unwrap_or_else(PoisonError::into_inner) {
            None => Ok(all.outcome),
            Some(error) => Err(InsertFailure {
                error,
                outcome: all.outcome,
                undecided: all.undecided,
            }),
        }
    }

    /// Sends a part until each of its rows is decided, in smaller parts where it has to be.
    async fn deliver(&self, part: Part) -> Tally {
        let mut tally = Tally::default();
        let mut waiting = vec![part];
        while let Some(part) = waiting.pop() {
            if self.is_stopped() {
                tally.undecided.extend(part);
                continue;
            }
            let part = Mutex::new(part);
            let call = Call::new("tabledata.insertAll", Method::POST, self.url.clone())
                .about("table", self.table);
            let transport = &self.tabledata.client.transport;
            let shared = Mutex::new(&mut tally);
            let sent = transport
                .repeat(&call, |attempt| self.send(&call, &part, &shared, attempt))
                .await;
            let left = part.into_inner().unwrap_or_else(PoisonError::into_inner);
            match sent {
                Ok(Step::Done) => {}
                Ok(Step::Split) => match halves(self.rows, &left) {
                    Some((front, back)) => {
                        tracing::info!(table = %self.table, rows = left.len(), "the request is too large and is halved");
                        waiting.extend([back, front]);
                    }
                    None => tally
                        .outcome
                        .invalid
                        .extend(left.into_iter().map(row_too_large)),
                },
                Err(error) => {
                    tally.undecided.extend(left);
                    self.stop(error);
                }
            }
        }
        tally
    }

    /// Sends what is left of a part, and takes out of it what is decided.
    async fn send(
        &self,
        call: &Call,
        part: &Mutex<Part>,
        tally: &Mutex<&mut Tally>,
        attempt: u32,
    ) -> Result<Step> {
        loop {
            let current = part.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let body = body(self.rows, &current, self.options);
            let bytes = body.len();
            let call = call.clone().with_body(HeaderValue::from_static(JSON), body);
            let answer = match self.known(&call).await {
                Ok(answer) => answer,
                Err(error) if error.reason() == Reason::RequestTooLarge => return Ok(Step::Split),
                // Once more as it is; then it may be its size.
                Err(error)
                    if attempt > 1
                        && bytes > MAYBE_TOO_LARGE
                        && current.len() > 1
                        && error.kind() == ErrorKind::Unavailable
                        && error.reason() == Reason::Connection
                        && error.phase() == Phase::MaybeReceived =>
                {
                    return Ok(Step::Split);
                }
                Err(error) => return Err(error),
            };
            let verdict = verdict(&answer, &current)?;
            let decided = verdict.inserted + verdict.invalid.len();
            {
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.outcome.inserted += verdict.inserted;
                let invalid = verdict.invalid.into_iter();
                let invalid = invalid.map(|(index, errors)| InvalidRow { index, errors });
                tally.outcome.invalid.extend(invalid);
            }
            let is_done = verdict.again.is_empty();
            *part.lock().unwrap_or_else(PoisonError::into_inner) = verdict.again;
            if is_done {
                return Ok(Step::Done);
            }
            if decided == 0
                || verdict
                    .cause
                    .as_ref()
                    .is_some_and(|cause| cause.reason != "stopped")
            {
                return Err(not_taken(verdict.cause));
            }
        }
    }

    /// Sends a request; while the table exists and streaming does not know it yet, again and again.
    async fn known(&self, call: &Call) -> Result<sync_http::Answer> {
        let client = self.tabledata.client;
        let started = client.timing().monotonic();
        let mut pause = Duration::from_secs(1);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match client.transport.send(call).await {
                Err(error) if error.kind() == ErrorKind::NotFound => error,
                other => return other,
            };
            // Nothing of its own to tell: the table is not there.
            client.tables().get(&self.table.whole_table()).await?;
            if client.timing().monotonic().since(started) + pause > PROPAGATION {
                let message = "the table exists and streaming does not know it yet; send the rows again later, or load them";
                return Err(
                    Error::new(ErrorKind::Unavailable, Reason::FreshTable, message)
                        .retrying(Retry::Backoff)
                        .caused_by(error)
                        .exhausted_after(attempts),
                );
            }
            client.timing().sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    fn stop(&self, error: Error) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.get_or_insert(error);
    }
}

/// Rows that BigQuery did not take this time.
fn not_taken(cause: Option<ServiceError>) -> Error {
    let told: Vec<_> = cause.into_iter().collect();
    let rule = rule_for(None, &told);
    let (kind, reason) = match rule.reason {
        Reason::Stopped | Reason::HttpStatus => (ErrorKind::Unavailable, Reason::Backend),
        reason => (rule.kind, reason),
    };
    Error::new(kind, reason, "BigQuery did not take some of the rows")
        .retrying(Retry::Backoff)
        .telling(told)
}

fn row_too_large(index: usize) -> InvalidRow {
    let error = ServiceError {
        reason: "rowTooLarge".to_owned(),
        location: None,
        message: "the row is larger than BigQuery takes in one request; load it instead".to_owned(),
    };
    InvalidRow {
        index,
        errors: vec![error],
    }
}

//! Rows by streaming: tabledata.insertAll.
//!
//! Streaming is at least once. BigQuery leaves out a row whose insert id it has seen within the last minute or so, and
//! promises nothing; so a reader has to count rows by a column of their own. Where rows must be there exactly once, load
//! them (BigQuery documentation, "Streaming data").

mod insert;
mod request;
mod verdict;
mod warmth;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) use self::warmth::Warmth;
use crate::client::BigQuery;
use crate::error::{Error, Result, ServiceError};

/// Longest insert id, in characters.
const LONGEST_INSERT_ID: usize = 128;

/// A row to be streamed: a JSON object and its insert id.
#[derive(Clone)]
pub struct InsertRow {
    insert_id: Option<String>,
    json: Box<RawValue>,
}

impl InsertRow {
    /// A row. Its insert id is a function of its content: the same row has the same id however often it is sent, another
    /// has another. At most 128 visible ASCII characters.
    ///
    /// # Errors
    ///
    /// `Config` when the id is too long, or the row is no JSON object.
    pub fn new(insert_id: impl Into<String>, row: &impl Serialize) -> Result<Self> {
        let json = serde_json::value::to_raw_value(row)
            .map_err(|_| Error::config("the row cannot be written as JSON"))?;
        Self::checked(Some(insert_id.into()), json)
    }

    /// A row that is written already: one JSON object. Nulls are best left out, decimals stand in strings.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_json(insert_id: impl Into<String>, row: String) -> Result<Self> {
        // serde_json quotes what it does not understand; the row stays out of the error.
        let json = RawValue::from_string(row)
            .map_err(|_| Error::config("the row is not one JSON value"))?;
        Self::checked(Some(insert_id.into()), json)
    }

    /// The same row without an insert id. It is then sent twice, and is there twice, whenever an answer is lost.
    #[must_use]
    pub fn without_insert_id(mut self) -> Self {
        self.insert_id = None;
        self
    }

    /// Its insert id.
    #[must_use]
    pub fn insert_id(&self) -> Option<&str> {
        self.insert_id.as_deref()
    }

    /// The row as JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        self.json.get()
    }

    fn checked(insert_id: Option<String>, json: Box<RawValue>) -> Result<Self> {
        let fits = |id: &String| {
            (1..=LONGEST_INSERT_ID).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !insert_id.as_ref().is_none_or(fits) {
            return Err(Error::config(
                "an insert id has 1 to 128 visible ASCII characters",
            ));
        }
        if !json.get().starts_with('{') {
            return Err(Error::config("a row is a JSON object, column by column"));
        }
        Ok(Self { insert_id, json })
    }
}

impl fmt::Debug for InsertRow {
    /// The id and how long the row is; not what is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InsertRow")
            .field("insert_id", &self.insert_id)
            .field("bytes", &self.json.get().len())
            .finish()
    }
}

/// How rows are streamed. The defaults are for finance: what does not fit is told, not dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertOptions {
    /// Rows of a request at most. BigQuery advises 500, the default, and takes 50,000.
    pub max_rows: usize,
    /// Bytes of a request at most. Default 4 MB; BigQuery takes 10, and 9 MB are the most here, since it counts in a form
    /// of its own.
    pub max_bytes: usize,
    /// Requests at once. Default 4.
    pub at_once: usize,
    /// What is done about a table that is too new, or was changed too recently.
    pub fresh_tables: FreshTables,
    /// How old that is. Default 10 minutes.
    pub warm_up: Duration,
    /// Whether values without a column are left out in silence. Default no: the row is invalid.
    pub ignore_unknown_values: bool,
    /// Whether the good rows of a request are taken although others are invalid. Default no: nothing of such a request is
    /// taken, and its good rows are sent again without the others, which comes to the same.
    pub skip_invalid_rows: bool,
}

impl Default for InsertOptions {
    fn default() -> Self {
        Self {
            max_rows: 500,
            max_bytes: 4_000_000,
            at_once: 4,
            fresh_tables: FreshTables::Refuse,
            warm_up: Duration::from_secs(600),
            ignore_unknown_values: false,
            skip_invalid_rows: false,
        }
    }
}

impl InsertOptions {
    /// The same options with requests of at most so many rows and bytes.
    #[must_use]
    pub const fn with_request_size(mut self, max_rows: usize, max_bytes: usize) -> Self {
        self.max_rows = max_rows;
        self.max_bytes = max_bytes;
        self
    }

    /// The same options with so many requests at once.
    #[must_use]
    pub const fn with_at_once(mut self, at_once: usize) -> Self {
        self.at_once = at_once;
        self
    }

    /// The same options, doing this about fresh tables, which are those younger than `warm_up`.
    #[must_use]
    pub const fn with_fresh_tables(mut self, fresh: FreshTables, warm_up: Duration) -> Self {
        self.fresh_tables = fresh;
        self.warm_up = warm_up;
        self
    }

    /// The same options, taking the good rows of a request in the first go.
    #[must_use]
    pub const fn skipping_invalid_rows(mut self) -> Self {
        self.skip_invalid_rows = true;
        self
    }

    fn check(&self) -> Result<()> {
        if !(1..=request::MOST_ROWS).contains(&self.max_rows) {
            return Err(Error::config("a request of insertAll has 1 to 50,000 rows")
                .with("max_rows", self.max_rows.to_string()));
        }
        if !(1_000..=request::MOST_BYTES).contains(&self.max_bytes) {
            return Err(
                Error::config("a request of insertAll has 1,000 to 9,000,000 bytes")
                    .with("max_bytes", self.max_bytes.to_string()),
            );
        }
        if self.at_once == 0 {
            return Err(Error::config(
                "at least one request has to be allowed at once",
            ));
        }
        Ok(())
    }
}

/// What is done about a table that is too new to be streamed into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FreshTables {
    /// An error that says how long to wait. Load into it meanwhile: loads know a table at once.
    #[default]
    Refuse,
    /// It is waited for.
    Wait,
    /// Nothing: rows may be lost although BigQuery acknowledged them. For emulators.
    Allow,
}

/// What became of rows. The positions are those of the rows that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InsertOutcome {
    /// How many are in the table.
    pub inserted: usize,
    /// Those that BigQuery does not take, and why. They are not in the table.
    pub invalid: Vec<InvalidRow>,
}

/// A row that BigQuery does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidRow {
    /// Its position in the rows that were given.
    pub index: usize,
    /// What is wrong: BigQuery's reasons, the column in `location`. Reason `rowTooLarge` is this client's own.
    pub errors: Vec<ServiceError>,
}

/// Streaming stopped before every row was decided.
#[derive(Clone, Debug)]
pub struct InsertFailure {
    /// What stopped it.
    pub error: Error,
    /// What became of rows until then.
    pub outcome: InsertOutcome,
    /// The rows of which nobody knows, or that were not sent: all these have to be sent again, with the same insert ids.
    pub undecided: Vec<usize>,
}

impl fmt::Display for InsertFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows are not decided: {}",
            self.undecided.len(),
            self.error
        )
    }
}

impl std::error::Error for InsertFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<InsertFailure> for Error {
    fn from(failure: InsertFailure) -> Self {
        let undecided = failure.undecided.len().to_string();
        failure.error.with("undecided_rows", undecided)
    }
}

/// Streaming into the tables of a [`BigQuery`].
#[derive(Clone, Copy, Debug)]
pub struct Tabledata<'a> {
    pub(crate) client: &'a BigQuery,
}

//! The steps from one version of the tables to the next, the same for every store but for the words of
//! its database.

/// The version of the tables that this software works with.
pub(super) const VERSION: i64 = 4;

/// What a database calls things.
pub(super) struct Words {
    /// The type of whole numbers.
    pub(super) integer: &'static str,
    /// The type of bytes.
    pub(super) bytes: &'static str,
    /// The type of yes and no.
    pub(super) flag: &'static str,
    /// No.
    pub(super) no: &'static str,
    /// The type of texts that are ordered by their bytes.
    pub(super) ordered: &'static str,
    /// What follows a table's columns.
    pub(super) table: &'static str,
    /// The same where the primary key is how its rows are found.
    pub(super) table_by_key: &'static str,
    /// The column at fault of a letter that an older version kept.
    pub(super) fault: &'static str,
}

/// From version 3: what became of dead letters, and which batch sends which of them again; what was
/// promised of streams, and which are to be read whole once more for it; what was read of windows; and
/// closed periods.
pub(super) fn from_version_3(words: &Words) -> String {
    let Words {
        integer,
        bytes,
        flag,
        no,
        ordered,
        table,
        table_by_key,
        fault,
    } = words;
    format!(
        "
ALTER TABLE dead_letters ADD COLUMN class TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE dead_letters ADD COLUMN fault TEXT;
ALTER TABLE dead_letters ADD COLUMN status TEXT NOT NULL DEFAULT 'open';
ALTER TABLE dead_letters ADD COLUMN attempts {integer} NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN attempted_at TEXT;
ALTER TABLE dead_letters ADD COLUMN attempt_reason TEXT;
ALTER TABLE dead_letters ADD COLUMN closed_at TEXT;
ALTER TABLE dead_letters ADD COLUMN resolved_by TEXT;
ALTER TABLE dead_letters ADD COLUMN note TEXT;
ALTER TABLE dead_letters ADD COLUMN closed_by TEXT;
UPDATE dead_letters SET class = 'unreadable' WHERE batch IS NULL;
UPDATE dead_letters SET fault = {fault};
CREATE INDEX dead_letters_waiting ON dead_letters (scope, key)
    WHERE status IN ('open', 'retried');
CREATE TABLE retried_letters (
    scope {integer} NOT NULL REFERENCES scopes,
    batch TEXT NOT NULL,
    row {integer} NOT NULL,
    letter {integer} NOT NULL REFERENCES dead_letters,
    PRIMARY KEY (scope, batch, row)
){table_by_key};
ALTER TABLE scopes ADD COLUMN descriptor TEXT;
ALTER TABLE scopes ADD COLUMN window_records_read {integer} NOT NULL DEFAULT 0;
ALTER TABLE scopes ADD COLUMN window_is_read {flag} NOT NULL DEFAULT {no};
ALTER TABLE batches ADD COLUMN letters_before {integer};
CREATE TABLE contracts (
    pipeline TEXT NOT NULL,
    stream TEXT NOT NULL,
    contract TEXT NOT NULL,
    PRIMARY KEY (pipeline, stream)
){table_by_key};
CREATE TABLE rereads (
    scope {integer} PRIMARY KEY REFERENCES scopes
){table};
CREATE TABLE verified_periods (
    scope {integer} NOT NULL REFERENCES scopes,
    period {ordered} NOT NULL,
    records {integer} NOT NULL,
    sums TEXT NOT NULL,
    content {bytes} NOT NULL,
    verified_at TEXT NOT NULL,
    PRIMARY KEY (scope, period)
){table_by_key};
"
    )
}

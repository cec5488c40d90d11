//! The tables that are kept beside the data: which batches are there, how runs ended, and whether all of it
//! equals the source.

use sync_core::{
    Batch, BatchId, BatchPlace, Decimal, Error, ErrorKind, Receipt, Rejection, Result, RunMark,
    TieOutRecord,
};
use time::OffsetDateTime;

use super::column_type::ColumnType;
use super::moment;
use super::names::{all_quoted, quoted};
use super::request::{Request, Struct, Value};

/// One row a batch, written once its rows are there.
pub(super) const BATCHES: &str = "sync_batch";

/// One row a run that has ended.
pub(super) const RUNS: &str = "sync_run";

/// One row a comparison with the source, and one for each difference that it found.
pub(super) const TIE_OUTS: &str = "sync_tie_out";

/// The names that no stream may have.
pub(super) const NAMES: [&str; 3] = [BATCHES, RUNS, TIE_OUTS];

/// A column of a table of the bookkeeping: name, type, whether null is refused, and what it holds.
pub(super) type Kept = (&'static str, ColumnType, bool, &'static str);

const BATCH_COLUMNS: [Kept; 13] = [
    ("batch_id", ColumnType::Text, true, "The batch"),
    (
        "stream",
        ColumnType::Text,
        true,
        "The stream, which is its table's name",
    ),
    (
        "pipeline",
        ColumnType::Text,
        true,
        "The pipeline that brought it",
    ),
    ("company", ColumnType::Text, true, "Whose books these are"),
    ("operation", ColumnType::Text, true, "upsert or delete"),
    (
        "window_from",
        ColumnType::Timestamp,
        false,
        "The begin of the window that was read",
    ),
    (
        "window_until",
        ColumnType::Timestamp,
        true,
        "The end of the window that was read",
    ),
    (
        "ordinal",
        ColumnType::Integer,
        true,
        "The batch's number in its window",
    ),
    ("rows", ColumnType::Integer, true, "How many rows it has"),
    (
        "rejected",
        ColumnType::Text,
        true,
        "The rows that could not be written, as JSON",
    ),
    (
        "ledger_entry",
        ColumnType::Text,
        false,
        "The hash of the ledger's entry that prepared it",
    ),
    (
        "written_at",
        ColumnType::Timestamp,
        true,
        "When it was written, last",
    ),
    (
        "writes",
        ColumnType::Integer,
        true,
        "How often it was written",
    ),
];

const RUN_COLUMNS: [Kept; 8] = [
    ("run_id", ColumnType::Text, true, "The run"),
    ("pipeline", ColumnType::Text, true, "The pipeline"),
    ("company", ColumnType::Text, true, "Whose books these are"),
    ("ended_at", ColumnType::Timestamp, true, "When it ended"),
    (
        "is_complete",
        ColumnType::Boolean,
        true,
        "Whether every stream was brought up to date",
    ),
    (
        "ties_out",
        ColumnType::Boolean,
        true,
        "Whether every stream equals the source",
    ),
    (
        "ledger_sequence",
        ColumnType::Integer,
        true,
        "The number of the ledger's entry that ended it",
    ),
    (
        "ledger_entry",
        ColumnType::Text,
        true,
        "The hash of that entry",
    ),
];

const TIE_OUT_COLUMNS: [Kept; 20] = [
    ("run", ColumnType::Text, true, "The run"),
    ("stream", ColumnType::Text, true, "The stream"),
    ("checked", ColumnType::Text, true, "What was compared"),
    (
        "number",
        ColumnType::Integer,
        true,
        "0 for the verdict, or the number of the difference",
    ),
    ("pipeline", ColumnType::Text, true, "The pipeline"),
    ("company", ColumnType::Text, true, "Whose books these are"),
    (
        "verdict",
        ColumnType::Text,
        true,
        "equal, explained, different or not_compared",
    ),
    (
        "as_of",
        ColumnType::Timestamp,
        false,
        "The time that the comparison is as of",
    ),
    (
        "compared_at",
        ColumnType::Timestamp,
        true,
        "When it was made",
    ),
    (
        "measure",
        ColumnType::Text,
        true,
        "What differs: records, or the column whose sums do",
    ),
    (
        "group_values",
        ColumnType::Text,
        false,
        "The group, as JSON",
    ),
    ("book", ColumnType::Text, false, "The group's book"),
    (
        "entity",
        ColumnType::Text,
        false,
        "The group's entity or location",
    ),
    (
        "period",
        ColumnType::Text,
        false,
        "The group's period or day",
    ),
    ("account", ColumnType::Text, false, "The group's account"),
    (
        "source_value",
        ColumnType::BigNumeric,
        false,
        "What the source has",
    ),
    (
        "destination_value",
        ColumnType::BigNumeric,
        false,
        "What the destination has",
    ),
    (
        "difference",
        ColumnType::BigNumeric,
        false,
        "What the source has more",
    ),
    ("explanation", ColumnType::Text, false, "Why, in words"),
    (
        "ledger_entry",
        ColumnType::Text,
        true,
        "The hash of the ledger's entry that says the same",
    ),
];

/// What tells the rows of a comparison from those of others.
const COMPARISON: [&str; 3] = ["run", "stream", "checked"];

/// The columns of a row of [`TIE_OUTS`] that are the row's own; the others are the comparison's.
const OF_ROW: [&str; 10] = [
    "number",
    "measure",
    "group_values",
    "book",
    "entity",
    "period",
    "account",
    "source_value",
    "destination_value",
    "difference",
];

/// The columns of one of [`NAMES`].
pub(super) fn columns(name: &str) -> &'static [Kept] {
    match name {
        BATCHES => &BATCH_COLUMNS,
        RUNS => &RUN_COLUMNS,
        _ => &TIE_OUT_COLUMNS,
    }
}

/// The columns by which one of [`NAMES`] is clustered.
pub(super) fn clustered_by(name: &str) -> &'static [&'static str] {
    match name {
        BATCHES => &["batch_id"],
        RUNS => &["pipeline"],
        _ => &["run", "stream"],
    }
}

/// What one of [`NAMES`] holds, for people.
pub(super) fn description(name: &str) -> &'static str {
    match name {
        BATCHES => "One row a batch whose rows are in their table",
        RUNS => "One row a run that has ended",
        _ => "One row a comparison with the source, and one for each difference that it found",
    }
}

/// Looks for a batch. Gives what [`Mark::read`] takes.
pub(super) fn find_batch(batches: &str, batch: BatchId) -> Request {
    let sql = format!(
        "SELECT {} FROM {batches} WHERE {} = @batch_id",
        all_quoted(["rejected", "written_at", "writes"]),
        quoted("batch_id")
    );
    Request::new(sql).with("batch_id", Value::Text(batch.to_string()))
}

/// Forgets the batches of a table that is no longer there: a batch whose rows are gone has not landed.
pub(super) fn forget(batches: &str, stream: &str) -> Request {
    let sql = format!("DELETE FROM {batches} WHERE {} = @stream", quoted("stream"));
    Request::new(sql).with("stream", Value::Text(stream.to_owned()))
}

/// A pipeline's entries of the ledger that a table keeps, in hex.
pub(super) fn ledger_entries(table: &str, pipeline: &str) -> Request {
    let entry = quoted("ledger_entry");
    let sql = format!(
        "SELECT DISTINCT {entry} FROM {table} WHERE {} = @pipeline AND {entry} IS NOT NULL",
        quoted("pipeline")
    );
    Request::new(sql).with("pipeline", Value::Text(pipeline.to_owned()))
}

/// The tables that keep entries of the ledger.
pub(super) const WITH_LEDGER_ENTRIES: [&str; 2] = [BATCHES, RUNS];

/// What the bookkeeping says of a batch that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) receipt: Receipt,
    /// How often it was written.
    pub(super) writes: i64,
}

impl Mark {
    /// From the columns that [`find_batch`] gives.
    pub(super) fn read(
        batch: BatchId,
        rejected: Option<&str>,
        written_at: Option<OffsetDateTime>,
        writes: Option<i64>,
    ) -> Result<Self> {
        let damaged = |column: &str| {
            let what = "the row that says that the batch is there is damaged: restore the table as it was \
                        before, or drop the stream's table and read the stream anew";
            Error::new(ErrorKind::Data, what)
                .with("table", BATCHES)
                .with("column", column)
                .with("batch", batch.to_string())
        };
        let at = written_at.ok_or_else(|| damaged("written_at"))?;
        let writes = writes.ok_or_else(|| damaged("writes"))?;
        let rejected = rejected.ok_or_else(|| damaged("rejected"))?;
        let rejected: Vec<Rejection> =
            serde_json::from_str(rejected).map_err(|error| damaged("rejected").caused_by(error))?;
        let mut receipt = Receipt::durable(batch, at);
        receipt.rejected = rejected;
        Ok(Self { receipt, writes })
    }
}

/// Notes a batch, or that it was written again. With what `before` says of rows that are left out this time.
pub(super) fn note_batch(
    batches: &str,
    batch: &Batch,
    receipt: &Receipt,
    before: Option<&Receipt>,
) -> Result<Request> {
    let columns = BATCH_COLUMNS.map(|(name, ..)| name);
    let given = columns.map(|name| match name {
        "window_from" => "CAST(NULLIF(@window_from, '') AS TIMESTAMP)".to_owned(),
        "ledger_entry" => "NULLIF(@ledger_entry, '')".to_owned(),
        "writes" => "1".to_owned(),
        other => format!("@{other}"),
    });
    let sql = format!(
        "MERGE {batches} AS held USING (SELECT @batch_id AS {id}) AS noted ON held.{id} = noted.{id} \
         WHEN MATCHED THEN UPDATE SET {rejected} = @rejected, {written_at} = @written_at, \
         {writes} = held.{writes} + 1 WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        all_quoted(columns),
        given.join(", "),
        id = quoted("batch_id"),
        rejected = quoted("rejected"),
        written_at = quoted("written_at"),
        writes = quoted("writes"),
    );
    let BatchPlace {
        pipeline,
        company,
        operation,
        window,
        ordinal,
    } = batch.place();
    let text = |text: &str| Value::Text(text.to_owned());
    let entry = batch.ledger_entry().map(|entry| entry.to_string());
    Ok(Request::new(sql)
        .with("batch_id", Value::Text(batch.id().to_string()))
        .with("stream", text(batch.stream().name.as_str()))
        .with("pipeline", text(pipeline))
        .with("company", text(company))
        .with("operation", text(operation.as_str()))
        .with("window_from", Value::Text(optional(window.from)))
        .with("window_until", Value::Timestamp(window.until))
        .with("ordinal", Value::Integer(number(*ordinal)?))
        .with("rows", Value::Integer(number(batch.of_whole() as u64)?))
        .with(
            "rejected",
            Value::Text(rejected_of_whole(batch, receipt, before)?),
        )
        .with("ledger_entry", Value::Text(entry.unwrap_or_default()))
        .with("written_at", Value::Timestamp(receipt.at)))
}

/// The rejected rows of the whole batch as JSON: of those that were written now, and of those that were
/// left out, as it was told before.
fn rejected_of_whole(batch: &Batch, receipt: &Receipt, before: Option<&Receipt>) -> Result<String> {
    let mut rejected: Vec<Rejection> = Vec::with_capacity(receipt.rejected.len());
    for rejection in &receipt.rejected {
        let row = batch.row_of_whole(rejection.row);
        rejected.push(Rejection {
            row,
            ..rejection.clone()
        });
    }
    let written: std::collections::HashSet<usize> = (0..batch.len())
        .map(|row| batch.row_of_whole(row))
        .collect();
    let before = before.into_iter().flat_map(|receipt| &receipt.rejected);
    let left_out = before.filter(|rejection| !written.contains(&rejection.row));
    rejected.extend(left_out.cloned());
    rejected.sort_by_key(|rejection| rejection.row);
    serde_json::to_string(&rejected).map_err(|error| {
        let what = "the refused rows cannot be written down";
        Error::new(ErrorKind::Internal, what).caused_by(error)
    })
}

/// Notes how a run ended, where it is not noted.
pub(super) fn note_run(runs: &str, run: &RunMark) -> Result<Request> {
    let columns = RUN_COLUMNS.map(|(name, ..)| name);
    let sql = format!(
        "MERGE {runs} AS held USING (SELECT @run_id AS {id}) AS noted ON held.{id} = noted.{id} \
         WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        all_quoted(columns),
        columns.map(|name| format!("@{name}")).join(", "),
        id = quoted("run_id"),
    );
    Ok(Request::new(sql)
        .with("run_id", Value::Text(run.run.to_string()))
        .with("pipeline", Value::Text(run.pipeline.clone()))
        .with("company", Value::Text(run.company.clone()))
        .with("ended_at", Value::Timestamp(run.ended_at))
        .with("is_complete", Value::Boolean(run.is_complete))
        .with("ties_out", Value::Boolean(run.ties_out))
        .with(
            "ledger_sequence",
            Value::Integer(number(run.ledger_sequence)?),
        )
        .with("ledger_entry", Value::Text(run.ledger_entry.to_string())))
}

/// Puts the outcome of a comparison in the place of an earlier one of the same run, stream and check, in one
/// statement.
pub(super) fn note_tie_out(tie_outs: &str, record: &TieOutRecord) -> Result<Request> {
    let columns = TIE_OUT_COLUMNS.map(|(name, ..)| name);
    let shown = OF_ROW.map(|name| format!("r.{0} AS {0}", quoted(name)));
    let shown = shown.join(", ");
    let given = TIE_OUT_COLUMNS.map(|(name, column_type, required, _)| {
        let is_of_row = OF_ROW.contains(&name) || name == "explanation";
        let value = if is_of_row {
            format!("noted.{}", quoted(name))
        } else {
            format!("@{name}")
        };
        match (required, column_type) {
            (true, _) => value,
            (false, ColumnType::Text) => format!("NULLIF({value}, '')"),
            (false, other) => format!("CAST(NULLIF({value}, '') AS {})", other.name()),
        }
    });
    let same = COMPARISON.map(|name| format!("held.{} = @{name}", quoted(name)));
    let sql = format!(
        "MERGE {tie_outs} AS held USING (SELECT {shown}, r.{explanation} AS {explanation} \
         FROM UNNEST(@rows) AS r) AS noted ON FALSE \
         WHEN NOT MATCHED BY SOURCE AND {} THEN DELETE \
         WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        same.join(" AND "),
        all_quoted(columns),
        given.join(", "),
        explanation = quoted("explanation"),
    );
    let decimal = |number: Option<Decimal>| number.map(|it| it.to_string()).unwrap_or_default();
    let mut rows = Vec::new();
    for row in record.rows() {
        let text = |text: Option<String>| Value::Text(text.unwrap_or_default());
        rows.push(Struct(vec![
            ("number", Value::Integer(number(row.number)?)),
            ("measure", Value::Text(row.measure)),
            ("group_values", text(row.group)),
            ("book", text(row.book)),
            ("entity", text(row.entity)),
            ("period", text(row.period)),
            ("account", text(row.account)),
            ("source_value", Value::Text(decimal(row.source))),
            ("destination_value", Value::Text(decimal(row.destination))),
            ("difference", Value::Text(decimal(row.difference))),
            ("explanation", text(row.explanation)),
        ]));
    }
    Ok(Request::new(sql)
        .with("run", Value::Text(record.run.to_string()))
        .with("stream", Value::Text(record.stream.to_string()))
        .with("checked", Value::Text(record.check.as_str().to_owned()))
        .with("pipeline", Value::Text(record.pipeline.clone()))
        .with("company", Value::Text(record.company.clone()))
        .with("verdict", Value::Text(record.tie_out.verdict().to_owned()))
        .with("as_of", Value::Text(optional(record.tie_out.as_of())))
        .with("compared_at", Value::Timestamp(record.compared_at))
        .with("ledger_entry", Value::Text(record.ledger_entry.to_string()))
        .with("rows", Value::Structs(rows)))
}

/// A time as text, or none as the empty text: no parameter may be null.
fn optional(time: Option<OffsetDateTime>) -> String {
    time.map(moment::text).unwrap_or_default()
}

fn number(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|error| {
        let what = "a number is beyond what a table can hold";
        Error::new(ErrorKind::Data, what).caused_by(error)
    })
}

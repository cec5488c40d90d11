//! The tables that are kept beside the data: which batches are there, how runs ended, what columns hold,
//! and whether all of it equals the source.

use sync_core::{
    BatchId, BatchPlace, Decimal, Error, ErrorKind, Receipt, Rejection, Result, RunMark,
    TieOutRecord,
};
use time::OffsetDateTime;

use crate::column_type::ColumnType;
use crate::delivery::Delivery;
use crate::dialect::{Dialect, identifiers};
use crate::stored_time;
use crate::table::Table;

/// One row a batch, written in the transaction that writes its rows.
pub(crate) const BATCHES: &str = "sync_batch";

/// One row a run that has ended.
pub(crate) const RUNS: &str = "sync_run";

/// One row a column: its type, and the source's name for it.
pub(crate) const COLUMNS: &str = "sync_column";

/// One row a comparison with the source, and one for each difference that it found.
pub(crate) const TIE_OUTS: &str = "sync_tie_out";

/// The names that no stream may have.
pub(crate) const NAMES: [&str; 4] = [BATCHES, RUNS, COLUMNS, TIE_OUTS];

const BATCH_COLUMNS: [(&str, ColumnType, bool); 12] = [
    ("batch_id", ColumnType::Text, true),
    ("stream", ColumnType::Text, true),
    ("pipeline", ColumnType::Text, true),
    ("company", ColumnType::Text, true),
    ("operation", ColumnType::Text, true),
    ("window_from", ColumnType::Timestamp, false),
    ("window_until", ColumnType::Timestamp, true),
    ("ordinal", ColumnType::Integer, true),
    ("rows", ColumnType::Integer, true),
    ("rejected", ColumnType::Text, true),
    ("ledger_entry", ColumnType::Text, false),
    ("written_at", ColumnType::Timestamp, true),
];

const RUN_COLUMNS: [(&str, ColumnType, bool); 8] = [
    ("run_id", ColumnType::Text, true),
    ("pipeline", ColumnType::Text, true),
    ("company", ColumnType::Text, true),
    ("ended_at", ColumnType::Timestamp, true),
    ("is_complete", ColumnType::Boolean, true),
    ("ties_out", ColumnType::Boolean, true),
    ("ledger_sequence", ColumnType::Integer, true),
    ("ledger_entry", ColumnType::Text, true),
];

const COLUMN_COLUMNS: [(&str, ColumnType, bool); 5] = [
    ("table_name", ColumnType::Text, true),
    ("column_name", ColumnType::Text, true),
    ("column_type", ColumnType::Text, true),
    ("source_name", ColumnType::Text, true),
    ("source_type", ColumnType::Text, true),
];

pub(crate) const TIE_OUT_COLUMNS: [(&str, ColumnType, bool); 20] = [
    ("run", ColumnType::Text, true),
    ("stream", ColumnType::Text, true),
    ("checked", ColumnType::Text, true),
    ("number", ColumnType::Integer, true),
    ("pipeline", ColumnType::Text, true),
    ("company", ColumnType::Text, true),
    ("verdict", ColumnType::Text, true),
    ("as_of", ColumnType::Timestamp, false),
    ("compared_at", ColumnType::Timestamp, true),
    ("measure", ColumnType::Text, true),
    ("group_values", ColumnType::Text, false),
    ("book", ColumnType::Text, false),
    ("entity", ColumnType::Text, false),
    ("period", ColumnType::Text, false),
    ("account", ColumnType::Text, false),
    ("source_value", EXACT, false),
    ("destination_value", EXACT, false),
    ("difference", EXACT, false),
    ("explanation", ColumnType::Text, false),
    ("ledger_entry", ColumnType::Text, true),
];

/// A number of as many places as it has.
const EXACT: ColumnType = ColumnType::Decimal { scale: 0 };

/// What tells rows of [`TIE_OUTS`] apart; all but the last is a comparison.
const TIE_OUT_KEY: [&str; 4] = ["run", "stream", "checked", "number"];

/// The statement that takes back an earlier outcome of the same comparison. Its arguments are run, stream
/// and check.
pub(crate) fn forget_tie_out(dialect: &dyn Dialect) -> String {
    let same = TIE_OUT_KEY.iter().take(3).zip(1..).map(|(name, position)| {
        format!(
            "{} = {}",
            dialect.identifier(name),
            dialect.argument(position)
        )
    });
    format!(
        "DELETE FROM {} WHERE {}",
        dialect.table(TIE_OUTS),
        same.collect::<Vec<_>>().join(" AND ")
    )
}

/// The statement that notes one row of a comparison. Its arguments are [`tie_out_rows`]'s, all of them
/// texts but the number.
pub(crate) fn note_tie_out(dialect: &dyn Dialect) -> String {
    let names = TIE_OUT_COLUMNS.map(|(name, _, _)| name);
    let arguments: Vec<_> = (1..)
        .zip(TIE_OUT_COLUMNS)
        .map(|(position, (_, column_type, _))| dialect.text_argument(position, column_type))
        .collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        dialect.table(TIE_OUTS),
        identifiers(dialect, names),
        arguments.join(", ")
    )
}

/// A value of a row of [`TIE_OUTS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(Option<String>),
    Number(i64),
}

/// The rows of a comparison, in the order of [`TIE_OUT_COLUMNS`].
pub(crate) fn tie_out_rows(record: &TieOutRecord) -> Vec<Vec<Cell>> {
    let text = |text: &str| Cell::Text(Some(text.to_owned()));
    let number = |number: Option<Decimal>| Cell::Text(number.map(|it| it.to_string()));
    let rows = record.rows().into_iter();
    let rows = rows.map(|row| {
        vec![
            text(&record.run.to_string()),
            text(record.stream.as_str()),
            text(record.check.as_str()),
            Cell::Number(i64::try_from(row.number).unwrap_or(i64::MAX)),
            text(&record.pipeline),
            text(&record.company),
            text(record.tie_out.verdict()),
            Cell::Text(record.tie_out.as_of().map(stored_time::text)),
            text(&stored_time::text(record.compared_at)),
            text(&row.measure),
            Cell::Text(row.group),
            Cell::Text(row.book),
            Cell::Text(row.entity),
            Cell::Text(row.period),
            Cell::Text(row.account),
            number(row.source),
            number(row.destination),
            number(row.difference),
            Cell::Text(row.explanation),
            text(&record.ledger_entry.to_string()),
        ]
    });
    rows.collect()
}

/// The statement that makes one of [`NAMES`], where it is not there.
pub(crate) fn create(dialect: &dyn Dialect, name: &str) -> String {
    let (columns, key): (&[_], &[_]) = match name {
        BATCHES => (&BATCH_COLUMNS, &["batch_id"]),
        RUNS => (&RUN_COLUMNS, &["run_id"]),
        TIE_OUTS => (&TIE_OUT_COLUMNS, &TIE_OUT_KEY),
        _ => (&COLUMN_COLUMNS, &["table_name", "column_name"]),
    };
    let mut lines: Vec<String> = Vec::with_capacity(columns.len() + 1);
    for (column, column_type, required) in columns {
        let not_null = if *required { " NOT NULL" } else { "" };
        let declared = match column_type {
            // What differs may have more places than either side's column.
            ColumnType::Decimal { .. } => dialect.any_number().to_owned(),
            column_type => dialect.type_of(*column_type),
        };
        let column = dialect.identifier(column);
        lines.push(format!("  {column} {declared}{not_null}"));
    }
    let key = identifiers(dialect, key.iter().copied());
    lines.push(format!("  PRIMARY KEY ({key})"));
    format!(
        "CREATE TABLE IF NOT EXISTS {} (\n{}\n){}",
        dialect.table(name),
        lines.join(",\n"),
        dialect.table_suffix()
    )
}

/// The statements that forget what was there of a table that no longer is: a batch whose rows are
/// gone has not landed.
pub(crate) fn forget(dialect: &dyn Dialect, table: &str) -> [String; 2] {
    let delete = |from: &str, column: &str| {
        format!(
            "DELETE FROM {} WHERE {} = {}",
            dialect.table(from),
            dialect.identifier(column),
            dialect.literal(table)
        )
    };
    [delete(BATCHES, "stream"), delete(COLUMNS, "table_name")]
}

/// The statement that notes what columns of a table hold.
pub(crate) fn note_columns(dialect: &dyn Dialect, table: &Table, columns: &[&str]) -> String {
    let mut rows = Vec::with_capacity(columns.len());
    for column in &table.columns {
        if let Some((source_name, source_type)) = &column.source
            && columns.contains(&column.name.as_str())
        {
            let values = [
                &table.name,
                &column.name,
                column.column_type.as_str(),
                source_name,
                source_type,
            ]
            .map(|text| dialect.literal(text));
            rows.push(format!("  ({})", values.join(", ")));
        }
    }
    let names = COLUMN_COLUMNS.map(|(name, _, _)| name);
    format!(
        "INSERT INTO {} ({}) VALUES\n{}\nON CONFLICT ({}) DO UPDATE SET {}",
        dialect.table(COLUMNS),
        identifiers(dialect, names),
        rows.join(",\n"),
        identifiers(dialect, names[..2].iter().copied()),
        names[2..]
            .iter()
            .map(|name| dialect.identifier(name))
            .map(|name| format!("{name} = excluded.{name}"))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// The statement that gives names and types of a table's columns. Its argument is the table.
pub(crate) fn noted_columns(dialect: &dyn Dialect) -> String {
    format!(
        "SELECT {} FROM {} WHERE {} = {}",
        identifiers(dialect, ["column_name", "column_type"]),
        dialect.table(COLUMNS),
        dialect.identifier("table_name"),
        dialect.argument(1)
    )
}

/// The statement that looks for a batch. Its argument is the id; it gives what
/// [`receipt_from`] takes.
pub(crate) fn find_batch(dialect: &dyn Dialect) -> String {
    format!(
        "SELECT {} FROM {} WHERE {} = {}",
        [
            dialect.identifier("rejected"),
            dialect.as_text(&dialect.identifier("written_at"), ColumnType::Timestamp)
        ]
        .join(", "),
        dialect.table(BATCHES),
        dialect.identifier("batch_id"),
        dialect.argument(1)
    )
}

/// The tables that keep entries of the ledger.
pub(crate) const WITH_LEDGER_ENTRIES: [&str; 2] = [BATCHES, RUNS];

/// The statement that gives a pipeline's entries of the ledger, in hex, that one of
/// [`WITH_LEDGER_ENTRIES`] keeps. Its argument is the pipeline.
pub(crate) fn ledger_entries(dialect: &dyn Dialect, table: &str) -> String {
    let entry = dialect.identifier("ledger_entry");
    format!(
        "SELECT {entry} FROM {} WHERE {} = {} AND {entry} IS NOT NULL",
        dialect.table(table),
        dialect.identifier("pipeline"),
        dialect.argument(1)
    )
}

/// The statement that notes a batch, or that it was written again. Its arguments are those of [`Marker`],
/// in the order of its fields.
pub(crate) fn note_batch(dialect: &dyn Dialect) -> String {
    let again = ["rejected", "written_at"]
        .map(|name| dialect.identifier(name))
        .map(|name| format!("{name} = excluded.{name}"));
    format!(
        "{} ON CONFLICT ({}) DO UPDATE SET {}",
        insert(dialect, BATCHES, &BATCH_COLUMNS),
        dialect.identifier("batch_id"),
        again.join(", ")
    )
}

/// The statement that notes a run, where it is not noted. Its arguments are those of [`RunRow`], in the
/// order of its fields.
pub(crate) fn note_run(dialect: &dyn Dialect) -> String {
    let insert = insert(dialect, RUNS, &RUN_COLUMNS);
    format!("{insert} ON CONFLICT DO NOTHING")
}

fn insert(dialect: &dyn Dialect, table: &str, columns: &[(&str, ColumnType, bool)]) -> String {
    let names = columns.iter().map(|(name, _, _)| *name);
    let arguments: Vec<_> = (1..)
        .zip(columns)
        .map(|(position, (_, column_type, _))| dialect.text_argument(position, *column_type))
        .collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        dialect.table(table),
        identifiers(dialect, names),
        arguments.join(", ")
    )
}

/// The statement that tells whether a later batch of the same pipeline is there. Its arguments are
/// stream, pipeline, company, the end of the window and the ordinal.
pub(crate) fn later_batch(dialect: &dyn Dialect) -> String {
    format!(
        "SELECT 1 FROM {} AS later WHERE {} LIMIT 1",
        dialect.table(BATCHES),
        is_later(dialect, "later")
    )
}

/// Whether a batch comes after the one that [`later_batch`]'s arguments are of.
pub(crate) fn is_later(dialect: &dyn Dialect, batch: &str) -> String {
    let column = |name: &str| format!("{batch}.{}", dialect.identifier(name));
    format!(
        "{} = {} AND {} = {} AND {} = {} AND ({}, {}) > ({}, {})",
        column("stream"),
        dialect.argument(1),
        column("pipeline"),
        dialect.argument(2),
        column("company"),
        dialect.argument(3),
        column("window_until"),
        column("ordinal"),
        dialect.text_argument(4, ColumnType::Timestamp),
        dialect.argument(5),
    )
}

/// The statement that makes batches quick to find by their order, where that is not there.
pub(crate) fn create_order(dialect: &dyn Dialect) -> String {
    let columns = ["stream", "pipeline", "company", "window_until", "ordinal"];
    format!(
        "CREATE INDEX IF NOT EXISTS {} ON {} ({})",
        dialect.identifier("sync_batch_order"),
        dialect.table(BATCHES),
        identifiers(dialect, columns)
    )
}

/// The row of a batch, ready to be stored.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) batch_id: String,
    pub(crate) stream: String,
    pub(crate) pipeline: String,
    pub(crate) company: String,
    pub(crate) operation: &'static str,
    pub(crate) window_from: Option<String>,
    pub(crate) window_until: String,
    pub(crate) ordinal: i64,
    pub(crate) rows: i64,
    pub(crate) rejected: String,
    pub(crate) ledger_entry: Option<String>,
    pub(crate) written_at: String,
}

impl Marker {
    /// The row that lets [`receipt_from`] give `receipt` back, with what `before` says of rows that are
    /// left out this time.
    pub(crate) fn new(
        delivery: &Delivery,
        receipt: &Receipt,
        before: Option<&Receipt>,
    ) -> Result<Self> {
        let BatchPlace {
            pipeline,
            company,
            operation,
            window,
            ordinal,
        } = &delivery.place;
        let written = &delivery.rows_of_whole;
        let of_whole = |rejection: &Rejection| Rejection {
            row: (written.get(rejection.row).copied()).unwrap_or(rejection.row),
            ..rejection.clone()
        };
        let mut rejected: Vec<_> = receipt.rejected.iter().map(of_whole).collect();
        let left_out = before.into_iter().flat_map(|receipt| &receipt.rejected);
        let left_out = left_out.filter(|it| written.binary_search(&it.row).is_err());
        rejected.extend(left_out.cloned());
        rejected.sort_by_key(|rejection| rejection.row);
        Ok(Self {
            batch_id: delivery.id.to_string(),
            stream: delivery.stream.name.as_str().to_owned(),
            pipeline: pipeline.clone(),
            company: company.clone(),
            operation: operation.as_str(),
            window_from: window.from.map(stored_time::text),
            window_until: stored_time::text(window.until),
            ordinal: number(*ordinal)?,
            rows: number(delivery.of_whole as u64)?,
            rejected: serde_json::to_string(&rejected).map_err(|error| {
                let what = "the refused rows cannot be written down";
                Error::new(ErrorKind::Internal, what).caused_by(error)
            })?,
            ledger_entry: delivery.ledger_entry.map(|entry| entry.to_string()),
            written_at: stored_time::text(receipt.at),
        })
    }
}

/// The row of a run, ready to be stored.
#[derive(Debug)]
pub(crate) struct RunRow {
    pub(crate) run_id: String,
    pub(crate) pipeline: String,
    pub(crate) company: String,
    pub(crate) ended_at: String,
    pub(crate) is_complete: bool,
    pub(crate) ties_out: bool,
    pub(crate) ledger_sequence: i64,
    pub(crate) ledger_entry: String,
}

impl RunRow {
    pub(crate) fn of(run: &RunMark) -> Result<Self> {
        Ok(Self {
            run_id: run.run.to_string(),
            pipeline: run.pipeline.clone(),
            company: run.company.clone(),
            ended_at: stored_time::text(run.ended_at),
            is_complete: run.is_complete,
            ties_out: run.ties_out,
            ledger_sequence: number(run.ledger_sequence)?,
            ledger_entry: run.ledger_entry.to_string(),
        })
    }
}

fn number(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|error| {
        let what = "a number is beyond what a table can hold";
        Error::new(ErrorKind::Data, what).caused_by(error)
    })
}

/// The receipt of a batch that is there, from the columns `rejected` and `written_at`.
pub(crate) fn receipt_from(batch: BatchId, rejected: &str, written_at: &str) -> Result<Receipt> {
    let damaged = |column: &str| {
        let what = "the row that says that the batch is there is damaged: restore the database \
                    from a backup, or drop the stream's table and read the stream anew";
        Error::new(ErrorKind::Data, what)
            .with("table", BATCHES)
            .with("column", column)
            .with("batch", batch.to_string())
    };
    let at = stored_time::read(written_at).ok_or_else(|| damaged("written_at"))?;
    let rejected: Vec<Rejection> =
        serde_json::from_str(rejected).map_err(|error| damaged("rejected").caused_by(error))?;
    let mut receipt = Receipt::durable(batch, at);
    receipt.rejected = rejected;
    Ok(receipt)
}

/// Now, cut to what is stored, so that a receipt read back equals the one first given.
pub(crate) fn stored_now(clock: &dyn sync_core::clock::Clock) -> OffsetDateTime {
    stored_time::cut(clock.now())
}

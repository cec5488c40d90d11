//! Loads synthetic ledger lines into a SQLite file and says how quickly.
//!
//! `cargo run --release -p sink-sql --example load -- [rows] [file]`
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use sink_sql::{SqliteOptions, SqliteSink};
use sync_core::stream::TotalsShape;
use sync_core::{
    Batch, BatchPlace, Operation, Sink, StreamDescriptor, StreamName, TotalsQuery, Window,
};
use time::macros::datetime;

type Failure = Box<dyn std::error::Error>;

const BATCH: usize = 2_000;
const TEXTS: usize = 30;
const AMOUNTS: usize = 8;
const DATES: usize = 5;
const NUMBERS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let rows: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let path = arguments
        .next()
        .map_or_else(|| folder.path().join("load.db"), PathBuf::from);
    let sink = SqliteSink::open(&path, SqliteOptions::default())?;
    let stream = Arc::new(ledger_lines()?);
    sink.prepare(&sink.plan(&stream).await?).await?;

    for (pass, name) in [(0, "new rows"), (1, "the same keys again")] {
        let mut batches = Vec::new();
        let mut seconds = 0.0;
        for first in (0..rows).step_by(BATCH) {
            let lines = lines(&stream.schema, first..(first + BATCH).min(rows), pass)?;
            let ordinal = (first / BATCH) as u64 + pass * 1_000_000;
            batches.push(batch(&stream, &lines, ordinal)?);
            // Made before they are timed, and not all at once: they would not fit memory.
            if batches.len() == 50 || first + BATCH >= rows {
                let start = Instant::now();
                for batch in batches.drain(..) {
                    sink.write(&batch).await?;
                }
                seconds += start.elapsed().as_secs_f64();
            }
        }
        let columns = stream.schema.fields().len();
        println!(
            "{name}: {rows} rows of {columns} columns in {seconds:.2} s, {:.0} rows/s",
            rows as f64 / seconds
        );
    }

    sink.flush(&stream.name).await?;
    let start = Instant::now();
    let totals = sink
        .control_totals(&TotalsQuery::of(Arc::clone(&stream)))
        .await?;
    let groups = totals.map_or(0, |totals| totals.groups.len());
    println!(
        "totals of {groups} groups in {:.2} s; the file has {} MiB",
        start.elapsed().as_secs_f64(),
        std::fs::metadata(&path)?.len() >> 20
    );
    Ok(())
}

fn ledger_lines() -> Result<StreamDescriptor, Failure> {
    let mut fields = vec![
        Field::new("recordno", DataType::Utf8, false),
        Field::new(
            "whenmodified",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ];
    let mut add = |count: usize, name: &str, data_type: DataType| {
        fields
            .extend((0..count).map(|n| Field::new(format!("{name}{n}"), data_type.clone(), true)));
    };
    add(TEXTS, "text", DataType::Utf8);
    add(AMOUNTS, "amount", DataType::Decimal128(38, 9));
    add(DATES, "date", DataType::Date32);
    add(NUMBERS, "number", DataType::Int64);
    let schema = Arc::new(Schema::new(fields));
    let key = vec!["recordno".to_owned()];
    let mut stream = StreamDescriptor::new(StreamName::new("ledger_line")?, schema, key)?;
    stream.modified = Some("whenmodified".to_owned());
    stream.totals = TotalsShape {
        sums: vec!["amount0".to_owned(), "amount1".to_owned()],
        group_by: vec!["text0".to_owned(), "text1".to_owned()],
    };
    Ok(stream)
}

fn lines(
    schema: &SchemaRef,
    range: std::ops::Range<usize>,
    pass: u64,
) -> Result<RecordBatch, Failure> {
    let numbers = || range.clone().map(|line| line as i64);
    let seconds = 1_767_225_600_000_000i64;
    let columns = schema.fields().iter().enumerate().map(|(position, field)| {
        let column = position as i64;
        Ok(match field.data_type() {
            DataType::Utf8 if position == 0 => Arc::new(StringArray::from_iter_values(
                numbers().map(|line| line.to_string()),
            )) as ArrayRef,
            // A third of a ledger line's dimensions are empty.
            DataType::Utf8 => Arc::new(StringArray::from_iter(numbers().map(|line| {
                (position < 4 || (line + column) % 3 > 0)
                    .then(|| format!("{}-{:03}", 4000 + column, (line * column) % 40))
            }))),
            DataType::Decimal128(..) => Arc::new(
                Decimal128Array::from_iter_values(
                    numbers()
                        .map(|line| i128::from(line * 977 % 10_000_019 - 5_000_000) * 10_000_000),
                )
                .with_precision_and_scale(38, 9)?,
            ),
            DataType::Date32 => Arc::new(Date32Array::from_iter_values(
                numbers().map(|line| 20_000 + (line % 365) as i32),
            )),
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(
                numbers().map(|line| line + pass as i64),
            )),
            _ => Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    numbers().map(|line| seconds + line / 5 * 1_000_000),
                )
                .with_timezone("UTC"),
            ),
        })
    });
    let columns = columns.collect::<Result<Vec<_>, Failure>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn batch(
    stream: &Arc<StreamDescriptor>,
    rows: &RecordBatch,
    ordinal: u64,
) -> Result<Batch, Failure> {
    let until = datetime!(2026-01-31 18:02 UTC);
    let place = BatchPlace {
        pipeline: "load".to_owned(),
        company: "DEMO".to_owned(),
        operation: Operation::Upsert,
        window: Window { from: None, until },
        ordinal,
    };
    Ok(Batch::new(Arc::clone(stream), place, rows, until)?)
}

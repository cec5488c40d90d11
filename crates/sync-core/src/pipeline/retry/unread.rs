//! Records that could not be read when they came: from their letters to rows, as a page would bring them
//! today.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::typed::{Unfit, of_fields};
use crate::batch::SourceBatch;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::delivery::Delivery;
use crate::shape::{Errand, Shape};
use crate::source::{RecordTexts, Reread};
use crate::store::DeadLetter;
use crate::stream::StreamDescriptor;

/// A row as the destination gets it, or why there is none.
pub(super) type Row = std::result::Result<RecordBatch, Unfit>;

/// The rows of letters, in their order.
pub(super) async fn rows(delivery: &Delivery, letters: &[&DeadLetter]) -> Result<Vec<Row>> {
    if letters.is_empty() {
        return Ok(Vec::new());
    }
    let none_fits = |reason: &str| {
        let unfit = letters.iter().map(|letter| {
            let column = letter.column.clone().unwrap_or_default();
            Err(unfit(column, reason))
        });
        Ok(unfit.collect())
    };
    let source = &delivery.parts().source;
    let mut streams = source.discover().await?.into_iter();
    let Some(stream) = streams.find(|it| it.name == delivery.stream.name) else {
        return none_fits("the source has no such stream any more");
    };
    let shape = delivery.pipeline.shape(&stream).await?;
    if shape.is_new() {
        return none_fits(
            "the stream is not as it was when it was last delivered: run it, then send its letters \
             again",
        );
    }
    let texts: Vec<RecordTexts> = letters.iter().map(|it| texts(&shape, it)).collect();
    let reread = source.reread(shape.source(), &texts).await?;
    let by_source = match reread {
        Some(reread) if reread.len() == texts.len() => reread.into_iter().map(Some).collect(),
        Some(_) => {
            let what = "the source read another number of records again than it was given";
            return Err(Error::new(ErrorKind::Protocol, what).with("stream", stream.name.as_str()));
        }
        None => vec![None; texts.len()],
    };
    let rows = texts.iter().zip(by_source);
    rows.map(|(texts, reread)| row(&shape, &delivery.stream, texts, reread))
        .collect()
}

/// What the letter has of the columns that the destination is to get something of.
fn texts(shape: &Shape, letter: &DeadLetter) -> RecordTexts {
    let fields = letter.fields.iter();
    fields
        .filter(|(name, _)| !shape.drops(name))
        .cloned()
        .collect()
}

fn row(
    shape: &Shape,
    delivered: &StreamDescriptor,
    texts: &RecordTexts,
    reread: Option<Reread>,
) -> Result<Row> {
    let hidden = texts
        .iter()
        .find(|(name, text)| text.is_some() && shape.hides(name));
    if let Some((name, _)) = hidden {
        let reason = "the mapping hashes or masks this field, and the letter does not have it as it was: the \
                      record comes again when it changes at the source";
        return Ok(Err(unfit(name.clone(), reason)));
    }
    let row = match reread {
        Some(Ok(row)) => row,
        // What a contract rejected is kept as the stream's columns write it.
        Some(Err(unreadable)) => match of_fields(shape.source(), texts, true)? {
            Ok(row) => row,
            Err(_) => return Ok(Err(unfit(unreadable.column, &unreadable.reason))),
        },
        None => match of_fields(shape.source(), texts, true)? {
            Ok(row) => row,
            Err(unfit) => return Ok(Err(unfit)),
        },
    };
    let mut page = shape.apply(SourceBatch::new(row), Errand::Comparison)?;
    match page.rejected.pop() {
        Some(rejected) => Ok(Err(unfit(rejected.column, &rejected.reason))),
        None => as_delivered(&page.rows, delivered).map(Ok),
    }
}

/// The columns in the order in which the stream was last delivered.
fn as_delivered(row: &RecordBatch, delivered: &StreamDescriptor) -> Result<RecordBatch> {
    let misfit = || {
        let what = "a dead letter does not make a row of its stream";
        Error::new(ErrorKind::Internal, what).with("stream", delivered.name.as_str())
    };
    let names = delivered.schema.fields().iter();
    let columns = names.map(|field| row.column_by_name(field.name()).map(Arc::clone));
    let columns = columns.collect::<Option<Vec<_>>>().ok_or_else(misfit)?;
    RecordBatch::try_new(Arc::clone(&delivered.schema), columns)
        .map_err(|error| misfit().caused_by(error))
}

fn unfit(column: String, reason: &str) -> Unfit {
    let reason = reason.to_owned();
    Unfit { column, reason }
}

//! Cuts pages into batches.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use crate::batch::{SourceBatch, UnreadableRecord};
use crate::column::Column;
use crate::error::{Error, ErrorKind, Result};
use crate::origin::{Origin, OriginSpan};
use crate::window::Cursor;

/// How large a batch should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutSize {
    /// Rows at which a batch is cut, as soon as no equal neighbours are parted.
    pub(crate) target_rows: usize,
    /// Rows that a batch must not exceed.
    pub(crate) max_rows: usize,
    /// Bytes of Arrow buffers that a batch should not exceed.
    pub(crate) max_bytes: usize,
}

/// A piece of the source's answer, in its order.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) rows: RecordBatch,
    /// Records that could not be read, on pages that end in this piece.
    pub(crate) unreadable: Vec<UnreadableRecord>,
    /// The position up to which this piece and those before it are complete.
    pub(crate) cursor: Option<Cursor>,
    /// Which answers the rows came in.
    pub(crate) origins: Vec<OriginSpan>,
}

/// Collects pages and gives pieces of about the wanted size back.
///
/// Rows that hold the same value in the stream's `keep_together` column and follow each other stay
/// in one piece, also across pages.
#[derive(Debug)]
pub(crate) struct Cutter {
    schema: SchemaRef,
    keep_together: Option<String>,
    size: CutSize,
    /// What is held, in order: joined only where a piece may be cut, not with every page.
    held: Vec<RecordBatch>,
    pages: VecDeque<PageEnd>,
}

#[derive(Debug)]
struct PageEnd {
    /// Rows held when the page was complete.
    rows: usize,
    unreadable: Vec<UnreadableRecord>,
    cursor: Option<Cursor>,
    origin: Option<Origin>,
}

impl Cutter {
    pub(crate) fn new(schema: SchemaRef, keep_together: Option<String>, size: CutSize) -> Self {
        Self {
            schema,
            keep_together,
            size,
            held: Vec::new(),
            pages: VecDeque::new(),
        }
    }

    /// Takes a page in.
    pub(crate) fn push(&mut self, page: SourceBatch) {
        self.held.push(page.rows);
        let (rows, unreadable, cursor) = (self.rows(), page.rejected, page.cursor);
        let origin = page.origin;
        self.pages.push_back(PageEnd {
            rows,
            unreadable,
            cursor,
            origin,
        });
    }

    /// The next piece, once enough is held to say where it ends.
    pub(crate) fn cut(&mut self) -> Result<Option<Cut>> {
        let rows = self.rows();
        let target = self.target();
        if rows < target {
            return Ok(None);
        }
        let held = self.joined()?;
        let Some(end) = self.boundary(&held, target)? else {
            if rows > self.size.max_rows {
                let what =
                    "records that belong together are more than a batch of this sink may have";
                return Err(Error::new(ErrorKind::Unsupported, what)
                    .with("rows", rows.to_string())
                    .with("limit", self.size.max_rows.to_string()));
            }
            return Ok(None);
        };
        self.take(&held, end).map(Some)
    }

    /// What is left once the last page is in.
    pub(crate) fn finish(&mut self) -> Result<Option<Cut>> {
        if self.pages.is_empty() {
            return Ok(None);
        }
        let held = self.joined()?;
        self.take(&held, held.num_rows()).map(Some)
    }

    fn rows(&self) -> usize {
        self.held.iter().map(RecordBatch::num_rows).sum()
    }

    /// Everything that is held, as one.
    fn joined(&mut self) -> Result<RecordBatch> {
        let joined = match self.held.as_slice() {
            [one] => one.clone(),
            several => concat_batches(&self.schema, several).map_err(misfit)?,
        };
        self.held = vec![joined.clone()];
        Ok(joined)
    }

    fn target(&self) -> usize {
        let bytes: usize = self
            .held
            .iter()
            .map(RecordBatch::get_array_memory_size)
            .sum();
        let bytes_a_row = (bytes / self.rows().max(1)).max(1);
        let by_bytes = self.size.max_bytes / bytes_a_row;
        self.size
            .target_rows
            .min(self.size.max_rows)
            .min(by_bytes)
            .max(1)
    }

    /// The last place at or before `target`, else the first behind it, where nothing is parted.
    /// The end of what is held is no such place while the next page may go on with the same value.
    fn boundary(&self, held: &RecordBatch, target: usize) -> Result<Option<usize>> {
        let Some(name) = &self.keep_together else {
            return Ok(Some(target));
        };
        let rows = held.num_rows();
        let column = Column::named(held, name)?;
        let parts = |at: usize| column.value(at - 1) != column.value(at);
        let before = (1..=target.min(rows - 1)).rev().find(|&at| parts(at));
        let behind = || (target..rows).find(|&at| at > 0 && parts(at));
        Ok(before.or_else(behind))
    }

    fn take(&mut self, held: &RecordBatch, end: usize) -> Result<Cut> {
        let rows = held.slice(0, end);
        // The rest is copied, so that the piece's buffers are freed with the piece.
        let rest = held.slice(end, held.num_rows() - end);
        self.held = vec![concat_batches(&self.schema, [&rest]).map_err(misfit)?];
        let origins = self.origins(end);
        let (mut unreadable, mut cursor) = (Vec::new(), None);
        while self.pages.front().is_some_and(|page| page.rows <= end) {
            if let Some(page) = self.pages.pop_front() {
                unreadable.extend(page.unreadable);
                cursor = page.cursor.or(cursor);
            }
        }
        for page in &mut self.pages {
            page.rows -= end;
        }
        Ok(Cut {
            rows,
            unreadable,
            cursor,
            origins,
        })
    }

    /// Which answers the rows held came in, up to a row; nothing where none of them says.
    fn origins(&self, end: usize) -> Vec<OriginSpan> {
        let mut begin = 0;
        let spans = self.pages.iter().filter_map(|page| {
            let rows = page.rows.min(end).saturating_sub(begin);
            begin = page.rows.min(end);
            let origin = page.origin.clone();
            let rows = rows as u64;
            (rows > 0).then_some(OriginSpan { rows, origin })
        });
        let spans: Vec<_> = spans.collect();
        if spans.iter().any(|span| span.origin.is_some()) {
            spans
        } else {
            Vec::new()
        }
    }
}

fn misfit(error: arrow_schema::ArrowError) -> Error {
    Error::new(
        ErrorKind::Protocol,
        "a page does not have the columns of its stream",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, cast::AsArray, types::Int64Type};
    use arrow_schema::{DataType, Field, Schema};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the pages: nothing is lost or reordered, entries stay whole, cursors come in
        /// order and never before the rows that they vouch for.
        #[test]
        fn pieces_are_the_pages(
            pages in prop::collection::vec(prop::collection::vec(0i64..4, 0..12), 0..12),
            target_rows in 1usize..20,
            together: bool,
        ) {
            let field = Field::new("entry", DataType::Int64, false);
            let schema = Arc::new(Schema::new(vec![field]));
            let size = CutSize { target_rows, max_rows: usize::MAX, max_bytes: usize::MAX };
            let mut cutter = Cutter::new(Arc::clone(&schema), together.then(|| "entry".into()), size);
            // Ascending, with runs: an entry is a run.
            let mut entry = 0;
            let mut cuts = Vec::new();
            let mut all: Vec<i64> = Vec::new();
            for (number, steps) in pages.iter().enumerate() {
                let values: Vec<i64> = steps.iter().map(|&step| { entry += i64::from(step == 0); entry }).collect();
                all.extend(&values);
                let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(values))]).unwrap();
                let mut page = SourceBatch::new(rows);
                page.cursor = Some(Cursor(format!("{number}:{}", all.len())));
                cutter.push(page);
                while let Some(cut) = cutter.cut().unwrap() { cuts.push(cut); }
            }
            cuts.extend(cutter.finish().unwrap());
            let mut seen = Vec::new();
            let mut last_page = -1;
            for cut in &cuts {
                let values = cut.rows.column(0).as_primitive::<Int64Type>().values().to_vec();
                if together {
                    prop_assert!(seen.last().is_none() || values.is_empty() || seen.last() != values.first());
                } else {
                    prop_assert!(values.len() <= target_rows || cut.rows.num_rows() <= target_rows);
                }
                seen.extend(values);
                if let Some(Cursor(text)) = &cut.cursor {
                    let (page, rows) = text.split_once(':').unwrap();
                    let (page, rows): (i64, usize) = (page.parse().unwrap(), rows.parse().unwrap());
                    prop_assert!(page > last_page && rows <= seen.len());
                    last_page = page;
                }
            }
            prop_assert_eq!(seen, all);
            prop_assert_eq!(last_page, pages.len() as i64 - 1);
        }
    }
}

//! Ours.

use intacct_xml::response::{
    Columns, Discard, EachRow, NdjsonLines, Page, ReadOptions, Records, Response, ResponseReader,
    Row, read_response,
};

use super::Result;
use crate::record::Record;

/// Our reader, used again from page to page as it is meant to be.
#[derive(Debug)]
pub struct Ours {
    reader: ResponseReader,
}

impl Default for Ours {
    fn default() -> Self {
        Self {
            reader: ResponseReader::new(&ReadOptions::default()),
        }
    }
}

impl Ours {
    /// Reads the page into Arrow columns that are used again for the next.
    ///
    /// # Errors
    /// If the answer is not what the gateway sends.
    pub fn columns(&mut self, body: &str, columns: &mut Columns) -> Result<Page> {
        self.reader.read(body.as_bytes(), columns)?;
        Ok(columns.finish()?)
    }

    /// Reads the page into Arrow columns while it arrives in pieces of that many bytes.
    ///
    /// # Errors
    /// If the answer is not what the gateway sends.
    pub fn columns_in_chunks(
        &mut self,
        body: &str,
        bytes: usize,
        columns: &mut Columns,
    ) -> Result<Page> {
        for chunk in body.as_bytes().chunks(bytes) {
            self.reader.push(chunk, columns)?;
        }
        self.reader.finish(columns)?;
        Ok(columns.finish()?)
    }

    /// Reads the page into structs.
    ///
    /// # Errors
    /// If the answer is not what the gateway sends, or a value not of its field's type.
    pub fn structs<R: Record>(&mut self, body: &str) -> Result<Vec<R>> {
        let mut records = Records::new();
        self.reader.read(body.as_bytes(), &mut records)?;
        Ok(records.into_vec())
    }

    /// Writes the page as lines of JSON, in place of what was in them.
    ///
    /// # Errors
    /// If the answer is not what the gateway sends.
    pub fn ndjson(&mut self, body: &str, lines: &mut NdjsonLines) -> Result<Response> {
        lines.clear();
        Ok(self.reader.read(body.as_bytes(), lines)?)
    }

    /// Writes the page as lines of JSON while it arrives in pieces of that many bytes.
    ///
    /// # Errors
    /// If the answer is not what the gateway sends.
    pub fn ndjson_in_chunks(
        &mut self,
        body: &str,
        bytes: usize,
        lines: &mut NdjsonLines,
    ) -> Result<Response> {
        lines.clear();
        for chunk in body.as_bytes().chunks(bytes) {
            self.reader.push(chunk, lines)?;
        }
        Ok(self.reader.finish(lines)?)
    }

    /// Gives each record as a borrowed row.
    ///
    /// # Errors
    /// If the answer is not what the gateway sends.
    pub fn rows(&mut self, body: &str, take: impl FnMut(Row<'_>)) -> Result<Response> {
        Ok(self.reader.read(body.as_bytes(), &mut EachRow::new(take))?)
    }

    /// Checks the page and keeps nothing of it.
    ///
    /// # Errors
    /// If the answer is not what the gateway sends.
    pub fn discarding(&mut self, body: &str) -> Result<Response> {
        Ok(self.reader.read(body.as_bytes(), &mut Discard)?)
    }
}

/// Reads the page into Arrow columns, with a reader that has seen no page before.
///
/// # Errors
/// If the answer is not what the gateway sends.
pub fn ours_columns(body: &str, columns: &mut Columns) -> Result<Page> {
    read_response(body.as_bytes(), &ReadOptions::default(), columns)?;
    Ok(columns.finish()?)
}

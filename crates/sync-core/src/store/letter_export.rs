//! Dead letters as files: for people who mend what was rejected, and for the auditor who keeps it.

use std::io;

use super::letters::{Letter, LetterFilter, LetterId, LetterPage, LetterStore};
use crate::batch::RecordKey;
use crate::error::{Error, ErrorKind, Result};

/// Letters that are in memory at once, and in one chunk: a record's texts may be long.
const LETTERS_AT_ONCE: usize = 64;

/// How dead letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LetterFormat {
    /// A line of JSON for each letter, ending in LF: a [`Letter`] as serde writes it. The record is a list
    /// of pairs of name and text, in the order in which it came, so that a name that comes twice is there
    /// twice; what has no value is `null`.
    Ndjson,
    /// A line of names, then a line for each letter (RFC 4180, lines ending in LF). The record is JSON, as
    /// in the other format.
    ///
    /// A cell with nothing in it is no value. A text that is empty, or that begins with `'` or with
    /// something that a spreadsheet takes for the beginning of a formula (`=`, `+`, `-`, `@`, a tab, a line's
    /// end, and the wide forms of the signs), has a `'` before it: so an empty text and no value are two
    /// things to whatever reads it, and nobody's name is run as a formula. Whoever takes one leading `'`
    /// away has the text as it was.
    Csv,
}

/// Dead letters on their way out of a store: a chunk of whole lines at a time, in the order of their
/// numbers, with a bounded number of letters in memory.
///
/// It is no snapshot: letters that come meanwhile come at the end, and one whose status changes meanwhile is
/// there or not by what it is when its turn comes.
#[derive(Debug)]
pub struct LetterExport<'a> {
    store: &'a dyn LetterStore,
    filter: LetterFilter,
    format: LetterFormat,
    after: Option<LetterId>,
    has_begun: bool,
    letters: u64,
}

impl<'a> LetterExport<'a> {
    /// Begins an export of the letters that match. Nothing is read yet.
    pub fn new(store: &'a dyn LetterStore, filter: LetterFilter, format: LetterFormat) -> Self {
        Self {
            store,
            filter,
            format,
            after: None,
            has_begun: false,
            letters: 0,
        }
    }

    /// The next lines, in UTF-8; none once all were given. Where there are no letters, CSV is the line of
    /// names, and NDJSON nothing.
    ///
    /// # Errors
    ///
    /// Those of the store. The same chunk can be asked for again.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let page = LetterPage {
            after: self.after,
            limit: LETTERS_AT_ONCE,
        };
        let letters = self.store.letters(&self.filter, page).await?;
        let mut chunk = Vec::new();
        if !self.has_begun && self.format == LetterFormat::Csv {
            csv_line(COLUMNS.map(Some), &mut chunk);
        }
        for letter in &letters {
            match self.format {
                LetterFormat::Ndjson => {
                    chunk.extend_from_slice(&json(letter)?);
                    chunk.push(b'\n');
                }
                LetterFormat::Csv => csv_letter(letter, &mut chunk)?,
            }
        }
        self.has_begun = true;
        self.after = letters.last().map(|letter| letter.id).or(self.after);
        self.letters += letters.len() as u64;
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Writes what is left, flushes, and says how many letters were given in all. Each write blocks the
    /// thread for as long as `out` does.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`ErrorKind::Unavailable`] where `out` fails; what was written until then is a
    /// part of the export.
    pub async fn write_to(mut self, out: &mut (dyn io::Write + Send)) -> Result<u64> {
        let failed = |error: io::Error| {
            let what = "dead letters cannot be written to where they are exported to; see to it that \
                        there is room and that it may be written, then export again";
            Error::new(ErrorKind::Unavailable, what).caused_by(error)
        };
        while let Some(chunk) = self.next_chunk().await? {
            out.write_all(&chunk).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
        Ok(self.letters)
    }
}

/// The columns of CSV: the fields of a [`Letter`] by their names in JSON, the record last.
const COLUMNS: [&str; 21] = [
    "id",
    "pipeline",
    "sink",
    "stream",
    "at",
    "run",
    "batch",
    "key",
    "class",
    "column",
    "text",
    "reason",
    "status",
    "attempts",
    "attempted_at",
    "attempt_reason",
    "closed_at",
    "resolved_by",
    "note",
    "closed_by",
    "fields",
];

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(ErrorKind::Internal, "a dead letter cannot be written").caused_by(error)
    })
}

fn csv_letter(letter: &Letter, out: &mut Vec<u8>) -> Result<()> {
    let Letter {
        id,
        scope,
        at,
        run,
        batch,
        content,
        status,
        attempts,
        attempted_at,
        attempt_reason,
        closed_at,
        resolved_by,
        note,
        closed_by,
    } = letter;
    let [id, run, attempts] = [id.to_string(), run.to_string(), attempts.to_string()];
    let [batch, resolved_by] = [batch, resolved_by].map(|id| id.map(|id| id.to_string()));
    let fields = String::from_utf8(json(&content.fields)?).map_err(|error| {
        Error::new(ErrorKind::Internal, "a dead letter cannot be written").caused_by(error)
    })?;
    let cells = [
        Some(id.as_str()),
        Some(&scope.pipeline),
        Some(&scope.sink),
        Some(scope.stream.as_str()),
        Some(at),
        Some(&run),
        batch.as_deref(),
        content.key.as_ref().map(RecordKey::as_str),
        Some(content.class.as_str()),
        content.column.as_deref(),
        content.text.as_deref(),
        Some(&content.reason),
        Some(status.as_str()),
        Some(&attempts),
        attempted_at.as_deref(),
        attempt_reason.as_deref(),
        closed_at.as_deref(),
        resolved_by.as_deref(),
        note.as_deref(),
        closed_by.as_deref(),
        Some(&fields),
    ];
    csv_line(cells, out);
    Ok(())
}

fn csv_line(cells: [Option<&str>; COLUMNS.len()], out: &mut Vec<u8>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let Some(text) = cell else { continue };
        out.push(b'"');
        if is_guarded(text) {
            out.push(b'\'');
        }
        for part in text.split_inclusive('"') {
            out.extend_from_slice(part.as_bytes());
            if part.ends_with('"') {
                out.push(b'"');
            }
        }
        out.push(b'"');
    }
    out.push(b'\n');
}

/// Whether a text would be taken for no value, for a formula, or for one that has its `'` already.
fn is_guarded(text: &str) -> bool {
    const BEGINNINGS: [char; 12] = [
        '\'', '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    text.is_empty() || text.starts_with(BEGINNINGS)
}

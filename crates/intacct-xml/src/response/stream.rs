//! An answer that arrives in pieces: its records go to the target as they come, its envelope is read
//! at the end.
//!
//! ```text
//!   <response>…<result>…<data …>   <VENDOR>…</VENDOR><VENDOR>…   </data></result>…</response>
//!   └────────── head ──────────┘   └── handed over, forgotten ─┘ └──────── rest ────────────┘
//! ```
//!
//! The head is kept until the first `data` has begun. Records leave as soon as they are whole. Then
//! everything is kept again to the end, and head and rest, which is the answer without its records,
//! are read as one document by the general reader.
//! So the envelope is judged in one place, and so is every error: whatever is not a plain record
//! begins the rest.

use super::body::Body;
use super::cursor::{Cursor, Token};
use super::envelope::{DataAttributes, Response};
use super::options::{IllegalCharacters, Prediction, ReadOptions, RecordCount};
use super::predict::{Limits, Predictor};
use super::reader::{HandedOver, read_document};
use super::tape::Tape;
use super::target::{DataStart, RecordEnd, RecordTarget};
use crate::error::Error;
use crate::sanitise::sanitise_counted;

/// Reads a complete answer and hands its records to the target on the way.
///
/// The records count only if this returns `Ok`: then the end of the document has been seen, and each
/// page held as many records as it said.
/// `Ok` also covers answers that report a failure; see [`Response::failure`].
///
/// # Errors
/// By [`ErrorKind`](crate::ErrorKind): `Truncated` for a body that ends too early, `NotXml` for
/// something else than XML, `Protocol` for XML that is not well formed or not the documented
/// envelope (what is missing is named), `Limit` for an answer beyond the options, `Data` where the
/// target refuses a record.
pub fn read_response(
    body: &[u8],
    options: &ReadOptions,
    target: &mut dyn RecordTarget,
) -> Result<Response, Error> {
    ResponseReader::new(options).read(body, target)
}

/// Reads answers, each in one piece or in many, and uses its memory again for the next.
///
/// ```
/// use intacct_xml::response::{ReadOptions, ResponseReader, Tree};
/// # let answer = "<response><control><status>success</status></control><operation>\
/// #     <authentication><status>success</status></authentication><result><status>success</status>\
/// #     <function>query</function><controlid>f</controlid><data count=\"1\"><VENDOR>\
/// #     <NAME>Smith</NAME></VENDOR></data></result></operation></response>";
///
/// let mut reader = ResponseReader::new(&ReadOptions::default());
/// let mut vendors = Tree::new();
/// for chunk in answer.as_bytes().chunks(16) {
///     reader.push(chunk, &mut vendors)?;
/// }
/// let response = reader.finish(&mut vendors)?;
/// assert!(response.failure().is_none());
/// assert_eq!(vendors.records("f").len(), 1);
/// # Ok::<(), intacct_xml::Error>(())
/// ```
pub struct ResponseReader {
    options: ReadOptions,
    predictor: Predictor,
    tape: Tape,
    /// What arrived and was not handed over.
    window: Vec<u8>,
    /// The answer up to its first `data`, once that has begun.
    head: Vec<u8>,
    progress: Progress,
}

/// How far an answer has been read.
#[derive(Debug, Default)]
struct Progress {
    has_begun: bool,
    stage: Stage,
    /// Up to where in the window no `data` begins.
    searched: usize,
    /// How long the window must be before it is worth looking for the record's end again.
    worth: usize,
    /// The bytes and records that were handed over.
    bytes: u64,
    records: u64,
    /// The elements of the head and of those records.
    elements: u64,
    dropped: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Head,
    Records,
    Rest,
}

/// What became of a record that the general reader was given.
enum Given {
    /// It was handed over and ends there.
    Record(usize),
    /// Its end has not arrived.
    Incomplete,
    /// It is no record, or not a plain one.
    Other,
}

impl ResponseReader {
    /// A reader for any number of answers.
    pub fn new(options: &ReadOptions) -> Self {
        Self {
            options: options.clone(),
            predictor: Predictor::default(),
            tape: Tape::default(),
            window: Vec::new(),
            head: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Reads a whole answer. Whatever was [pushed](Self::push) before is forgotten.
    ///
    /// # Errors
    /// As [`read_response`].
    pub fn read(&mut self, body: &[u8], target: &mut dyn RecordTarget) -> Result<Response, Error> {
        self.forget();
        let outcome = self
            .advance(body, target)
            .and_then(|read| self.conclude(&body[read..], target));
        self.end(outcome, target)
    }

    /// Takes the next piece of the answer and hands over the records that are now whole.
    ///
    /// None of them counts before [`finish`](Self::finish) has returned `Ok`.
    ///
    /// # Errors
    /// Where the target refuses a record; the rest of the answer need not be pushed. What is wrong
    /// with the answer itself shows when it is finished.
    pub fn push(&mut self, chunk: &[u8], target: &mut dyn RecordTarget) -> Result<(), Error> {
        let outcome = if self.window.is_empty() {
            self.advance(chunk, target).map(|read| {
                self.window.extend_from_slice(&chunk[read..]);
            })
        } else {
            self.window.extend_from_slice(chunk);
            let mut window = std::mem::take(&mut self.window);
            let outcome = self.advance(&window, target);
            if let Ok(read) = outcome {
                window.drain(..read);
            }
            self.window = window;
            outcome.map(drop)
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => self.end(Err(error), target),
        }
    }

    /// The answer is complete: reads what is left of it.
    ///
    /// The reader is ready for the next answer then, whatever the outcome.
    ///
    /// # Errors
    /// As [`read_response`].
    pub fn finish(&mut self, target: &mut dyn RecordTarget) -> Result<Response, Error> {
        let rest = std::mem::take(&mut self.window);
        let outcome = self
            .begin(target)
            .and_then(|()| self.conclude(&rest, target));
        self.window = rest;
        self.end(outcome, target)
    }

    /// Forgets the answer, keeps the memory and the layout of its records.
    fn forget(&mut self) {
        self.window.clear();
        self.head.clear();
        self.progress = Progress::default();
    }

    fn begin(&mut self, target: &mut dyn RecordTarget) -> Result<(), Error> {
        if std::mem::replace(&mut self.progress.has_begun, true) {
            return Ok(());
        }
        if self.options.prediction == Prediction::Off {
            self.progress.stage = Stage::Rest;
        }
        target.begin_response()
    }

    fn end<T>(
        &mut self,
        outcome: Result<T, Error>,
        target: &mut dyn RecordTarget,
    ) -> Result<T, Error> {
        self.forget();
        if outcome.is_err() {
            // What was handed over is not a page, so nobody can take it for one.
            target.begin_response()?;
        }
        outcome
    }

    /// Reads what can be read of a window; says how much of it is not needed any more.
    fn advance(&mut self, window: &[u8], target: &mut dyn RecordTarget) -> Result<usize, Error> {
        self.begin(target)?;
        self.predictor.begin_window();
        let mut at = 0;
        if self.progress.stage == Stage::Head {
            let Some(end) = self.find_data(window) else {
                return Ok(0);
            };
            let head = &window[..end];
            let Some(data) = self.probe(head) else {
                self.progress.stage = Stage::Rest;
                return Ok(0);
            };
            target
                .begin_data(&data.start())
                .map_err(|error| error.at(end as u64))?;
            self.head.extend_from_slice(head);
            self.progress.elements = elements_at_most(head);
            self.progress.stage = Stage::Records;
            self.progress.worth = 0;
            at = end;
        }
        let first = at;
        while self.progress.stage == Stage::Records {
            if let Some(end) = self.predicted(window, at, first, target)? {
                at = end;
                continue;
            }
            if window.len() - at < self.progress.worth {
                break;
            }
            match self.given(window, at, first, target)? {
                Given::Record(end) => {
                    at = end;
                    self.progress.worth = 0;
                }
                Given::Incomplete => {
                    // So that a long record in short pieces is not looked through for each of them.
                    self.progress.worth = (window.len() - at) * 2;
                    break;
                }
                Given::Other => self.progress.stage = Stage::Rest,
            }
        }
        self.progress.bytes += (at - first) as u64;
        Ok(at)
    }

    /// The place behind the start tag of the first `data` that is not self-closed.
    fn find_data(&mut self, window: &[u8]) -> Option<usize> {
        const TAG: &[u8] = b"<data";
        loop {
            let from = self.progress.searched;
            let rest = window.get(from..)?;
            let Some(found) = memchr::memmem::find(rest, TAG) else {
                self.progress.searched = from + rest.len().saturating_sub(TAG.len() - 1);
                return None;
            };
            self.progress.searched = from + found;
            let tag = &rest[found..];
            let end = memchr::memchr(b'>', tag)?;
            let is_data = matches!(tag[TAG.len()], b'>' | b' ' | b'\t' | b'\r' | b'\n');
            if is_data && tag[end - 1] != b'/' {
                return Some(from + found + end + 1);
            }
            self.progress.searched += TAG.len();
        }
    }

    /// What the target must be told of a `data` whose start tag ends the head, or nothing if it is no
    /// such thing, or not the first.
    fn probe(&mut self, head: &[u8]) -> Option<Data> {
        const CLOSED: &[u8] = b"</data></result></operation></response>";
        let document = [head, CLOSED].concat();
        let options = self.options.clone().with_record_count(RecordCount::Ignore);
        let is_clean = Body::new(&document, &options).is_ok_and(|body| body.dropped == 0);
        let mut seen = Probe::default();
        read_document(&document, None, &options, &mut self.tape, &mut seen).ok()?;
        seen.data.pop().filter(|_| is_clean && seen.data.is_empty())
    }

    /// Hands over records that fit the layout; says where they end.
    fn predicted(
        &mut self,
        window: &[u8],
        at: usize,
        first: usize,
        target: &mut dyn RecordTarget,
    ) -> Result<Option<usize>, Error> {
        let limits = Limits {
            text_bytes: self.options.max_text_bytes,
            fields: self.options.max_fields,
        };
        let Some(matched) = self.predictor.matched(window, at, limits) else {
            return Ok(None);
        };
        let text = window.get(matched.begin..matched.end).unwrap_or_default();
        if !self.has_room(matched.records, matched.elements) {
            return Ok(None);
        }
        let position = self.position(matched.begin - first);
        if let Some(block) = self.predictor.block(text, self.progress.records, position) {
            target.records(&block)?;
        }
        self.count(matched.records, matched.elements);
        Ok(Some(matched.end))
    }

    /// Reads the record that begins here with the general reader.
    fn given(
        &mut self,
        window: &[u8],
        at: usize,
        first: usize,
        target: &mut dyn RecordTarget,
    ) -> Result<Given, Error> {
        const DEPTH_OF_DATA: usize = 4;
        let rest = &window[at..];
        let space = rest.iter().take_while(|byte| is_space(**byte)).count();
        let (at, rest) = (at + space, &rest[space..]);
        let Some(len) = (match record_length(rest) {
            Length::Bytes(len) => Some(len),
            Length::NotYet => return Ok(Given::Incomplete),
            Length::NoRecord => None,
        }) else {
            return Ok(Given::Other);
        };
        let Ok(raw) = std::str::from_utf8(&rest[..len]) else {
            return Ok(Given::Other);
        };
        let (text, mut dropped) = sanitise_counted(raw);
        if dropped > 0 && self.options.illegal_characters == IllegalCharacters::Refuse {
            return Ok(Given::Other);
        }
        let start = self.position(at - first);
        let mut cursor = Cursor::inside(&text, start, DEPTH_OF_DATA, &self.options);
        let Ok(Token::Open(tag)) = cursor.next() else {
            return Ok(Given::Other);
        };
        let position = cursor.position();
        let is_whole =
            self.tape.record(&mut cursor, &tag).is_ok() && cursor.local_position() == text.len();
        if !is_whole || !self.has_room(1, cursor.elements()) {
            return Ok(Given::Other);
        }
        dropped += cursor.dropped();
        let elements = cursor.elements();
        let ordinal = self.progress.records;
        self.tape
            .play(target)
            .map_err(|error| error.at(position).in_record(ordinal))?;
        if dropped == 0 {
            self.predictor.learn(&self.tape, raw);
        }
        self.progress.dropped += dropped;
        self.count(1, elements);
        Ok(Given::Record(at + len))
    }

    /// Reads the answer without the records that were handed over.
    fn conclude(&mut self, rest: &[u8], target: &mut dyn RecordTarget) -> Result<Response, Error> {
        let progress = &self.progress;
        if self.head.is_empty() {
            return read_document(rest, None, &self.options, &mut self.tape, target);
        }
        let handed_over = HandedOver {
            at: self.head.len(),
            bytes: progress.bytes,
            records: progress.records,
            elements: progress.elements - elements_at_most(&self.head),
        };
        self.head.extend_from_slice(rest);
        let read = read_document(
            &self.head,
            Some(handed_over),
            &self.options,
            &mut self.tape,
            target,
        );
        read.map(|mut response| {
            response.dropped_characters += progress.dropped;
            response
        })
    }

    /// Whether the options allow so many more. Where they do not, the general reader says so.
    fn has_room(&self, records: u64, elements: u64) -> bool {
        self.progress.records + records <= self.options.max_records
            && self.progress.elements + elements <= self.options.max_elements
    }

    fn count(&mut self, records: u64, elements: u64) {
        self.progress.records += records;
        self.progress.elements += elements;
    }

    /// Where in the answer something stands that is so far behind the first record of the window.
    fn position(&self, behind_first: usize) -> u64 {
        self.head.len() as u64 + self.progress.bytes + behind_first as u64
    }
}

impl std::fmt::Debug for ResponseReader {
    /// Leaves out what the answer says.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseReader")
            .field("options", &self.options)
            .field("waiting_bytes", &self.window.len())
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

enum Length {
    Bytes(usize),
    NotYet,
    NoRecord,
}

/// How long the record is that begins here, by its first end tag. A record may hold an element of its
/// own name: then this is too short, and shows as such when it is read.
fn record_length(rest: &[u8]) -> Length {
    let Some((b'<', tag)) = rest.split_first() else {
        return if rest.is_empty() {
            Length::NotYet
        } else {
            Length::NoRecord
        };
    };
    if matches!(tag.first(), Some(b'/' | b'!' | b'?')) {
        return Length::NoRecord;
    }
    let Some(end) = memchr::memchr(b'>', tag) else {
        return Length::NotYet;
    };
    if end > 0 && tag[end - 1] == b'/' {
        return Length::Bytes(end + 2);
    }
    let is_end_of_name = |byte: &u8| is_space(*byte) || matches!(byte, b'>' | b'/');
    let name = tag.iter().position(is_end_of_name).unwrap_or(end);
    let close = [b"</", &tag[..name]].concat();
    let mut from = end + 2;
    while let Some(found) = memchr::memmem::find(rest.get(from..).unwrap_or_default(), &close) {
        let behind = from + found + close.len();
        let space = rest[behind..]
            .iter()
            .take_while(|byte| is_space(**byte))
            .count();
        match rest.get(behind + space) {
            Some(b'>') => return Length::Bytes(behind + space + 1),
            Some(_) => from = behind,
            None => return Length::NotYet,
        }
    }
    Length::NotYet
}

/// How many elements begin in a piece of a document, or more where a text looks like one.
fn elements_at_most(piece: &[u8]) -> u64 {
    let begins = |two: &&[u8]| two[0] == b'<' && two[1] != b'/';
    piece.windows(2).filter(begins).count() as u64
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Notes which `data` begin.
#[derive(Default)]
struct Probe {
    data: Vec<Data>,
}

/// A [`DataStart`] of its own.
struct Data {
    function: String,
    control_id: String,
    attributes: DataAttributes,
}

impl Data {
    fn start(&self) -> DataStart<'_> {
        DataStart {
            function: &self.function,
            control_id: &self.control_id,
            attributes: &self.attributes,
        }
    }
}

impl RecordTarget for Probe {
    fn begin_data(&mut self, data: &DataStart<'_>) -> Result<(), Error> {
        self.data.push(Data {
            function: data.function.to_owned(),
            control_id: data.control_id.to_owned(),
            attributes: data.attributes.clone(),
        });
        Ok(())
    }

    fn begin_record(&mut self, _name: &str) -> Result<(), Error> {
        Ok(())
    }

    fn field(&mut self, _name: &str, _value: Option<&str>) -> Result<(), Error> {
        Ok(())
    }

    fn end_record(&mut self) -> Result<RecordEnd, Error> {
        Ok(RecordEnd::Done)
    }
}

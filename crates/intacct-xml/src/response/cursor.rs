//! The elements of an answer one after another, within limits.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::errors::{Error as XmlError, IllFormedError, SyntaxError};
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::body::illegal_character;
use super::options::{IllegalCharacters, ReadOptions};
use crate::error::{BodyShape, Error, shown};
use crate::sanitise::{is_allowed, sanitise_counted};

/// Reads a document as tags and pieces of text, refusing everything that is not well formed.
pub(super) struct Cursor<'a> {
    reader: Reader<&'a [u8]>,
    document: &'a str,
    options: &'a ReadOptions,
    /// How many bytes of the answer come before `document`.
    skipped: u64,
    /// What was taken out of the document: how many bytes, behind which place.
    gap: Gap,
    depth: usize,
    elements: u64,
    stage: Stage,
    /// The element that was opened last has no content, so its end is due.
    close_is_due: bool,
    dropped: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    BeforeRoot,
    InRoot,
    AfterRoot,
}

pub(super) enum Token<'a> {
    Open(Tag<'a>),
    /// A piece of text; what belongs together comes in several.
    Text(Cow<'a, str>),
    Close,
    End,
}

/// A start tag.
pub(super) struct Tag<'a> {
    start: BytesStart<'a>,
}

/// A part of the answer that a document is read without.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gap {
    pub(super) behind: usize,
    pub(super) bytes: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(document: &'a str, skipped: u64, options: &'a ReadOptions) -> Self {
        Self {
            reader: Reader::from_str(document),
            document,
            options,
            skipped,
            gap: Gap::default(),
            depth: 0,
            elements: 0,
            stage: Stage::Start,
            close_is_due: false,
            dropped: 0,
        }
    }

    /// A cursor over one element that stands so deep in the answer.
    pub(super) fn inside(
        document: &'a str,
        skipped: u64,
        depth: usize,
        options: &'a ReadOptions,
    ) -> Self {
        Self {
            depth,
            stage: Stage::InRoot,
            ..Self::new(document, skipped, options)
        }
    }

    /// Says that a part of the answer is not in the document.
    pub(super) fn without(mut self, gap: Gap) -> Self {
        self.gap = gap;
        self
    }

    /// Counts elements that were opened before the document was read.
    pub(super) fn count_elements(&mut self, elements: u64) {
        self.elements += elements;
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, Error> {
        if self.close_is_due {
            self.close_is_due = false;
            self.leave();
            return Ok(Token::Close);
        }
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.not_well_formed(error)),
            };
            if self.stage == Stage::Start {
                self.stage = Stage::BeforeRoot;
                if let Event::Decl(declaration) = &event {
                    self.check_declaration(declaration)?;
                    continue;
                }
            }
            match event {
                Event::Start(start) => {
                    self.enter(&start)?;
                    return Ok(Token::Open(Tag { start }));
                }
                Event::Empty(start) => {
                    self.enter(&start)?;
                    self.close_is_due = true;
                    return Ok(Token::Open(Tag { start }));
                }
                Event::End(_) => {
                    self.leave();
                    return Ok(Token::Close);
                }
                Event::Text(text) => {
                    if self.depth > 0 {
                        return Ok(Token::Text(text.xml10_content()));
                    }
                    if !is_blank(&text) {
                        return Err(self.stray("text"));
                    }
                }
                Event::CData(text) => {
                    if self.depth == 0 {
                        return Err(self.stray("a CDATA section"));
                    }
                    return Ok(Token::Text(text.xml10_content()));
                }
                Event::GeneralRef(reference) => {
                    if self.depth == 0 {
                        return Err(self.stray("a reference"));
                    }
                    if let Some(character) = self.resolve(&reference)? {
                        return Ok(Token::Text(character));
                    }
                }
                Event::DocType(_) => {
                    return Err(self.wrong("the answer has a DOCTYPE").advise(
                        "the gateway sends none, and it is refused because it can name foreign files",
                    ));
                }
                Event::Decl(_) => return Err(self.wrong("the answer has a second XML declaration")),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof if self.stage == Stage::AfterRoot => return Ok(Token::End),
                Event::Eof => return Err(Error::truncated().at(self.position())),
            }
        }
    }

    /// Reads on to the end of the element just opened, whatever it holds.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    /// The text of the element just opened, up to its end. Elements in it are an error.
    pub(super) fn text_of(&mut self, tag: &Tag<'a>) -> Result<Cow<'a, str>, Error> {
        let mut text = Text::default();
        loop {
            match self.next()? {
                Token::Text(piece) => self.push(&mut text, piece)?,
                Token::Close => return Ok(text.take()),
                Token::Open(_) | Token::End => {
                    return Err(self.wrong(format!(
                        "the element {} holds an element where text belongs",
                        shown(tag.name())
                    )));
                }
            }
        }
    }

    /// Adds a piece to a text, within the limit.
    pub(super) fn push(&self, text: &mut Text<'a>, piece: Cow<'a, str>) -> Result<(), Error> {
        if text.len() + piece.len() > self.options.max_text_bytes {
            return Err(Error::limit(format!(
                "a text of the answer is longer than {} bytes",
                self.options.max_text_bytes
            ))
            .advise("raise max_text_bytes if that is right")
            .at(self.position()));
        }
        text.push(piece);
        Ok(())
    }

    /// Calls back with every attribute of a tag, in order.
    pub(super) fn attributes(
        &mut self,
        tag: &Tag<'a>,
        mut each: impl FnMut(&str, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if tag.start.attributes_raw().len() > self.options.max_text_bytes {
            return Err(Error::limit("the attributes of an element are too long")
                .in_field(tag.name())
                .advise("raise max_text_bytes if that is right")
                .at(self.position()));
        }
        for attribute in tag.start.attributes() {
            let Ok(attribute) = attribute else {
                return Err(self.malformed_attribute(tag));
            };
            let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else {
                return Err(self.malformed_attribute(tag));
            };
            // References may have brought in what the raw text could not hold.
            let (value, dropped) = sanitise_counted(&value);
            if dropped > 0 {
                self.illegal(dropped)?;
            }
            each(attribute.key.0, &value)?;
        }
        Ok(())
    }

    /// Where this cursor is, in bytes from the start of the answer.
    pub(super) fn position(&self) -> u64 {
        self.in_the_answer(self.local_position())
    }

    fn in_the_answer(&self, place: usize) -> u64 {
        let gap = if place >= self.gap.behind {
            self.gap.bytes
        } else {
            0
        };
        self.skipped + place as u64 + gap
    }

    /// How many illegal characters came as references and were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many elements were opened so far.
    pub(super) fn elements(&self) -> u64 {
        self.elements
    }

    pub(super) fn options(&self) -> &'a ReadOptions {
        self.options
    }

    /// A protocol error at this place.
    pub(super) fn wrong(&self, what: impl Into<Cow<'static, str>>) -> Error {
        Error::protocol(what).at(self.position())
    }

    /// Where this cursor is in its document.
    pub(super) fn local_position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn enter(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        let name = start.name().0;
        if !is_name(name) {
            return Err(self.wrong(format!("\"{}\" is not an element name", shown(name))));
        }
        match self.stage {
            Stage::AfterRoot => {
                return Err(self
                    .wrong("the answer has more than one root element")
                    .advise("it is not one answer of the gateway; send the read again"));
            }
            Stage::InRoot => {}
            Stage::Start | Stage::BeforeRoot => {
                if name.eq_ignore_ascii_case("html") {
                    return Err(Error::not_xml(BodyShape::Html).at(self.position()));
                }
                self.stage = Stage::InRoot;
            }
        }
        self.depth += 1;
        self.elements += 1;
        if self.depth > self.options.max_depth {
            return Err(self.too_many(
                "nested more than",
                self.options.max_depth as u64,
                "max_depth",
            ));
        }
        if self.elements > self.options.max_elements {
            return Err(self.too_many(
                "elements, more than",
                self.options.max_elements,
                "max_elements",
            ));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.stage = Stage::AfterRoot;
        }
    }

    pub(super) fn too_many(&self, what: &str, limit: u64, option: &str) -> Error {
        Error::limit(format!("the answer has too much: {what} {limit}"))
            .advise(format!("raise {option} if that is right"))
            .at(self.position())
    }

    fn check_declaration(&self, declaration: &BytesDecl<'_>) -> Result<(), Error> {
        let Some(encoding) = declaration.encoding() else {
            return Ok(());
        };
        let known = encoding.is_ok_and(|name| {
            ["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        });
        if known {
            return Ok(());
        }
        Err(self
            .wrong("the answer declares an encoding other than UTF-8")
            .advise("the gateway answers in UTF-8; check what stands between here and there"))
    }

    /// The text of a reference, or nothing if it is a character that is dropped.
    fn resolve(&mut self, reference: &BytesRef<'_>) -> Result<Option<Cow<'a, str>>, Error> {
        match character(reference) {
            Reference::Allowed(character) => {
                Ok(Some(character.encode_utf8(&mut [0; 4]).to_owned().into()))
            }
            Reference::Forbidden => self.illegal(1).map(|()| None),
            Reference::NoNumber => {
                Err(self.wrong("the answer has a character reference without a number"))
            }
            Reference::Unknown => Err(self
                .wrong(format!(
                    "the answer has the unknown entity {}",
                    shown(reference)
                ))
                .advise("only amp, lt, gt, quot, apos and numbers can stand in it")),
        }
    }

    fn illegal(&mut self, count: u64) -> Result<(), Error> {
        match self.options.illegal_characters {
            IllegalCharacters::Drop => {
                self.dropped += count;
                Ok(())
            }
            IllegalCharacters::Refuse => Err(illegal_character().at(self.position())),
        }
    }

    fn stray(&self, what: &str) -> Error {
        let place = if self.stage == Stage::AfterRoot {
            "behind"
        } else {
            "before"
        };
        self.wrong(format!("the answer has {what} {place} its document"))
    }

    fn malformed_attribute(&self, tag: &Tag<'a>) -> Error {
        self.wrong(format!(
            "the element {} has a malformed attribute",
            shown(tag.name())
        ))
        .in_field(tag.name())
    }

    /// Whether the document was cut in the first characters of a comment, CDATA section or DOCTYPE.
    fn ends_in_a_bang(&self) -> bool {
        let place = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
        let rest = self.document.get(place..).unwrap_or_default();
        ["<!--", "<![CDATA[", "<!DOCTYPE"]
            .iter()
            .any(|whole| whole.starts_with(rest))
    }

    /// The parser's own words can quote the answer, so they are not kept.
    fn not_well_formed(&self, error: XmlError) -> Error {
        let at_the_end = self.local_position() >= self.document.len();
        let noticed = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
        let what = match &error {
            XmlError::Syntax(SyntaxError::InvalidBangMarkup) if !self.ends_in_a_bang() => {
                "markup that begins with <! and is unknown"
            }
            // The parser reports these where it reaches the end in the middle of markup.
            XmlError::Syntax(_) => return Error::truncated().at(self.position()),
            XmlError::IllFormed(IllFormedError::UnclosedReference) if at_the_end => {
                return Error::truncated().at(self.position());
            }
            XmlError::IllFormed(IllFormedError::UnclosedReference) => {
                "a & that begins no reference"
            }
            XmlError::IllFormed(
                IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_),
            ) => "an end tag that does not match its start tag",
            _ => "a syntax error",
        };
        Error::protocol(format!("the answer is not well formed: it has {what}"))
            .advise("none of its records may be used; send the read again")
            .at(self.in_the_answer(noticed))
    }
}

impl Tag<'_> {
    pub(super) fn name(&self) -> &str {
        self.start.name().0
    }

    pub(super) fn has_attributes(&self) -> bool {
        !is_blank(self.start.attributes_raw())
    }
}

/// A text that arrives in pieces; a single piece is not copied.
#[derive(Default)]
pub(super) struct Text<'a> {
    first: Option<Cow<'a, str>>,
    joined: String,
}

impl<'a> Text<'a> {
    fn push(&mut self, piece: Cow<'a, str>) {
        match self.first.take() {
            None if self.joined.is_empty() => self.first = Some(piece),
            None => self.joined.push_str(&piece),
            Some(first) => {
                self.joined.push_str(&first);
                self.joined.push_str(&piece);
            }
        }
    }

    fn len(&self) -> usize {
        self.as_str().len()
    }

    pub(super) fn as_str(&self) -> &str {
        self.first.as_deref().unwrap_or(&self.joined)
    }

    /// Forgets the text, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.first = None;
        self.joined.clear();
    }

    fn take(self) -> Cow<'a, str> {
        self.first.unwrap_or(Cow::Owned(self.joined))
    }
}

/// Only what XML calls white space.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Loose on purpose: every name the gateway can send, and nothing that hides markup.
fn is_name(name: &str) -> bool {
    let starts_badly = matches!(
        name.as_bytes().first(),
        None | Some(b'0'..=b'9' | b'.' | b'-')
    );
    !starts_badly && name.bytes().all(|byte| NAME_BYTES[usize::from(byte)])
}

/// Letters, digits, `_ . - :` and everything beyond ASCII.
static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte >= 0x80
            || (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'_' | b'.' | b'-' | b':');
        byte += 1;
    }
    table
};

/// What stands between `&` and `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// A character that XML allows.
    Allowed(char),
    /// The number of a character that XML forbids, or of none at all.
    Forbidden,
    /// A `#` that no number follows.
    NoNumber,
    /// A name that XML does not know.
    Unknown,
}

pub(super) fn character(reference: &str) -> Reference {
    match reference {
        "amp" => Reference::Allowed('&'),
        "lt" => Reference::Allowed('<'),
        "gt" => Reference::Allowed('>'),
        "quot" => Reference::Allowed('"'),
        "apos" => Reference::Allowed('\''),
        _ => match reference.strip_prefix('#').map(character_code) {
            None => Reference::Unknown,
            Some(None) => Reference::NoNumber,
            Some(Some(code)) => char::from_u32(code)
                .filter(|c| is_allowed(*c))
                .map_or(Reference::Forbidden, Reference::Allowed),
        },
    }
}

/// The number of `#10` or `#xA`; numbers beyond all characters are kept as such.
fn character_code(number: &str) -> Option<u32> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(u32::from_str_radix(digits, radix).unwrap_or(u32::MAX))
}

//! The bytes of an answer, before they are parsed.

use std::borrow::Cow;

use super::options::{IllegalCharacters, ReadOptions};
use crate::error::{BodyShape, Error};
use crate::sanitise::{first_forbidden, sanitise_counted};

/// An answer that looks like XML, without the characters that XML forbids.
pub(super) struct Body<'a> {
    pub(super) text: Cow<'a, str>,
    /// How many bytes of the answer come before `text`.
    pub(super) skipped: u64,
    /// How many raw characters were dropped.
    pub(super) dropped: u64,
}

impl<'a> Body<'a> {
    pub(super) fn new(bytes: &'a [u8], options: &ReadOptions) -> Result<Self, Error> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Err(not_utf8(bytes, &error)),
        };
        let begun = text
            .strip_prefix('\u{FEFF}')
            .unwrap_or(text)
            .trim_ascii_start();
        let skipped = (text.len() - begun.len()) as u64;
        check_shape(begun, skipped)?;
        let (text, dropped) = match options.illegal_characters {
            IllegalCharacters::Drop => sanitise_counted(begun),
            IllegalCharacters::Refuse => match first_forbidden(begun) {
                None => (Cow::Borrowed(begun), 0),
                Some(at) => {
                    return Err(illegal_character().at(skipped + at as u64));
                }
            },
        };
        Ok(Self {
            text,
            skipped,
            dropped,
        })
    }
}

pub(super) fn illegal_character() -> Error {
    Error::protocol("the answer holds a character that XML forbids")
        .advise("read it with illegal characters dropped, which counts them")
}

/// UTF-8 that only stops in the middle of a character was cut off.
fn not_utf8(bytes: &[u8], error: &std::str::Utf8Error) -> Error {
    let position = error.valid_up_to() as u64;
    let begins_as_xml =
        bytes.trim_ascii_start().starts_with(b"<") || position < 3 && bytes.len() < 3;
    if error.error_len().is_none() && begins_as_xml {
        return Error::truncated().at(position);
    }
    Error::not_xml(BodyShape::NotUtf8).at(position)
}

fn check_shape(text: &str, skipped: u64) -> Result<(), Error> {
    let shape = match text.as_bytes().first() {
        None => BodyShape::Empty,
        Some(b'<') if is_html(text) => BodyShape::Html,
        Some(b'<') => return Ok(()),
        Some(b'{' | b'[') => BodyShape::Json,
        // A control character before the document is dropped with the others.
        Some(0..=0x1F) => return Ok(()),
        Some(_) => BodyShape::Text,
    };
    Err(Error::not_xml(shape).at(skipped))
}

fn is_html(text: &str) -> bool {
    ["<!doctype html", "<html", "<head", "<body"]
        .iter()
        .any(|start| {
            text.get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
                && !text[start.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        })
}

//! The one error type of this crate.

use std::borrow::Cow;
use std::fmt;

/// What went wrong while a request was built or an answer was read.
///
/// The type is opaque: ask [`kind`](Error::kind) what to do about it.
/// Its `Display` and `Debug` name elements, fields, limits and byte positions; they never hold a
/// secret, and never the text of a record.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: Cow<'static, str>,
    advice: Option<Cow<'static, str>>,
    position: Option<u64>,
    record: Option<u64>,
    field: Option<String>,
    shape: Option<BodyShape>,
    detail: Option<String>,
}

/// The class of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A request that the gateway would refuse, or an option that makes no sense; nothing was sent.
    Invalid,
    /// The answer ends before its document does. It is never taken for a shorter page.
    Truncated,
    /// The answer is not XML at all; [`Error::body_shape`] says what it looks like.
    NotXml,
    /// The answer is not well formed, or not the envelope that the vendor documents.
    Protocol,
    /// The answer is larger or deeper than [`ReadOptions`](crate::response::ReadOptions) allow.
    Limit,
    /// A value of a record does not fit the type that was asked for.
    Data,
}

/// What an answer that is not XML looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyShape {
    /// No bytes, or only white space.
    Empty,
    /// An HTML page, as proxies and load balancers send them.
    Html,
    /// JSON: an object or an array.
    Json,
    /// Bytes that are not UTF-8, for instance a compressed or UTF-16 body.
    NotUtf8,
    /// Text of some other kind.
    Text,
}

impl Error {
    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where in the answer it was noticed, in bytes from its start.
    ///
    /// If illegal characters were dropped before this place, the position is that many bytes low.
    pub fn position(&self) -> Option<u64> {
        self.0.position
    }

    /// Which record of the answer it concerns, counted from 0 over all its results.
    pub fn record(&self) -> Option<u64> {
        self.0.record
    }

    /// The field or element that it concerns.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What the body looks like, where it is not XML.
    pub fn body_shape(&self) -> Option<BodyShape> {
        self.0.shape
    }

    /// The message of a caller's own `Deserialize`, which may quote the value that it refused.
    ///
    /// It is kept out of `Display` and `Debug`, so that records do not reach a log by accident.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Whether the same read may succeed when it is sent again: the answer was cut off, or something
    /// other than the gateway answered.
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            ErrorKind::Truncated => true,
            ErrorKind::NotXml => {
                matches!(
                    self.0.shape,
                    Some(BodyShape::Empty | BodyShape::Html | BodyShape::Text)
                )
            }
            _ => false,
        }
    }

    fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            advice: None,
            position: None,
            record: None,
            field: None,
            shape: None,
            detail: None,
        }))
    }

    pub(crate) fn invalid(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, what)
    }

    pub(crate) fn protocol(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Protocol, what)
    }

    pub(crate) fn missing(element: &'static str, parent: &'static str) -> Self {
        Self::protocol(format!("the answer has no element {element} in {parent}"))
            .in_field(element)
            .advise("it does not come from the gateway, or the gateway has changed its format")
    }

    pub(crate) fn truncated() -> Self {
        Self::new(
            ErrorKind::Truncated,
            "the answer ends before its document does",
        )
        .advise("none of its records may be used; send the read again")
    }

    pub(crate) fn not_xml(shape: BodyShape) -> Self {
        let what = match shape {
            BodyShape::Empty => "the answer is empty",
            BodyShape::Html => "the answer is an HTML page, not the gateway's XML",
            BodyShape::Json => "the answer is JSON, not the gateway's XML",
            BodyShape::NotUtf8 => "the answer is not UTF-8 text",
            BodyShape::Text => "the answer is not XML",
        };
        let advice = match shape {
            BodyShape::Empty | BodyShape::Html | BodyShape::Text => {
                "something between here and the gateway answered; check the URL, then send again later"
            }
            BodyShape::Json => "ask for the return format xml",
            BodyShape::NotUtf8 => {
                "check that the body was decompressed and the URL is the gateway's"
            }
        };
        let mut error = Self::new(ErrorKind::NotXml, what).advise(advice);
        error.0.shape = Some(shape);
        error
    }

    pub(crate) fn limit(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Limit, what)
    }

    pub(crate) fn data(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Data, what)
    }

    pub(crate) fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// Keeps the position closest to the cause: the first one set stays.
    pub(crate) fn at(mut self, position: u64) -> Self {
        self.0.position.get_or_insert(position);
        self
    }

    /// Moves a position that is not before a place by so many bytes.
    pub(crate) fn moved(mut self, place: u64, bytes: u64) -> Self {
        if let Some(position) = &mut self.0.position
            && *position >= place
        {
            *position += bytes;
        }
        self
    }

    pub(crate) fn in_record(mut self, ordinal: u64) -> Self {
        self.0.record.get_or_insert(ordinal);
        self
    }

    pub(crate) fn in_field(mut self, name: impl Into<String>) -> Self {
        if self.0.field.is_none() {
            self.0.field = Some(name.into());
        }
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.what)?;
        // Elsewhere the text already names the element.
        if let (ErrorKind::Data, Some(field)) = (inner.kind, &inner.field) {
            write!(f, ", field {}", shown(field))?;
        }
        if let Some(record) = inner.record {
            write!(f, ", record {record}")?;
        }
        if let Some(position) = inner.position {
            write!(f, ", byte {position}")?;
        }
        if let Some(advice) = &inner.advice {
            write!(f, ": {advice}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("what", &inner.what);
        if let Some(field) = &inner.field {
            out.field("field", &shown(field));
        }
        if let Some(record) = inner.record {
            out.field("record", &record);
        }
        if let Some(position) = inner.position {
            out.field("position", &position);
        }
        if let Some(shape) = inner.shape {
            out.field("body_shape", &shape);
        }
        if inner.detail.is_some() {
            out.field("detail", &"[redacted]");
        }
        out.finish()
    }
}

impl std::error::Error for Error {}

/// A name from an answer, cut and escaped so that a hostile one cannot spoil a message.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 60;
    let mut out: String = name
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_what_to_do() {
        let error = Error::truncated().at(17);
        assert_eq!(
            error.to_string(),
            "the answer ends before its document does, byte 17: none of its records may be used; \
             send the read again"
        );
        assert!(error.is_transient());
    }

    #[test]
    fn a_detail_stays_out_of_display_and_debug() {
        let error = Error::data("the value does not fit")
            .in_field("TAXID")
            .with_detail("99-9999999");
        assert!(!format!("{error} {error:?}").contains("99-9999999"));
        assert_eq!(error.detail(), Some("99-9999999"));
    }

    #[test]
    fn a_hostile_name_is_cut_and_escaped() {
        assert_eq!(shown("a\nb"), "a\\nb");
        assert!(shown(&"x".repeat(500)).chars().count() < 70);
    }
}

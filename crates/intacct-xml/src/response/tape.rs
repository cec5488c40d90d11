//! One record read whole, before anybody is told of it.

use super::cursor::{Cursor, Tag, Text, Token, is_blank};
use super::target::{RecordEnd, RecordTarget};
use crate::error::Error;

/// The calls that a record makes to a target, in order.
///
/// It stands between the reader and the target, so that a target never sees a part of a record that
/// turns out to be malformed, and can have it a second time. The memory is used for every record.
#[derive(Default)]
pub(super) struct Tape {
    text: String,
    calls: Vec<Call>,
    is_flat: bool,
}

struct Call {
    kind: Kind,
    /// The name; of an attribute its element's.
    name: Span,
    /// The text; of an attribute its own name and its value.
    value: Option<Span>,
    attribute: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Attribute,
    Record,
    Field,
    Group,
    EndGroup,
    Text,
}

type Span = std::ops::Range<usize>;

impl Tape {
    /// Reads the record whose start tag was just opened, up to its end.
    ///
    /// Whether an element is a field or a group shows only at what comes next, so the last tag is
    /// held.
    pub(super) fn record<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        record: &Tag<'a>,
    ) -> Result<(), Error> {
        self.text.clear();
        self.calls.clear();
        self.is_flat = true;
        let most_fields = cursor.options().max_fields;
        let first_element = cursor.elements();
        let mut groups: Vec<Tag<'a>> = Vec::new();
        let mut held: Option<Tag<'a>> = None;
        let mut text = Text::default();
        self.tag(cursor, Kind::Record, record)?;
        loop {
            match cursor.next()? {
                Token::Text(piece) => cursor.push(&mut text, piece)?,
                Token::Open(tag) => {
                    if cursor.elements() - first_element > most_fields {
                        return Err(cursor.too_many(
                            "fields in a record, more than",
                            most_fields,
                            "max_fields",
                        ));
                    }
                    if let Some(group) = held.replace(tag) {
                        self.is_flat = false;
                        self.tag(cursor, Kind::Group, &group)?;
                        groups.push(group);
                    }
                    self.stray(&mut text);
                }
                Token::Close => {
                    if let Some(field) = held.take() {
                        self.tag(cursor, Kind::Field, &field)?;
                        let value = text.as_str();
                        let value = (!value.is_empty()).then(|| self.keep(value));
                        if let Some(call) = self.calls.last_mut() {
                            call.value = value;
                        }
                        text.clear();
                        continue;
                    }
                    self.stray(&mut text);
                    match groups.pop() {
                        Some(group) => self.call(Kind::EndGroup, group.name()),
                        None => return Ok(()),
                    }
                }
                Token::End => return Err(Error::truncated().at(cursor.position())),
            }
        }
    }

    /// Makes the calls, and makes them again if the target asks for it.
    pub(super) fn play(&self, target: &mut (impl RecordTarget + ?Sized)) -> Result<(), Error> {
        twice_at_most(target, |target| self.play_once(target))
    }

    fn play_once(&self, target: &mut (impl RecordTarget + ?Sized)) -> Result<RecordEnd, Error> {
        for call in &self.calls {
            let name = self.kept(&call.name);
            let value = call.value.as_ref().map(|span| self.kept(span));
            match call.kind {
                Kind::Attribute => {
                    target.attribute(
                        name,
                        self.kept(&call.attribute),
                        value.unwrap_or_default(),
                    )?;
                }
                Kind::Record => target.begin_record(name)?,
                Kind::Field => target.field(name, value)?,
                Kind::Group => target.begin_group(name)?,
                Kind::EndGroup => target.end_group(name)?,
                Kind::Text => target.text(value.unwrap_or_default())?,
            }
        }
        target.end_record()
    }

    /// The name of the record and of its fields, if it has nothing but fields with text or without.
    pub(super) fn shape(&self) -> Option<(&str, impl Iterator<Item = &str>)> {
        let (record, fields) = self.calls.split_first()?;
        if !self.is_flat {
            return None;
        }
        let names = fields.iter().map(|call| self.kept(&call.name));
        Some((self.kept(&record.name), names))
    }

    /// A tag's attributes, then the tag itself.
    fn tag<'a>(&mut self, cursor: &mut Cursor<'a>, kind: Kind, tag: &Tag<'a>) -> Result<(), Error> {
        if tag.has_attributes() {
            self.is_flat = false;
            cursor.attributes(tag, |name, value| {
                let attribute = self.keep(name);
                let value = self.keep(value);
                self.call(Kind::Attribute, tag.name());
                if let Some(call) = self.calls.last_mut() {
                    call.attribute = attribute;
                    call.value = Some(value);
                }
                Ok(())
            })?;
        }
        self.call(kind, tag.name());
        Ok(())
    }

    /// Text beside elements; white space between them is only layout.
    fn stray(&mut self, text: &mut Text<'_>) {
        if !is_blank(text.as_str()) {
            self.is_flat = false;
            let value = self.keep(text.as_str());
            self.call(Kind::Text, "");
            if let Some(call) = self.calls.last_mut() {
                call.value = Some(value);
            }
        }
        text.clear();
    }

    fn call(&mut self, kind: Kind, name: &str) {
        let name = self.keep(name);
        self.calls.push(Call {
            kind,
            name,
            value: None,
            attribute: 0..0,
        });
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn kept(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}

/// Hands a record over, and a second time if the target asks for it.
pub(super) fn twice_at_most<T: RecordTarget + ?Sized>(
    target: &mut T,
    mut hand_over: impl FnMut(&mut T) -> Result<RecordEnd, Error>,
) -> Result<(), Error> {
    for _ in 0..2 {
        if hand_over(target)? == RecordEnd::Done {
            return Ok(());
        }
    }
    Err(
        Error::data("a target asks for the same record a third time")
            .advise("it must be done with a record when it gets it again"),
    )
}

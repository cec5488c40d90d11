//! Borrowed rows, from quick-xml's events.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::Result;
use super::events::push_reference;

/// A field as it stands in the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BorrowedField<'b> {
    /// The element's name.
    pub name: &'b str,
    /// The text; its own only if it had references in it.
    pub value: Option<Cow<'b, str>>,
}

/// Gives each record's fields to the function. The list is used again for the next.
///
/// # Errors
/// If the body is not well formed as far as quick-xml checks.
pub fn quick_xml_rows<'b>(
    body: &'b str,
    record_element: &str,
    mut take: impl FnMut(&[BorrowedField<'b>]),
) -> Result<()> {
    let mut reader = Reader::from_str(body);
    let mut fields: Vec<BorrowedField<'b>> = Vec::new();
    let (mut is_in_record, mut is_in_field) = (false, false);
    loop {
        let before = usize::try_from(reader.buffer_position())?;
        // A name is borrowed from its event, which goes; the body stays.
        let name = |length| {
            body.get(before + 1..before + 1 + length)
                .unwrap_or_default()
        };
        match reader.read_event()? {
            Event::Start(start) if is_in_record => {
                let name = name(start.name().as_ref().len());
                fields.push(BorrowedField { name, value: None });
                is_in_field = true;
            }
            Event::Start(start) => is_in_record = start.name().as_ref() == record_element,
            Event::Empty(empty) if is_in_record => {
                let name = name(empty.name().as_ref().len());
                fields.push(BorrowedField { name, value: None });
            }
            Event::Text(piece) if is_in_field => {
                if let Some(field) = fields.last_mut() {
                    match &mut field.value {
                        Some(text) => text.to_mut().push_str(&piece),
                        None => field.value = Some(piece.into_inner()),
                    }
                }
            }
            Event::GeneralRef(reference) if is_in_field => {
                if let Some(field) = fields.last_mut() {
                    push_reference(field.value.get_or_insert_default().to_mut(), &reference)?;
                }
            }
            Event::End(_) if is_in_field => is_in_field = false,
            Event::End(_) if is_in_record => {
                take(&fields);
                fields.clear();
                is_in_record = false;
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

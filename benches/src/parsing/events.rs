//! The limits: what looking at a page costs if nothing is done with what is seen.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};
use xml::reader::XmlEvent;

use super::Result;

/// Counts the elements with quick-xml; texts are neither joined nor decoded.
///
/// # Errors
/// If the body is not well formed as far as quick-xml checks.
pub fn quick_xml_events(body: &str) -> Result<usize> {
    let mut reader = Reader::from_str(body);
    let mut elements = 0;
    loop {
        match reader.read_event()? {
            Event::Start(_) | Event::Empty(_) => elements += 1,
            Event::Eof => return Ok(elements),
            _ => {}
        }
    }
}

/// Counts the elements with xml-rs, which checks and decodes everything.
///
/// # Errors
/// If the body is not well formed.
pub fn xml_rs_events(body: &str) -> Result<usize> {
    let mut elements = 0;
    for event in xml::EventReader::from_str(body) {
        if let XmlEvent::StartElement { .. } = event? {
            elements += 1;
        }
    }
    Ok(elements)
}

/// Visits every `<`: the limit for whatever looks at each tag. Gives the sum of their places, so that
/// each is really visited.
pub fn every_angle_bracket(body: &str) -> usize {
    memchr::memchr_iter(b'<', body.as_bytes()).fold(0, usize::wrapping_add)
}

/// Copies the page into a warm buffer.
pub fn copied(body: &str, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(body.as_bytes());
}

/// Appends what a reference stands for.
pub(super) fn push_reference(text: &mut String, reference: &BytesRef<'_>) -> Result<()> {
    match reference.resolve_char_ref()? {
        Some(c) => text.push(c),
        None => text.push_str(resolve_xml_entity(reference).ok_or("unknown entity")?),
    }
    Ok(())
}

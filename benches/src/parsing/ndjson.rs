//! JSON lines, written by hand from quick-xml's events.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::Result;
use super::events::push_reference;

/// Appends a JSON object of strings and a line feed for each record. Fields without a value are null.
///
/// Nothing is kept but the output: no map, no string a field.
///
/// # Errors
/// If the body is not well formed as far as quick-xml checks.
pub fn quick_xml_ndjson(body: &str, record_element: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut reader = Reader::from_str(body);
    let mut is_in_record = false;
    let mut is_first = true;
    // Where the value of the field that is open begins.
    let mut value_at = None;
    let mut decoded = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) if is_in_record => {
                push_key(out, &mut is_first, start.name().as_ref());
                out.push(b'"');
                value_at = Some(out.len());
            }
            Event::Start(start) => {
                is_in_record = start.name().as_ref() == record_element;
                if is_in_record {
                    out.push(b'{');
                    is_first = true;
                }
            }
            Event::Empty(empty) if is_in_record => {
                push_key(out, &mut is_first, empty.name().as_ref());
                out.extend_from_slice(b"null");
            }
            Event::Text(piece) if value_at.is_some() => push_escaped(out, &piece),
            Event::GeneralRef(reference) if value_at.is_some() => {
                decoded.clear();
                push_reference(&mut decoded, &reference)?;
                push_escaped(out, &decoded);
            }
            Event::End(_) if is_in_record => match value_at.take() {
                Some(at) if at == out.len() => {
                    out.truncate(at - 1);
                    out.extend_from_slice(b"null");
                }
                Some(_) => out.push(b'"'),
                None => {
                    out.extend_from_slice(b"}\n");
                    is_in_record = false;
                }
            },
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn push_key(out: &mut Vec<u8>, is_first: &mut bool, name: &str) {
    if !std::mem::replace(is_first, false) {
        out.push(b',');
    }
    out.push(b'"');
    push_escaped(out, name);
    out.extend_from_slice(b"\":");
}

/// Runs are copied whole; only what JSON forbids is looked at alone.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let (high, low) = (control >> 4, control & 15);
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[DIGITS[usize::from(high)], DIGITS[usize::from(low)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

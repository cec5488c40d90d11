//! Spoiling what the gateway has written. It works on bytes, because what it makes is no XML any
//! more in many cases, and it knows how the gateway writes: plain tags without namespaces.

use super::fault::{Characters, Fault, Spoiler, Totals};

/// Parents whose children belong to one result.
const RESULT_PARENTS: [&str; 4] = ["result", "data", "api", "errormessage"];

/// Whether a text names an element and its parent.
pub(super) fn is_path(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    path.split_once('/')
        .is_some_and(|(parent, child)| is_name(parent) && is_name(child))
}

/// Whether the path leads into one result, and not into the frame of the answer.
pub(super) fn is_of_result(path: &str) -> bool {
    path.split_once('/')
        .is_some_and(|(parent, _)| RESULT_PARENTS.contains(&parent))
}

/// Spoils one result.
pub(super) fn result(fault: &Fault, result: &mut Vec<u8>) {
    match fault {
        Fault::Without(path) => without(result, path),
        Fault::RepeatRows(count) => repeat(result, *count),
        Fault::Totals(totals) => recount(result, totals),
        Fault::Characters(characters) => spoil(result, characters),
        Fault::AbsentNulls => drop_empty(result),
        Fault::BareAggregates => bare_names(result),
        _ => {}
    }
}

/// Takes an element out: the first of its name behind the start of its parent.
pub(super) fn without(bytes: &mut Vec<u8>, path: &str) {
    let Some((parent, child)) = path.split_once('/') else {
        return;
    };
    let Some(inside) = find_start(bytes, parent, 0) else {
        return;
    };
    let Some(from) = find_start(bytes, child, inside + 1) else {
        return;
    };
    let end = format!("</{child}>");
    let Some(to) = find(bytes, end.as_bytes(), from) else {
        return;
    };
    bytes.drain(from..to + end.len());
}

/// Gives every element of a name another text, or takes it out.
pub(super) fn leaf(bytes: &mut Vec<u8>, name: &str, text: Option<&str>) {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut at = 0;
    while let Some(from) = find(bytes, start.as_bytes(), at) {
        let Some(to) = find(bytes, end.as_bytes(), from) else {
            return;
        };
        let element = text
            .map(|text| format!("{start}{text}{end}"))
            .unwrap_or_default();
        at = from + element.len();
        bytes.splice(from..to + end.len(), element.into_bytes());
    }
}

/// Puts a document type declaration behind the XML declaration.
pub(super) fn doctype(bytes: &mut Vec<u8>) {
    let at = find(bytes, b"?>", 0).map_or(0, |at| at + 2);
    let declaration = *b"<!DOCTYPE response [<!ENTITY sim \"simulated\">]>";
    bytes.splice(at..at, declaration);
}

/// Writes the last records of a page twice.
fn repeat(result: &mut Vec<u8>, count: u32) {
    let Some(end) = rfind(result, b"</data>", result.len()) else {
        return;
    };
    let first = find_start(result, "data", 0).and_then(|data| find(result, b">", data));
    let first = first.unwrap_or(end);
    let mut from = end;
    let mut found = 0;
    for _ in 0..count {
        // The end tag of the record before, and by its name where the record begins.
        let Some(close) = rfind(result, b"</", from).filter(|close| *close > first) else {
            break;
        };
        let name: Vec<u8> = result[close + 2..from]
            .iter()
            .copied()
            .take_while(|byte| *byte != b'>')
            .collect();
        let start = [b"<", name.as_slice(), b">"].concat();
        let Some(begin) = rfind(result, &start, close) else {
            break;
        };
        (from, found) = (begin, found + 1);
    }
    let records = result[from..end].to_vec();
    result.splice(end..end, records);
    let totals = Totals {
        count: found,
        ..Totals::default()
    };
    recount(result, &totals);
}

fn recount(result: &mut Vec<u8>, totals: &Totals) {
    for (name, by) in [
        ("totalcount", totals.total),
        ("count", totals.count),
        ("numremaining", totals.remaining),
    ] {
        if by != 0 {
            add_to_attribute(result, name, by);
        }
    }
}

fn add_to_attribute(result: &mut Vec<u8>, name: &str, by: i64) {
    let Some(data) = find_start(result, "data", 0) else {
        return;
    };
    let Some(tag_end) = find(result, b">", data) else {
        return;
    };
    let attribute = format!(" {name}=\"");
    let Some(from) = find(&result[..tag_end], attribute.as_bytes(), data) else {
        return;
    };
    let from = from + attribute.len();
    let Some(to) = find(&result[..tag_end], b"\"", from) else {
        return;
    };
    let number = std::str::from_utf8(&result[from..to]).unwrap_or_default();
    let number = number.parse::<i64>().unwrap_or_default() + by;
    result.splice(from..to, number.max(0).to_string().into_bytes());
}

/// Puts what XML does not allow in front of values of a field.
fn spoil(result: &mut Vec<u8>, characters: &Characters) {
    let spoiler: &[u8] = match characters.with {
        Spoiler::RawControl => b"\x1F",
        Spoiler::ControlReference => b"&#x1F;",
        Spoiler::SurrogateReference => b"&#xD800;",
        Spoiler::InvalidUtf8 => b"\xFF",
    };
    let start = format!("<{}>", characters.field);
    let mut out = Vec::with_capacity(result.len());
    let (mut at, mut seen) = (0, 0_u32);
    while let Some(found) = find(result, start.as_bytes(), at) {
        let inside = found + start.len();
        out.extend_from_slice(&result[at..inside]);
        seen += 1;
        if seen.is_multiple_of(characters.every) {
            out.extend_from_slice(spoiler);
        }
        at = inside;
    }
    out.extend_from_slice(&result[at..]);
    *result = out;
}

/// Takes empty elements out of the records; the data element itself stays.
fn drop_empty(result: &mut Vec<u8>) {
    let Some(data) = find_start(result, "data", 0) else {
        return;
    };
    let Some(from) = find(result, b">", data).map(|at| at + 1) else {
        return;
    };
    let mut out = result[..from].to_vec();
    let mut at = from;
    while let Some(start) = find(result, b"<", at) {
        out.extend_from_slice(&result[at..start]);
        at = match empty_element(&result[start..]) {
            Some(length) => start + length,
            None => {
                out.push(b'<');
                start + 1
            }
        };
    }
    out.extend_from_slice(&result[at..]);
    *result = out;
}

/// How long the empty element is that these bytes begin with, if they do.
fn empty_element(bytes: &[u8]) -> Option<usize> {
    let tag_end = bytes.iter().position(|byte| *byte == b'>')?;
    let name = &bytes[1..tag_end];
    if name.first().is_none_or(|first| b"/!?".contains(first)) || name.contains(&b' ') {
        return None;
    }
    if name.ends_with(b"/") {
        return Some(tag_end + 1);
    }
    let end = [b"</", name, b">"].concat();
    let rest = &bytes[tag_end + 1..];
    rest.starts_with(&end).then_some(tag_end + 1 + end.len())
}

/// Takes the names of aggregate functions out of tags.
fn bare_names(result: &mut Vec<u8>) {
    const FUNCTIONS: [&[u8]; 5] = [b"COUNT.", b"SUM.", b"AVG.", b"MIN.", b"MAX."];
    let mut out = Vec::with_capacity(result.len());
    let mut at = 0;
    while let Some(start) = find(result, b"<", at) {
        let end = if result.get(start + 1) == Some(&b'/') {
            start + 2
        } else {
            start + 1
        };
        out.extend_from_slice(&result[at..end]);
        let function = FUNCTIONS
            .iter()
            .find(|function| result[end..].starts_with(function));
        at = end + function.map_or(0, |function| function.len());
    }
    out.extend_from_slice(&result[at..]);
    *result = out;
}

/// Where a start tag of this name begins.
fn find_start(bytes: &[u8], name: &str, from: usize) -> Option<usize> {
    let start = format!("<{name}");
    let mut at = from;
    loop {
        let found = find(bytes, start.as_bytes(), at)?;
        match bytes.get(found + start.len()) {
            Some(b'>' | b' ' | b'/') => return Some(found),
            _ => at = found + 1,
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(wanted.len())
        .position(|window| window == wanted)
        .map(|at| from + at)
}

fn rfind(bytes: &[u8], wanted: &[u8], before: usize) -> Option<usize> {
    bytes
        .get(..before)?
        .windows(wanted.len())
        .rposition(|window| window == wanted)
}

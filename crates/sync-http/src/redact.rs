//! Keeping secrets and personal data out of logs, errors and `Debug`.

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName};

/// What stands where a secret stood.
pub const MASK: &str = "[redacted]";

/// A value that prints as `[redacted]`.
///
/// For values that are sensitive without being passwords: bodies, account numbers, cursors. Passwords and tokens
/// belong in `secrecy::SecretString`, which also clears its memory.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Do not let it reach a log.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, by move.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// The headers as printable pairs, in order, with the values of sensitive ones masked.
///
/// Sensitive are values marked so, and names that speak of authorization, cookies, tokens, keys, secrets,
/// passwords or signatures. A value that is not visible ASCII is masked too.
#[must_use]
pub fn redact_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let shown = match value.to_str() {
                Ok(text) if !value.is_sensitive() && !is_sensitive_header(name) => text,
                _ => MASK,
            };
            (name.as_str().to_owned(), shown.to_owned())
        })
        .collect()
}

fn is_sensitive_header(name: &HeaderName) -> bool {
    const PARTS: [&str; 8] = [
        "auth",
        "cookie",
        "token",
        "secret",
        "password",
        "api-key",
        "apikey",
        "signature",
    ];
    PARTS.iter().any(|part| name.as_str().contains(part))
}

/// The document with the contents of sensitive elements replaced by `[redacted]`.
///
/// Sensitive are passwords, session ids, OAuth tokens, card, bank account and routing numbers, tax and social
/// security numbers; names are compared without regard to case, and only by what follows the last `.` or `:`
/// (`PAYTO.TAXID` is `TAXID`). The attributes of a sensitive element are dropped. It works on text that is not well
/// formed too, and there masks rather too much: a sensitive element that is never closed is masked to the end, and
/// one inside a comment or a CDATA section is masked like any other.
#[must_use]
pub fn redact_xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let Some(name) = opening_name(tag).filter(|name| is_sensitive_element(name)) else {
            out.push('<');
            rest = tag.get(1..).unwrap_or_default();
            continue;
        };
        let Some(open) = tag_end(tag).and_then(|end| tag.get(..end)) else {
            out.push_str(MASK);
            return out;
        };
        let after = tag.get(open.len()..).unwrap_or_default();
        out.push('<');
        out.push_str(name);
        if open.ends_with("/>") {
            out.push_str("/>");
            rest = after;
        } else {
            out.push('>');
            out.push_str(MASK);
            rest = skip_to_close(after, name);
        }
    }
    out.push_str(rest);
    out
}

/// The length of a comment or CDATA section at the start of `tag`, which may hold a `<` that opens nothing.
fn verbatim_section(tag: &str) -> Option<usize> {
    let (opening, closing) = [("<!--", "-->"), ("<![CDATA[", "]]>")]
        .into_iter()
        .find(|(opening, _)| tag.starts_with(opening))?;
    let found = tag.get(opening.len()..)?.find(closing);
    Some(found.map_or(tag.len(), |at| opening.len() + at + closing.len()))
}

/// The length of the tag at the start of `tag`, its `>` included; a `>` inside a quoted value does not end it.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    let mut value_follows = false;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') if value_follows => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        value_follows = byte == b'=' || value_follows && byte.is_ascii_whitespace();
    }
    None
}

/// The element name of an opening tag.
fn opening_name(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix('<')?;
    let end = inner.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/' || c == '=');
    let name = inner.get(..end.unwrap_or(inner.len()))?;
    (!name.is_empty()).then_some(name)
}

fn is_sensitive_element(name: &str) -> bool {
    const NAMES: [&str; 17] = [
        "password",
        "oldpassword",
        "newpassword",
        "sessionid",
        "oauth",
        "accesstoken",
        "accountnumber",
        "bankaccountnumber",
        "cardnum",
        "cardnumber",
        "ssn",
        "taxid",
        "federalid",
        "achaccountnumber",
        "achbankroutingnumber",
        "wireaccountnumber",
        "wirebankroutingnumber",
    ];
    let local = name.rsplit(['.', ':']).next().unwrap_or(name);
    NAMES
        .iter()
        .any(|candidate| candidate.eq_ignore_ascii_case(local))
}

/// What begins with the closing tag of `name`, or nothing when it is never closed. Nested elements of the same name
/// and CDATA sections are passed over.
fn skip_to_close<'a>(text: &'a str, name: &str) -> &'a str {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let tag = rest.get(start..).unwrap_or_default();
        if let Some(length) = verbatim_section(tag) {
            rest = tag.get(length..).unwrap_or_default();
            continue;
        }
        if let Some(closing) = tag.strip_prefix("</") {
            let end = closing.find('>').unwrap_or(closing.len());
            if closing
                .get(..end)
                .is_some_and(|found| found.trim_end().eq_ignore_ascii_case(name))
            {
                if depth == 0 {
                    return tag;
                }
                depth -= 1;
            }
        } else if opening_name(tag).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            let closes_itself = tag_end(tag)
                .and_then(|end| tag.get(..end))
                .is_some_and(|open| open.ends_with("/>"));
            depth += usize::from(!closes_itself);
        }
        rest = tag.get(1..).unwrap_or_default();
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::{Redacted, redact_headers, redact_xml};
    use proptest::prelude::*;
    use reqwest::header::{HeaderMap, HeaderValue};

    #[test]
    fn masks_sensitive_elements_and_keeps_the_rest() {
        let before = "<login><userid>u</userid><Password a='1'>p&lt;w</Password></login>\
                      <SESSIONID>s..</SESSIONID><PAYTO.TAXID>99</PAYTO.TAXID><ssn/><NAME>Ann</NAME>";
        let after = redact_xml(before);
        assert_eq!(
            after,
            "<login><userid>u</userid><Password>[redacted]</Password></login>\
             <SESSIONID>[redacted]</SESSIONID><PAYTO.TAXID>[redacted]</PAYTO.TAXID><ssn/><NAME>Ann</NAME>"
        );
    }

    #[test]
    fn is_not_fooled_by_sections_nesting_or_a_missing_end() {
        let cases = [
            "<password><![CDATA[top</password>secret]]></password>",
            "<password>top<password>secret</password>secret</password>",
            "<password>topsecret",
            "<password value='topsecret'/>",
            "<a x='>'><password>topsecret</password></a>",
            "<!-- ' --><password>topsecret</password>",
            "<password a='/>'>topsecret</password>",
            "<a b=\"><password>topsecret</password>",
            "<password topsecret",
        ];
        for case in cases {
            assert!(!redact_xml(case).contains("secret"), "{case}");
        }
    }

    #[test]
    fn masks_headers_and_wrapped_values() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "authorization",
            HeaderValue::from_static("Bearer topsecret"),
        );
        headers.insert("x-tableau-auth", HeaderValue::from_static("topsecret"));
        let mut marked = HeaderValue::from_static("topsecret");
        marked.set_sensitive(true);
        headers.insert("x-plain", marked);
        headers.insert("content-type", HeaderValue::from_static("text/xml"));
        let shown = format!(
            "{:?} {:?}",
            redact_headers(&headers),
            Redacted::new("topsecret")
        );
        assert!(!shown.contains("topsecret"), "{shown}");
        assert!(shown.contains("text/xml"), "{shown}");
    }

    proptest! {
        #[test]
        fn text_of_a_password_never_survives(
            prefix in "[a-z <>/&']{0,20}",
            padding in "[a-z &;]{0,10}",
            suffix in "[a-z <>/&']{0,20}",
        ) {
            let text = format!("{prefix}<password>{padding}S3CRET{padding}</password>{suffix}");
            prop_assert!(!redact_xml(&text).contains("S3CRET"), "{}", text);
        }

        #[test]
        fn never_panics_and_leaves_other_documents_alone(text in "\\PC{0,80}") {
            let once = redact_xml(&text);
            let lower = text.to_ascii_lowercase();
            if !["password", "session", "oauth", "token", "number", "card", "ssn", "taxid", "federal"]
                .iter().any(|word| lower.contains(word)) {
                prop_assert_eq!(once, text);
            }
        }
    }
}

//! What the gateway says when it refuses.

use std::fmt;

use super::cursor::{Cursor, Tag, Token, is_blank};
use super::tree::Element;
use crate::error::Error;

/// One `error` of an `errormessage` (developer.intacct.com, Error handling).
///
/// Any of the texts can be missing, and `errorno` can be prose instead of a code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayError {
    /// The number, such as `XL03000006`, or prose such as `Query Failed`.
    pub errorno: Option<String>,
    /// What happened; often empty.
    pub description: Option<String>,
    /// What happened, in more detail.
    pub description2: Option<String>,
    /// What the vendor advises.
    pub correction: Option<String>,
    /// The structured form, where the request asked for it.
    pub additional_info: Option<AdditionalInfo>,
    /// The id to give to the vendor's support, decoded from `[Support ID: …]` in the texts.
    pub support_id: Option<String>,
    /// The id of a request that the gateway's edge refused, from `[Request ID: …]`.
    pub request_id: Option<String>,
}

/// The `additionalinfo` of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdditionalInfo {
    /// A finer number, such as `GL-0493`.
    pub error_id: Option<String>,
    /// The class of the error.
    pub category: Option<String>,
    /// What it is about: the attributes `domain`, `requestinfo`, `object`, `field`, `businessinfo`.
    pub target: Vec<(String, String)>,
    /// The message behind the description.
    pub description: Option<Message>,
    /// The message behind the description, in the customer's terms.
    pub customer_description: Option<Message>,
    /// The message behind the correction.
    pub correction: Option<Message>,
}

/// A message of an [`AdditionalInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The id of its text.
    pub message_id: Option<String>,
    /// The text, where there is one.
    pub text: Option<String>,
    /// What stands for the placeholders of the text: name and value.
    pub placeholders: Vec<(String, String)>,
}

impl GatewayError {
    /// Whether it only says that the transaction was rolled back because of another error.
    pub fn is_rollback(&self) -> bool {
        self.errorno.as_deref() == Some("XL03000009")
    }

    /// Whether any of its texts holds these words, in any case.
    pub fn mentions(&self, words: &str) -> bool {
        let words = words.to_lowercase();
        self.texts()
            .any(|text| text.to_lowercase().contains(&words))
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.description, &self.description2, &self.correction]
            .into_iter()
            .filter_map(|text| text.as_deref())
    }
}

/// One line: number, texts and support id.
impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errorno.as_deref().unwrap_or("error without a number"))?;
        let mut before = ": ";
        for text in self.texts() {
            write!(f, "{before}{}", text.trim().replace(['\r', '\n'], " "))?;
            before = "; ";
        }
        Ok(())
    }
}

/// The errors in the `errormessage` element just opened.
pub(super) fn error_message(cursor: &mut Cursor<'_>) -> Result<Vec<GatewayError>, Error> {
    let mut errors = Vec::new();
    loop {
        match cursor.next()? {
            Token::Open(tag) if tag.name() == "error" => {
                errors.push(GatewayError::from_element(&element(cursor, tag)?));
            }
            Token::Open(_) => cursor.skip()?,
            Token::Text(text) if is_blank(&text) => {}
            Token::Text(text) => {
                // Not documented, but the only thing that says what went wrong.
                errors.push(GatewayError {
                    description: Some(text.trim().to_owned()),
                    ..GatewayError::default()
                });
            }
            Token::Close | Token::End => return Ok(errors),
        }
    }
}

/// The element just opened, with everything in it.
fn element<'a>(cursor: &mut Cursor<'a>, tag: Tag<'a>) -> Result<Element, Error> {
    let mut open = vec![begun(cursor, &tag)?];
    loop {
        match cursor.next()? {
            Token::Open(tag) => open.push(begun(cursor, &tag)?),
            Token::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.push_text(&text);
                }
            }
            Token::Close | Token::End => {
                let Some(element) = open.pop() else {
                    return Err(cursor.wrong("an error of the answer does not end"));
                };
                match open.last_mut() {
                    Some(parent) => parent.push_child(element),
                    None => return Ok(element),
                }
            }
        }
    }
}

fn begun<'a>(cursor: &mut Cursor<'a>, tag: &Tag<'a>) -> Result<Element, Error> {
    let mut element = Element::new(tag.name());
    cursor.attributes(tag, |name, value| {
        element.push_attribute(name, value);
        Ok(())
    })?;
    Ok(element)
}

impl GatewayError {
    /// Only direct children count: `additionalinfo` nests elements of the same names.
    fn from_element(element: &Element) -> Self {
        let mut error = Self {
            errorno: filled(element.text_of("errorno")),
            description: filled(element.text_of("description")),
            description2: filled(element.text_of("description2")),
            correction: filled(element.text_of("correction")),
            additional_info: element
                .child("additionalinfo")
                .map(AdditionalInfo::from_element),
            support_id: None,
            request_id: None,
        };
        let id_behind = |marker| error.texts().find_map(|text| bracketed(text, marker));
        let (support_id, request_id) = (id_behind("[Support ID:"), id_behind("[Request ID:"));
        error.support_id = support_id;
        error.request_id = request_id;
        error
    }
}

impl AdditionalInfo {
    fn from_element(element: &Element) -> Self {
        let message = |name| element.child(name).map(Message::from_element);
        Self {
            error_id: value_of(element, "errorid"),
            category: value_of(element, "category"),
            target: element.child("target").map(all_values).unwrap_or_default(),
            description: message("description"),
            customer_description: message("cdescription"),
            correction: message("correction"),
        }
    }
}

impl Message {
    fn from_element(element: &Element) -> Self {
        let placeholders = element.child("placeholders").into_iter().flat_map(|list| {
            list.children_named("placeholder").map(|placeholder| {
                let part = |name| value_of(placeholder, name).unwrap_or_default();
                (part("name"), part("value"))
            })
        });
        Self {
            message_id: value_of(element, "messageid"),
            text: filled(element.text()),
            placeholders: placeholders.collect(),
        }
    }
}

/// An attribute, or the text of a child: which of the two the vendor sends is not documented for all.
fn value_of(element: &Element, name: &str) -> Option<String> {
    filled(element.attribute(name).or_else(|| element.text_of(name)))
}

fn all_values(element: &Element) -> Vec<(String, String)> {
    let children = element
        .children()
        .iter()
        .filter_map(|c| c.text().map(|text| (c.name(), text)));
    element
        .attributes()
        .chain(children)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn filled(text: Option<&str>) -> Option<String> {
    text.filter(|text| !is_blank(text)).map(str::to_owned)
}

/// The id behind a marker, up to the bracket, with its `%7E` and the like decoded.
fn bracketed(text: &str, marker: &str) -> Option<String> {
    let (_, behind) = text.split_once(marker)?;
    let (id, _) = behind.split_once(']')?;
    let id = id.trim();
    (!id.is_empty()).then(|| percent_decoded(id))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_and_decoded() {
        assert_eq!(
            bracketed("Sorry. [Support ID: a%7Eb%zz%7e]", "[Support ID:").as_deref(),
            Some("a~b%zz~")
        );
        assert_eq!(bracketed("[Support ID: open", "[Support ID:"), None);
        assert_eq!(bracketed("[Support ID: ]", "[Support ID:"), None);
        assert_eq!(percent_decoded("%FF%é%"), "%FF%é%");
    }
}

//! An answer on its way: status, headers, body, and how it gets to the caller.

/// What the gateway sends in all cases (the parameter is named `encoding` there).
const XML: &str = "text/xml; encoding=\"UTF-8\"";

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// An empty text stands for no such header.
    pub(crate) content_type: String,
    /// Headers beside content type, length and date, in lower case.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delivery: Delivery,
}

/// What happens to an answer on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Milliseconds before the first byte.
    pub(crate) before_ms: u64,
    /// Milliseconds in the middle of the body.
    pub(crate) amid_ms: u64,
    /// Bytes of the body after which the connection ends; 0 for before the first byte of all.
    pub(crate) cut_at: Option<usize>,
}

impl Answer {
    pub(crate) fn xml(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type: XML.to_owned(),
            headers: Vec::new(),
            body,
            delivery: Delivery::default(),
        }
    }

    pub(crate) fn html(status: u16, body: Vec<u8>) -> Self {
        Self {
            content_type: "text/html; charset=UTF-8".to_owned(),
            ..Self::xml(status, body)
        }
    }
}

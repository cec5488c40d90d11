//! A request as the API takes it apart: which method is called, about what.

use std::collections::HashMap;

use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use super::refusal::Refusal;

/// A request whose body has been read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// The parts of the path, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let path = uri.path().split('/').skip(1).map(decode).collect();
        Self {
            method,
            path,
            query: form(uri.query().unwrap_or_default()),
            headers,
            body,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A parameter that is a number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.parameter(name) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| Refusal::invalid(format!("Invalid value for {name}: \"{text}\"")).at(name))
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Json, Refusal> {
        let kind = self.header("content-type").unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("application/json") {
            return Err(Refusal::new(
                400,
                "badRequest",
                format!("Content type \"{kind}\" is not application/json"),
            ));
        }
        parse(&self.body)
    }
}

/// Reads JSON in the way that the API complains about it.
pub(super) fn parse(body: &[u8]) -> Result<Json, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            400,
            "parseError",
            format!("Invalid JSON payload received. {error}"),
        )
    })
}

/// Reads `a=b&c=d`.
pub(super) fn form(text: &str) -> HashMap<String, String> {
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The method that is called, by its name in the Discovery document, with what its path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Token,
    Machine(Vec<String>),
    DatasetsList(String),
    DatasetsGet(String, String),
    DatasetsInsert(String),
    DatasetsDelete(String, String),
    TablesList(String, String),
    TablesInsert(String, String),
    TablesGet(String, String, String),
    TablesPatch(String, String, String),
    TablesDelete(String, String, String),
    InsertAll(String, String, String),
    TabledataList(String, String, String),
    JobsInsert(String),
    /// With the body of a load behind the resource, or a session for one.
    JobsUpload(String),
    /// Part of a resumable upload.
    UploadPut(String),
    JobsList(String),
    JobsGet(String, String),
    JobsCancel(String, String),
    JobsQuery(String),
    GetQueryResults(String, String),
}

impl Call {
    /// Reads method and path; none where the API has nothing there.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let path: Vec<_> = request.path.iter().map(String::as_str).collect();
        let uploads = match path.as_slice() {
            ["upload" | "resumable", rest @ ..] => {
                let rest = match rest {
                    ["upload", rest @ ..] => rest,
                    rest => rest,
                };
                Some(rest)
            }
            _ => None,
        };
        if let Some(rest) = uploads {
            let ["bigquery", "v2", "projects", project, "jobs"] = rest else {
                return None;
            };
            return match request.method {
                Method::POST => Some(Self::JobsUpload((*project).to_owned())),
                Method::PUT => Some(Self::UploadPut((*project).to_owned())),
                _ => None,
            };
        }
        match (&request.method, path.as_slice()) {
            (&Method::POST, ["token"]) => return Some(Self::Token),
            (&Method::GET, ["computeMetadata", "v1", rest @ ..]) => {
                return Some(Self::Machine(
                    rest.iter().map(|it| (*it).to_owned()).collect(),
                ));
            }
            _ => {}
        }
        let ["bigquery", "v2", "projects", project, rest @ ..] = path.as_slice() else {
            return None;
        };
        let own = |text: &&str| (*text).to_owned();
        let p = own(project);
        Some(match (&request.method, rest) {
            (&Method::GET, ["datasets"]) => Self::DatasetsList(p),
            (&Method::POST, ["datasets"]) => Self::DatasetsInsert(p),
            (&Method::GET, ["datasets", d]) => Self::DatasetsGet(p, own(d)),
            (&Method::DELETE, ["datasets", d]) => Self::DatasetsDelete(p, own(d)),
            (&Method::GET, ["datasets", d, "tables"]) => Self::TablesList(p, own(d)),
            (&Method::POST, ["datasets", d, "tables"]) => Self::TablesInsert(p, own(d)),
            (&Method::GET, ["datasets", d, "tables", t]) => Self::TablesGet(p, own(d), own(t)),
            (&Method::PATCH, ["datasets", d, "tables", t]) => Self::TablesPatch(p, own(d), own(t)),
            (&Method::DELETE, ["datasets", d, "tables", t]) => {
                Self::TablesDelete(p, own(d), own(t))
            }
            (&Method::POST, ["datasets", d, "tables", t, "insertAll"]) => {
                Self::InsertAll(p, own(d), own(t))
            }
            (&Method::GET, ["datasets", d, "tables", t, "data"]) => {
                Self::TabledataList(p, own(d), own(t))
            }
            (&Method::GET, ["jobs"]) => Self::JobsList(p),
            (&Method::POST, ["jobs"]) => Self::JobsInsert(p),
            (&Method::GET, ["jobs", j]) => Self::JobsGet(p, own(j)),
            (&Method::POST, ["jobs", j, "cancel"]) => Self::JobsCancel(p, own(j)),
            (&Method::POST, ["queries"]) => Self::JobsQuery(p),
            (&Method::GET, ["queries", j]) => Self::GetQueryResults(p, own(j)),
            _ => return None,
        })
    }

    /// The name that fault scripts and counts use.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Token => "oauth.token",
            Self::Machine(_) => "metadata",
            Self::DatasetsList(_) => "datasets.list",
            Self::DatasetsGet(..) => "datasets.get",
            Self::DatasetsInsert(_) => "datasets.insert",
            Self::DatasetsDelete(..) => "datasets.delete",
            Self::TablesList(..) => "tables.list",
            Self::TablesInsert(..) => "tables.insert",
            Self::TablesGet(..) => "tables.get",
            Self::TablesPatch(..) => "tables.patch",
            Self::TablesDelete(..) => "tables.delete",
            Self::InsertAll(..) => "tabledata.insertAll",
            Self::TabledataList(..) => "tabledata.list",
            Self::JobsInsert(_) => "jobs.insert",
            Self::JobsUpload(_) => "jobs.upload",
            Self::UploadPut(_) => "jobs.upload.put",
            Self::JobsList(_) => "jobs.list",
            Self::JobsGet(..) => "jobs.get",
            Self::JobsCancel(..) => "jobs.cancel",
            Self::JobsQuery(_) => "jobs.query",
            Self::GetQueryResults(..) => "jobs.getQueryResults",
        }
    }

    /// The project of the path.
    pub(super) fn project(&self) -> Option<&str> {
        match self {
            Self::Token | Self::Machine(_) => None,
            Self::DatasetsList(p)
            | Self::DatasetsGet(p, _)
            | Self::DatasetsInsert(p)
            | Self::DatasetsDelete(p, _)
            | Self::TablesList(p, _)
            | Self::TablesInsert(p, _)
            | Self::TablesGet(p, ..)
            | Self::TablesPatch(p, ..)
            | Self::TablesDelete(p, ..)
            | Self::InsertAll(p, ..)
            | Self::TabledataList(p, ..)
            | Self::JobsInsert(p)
            | Self::JobsUpload(p)
            | Self::UploadPut(p)
            | Self::JobsList(p)
            | Self::JobsGet(p, _)
            | Self::JobsCancel(p, _)
            | Self::JobsQuery(p)
            | Self::GetQueryResults(p, _) => Some(p),
        }
    }
}

/// Takes a `multipart/related` body apart: the resource, and the media behind it.
pub(super) fn multipart(request: &Request) -> Result<(Json, Bytes), Refusal> {
    let malformed = |what: &str| {
        Refusal::new(
            400,
            "badRequest",
            format!("Malformed multipart body. {what}"),
        )
    };
    let kind = request.header("content-type").unwrap_or_default();
    let boundary = kind
        .strip_prefix("multipart/related")
        .and_then(|rest| {
            rest.split(';')
                .find_map(|part| part.trim().strip_prefix("boundary="))
        })
        .map(|boundary| boundary.trim_matches('"'))
        .filter(|boundary| !boundary.is_empty())
        .ok_or_else(|| malformed("The content type is not multipart/related with a boundary."))?;
    let body = &request.body;
    let mark = format!("--{boundary}");
    let opening = body.starts_with(mark.as_bytes()).then_some(mark.len());
    let mut at = opening.ok_or_else(|| malformed("It does not begin with the boundary."))?;
    let mut parts = Vec::new();
    let closing = format!("\r\n{mark}");
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            break;
        }
        let rest = rest
            .strip_prefix(b"\r\n")
            .ok_or_else(|| malformed("A line does not end."))?;
        let start = body.len() - rest.len();
        let blank =
            find(&body[start..], b"\r\n\r\n").ok_or_else(|| malformed("A part has no body."))?;
        let from = start + blank + 4;
        let end = find(&body[from..], closing.as_bytes())
            .ok_or_else(|| malformed("The closing boundary is missing."))?;
        let headers = String::from_utf8_lossy(&body[start..start + blank]).to_ascii_lowercase();
        parts.push((headers, body.slice(from..from + end)));
        at = from + end + closing.len();
    }
    let [(headers, resource), (_, media)] = parts.as_slice() else {
        return Err(malformed("It has not exactly two parts."));
    };
    if !headers.contains("application/json") {
        return Err(malformed("The first part is not application/json."));
    }
    Ok((parse(resource)?, media.clone()))
}

/// Where a pattern begins. The first byte is looked for first: bodies are long.
fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let first = *pattern.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if text[at..].starts_with(pattern) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

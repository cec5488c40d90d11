//! Resumable uploads: a body in as many pieces as it takes.
//!
//! docs.cloud.google.com/bigquery, API uploads.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value as Json;

use super::jobs::JobName;
use super::refusal::Refusal;

/// Every piece but the last is a multiple of it.
const GRAIN: usize = 262_144;

/// The uploads that were begun.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    sessions: HashMap<String, Session>,
    number: u64,
}

#[derive(Debug)]
struct Session {
    project: String,
    resource: Json,
    /// As `X-Upload-Content-Length` said.
    announced: Option<usize>,
    received: Vec<u8>,
    /// The job, once all is there.
    job: Option<JobName>,
    lost: bool,
}

/// What a piece leads to.
pub(super) enum Step {
    /// More is to come; so many bytes are there.
    More(usize),
    /// All is there: the resource and the body, to be submitted.
    Whole(Json, Bytes),
    /// It was submitted before.
    Done(JobName),
}

/// What `Content-Range` says: first and last byte, where there are any, and the length, where it
/// is known.
struct Range {
    bytes: Option<(usize, usize)>,
    total: Option<usize>,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (bytes, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let bytes = match bytes {
            "*" => None,
            bytes => {
                let (first, last) = bytes.split_once('-')?;
                let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
                (first <= last).then_some((first, last))?;
                Some((first, last))
            }
        };
        Some(Self { bytes, total })
    }
}

impl Uploads {
    /// Begins an upload; gives its id.
    pub(super) fn begin(
        &mut self,
        project: &str,
        resource: Json,
        announced: Option<usize>,
    ) -> String {
        self.number += 1;
        let id = format!("sim-upload-{:08}-{:016x}", self.number, fastrand::u64(..));
        let session = Session {
            project: project.to_owned(),
            resource,
            announced,
            received: Vec::new(),
            job: None,
            lost: false,
        };
        self.sessions.insert(id.clone(), session);
        id
    }

    /// The resource that an upload was begun with.
    pub(super) fn resource(&self, id: &str) -> Option<&Json> {
        self.sessions.get(id).map(|session| &session.resource)
    }

    /// Loses an upload: from now on it is gone.
    pub(super) fn lose(&mut self, id: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.lost = true;
        }
    }

    /// Takes a piece; only its first half where `halve` says so.
    pub(super) fn put(
        &mut self,
        project: &str,
        id: &str,
        range: Option<&str>,
        body: &[u8],
        halve: bool,
    ) -> Result<Step, Refusal> {
        let session = self
            .sessions
            .get_mut(id)
            .filter(|session| session.project == project)
            .ok_or_else(|| Refusal::not_found("The upload is not known"))?;
        if session.lost {
            return Err(Refusal::new(410, "gone", "The upload was terminated"));
        }
        if let Some(job) = &session.job {
            return Ok(Step::Done(job.clone()));
        }
        let bad = |what: String| Refusal::new(400, "badRequest", what);
        let range = match range {
            None => Range {
                bytes: (!body.is_empty()).then(|| (0, body.len() - 1)),
                total: Some(body.len()),
            },
            Some(text) => {
                Range::parse(text).ok_or_else(|| bad(format!("Bad Content-Range: {text}")))?
            }
        };
        if let (Some(announced), Some(total)) = (session.announced, range.total)
            && announced != total
        {
            return Err(bad(format!(
                "The upload has {total} bytes, and X-Upload-Content-Length said {announced}"
            )));
        }
        let Some((first, last)) = range.bytes else {
            if !body.is_empty() {
                return Err(bad(
                    "A request that asks for the state has no body".to_owned()
                ));
            }
            return Ok(session.step(range.total));
        };
        let length = last - first + 1;
        if length != body.len() {
            return Err(bad(format!(
                "Content-Range names {length} bytes, and the body has {}",
                body.len()
            )));
        }
        let is_last = range.total == Some(last + 1);
        if range.total.is_some_and(|total| last >= total) {
            return Err(bad("Content-Range goes beyond the end".to_owned()));
        }
        if !is_last && !length.is_multiple_of(GRAIN) {
            return Err(bad(format!(
                "Every piece but the last must be a multiple of {GRAIN} bytes, not {length}"
            )));
        }
        let there = session.received.len();
        if first > there {
            return Err(bad(format!(
                "The piece begins at {first}, and only {there} bytes are there"
            )));
        }
        let kept = if halve {
            body.len() / 2 / GRAIN * GRAIN
        } else {
            body.len()
        };
        let skip = (there - first).min(kept);
        session.received.extend_from_slice(&body[skip..kept]);
        Ok(session.step(range.total))
    }

    /// Notes which job an upload became.
    pub(super) fn finish(&mut self, id: &str, job: JobName) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.job = Some(job);
            session.received = Vec::new();
        }
    }
}

impl Session {
    fn step(&self, total: Option<usize>) -> Step {
        if total == Some(self.received.len()) {
            let body = Bytes::copy_from_slice(&self.received);
            return Step::Whole(self.resource.clone(), body);
        }
        Step::More(self.received.len())
    }
}

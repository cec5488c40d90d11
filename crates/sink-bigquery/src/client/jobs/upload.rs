//! Data on their way into a load: in one request, or in pieces that can be resumed.
//!
//! BigQuery documentation, "Upload data with the API".

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;
use sync_http::header::{CONTENT_RANGE, HeaderName, HeaderValue, LOCATION, RANGE};
use sync_http::{Answer, Method, Phase, Retry};
use url::Url;

use super::configuration::Submission;
use super::{Job, Jobs};
use crate::client::names::JobId;
use crate::client::options::is_loopback;
use crate::client::reason::Reason;
use crate::client::transport::{Call, DATA, Exchanged, JSON, parsed};
use crate::error::{Error, ErrorKind, Result};

/// What pieces of an upload are multiples of, the last one aside.
const PIECE: usize = 256 * 1024;

/// A session that is lost is begun again this often, under the same job id.
const SESSIONS: u32 = 5;

/// "Not yet": the answer to a piece that was not the last.
const RESUME_INCOMPLETE: u16 = 308;

impl Jobs<'_> {
    /// One request with two parts: what to do, and the data.
    pub(super) async fn multipart(
        &self,
        job_id: &JobId,
        submission: &Submission<'_>,
        data: &Bytes,
    ) -> Result<Job> {
        let metadata = metadata(submission)?;
        let boundary = boundary(&metadata, data);
        let body = related(&boundary, &metadata, data);
        let content_type = format!("multipart/related; boundary={boundary}");
        let content_type = HeaderValue::from_str(&content_type).map_err(|source| {
            Error::config("a boundary of the upload is no header").caused_by(source)
        })?;
        let url = self.upload_address("multipart")?;
        let call = Call::new("jobs.insert", Method::POST, url)
            .about("job_id", job_id)
            .with_body(content_type, body);
        self.client.transport.json(&call).await
    }

    /// A session, and the data piece by piece. What the server has not kept is sent again; a session that is lost is begun
    /// anew, under the same job id.
    pub(super) async fn resumable(
        &self,
        job_id: &JobId,
        submission: &Submission<'_>,
        data: &Bytes,
        chunk_bytes: usize,
    ) -> Result<Job> {
        let chunk = (chunk_bytes / PIECE).max(1) * PIECE;
        let mut sessions = 0;
        loop {
            sessions += 1;
            let session = self.begin(job_id, submission, data.len()).await?;
            match self.send_pieces(job_id, &session, data, chunk).await {
                Err(error) if is_lost(&error) && sessions < SESSIONS => {
                    tracing::info!(job = %job_id, %error, "the upload begins anew");
                    let pause = self.client.transport.retry.ceiling(sessions);
                    self.client.timing().sleep(pause).await;
                }
                Err(error) if is_lost(&error) => {
                    return Err(error
                        .retrying(Retry::Backoff)
                        .in_phase(Phase::MaybeReceived)
                        .exhausted_after(sessions));
                }
                // The session before may have ended well, its answer lost.
                Err(error) if sessions > 1 => return Err(error.in_phase(Phase::MaybeReceived)),
                other => return other,
            }
        }
    }

    async fn begin(
        &self,
        job_id: &JobId,
        submission: &Submission<'_>,
        length: usize,
    ) -> Result<Url> {
        let url = self.upload_address("resumable")?;
        let call = Call::new("jobs.insert", Method::POST, url)
            .about("job_id", job_id)
            .with_body(HeaderValue::from_static(JSON), metadata(submission)?)
            .with_header(
                HeaderName::from_static("x-upload-content-type"),
                HeaderValue::from_static(DATA),
            )
            .with_header(
                HeaderName::from_static("x-upload-content-length"),
                HeaderValue::from(length),
            );
        let transport = &self.client.transport;
        transport
            .repeat(&call, |_attempt| async {
                let answer = transport.send(&call).await?;
                self.session_of(&answer)
            })
            .await
    }

    /// The address that the pieces go to. Not to just anybody: the token goes along.
    fn session_of(&self, answer: &Answer) -> Result<Url> {
        let location = answer.headers.get(LOCATION);
        let location = location.and_then(|it| it.to_str().ok());
        let base = &self.client.transport.upload;
        let Some(session) = location.and_then(|text| base.join(text).ok()) else {
            return Err(Error::broken("the answer names no upload session"));
        };
        let is_google = |url: &Url| {
            url.scheme() == "https"
                && url.host_str().is_some_and(|host| {
                    host == "googleapis.com" || host.ends_with(".googleapis.com")
                })
        };
        let is_own = session.origin() == base.origin()
            || is_google(base) && is_google(&session)
            || is_loopback(base) && is_loopback(&session);
        if is_own {
            return Ok(session);
        }
        let message = "the upload session is at another server than the endpoint, which the token must not go to";
        Err(
            Error::new(ErrorKind::Protocol, Reason::BrokenAnswer, message)
                .with("server", session.origin().ascii_serialization()),
        )
    }

    async fn send_pieces(
        &self,
        job_id: &JobId,
        session: &Url,
        data: &Bytes,
        chunk: usize,
    ) -> Result<Job> {
        let transport = &self.client.transport;
        let mut kept = 0_usize;
        let mut standstills = 0;
        loop {
            let end = kept.saturating_add(chunk).min(data.len());
            let piece = piece(job_id, session, data, kept..end)?;
            let question = question(job_id, session, data.len())?;
            let progress = transport
                .repeat(&piece, |attempt| {
                    let call = if attempt == 1 { &piece } else { &question };
                    async move { progress(&transport.exchange(call).await?) }
                })
                .await?;
            match progress {
                Progress::Ended(job) => return Ok(*job),
                Progress::Kept(bytes) if bytes > data.len() => {
                    let message = "the server says that it keeps more bytes than there are";
                    return Err(Error::broken(message).retrying(Retry::Never));
                }
                Progress::Kept(bytes) if bytes > kept => {
                    kept = bytes;
                    standstills = 0;
                }
                Progress::Kept(bytes) => {
                    kept = bytes;
                    standstills += 1;
                    if standstills >= transport.retry.max_attempts {
                        let message = "the server keeps nothing of what it is sent";
                        return Err(Error::broken(message).exhausted_after(standstills));
                    }
                    let pause = transport.retry.ceiling(standstills);
                    self.client.timing().sleep(pause).await;
                }
            }
        }
    }

    fn upload_address(&self, upload_type: &str) -> Result<Url> {
        let segments = ["projects", self.client.project().as_str(), "jobs"];
        self.client
            .transport
            .upload(&segments, &[("uploadType", upload_type)])
    }
}

enum Progress {
    /// So many bytes are kept from the beginning.
    Kept(usize),
    /// All of them, and the job is taken.
    Ended(Box<Job>),
}

fn progress(exchanged: &Exchanged) -> Result<Progress> {
    let answer = &exchanged.answer;
    match answer.status {
        RESUME_INCOMPLETE => {
            let Some(range) = answer.headers.get(RANGE) else {
                return Ok(Progress::Kept(0));
            };
            let last = range
                .to_str()
                .ok()
                .and_then(|range| range.strip_prefix("bytes=0-"))
                .and_then(|last| last.parse::<usize>().ok())
                .and_then(|last| last.checked_add(1));
            last.map(Progress::Kept).ok_or_else(|| {
                Error::broken("the server says in no known way which bytes it keeps")
            })
        }
        200..=299 => Ok(Progress::Ended(Box::new(parsed(answer)?))),
        _ => Err(exchanged.refusal()),
    }
}

fn piece(
    job_id: &JobId,
    session: &Url,
    data: &Bytes,
    range: std::ops::Range<usize>,
) -> Result<Call> {
    let total = data.len();
    let content_range = if range.is_empty() {
        format!("bytes */{total}")
    } else {
        format!("bytes {}-{}/{total}", range.start, range.end - 1)
    };
    Ok(Call::new("jobs.insert", Method::PUT, session.clone())
        .about("job_id", job_id)
        .with_body(HeaderValue::from_static(DATA), data.slice(range))
        .with_header(CONTENT_RANGE, range_header(&content_range)?)
        .expecting(RESUME_INCOMPLETE))
}

/// Asks how much is kept.
fn question(job_id: &JobId, session: &Url, total: usize) -> Result<Call> {
    Ok(Call::new("jobs.insert", Method::PUT, session.clone())
        .about("job_id", job_id)
        .with_header(CONTENT_RANGE, range_header(&format!("bytes */{total}"))?)
        .expecting(RESUME_INCOMPLETE))
}

fn range_header(range: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(range)
        .map_err(|source| Error::config("a range of the upload is no header").caused_by(source))
}

/// Whether the session is over and another one may do: expired, lost, or refused for a header that no one sent.
fn is_lost(error: &Error) -> bool {
    let strange = || {
        let mut told = error.service_errors().iter();
        told.any(|told| told.message.contains("invalid euc header"))
    };
    match error.http_status() {
        Some(404 | 410) => true,
        Some(400) => strange(),
        _ => false,
    }
}

fn metadata(submission: &Submission<'_>) -> Result<Vec<u8>> {
    serde_json::to_vec(submission)
        .map_err(|source| Error::config("the job cannot be written as JSON").caused_by(source))
}

/// A line that separates the parts and is in none of them.
fn boundary(metadata: &[u8], data: &[u8]) -> String {
    let mut rng = Rng::new();
    loop {
        let boundary: String = std::iter::repeat_with(|| rng.alphanumeric())
            .take(40)
            .collect();
        let needle = boundary.as_bytes();
        if !holds(metadata, needle) && !holds(data, needle) {
            return boundary;
        }
    }
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

fn related(boundary: &str, metadata: &[u8], data: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(metadata.len() + data.len() + 3 * boundary.len() + 160);
    body.put_slice(b"--");
    body.put_slice(boundary.as_bytes());
    body.put_slice(b"\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n");
    body.put_slice(metadata);
    body.put_slice(b"\r\n--");
    body.put_slice(boundary.as_bytes());
    body.put_slice(b"\r\nContent-Type: application/octet-stream\r\n\r\n");
    body.put_slice(data);
    body.put_slice(b"\r\n--");
    body.put_slice(boundary.as_bytes());
    body.put_slice(b"--\r\n");
    body.freeze()
}

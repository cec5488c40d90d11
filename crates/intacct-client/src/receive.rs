//! Taking an answer in: an envelope is read while it arrives, anything else is kept to be judged whole.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use intacct_xml::Error as XmlError;
use intacct_xml::response::{ReadOptions, Response, ResponseReader};
use sync_http::{Incoming, Request, Result};
use time::OffsetDateTime;

use crate::classify::envelope_begins;
use crate::transport::{Target, Transport};

/// An answer that was taken in to its end, as far as it was needed.
pub(crate) struct Received {
    pub(crate) status: u16,
    /// When the server says it answered.
    pub(crate) date: Option<OffsetDateTime>,
    /// The same, or else the time here.
    pub(crate) answered: OffsetDateTime,
    pub(crate) retry_after: Option<Duration>,
    /// How much of the body came.
    pub(crate) bytes: usize,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    /// An envelope under a status of success; its records are in the target. What was wrong with it ended the transfer.
    Envelope(std::result::Result<Response, XmlError>),
    /// A refusing status, or a body that begins as no envelope.
    Other(Bytes),
}

/// Whether an answer of this status is what was asked for.
pub(crate) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

impl Transport {
    /// Sends a request and takes its answer in.
    ///
    /// # Errors
    /// When the answer did not come to its end; then the target holds nothing.
    pub(crate) async fn receive(
        &self,
        request: Request,
        target: &Mutex<Target<'_>>,
    ) -> Result<Received> {
        let mut incoming = self.http.execute_streaming(request).await?;
        let mut beginning = BytesMut::new();
        let mut is_envelope = if is_success(incoming.status()) {
            None
        } else {
            Some(false)
        };
        while is_envelope.is_none() {
            match incoming.chunk().await? {
                Some(chunk) => beginning.extend_from_slice(&chunk),
                None => break,
            }
            is_envelope = envelope_begins(&beginning);
        }
        let status = incoming.status();
        let date = incoming.date();
        if is_envelope == Some(true) {
            let read = self
                .read_arriving(&mut incoming, &beginning, target)
                .await?;
            let now = self.timing.now();
            return Ok(Received {
                status,
                date,
                answered: date.unwrap_or(now),
                retry_after: incoming.retry_after(now),
                bytes: incoming.received_bytes(),
                body: Body::Envelope(read),
            });
        }
        let answer = incoming.whole_behind(beginning).await?;
        let now = self.timing.now();
        Ok(Received {
            status,
            date,
            answered: date.unwrap_or(now),
            retry_after: answer.retry_after(now),
            bytes: answer.body.len(),
            body: Body::Other(answer.body),
        })
    }

    /// Reads an envelope while it arrives. What is found wrong with it ends the transfer.
    async fn read_arriving(
        &self,
        incoming: &mut Incoming,
        beginning: &[u8],
        target: &Mutex<Target<'_>>,
    ) -> Result<std::result::Result<Response, XmlError>> {
        // Held only while there is something to read: the next piece is waited for without it.
        let hold = || target.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = self.readers.take(&self.read_options);
        let mut read = reader.push(beginning, &mut **hold());
        while read.is_ok() {
            match incoming.chunk().await {
                Ok(Some(chunk)) => read = reader.push(&chunk, &mut **hold()),
                Ok(None) => break,
                Err(error) => {
                    // The broken connection is what is told, whatever the target has to say.
                    let _ = hold().begin_response();
                    return Err(error);
                }
            }
        }
        let read = match read {
            Ok(()) => reader.finish(&mut **hold()),
            Err(error) => Err(error),
        };
        self.readers.put_back(reader);
        Ok(read)
    }
}

/// Readers between two answers: they keep their memory, and the layout of the records they saw last.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Vec<ResponseReader>>);

impl Readers {
    /// More than any tier lets run at once.
    const MOST: usize = 16;

    fn take(&self, options: &ReadOptions) -> ResponseReader {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| ResponseReader::new(options))
    }

    fn put_back(&self, reader: ResponseReader) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < Self::MOST {
            idle.push(reader);
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

//! Streams of pages that read one page ahead.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Reason, Result};

/// One page of records, whole: its answer was read to the end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<R> {
    /// The records: a `Vec` of structs, or an Arrow page.
    pub records: R,
    /// Which page it is, counted from 0.
    pub number: u64,
    /// How many records the answer had, ones that were rejected included.
    pub count: u64,
    /// How many records the whole result has, where the gateway said so.
    pub total: Option<u64>,
    /// How many characters that XML forbids were dropped from the answer.
    pub dropped_characters: u64,
}

/// Something that is read page by page.
pub(crate) trait Pager: Send + 'static {
    /// One page.
    type Page: Send + 'static;

    /// The next page, or none after the last.
    fn next_page(&mut self) -> impl Future<Output = Result<Option<Self::Page>>> + Send;
}

/// A stream of pages. While one is being used, the next is fetched and read, and no further: at most two pages are in
/// memory.
///
/// Reading begins with the first poll, which must happen inside a tokio runtime. After an error the stream ends.
/// Dropping it ends the reading at once, also in the middle of a request.
pub struct Pages<P> {
    state: State<P>,
}

enum State<P> {
    Idle(BoxFuture<'static, ()>, mpsc::Receiver<Message<P>>),
    Reading {
        receiver: mpsc::Receiver<Message<P>>,
        _reader: Reader,
    },
    Failed(Error),
    Ended,
}

enum Message<P> {
    Page(P),
    Failed(Error),
    End,
}

/// The task that reads ahead; it ends with its owner.
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<P: Send + 'static> Pages<P> {
    pub(crate) fn new(pager: impl Pager<Page = P>) -> Self {
        Self::ahead(pager, 1)
    }

    /// A stream that reads so many pages ahead.
    pub(crate) fn ahead(pager: impl Pager<Page = P>, pages: usize) -> Self {
        let (sender, receiver) = mpsc::channel(pages.max(1));
        Self {
            state: State::Idle(Box::pin(read_ahead(pager, sender)), receiver),
        }
    }

    /// A stream that only tells why there is nothing to read.
    pub(crate) fn failed(error: Error) -> Self {
        Self {
            state: State::Failed(error),
        }
    }
}

async fn read_ahead<G: Pager>(mut pager: G, sender: mpsc::Sender<Message<G::Page>>) {
    loop {
        // A place for the page is taken before it is fetched: that is what bounds the reading ahead.
        let Ok(place) = sender.reserve().await else {
            return;
        };
        match pager.next_page().await {
            Ok(Some(page)) => place.send(Message::Page(page)),
            Ok(None) => return place.send(Message::End),
            Err(error) => return place.send(Message::Failed(error)),
        }
    }
}

impl<P> Stream for Pages<P> {
    type Item = Result<P>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.start();
        let message = match &mut self.state {
            State::Reading { receiver, .. } => std::task::ready!(receiver.poll_recv(context)),
            State::Failed(error) => Some(Message::Failed(error.clone())),
            _ => Some(Message::End),
        };
        if let Some(Message::Page(page)) = message {
            return Poll::Ready(Some(Ok(page)));
        }
        self.state = State::Ended;
        Poll::Ready(match message {
            Some(Message::End) => None,
            Some(Message::Failed(error)) => Some(Err(error)),
            // An end that was not announced must not be taken for the end of the records.
            _ => Some(Err(ended(
                "the task that reads pages ended before its work was done",
            ))),
        })
    }
}

impl<P> Pages<P> {
    /// Begins to read ahead, if that has not begun.
    pub(crate) fn start(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle(task, receiver) => match Handle::try_current() {
                Ok(runtime) => State::Reading {
                    receiver,
                    _reader: Reader(runtime.spawn(task)),
                },
                Err(source) => State::Failed(
                    ended("pages can only be read inside a tokio runtime").caused_by(source),
                ),
            },
            begun => begun,
        };
    }
}

fn ended(message: &str) -> Error {
    Error::new(ErrorKind::Internal, Reason::TaskEnded, message)
}

impl<P> fmt::Debug for Pages<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Idle(..) => "not begun",
            State::Reading { .. } => "reading",
            State::Failed(_) => "failed",
            State::Ended => "ended",
        };
        f.debug_struct("Pages").field("state", &state).finish()
    }
}

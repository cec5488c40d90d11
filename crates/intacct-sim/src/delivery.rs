//! Sending an answer: at once, late, in two pieces, or not to its end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::calendar;
use crate::gateway::{Answer, Delivery};
use crate::simulator::Sleeper;

/// Makes the response, dated `now`; waits first where the answer is to be late.
pub(crate) async fn respond(
    answer: Answer,
    now: i64,
    sleeper: &Sleeper,
    connection: &Connection,
) -> Response {
    let Delivery {
        before_ms,
        amid_ms,
        cut_at,
    } = answer.delivery;
    if before_ms > 0 {
        sleeper(Duration::from_millis(before_ms)).await;
    }
    if cut_at == Some(0) {
        connection.cut();
    }
    let length = answer.body.len();
    let whole = amid_ms == 0 && cut_at.is_none();
    let body = if whole {
        Body::from(answer.body)
    } else {
        in_pieces(answer.body, amid_ms, cut_at, Arc::clone(sleeper))
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if !whole {
        // The caller is promised the whole body, and can see that it does not get it.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let texts = [
        ("content-type", answer.content_type),
        ("date", calendar::http_date(now)),
    ];
    for (name, text) in texts.into_iter().chain(answer.headers) {
        if let Ok(value) = HeaderValue::from_str(&text)
            && !text.is_empty()
        {
            headers.insert(name, value);
        }
    }
    response
}

/// One step of a body that does not come at once.
enum Step {
    Send(Bytes),
    Wait(u64),
    /// Lets what was sent go out before the connection ends.
    Flush,
    Cut,
}

fn in_pieces(body: Vec<u8>, amid_ms: u64, cut_at: Option<usize>, sleeper: Sleeper) -> Body {
    let mut body = Bytes::from(body);
    let end = cut_at.unwrap_or(body.len()).min(body.len());
    body.truncate(end);
    let first = body.split_to(end / 2);
    let mut steps = vec![Step::Send(first), Step::Flush];
    if amid_ms > 0 {
        steps.push(Step::Wait(amid_ms));
    }
    steps.push(Step::Send(body));
    if cut_at.is_some() {
        steps.extend([Step::Flush, Step::Cut]);
    }
    let steps = stream::unfold(steps.into_iter(), move |mut steps| {
        let sleeper = Arc::clone(&sleeper);
        async move {
            loop {
                let piece = match steps.next()? {
                    Step::Send(piece) if piece.is_empty() => continue,
                    Step::Send(piece) => Ok(piece),
                    Step::Flush => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Step::Wait(wait) => {
                        sleeper(Duration::from_millis(wait)).await;
                        continue;
                    }
                    Step::Cut => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                };
                return Some((piece, steps));
            }
        }
    });
    Body::from_stream(steps)
}

/// The way to end a connection from outside: nothing more is written to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection(Arc<AtomicBool>);

impl Connection {
    fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Connected<IncomingStream<'_, Connections>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().connection.clone()
    }
}

/// A listener whose connections can be ended from outside.
pub(crate) struct Connections(pub(crate) TcpListener);

impl Listener for Connections {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for the acknowledgement of the last ones.
        let _ = stream.set_nodelay(true);
        let connection = Connection::default();
        (Stream { stream, connection }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection that stops writing once it is cut.
pub(crate) struct Stream {
    stream: TcpStream,
    connection: Connection,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.connection.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.connection.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

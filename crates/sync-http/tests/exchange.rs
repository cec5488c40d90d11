//! The client against servers that behave, and against servers that do not.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use sync_http::header::{HeaderName, HeaderValue};
use sync_http::{Client, ClientOptions, Error, ErrorKind, Phase, ProxyMode, Request, Retry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use wiremock::matchers::{body_string, header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn options() -> ClientOptions {
    ClientOptions::default().with_proxy(ProxyMode::Off)
}

fn client() -> Client {
    Client::new(&options()).unwrap()
}

fn post(address: &str) -> Request {
    Request::post(Url::parse(address).unwrap()).with_body("ask")
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_string("ask"))
        .and(header("x-token", "t0p"))
        .respond_with(
            ResponseTemplate::new(503)
                .insert_header("date", "Sat, 31 Jan 2026 18:00:00 GMT")
                .insert_header("retry-after", "Sat, 31 Jan 2026 18:00:20 GMT")
                .set_body_string("busy"),
        )
        .expect(1)
        .mount(&server)
        .await;
    let request = post(&server.uri())
        .with_secret_header(HeaderName::from_static("x-token"), &"t0p".to_owned().into())
        .unwrap();
    assert!(!format!("{request:?}").contains("t0p"));
    let answer = client().execute(request).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (503, b"busy".as_slice())
    );
    let elsewhen = time::OffsetDateTime::UNIX_EPOCH;
    assert_eq!(answer.retry_after(elsewhen), Some(Duration::from_secs(20)));
    assert!(!format!("{answer:?}").contains("busy"));
}

#[tokio::test]
async fn a_redirect_is_an_error_and_goes_nowhere() {
    let elsewhere = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&elsewhere)
        .await;
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(307).insert_header("location", elsewhere.uri()))
        .mount(&server)
        .await;
    let error = client().execute(post(&server.uri())).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Protocol, Phase::Answered)
    );
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test]
async fn a_3xx_that_the_request_expects_is_an_answer_and_goes_nowhere() {
    let elsewhere = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&elsewhere)
        .await;
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(308).insert_header("location", elsewhere.uri()))
        .mount(&server)
        .await;
    let request = post(&server.uri());
    let answer = client()
        .execute(request.clone().expecting(308))
        .await
        .unwrap();
    assert_eq!(answer.status, 308);
    let error = client().execute(request.expecting(304)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn the_size_limit_counts_what_decompression_gives() {
    let server = raw(|mut stream| async move {
        read_request(&mut stream).await;
        let body = gzip_of_zeros();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let limited = Client::new(&options().with_max_answer_bytes(100_000)).unwrap();
    let error = limited.execute(post(&server)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Limit, Retry::Never)
    );
    assert!(
        error.to_string().contains("max_answer_bytes: 100000"),
        "{error}"
    );
    let roomy = Client::new(&options().with_max_answer_bytes(300_000)).unwrap();
    assert_eq!(
        roomy.execute(post(&server)).await.unwrap().body.len(),
        200_000
    );
}

#[tokio::test]
async fn a_declared_size_over_the_limit_is_not_read() {
    let server = raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n")
            .await
            .unwrap();
        // Never sends the body: a client that wants to read it would wait.
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let limited = Client::new(&options().with_max_answer_bytes(100)).unwrap();
    assert_eq!(
        limited.execute(post(&server)).await.unwrap_err().kind(),
        ErrorKind::Limit
    );
}

#[tokio::test]
async fn nobody_listening_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = client().execute(post(&address)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Unavailable, Phase::NotSent)
    );
    assert_eq!(error.retry(), Retry::Backoff);
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_answer_may_have_been_received() {
    let server = raw(|mut stream| async move {
        read_request(&mut stream).await;
        reset(stream);
    })
    .await;
    let error = client().execute(post(&server)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Unavailable, Phase::MaybeReceived)
    );
}

#[tokio::test]
async fn a_truncated_body_is_never_an_answer() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let server = raw(move |mut stream| async move {
            read_request(&mut stream).await;
            let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\n<resp");
            stream.write_all(text.as_bytes()).await.unwrap();
        })
        .await;
        let error = client().execute(post(&server)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (ErrorKind::Unavailable, Phase::MaybeReceived),
            "{head}"
        );
        assert_eq!(error.retry(), Retry::Backoff);
    }
}

#[tokio::test]
async fn a_body_can_be_used_before_it_is_whole() {
    let (go_on, mut used) = tokio::sync::mpsc::channel::<()>(1);
    let server = raw_once(move |mut stream| async move {
        read_request(&mut stream).await;
        let begin = "HTTP/1.1 200 OK\r\nretry-after: 7\r\ncontent-length: 10\r\n\r\nfirst";
        stream.write_all(begin.as_bytes()).await.unwrap();
        // Only a client that shows what has come gets the rest.
        used.recv().await.unwrap();
        stream.write_all(b", end").await.unwrap();
    })
    .await;
    let mut incoming = client().execute_streaming(post(&server)).await.unwrap();
    let now = time::OffsetDateTime::UNIX_EPOCH;
    assert_eq!(incoming.status(), 200);
    assert_eq!(incoming.retry_after(now), Some(Duration::from_secs(7)));
    let first = incoming.chunk().await.unwrap().unwrap();
    assert_eq!(
        (first.as_ref(), incoming.received_bytes()),
        (&b"first"[..], 5)
    );
    assert!(!format!("{incoming:?}").contains("first"));
    go_on.send(()).await.unwrap();
    let answer = incoming.whole_behind(first.into()).await.unwrap();
    assert_eq!(answer.body.as_ref(), b"first, end");
}

#[tokio::test]
async fn a_body_that_breaks_never_seems_to_end() {
    let server = raw(|mut stream| async move {
        read_request(&mut stream).await;
        let begin = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst";
        stream.write_all(begin.as_bytes()).await.unwrap();
    })
    .await;
    let mut incoming = client().execute_streaming(post(&server)).await.unwrap();
    assert_eq!(incoming.chunk().await.unwrap().unwrap().as_ref(), b"first");
    for _ in 0..2 {
        let error = incoming.chunk().await.unwrap_err();
        let told = (error.kind(), error.phase());
        assert_eq!(told, (ErrorKind::Unavailable, Phase::MaybeReceived));
    }
}

#[tokio::test]
async fn silence_and_trickling_run_into_the_timeouts() {
    let silent = raw(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let trickling = raw(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            .await;
        while stream.write_all(b"x").await.is_ok() {
            // Far below the read timeout, so that only the total one can end it.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let long = Duration::from_secs(600);
    let short = Duration::from_millis(100);
    let impatient = Client::new(&options().with_timeouts(long, short, long)).unwrap();
    let bounded = Client::new(&options().with_timeouts(long, long, short)).unwrap();
    for (client, server) in [
        (&impatient, &silent),
        (&bounded, &silent),
        (&bounded, &trickling),
    ] {
        let error = client.execute(post(server)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (ErrorKind::Timeout, Phase::MaybeReceived)
        );
    }
}

#[tokio::test]
async fn errors_keep_the_address_to_themselves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!(
        "http://{}/secret-path?token=topsecret",
        listener.local_addr().unwrap()
    );
    drop(listener);
    let request = post(&address).with_header(
        HeaderName::from_static("authorization"),
        HeaderValue::from_static("topsecret"),
    );
    let debug = format!("{request:?}");
    let error = client().execute(request).await.unwrap_err();
    let shown = format!("{debug} {error:?} {}", chain(&error));
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("127.0.0.1"), "{shown}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let bad_agent = options().with_user_agent("line\nbreak");
    let bad_certificate = options().with_root_certificates("not a certificate");
    for options in [bad_agent, bad_certificate] {
        assert_eq!(Client::new(&options).unwrap_err().kind(), ErrorKind::Config);
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

/// A server that handles each connection as told; it ends with the test's runtime.
async fn raw<H, F>(handle: H) -> String
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

/// The same for one connection.
async fn raw_once<H, F>(handle: H) -> String
where
    H: FnOnce(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        handle(stream).await;
    });
    address
}

/// Reads head and the body `ask`.
async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\nask") {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).await.unwrap();
        seen.push(byte[0]);
    }
}

/// Closes with a reset instead of an orderly end.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// 200 000 zero bytes as a gzip file of about 1 kB, so that no compressor is needed to test against one.
fn gzip_of_zeros() -> Vec<u8> {
    const LENGTH: u32 = 200_000;
    let mut bits = Bits::default();
    bits.push(0b011, 3);
    // The literal 0, then matches of 258 bytes at distance 1, then literals for the rest.
    bits.push_code(0x30, 8);
    let matches = (LENGTH - 1) / 258;
    for _ in 0..matches {
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    for _ in 0..(LENGTH - 1) % 258 {
        bits.push_code(0x30, 8);
    }
    bits.push_code(0, 7);
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(bits.finish());
    out.extend(crc_of_zeros(LENGTH).to_le_bytes());
    out.extend(LENGTH.to_le_bytes());
    out
}

fn crc_of_zeros(length: u32) -> u32 {
    let mut crc = u32::MAX;
    for _ in 0..u64::from(length) * 8 {
        crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    }
    !crc
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// Low bit first.
    fn push(&mut self, value: u32, count: u32) {
        for at in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().unwrap();
            *last |= (((value >> at) & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }

    /// Huffman codes go high bit first.
    fn push_code(&mut self, code: u32, count: u32) {
        for at in (0..count).rev() {
            self.push((code >> at) & 1, 1);
        }
    }

    fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

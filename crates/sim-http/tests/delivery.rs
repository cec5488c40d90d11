//! What a caller sees of answers that are late, cut, or whole.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use sim_http::{Answer, Connection, Delivery, Endpoint, ErrorKind, Server, Sleeper};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn serving(set: fn(&mut Delivery), sleeper: Sleeper) -> Server {
    let handler = get(
        move |ConnectInfo(connection): ConnectInfo<Connection>| async move {
            let mut answer =
                Answer::new(200, "text/plain", b"0123456789".to_vec()).with("x-mark", "1");
            set(&mut answer.delivery);
            connection.deliver(answer, &sleeper).await
        },
    );
    let bound = Endpoint::default().bind().await.unwrap();
    bound.serve(Router::new().route("/", handler))
}

/// Everything that comes for one request, until the connection ends.
async fn read(server: &Server) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    // A connection that is cut may end in an error; what came before it counts.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn an_answer_comes_whole_unless_something_is_set() {
    let server = serving(|_| {}, Sleeper::default()).await;
    let text = read(&server).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("content-type: text/plain\r\n") && text.contains("x-mark: 1\r\n"));
    assert!(text.ends_with("\r\n\r\n0123456789"), "{text}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_cut_answer_promises_more_than_it_gives() {
    let server = serving(|it| it.cut_at = Some(6), Sleeper::default()).await;
    let text = read(&server).await;
    assert!(text.contains("content-length: 10\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n012345"), "{text}");
}

#[tokio::test]
async fn a_connection_that_is_cut_at_once_answers_nothing() {
    let server = serving(|it| it.cut_at = Some(0), Sleeper::default()).await;
    assert_eq!(read(&server).await, "");
}

#[tokio::test]
async fn waits_are_the_sleepers() {
    let waited = Arc::new(Mutex::new(Vec::new()));
    let sleeper = {
        let waited = Arc::clone(&waited);
        Sleeper::new(move |duration| {
            waited.lock().unwrap().push(duration.as_secs());
            std::future::ready(())
        })
    };
    let late = |it: &mut Delivery| {
        it.before = Duration::from_secs(3_600);
        it.amid = Duration::from_secs(60);
    };
    let server = serving(late, sleeper).await;
    let text = read(&server).await;
    assert!(text.ends_with("\r\n\r\n0123456789"), "{text}");
    assert_eq!(*waited.lock().unwrap(), [3_600, 60]);
}

#[tokio::test]
async fn other_machines_are_let_in_only_where_that_is_allowed() {
    let mut endpoint = Endpoint::default();
    endpoint.listen = "0.0.0.0:0".parse().unwrap();
    let refused = endpoint.bind().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let bound = Endpoint::default().bind().await.unwrap();
    assert!(bound.address().ip().is_loopback() && bound.address().port() > 0);
}

//! A service that answers each request as told, and keeps what it was asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sink_bigquery::auth::{NewToken, TokenProvider};
use sink_bigquery::client::{InsertFailure, InsertOptions, InsertOutcome, InsertRow, Table};
use sink_bigquery::{BigQuery, Error, JobId, Location, Options, ProjectId, TableRef};
use sync_http::{ClientOptions, ManualClock, Timing};
use time::macros::datetime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The position among the requests of this method and path, from 0.
    pub(crate) number: usize,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The method and the end of the path behind the project.
    pub(crate) fn what(&self) -> String {
        let path = self.path.split("/projects/").last().unwrap();
        let path = path.split_once('/').map_or(path, |(_project, rest)| rest);
        format!("{} {path}", self.method)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn token(&self) -> &str {
        self.header("authorization").unwrap_or_default()
    }
}

pub(crate) struct Service {
    server: MockServer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    pub(crate) async fn start(
        answer: impl Fn(&Asked) -> ResponseTemplate + Send + Sync + 'static,
    ) -> Self {
        crate::logs::watch();
        let server = MockServer::start().await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let respond = move |request: &Request| {
            let mut asked = asked_of(request);
            {
                let mut seen = seen.lock().unwrap();
                let alike = |it: &&Asked| it.path == asked.path && it.method == asked.method;
                asked.number = seen.iter().filter(alike).count();
                seen.push(asked.clone());
            }
            answer(&asked)
        };
        Mock::given(any())
            .respond_with(respond)
            .mount(&server)
            .await;
        Self { server, asked }
    }

    pub(crate) fn url(&self) -> Url {
        self.server.uri().parse().unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked, each as its method and the end of its path.
    pub(crate) fn story(&self) -> Vec<String> {
        self.asked().iter().map(Asked::what).collect()
    }

    pub(crate) fn client(&self, clock: &ManualClock) -> BigQuery {
        client(self.url(), clock)
    }

    /// The table of the tests, asked for by a client of its own.
    pub(crate) async fn get_table(&self, clock: &ManualClock) -> Result<Table, Error> {
        self.client(clock).tables().get(&table()).await
    }

    /// Rows into the table of the tests, by a client of its own.
    pub(crate) async fn stream(
        &self,
        clock: &ManualClock,
        rows: &[InsertRow],
        options: &InsertOptions,
    ) -> Result<InsertOutcome, InsertFailure> {
        stream(&self.client(clock), rows, options).await
    }
}

/// Rows into the table of the tests.
pub(crate) async fn stream(
    client: &BigQuery,
    rows: &[InsertRow],
    options: &InsertOptions,
) -> Result<InsertOutcome, InsertFailure> {
    let tabledata = client.tabledata();
    tabledata.insert_all(&table(), rows, options).await
}

fn asked_of(request: &Request) -> Asked {
    let headers = request.headers.iter();
    Asked {
        number: 0,
        method: request.method.to_string(),
        path: request.url.path().to_owned(),
        query: request.url.query_pairs().into_owned().collect(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: request.body.clone(),
    }
}

/// Tokens `token-hush-1`, `token-hush-2`, ...; each lasts an hour.
#[derive(Debug, Default)]
pub(crate) struct Tokens(AtomicU64);

#[async_trait]
impl TokenProvider for Tokens {
    async fn fetch(&self) -> Result<NewToken, Error> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let secret = format!("token-hush-{number}").into();
        Ok(NewToken::new(secret, Duration::from_secs(3600)))
    }
}

/// A raw server, for what no HTTP server does: each connection's first request is read whole and then answered with these
/// bytes, or cut off without any.
pub(crate) async fn raw(answer: impl Fn(usize) -> Option<String> + Send + 'static) -> Url {
    crate::logs::watch();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            match answer(number) {
                Some(text) => {
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
                None => stream.set_zero_linger().unwrap(),
            }
            number += 1;
        }
    });
    url.parse().unwrap()
}

async fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    if let Some((_, length)) = head.split_once("content-length: ") {
        let length: usize = length.split_once("\r\n")?.0.parse().ok()?;
        stream.read_exact(&mut vec![0; length]).await.ok()?;
    }
    Some(())
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::new(datetime!(2026-01-31 18:00 UTC))
}

pub(crate) fn options(endpoint: Url, clock: &ManualClock) -> Options {
    Options::new(ProjectId::new("books").unwrap())
        .unwrap()
        .with_endpoint(endpoint)
        .with_location(Location::new("EU").unwrap())
        .with_http(ClientOptions::default().with_max_answer_bytes(1_000_000))
        .with_timing(Timing::from(clock.clone()))
}

pub(crate) fn client(endpoint: Url, clock: &ManualClock) -> BigQuery {
    BigQuery::new(options(endpoint, clock), Arc::new(Tokens::default())).unwrap()
}

pub(crate) fn table() -> TableRef {
    serde_json::from_value(json!({"projectId": "books", "datasetId": "fin", "tableId": "bill"}))
        .unwrap()
}

pub(crate) fn job_id() -> JobId {
    JobId::new("sync-bill-7-load").unwrap()
}

pub(crate) fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A refusing answer in the shape of the REST reference.
pub(crate) fn refusal(status: u16, reason: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }}))
}

/// A job in this state, with this failure if any.
pub(crate) fn job(state: &str, failure: Option<(&str, &str)>) -> Value {
    let mut status = json!({"state": state});
    if let Some((reason, message)) = failure {
        let error = json!({"reason": reason, "message": message});
        status["errorResult"] = error.clone();
        status["errors"] = json!([error]);
    }
    json!({
        "kind": "bigquery#job",
        "jobReference": {"projectId": "books", "jobId": job_id(), "location": "EU"},
        "status": status,
        "statistics": {"load": {"outputRows": "2"}},
    })
}

pub(crate) fn seconds(clock: &ManualClock) -> Vec<u64> {
    clock.sleeps().iter().map(Duration::as_secs).collect()
}

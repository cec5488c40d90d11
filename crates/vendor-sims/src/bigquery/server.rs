//! HTTP: the API's addresses, and beside them those under `/sim` that a test uses.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use sim_http::control::{self, Advance, refuse, show};
use sim_http::{Answer, Connection, Error, Sleeper};

use super::faults::FaultScript;
use super::request::Request;
use super::service::Service;
use super::simulator::Handle;

/// The largest request that is read: uploads are kept in memory.
const LARGEST_BODY: usize = 2 * 1024 * 1024 * 1024;

/// How answers are sent.
pub(super) struct Manner {
    pub(super) sleeper: Sleeper,
    pub(super) latency: Duration,
}

#[derive(Clone)]
struct Served {
    service: Arc<Service>,
    manner: Arc<Manner>,
}

pub(super) fn router(service: Arc<Service>, manner: Manner) -> Router {
    let served = Served {
        service,
        manner: Arc::new(manner),
    };
    Router::new()
        .route("/sim/stats", get(stats))
        .route("/sim/reset-stats", post(reset_stats))
        .route("/sim/key-file", get(key_file))
        .route("/sim/jobs", get(jobs))
        .route("/sim/settle-jobs", post(settle_jobs))
        .route("/sim/revoke-tokens", post(revoke_tokens))
        .route(
            "/sim/faults",
            get(faults).post(set_faults).delete(clear_faults),
        )
        .route("/sim/clock", get(clock).post(advance_clock))
        .route("/sim/tables/{dataset}", get(tables))
        .route("/sim/tables/{dataset}/{table}", get(rows))
        .fallback(api)
        .with_state(served)
}

async fn api(
    State(served): State<Served>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut answer = match to_bytes(body, LARGEST_BODY).await {
        Ok(body) => {
            let request = Request::new(method, &uri, headers, body);
            let service = Arc::clone(&served.service);
            // Statements take processor time; other connections go on meanwhile.
            let answer = tokio::task::spawn_blocking(move || service.answer(&request)).await;
            answer.unwrap_or_else(|_| {
                let body = json!({ "error": { "code": 500, "message": "Internal error of the simulator", "errors": [{ "reason": "internalError", "domain": "global", "message": "Internal error of the simulator" }], "status": "INTERNAL" } });
                Answer::json(500, &body)
            })
        }
        // The caller went away, or sends more than can be kept.
        Err(_) => Answer::new(413, "text/html; charset=UTF-8", Vec::new()),
    };
    answer.delivery.before += served.manner.latency;
    connection.deliver(answer, &served.manner.sleeper).await
}

impl Served {
    fn handle(&self) -> Handle {
        Handle::of(Arc::clone(&self.service))
    }
}

async fn stats(State(served): State<Served>) -> Response {
    show(&served.handle().stats())
}

async fn reset_stats(State(served): State<Served>) -> Response {
    served.handle().reset_stats();
    show(&json!({}))
}

async fn key_file(State(served): State<Served>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, served.handle().key_file()).into_response()
}

async fn faults(State(served): State<Served>) -> Response {
    show(&served.handle().fault_report())
}

async fn set_faults(State(served): State<Served>, body: Bytes) -> Response {
    let script = FaultScript::parse(&String::from_utf8_lossy(&body));
    match script.and_then(|script| served.handle().set_faults(script)) {
        Ok(()) => faults(State(served)).await,
        Err(error) => refuse(&error),
    }
}

async fn clear_faults(State(served): State<Served>) -> Response {
    served.handle().clear_faults();
    faults(State(served)).await
}

async fn jobs(State(served): State<Served>) -> Response {
    show(&served.handle().jobs())
}

async fn settle_jobs(State(served): State<Served>) -> Response {
    show(&json!({ "settled": served.handle().settle_jobs() }))
}

async fn revoke_tokens(State(served): State<Served>) -> Response {
    show(&json!({ "revoked": served.handle().revoke_tokens() }))
}

async fn clock(State(served): State<Served>) -> Response {
    show(&json!({ "unix_micros": served.service.clock.micros() }))
}

async fn advance_clock(State(served): State<Served>, body: Bytes) -> Response {
    match control::read::<Advance>(&body) {
        Ok(advance) => {
            served
                .handle()
                .advance(Duration::from_secs(advance.advance_seconds.into()));
            clock(State(served)).await
        }
        Err(error) => refuse(&error),
    }
}

async fn tables(State(served): State<Served>, Path(dataset): Path<String>) -> Response {
    match served.handle().tables(&dataset) {
        Ok(tables) => show(&tables),
        Err(error) => refuse(&error),
    }
}

/// The rows of a table as NDJSON.
async fn rows(
    State(served): State<Served>,
    Path((dataset, table)): Path<(String, String)>,
) -> Response {
    let handle = served.handle();
    let read = tokio::task::spawn_blocking(move || handle.rows(&dataset, &table)).await;
    match read {
        Ok(Ok(rows)) => {
            let mut body = Vec::new();
            for row in rows {
                body.extend(serde_json::to_vec(&row).unwrap_or_default());
                body.push(b'\n');
            }
            ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
        }
        Ok(Err(error)) => refuse(&error),
        Err(_) => refuse(&Error::refused("the rows could not be read")),
    }
}

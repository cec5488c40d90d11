//! HTTP: the gateway's one address, and beside it the addresses under `/sim` that a test uses.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use sim_http::control::{self, Advance, refuse, show};
use sim_http::{Answer, Connection, Error, Sleeper};

use crate::access::Access;
use crate::calendar;
use crate::company::{Edit, Stamp};
use crate::faults::FaultScript;
use crate::gateway::{GatewayError, content};
use crate::object::quirk;
use crate::simulator::{CompanyHandle, no_object};
use crate::tier::Lanes;

/// The path of the gateway.
pub(crate) const GATEWAY_PATH: &str = "/ia/xml/xmlgw.phtml";
/// The largest request that is read.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
/// Records of the truth that are written at a time.
const CHUNK: usize = 2_000;

/// What makes requests and answers wait.
pub(crate) struct Delays {
    pub(crate) sleeper: Sleeper,
    pub(crate) lanes: Option<Lanes>,
}

pub(crate) fn router(company: CompanyHandle, delays: Delays) -> Router {
    let delays = Arc::new(delays);
    let gateway = move |State(company): State<CompanyHandle>,
                        ConnectInfo(connection): ConnectInfo<Connection>,
                        headers: HeaderMap,
                        body: Bytes| {
        gateway(company, Arc::clone(&delays), connection, headers, body)
    };
    Router::new()
        .route(GATEWAY_PATH, post(gateway))
        .route("/sim/access", get(access).post(set_access))
        .route(
            "/sim/faults",
            get(faults).post(set_faults).delete(clear_faults),
        )
        .route("/sim/objects", get(objects))
        .route("/sim/objects/{name}", get(records))
        .route("/sim/stats", get(stats))
        .route("/sim/reset-stats", post(reset_stats))
        .route("/sim/change", post(change))
        .route("/sim/edit", post(edit))
        .route("/sim/stamp", post(stamp))
        .route("/sim/expire-sessions", post(expire_sessions))
        .route("/sim/clock", get(clock).post(advance_clock))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(company)
}

async fn gateway(
    company: CompanyHandle,
    delays: Arc<Delays>,
    connection: Connection,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|text| text.to_str().ok());
    let is_xml = content_type.is_none_or(|text| text.to_ascii_lowercase().contains("xml"));
    let handle = company.clone();
    // Clients that insist on a name for the gateway get it back as their endpoint.
    let url = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .map_or_else(
            || company.gateway.url.clone(),
            |host| format!("http://{host}{GATEWAY_PATH}"),
        );
    let lane = match &delays.lanes {
        None => None,
        Some(lanes) => match lanes.enter(&delays.sleeper).await {
            Some(lane) => Some(lane),
            None => {
                company.gateway.count_turned_away();
                let answer = edge_refusal(429, "GW-0010", "Too many requests at a time");
                return connection
                    .deliver(dated(answer, &company), &delays.sleeper)
                    .await;
            }
        },
    };
    let answer = if is_xml {
        // Rendering takes processor time; other connections go on meanwhile.
        tokio::task::spawn_blocking(move || handle.gateway.answer(&body, &url, &handle))
            .await
            .unwrap_or_else(|_| edge_refusal(500, "GW-0001", "Internal error of the simulator"))
    } else {
        edge_refusal(400, "GW-0011", "Invalid Request")
    };
    let answer = dated(answer, &company);
    let response = connection.deliver(answer, &delays.sleeper).await;
    // What makes an answer slow keeps its place.
    drop(lane);
    response
}

fn dated(answer: Answer, company: &CompanyHandle) -> Answer {
    answer.with("date", calendar::http_date(company.gateway.clock.seconds()))
}

/// A refusal by the edge of the gateway, which knows nothing of the request.
fn edge_refusal(status: u16, number: &str, description: &str) -> Answer {
    let error = GatewayError {
        description: format!("{description} [Request ID: sim]"),
        ..GatewayError::new(number, "")
    };
    content::xml(status, error.of_the_edge())
}

async fn access(State(company): State<CompanyHandle>) -> Response {
    show(&*company.gateway.access())
}

async fn set_access(State(company): State<CompanyHandle>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    let set = Access::parse(&text).and_then(|list| company.set_access(list));
    match set {
        Ok(()) => access(State(company)).await,
        Err(error) => refuse(&error),
    }
}

async fn faults(State(company): State<CompanyHandle>) -> Response {
    show(&company.gateway.fault_report())
}

async fn set_faults(State(company): State<CompanyHandle>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body);
    let set = FaultScript::parse(&text).and_then(|script| company.set_faults(script));
    match set {
        Ok(()) => faults(State(company)).await,
        Err(error) => refuse(&error),
    }
}

async fn clear_faults(State(company): State<CompanyHandle>) -> Response {
    company.clear_faults();
    faults(State(company)).await
}

async fn objects(State(company): State<CompanyHandle>) -> Response {
    show(&company.objects())
}

/// Streams every record of an object as NDJSON.
///
/// Each chunk takes the company anew, so that a slow reader holds nobody up; records that are
/// changed while it reads may be seen in either state.
async fn records(State(company): State<CompanyHandle>, Path(name): Path<String>) -> Response {
    if company.gateway.company().object(&name).is_none() {
        return refuse(&no_object(&name));
    }
    let chunks = stream::unfold(Some(0), move |at: Option<usize>| {
        let (company, name) = (company.clone(), name.clone());
        async move {
            let at = at?;
            let chunk = tokio::task::spawn_blocking(move || chunk(&company, &name, at))
                .await
                .ok()?;
            let next = (!chunk.is_empty()).then_some(at + CHUNK);
            next.map(|next| {
                (
                    Ok::<_, std::convert::Infallible>(Bytes::from(chunk)),
                    Some(next),
                )
            })
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(chunks)).into_response()
}

fn chunk(company: &CompanyHandle, name: &str, from: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let company = company.gateway.company();
    let Some(object) = company.object(name) else {
        return out;
    };
    let slots = object.orders().by_key;
    let (from, to) = (from.min(slots.len()), (from + CHUNK).min(slots.len()));
    let names: Vec<Vec<u8>> = (0..object.field_count())
        .map(|field| {
            let mut name = serde_json::to_vec(&object.field(field).name).unwrap_or_default();
            name.push(b':');
            name
        })
        .collect();
    let mut text = Vec::new();
    for &slot in &slots[from..to] {
        let key = object.key(slot);
        for (field, name) in names.iter().enumerate() {
            out.push(if field == 0 { b'{' } else { b',' });
            out.extend_from_slice(name);
            let value = object.value(slot, field);
            if value.is_null() {
                out.extend_from_slice(b"null");
                continue;
            }
            text.clear();
            value.push(&mut text, quirk(key, field));
            let text = String::from_utf8_lossy(&text);
            out.append(&mut serde_json::to_vec(&text).unwrap_or_default());
        }
        out.extend_from_slice(b"}\n");
    }
    out
}

async fn stats(State(company): State<CompanyHandle>) -> Response {
    show(&company.stats())
}

async fn reset_stats(State(company): State<CompanyHandle>) -> Response {
    company.reset_stats();
    show(&serde_json::json!({}))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Round {
    round: u32,
}

async fn change(State(company): State<CompanyHandle>, body: Bytes) -> Response {
    changing(body, move |round: Round| company.apply_round(round.round)).await
}

async fn edit(State(company): State<CompanyHandle>, body: Bytes) -> Response {
    changing(body, move |edit: Edit| company.edit(&edit)).await
}

async fn stamp(State(company): State<CompanyHandle>, body: Bytes) -> Response {
    changing(body, move |stamp: Stamp| {
        let stamped = company.stamp(&stamp)?;
        Ok(serde_json::json!({ "stamped": stamped }))
    })
    .await
}

async fn changing<T, R>(
    body: Bytes,
    change: impl FnOnce(T) -> Result<R, Error> + Send + 'static,
) -> Response
where
    T: serde::de::DeserializeOwned + Send + 'static,
    R: serde::Serialize + Send + 'static,
{
    let asked = match control::read(&body) {
        Ok(asked) => asked,
        Err(error) => return refuse(&error),
    };
    match tokio::task::spawn_blocking(move || change(asked)).await {
        Ok(Ok(changes)) => show(&changes),
        Ok(Err(error)) => refuse(&error),
        Err(_) => refuse(&Error::refused("the change could not be made")),
    }
}

async fn expire_sessions(State(company): State<CompanyHandle>) -> Response {
    show(&serde_json::json!({ "expired": company.expire_sessions() }))
}

async fn clock(State(company): State<CompanyHandle>) -> Response {
    clock_now(&company)
}

async fn advance_clock(State(company): State<CompanyHandle>, body: Bytes) -> Response {
    match control::read::<Advance>(&body) {
        Ok(advance) => {
            company.advance_clock(advance.advance_seconds);
            clock_now(&company)
        }
        Err(error) => refuse(&error),
    }
}

fn clock_now(company: &CompanyHandle) -> Response {
    let now = company.gateway.clock.seconds();
    let body = serde_json::json!({ "now": calendar::iso(now), "unix_seconds": now });
    show(&body)
}

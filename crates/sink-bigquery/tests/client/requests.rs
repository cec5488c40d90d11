//! One request and its answer: how it goes out, and what comes of tokens, failures and nonsense.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use sink_bigquery::auth::{Anonymous, Environment};
use sink_bigquery::client::EMULATOR_HOST;
use sink_bigquery::{BigQuery, DatasetId, DatasetRef, ErrorKind, ProjectId, Reason, TableId};
use sync_http::{ClientOptions, Phase, Retry};
use wiremock::ResponseTemplate;

use crate::service::{Service, Tokens, client, clock, ok, options, raw, refusal, seconds, table};

fn a_table() -> ResponseTemplate {
    ok(json!({"tableReference": table()}))
}

#[tokio::test]
async fn a_request_is_addressed_authorised_and_asks_for_a_compressed_answer() {
    let service = Service::start(|_| a_table()).await;
    let clock = clock();
    let options = options(service.url(), &clock)
        .with_http(ClientOptions::default().with_user_agent("books/1.0"))
        .with_quota_project(ProjectId::new("quota").unwrap());
    let client = BigQuery::new(options, Arc::new(Tokens::default())).unwrap();
    let mut odd = table();
    odd.table_id = TableId::new("Zähl ung$20260131").unwrap();
    client.tables().get(&odd).await.unwrap();
    let asked = &service.asked()[0];
    assert_eq!(
        asked.path,
        "/bigquery/v2/projects/books/datasets/fin/tables/Z%C3%A4hl%20ung$20260131"
    );
    assert_eq!(asked.query["prettyPrint"], "false");
    assert_eq!(asked.token(), "Bearer token-hush-1");
    assert_eq!(asked.header("user-agent"), Some("books/1.0 (gzip)"));
    assert_eq!(asked.header("accept-encoding"), Some("gzip"));
    assert_eq!(asked.header("x-goog-user-project"), Some("quota"));
}

#[tokio::test]
async fn an_endpoint_may_have_a_path_of_its_own() {
    let service = Service::start(|_| a_table()).await;
    let endpoint = service.url().join("google/bq").unwrap();
    client(endpoint, &clock())
        .tables()
        .get(&table())
        .await
        .unwrap();
    assert!(
        service.asked()[0]
            .path
            .starts_with("/google/bq/bigquery/v2/projects/books/")
    );
}

#[tokio::test]
async fn an_emulator_is_asked_without_a_token() {
    let service = Service::start(|_| a_table()).await;
    let host = service.url().authority().to_owned();
    let google = options(
        "https://bigquery.googleapis.com/".parse().unwrap(),
        &clock(),
    );
    let unchanged = google
        .clone()
        .with_emulator_of(&Environment::of([("A", "b")]))
        .unwrap();
    assert_eq!(unchanged.endpoint, google.endpoint);
    for named in [host.clone(), format!("http://{host}")] {
        let environment = Environment::of([(EMULATOR_HOST, named)]);
        let options = google.clone().with_emulator_of(&environment).unwrap();
        let client = BigQuery::new(options, Arc::new(Anonymous)).unwrap();
        client.tables().get(&table()).await.unwrap();
    }
    let asked = service.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|it| it.header("authorization").is_none()));
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let service = Service::start(|asked| match asked.number {
        0 => refusal(401, "authError", "Invalid Credentials"),
        _ => a_table(),
    })
    .await;
    let clock = clock();
    service.get_table(&clock).await.unwrap();
    let tokens: Vec<_> = service
        .asked()
        .iter()
        .map(|it| it.token().to_owned())
        .collect();
    assert_eq!(tokens, ["Bearer token-hush-1", "Bearer token-hush-2"]);
    assert!(clock.sleeps().is_empty());
}

#[tokio::test]
async fn a_second_refusal_is_the_answer() {
    let service = Service::start(|_| refusal(401, "required", "Login Required.")).await;
    let error = service.get_table(&clock()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Auth, Reason::AuthError)
    );
    assert!(!error.is_transient() && error.http_status() == Some(401));
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn many_refusals_of_one_token_fetch_one_new_one() {
    let service = Service::start(|asked| {
        if asked.token().ends_with("-1") {
            refusal(401, "authError", "Invalid Credentials").set_delay(Duration::from_millis(20))
        } else {
            a_table()
        }
    })
    .await;
    let client = service.client(&clock());
    let table = table();
    for outcome in join_all((0..8).map(|_| client.tables().get(&table))).await {
        outcome.unwrap();
    }
    assert!(
        service
            .asked()
            .iter()
            .all(|it| ["Bearer token-hush-1", "Bearer token-hush-2"].contains(&it.token()))
    );
}

#[tokio::test]
async fn a_failure_of_bigquerys_own_is_waited_out() {
    let service = Service::start(|asked| match asked.number {
        0 => refusal(503, "backendError", "try later"),
        // A proxy's page.
        1 => ResponseTemplate::new(502).set_body_string("<html>Bad Gateway</html>"),
        2 => ResponseTemplate::new(429).insert_header("Retry-After", "7"),
        3 => refusal(
            403,
            "rateLimitExceeded",
            "Exceeded rate limits: too many api requests",
        ),
        _ => a_table(),
    })
    .await;
    let clock = clock();
    service.get_table(&clock).await.unwrap();
    assert_eq!(service.asked().len(), 5);
    assert_eq!(seconds(&clock)[2], 7);
}

#[tokio::test]
async fn a_failure_that_stays_is_told_with_its_attempts() {
    let service =
        Service::start(|_| refusal(500, "internalError", "Unexpected. Please try again.")).await;
    let clock = clock();
    let error = service.get_table(&clock).await.unwrap_err();
    assert!(error.is_exhausted() && error.is_transient());
    assert_eq!(
        (error.retry(), error.phase()),
        (Retry::Never, Phase::MaybeReceived)
    );
    assert_eq!(service.asked().len(), 10);
    let shown = error.to_string();
    for part in [
        "Unexpected",
        "tables.get",
        "books.fin.bill",
        "attempts: 10",
        "http_status: 500",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[tokio::test]
async fn a_spent_quota_is_asked_three_times_a_minute_apart() {
    let service =
        Service::start(|_| refusal(403, "quotaExceeded", "Quota exceeded: loads per day")).await;
    let clock = clock();
    let error = service.get_table(&clock).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Throttled, Reason::QuotaExceeded)
    );
    assert!(error.is_exhausted());
    assert_eq!(seconds(&clock), [60, 60]);
}

#[tokio::test]
async fn an_answer_that_is_nonsense_is_asked_for_again_and_not_shown() {
    let service = Service::start(|asked| match asked.number {
        0 => ResponseTemplate::new(200).set_body_string("<html>Welcome to the hush hotel</html>"),
        1 => ok(json!({"tableReference": {"projectId": "hush"}})),
        2 => ResponseTemplate::new(200),
        _ => a_table(),
    })
    .await;
    service.get_table(&clock()).await.unwrap();
    assert_eq!(service.asked().len(), 4);

    let service = Service::start(|_| ok(json!({"tableReference": "hush"}))).await;
    let error = service.get_table(&clock()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Protocol, Reason::BrokenAnswer)
    );
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hush"), "{shown}");
}

#[tokio::test]
async fn an_oversized_answer_is_refused_and_not_asked_for_again() {
    let service =
        Service::start(|_| ResponseTemplate::new(200).set_body_string("x".repeat(1_000_001))).await;
    let error = service.get_table(&clock()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AnswerTooLarge);
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn a_truncated_answer_and_a_cut_connection_are_tried_again() {
    let whole = json!({"tableReference": table()}).to_string();
    let url = raw(move |number| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: ";
        match number {
            0 => None,
            1 => Some(format!("{head}{}\r\n\r\n{}", whole.len(), whole.split_at(20).0)),
            _ => Some(format!("{head}{}\r\n\r\n{whole}", whole.len())),
        }
    })
    .await;
    let clock = clock();
    client(url, &clock).tables().get(&table()).await.unwrap();
    assert_eq!(clock.sleeps().len(), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let service = Service::start(|_| {
        ResponseTemplate::new(307).insert_header("Location", "http://127.0.0.1:9/")
    })
    .await;
    let error = service.get_table(&clock()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn datasets_are_read_and_made() {
    let service = Service::start(|asked| {
        if asked.method == "POST" {
            refusal(409, "duplicate", "Already Exists: Dataset books:fin")
        } else {
            ok(json!({"datasetReference": {"projectId": "books", "datasetId": "fin"}, "location": "europe-west3",
                "creationTime": "1769882400000", "etag": "e"}))
        }
    })
    .await;
    let client = service.client(&clock());
    let reference = DatasetRef::new(
        ProjectId::new("books").unwrap(),
        DatasetId::new("fin").unwrap(),
    );
    let dataset = client.datasets().get(&reference).await.unwrap();
    assert_eq!(dataset.location.as_ref().unwrap().as_str(), "europe-west3");
    let error = client.datasets().insert(&dataset).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Duplicate);
    assert_eq!(
        service.asked()[1].json(),
        json!({"datasetReference": {"projectId": "books", "datasetId": "fin"}, "location": "europe-west3"})
    );
}

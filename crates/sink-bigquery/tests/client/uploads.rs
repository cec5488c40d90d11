//! Data on their way into a load: in one request, and in pieces.

use bytes::Bytes;
use serde_json::json;
use sink_bigquery::client::{Field, FieldType, Format, LoadJob, Submitted, TableSchema, Write};
use sink_bigquery::{Error, JobTrouble, Reason};
use wiremock::ResponseTemplate;

use crate::service::{Asked, Service, clock, job, job_id, ok, refusal, table};

const PIECE: usize = 256 * 1024;

fn load() -> LoadJob {
    let schema = TableSchema::new([Field::new("n", FieldType::Int64).required()]);
    LoadJob::new(table(), Format::Ndjson)
        .with_schema(schema)
        .with_write(Write::Truncate)
        .with_label("step", "load")
        .with_upload_sizes(1000, 2 * PIECE)
}

fn data(length: usize) -> Bytes {
    (0..length)
        .map(|position| b"abcdefghij\n"[position % 11])
        .collect::<Vec<_>>()
        .into()
}

async fn send(service: &Service, data: Bytes) -> Result<Submitted, Error> {
    service
        .client(&clock())
        .jobs()
        .insert_load(&job_id(), &load(), data)
        .await
}

fn session(asked: &Asked, name: &str) -> ResponseTemplate {
    let host = asked.header("host").unwrap();
    ResponseTemplate::new(200).insert_header(
        "Location",
        format!("http://{host}/session/{name}?upload_id=hush"),
    )
}

fn incomplete(last: Option<usize>) -> ResponseTemplate {
    let answer = ResponseTemplate::new(308);
    match last {
        Some(last) => answer.insert_header("Range", format!("bytes=0-{last}")),
        None => answer,
    }
}

/// The pieces that were sent, by their ranges; questions have none.
fn ranges(service: &Service) -> Vec<String> {
    let asked = service.asked().into_iter().filter(|it| it.method == "PUT");
    asked
        .map(|it| it.header("content-range").unwrap().to_owned())
        .collect()
}

fn configuration() -> serde_json::Value {
    json!({
        "jobReference": {"projectId": "books", "jobId": "sync-bill-7-load", "location": "EU"},
        "configuration": {"labels": {"step": "load"}, "load": {
            "destinationTable": {"projectId": "books", "datasetId": "fin", "tableId": "bill"},
            "sourceFormat": "NEWLINE_DELIMITED_JSON",
            "writeDisposition": "WRITE_TRUNCATE",
            "createDisposition": "CREATE_IF_NEEDED",
            "schema": {"fields": [{"name": "n", "type": "INTEGER", "mode": "REQUIRED"}]},
        }},
    })
}

#[tokio::test]
async fn a_small_load_is_one_request_of_two_parts() {
    let service = Service::start(|_| ok(job("RUNNING", None))).await;
    let submitted = send(&service, Bytes::from_static(b"{\"n\":1}\n{\"n\":2}\n"))
        .await
        .unwrap();
    assert!(!submitted.existed);
    let asked = &service.asked()[0];
    assert_eq!(asked.path, "/upload/bigquery/v2/projects/books/jobs");
    assert_eq!(asked.query["uploadType"], "multipart");
    let content_type = asked.header("content-type").unwrap();
    let boundary = content_type
        .strip_prefix("multipart/related; boundary=")
        .unwrap();
    assert!(boundary.len() >= 32);
    let body = String::from_utf8(asked.body.clone()).unwrap();
    let parts: Vec<_> = body.split(&format!("--{boundary}")).collect();
    let metadata = parts[1]
        .strip_prefix("\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n")
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
    assert_eq!(metadata, configuration());
    assert_eq!(
        parts[2],
        "\r\nContent-Type: application/octet-stream\r\n\r\n{\"n\":1}\n{\"n\":2}\n\r\n"
    );
    assert_eq!((parts[0], parts[3], parts.len()), ("", "--\r\n", 4));
}

#[tokio::test]
async fn parquet_says_what_its_decimals_become() {
    let service = Service::start(|_| ok(job("RUNNING", None))).await;
    let load = LoadJob::new(table(), Format::Parquet).into_existing();
    service
        .client(&clock())
        .jobs()
        .insert_load(&job_id(), &load, Bytes::from_static(b"PAR1"))
        .await
        .unwrap();
    let body = String::from_utf8(service.asked()[0].body.clone()).unwrap();
    assert!(
        body.contains(r#""decimalTargetTypes":["NUMERIC","BIGNUMERIC"]"#),
        "{body}"
    );
    assert!(body.contains("CREATE_NEVER"), "{body}");
}

#[tokio::test]
async fn a_large_load_goes_in_pieces_and_only_what_was_not_kept_goes_again() {
    let total = 5 * PIECE + 17;
    let service = Service::start(move |asked| match (asked.method.as_str(), asked.number) {
        ("POST", _) => session(asked, "a"),
        // Half of the first piece is kept, then nothing is said to be, then all but the end.
        (_, 0) => incomplete(Some(PIECE - 1)),
        (_, 1) => incomplete(None),
        (_, 2) => incomplete(Some(2 * PIECE - 1)),
        (_, 3) => incomplete(Some(4 * PIECE - 1)),
        _ => ok(job("RUNNING", None)),
    })
    .await;
    send(&service, data(total)).await.unwrap();
    let asked = service.asked();
    assert_eq!(asked[0].query["uploadType"], "resumable");
    assert_eq!(asked[0].json(), configuration());
    assert_eq!(
        asked[0].header("x-upload-content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(
        asked[0].header("x-upload-content-length"),
        Some(total.to_string().as_str())
    );
    let range = |start: usize, end: usize| format!("bytes {start}-{}/{total}", end - 1);
    assert_eq!(
        ranges(&service),
        [
            range(0, 2 * PIECE),
            range(PIECE, 3 * PIECE),
            range(0, 2 * PIECE),
            range(2 * PIECE, 4 * PIECE),
            range(4 * PIECE, total),
        ]
    );
    assert!(asked.iter().all(|it| it.token() == "Bearer token-hush-1"));
    assert_eq!(asked.last().unwrap().body, data(total)[4 * PIECE..]);
}

#[tokio::test]
async fn after_a_failure_the_server_is_asked_what_it_keeps() {
    let total = 3 * PIECE;
    let service = Service::start(|asked| match (asked.method.as_str(), asked.number) {
        ("POST", _) => session(asked, "a"),
        (_, 0) => refusal(503, "backendError", "try later"),
        (_, 1) => incomplete(Some(PIECE - 1)),
        // The last piece arrived, and the answer that says so did not.
        (_, 2) => ResponseTemplate::new(500),
        _ => ok(job("RUNNING", None)),
    })
    .await;
    send(&service, data(total)).await.unwrap();
    assert_eq!(
        ranges(&service),
        [
            format!("bytes 0-{}/{total}", 2 * PIECE - 1),
            format!("bytes */{total}"),
            format!("bytes {PIECE}-{}/{total}", total - 1),
            format!("bytes */{total}"),
        ]
    );
    assert!(service.asked()[4].body.is_empty());
}

#[tokio::test]
async fn a_lost_session_is_begun_anew_under_the_same_id_and_a_job_that_ran_is_found() {
    for lost in [404, 410] {
        let service = Service::start(move |asked| {
            match (asked.method.as_str(), asked.path.as_str(), asked.number) {
                ("POST", _, 0) => session(asked, "a"),
                ("PUT", "/session/a", 0) => incomplete(Some(PIECE - 1)),
                ("PUT", "/session/a", _) => ResponseTemplate::new(lost),
                ("POST", ..) => session(asked, "b"),
                ("PUT", ..) => refusal(409, "duplicate", "Already Exists: Job"),
                _ => ok(job("DONE", None)),
            }
        })
        .await;
        let submitted = send(&service, data(2 * PIECE)).await.unwrap();
        assert!(submitted.existed && submitted.job.is_done());
        let begun: Vec<_> = service
            .asked()
            .into_iter()
            .filter(|it| it.method == "POST")
            .collect();
        assert_eq!(begun.len(), 2);
        assert_eq!(begun[0].body, begun[1].body);
    }
}

#[tokio::test]
async fn an_odd_refusal_of_a_session_is_answered_by_another() {
    let service = Service::start(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", _) => session(asked, if asked.number == 0 { "a" } else { "b" }),
        (_, "/session/a") => refusal(400, "badRequest", "Request had invalid euc header"),
        _ => ok(job("RUNNING", None)),
    })
    .await;
    send(&service, data(2000)).await.unwrap();
    assert_eq!(service.asked().len(), 4);
}

#[tokio::test]
async fn sessions_that_are_lost_again_and_again_are_told_as_in_doubt() {
    let service = Service::start(|asked| match asked.method.as_str() {
        "POST" => session(asked, "a"),
        _ => ResponseTemplate::new(410),
    })
    .await;
    let error = send(&service, data(2000)).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.is_exhausted()),
        (Reason::UploadLost, true)
    );
    assert!(
        matches!(error.job(), Some(JobTrouble::Unfinished { .. })),
        "{error:?}"
    );
    assert_eq!(service.asked().len(), 10);
}

#[tokio::test]
async fn a_session_elsewhere_does_not_get_the_token() {
    let service = Service::start(|asked| match asked.number {
        0 => ResponseTemplate::new(200)
            .insert_header("Location", "https://uploads.example.com/x?upload_id=hush"),
        _ => ResponseTemplate::new(200),
    })
    .await;
    let error = send(&service, data(2000)).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("uploads.example.com") && !shown.contains("hush"),
        "{shown}"
    );
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_keeps_nothing_is_given_up() {
    let service = Service::start(|asked| match asked.method.as_str() {
        "POST" => session(asked, "a"),
        _ => incomplete(None),
    })
    .await;
    let error = send(&service, data(2000)).await.unwrap_err();
    assert!(
        error.is_exhausted() && matches!(error.job(), Some(JobTrouble::Unfinished { .. })),
        "{error:?}"
    );
    assert_eq!(ranges(&service).len(), 10);

    for nonsense in ["bytes=0-999999999", "bytes=5-7", "items=0-1", "bytes=0-"] {
        let service = Service::start(move |asked| match asked.method.as_str() {
            "POST" => session(asked, "a"),
            _ => ResponseTemplate::new(308).insert_header("Range", nonsense),
        })
        .await;
        let error = send(&service, data(2000)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::BrokenAnswer, "{nonsense}");
    }
}

//! Bad input of every kind, from the wire to the file: an error that names what, where and what to
//! do; no partial page taken for a whole one; nothing lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use intacct_client::ClientConfig;
use intacct_sim::{Company, DataType, ObjectSpec, Scale, Simulator};
use intacct_sync_tests::{Road, settings};
use sync_core::store::{LetterStore as _, Scope};
use sync_core::{ErrorKind, StreamName};
use wiremock::matchers::{body_string_contains, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// One attempt at everything: what is wrong here stays wrong.
fn once(mut settings: ClientConfig) -> ClientConfig {
    settings.retry.max_attempts = 1;
    settings
}

const OPEN: &str = r#"<?xml version="1.0" encoding="UTF-8"?><response><control><status>success</status><senderid>sim-sender</senderid><controlid>c</controlid><uniqueid>false</uniqueid><dtdversion>3.0</dtdversion></control><operation><authentication><status>success</status><userid>sim-user</userid><companyid>DEMO</companyid><locationid></locationid><sessiontimestamp>2026-01-31T18:00:00+00:00</sessiontimestamp><sessiontimeout>2099-01-31T20:00:00+00:00</sessiontimeout></authentication>"#;

/// A gateway that logs in, describes VENDOR, and answers every query with this.
async fn gateway(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let url = format!("{}/ia/xml/xmlgw.phtml", server.uri());
    let session = format!(
        "<data><api><sessionid>s..</sessionid><endpoint>{url}</endpoint><locationid></locationid></api></data>"
    );
    let field = |id: &str, data_type: &str| {
        format!(
            "<Field><ID>{id}</ID><LABEL>{id}</LABEL><DESCRIPTION></DESCRIPTION><REQUIRED>false</REQUIRED><READONLY>false</READONLY><DATATYPE>{data_type}</DATATYPE><ISCUSTOM>false</ISCUSTOM></Field>"
        )
    };
    let vendor = format!(
        "<data><Type Name=\"VENDOR\" DocumentType=\"\"><Fields>{}{}{}{}</Fields><Relationships/></Type></data>",
        field("RECORDNO", "INTEGER"),
        field("VENDORID", "TEXT"),
        field("TOTALDUE", "CURRENCY"),
        field("WHENMODIFIED", "TIMESTAMP")
    );
    Mock::given(method("POST"))
        .and(body_string_contains("<getAPISession"))
        .respond_with(move |request: &wiremock::Request| result(request, "getAPISession", &session))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(body_string_contains("<object>VENDOR</object></lookup>"))
        .respond_with(move |request: &wiremock::Request| result(request, "lookup", &vendor))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(body_string_contains("</lookup>"))
        .respond_with(|request: &wiremock::Request| absent(request))
        .mount(&server)
        .await;
    // A page of one record tells what may be read.
    let nothing =
        "<data listtype=\"VENDOR\" totalcount=\"0\" offset=\"0\" count=\"0\" numremaining=\"0\"/>";
    Mock::given(method("POST"))
        .and(body_string_contains("<pagesize>1</pagesize>"))
        .respond_with(move |request: &wiremock::Request| result(request, "query", nothing))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn control_id(request: &wiremock::Request) -> String {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let (_, rest) = body.split_once("<function controlid=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn xml(body: String) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body, "text/xml; encoding=\"UTF-8\"")
}

fn result(request: &wiremock::Request, function: &str, data: &str) -> ResponseTemplate {
    let id = control_id(request);
    xml(format!(
        "{OPEN}<result><status>success</status><function>{function}</function><controlid>{id}</controlid>{data}</result></operation></response>"
    ))
}

fn absent(request: &wiremock::Request) -> ResponseTemplate {
    let id = control_id(request);
    xml(format!(
        "{OPEN}<result><status>failure</status><function>lookup</function><controlid>{id}</controlid><errormessage><error><errorno>Query Failed</errorno><description></description><description2>Object definition X not found</description2><correction></correction></error></errormessage></result></operation></response>"
    ))
}

/// What a run says that gets this answer to the first query that it reads by, and how many rows the file has then.
async fn told(answer: ResponseTemplate, limit: Option<usize>) -> (String, usize) {
    let server = gateway(answer).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/ia/xml/xmlgw.phtml", server.uri());
    let mut settings = once(settings(&url, "sim-user-password"));
    if let Some(limit) = limit {
        settings.http.max_answer_bytes = limit;
    }
    let road = Road::open(settings, folder.path(), &["vendor"]).unwrap();
    let said = match road.pipeline.run().await {
        Err(error) => error.chain(),
        Ok(report) => report.streams[0]
            .error
            .clone()
            .expect("the run says that it failed"),
    };
    let rows = road
        .sink
        .query("SELECT * FROM vendor")
        .await
        .unwrap()
        .rows
        .len();
    (said, rows)
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
    assert!(!said.contains("password"), "{said}");
}

#[tokio::test]
async fn answers_that_are_no_answers() {
    let page = format!(
        "{OPEN}<result><status>success</status><function>query</function><controlid>f</controlid><data listtype=\"VENDOR\" totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\"><VENDOR><RECORDNO>1</RECORDNO><VENDORID>V1</VENDORID><TOTALDUE>1.00</TOTALDUE><WHENMODIFIED>01/01/2026 00:00:00</WHENMODIFIED></VENDOR></data>"
    );
    let truncated = page.clone();
    let doctype = page.replacen(
        "<response>",
        "<!DOCTYPE r [<!ENTITY x \"y\">]><response>",
        1,
    );
    let deep = format!("{OPEN}{}", "<a>".repeat(100_000));
    for (name, body, parts) in [
        (
            "HTML",
            "<html><body>Bad gateway</body></html>".to_owned(),
            &["HTML"][..],
        ),
        ("empty", String::new(), &["empty"][..]),
        ("JSON", "[{\"RECORDNO\":\"1\"}]".to_owned(), &["JSON"][..]),
        ("truncated", truncated, &["end"][..]),
        ("DOCTYPE", doctype, &["DOCTYPE"][..]),
        ("nested without end", deep, &["nested"][..]),
        ("no Unicode", "\u{0}\u{1}\u{2} nonsense".to_owned(), &[][..]),
    ] {
        let (said, rows) = told(xml(body), None).await;
        assert_says(&said, &["vendor", "query"]);
        assert!(
            parts
                .iter()
                .all(|part| said.to_lowercase().contains(&part.to_lowercase())),
            "{name}: {said}"
        );
        assert_eq!(rows, 0, "{name}");
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused_with_the_limit() {
    let (said, rows) = told(
        xml("<response>".to_owned() + &" ".repeat(1 << 20)),
        Some(64 << 10),
    )
    .await;
    assert_says(&said, &["vendor", "65536"]);
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn statuses_that_are_failures() {
    for (status, parts) in [
        (500, ["500"]),
        (302, ["302"]),
        (429, ["429"]),
        (404, ["404"]),
    ] {
        let (said, rows) = told(ResponseTemplate::new(status), None).await;
        assert_says(&said, &["vendor"]);
        assert_says(&said, &parts);
        assert_eq!(rows, 0);
    }
}

#[tokio::test]
async fn wrong_credentials_name_what_was_refused() {
    let simulator = Simulator::builder()
        .seed(1)
        .scale(Scale::Tiny)
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(simulator.url(), "not-the-one");
    let road = Road::open(settings, folder.path(), &[]).unwrap();
    let error = road.pipeline.run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    let said = error.chain();
    assert!(said.contains("DEMO") || said.contains("user"), "{said}");
    assert!(!said.contains("not-the-one"), "{said}");
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{address}/ia/xml/xmlgw.phtml");
    let settings = once(settings(&url, "sim-user-password"));
    let road = Road::open(settings, folder.path(), &[]).unwrap();
    let error = road.pipeline.run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.chain().contains("127.0.0.1"), "{}", error.chain());
}

/// Values that do not fit keep their record out of the table and whole among the dead letters;
/// unknown fields and types are no obstacle; the rest arrives.
#[tokio::test]
async fn values_that_do_not_fit_are_kept_and_the_rest_arrives() {
    let when = ("WHENMODIFIED", "01/15/2026 10:00:00");
    let vendors = ObjectSpec::new("VENDOR")
        .field("RECORDNO", DataType::Text)
        .field("VENDORID", DataType::Text)
        .field("TOTALDUE", DataType::Text)
        .field("ONETIME", DataType::Text)
        .field("NAME", DataType::Text)
        .field("WHENMODIFIED", DataType::Timestamp)
        .record([
            ("RECORDNO", "1"),
            ("VENDORID", "fits"),
            ("TOTALDUE", ".5"),
            when,
        ])
        .record([
            ("RECORDNO", "2"),
            ("VENDORID", "no number"),
            ("TOTALDUE", "1,000.00"),
            when,
        ])
        .record([
            ("RECORDNO", "3"),
            ("VENDORID", "too exact"),
            ("TOTALDUE", "0.0000000001"),
            when,
        ])
        .record([
            ("RECORDNO", "4"),
            ("VENDORID", "no boolean"),
            ("ONETIME", "perhaps"),
            when,
        ])
        .record([
            ("RECORDNO", "5"),
            ("VENDORID", "odd"),
            ("NAME", "<&>'\"]]> \r\n\t 漢字 é"),
            when,
        ]);
    let company = Company::from_objects([vendors]).unwrap();
    let simulator = Simulator::builder().company(company).start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let road = Road::open(
        settings(simulator.url(), "sim-user-password"),
        folder.path(),
        &["vendor"],
    )
    .unwrap();
    let report = road.pipeline.run().await.unwrap();
    let vendor = &report.streams[0];
    assert_eq!(
        (
            vendor.error.as_deref(),
            vendor.read,
            vendor.written,
            vendor.rejected
        ),
        (None, 5, 2, 3)
    );
    assert!(
        !vendor.tie_out.is_equal(),
        "three records are missing, and the tie-out must say so"
    );

    let rows = road
        .sink
        .query("SELECT vendorid, totaldue, name FROM vendor ORDER BY recordno")
        .await;
    let rows = rows.unwrap().rows;
    let odd = "<&>'\"]]> \r\n\t 漢字 é".to_owned();
    assert_eq!(rows[0], [Some("fits".into()), Some("0.50".into()), None]);
    assert_eq!(rows[1], [Some("odd".into()), None, Some(odd)]);
    assert_eq!(rows.len(), 2);

    let stream = StreamName::new("vendor").unwrap();
    let scope = Scope {
        pipeline: "books".into(),
        sink: "sqlite".into(),
        stream,
    };
    let mut letters = road.store.dead_letters(&scope, 10).await.unwrap();
    letters.sort_by(|one, other| one.key.cmp(&other.key));
    let told: Vec<_> = letters
        .iter()
        .map(|it| {
            (
                it.key.as_ref().unwrap().as_str(),
                it.column.as_deref().unwrap(),
                it.text.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("2", "totaldue", "1,000.00"),
            ("3", "totaldue", "0.0000000001"),
            ("4", "onetime", "perhaps")
        ]
    );
    assert!(letters.iter().all(|letter| letter.fields.len() > 3));
}

/// A gateway that stops in the middle of an answer leaves no half page behind.
#[tokio::test]
async fn an_answer_that_never_ends_is_given_up() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(3600));
    let server = gateway(slow).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/ia/xml/xmlgw.phtml", server.uri());
    let mut settings = once(settings(&url, "sim-user-password"));
    settings.http.read_timeout = Duration::from_millis(200);
    settings.http.total_timeout = Duration::from_millis(400);
    settings.min_page_size = settings.page_size;
    let road = Road::open(settings, folder.path(), &["vendor"]).unwrap();
    let error = road.pipeline.run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.chain());
}

//! Failures that are no answer, and what the client does about failures in general. The shapes and numbers of the
//! gateway's own refusals are in `error_table`.

use std::time::Duration;

use futures_util::StreamExt;
use intacct_client::{Client, Error, ErrorKind, Phase, Reason, Retry};
use intacct_xml::request::Query;
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;

use crate::script::{Asked, Reply, Script, client, clock, config, error_message, page};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Vendor {
    #[expect(dead_code, reason = "only that it can be read matters")]
    recordno: i64,
}

/// What is expected of a failure: kind, reason, whether it may pass by itself, phase, and calls made.
type Expected = (ErrorKind, Reason, Passes, Phase, usize);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Passes {
    Never,
    ByItself,
}
use Passes::{ByItself, Never};

const FIVE: usize = 5;

async fn failure_of(mut reply: impl FnMut(&Asked) -> Reply + Send + 'static) -> (Error, usize) {
    let script = Script::start(move |asked| reply(asked)).await;
    let error = first_page(&client(&script, &clock())).await.unwrap_err();
    (error, script.calls())
}

async fn first_page(client: &Client) -> intacct_client::Result<Vec<Vendor>> {
    let fields = FieldName::list(["RECORDNO"]).unwrap();
    let query = Query::new(ObjectName::new("VENDOR").unwrap(), fields)
        .unwrap()
        .with_page_size(50)
        .unwrap();
    let mut pages = client.query_as::<Vendor>(query);
    pages.next().await.unwrap().map(|page| page.records)
}

fn check(name: &str, (error, calls): (Error, usize), expected: Expected) {
    let (kind, reason, passes, phase, expected_calls) = expected;
    assert_eq!(
        (error.kind(), error.reason()),
        (kind, reason),
        "{name}: {error}"
    );
    assert_eq!(
        error.is_transient(),
        passes == ByItself,
        "{name}: {error:?}"
    );
    assert_eq!(
        (error.phase(), calls),
        (phase, expected_calls),
        "{name}: {error}"
    );
    assert_eq!(error.is_exhausted(), calls > 1, "{name}");
    assert!(
        !error.is_exhausted() || error.retry() == Retry::Never,
        "{name}"
    );
    assert_eq!(error.fact("object"), Some("VENDOR"), "{name}: {error}");
    assert!(error.fact("control_id").is_some(), "{name}");
}

#[tokio::test]
async fn connections_that_break() {
    use Phase::MaybeReceived;
    let broken = (
        ErrorKind::Unavailable,
        Reason::Connection,
        ByItself,
        MaybeReceived,
        FIVE,
    );
    check("reset", failure_of(|_| Reply::Reset).await, broken);
    check(
        "cut body",
        failure_of(|asked| Reply::Cut(page(asked, "", ""))).await,
        broken,
    );
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let script = Script::start(|_| Reply::Silence).await;
    let short = Duration::from_millis(100);
    let config = config(&script.url, &clock());
    let http = config.http.clone().with_timeouts(short, short, short);
    let error = first_page(&Client::new(config.with_http(http)).unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Timeout, Phase::MaybeReceived)
    );
    assert!(error.is_exhausted());
    assert_eq!(script.calls(), 2, "each costs all the time there is");
}

#[tokio::test]
async fn nobody_listening_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let clock = clock();
    let error = Client::new(config(&url, &clock))
        .unwrap()
        .login()
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.phase()),
        (ErrorKind::Unavailable, Phase::NotSent)
    );
    assert!(error.is_exhausted());
    assert_eq!(clock.sleeps().len(), 4);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_then_forgotten() {
    let script = Script::start(|asked| match asked.number {
        0 => Reply::Http(429, "retry-after: 7\r\n", String::new()),
        1 => Reply::Http(503, "", "<html>cf-error-details</html>".to_owned()),
        2 => Reply::Cut("<response>".to_owned()),
        _ => Reply::Xml(page(
            asked,
            "totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\"",
            "<VENDOR><RECORDNO>1</RECORDNO></VENDOR>",
        )),
    })
    .await;
    let clock = clock();
    let client = client(&script, &clock);
    assert_eq!(first_page(&client).await.unwrap().len(), 1);
    assert_eq!(script.calls(), 4);
    let sleeps = clock.sleeps();
    assert_eq!(
        sleeps[..2],
        [Duration::from_secs(7), Duration::from_secs(75)]
    );
    assert!((4..=6).contains(&sleeps[2].as_secs()), "{sleeps:?}");
    // The same function is asked for again under the same id, as a read, which may be repeated.
    let asked = script.asked();
    let calls: Vec<_> = asked.iter().filter(|asked| !asked.is_login()).collect();
    assert!(
        calls
            .iter()
            .all(|asked| asked.control_ids() == calls[0].control_ids())
    );
    assert!(
        asked
            .iter()
            .all(|asked| asked.text("uniqueid") == Some("false"))
    );
    let counts = client.calls();
    assert_eq!(
        (
            counts.of_function("query").sent,
            counts.of_function("query").failed
        ),
        (4, 3)
    );
    assert_eq!(counts.of_function("getAPISession").sent, 1);
    assert_eq!(counts.total().records, 2);
}

#[tokio::test]
async fn an_answer_over_the_limit_names_it() {
    let script = Script::start(|_| Reply::Xml("x".repeat(3_000))).await;
    let config = config(&script.url, &clock());
    let http = config.http.clone().with_max_answer_bytes(2_000);
    let error = first_page(&Client::new(config.with_http(http)).unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Protocol, Reason::TooLarge)
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("max_answer_bytes: 2000"), "{cause}");
}

#[tokio::test]
async fn a_result_for_another_function_is_refused() {
    let outcome = failure_of(|asked| {
        let text = page(asked, "totalcount=\"0\" count=\"0\" numremaining=\"0\"", "");
        Reply::Xml(text.replace(asked.control_ids()[0], "another"))
    })
    .await;
    let expected = (
        ErrorKind::Protocol,
        Reason::Envelope,
        Never,
        Phase::Answered,
        1,
    );
    check("another", outcome, expected);
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_a_data_error() {
    let outcome = failure_of(|asked| {
        Reply::Xml(page(
            asked,
            "totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\"",
            "<VENDOR><RECORDNO>abc-private</RECORDNO></VENDOR>",
        ))
    })
    .await;
    assert!(!format!("{:?} {}", outcome.0, outcome.0).contains("abc-private"));
    check(
        "value",
        outcome,
        (ErrorKind::Data, Reason::Value, Never, Phase::Answered, 1),
    );
}

#[tokio::test]
async fn several_functions_fail_each_by_itself() {
    use intacct_xml::request::{Lookup, Read};
    let script = Script::start(|asked| {
        let ids = asked.control_ids();
        let results = format!(
            "<result><status>failure</status><function>lookup</function><controlid>{}</controlid>{}</result>\
             <result><status>success</status><function>read</function><controlid>{}</controlid>\
             <data listtype=\"VENDOR\" count=\"1\"><VENDOR><RECORDNO>7</RECORDNO></VENDOR></data></result>",
            ids[1],
            error_message("PL04000005", "no", ""),
            ids[0],
        );
        Reply::Xml(crate::script::envelope("2026-01-31T20:00:00Z", &results))
    })
    .await;
    let object = ObjectName::new("VENDOR").unwrap();
    let calls = [
        Read::new(object.clone(), ["7"]).unwrap().into(),
        Lookup::new(object).into(),
    ];
    let answers = client(&script, &clock()).execute(calls).await.unwrap();
    assert_eq!(
        answers[0].as_ref().unwrap().records[0].text_of("RECORDNO"),
        Some("7")
    );
    let error = answers[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.to_string().contains("function: lookup"), "{error}");
}

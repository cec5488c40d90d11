//! What goes wrong on purpose, seen from outside; the same story for the same script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use intacct_sim::{
    Body, Characters, Company, ControlFailure, Cut, DataType, Edit, ErrorText, Fault, FaultScript,
    FunctionFailure, Http, ObjectSpec, RetryAfterForm, Rule, RunningSimulator, Scale, ShownTimeout,
    Simulator, Slow, Spoiler, Totals, Truncate, Work,
};

use crate::wire::{Answer, Wire, between, function, query};

/// A company of `count` widgets, numbered from 1, all modified in one second.
fn widgets(count: u32) -> Company {
    let mut spec = ObjectSpec::new("WIDGET")
        .field("RECORDNO", DataType::Text)
        .field("NAME", DataType::Text)
        .field("WHENMODIFIED", DataType::Timestamp);
    for key in 1..=count {
        let (number, name) = (key.to_string(), format!("widget {key}"));
        spec = spec.record([
            ("RECORDNO", number.as_str()),
            ("NAME", &name),
            ("WHENMODIFIED", "01/01/2026 00:00:00"),
        ]);
    }
    Company::from_objects([spec]).expect("a company")
}

async fn under(script: FaultScript) -> RunningSimulator {
    let builder = Simulator::builder().company(widgets(10)).faults(script);
    builder.start().await.expect("a simulator")
}

/// One rule for the calls of `query`.
fn on_query(fault: Fault) -> FaultScript {
    FaultScript::new(1).rule(Rule::new(fault).call("query"))
}

fn page(offset: usize) -> String {
    let rest = format!(
        "<orderby><order><field>RECORDNO</field></order></orderby>\
         <pagesize>3</pagesize><offset>{offset}</offset>"
    );
    query("WIDGET", &["RECORDNO", "NAME"], &rest)
}

fn request(wire: &Wire, call: &str) -> String {
    wire.request(&function("f-1", call))
}

#[tokio::test]
async fn the_edge_refuses_with_every_status_and_body() {
    let html = |status| Http::status(status).body(Body::Html);
    for (http, kind, expected) in [
        (Http::status(429), "text/xml", "<errorno>GW-0010</errorno>"),
        (Http::status(400), "text/xml", "<errorno>GW-0011</errorno>"),
        (
            Http::status(400).number("invalidRequest"),
            "text/xml",
            "<errorno>invalidRequest</errorno>",
        ),
        (
            Http::status(401),
            "text/xml",
            "<errorno>XMLGW_JPP0002</errorno>",
        ),
        (Http::status(500), "text/xml", "<errorno>GW-0001</errorno>"),
        (html(502), "text/html", "<h1>502</h1>"),
        (html(503), "text/html", "<h1>503</h1>"),
        (Http::status(504).body(Body::Empty), "text/html", ""),
        (html(524), "text/html", "<h1>524</h1>"),
        (Http::status(200).body(Body::Empty), "text/html", ""),
    ] {
        let status = http.status;
        let simulator = under(on_query(Fault::Http(http))).await;
        let wire = Wire::session(&simulator).await;
        let response = wire.post(request(&wire, &page(0))).await;
        assert_eq!(response.status().as_u16(), status);
        let found = response.headers()["content-type"].to_str().unwrap();
        assert!(found.starts_with(kind), "{status}: {found}");
        assert!(!response.headers().contains_key("retry-after"));
        let body = response.text().await.unwrap();
        assert!(body.contains(expected), "{status}: {body}");
        assert!(!body.contains("<operation>"), "{status}: {body}");
        assert_eq!(body.is_empty(), expected.is_empty());
    }
}

#[tokio::test]
async fn retry_after_comes_in_both_forms() {
    let rule = |form, nth| {
        let fault = Fault::Http(Http::status(429).retry_after(30, form));
        Rule::new(fault).call("query").nth(nth)
    };
    let script = FaultScript::new(1)
        .rule(rule(RetryAfterForm::Seconds, 1))
        .rule(rule(RetryAfterForm::Date, 1));
    let simulator = under(script).await;
    let wire = Wire::session(&simulator).await;
    let first = wire.post(request(&wire, &page(0))).await;
    assert_eq!(first.headers()["retry-after"], "30");
    // The first rule ended the first request, so that the second rule has not seen it.
    let second = wire.post(request(&wire, &page(0))).await;
    let date = second.headers()["retry-after"].to_str().unwrap();
    assert!(date.starts_with("Sat, 31 Jan 2026 18:00:"), "{date}");
    assert_eq!(wire.post(request(&wire, &page(0))).await.status(), 200);
}

#[tokio::test]
async fn the_network_in_front_shows_its_own_page() {
    let script = "[[rules]]\nfault = { cloudflare = { status = 403 } }";
    let simulator = under(FaultScript::parse(script).unwrap()).await;
    let wire = Wire::to(&simulator);
    let response = wire.post(request(&wire, "<getAPISession/>")).await;
    assert_eq!(response.status(), 403);
    assert!(response.text().await.unwrap().contains("cf-error-details"));
}

#[tokio::test]
async fn connections_end_before_and_amid_answers() {
    for (cut, functions, has_head) in [
        (Cut::BeforeWork, 0, false),
        (Cut::AfterWork, 1, false),
        (Cut::Amid, 1, true),
    ] {
        let simulator = under(on_query(Fault::Cut(cut))).await;
        let wire = Wire::session(&simulator).await;
        simulator.company().reset_stats();
        let client = reqwest::Client::new();
        let sent = client.post(&wire.url).body(request(&wire, &page(0)));
        let response = sent.send().await;
        assert_eq!(response.is_ok(), has_head, "{cut:?}");
        if let Ok(response) = response {
            assert!(response.text().await.is_err());
        }
        assert_eq!(simulator.company().stats().functions, functions, "{cut:?}");
    }
}

#[tokio::test]
async fn lost_answers_may_have_done_their_work() {
    for (work, functions) in [(Work::Done, 1), (Work::NotDone, 0)] {
        let simulator = under(on_query(Fault::Http(Http::status(504).work(work)))).await;
        let wire = Wire::session(&simulator).await;
        simulator.company().reset_stats();
        assert_eq!(wire.post(request(&wire, &page(0))).await.status(), 504);
        assert_eq!(simulator.company().stats().functions, functions);
    }
}

#[tokio::test]
async fn bodies_are_spoiled() {
    let whole = {
        let simulator = under(FaultScript::default()).await;
        let wire = Wire::session(&simulator).await;
        wire.text(&page(0)).await
    };
    let half = whole.len() / 2;
    type Check = fn(&[u8]) -> bool;
    let checks: [(Fault, Check); 7] = [
        (Fault::Truncate(Truncate::Bytes(100)), |body| {
            body.len() == 100
        }),
        (Fault::TwoRoots, |body| {
            body.ends_with(b"</response><response><control/></response>")
        }),
        (Fault::ByteOrderMark, |body| {
            body.starts_with(b"\xEF\xBB\xBF<?xml")
        }),
        (Fault::LeadingWhitespace, |body| body.starts_with(b"\r\n")),
        (Fault::Doctype, |body| {
            String::from_utf8_lossy(body).contains("?><!DOCTYPE response [")
        }),
        (Fault::GzipGarbage, |body| body.starts_with(b"\x1F\x8B")),
        (Fault::RateLimitedBody, |body| {
            let body = String::from_utf8_lossy(body);
            body.contains("<errorno></errorno>") && body.contains("API rate limit exceeded")
        }),
    ];
    // It must not unpack what only claims to be packed.
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    for (fault, check) in checks {
        let name = format!("{fault:?}");
        let simulator = under(on_query(fault)).await;
        let wire = Wire::session(&simulator).await;
        let sent = client.post(&wire.url).body(request(&wire, &page(0)));
        let response = sent.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers().contains_key("content-encoding"),
            name == "GzipGarbage"
        );
        let body = response.bytes().await.unwrap();
        assert!(check(&body), "{name}: {}", String::from_utf8_lossy(&body));
    }
    let simulator = under(on_query(Fault::Truncate(Truncate::Fraction(0.5)))).await;
    let wire = Wire::session(&simulator).await;
    let left = wire.text(&page(0)).await.len();
    assert!((half - 50..half + 50).contains(&left), "{left} of {half}");
    let simulator = under(on_query(Fault::ContentType("text/plain".into()))).await;
    let wire = Wire::session(&simulator).await;
    let response = wire.post(request(&wire, &page(0))).await;
    assert_eq!(response.headers()["content-type"], "text/plain");
}

#[tokio::test]
async fn slow_answers_wait_by_the_given_sleeper() {
    let waited = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&waited);
    let mut slow = Slow::default();
    (slow.before_ms, slow.amid_ms) = (90_000, 7);
    let simulator = Simulator::builder()
        .company(widgets(10))
        .faults(on_query(Fault::Slow(slow)))
        .sleeper(move |duration| {
            seen.lock().unwrap().push(duration);
            std::future::ready(())
        })
        .start()
        .await
        .unwrap();
    let wire = Wire::session(&simulator).await;
    assert_eq!(wire.ok(&page(0)).await.records.len(), 3);
    let expected = [Duration::from_secs(90), Duration::from_millis(7)];
    assert_eq!(*waited.lock().unwrap(), expected);
}

#[tokio::test]
async fn sessions_end_at_any_call_and_twice_in_a_row() {
    let rule = Rule::new(Fault::SessionExpired)
        .call("query")
        .after(1)
        .times(2);
    let simulator = under(FaultScript::new(1).rule(rule)).await;
    let mut wire = Wire::session(&simulator).await;
    wire.ok(&page(0)).await;
    for _ in 0..2 {
        let body = wire.text(&page(3)).await;
        assert!(
            body.contains("<status>failure</status><userid></userid><companyid></companyid>"),
            "{body}"
        );
        assert!(body.contains("<description2>Invalid session"), "{body}");
        // It is over for good, not only for this call.
        let again = wire.text("<getDimensions/>").await;
        assert!(again.contains("Invalid session"), "{again}");
        wire.authentication = crate::wire::LOGIN.to_owned();
        wire.open_session("<getAPISession/>").await;
    }
    wire.ok(&page(3)).await;
}

#[tokio::test]
async fn sessions_and_cursors_end_at_read_more() {
    let first = "<readByQuery><object>WIDGET</object><query/><pagesize>4</pagesize></readByQuery>";
    for (fault, number) in [
        (Fault::SessionExpired, "XL03000006"),
        (Fault::DeadCursor, "readMore failed"),
    ] {
        let rule = Rule::new(fault)
            .when(|when| when.object.push("WIDGET".to_owned()))
            .call("readMore")
            .nth(2);
        let simulator = under(FaultScript::new(1).rule(rule)).await;
        let wire = Wire::session(&simulator).await;
        let id = wire.ok(first).await.data["resultId"].clone();
        let more = format!("<readMore><resultId>{id}</resultId></readMore>");
        assert_eq!(wire.ok(&more).await.records.len(), 4);
        let body = wire.text(&more).await;
        let found = between(&body, "<errorno>", "</errorno>");
        assert_eq!(found, Some(number), "{body}");
    }
}

#[tokio::test]
async fn logins_senders_and_companies_are_refused() {
    for (fault, number, text, place) in [
        (
            Fault::LoginRefused,
            "XL03000006",
            "<description2>Sign-in information is incorrect",
            "</authentication><errormessage>",
        ),
        (
            Fault::SenderNotAuthorised,
            "XL03000006",
            "<description>Invalid Web Services Authorization</description>",
            "</authentication><errormessage>",
        ),
        (
            Fault::SenderRefused,
            "XL03000006",
            "Incorrect Intacct XML Partner ID",
            "</control><errormessage>",
        ),
        (
            Fault::DemoExpired,
            "PL04000055",
            "expired",
            "</control><errormessage>",
        ),
    ] {
        let simulator = under(FaultScript::new(1).rule(Rule::new(fault.clone()))).await;
        let wire = Wire::to(&simulator);
        let body = wire.text("<getAPISession/>").await;
        assert!(body.contains(place), "{fault:?}: {body}");
        assert!(
            body.contains(text) && body.contains(number),
            "{fault:?}: {body}"
        );
        assert!(!body.contains("<result>"), "{fault:?}: {body}");
    }
}

#[tokio::test]
async fn functions_fail_with_the_errors_given() {
    let prose: ErrorText = serde_json::from_str("{\"number\":\"Query Failed\"}").unwrap();
    let silent: ErrorText = serde_json::from_str(
        "{\"description2\":\"no number\",\"support_id\":\"a~b\",\"additional_id\":\"GL-0493\"}",
    )
    .unwrap();
    let mut beside = FunctionFailure::of([ErrorText::new("BL01001973", "some failed")]);
    beside.work = Work::Done;
    let script = FaultScript::new(1)
        .rule(Rule::new(Fault::FunctionFailure(FunctionFailure::of([prose, silent]))).nth(2))
        .rule(Rule::new(Fault::FunctionFailure(beside)).nth(3))
        .rule(Rule::new(Fault::Offline).nth(4))
        .rule(Rule::new(Fault::TryAgainLater).nth(5))
        .rule(Rule::new(Fault::Processing).nth(6));
    let simulator = under(script).await;
    let wire = Wire::session(&simulator).await;
    let body = wire.text(&page(0)).await;
    assert!(body.contains("<error><errorno>Query Failed</errorno></error><error><description2>no number [Support ID: a%7Eb]</description2><additionalinfo><errorid>GL-0493</errorid>"), "{body}");
    assert_eq!(Answer::read(&body).status, "failure");
    let beside = wire.call(&page(0)).await;
    assert_eq!((&*beside.status, beside.records.len()), ("failure", 3));
    for text in [
        "The Service is Temporarily Off-line",
        "<correction>Please Try Again Later</correction>",
        "<errorno>DL02000001</errorno><description>Error There was an error processing the request.",
    ] {
        let body = wire.text(&page(0)).await;
        assert!(body.contains(text), "{body}");
        assert_eq!(Answer::read(&body).status, "failure");
    }
    wire.ok(&page(0)).await;
}

#[tokio::test]
async fn one_failing_function_leaves_the_others_or_takes_them_along() {
    let rule = Rule::new(Fault::Processing)
        .when(|when| when.object.push("GADGET".to_owned()))
        .call("query");
    let simulator = under(FaultScript::new(1).rule(rule)).await;
    let wire = Wire::session(&simulator).await;
    let functions = function("a", &page(0)) + &function("b", &page(0).replace("WIDGET", "GADGET"));
    let statuses = |body: &str| -> Vec<String> {
        let answers = Answer::all(body).into_iter();
        answers.map(|answer| answer.status).collect()
    };
    let alone = wire.raw(&wire.request(&functions)).await;
    assert_eq!(statuses(&alone), ["success", "failure"]);
    assert!(alone.contains("DL02000001"));
    let together = wire.request_with("<uniqueid>false</uniqueid>", "true", &functions);
    assert_eq!(statuses(&wire.raw(&together).await), ["aborted", "failure"]);
}

#[tokio::test]
async fn control_failures_of_any_number() {
    let failure = serde_json::json!({
        "errors": [{ "number": "GW-0042", "description": "gateway" }], "status": 400
    });
    let failure: ControlFailure = serde_json::from_value(failure).unwrap();
    let simulator = under(on_query(Fault::ControlFailure(failure))).await;
    let wire = Wire::session(&simulator).await;
    let response = wire.post(request(&wire, &page(0))).await;
    assert_eq!(response.status(), 400);
    let body = response.text().await.unwrap();
    assert!(
        body.contains(
            "<response><control><status>failure</status></control><errormessage>\
        <error><errorno>GW-0042</errorno><description>gateway</description></error>"
        ),
        "{body}"
    );
}

#[tokio::test]
async fn elements_and_session_times_go_missing() {
    for (path, gone) in [
        ("result/status", "<result><function>query"),
        ("result/function", "<status>success</status><controlid>f-1"),
        ("result/controlid", "<function>query</function><data"),
        ("operation/authentication", "<operation><result>"),
        ("control/status", "<control><senderid>"),
    ] {
        let simulator = under(on_query(Fault::Without(path.into()))).await;
        let wire = Wire::session(&simulator).await;
        let body = wire.text(&page(0)).await;
        assert!(body.contains(gone), "{path}: {body}");
    }
    for (shown, expected) in [
        (ShownTimeout::Absent, None),
        (ShownTimeout::Text("soon".into()), Some("soon")),
        (ShownTimeout::Seconds(-60), Some("2026-01-31T17:59:")),
    ] {
        let simulator = under(on_query(Fault::ShownTimeout(shown))).await;
        let wire = Wire::session(&simulator).await;
        let body = wire.text(&page(0)).await;
        let found = between(&body, "<sessiontimeout>", "</sessiontimeout>");
        match expected {
            None => assert_eq!(found, None),
            Some(expected) => assert!(found.unwrap().starts_with(expected), "{found:?}"),
        }
    }
}

#[tokio::test]
async fn sessions_are_short() {
    let script = FaultScript::new(1)
        .rule(Rule::new(Fault::SessionLifetime(600)))
        .rule(Rule::new(Fault::Without("api/locationid".into())));
    let simulator = under(script).await;
    let mut wire = Wire::to(&simulator);
    let body = wire.open_session("<getAPISession/>").await;
    let end = between(&body, "<sessiontimeout>", "</sessiontimeout>").unwrap();
    assert!(end.starts_with("2026-01-31T18:10:"), "{end}");
    assert!(body.contains("</endpoint></api>"), "{body}");
    wire.ok(&page(0)).await;
    simulator.company().advance_clock(601);
    assert!(wire.text(&page(0)).await.contains("Invalid session"));
}

#[tokio::test]
async fn a_session_is_known_at_its_endpoint_only() {
    let simulator = under(FaultScript::default()).await;
    let here = simulator.url().to_owned();
    let there = here.replace("127.0.0.1", "localhost");
    let rule = Rule::new(Fault::Endpoint(there.clone()));
    simulator
        .company()
        .set_faults(FaultScript::new(1).rule(rule))
        .unwrap();
    let mut wire = Wire::session(&simulator).await;
    assert!(wire.text(&page(0)).await.contains("Invalid session"));
    wire.url = there.clone();
    wire.ok(&page(0)).await;
    // What grows from a session stays where it is.
    simulator.company().clear_faults();
    let body = wire.open_session("<getAPISession/>").await;
    assert_eq!(between(&body, "<endpoint>", "</endpoint>"), Some(&*there));
    let elsewhere = Fault::Endpoint("https://elsewhere.example/gw".into());
    let script = FaultScript::new(1).rule(Rule::new(elsewhere).times(1));
    simulator.company().set_faults(script).unwrap();
    let body = wire.open_session("<getAPISession/>").await;
    assert!(body.contains("<endpoint>https://elsewhere.example/gw</endpoint>"));
}

#[tokio::test]
async fn empty_fields_and_names_of_aggregates_vary() {
    let script = FaultScript::new(1)
        .rule(Rule::new(Fault::AbsentNulls).when(|when| when.object.push("VENDOR".to_owned())))
        .rule(
            Rule::new(Fault::BareAggregates).when(|when| when.object.push("GLDETAIL".to_owned())),
        );
    let builder = Simulator::builder().scale(Scale::Tiny).faults(script);
    let simulator = builder.start().await.unwrap();
    let wire = Wire::session(&simulator).await;
    let fields = ["RECORDNO", "VENDORID", "COMMENTS", "PARENTID"];
    let call = query("VENDOR", &fields, "");
    let body = wire.text(&call).await;
    assert!(
        !body.contains("<COMMENTS></") && !body.contains("<PARENTID/>"),
        "{body}"
    );
    let absent = Answer::read(&body);
    simulator.company().clear_faults();
    let whole = wire.ok(&call).await;
    assert_eq!(absent.number("count"), absent.records.len());
    assert_eq!(absent.records.len(), whole.records.len());
    let filled = |answer: &Answer| -> usize {
        let fields = answer.records.iter().flatten();
        fields.filter(|(_, text)| text.is_some()).count()
    };
    assert!(
        absent
            .records
            .iter()
            .flatten()
            .all(|(_, text)| text.is_some())
    );
    assert_eq!(filled(&absent), filled(&whole));
    let rule = Rule::new(Fault::BareAggregates);
    simulator
        .company()
        .set_faults(FaultScript::new(1).rule(rule))
        .unwrap();
    let sums = "<query><object>GLDETAIL</object><select><field>SYMBOL</field><sum>AMOUNT</sum>\
                </select></query>";
    let body = wire.text(sums).await;
    assert!(
        body.contains("<AMOUNT>") && !body.contains("SUM."),
        "{body}"
    );
}

#[tokio::test]
async fn pages_shift_repeat_and_miscount() {
    let mut totals = Totals::default();
    (totals.total, totals.remaining) = (5, -2);
    let script = FaultScript::new(1)
        .rule(Rule::new(Fault::ShiftRows(-1)).when(|when| when.page = Some(2)))
        .rule(Rule::new(Fault::ShiftRows(1)).when(|when| when.page = Some(3)))
        .rule(Rule::new(Fault::RepeatRows(2)).when(|when| when.offset_from = Some(9)))
        .rule(Rule::new(Fault::Totals(totals)).when(|when| when.page = Some(1)));
    let simulator = under(script).await;
    let wire = Wire::session(&simulator).await;
    let first = wire.ok(&page(0)).await;
    assert_eq!(first.column("RECORDNO"), ["1", "2", "3"]);
    assert_eq!(
        (first.number("totalcount"), first.number("numremaining")),
        (15, 5)
    );
    let second = wire.ok(&page(3)).await;
    assert_eq!(second.column("RECORDNO"), ["3", "4", "5"]);
    assert_eq!(wire.ok(&page(6)).await.column("RECORDNO"), ["8", "9", "10"]);
    let rest = "<orderby><order><field>RECORDNO</field></order></orderby><offset>9</offset>";
    let last = wire.ok(&query("WIDGET", &["RECORDNO"], rest)).await;
    assert_eq!(last.column("RECORDNO"), ["10", "10"]);
    assert_eq!(last.number("count"), 2);
}

#[tokio::test]
async fn records_come_and_go_between_two_pages() {
    let script = FaultScript::new(1)
        .rule(Rule::new(Fault::Edit(Edit::delete("WIDGET", 2))).when(|when| when.page = Some(2)))
        .rule(
            Rule::new(Fault::Edit(Edit::create("WIDGET").set("RECORDNO", "0")))
                .when(|when| when.page = Some(3)),
        );
    let simulator = under(script).await;
    let wire = Wire::session(&simulator).await;
    let mut keys = Vec::new();
    for offset in [0, 3, 6, 9] {
        keys.extend(wire.ok(&page(offset)).await.column("RECORDNO"));
    }
    // 4 was missed for the record that went.
    assert_eq!(keys, ["1", "2", "3", "5", "6", "7", "7", "8", "9", "10"]);
}

#[tokio::test]
async fn values_hold_what_xml_forbids() {
    for (with, expected) in [
        (Spoiler::RawControl, &b"<NAME>\x1Fwidget 1<"[..]),
        (Spoiler::ControlReference, b"<NAME>&#x1F;widget 1<"),
        (Spoiler::SurrogateReference, b"<NAME>&#xD800;widget 1<"),
        (Spoiler::InvalidUtf8, b"<NAME>\xFFwidget 1<"),
    ] {
        let fault = Fault::Characters(Characters::new(with, "NAME"));
        let simulator = under(on_query(fault)).await;
        let wire = Wire::session(&simulator).await;
        let body = wire.post(request(&wire, &page(0))).await;
        let body = body.bytes().await.unwrap();
        let found = body
            .windows(expected.len())
            .any(|window| window == expected);
        assert!(found, "{with:?}: {}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test]
async fn wide_windows_and_large_pages_time_out() {
    let script = "
        [[rules]]
        when = { object = 'WIDGET', window_over = 86400 }
        fault = { http = { status = 524, body = 'html' } }
        [[rules]]
        when = { object = 'WIDGET', page_size_over = 500 }
        fault = { http = { status = 524, body = 'html' } }
        [[rules]]
        when = { ordered_by = 'NAME' }
        fault = 'processing'
    ";
    let simulator = under(FaultScript::parse(script).unwrap()).await;
    let wire = Wire::session(&simulator).await;
    let window = |day: u32, rest: &str| {
        let filter = format!(
            "<filter><and><greaterthanorequalto><field>WHENMODIFIED</field>\
             <value>01/01/2026 00:00:00</value></greaterthanorequalto><lessthan>\
             <field>WHENMODIFIED</field><value>01/{day:02}/2026 00:00:00</value></lessthan></and>\
             </filter>{rest}"
        );
        query("WIDGET", &["RECORDNO"], &filter)
    };
    let status = async |call: String| wire.post(request(&wire, &call)).await.status().as_u16();
    assert_eq!(status(window(3, "")).await, 524);
    assert_eq!(status(window(2, "")).await, 200);
    assert_eq!(status(window(2, "<pagesize>501</pagesize>")).await, 524);
    assert_eq!(status(window(2, "<pagesize>500</pagesize>")).await, 200);
    // Without bounds the window has no end.
    assert_eq!(status(query("WIDGET", &["RECORDNO"], "")).await, 524);
    let ordered = "<orderby><order><field>NAME</field></order></orderby>";
    assert_eq!(wire.fails(&window(2, ordered)).await.number, "DL02000001");
}

#[tokio::test]
async fn maintenance_comes_by_the_clock() {
    let script = "
        [[rules]]
        name = 'maintenance'
        when = { weekly = 'Sat 18:30-20:30' }
        fault = 'offline'
        [[rules]]
        when = { from = '2026-01-31T21:00:00Z', until = '2026-01-31T22:00:00Z' }
        fault = 'offline'
    ";
    let simulator = under(FaultScript::parse(script).unwrap()).await;
    let mut wire = Wire::session(&simulator).await;
    let company = simulator.company();
    for (advance, expected) in [(0, true), (2_400, false), (7_200, true), (2_400, false)] {
        company.advance_clock(advance);
        if expected {
            wire.authentication = crate::wire::LOGIN.to_owned();
            wire.open_session("<getAPISession/>").await;
        }
        let status = wire.call(&page(0)).await.status;
        assert_eq!(status == "success", expected, "at {}", company.now());
    }
}

/// The statuses of thirty calls, one behind the other.
async fn story(seed: u64) -> (Vec<u16>, String) {
    let rule = |status, probability| {
        let rule = Rule::new(Fault::Http(Http::status(status))).call("query");
        rule.probability(probability)
    };
    let script = FaultScript::new(seed)
        .rule(rule(503, 0.3))
        .rule(rule(429, 0.3).times(4));
    let simulator = under(script).await;
    let wire = Wire::session(&simulator).await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        let response = wire.post(request(&wire, &page(0))).await;
        statuses.push(response.status().as_u16());
    }
    let told = format!("{:?}", simulator.company().fault_story());
    (statuses, told)
}

#[tokio::test]
async fn the_same_script_tells_the_same_story() {
    let first = story(7).await;
    assert_eq!(first, story(7).await);
    assert_ne!(first.0, story(8).await.0);
    let count = |status| first.0.iter().filter(|found| **found == status).count();
    assert!(count(503) > 2 && count(429) == 4 && count(200) > 10);
}

#[tokio::test]
async fn rules_fire_for_the_calls_they_name() {
    let script = "{\"rules\": [
        {\"name\": \"third\", \"when\": {\"call\": [\"query\", \"lookup\"], \"every\": 4, \"after\": 1}, \"fault\": \"processing\"},
        {\"when\": {\"by\": \"login\", \"nth\": 2}, \"fault\": \"login_refused\"},
        {\"when\": {\"session\": 2, \"user\": \"sim-user\", \"selects\": \"NAME\", \"entity\": \"\"}, \"fault\": \"offline\"}
    ]}";
    let simulator = under(FaultScript::parse(script).unwrap()).await;
    let mut wire = Wire::session(&simulator).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(wire.call(&page(0)).await.status);
        statuses.push(
            wire.call("<lookup><object>WIDGET</object></lookup>")
                .await
                .status,
        );
        wire.ok("<getDimensions/>").await;
    }
    let expected = [
        "success", "success", "success", "success", "failure", "success",
    ];
    assert_eq!(statuses, expected);
    wire.authentication = crate::wire::LOGIN.to_owned();
    assert!(wire.text("<getAPISession/>").await.contains("Sign-in"));
    wire.open_session("<getAPISession/>").await;
    wire.ok(&query("WIDGET", &["RECORDNO"], "")).await;
    assert!(wire.text(&page(0)).await.contains("Off-line"));
    let report = simulator.company().faults();
    let counts: Vec<_> = report
        .iter()
        .map(|rule| (rule.matched, rule.fired))
        .collect();
    assert_eq!(counts, [(8, 1), (3, 1), (1, 1)]);
}

#[tokio::test]
async fn the_script_is_set_over_http() {
    let simulator = crate::truth::start(1, Scale::Tiny).await;
    let url = simulator
        .url()
        .replace("/ia/xml/xmlgw.phtml", "/sim/faults");
    let client = reqwest::Client::new();
    let script = "seed = 3\n[[rules]]\nname = 'off'\nwhen = { call = 'query' }\nfault = 'offline'";
    let set = client.post(&url).body(script).send().await.unwrap();
    assert_eq!(set.status(), 200);
    let wire = Wire::session(&simulator).await;
    let call = query("CLASS", &["NAME"], "");
    assert!(wire.text(&call).await.contains("Off-line"));
    let shown = client.get(&url).send().await.unwrap().text().await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["seed"], 3);
    assert_eq!(shown["rules"][0]["fault"], "offline");
    assert_eq!(
        (&shown["rules"][0]["matched"], &shown["rules"][0]["fired"]),
        (&1.into(), &1.into())
    );
    assert_eq!(shown["story"][0]["call"], "query CLASS");
    // A bad script is refused, and the one before stays.
    let bad = client
        .post(&url)
        .body("[[rules]]\nfault = 'ofline'")
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), 400);
    let text = bad.text().await.unwrap();
    assert!(
        text.contains("rule 1: fault") && text.contains("ofline"),
        "{text}"
    );
    assert!(wire.text(&call).await.contains("Off-line"));
    client.delete(&url).send().await.unwrap();
    wire.ok(&call).await;
}

#[test]
fn bad_scripts_are_refused_by_rule_and_field() {
    for (script, expected) in [
        ("seed = 'one'", "fault script.seed: "),
        ("[[rule]]", "unknown field `rule`"),
        ("[[rules]]\nname = 'x'", "rule 1 \"x\": fault is missing"),
        (
            "[[rules]]\nfault = 'offline'\nwhat = 1",
            "rule 1: what is not known",
        ),
        (
            "[[rules]]\nfault = 'offline'\n[[rules]]\nname = 'b'\nfault = 'offline'\nwhen = { evry = 2 }",
            "rule 2 \"b\": when.evry: unknown field `evry`",
        ),
        (
            "[[rules]]\nfault = 'offline'\nwhen = { every = 'two' }",
            "rule 1: when.every: invalid type",
        ),
        (
            "[[rules]]\nfault = 'offline'\nwhen = { call = 'querry' }",
            "rule 1: when.call names no function of the gateway: \"querry\"",
        ),
        (
            "[[rules]]\nfault = 'offline'\nwhen = { nth = 0 }",
            "rule 1: when.nth counts from 1",
        ),
        (
            "[[rules]]\nfault = 'offline'\nwhen = { probability = 1.5 }",
            "rule 1: when.probability must be from 0 to 1",
        ),
        (
            "[[rules]]\nfault = 'offline'\nwhen = { weekly = 'Saturday' }",
            "rule 1: when.weekly: \"Saturday\" is no stretch of a week",
        ),
        (
            "[[rules]]\nfault = { http = { status = 99 } }",
            "rule 1: fault.http.status must be from 200 to 599",
        ),
        (
            "[[rules]]\nfault = { http = { status = 429, retry = 1 } }",
            "rule 1: fault.http.retry: unknown field `retry`",
        ),
        (
            "[[rules]]\nfault = { function_failure = { errors = [] } }",
            "rule 1: fault.function_failure.errors must hold an error",
        ),
        (
            "[[rules]]\nfault = { without = 'status' }",
            "rule 1: fault.without must name an element and its parent",
        ),
        ("{\"rules\": [", "the fault script is not JSON"),
        ("rules = [", "the fault script is not TOML"),
    ] {
        let error = FaultScript::parse(script).expect_err(script).to_string();
        assert!(error.contains(expected), "{script}: {error}");
    }
}

#[test]
fn the_table_of_behaviours_names_every_fault_and_no_other() {
    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("## Behaviours").expect("the table");
    let (table, _) = table
        .split_once("### Left out")
        .expect("the list behind it");
    let cells = table.lines().filter_map(|line| line.split(" | ").nth(2));
    let switches: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    // A name that does not exist is answered with all that do.
    let refusal = FaultScript::parse("[[rules]]\nfault = 'nosuch'").unwrap_err();
    let refusal = refusal.to_string();
    let (_, names) = refusal.split_once("one of ").expect("the names");
    let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
    assert!(names.len() > 30, "{refusal}");
    for name in &names {
        let shown = switches
            .iter()
            .any(|switch| switch.split(' ').next() == Some(name));
        assert!(shown, "{name} is not in the table");
    }
    for switch in switches {
        let script = match switch.split_once(" = ") {
            Some((name, _)) if names.contains(&name) => {
                format!("[[rules]]\nfault = {{ {switch} }}")
            }
            Some((name, _)) if name.starts_with("when.") => {
                format!("[[rules]]\nfault = 'offline'\n{switch}")
            }
            _ => continue,
        };
        FaultScript::parse(&script).unwrap_or_else(|error| panic!("{switch}: {error}"));
    }
}

#[test]
fn a_script_reads_back_as_it_is_written() {
    let mut totals = Totals::default();
    totals.remaining = -2;
    let faults = [
        Fault::throttled(),
        Fault::Http(Http::status(503).body(Body::Html).work(Work::Done)),
        Fault::Cut(Cut::Amid),
        Fault::Truncate(Truncate::Fraction(0.25)),
        Fault::TwoRoots,
        Fault::function_failure("BL01001973", "a & b"),
        Fault::ShownTimeout(ShownTimeout::Seconds(-5)),
        Fault::Totals(totals),
        Fault::Characters(Characters::new(Spoiler::RawControl, "NAME")),
        Fault::Edit(Edit::update("WIDGET", 3).set("NAME", "x")),
        Fault::Late(7_200),
    ];
    let mut script = FaultScript::new(9);
    for (place, fault) in faults.into_iter().enumerate() {
        let rule = Rule::new(fault)
            .named(format!("number {place}"))
            .call("query");
        script = script.rule(rule.nth(2).every(3).after(1).times(4).probability(0.5));
    }
    let window = "[[rules]]\nfault = 'offline'\n[rules.when]\nweekly = 'Fri 19:30-02:30'\n\
                  from = '2026-01-31T18:00:00+01:00'";
    script
        .rules
        .extend(FaultScript::parse(window).unwrap().rules);
    let written = serde_json::to_string(&script).unwrap();
    assert!(written.contains("\"Fri 19:30-02:30\""), "{written}");
    assert!(
        written.contains("\"2026-01-31T17:00:00+00:00\""),
        "{written}"
    );
    assert_eq!(FaultScript::parse(&written).unwrap(), script);
}

#[tokio::test]
async fn what_is_left_to_chance_follows_the_seed() {
    let told = async |seed: u64| {
        let builder = Simulator::builder().seed(seed).company(widgets(40));
        let simulator = builder.start().await.unwrap();
        let wire = Wire::session(&simulator).await;
        let mut orders = Vec::new();
        for _ in 0..3 {
            let all = wire.ok(&query("WIDGET", &["RECORDNO"], "")).await;
            orders.push(all.column("RECORDNO"));
        }
        orders
    };
    let first = told(5).await;
    assert_ne!(first[0], first[1]);
    assert_eq!(first, told(5).await);
    assert_ne!(first, told(6).await);
}

//! What keeps a client from asking too much: requests at once, a budget of calls, quiet hours; and how calls are counted
//! and foretold.

use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use intacct_client::{
    Client, CompanyLimits, ErrorKind, InQuietHours, Phase, Planned, QuietHours, Reason, Retry,
};
use intacct_xml::request::{Filter, Lookup, ReadByQuery};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use sync_http::{LimitOptions, ManualClock, Timing};
use time::macros::datetime;

use crate::script::{Asked, Reply, Script, clock, config, envelope, page};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Vendor {
    #[expect(dead_code, reason = "only that it can be read matters")]
    recordno: u64,
}

const HOUR: Duration = Duration::from_secs(3600);

fn object(name: &str) -> ObjectName {
    ObjectName::new(name).unwrap()
}

fn definition(asked: &Asked) -> Reply {
    let results = asked.control_ids().into_iter().map(|id| {
        format!(
            "<result><status>success</status><function>lookup</function><controlid>{id}</controlid><data>\
             <Type Name=\"VENDOR\" DocumentType=\"\"><Fields/><Relationships/></Type></data></result>"
        )
    });
    Reply::Xml(envelope(
        "2026-02-08T20:00:00+00:00",
        &results.collect::<String>(),
    ))
}

async fn call(client: &Client) -> intacct_client::Result<()> {
    client.lookup(&object("VENDOR")).await.map(drop)
}

#[tokio::test]
async fn a_budget_of_calls_is_shared_by_tasks_and_entities() {
    let script = Script::start(definition).await;
    let client = Client::new(config(&script.url, &clock()).with_call_budget(5)).unwrap();
    let entity = client.for_entity("100").unwrap();
    // Two logins, three calls, and no more.
    let outcomes = join_all([
        call(&client),
        call(&entity),
        call(&client),
        call(&entity),
        call(&client),
    ])
    .await;
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!((script.logins(), script.calls(), refused.len()), (2, 3, 2));
    for error in refused {
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Throttled, Reason::BudgetSpent)
        );
        assert_eq!(
            (error.phase(), error.retry()),
            (Phase::NotSent, Retry::Never)
        );
    }
    assert_eq!(
        (client.limits().spent(), client.limits().left()),
        (5, Some(0))
    );
}

#[tokio::test]
async fn several_functions_in_a_request_are_several_calls() {
    let script = Script::start(definition).await;
    let client = Client::new(config(&script.url, &clock()).with_call_budget(3)).unwrap();
    let two = || {
        [
            Lookup::new(object("VENDOR")).into(),
            Lookup::new(object("VENDOR")).into(),
        ]
    };
    client.execute(two()).await.unwrap();
    let error = client.execute(two()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BudgetSpent);
    assert_eq!(script.calls(), 1);
}

#[tokio::test]
async fn a_request_that_was_one_too_many_makes_it_one_fewer_at_once() {
    let script = Script::start(|asked: &Asked| match asked.number {
        0 | 1 => Reply::Http(429, "", GW_0010.to_owned()),
        _ => definition(asked),
    })
    .await;
    let limits = LimitOptions::default().with_concurrency(3);
    let config = config(&script.url, &clock()).with_limits(limits);
    let client = Client::new(config).unwrap();
    call(&client).await.unwrap();
    assert_eq!(client.limits().at_once(), Some(1));
    // What goes well for long is tried with more again.
    for _ in 0..130 {
        call(&client).await.unwrap();
    }
    assert_eq!(client.limits().at_once(), Some(2));
}

const GW_0010: &str = "<response><errormessage><error><errorno>GW-0010</errorno>\
                       <description>Too many requests</description></error></errormessage></response>";

#[tokio::test]
async fn clients_of_one_company_share_its_limits() {
    let script = Script::start(definition).await;
    let clock = clock();
    let options = LimitOptions::default()
        .with_concurrency(1)
        .with_window(2, Duration::from_secs(60));
    let limits = CompanyLimits::new(options, Some(10), Timing::from(clock.clone())).unwrap();
    let make =
        || Client::new(config(&script.url, &clock).with_shared_limits(limits.clone())).unwrap();
    let (one, other) = (make(), make());
    call(&one).await.unwrap();
    assert!(clock.sleeps().is_empty());
    call(&other).await.unwrap();
    assert_eq!(
        clock.sleeps(),
        [Duration::from_secs(60)],
        "the third request of the minute"
    );
    assert_eq!(
        (limits.spent(), one.limits().left(), other.limits().left()),
        (4, Some(6), Some(6))
    );
    // Without sharing, each has its own.
    assert_eq!(
        Client::new(config(&script.url, &clock))
            .unwrap()
            .limits()
            .spent(),
        0
    );
    assert!(CompanyLimits::new(LimitOptions::default(), Some(0), Timing::from(clock)).is_err());
}

/// A client that has asked once, on a Saturday at 02:00, and may not from 02:30 to 05:30.
async fn early_on_saturday(script: &Script, then: InQuietHours) -> (Client, ManualClock) {
    let clock = ManualClock::new(datetime!(2026-01-31 02:00 UTC));
    let hours = QuietHours::saturday_utc().with(then);
    let client = Client::new(config(&script.url, &clock).with_quiet_hours(hours)).unwrap();
    call(&client).await.unwrap();
    (client, clock)
}

/// Answers without a `Date`.
fn undated(asked: &Asked) -> Reply {
    match definition(asked) {
        Reply::Xml(body) => Reply::Http(200, "", body),
        other => other,
    }
}

/// Logs in without a `Date` too.
async fn undated_script() -> Script {
    Script::start_raw(|asked| {
        if !asked.is_login() {
            return undated(asked);
        }
        let own = asked.origin.clone();
        Reply::Http(
            200,
            "",
            crate::script::login(asked, &own, "2026-02-08T20:00:00+00:00"),
        )
    })
    .await
}

#[tokio::test]
async fn no_call_begins_in_quiet_hours_and_what_waits_goes_on_after_them() {
    let script = undated_script().await;
    let (client, clock) = early_on_saturday(&script, InQuietHours::Wait).await;
    clock.advance(HOUR / 2 - Duration::from_secs(1));
    call(&client).await.unwrap();
    assert!(clock.sleeps().is_empty(), "a second before");
    clock.advance(Duration::from_secs(1));
    call(&client).await.unwrap();
    assert_eq!(clock.sleeps(), [3 * HOUR]);
    call(&client).await.unwrap();
    assert_eq!(clock.sleeps().len(), 1);
    // The session grew older than it may while waiting, and was replaced before it was used.
    assert_eq!((script.logins(), script.calls()), (2, 4));
}

#[tokio::test]
async fn in_quiet_hours_calls_are_refused_where_that_is_wanted() {
    let script = undated_script().await;
    let (client, clock) = early_on_saturday(&script, InQuietHours::Refuse).await;
    clock.advance(HOUR);
    let error = call(&client).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Unavailable, Reason::QuietHours)
    );
    assert_eq!(
        (error.phase(), error.retry()),
        (Phase::NotSent, Retry::After(5 * HOUR / 2))
    );
    assert!(clock.sleeps().is_empty());
    assert_eq!(script.calls(), 1);
    clock.advance(5 * HOUR / 2);
    call(&client).await.unwrap();
}

#[tokio::test]
async fn quiet_hours_are_told_by_the_gateways_clock() {
    // The gateway says Saturday 18:00 in every answer, while this machine's clock says that it is time to be quiet.
    let script = Script::start(definition).await;
    let clock = ManualClock::new(datetime!(2026-01-31 02:29:30 UTC));
    let hours = QuietHours::saturday_utc();
    let client = Client::new(config(&script.url, &clock).with_quiet_hours(hours)).unwrap();
    call(&client).await.unwrap();
    clock.advance(HOUR / 60);
    call(&client).await.unwrap();
    assert!(clock.sleeps().is_empty());
}

#[tokio::test]
async fn a_retry_does_not_begin_in_quiet_hours_either() {
    let script = Script::start_raw(|asked| {
        let own = asked.origin.clone();
        match (asked.is_login(), asked.number) {
            (true, _) => Reply::Http(
                200,
                "",
                crate::script::login(asked, &own, "2026-02-08T20:00:00+00:00"),
            ),
            (false, 0) => Reply::Http(503, "retry-after: 120\r\n", String::new()),
            _ => undated(asked),
        }
    })
    .await;
    let clock = ManualClock::new(datetime!(2026-01-31 02:29 UTC));
    let hours = QuietHours::saturday_utc();
    let client = Client::new(config(&script.url, &clock).with_quiet_hours(hours)).unwrap();
    call(&client).await.unwrap();
    assert_eq!(
        clock.sleeps(),
        [Duration::from_secs(120), 3 * HOUR - Duration::from_secs(60)]
    );
}

/// So many records of every object, one by one.
fn counted(asked: &Asked) -> Reply {
    let total = if asked.body.contains("<object>APBILL</object>") {
        4001
    } else {
        0
    };
    let filtered = asked.body.contains("<filter>");
    let total = if filtered { total / 2 } else { total };
    let records = if total > 0 {
        "<APBILL><RECORDNO>1</RECORDNO></APBILL>"
    } else {
        ""
    };
    let count = u32::from(total > 0);
    let attributes = format!(
        "totalcount=\"{total}\" offset=\"0\" count=\"{count}\" numremaining=\"{}\"",
        total - count
    );
    Reply::Xml(page(asked, &attributes, records))
}

#[tokio::test]
async fn a_backfill_is_foretold_in_calls_and_time() {
    let clock = clock();
    let slow = clock.clone();
    let script = Script::start(move |asked| {
        slow.advance(Duration::from_secs(3));
        counted(asked)
    })
    .await;
    let client = Client::new(config(&script.url, &clock)).unwrap();
    let since = Filter::greater_than(FieldName::new("WHENMODIFIED").unwrap(), "01/01/2026");
    let planned = [
        Planned::new(object("APBILL")).unwrap(),
        Planned::new(object("APBILL")).unwrap().with_filter(since),
        Planned::new(object("CLASS")).unwrap(),
    ];
    let forecast = client.forecast(&planned).await.unwrap();
    let found: Vec<_> = forecast
        .objects
        .iter()
        .map(|object| (object.records, object.calls))
        .collect();
    assert_eq!(found, [(4001, 3), (2000, 1), (0, 1)]);
    assert_eq!((forecast.calls, forecast.measured_calls), (5, 3));
    assert_eq!(
        (forecast.pace, forecast.duration),
        (Duration::from_secs(3), Duration::from_secs(15))
    );
    assert_eq!(script.calls(), 3, "one call an object");
    // A limit on requests takes longer than the calls themselves.
    let limits = LimitOptions::default().with_window(4, HOUR);
    let limited = Client::new(config(&script.url, &clock).with_limits(limits)).unwrap();
    assert_eq!(limited.forecast(&planned).await.unwrap().duration, HOUR);
}

#[tokio::test]
async fn calls_are_counted_by_label_and_by_run() {
    let script = Script::start(|asked| {
        let (number, rest) = if asked.body.contains("<readMore>") {
            (2, 0)
        } else {
            (1, 1)
        };
        let attributes =
            format!("totalcount=\"2\" count=\"1\" numremaining=\"{rest}\" resultId=\"7\"");
        Reply::Xml(page(
            asked,
            &attributes,
            &format!("<vendor><RECORDNO>{number}</RECORDNO></vendor>"),
        ))
    })
    .await;
    let client = Client::new(config(&script.url, &clock())).unwrap();
    let vendors = client.labelled("vendor");
    let read = || ReadByQuery::new(object("VENDOR"), "");
    let _: Vec<_> = vendors
        .read_by_query_as::<Vendor>(read())
        .try_collect()
        .await
        .unwrap();
    let first_run = client.calls();
    // `readMore` names no object, but it has the label. The login is nobody's.
    assert_eq!(
        (first_run.of_label("vendor").sent, first_run.total().sent),
        (2, 3)
    );
    assert_eq!(first_run.of_label("vendor").records, 2);
    let entity = vendors.for_entity("100").unwrap();
    let _: Vec<_> = entity
        .read_by_query_as::<Vendor>(read())
        .try_collect()
        .await
        .unwrap();
    let _: Vec<_> = client
        .read_by_query_as::<Vendor>(read())
        .try_collect()
        .await
        .unwrap();
    let run = client.calls().since(&first_run);
    assert_eq!((run.of_label("vendor").sent, run.total().sent), (2, 5));
    assert_eq!(run.of_function("readMore").sent, 2);
    let by_object: Vec<_> = run
        .iter()
        .map(|(function, object, count)| (function, object, count.sent))
        .collect();
    assert_eq!(
        by_object,
        [
            ("getAPISession", None, 1),
            ("readByQuery", Some("VENDOR"), 2),
            ("readMore", None, 2)
        ]
    );
}

#[tokio::test]
async fn a_query_without_a_total_cannot_be_foretold() {
    let script = Script::start(|asked| Reply::Xml(page(asked, "count=\"0\"", ""))).await;
    let client = Client::new(config(&script.url, &clock())).unwrap();
    let planned = [Planned::new(object("APBILL")).unwrap()];
    assert_eq!(
        client.forecast(&planned).await.unwrap_err().kind(),
        ErrorKind::Protocol
    );
}

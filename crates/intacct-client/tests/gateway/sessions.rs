//! Sessions: how long they are used, where they are sent, and what happens when they end early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use intacct_client::{Client, ErrorKind, Reason, SessionPolicy};
use intacct_xml::ObjectName;
use sync_http::LimitOptions;

use crate::script::{
    Asked, Reply, Script, authentication_failure, client, clock, config, envelope, error_message,
    invalid_session, login, result,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A definition without fields, with the session's end in it.
fn definition(asked: &Asked, timeout: &str) -> Reply {
    let result = format!(
        "<result><status>success</status><function>lookup</function><controlid>{}</controlid>\
         <data><Type Name=\"VENDOR\" DocumentType=\"\"><Fields/><Relationships/></Type></data></result>",
        asked.control_ids()[0]
    );
    Reply::Xml(envelope(timeout, &result))
}

async fn call(client: &Client) -> intacct_client::Result<()> {
    client
        .lookup(&ObjectName::new("VENDOR").unwrap())
        .await
        .map(drop)
}

/// The sessions that calls were made on.
fn sessions(script: &Script) -> Vec<String> {
    let asked = script.asked();
    asked
        .iter()
        .filter_map(|asked| asked.text("sessionid").map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn one_login_serves_many_callers_at_once() {
    let script = Script::start(|asked| definition(asked, "2026-01-31T20:00:00+00:00")).await;
    let many = config(&script.url, &clock()).with_limits(LimitOptions::default());
    let client = Client::new(many).unwrap();
    for outcome in join_all((0..20).map(|_| call(&client))).await {
        outcome.unwrap();
    }
    assert_eq!((script.logins(), script.calls()), (1, 20));
    let login = &script.asked()[0];
    assert_eq!(login.text("userid"), Some("u"));
    assert!(
        login.body.contains(
            "<userid>u</userid><companyid>c</companyid><password>user-pw-hush</password>"
        )
    );
}

#[tokio::test]
async fn a_session_is_replaced_after_fifty_minutes_however_it_slides() {
    let script = Script::start(|asked| definition(asked, "2026-02-01T18:00:00+00:00")).await;
    let clock = clock();
    let client = client(&script, &clock);
    for _ in 0..5 {
        call(&client).await.unwrap();
        clock.advance(10 * MINUTE - Duration::from_millis(1));
    }
    call(&client).await.unwrap();
    assert_eq!(script.logins(), 1);
    clock.advance(Duration::from_secs(1));
    call(&client).await.unwrap();
    assert_eq!(script.logins(), 2);
    assert_eq!(sessions(&script).last().map(String::as_str), Some("sid-1"));
}

#[tokio::test]
async fn a_session_is_replaced_five_minutes_before_the_end_that_the_last_answer_gave() {
    // The gateway's clock says 18:00 in every answer; each moves the end to 20 minutes later.
    let script = Script::start(|asked| definition(asked, "2026-01-31T10:20:00-08:00")).await;
    let clock = clock();
    let client = client(&script, &clock);
    call(&client).await.unwrap();
    clock.advance(14 * MINUTE);
    call(&client).await.unwrap();
    clock.advance(14 * MINUTE);
    call(&client).await.unwrap();
    assert_eq!(script.logins(), 1, "each answer moves the end on");
    clock.advance(15 * MINUTE);
    call(&client).await.unwrap();
    assert_eq!(script.logins(), 2);
}

#[tokio::test]
async fn an_expired_session_costs_one_login_and_one_resend() {
    let script = Script::start(|asked| {
        if asked.text("sessionid") == Some("sid-0") {
            Reply::Xml(invalid_session())
        } else {
            definition(asked, "2026-01-31T20:00:00+00:00")
        }
    })
    .await;
    let clock = clock();
    call(&client(&script, &clock)).await.unwrap();
    assert_eq!(sessions(&script), ["sid-0", "sid-1"]);
    assert_eq!(script.logins(), 2);
    assert!(clock.sleeps().is_empty());
}

#[tokio::test]
async fn a_second_expiry_straight_after_a_login_is_final() {
    let script = Script::start(|_| Reply::Xml(invalid_session())).await;
    let error = call(&client(&script, &clock())).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Auth, Reason::SessionExpired)
    );
    assert!(!error.is_transient());
    assert_eq!((script.logins(), script.calls()), (2, 2));
}

#[tokio::test]
async fn a_second_expiry_after_a_retry_is_final_too() {
    let script = Script::start(|asked| match asked.number {
        1 => Reply::Http(503, "", String::new()),
        _ => Reply::Xml(invalid_session()),
    })
    .await;
    let error = call(&client(&script, &clock())).await.unwrap_err();
    assert_eq!(error.reason(), Reason::SessionExpired);
    assert_eq!(
        script.logins(),
        2,
        "one new login for one request, whatever lies between"
    );
}

#[tokio::test]
async fn wrong_credentials_are_tried_once_by_all_waiting_callers_together() {
    let script = Script::start_raw(|_| {
        Reply::Xml(authentication_failure(
            "XL03000006",
            "Sign-in information is incorrect",
            "",
        ))
    })
    .await;
    let client = client(&script, &clock());
    for outcome in join_all((0..10).map(|_| call(&client))).await {
        let error = outcome.unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Auth, Reason::Login)
        );
    }
    assert_eq!(
        script.logins(),
        1,
        "an account is not locked by its own client"
    );
}

#[tokio::test]
async fn retries_of_a_login_are_not_multiplied_by_those_of_the_call() {
    let script = Script::start_raw(|_| Reply::Http(503, "", String::new())).await;
    let error = call(&client(&script, &clock())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_exhausted());
    assert_eq!(script.logins(), 5);
}

#[tokio::test]
async fn the_session_goes_to_its_own_endpoint() {
    let own = Script::start(|asked| definition(asked, "2026-01-31T20:00:00+00:00")).await;
    let endpoint = own.url.clone();
    let front = Script::start_raw(move |asked| {
        Reply::Xml(login(asked, &endpoint, "2026-01-31T20:00:00+00:00"))
    })
    .await;
    let mut anywhere = config(&front.url, &clock());
    anywhere.endpoint_trust = intacct_client::EndpointTrust::Any;
    let adopting = Client::new(anywhere).unwrap();
    call(&adopting).await.unwrap();
    assert_eq!((front.logins(), front.calls(), own.calls()), (1, 0, 1));

    let error = call(&client(&front, &clock())).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ForeignEndpoint);
    assert_eq!(
        own.calls(),
        1,
        "nothing was sent where the session may not go"
    );
}

#[tokio::test]
async fn each_entity_has_a_session_of_its_own() {
    let script = Script::start(|asked| definition(asked, "2026-01-31T20:00:00+00:00")).await;
    let top = client(&script, &clock());
    let entity = top.for_entity("100").unwrap();
    call(&top).await.unwrap();
    call(&entity).await.unwrap();
    call(&top.for_entity("100").unwrap()).await.unwrap();
    assert_eq!(script.logins(), 2);
    let asked = script.asked();
    let login = asked
        .iter()
        .filter(|asked| asked.is_login())
        .nth(1)
        .unwrap();
    assert_eq!(login.text("locationid"), Some("100"));
    assert_eq!(sessions(&script), ["sid-0", "sid-1", "sid-1"]);
    assert_eq!(top.calls(), entity.calls());
}

#[tokio::test]
async fn a_login_whose_function_fails_says_why() {
    let script = Script::start_raw(|asked| {
        let inner = error_message("Get API Session Failed", "no entity access", "");
        Reply::Xml(result(asked, "failure", &inner))
    })
    .await;
    let error = client(&script, &clock()).login().await.unwrap_err();
    assert!(error.to_string().contains("no entity access"), "{error}");
    assert!(error.to_string().contains("getAPISession"), "{error}");
}

#[tokio::test]
async fn the_gateways_clock_is_known_from_its_answers() {
    let script = Script::start(|asked| definition(asked, "2026-01-31T20:00:00+00:00")).await;
    // This machine's clock is wrong by years.
    let wrong = sync_http::ManualClock::default();
    let client = client(&script, &wrong);
    let now = client.source_time().await.unwrap();
    assert_eq!(now, time::macros::datetime!(2026-01-31 18:00 UTC));
    wrong.advance(MINUTE);
    assert_eq!(client.source_time().await.unwrap(), now + MINUTE);
    assert_eq!(script.logins(), 1);
}

#[tokio::test]
async fn a_policy_can_shorten_sessions() {
    let script = Script::start(|asked| definition(asked, "2026-01-31T20:00:00+00:00")).await;
    let clock = clock();
    let policy = SessionPolicy::default()
        .with_max_age(MINUTE)
        .with_margin(Duration::from_secs(1));
    let client = Client::new(config(&script.url, &clock).with_session(policy)).unwrap();
    call(&client).await.unwrap();
    clock.advance(MINUTE);
    call(&client).await.unwrap();
    assert_eq!(script.logins(), 2);
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_of_a_login_strands_nobody() {
    let hang = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&hang);
    let (sender, mut hung) = tokio::sync::mpsc::unbounded_channel();
    let script = Script::start_raw(move |asked| {
        if asked.is_login() && switch.swap(false, Ordering::SeqCst) {
            sender.send(()).unwrap();
            return Reply::Silence;
        }
        if asked.is_login() {
            return Reply::Xml(login(
                asked,
                "https://na1.intacct.com/",
                "2026-01-31T20:00:00Z",
            ));
        }
        Reply::Reset
    })
    .await;
    let mut config = config(&script.url, &clock());
    config.endpoint_trust = intacct_client::EndpointTrust::IntacctOnly;
    let client = Client::new(config).unwrap();
    let leader = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    hung.recv().await.unwrap();
    let waiter = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    tokio::task::yield_now().await;
    leader.abort();
    assert_eq!(
        waiter.await.unwrap().unwrap().host.as_deref(),
        Some("na1.intacct.com")
    );
}

#[tokio::test]
async fn callers_whose_session_ended_together_log_in_once() {
    // All of them are on the way with the first session before one of them hears that it has ended.
    let script = Script::start(|asked| match asked.text("sessionid") {
        Some("sid-0") => Reply::Xml(invalid_session()),
        _ => definition(asked, "2026-01-31T20:00:00+00:00"),
    })
    .await;
    let many = config(&script.url, &clock()).with_limits(LimitOptions::default());
    let client = Client::new(many).unwrap();
    for outcome in join_all((0..20).map(|_| call(&client))).await {
        outcome.unwrap();
    }
    // A caller that hears late must not throw the new session away.
    assert_eq!(script.logins(), 2);
    assert!(
        sessions(&script)
            .iter()
            .all(|session| session == "sid-0" || session == "sid-1")
    );
}

#[tokio::test]
async fn the_end_of_a_session_is_told_by_the_gateways_clock() {
    // Every answer says 18:00 and an end 20 minutes later; this machine's clock is wrong by years.
    let script = Script::start(|asked| definition(asked, "2026-01-31T18:20:00+00:00")).await;
    for wrong in [
        sync_http::ManualClock::default(),
        sync_http::ManualClock::new(time::macros::datetime!(2031-01-01 00:00 UTC)),
    ] {
        let before = script.logins();
        let client = client(&script, &wrong);
        call(&client).await.unwrap();
        wrong.advance(14 * MINUTE);
        call(&client).await.unwrap();
        assert_eq!(script.logins() - before, 1);
        wrong.advance(16 * MINUTE);
        call(&client).await.unwrap();
        assert_eq!(script.logins() - before, 2);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_say_when_the_session_ends_leaves_the_greatest_age() {
    for said in ["", "soon"] {
        let script = Script::start(move |asked| definition(asked, said)).await;
        let clock = clock();
        let client = client(&script, &clock);
        for _ in 0..4 {
            call(&client).await.unwrap();
            clock.advance(12 * MINUTE);
        }
        call(&client).await.unwrap();
        assert_eq!(script.logins(), 1, "48 minutes");
        clock.advance(3 * MINUTE);
        call(&client).await.unwrap();
        assert_eq!(script.logins(), 2);
    }
}

#[tokio::test]
async fn the_end_of_one_entitys_session_leaves_the_others() {
    let script = Script::start(|asked| match asked.text("sessionid") {
        Some("sid-1") => Reply::Xml(invalid_session()),
        _ => definition(asked, "2026-01-31T20:00:00+00:00"),
    })
    .await;
    let top = client(&script, &clock());
    let entity = top.for_entity("100").unwrap();
    call(&top).await.unwrap();
    call(&entity).await.unwrap();
    call(&top).await.unwrap();
    assert_eq!(sessions(&script), ["sid-0", "sid-1", "sid-2", "sid-0"]);
    let asked = script.asked();
    let logins: Vec<_> = asked.iter().filter(|asked| asked.is_login()).collect();
    let entities: Vec<_> = logins
        .iter()
        .map(|login| login.text("locationid"))
        .collect();
    assert_eq!(entities, [None, Some("100"), Some("100")]);
}

#[tokio::test]
async fn a_new_session_brings_a_new_endpoint() {
    let second = Script::start(|asked| definition(asked, "2026-01-31T20:00:00+00:00")).await;
    let later = second.url.clone();
    let front = Script::start_raw(move |asked| {
        if !asked.is_login() {
            return Reply::Xml(invalid_session());
        }
        let endpoint = if asked.number == 0 {
            &asked.origin
        } else {
            &later
        };
        Reply::Xml(login(asked, endpoint, "2026-01-31T20:00:00+00:00"))
    })
    .await;
    let mut anywhere = config(&front.url, &clock());
    anywhere.endpoint_trust = intacct_client::EndpointTrust::Any;
    let client = Client::new(anywhere).unwrap();
    call(&client).await.unwrap();
    assert_eq!((front.logins(), front.calls(), second.calls()), (2, 1, 1));
    assert_eq!(sessions(&second), ["sid-1"]);
    assert_eq!(
        client.login().await.unwrap().host.as_deref(),
        Some("127.0.0.1")
    );
}

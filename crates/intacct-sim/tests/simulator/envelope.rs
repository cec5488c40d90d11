//! Envelope, authentication, sessions, strictness, and the addresses under `/sim`.

use intacct_sim::Scale;

use crate::truth::start;
use crate::wire::{Answer, Wire, between, function, query};

#[tokio::test]
async fn the_endpoint_of_a_session_has_the_name_that_the_caller_used() {
    let simulator = start(1, Scale::Tiny).await;
    let mut wire = Wire::to(&simulator);
    wire.url = wire.url.replace("127.0.0.1", "localhost");
    let body = wire.open_session("<getAPISession/>").await;
    assert_eq!(
        between(&body, "<endpoint>", "</endpoint>"),
        Some(&*wire.url)
    );
}

#[tokio::test]
async fn a_session_opens_and_every_answer_moves_its_end() {
    let simulator = start(1, Scale::Tiny).await;
    let mut wire = Wire::to(&simulator);
    let body = wire.open_session("<getAPISession/>").await;
    assert_eq!(
        between(&body, "<endpoint>", "</endpoint>"),
        Some(simulator.url())
    );
    assert!(body.contains("<api>") && body.contains("<locationid></locationid>"));
    let end = |body: &str| {
        between(body, "<sessiontimeout>", "</sessiontimeout>")
            .unwrap()
            .to_owned()
    };
    let first = end(&body);
    assert!(first.starts_with("2026-01-31T20:00:"), "{first}");
    simulator.company().advance_clock(3_600);
    let response = wire
        .post(wire.request(&function("f", &query("CLASS", &["RECORDNO"], ""))))
        .await;
    assert_eq!(
        response.headers()["content-type"],
        "text/xml; encoding=\"UTF-8\""
    );
    let date = response.headers()["date"].to_str().unwrap().to_owned();
    assert!(date.starts_with("Sat, 31 Jan 2026 19:00:"), "{date}");
    assert!(end(&response.text().await.unwrap()).starts_with("2026-01-31T21:00:"));

    // Used within its time it lives on; idle past it, it is over.
    simulator.company().advance_clock(7_100);
    wire.ok(&query("CLASS", &["RECORDNO"], "")).await;
    simulator.company().advance_clock(7_201);
    assert_session_over(&wire.text(&query("CLASS", &["RECORDNO"], "")).await);
}

fn assert_session_over(body: &str) {
    let operation = between(body, "<operation>", "</operation>").unwrap();
    let authentication = between(operation, "<authentication>", "</authentication>").unwrap();
    assert!(
        authentication.contains("<status>failure</status><userid></userid><companyid></companyid>")
    );
    let error = operation.split("</authentication>").nth(1).unwrap();
    assert!(error.starts_with("<errormessage><error><errorno>XL03000006</errorno>"));
    assert!(error.contains("<description2>Invalid session"));
}

#[tokio::test]
async fn sessions_can_be_ended_and_unknown_ones_are_refused() {
    let simulator = start(1, Scale::Tiny).await;
    let mut wire = Wire::session(&simulator).await;
    assert_eq!(simulator.company().expire_sessions(), 1);
    assert_session_over(&wire.text(&query("CLASS", &["RECORDNO"], "")).await);
    wire.authentication = "<sessionid>made-up..</sessionid>".to_owned();
    assert_session_over(&wire.text(&query("CLASS", &["RECORDNO"], "")).await);
}

#[tokio::test]
async fn wrong_logins_and_senders_have_their_own_shapes() {
    let simulator = start(1, Scale::Tiny).await;
    let mut wire = Wire::to(&simulator);
    let right = wire.authentication.clone();
    for wrong in [
        right.replace("sim-user-password", "guess"),
        right.replace("DEMO", "demo"),
        right.replace(">sim-user<", ">nobody<"),
    ] {
        wire.authentication = wrong;
        let body = wire.text("<getAPISession/>").await;
        assert!(body.contains("<control><status>success</status>"), "{body}");
        assert!(
            body.contains("</authentication><errormessage><error><errorno>XL03000006</errorno>")
        );
        assert!(body.contains("Sign-in information is incorrect") && !body.contains("guess"));
        assert!(!body.contains("<result>"));
    }
    wire.authentication = right;
    let body = wire.request(&function("f", "<getAPISession/>"));
    for wrong in [
        body.replace("sim-sender-password", "other"),
        body.replace("<senderid>sim-sender", "<senderid>SIM-SENDER"),
        body.replace(
            "<password>sim-sender-password</password><controlid>",
            "<controlid>",
        ),
    ] {
        let answer = wire.raw(&wrong).await;
        assert!(answer.contains("<control><status>failure</status>"));
        assert!(
            answer.contains("XL03000006") && !answer.contains("<operation>"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn breaches_of_the_schema_fail_the_control_block() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::to(&simulator);
    let good = wire.request(&function("f", "<getAPISession/>"));
    Answer::read(&wire.raw(&good).await);
    for (from, to) in [
        ("<controlid>c-1</controlid>", ""),
        ("<controlid>c-1</controlid>", "<controlid></controlid>"),
        (
            "<dtdversion>3.0</dtdversion>",
            "<dtdversion>2.1</dtdversion>",
        ),
        ("<dtdversion>3.0</dtdversion>", ""),
        ("<uniqueid>false</uniqueid>", "<uniqueid>perhaps</uniqueid>"),
        (
            "<uniqueid>false</uniqueid><dtdversion>3.0</dtdversion>",
            "<dtdversion>3.0</dtdversion><uniqueid>false</uniqueid>",
        ),
        (
            "<includewhitespace>false</includewhitespace>",
            "<includewhitespace>false</includewhitespace><shoesize>9</shoesize>",
        ),
        (
            "<userid>sim-user</userid><companyid>DEMO</companyid>",
            "<companyid>DEMO</companyid><userid>sim-user</userid>",
        ),
        ("<login>", "<sessionid>x</sessionid><login>"),
        (" controlid=\"f\"", ""),
        ("<function controlid=\"f\"><getAPISession/></function>", ""),
        ("<getAPISession/>", "<getAPISession/><getAPISession/>"),
        ("<getAPISession/>", "<dropEverything/>"),
        ("transaction=\"false\"", "transaction=\"maybe\""),
        ("</request>", ""),
        (
            "<request>",
            "<!DOCTYPE request [<!ENTITY a \"b\">]><request>",
        ),
        ("<request>", "<order>"),
    ] {
        assert!(good.contains(from), "{from}");
        let body = wire.raw(&good.replace(from, to)).await;
        assert!(
            body.contains("<status>failure</status>"),
            "{from} -> {to}: {body}"
        );
        assert!(
            body.contains("XL03000003") && !body.contains("<operation>"),
            "{from} -> {to}: {body}"
        );
    }
    // One error for each problem.
    let two = good
        .replace("<uniqueid>false</uniqueid>", "<uniqueid>maybe</uniqueid>")
        .replace("<includewhitespace>false", "<includewhitespace>perhaps");
    assert_eq!(wire.raw(&two).await.matches("<error>").count(), 2);
}

#[tokio::test]
async fn sessions_open_alone_and_for_entities() {
    let simulator = start(1, Scale::Tiny).await;
    let mut wire = Wire::session(&simulator).await;
    let two =
        wire.request(&(function("a", "<getAPISession/>") + &function("b", "<getAPISession/>")));
    let answers = Answer::all(&wire.raw(&two).await);
    assert!(answers.iter().all(|answer| answer.status == "failure"));
    let unknown = wire
        .fails("<getAPISession><locationid>nowhere</locationid></getAPISession>")
        .await;
    assert_eq!(unknown.number, "Get API Session Failed");

    let all = wire
        .ok(&query("GLBATCH", &["RECORDNO"], ""))
        .await
        .number("totalcount");
    let body = wire
        .open_session("<getAPISession><locationid>200</locationid></getAPISession>")
        .await;
    assert!(body.contains("<locationid>200</locationid>"));
    let of_entity = wire
        .ok(&query("GLBATCH", &["RECORDNO", "MEGAENTITYID"], ""))
        .await;
    assert!(of_entity.number("totalcount") < all);
    assert!(
        of_entity
            .column("MEGAENTITYID")
            .iter()
            .all(|id| id == "200")
    );
    assert!(
        wire.text(&query("CLASS", &["NAME"], ""))
            .await
            .contains("<locationid>200</locationid>")
    );
    // Without an argument the entity stays, with an empty one it goes.
    assert!(
        wire.open_session("<getAPISession/>")
            .await
            .contains("<locationid>200</locationid></api>")
    );
    let body = wire
        .open_session("<getAPISession><locationid/></getAPISession>")
        .await;
    assert!(body.contains("<locationid></locationid></api>"));
    assert_eq!(
        wire.ok(&query("GLBATCH", &["RECORDNO"], ""))
            .await
            .number("totalcount"),
        all
    );
}

#[tokio::test]
async fn function_control_ids_are_used_once_under_uniqueid() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let call = function("once", &query("CLASS", &["NAME"], ""));
    for unique in ["<uniqueid>true</uniqueid>", ""] {
        let call = call.replace("once", &format!("once{}", unique.len()));
        let request = wire.request_with(unique, "false", &call);
        assert_eq!(Answer::read(&wire.raw(&request).await).status, "success");
        assert_eq!(Answer::read(&wire.raw(&request).await).status, "failure");
    }
    let free = wire.request_with("<uniqueid>false</uniqueid>", "false", &call);
    for _ in 0..2 {
        assert_eq!(Answer::read(&wire.raw(&free).await).status, "success");
    }
}

#[tokio::test]
async fn functions_of_one_request_stand_alone_or_fall_together() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let functions = function("a", &query("CLASS", &["NAME"], ""))
        + &function("b", &query("NOSUCH", &["NAME"], ""))
        + &function("c", &query("CLASS", &["NAME"], ""));
    let alone = Answer::all(&wire.raw(&wire.request(&functions)).await);
    let statuses: Vec<&str> = alone.iter().map(|answer| &*answer.status).collect();
    assert_eq!(statuses, ["success", "failure", "success"]);
    assert_eq!(alone[1].errors[0].number, "Query Failed");
    assert_eq!(
        alone[1].errors[0].text,
        "Object definition NOSUCH not found"
    );

    let together = wire.request_with("<uniqueid>false</uniqueid>", "true", &functions);
    let together = Answer::all(&wire.raw(&together).await);
    let statuses: Vec<&str> = together.iter().map(|answer| &*answer.status).collect();
    assert_eq!(statuses, ["aborted", "failure", "aborted"]);
    assert_eq!(together[0].errors[0].number, "XL03000009");
    let of_cause: Vec<&str> = together[1]
        .errors
        .iter()
        .map(|error| &*error.number)
        .collect();
    assert_eq!(of_cause, ["Query Failed", "XL03000009"]);
}

#[tokio::test]
async fn only_posts_of_xml_are_taken() {
    let simulator = start(1, Scale::Tiny).await;
    let client = reqwest::Client::new();
    assert_eq!(
        client.get(simulator.url()).send().await.unwrap().status(),
        405
    );
    let json = client
        .post(simulator.url())
        .header("content-type", "application/json")
        .body("{}");
    let response = json.send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("GW-0011"));
    let elsewhere = simulator.url().replace("xmlgw", "other");
    assert_eq!(
        client
            .post(elsewhere)
            .body("x")
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    let wire = Wire::to(&simulator);
    for nonsense in ["", "hello", "{\"a\":1}", "<request>", "\u{0}"] {
        assert!(
            wire.raw(nonsense).await.contains("XL03000003"),
            "{nonsense}"
        );
    }
}

#[tokio::test]
async fn the_company_is_driven_over_http() {
    let simulator = start(1, Scale::Tiny).await;
    let base = simulator.url().split("/ia/").next().unwrap().to_owned();
    let client = reqwest::Client::new();
    let get = async |path: &str| {
        client
            .get(format!("{base}{path}"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    let post = async |path: &str, body: &str| {
        let request = client.post(format!("{base}{path}")).body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let counts: serde_json::Value = serde_json::from_str(&get("/sim/objects").await).unwrap();
    let lines = get("/sim/objects/GLDETAIL").await;
    assert_eq!(counts["GLDETAIL"], lines.lines().count());
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["AMOUNT"].is_string() && first["DOCUMENT"].is_null());

    let (status, changes) = post("/sim/change", "{\"round\": 1}").await;
    assert_eq!(status, 200);
    let changes: serde_json::Value = serde_json::from_str(&changes).unwrap();
    assert!(changes["APBILL"]["created"].as_u64().unwrap() > 0);
    assert!(changes["VENDOR"]["deleted"] == 1);
    assert_eq!(post("/sim/change", "{\"round\": 1}").await.0, 409);
    assert_eq!(post("/sim/change", "{\"day\": 1}").await.0, 400);

    let edit = "{\"object\":\"VENDOR\",\"op\":\"update\",\"recordno\":\"22\",\"fields\":{\"COMMENTS\":null}}";
    let (status, answer) = post("/sim/edit", edit).await;
    assert_eq!(
        (status, &*answer),
        (
            200,
            "{\"VENDOR\":{\"created\":0,\"updated\":1,\"deleted\":0}}"
        )
    );
    assert_eq!(
        post("/sim/edit", &edit.replace("\"22\"", "22")).await.0,
        200
    );
    assert_eq!(
        post("/sim/edit", &edit.replace("22", "123456")).await.0,
        404
    );
    assert_eq!(
        post("/sim/edit", &edit.replace("COMMENTS", "NAME")).await.0,
        409
    );

    let before: serde_json::Value = serde_json::from_str(&get("/sim/clock").await).unwrap();
    let (_, after) = post("/sim/clock", "{\"advance_seconds\": 100000}").await;
    let after: serde_json::Value = serde_json::from_str(&after).unwrap();
    let passed = after["unix_seconds"].as_i64().unwrap() - before["unix_seconds"].as_i64().unwrap();
    assert!((100_000..100_100).contains(&passed));

    let wire = Wire::session(&simulator).await;
    wire.ok(&query("VENDOR", &["NAME"], "")).await;
    wire.fails(&query("VENDOR", &["NOSUCH"], "")).await;
    let stats: serde_json::Value = serde_json::from_str(&get("/sim/stats").await).unwrap();
    assert_eq!(stats["calls"]["query"], 2);
    assert_eq!(stats["calls_by_object"]["query VENDOR"], 2);
    assert_eq!(
        (&stats["functions"], &stats["failures"]),
        (&3.into(), &1.into())
    );
    post("/sim/reset-stats", "").await;
    assert!(get("/sim/stats").await.contains("\"functions\":0"));
    assert_eq!(post("/sim/expire-sessions", "").await.1, "{\"expired\":1}");
    assert_eq!(
        client
            .get(format!("{base}/sim/objects/NOSUCH"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
}

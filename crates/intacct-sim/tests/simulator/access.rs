//! Who is let in, and what is refused to whom.

use intacct_sim::{Access, Formatting, RunningSimulator, Scale, Sender, Simulator, User};

use crate::wire::{Wire, between, condition, filter, function, order, query};

async fn with(access: Access) -> RunningSimulator {
    let builder = Simulator::builder().seed(1).scale(Scale::Tiny);
    builder.access(access).start().await.expect("a simulator")
}

/// A caller with a session of another user than the usual one.
async fn session(simulator: &RunningSimulator, login: &str) -> Wire {
    let mut wire = Wire::to(simulator);
    wire.authentication = login_of(login);
    wire.open_session("<getAPISession/>").await;
    wire
}

fn login_of(login: &str) -> String {
    crate::wire::LOGIN
        .replace(">sim-user<", &format!(">{login}<"))
        .replace("sim-user-password", "secret-word")
}

fn user(login: &str) -> User {
    User::new(login, "secret-word")
}

#[tokio::test]
async fn users_read_what_their_role_grants() {
    let access = Access::default()
        .user(user("some").only(["VENDOR"]))
        .user(user("most").deny("APBILL"))
        .user(user("empty").only(Vec::<String>::new()))
        .unsubscribed("CLASS");
    let simulator = with(access).await;
    let read =
        |object: &str| format!("<readByQuery><object>{object}</object><query/></readByQuery>");
    let some = session(&simulator, "some").await;
    let body = some.text(&query("VENDOR", &["NAME"], "")).await;
    assert!(body.contains("<userid>some</userid>"), "{body}");
    some.ok(&query("VENDOR", &["NAME"], "")).await;
    let refused = some.fails(&query("APBILL", &["RECORDNO"], "")).await;
    assert_eq!(refused.number, "PL04000005");
    assert!(refused.text.starts_with(
        "You do not have permission for API operation QUERY on objects of type apbill [Support ID: SimXMLGW%7E"
    ));
    let refused = some.fails(&read("APBILL")).await;
    assert!(
        refused
            .text
            .contains("READ_BY_QUERY on objects of type apbill")
    );
    // A description of an object is no right to read it.
    some.ok("<lookup><object>APBILL</object></lookup>").await;

    let most = session(&simulator, "most").await;
    most.ok(&query("APBILLITEM", &["RECORDNO"], "")).await;
    assert_eq!(
        most.fails(&query("APBILL", &["RECORDNO"], "")).await.number,
        "PL04000005"
    );
    let refused = most.fails(&read("CLASS")).await;
    assert_eq!(refused.number, "PL04000005");
    let text = "API operation 'READ_BY_QUERY' cannot be performed on objects of type class";
    assert!(refused.text.starts_with(text), "{}", refused.text);

    // An empty role logs in, and then fails every read.
    let empty = session(&simulator, "empty").await;
    for object in ["VENDOR", "GLDETAIL", "USERINFO"] {
        let refused = empty.fails(&query(object, &["RECORDNO"], "")).await;
        assert_eq!(refused.number, "PL04000005");
    }
    empty.ok("<inspect><object>*</object></inspect>").await;
}

#[tokio::test]
async fn audit_history_is_refused_without_a_number() {
    let simulator = with(Access::default().user(user("clerk").without_audit_history())).await;
    let wire = session(&simulator, "clerk").await;
    let body = wire.text(&query("AUDITHISTORY", &["ID"], "")).await;
    assert!(
        body.contains(
            "<error><description2>You do not have permission to view audit history</description2></error>"
        ),
        "{body}"
    );
    wire.ok(&query("VENDOR", &["NAME"], "")).await;
}

#[tokio::test]
async fn fields_that_are_looked_up_are_refused_by_query() {
    let simulator = with(Access::default().with_refused_fields()).await;
    let wire = Wire::session(&simulator).await;
    let body = wire.text("<lookup><object>PROJECT</object></lookup>").await;
    assert!(body.contains("<ID>CFDA</ID>") && body.contains("<ID>TIMESATISFACTIONSCHEDULED</ID>"));
    let refused = wire
        .fails(&query("PROJECT", &["NAME", "CFDA", "AGENCY"], ""))
        .await;
    assert_eq!(refused.number, "XL03000006");
    assert_eq!(
        refused.text,
        "The following fields cannot be queried: CFDA, AGENCY"
    );
    for rest in [
        filter(&condition("equalto", "PAYER", &["x"])),
        order(&[("PAYER", "ascending")]),
    ] {
        let refused = wire.fails(&query("PROJECT", &["NAME"], &rest)).await;
        assert!(refused.text.ends_with(": PAYER"), "{}", refused.text);
    }
    wire.ok(&query("PROJECT", &["NAME"], "")).await;
    let refused = wire.fails(&query("ARINVOICE", &["DATEDUE"], "")).await;
    assert!(refused.text.ends_with(": DATEDUE"));
}

#[tokio::test]
async fn senders_need_the_company_s_leave() {
    let simulator = with(Access::default().sender(Sender::stranger("stranger", "word"))).await;
    let wire = Wire::to(&simulator);
    let body = wire
        .request(&function("f", "<getAPISession/>"))
        .replace("sim-sender-password", "word")
        .replace("sim-sender", "stranger");
    let answer = wire.raw(&body).await;
    assert!(answer.contains("<control><status>success</status><senderid>stranger"));
    assert!(answer.contains("</authentication><errormessage><error><errorno>XL03000006"));
    assert!(answer.contains("<description>Invalid Web Services Authorization</description>"));
    // Its password has to be right all the same.
    let answer = wire.raw(&body.replace(">word<", ">guess<")).await;
    assert!(
        answer.contains("<control><status>failure</status>"),
        "{answer}"
    );
}

#[tokio::test]
async fn users_stay_in_their_entity() {
    let simulator = with(Access::default().user(user("local").entity("200"))).await;
    let mut wire = Wire::to(&simulator);
    wire.authentication = login_of("local");
    let elsewhere = wire
        .text("<getAPISession><locationid>100</locationid></getAPISession>")
        .await;
    assert!(elsewhere.contains("The user may not enter this location"));
    let body = wire.open_session("<getAPISession/>").await;
    assert!(
        body.contains("<locationid>200</locationid></api>"),
        "{body}"
    );
    let top = wire
        .text("<getAPISession><locationid/></getAPISession>")
        .await;
    assert!(
        top.contains("The user may not enter this location"),
        "{top}"
    );
    let of_entity = wire.ok(&query("GLBATCH", &["MEGAENTITYID"], "")).await;
    assert!(
        of_entity
            .column("MEGAENTITYID")
            .iter()
            .all(|id| id == "200")
    );
    wire.authentication =
        login_of("local").replace("</password>", "</password><locationid>100</locationid>");
    let refused = wire.text("<getAPISession/>").await;
    assert!(
        refused.contains("Sign-in information is incorrect"),
        "{refused}"
    );
}

#[tokio::test]
async fn times_are_written_and_read_in_the_offset_of_the_user() {
    let access = Access::default()
        .user(user("pacific").formatting(Formatting::at_offset("-08:00")))
        .user(user("india").formatting(Formatting::at_offset("+05:30")));
    let simulator = with(access).await;
    let utc = Wire::session(&simulator).await;
    let fields = ["RECORDNO", "WHENMODIFIED", "WHENCREATED"];
    let sorted = order(&[("WHENMODIFIED", "ascending"), ("RECORDNO", "ascending")]);
    let call = query("GLENTRY", &fields, &sorted);
    let plain = utc.ok(&call).await;
    for (login, offset, minutes) in [("pacific", "-08:00", -480), ("india", "+05:30", 330)] {
        let wire = session(&simulator, login).await;
        let formats = format!("<readUserFormatting><userId>{login}</userId></readUserFormatting>");
        let body = wire.text(&formats).await;
        assert_eq!(between(&body, "<gmtoffset>", "</gmtoffset>"), Some(offset));
        let shifted = wire.ok(&call).await;
        assert_eq!(shifted.column("RECORDNO"), plain.column("RECORDNO"));
        for field in ["WHENMODIFIED", "WHENCREATED"] {
            let pairs = plain.column(field).into_iter().zip(shifted.column(field));
            for (utc, local) in pairs.filter(|(utc, _)| !utc.is_empty()) {
                assert_eq!(
                    minutes_of(&local) - minutes_of(&utc),
                    minutes,
                    "{utc} {local}"
                );
            }
        }
        // A filter means what the user sees.
        let some = shifted.column("WHENMODIFIED")[50].clone();
        for operator in ["equalto", "lessthan", "greaterthanorequalto"] {
            let here = filter(&condition(operator, "WHENMODIFIED", &[&some]));
            let there = plain.column("WHENMODIFIED")[50].clone();
            let there = filter(&condition(operator, "WHENMODIFIED", &[&there]));
            let here = wire
                .ok(&query("GLENTRY", &["RECORDNO"], &(here + &sorted)))
                .await;
            let there = utc
                .ok(&query("GLENTRY", &["RECORDNO"], &(there + &sorted)))
                .await;
            assert!(!here.records.is_empty());
            assert_eq!(
                here.column("RECORDNO"),
                there.column("RECORDNO"),
                "{operator}"
            );
        }
        let newest = wire
            .text("<query><object>GLENTRY</object><select><max>WHENMODIFIED</max></select></query>")
            .await;
        let newest = between(&newest, "<MAX.WHENMODIFIED>", "<")
            .unwrap()
            .to_owned();
        let last = utc
            .text("<query><object>GLENTRY</object><select><max>WHENMODIFIED</max></select></query>")
            .await;
        let last = between(&last, "<MAX.WHENMODIFIED>", "<")
            .unwrap()
            .to_owned();
        assert_eq!(minutes_of(&newest) - minutes_of(&last), minutes);
    }
}

/// Minutes since 2000 of `mm/dd/yyyy hh:mm:ss`, with all months 31 days long: close to the end of
/// a month a difference is off, and no record here is.
fn minutes_of(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
    let days = days_since_2000(number(6..10), number(0..2), number(3..5));
    days * 1_440 + number(11..13) * 60 + number(14..16)
}

fn days_since_2000(year: i64, month: i64, day: i64) -> i64 {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (2_000..year).map(|year| 365 + i64::from(leap(year))).sum();
    let lengths = [
        31,
        28 + i64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    years + lengths.iter().take(month as usize - 1).sum::<i64>() + day - 1
}

#[tokio::test]
async fn dialects_are_reported_as_the_user_has_them() {
    let list = "
        [[users]]
        login = 'german'
        password = 'secret-word'
        formatting = { locale = 'de_DE', dateformat = '.dmY', clock = '12' }
    ";
    let simulator = with(Access::parse(list).unwrap()).await;
    let wire = session(&simulator, "german").await;
    let body = wire
        .text("<readUserFormatting><userId>german</userId></readUserFormatting>")
        .await;
    for text in [
        "<locale>de_DE<",
        "<dateformat>.dmY<",
        "<gmtoffset>+00:00<",
        "<clock>12<",
    ] {
        assert!(body.contains(text), "{body}");
    }
}

#[tokio::test]
async fn the_list_is_set_over_http() {
    let simulator = with(Access::default().user(user("gone"))).await;
    let gone = session(&simulator, "gone").await;
    gone.ok(&query("CLASS", &["NAME"], "")).await;
    let url = simulator
        .url()
        .replace("/ia/xml/xmlgw.phtml", "/sim/access");
    let client = reqwest::Client::new();
    let list = "[[users]]\nlogin = 'new'\npassword = 'secret-word'\ndeny = ['CLASS']";
    let shown = client.post(&url).body(list).send().await.unwrap();
    let shown = shown.text().await.unwrap();
    assert!(
        shown.contains("\"login\":\"new\"") && !shown.contains("secret-word"),
        "{shown}"
    );
    let over = gone.text(&query("CLASS", &["NAME"], "")).await;
    assert!(over.contains("Invalid session"), "{over}");
    let new = session(&simulator, "new").await;
    assert_eq!(
        new.fails(&query("CLASS", &["NAME"], "")).await.number,
        "PL04000005"
    );
    for (bad, expected) in [
        (
            "[[users]]\nlogin = 'x'",
            "access list.users[0]: missing field `password`",
        ),
        ("unsubscribed = 1", "access list.unsubscribed: invalid type"),
        (
            "[[users]]\nlogin = 'x'\npassword = 'y'\nformatting = { gmtoffset = 'PST' }",
            "gmtoffset \\\"PST\\\" is no offset",
        ),
    ] {
        let refused = client.post(&url).body(bad).send().await.unwrap();
        assert_eq!(refused.status(), 400);
        let text = refused.text().await.unwrap();
        assert!(text.contains(expected), "{bad}: {text}");
    }
}

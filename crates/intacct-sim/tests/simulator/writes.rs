//! Writing functions, transactions, `uniqueid`, and requests that are only acknowledged.

use intacct_sim::{Access, Scale, Simulator, User};

use crate::truth::{of, start, text};
use crate::wire::{Answer, LOGIN, Wire, between, function, query, value};

const UNIQUE: &str = "<uniqueid>true</uniqueid>";

fn vendor(fields: &str) -> String {
    format!("<create><VENDOR><NAME>Made & more</NAME>{fields}</VENDOR></create>")
        .replace('&', "&amp;")
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let made = wire
        .ok(&vendor(
            "<DISPLAYCONTACT><PHONE1>555</PHONE1></DISPLAYCONTACT>",
        ))
        .await;
    assert_eq!(made.data["listtype"], "objects");
    let number = value(&made.records[0], "RECORDNO").unwrap().to_owned();
    let id = value(&made.records[0], "VENDORID").unwrap().to_owned();
    let find = |all: Vec<crate::truth::Fields>| {
        all.into_iter()
            .find(|vendor| text(vendor, "RECORDNO") == number)
    };
    let found = find(of(simulator.company(), "VENDOR")).expect("the new vendor");
    assert_eq!(text(&found, "VENDORID"), id);
    assert_eq!(text(&found, "NAME"), "Made & more");
    assert_eq!(text(&found, "DISPLAYCONTACT.PHONE1"), "555");
    let update = format!(
        "<update><VENDOR><VENDORID>{id}</VENDORID><STATUS>inactive</STATUS></VENDOR></update>"
    );
    wire.ok(&update).await;
    let found = find(of(simulator.company(), "VENDOR")).expect("the changed vendor");
    assert_eq!(text(&found, "STATUS"), "inactive");
    wire.ok(&format!(
        "<delete><object>VENDOR</object><keys>{number}</keys></delete>"
    ))
    .await;
    assert!(find(of(simulator.company(), "VENDOR")).is_none());
    // A bill comes with lines and a ledger entry of its own.
    let bills = of(simulator.company(), "APBILL").len();
    wire.ok("<create><APBILL><WHENCREATED>01/30/2026</WHENCREATED></APBILL></create>")
        .await;
    assert_eq!(of(simulator.company(), "APBILL").len(), bills + 1);
    let refused = "<create><APBILL><VENDORID>V00001</VENDORID></APBILL></create>";
    assert_eq!(wire.fails(refused).await.number, "BL01001973");
}

#[tokio::test]
async fn duplicates_and_unreadable_values_are_refused_with_a_wrapper_behind() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let numbers = |answer: Answer| -> Vec<String> {
        answer
            .errors
            .into_iter()
            .map(|error| error.number)
            .collect()
    };
    let taken = wire.call(&vendor("<VENDORID>V00001</VENDORID>")).await;
    assert_eq!(numbers(taken), ["BL34000061", "BL01001973"]);
    let taken = "<create><CUSTOMER><CUSTOMERID>C00001</CUSTOMERID></CUSTOMER></create>";
    assert_eq!(
        numbers(wire.call(taken).await),
        ["PL05000104", "BL01001973"]
    );
    let unreadable = wire.call(&vendor("<CREDITLIMIT>much</CREDITLIMIT>")).await;
    assert_eq!(numbers(unreadable), ["BL03000018", "BL01001973"]);
    let missing = "<delete><object>VENDOR</object><keys>999999</keys></delete>";
    assert_eq!(wire.fails(missing).await.number, "BL01001973");
    wire.breaks_schema("<create/>").await;
}

#[tokio::test]
async fn what_a_user_may_not_write_keeps_the_whole_call_from_it() {
    let simulator = start(1, Scale::Tiny).await;
    let company = simulator.company();
    let clerk = User::new("clerk", "clerk-password").only(["VENDOR"]);
    company.set_access(Access::default().user(clerk)).unwrap();
    let mut wire = Wire::to(&simulator);
    wire.authentication = LOGIN.replace("sim-user", "clerk");
    wire.ok("<create><VENDOR><NAME>one</NAME></VENDOR></create>")
        .await;
    let vendors = of(company, "VENDOR").len();
    let both =
        "<create><VENDOR><NAME>two</NAME></VENDOR><CUSTOMER><NAME>three</NAME></CUSTOMER></create>";
    assert_eq!(wire.fails(both).await.number, "PL04000005");
    assert_eq!(of(company, "VENDOR").len(), vendors);
}

#[tokio::test]
async fn what_was_made_before_a_failure_stays_and_is_named() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let before = of(simulator.company(), "VENDOR").len();
    let call = "<create><VENDOR><NAME>one</NAME></VENDOR>\
        <VENDOR><VENDORID>V00001</VENDORID></VENDOR><VENDOR><NAME>three</NAME></VENDOR></create>";
    let answer = wire.call(call).await;
    assert_eq!(answer.status, "failure");
    assert_eq!(answer.errors[0].number, "BL34000061");
    assert_eq!(answer.number("count"), 1);
    let number = value(&answer.records[0], "RECORDNO").unwrap().to_owned();
    let vendors = of(simulator.company(), "VENDOR");
    assert_eq!(vendors.len(), before + 1);
    assert!(
        vendors
            .iter()
            .any(|vendor| text(vendor, "RECORDNO") == number)
    );
}

#[tokio::test]
async fn a_transaction_that_fails_changes_nothing() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let before = simulator.company().records("VENDOR").unwrap();
    let functions = function("a", &vendor(""))
        + &function("b", &vendor("<VENDORID>V00001</VENDORID>"))
        + &function("c", &query("VENDOR", &["RECORDNO"], ""));
    let body = wire
        .raw(&wire.request_with(UNIQUE, "true", &functions))
        .await;
    let answers = Answer::all(&body);
    let statuses: Vec<_> = answers.iter().map(|answer| &*answer.status).collect();
    assert_eq!(statuses, ["aborted", "failure", "aborted"]);
    let numbers: Vec<_> = answers[1]
        .errors
        .iter()
        .map(|error| &*error.number)
        .collect();
    assert_eq!(numbers, ["BL34000061", "BL01001973", "XL03000009"]);
    assert_eq!(simulator.company().records("VENDOR").unwrap(), before);
    // What was rolled back was not completed: its control id is free.
    let again = wire
        .raw(&wire.request_with(UNIQUE, "true", &function("a", &vendor(""))))
        .await;
    assert_eq!(Answer::read(&again).status, "success");
    assert_eq!(of(simulator.company(), "VENDOR").len(), before.len() + 1);
}

#[tokio::test]
async fn a_write_that_is_sent_twice_happens_once() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let before = of(simulator.company(), "VENDOR").len();
    let request = wire.request_with(UNIQUE, "false", &function("write-1", &vendor("")));
    assert_eq!(Answer::read(&wire.raw(&request).await).status, "success");
    let again = Answer::read(&wire.raw(&request).await);
    assert_eq!(again.errors[0].number, "XL03000011");
    assert_eq!(of(simulator.company(), "VENDOR").len(), before + 1);
    // Sent at once by two callers it happens once too.
    let request = wire.request_with(UNIQUE, "false", &function("write-2", &vendor("")));
    let (one, other) = tokio::join!(wire.raw(&request), wire.raw(&request));
    let mut statuses = [Answer::read(&one).status, Answer::read(&other).status];
    statuses.sort();
    assert_eq!(statuses, ["failure", "success"]);
    assert_eq!(of(simulator.company(), "VENDOR").len(), before + 2);
    // Without the switch it happens as often as it is sent.
    let request = wire.request(&function("write-3", &vendor("")));
    wire.raw(&request).await;
    wire.raw(&request).await;
    assert_eq!(of(simulator.company(), "VENDOR").len(), before + 4);
}

#[tokio::test]
async fn the_hook_of_a_transaction_may_change_the_company() {
    let simulator = Simulator::builder()
        .scale(Scale::Tiny)
        .before_call(|number, company| {
            if number == 2 {
                let _ = company.edit(&intacct_sim::Edit::create("CUSTOMER"));
            }
        })
        .start()
        .await
        .unwrap();
    let wire = Wire::to(&simulator);
    let customers = of(simulator.company(), "CUSTOMER").len();
    let functions = function("a", &vendor(""))
        + &function(
            "b",
            "<delete><object>VENDOR</object><keys>1</keys></delete>",
        );
    wire.raw(&wire.request_with(UNIQUE, "true", &functions))
        .await;
    // What the hook did is no part of the transaction.
    assert_eq!(of(simulator.company(), "CUSTOMER").len(), customers + 1);
}

#[tokio::test]
async fn an_asynchronous_request_is_acknowledged_and_carried_out() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let before = of(simulator.company(), "VENDOR").len();
    let with_policy = |policy: &str| {
        let request = wire.request(&function("f", &vendor("")));
        let policy = format!("</dtdversion><policyid>{policy}</policyid>");
        request.replace("</dtdversion>", &policy)
    };
    let body = wire.raw(&with_policy("sim-policy")).await;
    assert_eq!(
        between(&body, "<acknowledgement>", "</acknowledgement>"),
        Some("<status>success</status>")
    );
    assert!(body.contains("<control><status>success</status>") && !body.contains("<operation>"));
    assert_eq!(of(simulator.company(), "VENDOR").len(), before + 1);
    let body = wire.raw(&with_policy("other")).await;
    assert!(body.contains("XL03000006") && !body.contains("acknowledgement"));
    assert_eq!(of(simulator.company(), "VENDOR").len(), before + 1);
}

#[tokio::test]
async fn additional_information_names_the_field_for_programs() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let request = wire.request(&function("f", &query("VENDOR", &["NOSUCHFIELD"], "")));
    let plain = wire.raw(&request).await;
    assert!(!plain.contains("additionalinfo"));
    let asked = request.replace(
        "</includewhitespace>",
        "</includewhitespace><showadditionalerrorinfo>true</showadditionalerrorinfo>",
    );
    let body = wire.raw(&asked).await;
    let info = between(&body, "<additionalinfo>", "</additionalinfo>").expect("it");
    for part in [
        "<errorid>SIM-DL02000001</errorid><category>GENERAL</category>",
        "object=\"VENDOR\" field=\"NOSUCHFIELD\"",
        "<cdescription><messageid>",
        "<placeholders><placeholder name=\"OBJECT\" value=\"VENDOR\"/>",
    ] {
        assert!(info.contains(part), "{part}: {info}");
    }
}

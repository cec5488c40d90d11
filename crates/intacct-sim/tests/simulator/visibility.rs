//! Records that show late, in another order, or with other times than a reader expects.

use intacct_sim::{
    Company, DataType, Edit, Fault, FaultScript, ObjectSpec, Rule, RunningSimulator, Scale,
    Simulator, Stamp,
};

use crate::wire::{Wire, condition, filter, order, query, value};

async fn under(script: FaultScript) -> RunningSimulator {
    let builder = Simulator::builder().seed(1).scale(Scale::Tiny);
    builder.faults(script).start().await.expect("a simulator")
}

/// Records of an object that were modified from an instant on.
fn since(object: &str, instant: &str) -> String {
    let changed = condition("greaterthanorequalto", "WHENMODIFIED", &[instant]);
    query(object, &["RECORDNO", "STATUS"], &filter(&changed))
}

#[tokio::test]
async fn changes_show_late() {
    let rule = Rule::new(Fault::Late(7_200)).when(|when| when.object.push("VENDOR".to_owned()));
    let simulator = under(FaultScript::new(1).rule(rule)).await;
    let company = simulator.company();
    let wire = Wire::to(&simulator);
    let all = query(
        "VENDOR",
        &["RECORDNO"],
        "<options><showprivate>true</showprivate></options>",
    );
    let before = wire.ok(&all).await.number("totalcount");
    company
        .edit(&Edit::update("VENDOR", 21).set("STATUS", "inactive"))
        .unwrap();
    company
        .edit(&Edit::create("VENDOR").set("NAME", "new"))
        .unwrap();
    let changed = since("VENDOR", "01/31/2026 18:00:00");
    assert_eq!(wire.ok(&changed).await.number("totalcount"), 0);
    // What was there before stays to be seen, with what it has become.
    assert_eq!(wire.ok(&all).await.number("totalcount"), before);
    let one = filter(&condition("equalto", "RECORDNO", &["21"]));
    let one = wire.ok(&query("VENDOR", &["STATUS"], &one)).await;
    assert_eq!(one.column("STATUS"), ["inactive"]);
    company.advance_clock(7_100);
    assert_eq!(wire.ok(&changed).await.number("totalcount"), 0);
    company.advance_clock(200);
    assert_eq!(wire.ok(&changed).await.number("totalcount"), 2);
    assert_eq!(wire.ok(&all).await.number("totalcount"), before + 1);
}

#[tokio::test]
async fn deletes_show_late() {
    let rule =
        Rule::new(Fault::Late(9_000)).when(|when| when.object.push("AUDITHISTORY".to_owned()));
    let simulator = under(FaultScript::new(1).rule(rule)).await;
    let company = simulator.company();
    let wire = Wire::to(&simulator);
    company.apply_round(1).unwrap();
    // A round leaves the clock two hours behind its last change.
    let deletes = query(
        "AUDITHISTORY",
        &["OBJECTTYPE", "OBJECTKEY"],
        &filter(&condition("equalto", "ACCESSMODE", &["D"])),
    );
    assert_eq!(wire.ok(&deletes).await.number("totalcount"), 0);
    company.advance_clock(3_600);
    assert!(wire.ok(&deletes).await.number("totalcount") > 0);
}

#[tokio::test]
async fn a_record_number_that_is_a_text_may_order_as_one() {
    let mut spec = ObjectSpec::new("WIDGET")
        .field("RECORDNO", DataType::Text)
        .field("WHENMODIFIED", DataType::Timestamp);
    for key in 1..=12 {
        spec = spec.record([
            ("RECORDNO", key.to_string()),
            ("WHENMODIFIED", "01/01/2026 00:00:00".to_owned()),
        ]);
    }
    let script =
        FaultScript::parse("[[rules]]\nwhen = { object = 'WIDGET' }\nfault = 'textual_keys'");
    let simulator = Simulator::builder()
        .company(Company::from_objects([spec]).unwrap())
        .faults(script.unwrap())
        .start()
        .await
        .unwrap();
    let wire = Wire::to(&simulator);
    let sorted = order(&[("RECORDNO", "ascending")]);
    let all = wire.ok(&query("WIDGET", &["RECORDNO"], &sorted)).await;
    let textual = [
        "1", "10", "11", "12", "2", "3", "4", "5", "6", "7", "8", "9",
    ];
    assert_eq!(all.column("RECORDNO"), textual);
    let behind = filter(&condition("greaterthan", "RECORDNO", &["5"]));
    let behind = wire
        .ok(&query("WIDGET", &["RECORDNO"], &(behind + &sorted)))
        .await;
    assert_eq!(behind.column("RECORDNO"), ["6", "7", "8", "9"]);
    simulator.company().clear_faults();
    let all = wire.ok(&query("WIDGET", &["RECORDNO"], &sorted)).await;
    assert_eq!(all.column("RECORDNO")[1], "2");
}

#[tokio::test]
async fn imports_fill_a_second_and_records_lose_their_time() {
    let simulator = under(FaultScript::default()).await;
    let company = simulator.company();
    let wire = Wire::to(&simulator);
    let second = "01/31/2026 12:00:00";
    let stamped = company.stamp(&Stamp::at("GLDETAIL", second)).unwrap();
    assert_eq!(stamped as usize, company.records("GLDETAIL").unwrap().len());
    let tied = filter(&condition("equalto", "WHENMODIFIED", &[second]));
    let tied = wire.ok(&query("GLDETAIL", &["RECORDNO"], &tied)).await;
    assert_eq!(tied.number("totalcount") as u64, stamped);

    let url = simulator.url().replace("/ia/xml/xmlgw.phtml", "/sim/stamp");
    let last = company.records("APBILL").unwrap()[9][0].1.clone().unwrap();
    let body = format!("{{\"object\": \"APBILL\", \"to\": {last}}}");
    let client = reqwest::Client::new();
    let answer = client.post(&url).body(body).send().await.unwrap();
    let answer = answer.text().await.unwrap();
    assert_eq!(answer, "{\"stamped\":10}");
    let never = query(
        "APBILL",
        &["RECORDNO", "WHENMODIFIED", "AUWHENCREATED"],
        &filter(&condition("isnull", "WHENMODIFIED", &[])),
    );
    let never = wire.ok(&never).await;
    assert!(never.records.len() >= 10);
    for row in &never.records {
        assert_eq!(value(row, "WHENMODIFIED"), None);
        assert!(value(row, "AUWHENCREATED").is_some());
    }
    for bad in [
        "{\"object\": \"NOSUCH\"}",
        "{\"object\": \"APBILL\", \"at\": \"noon\"}",
    ] {
        let refused = client.post(&url).body(bad).send().await.unwrap();
        assert!(refused.status().is_client_error());
    }
    assert!(
        company
            .stamp(&Stamp::never_modified("AUDITHISTORY"))
            .is_err()
    );
}

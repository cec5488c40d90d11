//! Reports, views, relations, and what the gateway says about users, entities and itself.

use intacct_sim::{Access, Edit, Scale, Simulator, User};

use crate::truth::{of, start, text};
use crate::wire::{Answer, Wire, between, condition, filter, order, query, value};

fn report(attributes: &str, name: &str, rest: &str) -> String {
    format!("<readReport{attributes}><report>{name}</report>{rest}</readReport>")
}

fn poll(id: &str) -> String {
    format!("<readMore><reportId>{id}</reportId></readMore>")
}

fn report_id(answer: &Answer) -> String {
    let results = &answer.records[0];
    assert_eq!(value(results, "STATUS"), Some("PENDING"));
    value(results, "REPORTID").expect("an id").to_owned()
}

#[tokio::test]
async fn a_report_is_pending_then_read_page_by_page_and_then_gone() {
    let simulator = Simulator::builder()
        .scale(Scale::Tiny)
        .report_polls(2)
        .start()
        .await
        .unwrap();
    let wire = Wire::session(&simulator).await;
    let started = report(
        " type=\"interactive\"",
        "Ledger lines",
        "<arguments><BOOKID>ACCRUAL</BOOKID></arguments><pagesize>400</pagesize>",
    );
    let id = report_id(&wire.ok(&started).await);
    // The report shows the company as it was when it was asked for.
    let lines = of(simulator.company(), "GLDETAIL");
    simulator.company().apply_round(1).unwrap();
    let wire = Wire::session(&simulator).await;
    for _ in 0..2 {
        assert_eq!(report_id(&wire.ok(&poll(&id)).await), id);
    }
    let wanted = lines
        .iter()
        .filter(|line| text(line, "BOOKID") == "ACCRUAL");
    let wanted = wanted.count();
    let mut seen = 0;
    loop {
        let answer = wire.ok(&poll(&id)).await;
        assert_eq!(answer.data["listtype"], "report");
        assert_eq!(answer.number("totalcount"), wanted);
        seen += answer.number("count");
        assert_eq!(answer.records.len(), answer.number("count"));
        assert_eq!(answer.number("numremaining"), wanted - seen);
        if seen == wanted {
            break;
        }
    }
    // Read to its end, the report is deleted.
    wire.fails(&poll(&id)).await;
}

#[tokio::test]
async fn a_report_outlives_its_session_and_waits_less_for_who_waits() {
    let simulator = Simulator::builder()
        .scale(Scale::Tiny)
        .report_polls(3)
        .start()
        .await
        .unwrap();
    let wire = Wire::session(&simulator).await;
    let call = report("", "Vendor list", "<waitTime>3</waitTime>");
    let id = report_id(&wire.ok(&call).await);
    simulator.company().expire_sessions();
    let other = Wire::session(&simulator).await;
    assert!(other.ok(&poll(&id)).await.number("count") > 0);
}

#[tokio::test]
async fn a_report_says_what_it_is() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let call = report(
        " type=\"STANDARD\" returnDef=\"true\"",
        "Account balances",
        "",
    );
    let body = wire.text(&call).await;
    for part in [
        "<report_definition><REPORTNAME>Account balances</REPORTNAME>",
        "<REPORTTYPE>summary</REPORTTYPE>",
        "<OBJECT>GLACCOUNTBALANCE</OBJECT>",
        "<NAME>PERIOD</NAME><label>PERIOD</label><promptOnRun>true</promptOnRun>",
        "<COLUMNS><COLUMN>ACCOUNTNO</COLUMN>",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    // Another type is another report, and a parameter that must be given must be given.
    wire.fails(&report("", "Account balances", "")).await;
    wire.fails(&report(" type=\"STANDARD\"", "Account balances", ""))
        .await;
    wire.fails(&report("", "No such report", "")).await;
    wire.breaks_schema(&report(" type=\"other\"", "Vendor list", ""))
        .await;
    wire.breaks_schema(&report("", "Vendor list", "<waitTime>31</waitTime>"))
        .await;
}

#[tokio::test]
async fn a_view_is_read_page_by_page() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let call = "<readView><view>Open bills</view><pagesize>5</pagesize></readView>";
    let mut answer = wire.ok(call).await;
    let bills = of(simulator.company(), "APBILL");
    let open = bills.iter().filter(|bill| text(bill, "TOTALDUE") != "0");
    let open = open.count();
    let mut seen = answer.records.len();
    assert_eq!(answer.data["listtype"], "view");
    assert!(value(&answer.records[0], "VENDORID").is_some());
    while answer.number("numremaining") > 0 {
        // By the name of the view or by the id of the result: both go on with it.
        answer = wire
            .ok("<readMore><view>Open bills</view></readMore>")
            .await;
        seen += answer.records.len();
    }
    assert_eq!(seen, open);
    wire.fails("<readView><view>No such view</view></readView>")
        .await;
}

#[tokio::test]
async fn the_latest_result_of_an_object_is_read_on_by_its_name() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let call = "<readByQuery><object>APBILL</object><query/><pagesize>50</pagesize></readByQuery>";
    let first = wire.ok(call).await.column("RECORDNO");
    let more = "<readMore><object>APBILL</object></readMore>";
    let next = wire.ok(more).await.column("RECORDNO");
    assert!(!next.is_empty() && next.iter().all(|number| !first.contains(number)));
    wire.fails("<readMore><object>VENDOR</object></readMore>")
        .await;
}

#[tokio::test]
async fn related_records_are_read_once_each() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let bills = of(simulator.company(), "APBILL");
    let vendor = text(&bills[0], "VENDORID");
    let keys: Vec<_> = bills
        .iter()
        .filter(|bill| text(bill, "VENDORID") == vendor)
        .map(|bill| text(bill, "RECORDNO"))
        .collect();
    assert!(keys.len() > 1);
    let call = |relation: &str| {
        format!(
            "<readRelated><object>APBILL</object><keys>{}</keys><relation>{relation}</relation>\
             <fields>VENDORID</fields></readRelated>",
            keys.join(",")
        )
    };
    let answer = wire.ok(&call("VENDOR")).await;
    assert_eq!(answer.data["listtype"], "VENDOR");
    assert_eq!(answer.column("VENDORID"), [vendor]);
    wire.fails(&call("NOSUCHRELATION")).await;
}

#[tokio::test]
async fn entities_and_permissions_are_those_of_the_caller() {
    let simulator = start(1, Scale::Tiny).await;
    let mut wire = Wire::session(&simulator).await;
    let entities = of(simulator.company(), "LOCATIONENTITY");
    let answer = wire.ok("<readEntityDetails/>").await;
    assert_eq!(answer.records.len(), entities.len());
    let first = &entities[0];
    assert_eq!(
        value(&answer.records[0], "id"),
        Some(text(first, "LOCATIONID"))
    );
    assert_eq!(
        value(&answer.records[0], "recordno"),
        Some(text(first, "RECORDNO"))
    );
    assert_eq!(value(&answer.records[0], "currency"), Some("USD"));
    let session = format!(
        "<getAPISession><locationid>{}</locationid></getAPISession>",
        text(first, "LOCATIONID")
    );
    wire.open_session(&session).await;
    assert_eq!(wire.ok("<readEntityDetails/>").await.records.len(), 1);

    let body = wire
        .text("<getUserPermissions><userId>sim-user</userId></getUserPermissions>")
        .await;
    assert!(
        body.contains("<permissions><appSubscription><applicationName>Company</applicationName>")
    );
    wire.fails("<getUserPermissions><userId>nobody</userId></getUserPermissions>")
        .await;
    let vendors = |body: &str| {
        between(body, "<policyName>Vendors</policyName>", "</policy>").map(str::to_owned)
    };
    assert!(vendors(&body).unwrap().contains("View"));
    let mut access = Access::default();
    access
        .users
        .push(User::new("clerk", "clerk-password").only(["APBILL"]));
    simulator.company().set_access(access).unwrap();
    let body = wire
        .text("<getUserPermissions><userId>clerk</userId></getUserPermissions>")
        .await;
    assert_eq!(vendors(&body).as_deref(), Some("<rights></rights>"));
}

#[tokio::test]
async fn the_audit_trail_of_a_record_goes_on_past_its_end() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let company = simulator.company();
    let bills = of(company, "APBILL");
    let bill = bills
        .iter()
        .find(|bill| text(bill, "TOTALPAID") == "0")
        .expect("an unpaid bill");
    let key = text(bill, "RECORDNO");
    let trail =
        format!("<getAuditTrail><object>APBILL</object><recordNo>{key}</recordNo></getAuditTrail>");
    let body = wire.text(&trail).await;
    assert!(body.contains("<accessMode>C</accessMode>"), "{body}");
    assert!(body.contains(&format!("<objectKey>{key}</objectKey><accessTime>20")));
    company.edit(&Edit::delete("APBILL", key)).unwrap();
    let body = wire.text(&trail).await;
    assert!(body.contains("<accessTime>2026-01-31T18:00:"), "{body}");
    assert!(body.contains("<accessMode>D</accessMode>"));
    wire.breaks_schema("<getAuditTrail><object>APBILL</object></getAuditTrail>")
        .await;
}

#[tokio::test]
async fn the_legacy_list_has_names_and_dates_of_its_own() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let bills = of(simulator.company(), "APBILL");
    let call = "<get_list object=\"bill\" start=\"2\" maxitems=\"3\"><filter><expression>\
        <field>totalamount</field><operator>&gt;</operator><value>0</value></expression></filter>\
        <sorts><sortfield order=\"desc\">key</sortfield></sorts>\
        <fields><field>key</field><field>datecreated</field></fields></get_list>";
    let body = wire.text(call).await;
    let list = format!(
        "<listtype start=\"2\" end=\"4\" total=\"{}\">bill</listtype><data><bill>",
        bills.len()
    );
    assert!(body.contains(&list), "{body}");
    let bill = &bills[bills.len() - 3];
    let mut date = text(bill, "WHENCREATED").splitn(3, '/');
    let (month, day) = (date.next().unwrap(), date.next().unwrap());
    let wanted = format!(
        "<bill><key>{}</key><datecreated><year>{}</year><month>{month}</month><day>{day}</day>\
         </datecreated></bill>",
        text(bill, "RECORDNO"),
        date.next().unwrap()
    );
    assert!(body.contains(&wanted), "{body}");
    wire.breaks_schema("<get_list object=\"nothing\"/>").await;
    wire.breaks_schema("<get_list object=\"vendor\"><fields/><filter/></get_list>")
        .await;
}

#[tokio::test]
async fn usage_is_counted_and_can_be_queried() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    for _ in 0..3 {
        wire.ok(&query("CLASS", &["RECORDNO"], "")).await;
    }
    let classes = filter(&condition("equalto", "OBJECT", &["CLASS"]));
    let fields = ["USAGEDATE", "FUNCTION", "CALLS", "TRANSACTIONS"];
    let answer = wire.ok(&query("APIUSAGEDETAIL", &fields, &classes)).await;
    let row = &answer.records[0];
    assert_eq!(value(row, "USAGEDATE"), Some("01/31/2026"));
    assert_eq!(value(row, "FUNCTION"), Some("query"));
    assert_eq!(value(row, "CALLS"), Some("3"));
    simulator.company().advance_clock(86_400);
    let days = order(&[("USAGEDATE", "ascending")]);
    // The login, three queries and the first look at the usage; then, on the next day, none yet.
    let mut fresh = Wire::session(&simulator).await;
    let answer = fresh
        .ok(&query("APIUSAGESUMMARY", &["USAGEDATE", "CALLS"], &days))
        .await;
    assert_eq!(answer.column("USAGEDATE"), ["01/31/2026", "02/01/2026"]);
    assert_eq!(answer.column("CALLS"), ["5", "2"]);
    let body = fresh.open_session("<getAPISession/>").await;
    assert!(between(&body, "<sessionid>", "</sessionid>").is_some());
    let lookup = fresh
        .text("<lookup><object>APIUSAGESUMMARY</object></lookup>")
        .await;
    assert!(lookup.contains("<ID>TRANSACTIONS</ID>"));
    // It is no object of the company itself.
    assert!(!simulator.company().objects().contains_key("APIUSAGEDETAIL"));
}

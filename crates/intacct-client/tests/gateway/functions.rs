//! Functions beside the page streams: what they ask, and what is made of the answers.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use intacct_client::{Client, ErrorKind, Reason, ReportPolling};
use intacct_xml::request::{
    Aggregate, AuditKey, BalancePeriod, BalanceSelection, Call, Function, GetTrialBalance, Lookup,
    Order, Query, RawElement, RawFunction, Read, ReadRelated, ReadReport, ReadUserFormatting,
    ReadView, ReportKind, Selection, Transaction,
};
use intacct_xml::{ControlId, FieldName, ObjectName};
use serde::Deserialize;
use sync_http::ManualClock;
use time::macros::{datetime, offset};

use crate::script::{
    Asked, Reply, Script, client, clock, envelope, error_message, invalid_session, result,
};

const TIMEOUT: &str = "2026-01-31T20:00:00+00:00";

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
struct Row {
    recordno: u64,
}

fn object() -> ObjectName {
    ObjectName::new("VENDOR").unwrap()
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

/// The answer of the only function with this in its data.
fn data(asked: &Asked, attributes: &str, inner: &str) -> Reply {
    Reply::Xml(result(
        asked,
        "success",
        &format!("<data {attributes}>{inner}</data>"),
    ))
}

fn rows(element: &str, numbers: std::ops::Range<u64>) -> String {
    numbers
        .map(|n| format!("<{element}><RECORDNO>{n}</RECORDNO></{element}>"))
        .collect()
}

fn status(asked: &Asked, word: &str) -> Reply {
    let inner =
        format!("<report_results><REPORTID>R-7</REPORTID><STATUS>{word}</STATUS></report_results>");
    data(asked, "", &inner)
}

/// A page of a report of ten records.
fn report_page(asked: &Asked, numbers: std::ops::Range<u64>) -> Reply {
    let attributes = format!(
        "listtype=\"report\" count=\"{}\" totalcount=\"10\" numremaining=\"{}\"",
        numbers.end - numbers.start,
        10 - numbers.end
    );
    data(asked, &attributes, &rows("report", numbers))
}

fn report() -> ReadReport {
    ReadReport::new("Open items", ReportKind::Interactive).unwrap()
}

/// The records of a report that answers like this, or how it failed.
async fn run_report(
    polling: ReportPolling,
    answer: impl FnMut(&Asked) -> Reply + Send + 'static,
) -> (intacct_client::Result<Vec<u64>>, Script, ManualClock) {
    let script = Script::start(answer).await;
    let clock = clock();
    let pages = client(&script, &clock).read_report_as::<Row>(report(), polling);
    let pages: intacct_client::Result<Vec<_>> = pages.try_collect().await;
    let numbers = pages.map(|pages| {
        pages
            .into_iter()
            .flat_map(|page| page.records)
            .map(|row| row.recordno)
            .collect()
    });
    (numbers, script, clock)
}

#[tokio::test]
async fn a_report_is_waited_for_and_read_to_its_last_page() {
    let (numbers, script, clock) =
        run_report(ReportPolling::default(), |asked| match asked.number {
            0..=2 => status(asked, "PENDING"),
            3 => report_page(asked, 0..6),
            _ => report_page(asked, 6..10),
        })
        .await;
    assert_eq!(numbers.unwrap(), (0..10).collect::<Vec<_>>());
    assert_eq!(clock.sleeps(), [5, 10, 20].map(Duration::from_secs));
    let asked = script.asked();
    assert!(asked[1].body.contains(
        "<readReport type=\"interactive\" returnDef=\"false\"><report>Open items</report>"
    ));
    assert_eq!(
        asked.len(),
        6,
        "a login, the start, two answers without records and two pages"
    );
    for later in &asked[2..] {
        assert!(
            later
                .body
                .contains("<readMore><reportId>R-7</reportId></readMore>")
        );
    }
}

#[tokio::test]
async fn a_report_that_is_ready_at_once_needs_no_second_call() {
    let (numbers, script, clock) =
        run_report(ReportPolling::default(), |asked| report_page(asked, 0..10)).await;
    assert_eq!((numbers.unwrap().len(), script.calls()), (10, 1));
    assert!(clock.sleeps().is_empty());
}

#[tokio::test]
async fn a_report_is_not_waited_for_for_ever() {
    let polling = ReportPolling::default().with_deadline(Duration::from_secs(100));
    let (numbers, script, _) = run_report(polling, |asked| status(asked, "PENDING")).await;
    let error = numbers.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Timeout, Reason::ReportPending)
    );
    assert!(error.to_string().contains("Open items"), "{error}");
    assert!(error.to_string().contains("run it again"), "{error}");
    // After 5, 15, 35 and 75 seconds; the next would be at 135.
    assert_eq!(script.calls(), 5);
}

#[tokio::test]
async fn a_last_page_that_was_lost_means_running_the_report_again() {
    let gone = error_message("x", "Report not found", "");
    let (numbers, script, _) =
        run_report(ReportPolling::default(), move |asked| match asked.number {
            0 => status(asked, "PENDING"),
            1 => report_page(asked, 0..6),
            // The gateway deletes it with the answer that does not arrive.
            2 => Reply::Cut("<response>".to_owned()),
            _ => Reply::Xml(result(asked, "failure", &gone)),
        })
        .await;
    let error = numbers.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Conflict, Reason::CursorLost)
    );
    assert!(error.to_string().contains("run it again"), "{error}");
    assert_eq!(script.calls(), 4);
}

#[tokio::test]
async fn a_page_of_a_report_that_a_repeated_request_skipped_is_noticed() {
    let (numbers, ..) = run_report(ReportPolling::default(), |asked| match asked.number {
        0 => status(asked, "PENDING"),
        1 => report_page(asked, 0..3),
        2 => Reply::Http(503, "", String::new()),
        _ => report_page(asked, 6..10),
    })
    .await;
    assert_eq!(numbers.unwrap_err().reason(), Reason::TotalChanged);
}

#[tokio::test]
async fn a_report_that_failed_says_so() {
    let (numbers, ..) = run_report(ReportPolling::default(), |asked| match asked.number {
        0 => status(asked, "PENDING"),
        _ => status(asked, "FAILED"),
    })
    .await;
    let error = numbers.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("FAILED"), "{error}");
}

#[tokio::test]
async fn a_report_says_what_it_consists_of() {
    let script = Script::start(|asked| {
        data(
            asked,
            "",
            "<report_definition><REPORTNAME>Mine</REPORTNAME><REPORTTYPE>tabular</REPORTTYPE><ROOT>APBILL</ROOT>\
             <PARAMETERS><PARAMETER><NAME>PERIOD</NAME><label>Period</label><promptOnRun>true</promptOnRun>\
             </PARAMETER></PARAMETERS><COLUMNS><COLUMN><NAME>VENDORID</NAME></COLUMN><COLUMN>TOTALDUE</COLUMN>\
             </COLUMNS></report_definition>",
        )
    })
    .await;
    let client = client(&script, &clock());
    let asked = ReadReport::definition("Mine", ReportKind::Custom).unwrap();
    let definition = client.report_definition(asked.clone()).await.unwrap();
    assert_eq!(
        (definition.name.as_str(), definition.object.as_deref()),
        ("Mine", Some("APBILL"))
    );
    assert_eq!(definition.parameters[0].name, "PERIOD");
    assert_eq!(definition.columns, ["VENDORID", "TOTALDUE"]);
    // The one cannot be taken for the other.
    assert_eq!(
        client.report_definition(report()).await.unwrap_err().kind(),
        ErrorKind::Config
    );
    let mut pages = client.read_report_as::<Row>(asked, ReportPolling::default());
    assert_eq!(
        pages.next().await.unwrap().unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(script.calls(), 1);
}

#[tokio::test]
async fn a_view_is_read_to_its_end_and_a_relation_at_once() {
    let script = Script::start(|asked| {
        if asked.body.contains("<readRelated>") {
            return data(asked, "count=\"2\"", &rows("thing", 1..3));
        }
        let (numbers, rest) = if asked.body.contains("<readView>") { (0..2, 1) } else { (2..3, 0) };
        let attributes = format!(
            "listtype=\"view\" count=\"{}\" totalcount=\"3\" numremaining=\"{rest}\" resultId=\"7\"",
            numbers.end - numbers.start
        );
        data(asked, &attributes, &rows("view", numbers))
    })
    .await;
    let client = client(&script, &clock());
    let view = ReadView::new("Mine").unwrap().with_page_size(2).unwrap();
    let pages: Vec<_> = client
        .read_view_as::<Row>(view)
        .try_collect()
        .await
        .unwrap();
    let numbers: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.records)
        .map(|row| row.recordno)
        .collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(
        script.asked()[2]
            .body
            .contains("<readMore><resultId>7</resultId></readMore>")
    );
    let related = ReadRelated::new(object(), field("Rthing"), ["1"]).unwrap();
    assert_eq!(
        client.read_related_as::<Row>(related).await.unwrap().len(),
        2
    );
}

#[tokio::test]
async fn the_company_answers_about_itself() {
    let script = Script::start(|asked| {
        let inner = if asked.body.contains("<getDimensions/>") {
            "<dimensions><dimension><objectName>DEPARTMENT</objectName><objectLabel>Department</objectLabel>\
             <termLabel>Practice</termLabel><userDefinedDimension>false</userDefinedDimension>\
             <enabledInGL>true</enabledInGL></dimension><dimension><objectName>LINE</objectName>\
             <userDefinedDimension>true</userDefinedDimension><enabledInGL>false</enabledInGL></dimension></dimensions>"
        } else if asked.body.contains("<readEntityDetails/>") {
            "<entity><id>100</id><name>North</name><recordno>7</recordno><currency>USD</currency>\
             <firstfiscalmonth>10</firstfiscalmonth><firstfiscaltaxmonth></firstfiscaltaxmonth></entity>\
             <entity><id>200</id></entity>"
        } else if asked.body.contains("<readUserFormatting><userId>u</userId></readUserFormatting>") {
            "<userformatting><recordno>48</recordno><locale>en_US</locale><dateformat>.ymd</dateformat>\
             <gmtoffset>+09:30</gmtoffset><clock>12</clock></userformatting>"
        } else if asked.body.contains("<getUserPermissions><userId>u</userId></getUserPermissions>") {
            "<permissions><appSubscription><applicationName>Accounts Payable</applicationName><policies><policy>\
             <policyName>Vendors</policyName><rights>List|View</rights></policy></policies></appSubscription>\
             </permissions>"
        } else {
            "<auditTrailDetail><userId>admin</userId><object>apbill</object><objectKey>204</objectKey>\
             <accessTime>2017-04-01T08:29:34+02:00</accessTime><accessMode>delete</accessMode><source>ui</source>\
             </auditTrailDetail>"
        };
        data(asked, "", inner)
    })
    .await;
    let client = client(&script, &clock());
    let dimensions = client.dimensions().await.unwrap();
    assert_eq!(dimensions[0].term.as_deref(), Some("Practice"));
    assert!(dimensions[0].in_ledger && !dimensions[0].user_defined);
    assert!(dimensions[1].user_defined && !dimensions[1].in_ledger);
    let entities = client.entity_details().await.unwrap();
    assert_eq!(
        entities
            .iter()
            .map(|entity| entity.id.as_str())
            .collect::<Vec<_>>(),
        ["100", "200"]
    );
    assert_eq!(
        (entities[0].record_number, &entities[0].first_tax_month),
        (Some(7), &None)
    );
    let user = ReadUserFormatting::of_login("u").unwrap();
    let formatting = client.user_formatting(user).await.unwrap();
    assert_eq!(
        (formatting.gmt_offset, formatting.clock.as_deref()),
        (offset!(+9:30), Some("12"))
    );
    let permissions = client.user_permissions("u").await.unwrap();
    assert!(
        permissions[0].allows("vendors", "View") && !permissions[0].allows("Vendors", "Delete")
    );
    let key = AuditKey::ObjectKey("204".into());
    let trail = client
        .audit_trail(&ObjectName::new("APBILL").unwrap(), key)
        .await
        .unwrap();
    assert_eq!(
        trail[0].accessed_at,
        Some(datetime!(2017-04-01 06:29:34 UTC))
    );
    assert_eq!(trail[0].access_mode.as_deref(), Some("delete"));
    assert!(
        script
            .asked()
            .last()
            .unwrap()
            .body
            .contains("<object>APBILL</object><objectKey>204</objectKey>")
    );
}

#[tokio::test]
async fn older_balances_are_read_as_records() {
    #[derive(Deserialize)]
    struct Balance {
        glaccountno: String,
        endbalance: String,
    }
    let script = Script::start(|asked| {
        data(
            asked,
            "",
            "<trialbalance><glaccountno>4000</glaccountno><endbalance>-.50</endbalance></trialbalance>",
        )
    })
    .await;
    let asked = BalanceSelection::new(BalancePeriod::Named("January".into()));
    let asked = GetTrialBalance::new(asked).unwrap();
    let balances = client(&script, &clock())
        .trial_balance_as::<Balance>(asked)
        .await
        .unwrap();
    assert_eq!(
        (
            balances[0].glaccountno.as_str(),
            balances[0].endbalance.as_str()
        ),
        ("4000", "-.50")
    );
}

#[tokio::test]
async fn aggregates_are_found_under_both_names() {
    let script = Script::start(|asked| {
        let group = "<GLENTRY><CURRENCY>USD</CURRENCY><COUNT.RECORDNO>3</COUNT.RECORDNO><AMOUNT>1.50</AMOUNT>\
                     <MAX.UNITS>9</MAX.UNITS><UNITS>1</UNITS></GLENTRY>";
        data(asked, "totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\"", group)
    })
    .await;
    let aggregate = |aggregate, name: &str| Selection::Aggregate(aggregate, field(name));
    let select = [
        Selection::Field(field("CURRENCY")),
        aggregate(Aggregate::Count, "RECORDNO"),
        aggregate(Aggregate::Sum, "AMOUNT"),
        aggregate(Aggregate::Maximum, "UNITS"),
        aggregate(Aggregate::Minimum, "UNITS"),
    ];
    let query = Query::new(ObjectName::new("GLENTRY").unwrap(), select).unwrap();
    let query = query.with_order([Order::ascending(field("CURRENCY"))]);
    let groups = client(&script, &clock()).aggregate(query).await.unwrap();
    let [group] = groups.as_slice() else {
        panic!("{groups:?}")
    };
    assert_eq!(group.field(&field("CURRENCY")), Some("USD"));
    assert_eq!(
        group.aggregate(Aggregate::Count, &field("RECORDNO")),
        Some("3")
    );
    assert_eq!(
        group.aggregate(Aggregate::Sum, &field("AMOUNT")),
        Some("1.50")
    );
    assert_eq!(
        group.aggregate(Aggregate::Maximum, &field("UNITS")),
        Some("9")
    );
    assert_eq!(
        group.aggregate(Aggregate::Minimum, &field("UNITS")),
        None,
        "it could be any of the two"
    );
    assert!(!format!("{group:?}").contains("1.50"));
    // A group for every record is no aggregate.
    let by_record = [
        Selection::Field(field("RECORDNO")),
        aggregate(Aggregate::Sum, "AMOUNT"),
    ];
    Query::new(object(), by_record).unwrap_err();
}

fn result_of(id: &str, status: &str, inner: &str) -> String {
    format!(
        "<result><status>{status}</status><function>create</function><controlid>{id}</controlid>{inner}</result>"
    )
}

#[tokio::test]
async fn functions_that_have_a_result_keep_it_when_another_has_none() {
    let script = Script::start(|asked| {
        let ids = asked.control_ids();
        let first =
            "<data listtype=\"VENDOR\" count=\"1\"><VENDOR><RECORDNO>7</RECORDNO></VENDOR></data>";
        let busy = error_message("x", "The Service is Temporarily Off-line", "");
        let results = [
            result_of(ids[0], "success", first),
            result_of(ids[1], "failure", &busy),
        ];
        Reply::Xml(envelope(TIMEOUT, &results.concat()))
    })
    .await;
    let calls: [Call; 3] = [
        Read::new(object(), ["7"]).unwrap().into(),
        Lookup::new(object()).into(),
        Lookup::new(object()).into(),
    ];
    let answers = client(&script, &clock()).execute(calls).await.unwrap();
    assert_eq!(
        answers[0].as_ref().unwrap().records[0].text_of("RECORDNO"),
        Some("7")
    );
    let busy = answers[1].as_ref().unwrap_err();
    assert_eq!(
        (busy.reason(), busy.is_transient()),
        (Reason::Offline, true)
    );
    assert_eq!(answers[2].as_ref().unwrap_err().reason(), Reason::Envelope);
    assert_eq!(script.calls(), 1);
}

fn create(id: &str) -> Function {
    let vendor = RawElement::group(
        field("VENDOR"),
        [RawElement::text(field("NAME"), "hush-in-a-write & co")],
    );
    let call = RawFunction::new(field("create"), [vendor]);
    assert!(!format!("{call:?}").contains("hush"));
    Function::new(ControlId::new(id).unwrap(), call)
}

/// The only result of one function that is to happen once.
async fn once(client: &Client) -> intacct_client::FunctionOutcome {
    let outcomes = client
        .execute_once(&[create("write-1")], Transaction::Separate)
        .await;
    outcomes.unwrap().remove(0)
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_sent_again_under_the_same_id() {
    let script = Script::start(|asked| match asked.number {
        0 => Reply::Cut("<response>".to_owned()),
        1 => Reply::Http(503, "", String::new()),
        2 => Reply::Xml(invalid_session()),
        _ => Reply::Xml(envelope(
            TIMEOUT,
            &result_of("write-1", "success", "<key>17</key>"),
        )),
    })
    .await;
    let outcome = once(&client(&script, &clock())).await;
    outcome.result.unwrap();
    assert_eq!(outcome.key.as_deref(), Some("17"));
    let asked = script.asked();
    let writes: Vec<_> = asked.iter().filter(|asked| !asked.is_login()).collect();
    assert_eq!(writes.len(), 4);
    for write in &writes {
        assert_eq!(write.control_ids(), ["write-1"]);
        assert_eq!(write.text("uniqueid"), Some("true"));
        assert!(
            write.body.contains(
                "<create><VENDOR><NAME>hush-in-a-write &amp; co</NAME></VENDOR></create>"
            )
        );
    }
    assert_eq!(
        asked[0].text("uniqueid"),
        Some("false"),
        "a login may be repeated"
    );
}

#[tokio::test]
async fn a_write_that_was_executed_before_is_told_apart() {
    let script = Script::start(|asked| match asked.number {
        0 => Reply::Reset,
        _ => {
            let refusal = error_message(
                "x",
                "The function with the control id write-1 was already processed",
                "",
            );
            Reply::Xml(envelope(
                TIMEOUT,
                &result_of("write-1", "failure", &refusal),
            ))
        }
    })
    .await;
    let error = once(&client(&script, &clock())).await.result.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Conflict, Reason::DuplicateFunction)
    );
    assert!(!error.is_transient());
    assert_eq!(script.calls(), 2);
}

#[tokio::test]
async fn what_may_write_is_not_sent_as_a_read() {
    let script = Script::start(|_| Reply::Reset).await;
    let calls = [create("write-1").call().clone()];
    let error = client(&script, &clock()).execute(calls).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn all_functions_of_a_failed_transaction_report_its_cause() {
    let script = Script::start(|_| {
        let rollback = "<error><errorno>XL03000009</errorno><description2>rolled back</description2></error>";
        let aborted = format!("<errormessage>{rollback}</errormessage>");
        let cause = format!(
            "<data listtype=\"VENDOR\" count=\"1\"><VENDOR><RECORDNO>5</RECORDNO></VENDOR></data><errormessage>\
             <error><errorno>BL34000061</errorno><description2>Another Vendor</description2></error>{rollback}\
             </errormessage>"
        );
        let results = [
            result_of("w-1", "aborted", &aborted),
            result_of("w-2", "failure", &cause),
            result_of("w-3", "aborted", &aborted),
        ];
        Reply::Xml(envelope(TIMEOUT, &results.concat()))
    })
    .await;
    let functions = ["w-1", "w-2", "w-3"].map(create);
    let outcomes = client(&script, &clock())
        .execute_once(&functions, Transaction::Single)
        .await
        .unwrap();
    let errors: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.result.as_ref().unwrap_err())
        .collect();
    let reasons = errors
        .iter()
        .map(|error| error.reason())
        .collect::<Vec<_>>();
    assert_eq!(
        reasons,
        [Reason::Aborted, Reason::AlreadyExists, Reason::Aborted]
    );
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("Another Vendor"), "{error}");
    }
    assert_eq!(
        outcomes[1].records.len(),
        1,
        "what was created before the failure is listed"
    );
    assert!(
        script.asked()[1]
            .body
            .contains("<operation transaction=\"true\">")
    );
}

//! Recorded answers of the gateway, each parsed to the outcome that its index states.
//!
//! The recordings are not part of this repository. The environment variable `INTACCT_FIXTURES` names
//! their folder; without it every test here says that it is skipped.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may panic and say so"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use intacct_xml::metadata::ApiSession;
use intacct_xml::response::{
    Discard, FunctionResult, GatewayError, Level, ReadOptions, Response, Status, Tree,
    read_error_message, read_response,
};
use intacct_xml::{Error, ErrorKind};

/// One test a recording, and the list of those that have one.
macro_rules! fixtures {
    ($($test:ident: $file:literal => $check:expr;)*) => {
        const CASES: &[&str] = &[$($file),*];

        $(
            #[test]
            fn $test() {
                let Some(folder) = folder() else { return };
                let body = std::fs::read(folder.join($file)).expect(concat!("reading ", $file));
                let check: fn(&[u8]) = $check;
                check(&body);
            }
        )*
    };
}

fixtures! {
    fixture_01_session_at_the_top_level: "01-session-ok-top-level.xml" => |body| {
        let (response, session) = session(body);
        assert_eq!(session.location_id, None);
        assert_eq!(session.endpoint, "https://unittest.intacct.com/ia/xml/xmlgw.phtml");
        let authentication = &response.operations[0].authentication;
        assert_eq!(authentication.user_id.as_deref(), Some("testuser"));
        assert_eq!(authentication.location_id, None);
        let times = [authentication.session_timestamp(), authentication.session_timeout()];
        let [begun, ends] = times.map(|time| time.unwrap().unwrap());
        assert_eq!(begun.offset().whole_hours(), -8);
        assert_eq!(begun.unix_timestamp(), 1_449_446_228);
        assert_eq!((ends - begun).whole_hours(), 24);
    };
    fixture_02_session_in_an_entity: "02-session-ok-entity.xml" => |body| {
        let (response, session) = session(body);
        assert_eq!(session.location_id.as_deref(), Some("testentity"));
        let authentication = &response.operations[0].authentication;
        assert_eq!(authentication.location_id.as_deref(), Some("testentity"));
    };
    fixture_03_session_of_an_entity_from_the_top: "03-session-ok-top-from-entity.xml" => |body| {
        let (response, session) = session(body);
        assert_eq!(session.location_id.as_deref(), Some("testentity"));
        assert_eq!(response.operations[0].authentication.location_id, None);
    };
    fixture_04_session_refused: "04-session-function-failure.xml" => |body| {
        let result = failed_function(body);
        assert_eq!(result.function, "getAPISession");
        assert_eq!(errornos(&result.errors), ["Get API Session Failed"]);
        assert_eq!(result.errors[0].description, None);
        assert_eq!(result.errors[0].description2.as_deref(), Some("Something went wrong"));
    };
    fixture_05_transaction_aborted: "05-transaction-aborted.xml" => |body| {
        let response = read(body);
        let statuses: Vec<Status> = response.results().map(|result| result.status).collect();
        assert_eq!(statuses, [Status::Aborted, Status::Failure]);
        assert_eq!(errornos(&response.result("func1UnitTest").unwrap().errors), ["XL03000009"]);
        let failure = response.failure().unwrap();
        assert_eq!(failure.result.unwrap().control_id, "func2UnitTest");
        assert_eq!(failure.errors.len(), 2);
        assert_eq!(failure.cause().unwrap().errorno.as_deref(), Some("Get API Session Failed"));
    };
    fixture_06_one_customer: "06-query-one-customer.xml" => |body| {
        let (result, records) = page(body);
        let data = result.data.unwrap();
        assert_eq!((data.count, data.total_count, data.remaining), (Some(1), Some(1), Some(0)));
        assert_eq!(data.result_id, None);
        assert_eq!(records[0].1, [("CUSTOMERID", Some("C0001")), ("NAME", Some("Intacct Corporation"))].map(owned));
    };
    fixture_07_no_records: "07-readbyquery-empty.xml" => |body| {
        let (result, records) = page(body);
        let data = result.data.unwrap();
        assert_eq!((data.count, data.total_count, data.remaining), (Some(0), Some(0), Some(0)));
        assert_eq!(data.result_id, None);
        assert_eq!(result.status, Status::Success);
        assert!(records.is_empty());
    };
    fixture_08_unknown_object: "08-result-failure-query.xml" => |body| {
        let result = failed_function(body);
        assert_eq!(errornos(&result.errors), ["Query Failed"]);
        assert!(result.errors[0].mentions("BADOBJECT not found"));
    };
    fixture_09_result_without_status: "09-result-missing-status.xml" => |body| missing(body, "status");
    fixture_10_result_without_function: "10-result-missing-function.xml" => |body| missing(body, "function");
    fixture_11_result_without_controlid: "11-result-missing-controlid.xml" => |body| missing(body, "controlid");
    fixture_12_unknown_error_number: "12-result-failure-xxx.xml" => |body| {
        let result = failed_function(body);
        assert_eq!(result.control_id, "testFunctionId");
        assert_eq!(errornos(&result.errors), ["XXX"]);
    };
    fixture_13_aborted_with_its_cause: "13-result-aborted.xml" => |body| {
        let response = read(body);
        let failure = response.failure().unwrap();
        assert_eq!(failure.result.unwrap().status, Status::Aborted);
        assert_eq!(errornos(failure.errors), ["Query Failed", "XL03000009"]);
        assert_eq!(failure.cause().unwrap().errorno.as_deref(), Some("Query Failed"));
    };
    fixture_14_legacy_list: "14-getlist-class.xml" => |body| {
        let (result, records) = page(body);
        let list = result.list_type.unwrap();
        assert_eq!(list.object, "class");
        assert_eq!((list.start, list.end, list.total), (Some(0), Some(1), Some(2)));
        assert_eq!(records.len(), 2);
        assert_eq!(records[1].1[0], owned(("key", Some("C1235"))));
        assert_eq!(records[1].1[2], owned(("description", None)));
    };
    fixture_15_first_of_two_pages: "15-readbyquery-page1-of-2.xml" => |body| {
        let (result, records) = page(body);
        let data = result.data.unwrap();
        assert_eq!((data.count, data.total_count, data.remaining), (Some(1), Some(2), Some(1)));
        assert_eq!(data.result_id.as_deref(), Some("myResultId"));
        assert_eq!(records[0].0, "class");
        assert_eq!(records[0].1.len(), 15);
        assert_eq!(records[0].1[3], owned(("DESCRIPTION", None)));
    };
    fixture_16_two_records: "16-readbyquery-two-records.xml" => |body| {
        let (result, records) = page(body);
        let data = result.data.unwrap();
        assert_eq!((data.count, data.total_count, data.remaining), (Some(2), Some(3), Some(1)));
        assert_eq!(records.len(), 2);
        assert_eq!(records[1].1[0], owned(("RECORDNO", Some("9"))));
    };
    fixture_17_legacy_key: "17-legacy-create-key.xml" => |body| {
        let response = read(body);
        assert!(response.failure().is_none());
        let result = response.results().next().unwrap();
        assert_eq!(result.key.as_deref(), Some("C1234"));
        assert!(result.data.is_none());
    };
    fixture_18_without_operation: "18-missing-operation.xml" => |body| missing(body, "operation");
    fixture_19_sign_in_refused: "19-auth-failure-signin.xml" => |body| {
        let response = read(body);
        assert_eq!(response.control.status, Status::Success);
        let failure = response.failure().unwrap();
        assert_eq!(failure.level, Level::Authentication);
        assert_eq!(errornos(failure.errors), ["XL03000006"]);
    };
    fixture_20_without_authentication: "20-missing-authentication.xml" => |body| missing(body, "authentication");
    fixture_21_without_result: "21-missing-result.xml" => |body| missing(body, "result");
    fixture_22_demo_company_expired: "22-control-failure-demo-expired.xml" => |body| {
        let response = read(body);
        let failure = response.failure().unwrap();
        assert_eq!(failure.level, Level::Control);
        assert_eq!(errornos(failure.errors), ["PL04000055"]);
        assert_eq!(response.control.sender_id, None);
    };
    fixture_23_refused_at_the_edge: "23-http401-xml-body.xml" => |body| {
        let response = read(body);
        let failure = response.failure().unwrap();
        assert_eq!(failure.level, Level::Control);
        assert_eq!(errornos(failure.errors), ["XMLGW_JPP0002"]);
        assert!(failure.errors[0].description.is_some());
        assert_eq!(failure.errors[0].description2, None);
        assert_eq!(response.control.control_id, None);
    };
    fixture_24_authentication_without_status: "24-auth-missing-status.xml" => |body| missing(body, "status");
    fixture_25_control_without_status: "25-control-missing-status.xml" => |body| missing(body, "status");
    fixture_26_errors_by_themselves: "26-errormessage-fragment-two-errors.xml" => |body| {
        let errors = read_error_message(body, &ReadOptions::default()).unwrap();
        assert_eq!(errornos(&errors), ["1234", "5678"]);
        for error in &errors {
            assert_eq!(error.description2.as_deref(), Some("Object definition 'BADOBJECT' not found."));
        }
        assert_eq!(errors[0].correction.as_deref(), Some("strip<out>these</out>tags."));
        assert_eq!(errors[1].description.as_deref(), Some("strip<out>these</out>tags."));
    };
    fixture_27_acknowledgement: "27-offline-acknowledgement.xml" => |body| {
        let response = read(body);
        assert_eq!(response.acknowledgement, Some(Status::Success));
        assert!(response.operations.is_empty());
        assert!(response.failure().is_none());
    };
    fixture_28_without_control: "28-missing-control.xml" => |body| missing(body, "control");
    fixture_29_unknown_policy: "29-control-failure-policy.xml" => |body| {
        let response = read(body);
        let failure = response.failure().unwrap();
        assert_eq!(failure.level, Level::Control);
        assert_eq!(errornos(failure.errors), ["XL03000006"]);
        assert!(failure.errors[0].mentions("not a valid transport policy"));
    };
    fixture_30_read_by_key: "30-read-customer.xml" => |body| {
        let (result, records) = page(body);
        let data = result.data.unwrap();
        assert_eq!(data.list_type.as_deref(), Some("CUSTOMER"));
        assert_eq!((data.count, data.total_count, data.remaining), (Some(1), None, None));
        let expected = [("RECORDNO", Some("149")), ("CUSTOMERID", Some("10074")), ("STATUS", Some("active"))];
        assert_eq!(records, [("CUSTOMER".to_owned(), expected.map(owned).to_vec())]);
    };
    fixture_31_nothing_secret_is_printed: "31-redaction-three-results.xml" => |body| {
        let mut tree = Tree::new();
        let response = read_response(body, &ReadOptions::default(), &mut tree).unwrap();
        assert!(response.failure().is_none());
        assert_eq!(response.results().count(), 3);
        let authentication = &response.operations[0].authentication;
        assert_eq!(authentication.session_timeout().unwrap(), None);
        let session = ApiSession::from_records(tree.records("testControlId")).unwrap();
        assert_eq!(session.session_id.expose(), "fAkESesSiOnId..");
        assert_eq!(session.location_id, None);
        assert_eq!(response.result("test2").unwrap().list_type.as_ref().unwrap().object, "vendor");
        let vendor = &tree.records("test3")[0];
        assert_eq!(vendor.text_of("ACHACCOUNTNUMBER"), Some("1111222233334444"));
        assert_eq!(tree.records("test2")[0].text_of("taxid"), Some("99-9999999"));

        let printed = format!("{session:?} {session:#?} {tree:?} {tree:#?} {vendor:?} {response:?}");
        for secret in ["fAkESesSiOnId", "1111222233334444", "99-9999999"] {
            assert!(!printed.contains(secret), "{secret} is printed");
        }
    };
}

#[test]
fn every_fixture_has_a_case() {
    let Some(folder) = folder() else { return };
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("listing the fixtures")
        .map(|entry| {
            entry
                .expect("listing the fixtures")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.ends_with(".xml"))
        .collect();
    let cases: BTreeSet<String> = CASES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, cases);
}

/// No prefix of any recording may pass for an answer.
#[test]
fn no_fixture_cut_short_is_accepted() {
    let Some(folder) = folder() else { return };
    for file in CASES {
        let body = std::fs::read(folder.join(file)).expect("reading a fixture");
        let end = body.trim_ascii_end().len();
        for cut in 0..end {
            let error = read_response(&body[..cut], &ReadOptions::default(), &mut Discard)
                .expect_err("a prefix was accepted");
            // Recordings of malformed envelopes may be recognised before their end.
            let known = [ErrorKind::Truncated, ErrorKind::NotXml, ErrorKind::Protocol];
            assert!(
                known.contains(&error.kind()),
                "{file} cut at {cut}: {error}"
            );
        }
    }
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("INTACCT_FIXTURES").map(PathBuf::from);
    match folder {
        // Tests run in the folder of their package; the variable is set in that of the workspace.
        Some(folder) if folder.is_relative() && !folder.is_dir() => Some(
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("..")
                .join(folder),
        ),
        Some(folder) => Some(folder),
        None => {
            println!("skipped: INTACCT_FIXTURES does not name the folder of the recorded answers");
            None
        }
    }
}

fn read(body: &[u8]) -> Response {
    read_response(body, &ReadOptions::default(), &mut Discard).expect("reading the answer")
}

fn session(body: &[u8]) -> (Response, ApiSession) {
    let mut tree = Tree::new();
    let response =
        read_response(body, &ReadOptions::default(), &mut tree).expect("reading the answer");
    assert!(response.failure().is_none());
    let session = ApiSession::from_records(tree.records("testControlId")).expect("a session");
    assert_eq!(session.session_id.expose(), "fAkESesSiOnId..");
    (response, session)
}

type Field = (String, Option<String>);

/// The only result, and its records by element name.
fn page(body: &[u8]) -> (FunctionResult, Vec<(String, Vec<Field>)>) {
    let mut tree = Tree::new();
    let response =
        read_response(body, &ReadOptions::default(), &mut tree).expect("reading the answer");
    assert!(response.failure().is_none());
    let result = response.results().next().expect("a result").clone();
    let records = tree.records(&result.control_id).iter().map(|record| {
        let fields = record
            .children()
            .iter()
            .map(|field| owned((field.name(), field.text())));
        (record.name().to_owned(), fields.collect())
    });
    let records: Vec<_> = records.collect();
    assert_eq!(result.records, records.len() as u64);
    (result, records)
}

fn failed_function(body: &[u8]) -> FunctionResult {
    let response = read(body);
    assert_eq!(response.control.status, Status::Success);
    assert_eq!(
        response.operations[0].authentication.status,
        Status::Success
    );
    let failure = response.failure().expect("a failure");
    assert_eq!(failure.level, Level::Function);
    let result = failure.result.expect("a result");
    assert_eq!(result.status, Status::Failure);
    result.clone()
}

fn missing(body: &[u8], element: &str) {
    let error: Error = read_response(body, &ReadOptions::default(), &mut Discard)
        .expect_err("a malformed envelope was accepted");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(error.field(), Some(element), "{error}");
    assert!(error.to_string().contains(element), "{error}");
}

fn errornos(errors: &[GatewayError]) -> Vec<&str> {
    errors
        .iter()
        .map(|error| error.errorno.as_deref().unwrap_or_default())
        .collect()
}

fn owned((name, value): (&str, Option<&str>)) -> Field {
    (name.to_owned(), value.map(str::to_owned))
}

//! What a source finds out about objects before it reads them.

use std::collections::BTreeMap;

use intacct_client::Client;
use intacct_client::source::{
    DefaultStreams, FieldChoice, IntacctSource, ObjectStream, SourceOptions, UserDefinedDimensions,
};
use intacct_sim::{Scale, Simulator};
use intacct_xml::{FieldName, ObjectName};
use sync_core::{
    DeleteDetection, ErrorKind, Finding, ReadRequest, Severity, Source, StreamDescriptor,
};

use crate::script::{Asked, Reply, Script, client, clock, error_message, page, result};

/// The fields of an object: name, type, and whether the company added it.
type Fields = &'static [(&'static str, &'static str, bool)];

fn lookup(asked: &Asked, object: &str, fields: Fields) -> Reply {
    let fields: String = fields
        .iter()
        .map(|(name, data_type, custom)| {
            format!(
                "<Field><ID>{name}</ID><LABEL>{name} label</LABEL><DESCRIPTION>What {name} is</DESCRIPTION>\
                 <REQUIRED>false</REQUIRED><READONLY>false</READONLY><DATATYPE>{data_type}</DATATYPE>\
                 <ISCUSTOM>{custom}</ISCUSTOM></Field>"
            )
        })
        .collect();
    let data = format!(
        "<data><Type Name=\"{object}\"><Fields>{fields}</Fields><Relationships/></Type></data>"
    );
    Reply::Xml(result(asked, "success", &data))
}

fn refused(asked: &Asked, errorno: &str, text: &str) -> Reply {
    Reply::Xml(result(asked, "failure", &error_message(errorno, text, "")))
}

fn nothing(asked: &Asked) -> Reply {
    Reply::Xml(page(
        asked,
        "totalcount=\"0\" count=\"0\" numremaining=\"0\"",
        "",
    ))
}

fn selected(asked: &Asked) -> Vec<String> {
    let select = asked.text("select").unwrap_or_default();
    let fields = select.split("<field>").skip(1);
    fields
        .map(|rest| rest.split_once("</field>").unwrap().0.to_owned())
        .collect()
}

fn only(object: &str) -> ObjectStream {
    ObjectStream::new(ObjectName::new(object).unwrap()).unwrap()
}

fn source(script: &Script, objects: impl IntoIterator<Item = ObjectStream>) -> IntacctSource {
    let options = SourceOptions::default().with_defaults(DefaultStreams::Only(Vec::new()));
    let options = objects
        .into_iter()
        .fold(options, SourceOptions::with_object);
    IntacctSource::with_options(client(script, &clock()), options)
}

fn columns(stream: &StreamDescriptor) -> BTreeMap<String, String> {
    let fields = stream.schema.fields().iter();
    fields
        .map(|field| (field.name().clone(), field.data_type().to_string()))
        .collect()
}

fn about<'f>(findings: &'f [Finding], words: &str) -> &'f Finding {
    let found = findings.iter().find(|it| it.message.contains(words));
    found.unwrap_or_else(|| panic!("nothing about {words:?} in {findings:#?}"))
}

/// A custom object, as the platform makes them: `id` and `updatedAt` in mixed case, relations `R...`.
const ASSET: Fields = &[
    ("id", "INTEGER", false),
    ("name", "TEXT", false),
    ("updatedAt", "TIMESTAMP", false),
    ("createdAt", "TIMESTAMP", false),
    ("Rvendor", "INTEGER", true),
    ("cost", "CURRENCY", true),
    ("rate", "DECIMAL", true),
    ("inUse", "BOOLEAN", true),
    ("bought", "DATE", true),
    ("_odd-name", "TEXT", true),
    ("ACHACCOUNTNUMBER", "TEXT", true),
    ("GLDIMregion", "TEXT", false),
];

#[tokio::test]
async fn any_object_becomes_a_stream_with_the_types_of_lookup() {
    let script = Script::start(|asked| match asked.text("object") {
        Some("Asset_Register") if asked.body.contains("<lookup>") => {
            lookup(asked, "Asset_Register", ASSET)
        }
        _ => nothing(asked),
    })
    .await;
    let source = source(&script, [only("Asset_Register")]);
    let [stream] = &source.discover().await.unwrap()[..] else {
        panic!("one stream")
    };
    assert_eq!(stream.name.as_str(), "asset_register");
    assert_eq!(stream.key, ["id"]);
    assert_eq!(stream.modified.as_deref(), Some("updatedat"));
    let expected = [
        ("bought", "Date32"),
        ("cost", "Decimal128(38, 9)"),
        ("createdat", "Timestamp(µs, \"UTC\")"),
        ("gldimregion", "Utf8"),
        ("id", "Utf8"),
        ("inuse", "Boolean"),
        ("name", "Utf8"),
        ("rate", "Decimal128(38, 9)"),
        ("rvendor", "Int64"),
        ("updatedat", "Timestamp(µs, \"UTC\")"),
        // Names that begin with an underscore are the pipeline's own; the bank account is not read.
        ("x_odd_name", "Utf8"),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(name, data_type)| (name.to_owned(), data_type.to_owned()))
        .collect();
    assert_eq!(columns(stream), expected);
    let about = stream.schema.field_with_name("rvendor").unwrap().metadata();
    let told = |key: &str| about.get(key).map(String::as_str);
    assert_eq!(told("source.name"), Some("Rvendor"));
    assert_eq!(told("source.type"), Some("INTEGER"));
    assert_eq!(told("label"), Some("Rvendor label"));
    assert_eq!(told("description"), Some("What Rvendor is"));
}

const PLAIN: Fields = &[
    ("RECORDNO", "INTEGER", false),
    ("WHENMODIFIED", "TIMESTAMP", false),
    ("NAME", "TEXT", false),
    ("AGENCY", "TEXT", false),
    ("PAYER", "TEXT", false),
    ("CFDA", "TEXT", false),
    ("BUDGETAMOUNT", "CURRENCY", false),
];

/// Refuses a query of PROJECT for these fields, as `refusal` says.
fn picky(
    bad: &'static [&'static str],
    refusal: fn(&Asked, &[&str]) -> Reply,
) -> impl FnMut(&Asked) -> Reply {
    move |asked| {
        if asked.body.contains("<lookup>") {
            return lookup(asked, "PROJECT", PLAIN);
        }
        let asked_for = selected(asked);
        let bad: Vec<&str> = bad
            .iter()
            .copied()
            .filter(|bad| asked_for.iter().any(|field| field == bad))
            .collect();
        if bad.is_empty() {
            nothing(asked)
        } else {
            refusal(asked, &bad)
        }
    }
}

#[tokio::test]
async fn fields_that_a_refusal_names_are_left_out_and_told() {
    let named = |asked: &Asked, bad: &[&str]| {
        let names = bad.join(", ");
        let text =
            format!("The following fields cannot be queried: {names}. [Support ID: NAME%7Ex]");
        refused(asked, "XL03000006", &text)
    };
    let script = Script::start(picky(&["AGENCY", "CFDA"], named)).await;
    let source = source(&script, [only("PROJECT")]);
    let streams = source.discover().await.unwrap();
    let columns = columns(&streams[0]);
    let names: Vec<_> = columns.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["budgetamount", "name", "payer", "recordno", "whenmodified"]
    );
    let findings = source.findings();
    let told = about(&findings, "AGENCY, CFDA");
    assert_eq!(
        (told.severity, told.subject.as_str()),
        (Severity::Warning, "project")
    );
    // The audit history, looked up, refused, taken.
    assert_eq!(script.calls(), 4);
}

#[tokio::test]
async fn fields_that_a_refusal_does_not_name_are_found_by_halving() {
    let nameless = |asked: &Asked, _: &[&str]| {
        refused(
            asked,
            "DL02000001",
            "There was an error processing the request",
        )
    };
    let script = Script::start(picky(&["PAYER", "NAME"], nameless)).await;
    let source = source(&script, [only("PROJECT")]);
    let streams = source.discover().await.unwrap();
    let columns = columns(&streams[0]);
    assert!(
        !columns.contains_key("payer") && !columns.contains_key("name"),
        "{columns:?}"
    );
    assert_eq!(columns.len(), 5);
    about(&source.findings(), "PAYER");
}

#[tokio::test]
async fn a_key_that_is_refused_is_a_failure_and_no_stream() {
    let nameless = |asked: &Asked, _: &[&str]| {
        refused(
            asked,
            "DL02000001",
            "There was an error processing the request",
        )
    };
    let script = Script::start(picky(&["RECORDNO"], nameless)).await;
    let source = source(&script, [only("PROJECT")]);
    assert!(source.discover().await.unwrap().is_empty());
    assert_eq!(
        about(&source.findings(), "cannot be read").severity,
        Severity::Failure
    );
}

#[tokio::test]
async fn an_object_that_cannot_be_filtered_by_its_time_is_read_whole() {
    let script = Script::start(|asked| {
        if asked.body.contains("<lookup>") {
            lookup(asked, "PROJECT", PLAIN)
        } else if asked.body.contains("<filter>") {
            refused(
                asked,
                "DL02000001",
                "There was an error processing the request",
            )
        } else {
            nothing(asked)
        }
    })
    .await;
    let source = source(&script, [only("PROJECT")]);
    let streams = source.discover().await.unwrap();
    assert_eq!(streams[0].modified, None);
    assert_eq!(streams[0].delete_detection, DeleteDetection::FullRead);
    about(&source.findings(), "do not filter by WHENMODIFIED");
}

#[tokio::test]
async fn check_says_of_each_object_what_may_be_read_and_which_permission_is_missing() {
    let script = Script::start(|asked| match asked.text("object") {
        Some("NOTHERE") => refused(asked, "Query Failed", "Object definition NOTHERE not found"),
        Some(object) if asked.body.contains("<lookup>") => lookup(asked, object, PLAIN),
        Some("APBILL") => {
            let text = "You do not have permission for API operation READ_BY_QUERY on objects of type APBILL";
            refused(asked, "PL04000005", text)
        }
        Some("AUDITHISTORY") => {
            refused(asked, "", "You do not have permission to view audit history")
        }
        _ => nothing(asked),
    })
    .await;
    let objects = ["VENDOR", "APBILL", "AUDITHISTORY", "NOTHERE"].map(only);
    let source = source(&script, objects);
    let findings = source.check().await.unwrap();
    let of = |stream: &str| {
        let mut of_stream = findings.iter().filter(|it| it.subject == stream);
        (
            of_stream
                .next()
                .unwrap_or_else(|| panic!("{stream} in {findings:#?}")),
            of_stream.next(),
        )
    };
    assert_eq!(of("vendor").0.severity, Severity::Info);
    assert!(
        of("vendor").0.message.contains("7 fields"),
        "{}",
        of("vendor").0
    );
    let (bills, audit) = (of("ap_bill").0, of("audithistory").0);
    assert_eq!(
        (bills.severity, audit.severity),
        (Severity::Failure, Severity::Failure)
    );
    assert!(bills.message.contains("READ_BY_QUERY"), "{bills}");
    assert!(
        bills
            .remedy
            .as_ref()
            .unwrap()
            .contains("bills (Accounts Payable)"),
        "{bills}"
    );
    let mends = "View permission on custom reports (Platform Services)";
    assert!(audit.remedy.as_ref().unwrap().contains(mends), "{audit}");
    assert_eq!(of("nothere").0.severity, Severity::Failure);

    // A run reads the others, and says of this one what to do.
    let streams = source.discover().await.unwrap();
    let bills = streams
        .iter()
        .find(|it| it.name.as_str() == "ap_bill")
        .unwrap();
    let request = ReadRequest::keys(std::sync::Arc::new(bills.clone()));
    let error = futures_util::TryStreamExt::try_next(&mut source.read(request))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(
        error.to_string().contains("bills (Accounts Payable)"),
        "{error}"
    );
}

#[tokio::test]
async fn names_that_fold_to_one_column_are_told_and_one_is_left_out() {
    const TWINS: Fields = &[
        ("RECORDNO", "INTEGER", false),
        ("WHENMODIFIED", "TIMESTAMP", false),
        ("Region", "TEXT", true),
        ("REGION", "TEXT", true),
    ];
    let script = Script::start(|asked| {
        if asked.body.contains("<lookup>") {
            lookup(asked, "ASSET", TWINS)
        } else {
            nothing(asked)
        }
    })
    .await;
    let source = source(&script, [only("ASSET")]);
    let streams = source.discover().await.unwrap();
    let region = streams[0].schema.field_with_name("region").unwrap();
    assert_eq!(region.metadata()["source.name"], "Region");
    assert_eq!(streams[0].schema.fields().len(), 3);
    about(
        &source.findings(),
        "Region and REGION fold to the same column",
    );
}

#[tokio::test]
async fn what_an_object_needs_and_does_not_have_is_an_error_that_names_it() {
    const KEYLESS: Fields = &[("BOOKID", "TEXT", false), ("AMOUNT", "CURRENCY", false)];
    let script = Script::start(|asked| {
        if asked.body.contains("<lookup>") {
            lookup(asked, "VIEW", KEYLESS)
        } else {
            nothing(asked)
        }
    })
    .await;
    let keyless = source(&script, [only("VIEW")]);
    let error = keyless.discover().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("name the fields that identify a record"),
        "{error}"
    );
    let unknown =
        only("VIEW").with_fields(FieldChoice::Only(vec![FieldName::new("NOPE").unwrap()]));
    let key = FieldName::new("BOOKID").unwrap();
    let error = source(&script, [unknown.with_key([key])])
        .discover()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("NOPE"), "{error}");
}

/// The simulated company has a dimension of its own: its object is a stream, and ledger lines show it.
#[tokio::test]
async fn dimensions_that_the_company_defined_are_streams_and_columns() {
    let simulator = Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .start()
        .await
        .unwrap();
    let options = SourceOptions::default()
        .with_defaults(DefaultStreams::Only(vec!["gl_detail".parse().unwrap()]))
        .with_dimensions(UserDefinedDimensions::Added);
    let client = Client::new(crate::stories::config(&simulator)).unwrap();
    let source = IntacctSource::with_options(client, options);
    let streams = source.discover().await.unwrap();
    let names: Vec<_> = streams.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["gl_detail", "region"], "{:#?}", source.findings());
    let own = |field: &str| field.starts_with("gldim");
    let lines = streams[0]
        .schema
        .fields()
        .iter()
        .filter(|it| own(it.name()))
        .count();
    assert!(lines > 0, "{:?}", columns(&streams[0]));
    let request = ReadRequest::keys(std::sync::Arc::new(streams[1].clone()));
    let pages: Vec<_> = futures_util::TryStreamExt::try_collect(source.read(request))
        .await
        .unwrap();
    assert!(pages.iter().any(|page| page.rows.num_rows() > 0));
}

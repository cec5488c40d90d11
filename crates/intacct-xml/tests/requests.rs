//! Request documents, parsed back.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use intacct_xml::request::{
    Aggregate, Authentication, Call, Control, EntityContext, FieldList, Filter, Function,
    GetApiSession, Inspect, Login, Lookup, Order, Query, QueryOptions, Read, ReadByName,
    ReadByQuery, ReadMore, Request, Selection, Transaction, Uniqueness, quote_literal,
};
use intacct_xml::sanitise::sanitise;
use intacct_xml::{ControlId, ErrorKind, FieldName, ObjectName, SessionId};
use proptest::prelude::*;
use quick_xml::XmlVersion;
use quick_xml::events::Event;

#[path = "../src/text_strategy.rs"]
mod text_strategy;

use text_strategy::any_text;

fn object() -> ObjectName {
    ObjectName::new("VENDOR").unwrap()
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn id(text: &str) -> ControlId {
    ControlId::new(text).unwrap()
}

fn control() -> Control {
    Control::new("sender", "sender-secret", id("request 1")).unwrap()
}

fn session() -> Authentication {
    Authentication::Session(SessionId::new("session-secret.."))
}

fn request(call: impl Into<Call>) -> Request {
    Request::new(control(), session(), [Function::new(id("f-1"), call)]).unwrap()
}

/// What stands in the function element.
fn body_of(call: impl Into<Call>) -> String {
    let document = request(call).to_xml();
    let start = "<function controlid=\"f-1\">";
    let body = document
        .split_once(start)
        .unwrap()
        .1
        .split_once("</function>")
        .unwrap()
        .0;
    body.to_owned()
}

#[test]
fn the_whole_document_has_the_order_of_the_schema() {
    let login = Login::new("company", "user", "user-secret").unwrap();
    let login = login
        .with_client("client")
        .unwrap()
        .with_location("entity")
        .unwrap();
    let control = control()
        .with_uniqueness(Uniqueness::Once)
        .with_policy_id("policy")
        .with_additional_error_info();
    let functions = ["f-1", "f-2"].map(|name| Function::new(id(name), Lookup::new(object())));
    let request = Request::new(control, login.into(), functions)
        .unwrap()
        .with_transaction(Transaction::Single);
    assert_eq!(
        request.to_xml().as_str(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><request><control><senderid>sender</senderid>\
         <password>sender-secret</password><controlid>request 1</controlid><uniqueid>true</uniqueid>\
         <dtdversion>3.0</dtdversion><policyid>policy</policyid><includewhitespace>false</includewhitespace>\
         <showadditionalerrorinfo>true</showadditionalerrorinfo></control><operation transaction=\"true\">\
         <authentication><login><userid>user</userid><companyid>company</companyid><password>user-secret</password>\
         <clientid>client</clientid><locationid>entity</locationid></login></authentication><content>\
         <function controlid=\"f-1\"><lookup><object>VENDOR</object></lookup></function>\
         <function controlid=\"f-2\"><lookup><object>VENDOR</object></lookup></function></content>\
         </operation></request>"
    );
}

#[test]
fn reads_may_be_repeated_and_stand_alone_by_default() {
    let document = request(Lookup::new(object())).to_xml();
    assert!(document.contains(
        "<uniqueid>false</uniqueid><dtdversion>3.0</dtdversion><includewhitespace>false"
    ));
    assert!(document.contains(
        "<operation transaction=\"false\"><authentication><sessionid>session-secret..</sessionid>"
    ));
}

#[test]
fn a_session_is_asked_for_in_three_contexts() {
    let body = |context| body_of(GetApiSession::new(context).unwrap());
    assert_eq!(body(EntityContext::Current), "<getAPISession/>");
    assert_eq!(
        body(EntityContext::TopLevel),
        "<getAPISession><locationid/></getAPISession>"
    );
    assert_eq!(
        body(EntityContext::Entity("E-1".into())),
        "<getAPISession><locationid>E-1</locationid></getAPISession>"
    );
    // Empty would mean the top level.
    assert!(GetApiSession::new(EntityContext::Entity(String::new())).is_err());
}

#[test]
fn a_query_says_everything() {
    let select = [
        Selection::Field(field("CURRENCY")),
        Selection::Aggregate(Aggregate::Count, field("RECORDNO")),
        Selection::Aggregate(Aggregate::Average, field("A")),
        Selection::Aggregate(Aggregate::Minimum, field("A")),
        Selection::Aggregate(Aggregate::Maximum, field("A")),
        Selection::Aggregate(Aggregate::Sum, field("A")),
    ];
    let query = Query::new(object(), select)
        .unwrap()
        .with_doc_par_id("Sales Order")
        .with_filter(
            Filter::one_of(field("STATE"), ["A", "B"])
                .unwrap()
                .or(Filter::is_null(field("STATE"))),
        )
        .with_order([
            Order::ascending(field("X")),
            Order::descending(field("Y.Z")),
        ])
        .with_options(QueryOptions {
            case_insensitive: true,
            show_private: true,
        })
        .with_page_size(7)
        .unwrap()
        .with_offset(14);
    assert_eq!(
        body_of(query),
        "<query><select><field>CURRENCY</field><count>RECORDNO</count><avg>A</avg><min>A</min><max>A</max>\
         <sum>A</sum></select><object>VENDOR</object><docparid>Sales Order</docparid><filter><or><in>\
         <field>STATE</field><value>A</value><value>B</value></in><isnull><field>STATE</field></isnull></or></filter>\
         <orderby><order><field>X</field><ascending/></order><order><field>Y.Z</field><descending/></order></orderby>\
         <options><caseinsensitive>true</caseinsensitive><showprivate>true</showprivate></options>\
         <pagesize>7</pagesize><offset>14</offset></query>"
    );
}

#[test]
fn a_plain_query_says_no_more_than_it_must() {
    let query = Query::new(object(), [field("RECORDNO")]).unwrap();
    assert_eq!(
        body_of(query),
        "<query><select><field>RECORDNO</field></select><object>VENDOR</object><pagesize>2000</pagesize></query>"
    );
}

#[test]
fn the_other_reads_are_written_as_documented() {
    let fields = FieldList::Named(FieldName::list(["RECORDNO", "NAME"]).unwrap());
    let read_by_query = ReadByQuery::new(
        object(),
        format!("NAME = {}", quote_literal("A & 'B'").unwrap()),
    )
    .with_fields(fields.clone())
    .with_page_size(10)
    .unwrap();
    assert_eq!(
        body_of(read_by_query),
        "<readByQuery><object>VENDOR</object><query>NAME = 'A &amp; \\'B\\''</query><fields>RECORDNO,NAME</fields>\
         <pagesize>10</pagesize></readByQuery>"
    );
    assert_eq!(
        body_of(ReadMore::new("7765").unwrap()),
        "<readMore><resultId>7765</resultId></readMore>"
    );
    assert_eq!(
        body_of(Read::new(object(), ["1", "2"]).unwrap().with_fields(fields)),
        "<read><object>VENDOR</object><keys>1,2</keys><fields>RECORDNO,NAME</fields></read>"
    );
    assert_eq!(
        body_of(
            ReadByName::new(object(), ["V&1"])
                .unwrap()
                .with_doc_par_id("D")
        ),
        "<readByName><object>VENDOR</object><keys>V&amp;1</keys><fields>*</fields><docparid>D</docparid></readByName>"
    );
    assert_eq!(
        body_of(Lookup::new(object()).with_doc_par_id("D")),
        "<lookup><object>VENDOR</object><docparid>D</docparid></lookup>"
    );
    assert_eq!(
        body_of(Inspect::objects()),
        "<inspect><object>*</object></inspect>"
    );
    assert_eq!(
        body_of(Inspect::field_names(object())),
        "<inspect><object>VENDOR</object></inspect>"
    );
    assert_eq!(
        body_of(Inspect::fields(object())),
        "<inspect detail=\"1\"><object>VENDOR</object></inspect>"
    );
}

#[test]
fn what_the_gateway_would_refuse_cannot_be_built() {
    let lookup = |name| Function::new(id(name), Lookup::new(object()));
    let open = || Function::new(id("s"), GetApiSession::default());
    let query = || Query::new(object(), [field("A")]).unwrap();
    let errors = [
        Request::new(control(), session(), []).unwrap_err(),
        Request::new(control(), session(), [lookup("f"), lookup("f")]).unwrap_err(),
        Request::new(control(), session(), [lookup("f"), open()]).unwrap_err(),
        Query::new(object(), Vec::<FieldName>::new()).unwrap_err(),
        query().with_page_size(0).unwrap_err(),
        query().with_page_size(2001).unwrap_err(),
        ReadByQuery::new(object(), "")
            .with_page_size(1001)
            .unwrap_err(),
        ReadMore::new("").unwrap_err(),
        Read::new(object(), Vec::<String>::new()).unwrap_err(),
        Read::new(object(), (0..101).map(|key| key.to_string())).unwrap_err(),
        ReadByName::new(object(), ["A,B"]).unwrap_err(),
        ReadByName::new(object(), [""]).unwrap_err(),
        quote_literal("C:\\").unwrap_err(),
        Control::new("", "p", id("c")).unwrap_err(),
        Control::new("s", "p\u{0}", id("c")).unwrap_err(),
        Login::new("c", "u", "").unwrap_err(),
        Login::new("c", "u", "p")
            .unwrap()
            .with_location("")
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    Request::new(control(), session(), [open()]).unwrap();
}

#[test]
fn nothing_secret_is_printed() {
    let login = Login::new("company", "user", "user-secret").unwrap();
    let by_login = Request::new(
        control(),
        login.into(),
        [Function::new(id("f"), GetApiSession::default())],
    );
    let printed = format!(
        "{:?} {:#?} {:?}",
        by_login,
        by_login,
        request(Lookup::new(object()))
    );
    assert!(!printed.contains("secret"), "{printed}");
    assert!(printed.contains("[redacted]"));
    let error = Control::new("s", "secret\u{1}", id("c")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

/// Every element's name, and the text or first attribute that it carries.
fn contents(document: &str) -> Vec<(String, String)> {
    let mut reader = quick_xml::Reader::from_str(document);
    reader.config_mut().enable_all_checks(true);
    let mut contents: Vec<(String, String)> = Vec::new();
    let mut depth = 0_u32;
    loop {
        let mut append = |text: &str| contents.last_mut().unwrap().1.push_str(text);
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                depth += 1;
                let attribute = tag.attributes().next().map(|attribute| {
                    attribute
                        .unwrap()
                        .normalized_value(XmlVersion::Implicit1_0)
                        .unwrap()
                        .into_owned()
                });
                contents.push((tag.name().0.to_owned(), attribute.unwrap_or_default()));
            }
            Event::Empty(tag) => contents.push((tag.name().0.to_owned(), String::new())),
            Event::Text(text) => append(&text.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().unwrap() {
                Some(c) => append(c.encode_utf8(&mut [0; 4])),
                None => append(quick_xml::escape::resolve_xml_entity(&name).unwrap()),
            },
            Event::End(_) => depth -= 1,
            Event::Eof => {
                assert_eq!(depth, 0);
                return contents;
            }
            _ => {}
        }
    }
}

fn values_of(document: &str, element: &str) -> Vec<String> {
    contents(document)
        .into_iter()
        .filter(|(name, _)| name == element)
        .map(|(_, text)| text)
        .collect()
}

#[derive(Clone, Debug)]
enum Shape {
    Leaf(String),
    All(Vec<Shape>),
    Any(Vec<Shape>),
}

fn any_shape() -> impl Strategy<Value = Shape> {
    any_text()
        .prop_map(Shape::Leaf)
        .prop_recursive(4, 20, 4, |inner| {
            let list = prop::collection::vec(inner, 1..4);
            prop_oneof![list.clone().prop_map(Shape::All), list.prop_map(Shape::Any)]
        })
}

fn filter_of(shape: &Shape, leaves: &mut Vec<String>) -> Filter {
    match shape {
        Shape::Leaf(text) => {
            leaves.push(sanitise(text).into_owned());
            Filter::equal_to(field("F"), text.as_str())
        }
        Shape::All(parts) => Filter::all(parts.iter().map(|part| filter_of(part, leaves))).unwrap(),
        Shape::Any(parts) => Filter::any(parts.iter().map(|part| filter_of(part, leaves))).unwrap(),
    }
}

/// No `and` or `or` with fewer than two children.
fn assert_no_lonely_children(document: &str) {
    let mut reader = quick_xml::Reader::from_str(document);
    let mut open: Vec<(String, u32)> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                if let Some((_, children)) = open.last_mut() {
                    *children += 1;
                }
                open.push((tag.name().0.to_owned(), 0));
            }
            Event::End(_) => {
                let (name, children) = open.pop().unwrap();
                assert!(!matches!(name.as_str(), "and" | "or") || children >= 2);
                assert!(name != "filter" || children == 1);
            }
            Event::Eof => return,
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_filter_parses_back_to_its_values(shape in any_shape()) {
        let mut leaves = Vec::new();
        let filter = filter_of(&shape, &mut leaves);
        let query = Query::new(object(), [field("A")]).unwrap().with_filter(filter);
        let document = request(query).to_xml();
        assert_no_lonely_children(&document);
        prop_assert_eq!(values_of(&document, "value"), leaves);
    }

    #[test]
    fn credentials_parse_back_unchanged(texts in prop::array::uniform5("[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\u{FFFE}\u{FFFF}]{1,40}")) {
        let [sender, password, company, user, user_password] = texts;
        let control = Control::new(&*sender, &*password, id("c")).unwrap();
        let login = Login::new(&*company, &*user, &*user_password).unwrap();
        let function = Function::new(id("f"), GetApiSession::default());
        let document = Request::new(control, login.into(), [function]).unwrap().to_xml();
        prop_assert_eq!(values_of(&document, "senderid"), [sender]);
        prop_assert_eq!(values_of(&document, "password"), [password, user_password]);
        prop_assert_eq!(values_of(&document, "companyid"), [company]);
        prop_assert_eq!(values_of(&document, "userid"), [user]);
    }

    #[test]
    fn texts_parse_back_sanitised(query in any_text(), key in "[^,]{1,20}", name in "\\PC{1,256}") {
        let literal = quote_literal(&query.replace('\\', "")).unwrap();
        let functions = [
            Function::new(id(&name), ReadByQuery::new(object(), &*literal)),
            Function::new(id("other"), ReadByName::new(object(), [&*key]).unwrap()),
        ];
        prop_assume!(name != "other");
        let document = Request::new(control(), session(), functions).unwrap().to_xml();
        let parsed = contents(&document);
        let text_of = |element: &str| parsed.iter().filter(|(name, _)| name == element).map(|(_, text)| text.clone()).collect::<Vec<_>>();
        prop_assert_eq!(text_of("keys"), [sanitise(&key)]);
        prop_assert_eq!(&text_of("function")[0], &name);
        // The element of the call and the one of its condition have similar names; the second is `query`.
        prop_assert_eq!(text_of("query"), [sanitise(&literal)]);
    }
}

//! Answers as they come: whole, cut, hostile, and not the gateway's at all.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use intacct_xml::response::{
    Discard, Dispatch, Element, GatewayError, IllegalCharacters, Level, ReadOptions, RecordCount,
    Response, Status, Tree, read_error_message, read_response,
};
use intacct_xml::sanitise::sanitise_counted;
use intacct_xml::{BodyShape, Error, ErrorKind, escape};
use proptest::prelude::*;

#[path = "../src/text_strategy.rs"]
mod text_strategy;

use text_strategy::any_text;

fn page(function: &str, attributes: &str, records: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response><control><status>success</status>\
         <senderid>s</senderid><controlid>c</controlid></control><operation><authentication>\
         <status>success</status><userid>u</userid><companyid>co</companyid></authentication>\
         <result><status>success</status><function>{function}</function><controlid>f-1</controlid>\
         <data {attributes}>{records}</data></result></operation></response>"
    )
}

fn read_tree(body: &str) -> Result<(Response, Tree), Error> {
    let mut tree = Tree::new();
    let response = read_response(body.as_bytes(), &ReadOptions::default(), &mut tree)?;
    Ok((response, tree))
}

fn error_of(body: impl AsRef<[u8]>) -> Error {
    read_response(body.as_ref(), &ReadOptions::default(), &mut Discard).unwrap_err()
}

fn error_with(body: &str, options: &ReadOptions) -> Error {
    read_response(body.as_bytes(), options, &mut Tree::new()).unwrap_err()
}

/// The fields of the first record.
fn fields(tree: &Tree) -> Vec<(&str, Option<&str>)> {
    tree.records("f-1")[0]
        .children()
        .iter()
        .map(|field| (field.name(), field.text()))
        .collect()
}

#[test]
fn text_arrives_joined_and_with_its_spaces() {
    let record = "<V><A> Smith &amp; Sons </A><B><![CDATA[<b> & ]]>&#x41;&#10;</B><C></C><D/><E> </E>\
                  <F><![CDATA[]]></F><G>a<!-- no -->b<?no?>c</G><H>x\r\ny\rz&#13;</H></V>";
    let (_, tree) = read_tree(&page("query", "count=\"1\"", record)).unwrap();
    let expected = [
        ("A", Some(" Smith & Sons ")),
        ("B", Some("<b> & A\n")),
        ("C", None),
        ("D", None),
        ("E", Some(" ")),
        ("F", None),
        ("G", Some("abc")),
        ("H", Some("x\ny\nz\r")),
    ];
    assert_eq!(fields(&tree), expected);
}

#[test]
fn attributes_of_a_page_come_in_any_order_and_may_be_empty() {
    let attributes =
        "resultId='a&amp;b' numremaining=\"3\" new=\"?\" totalcount=\"5\" count=\"\" offset=\"2\"";
    let (response, _) = read_tree(&page("readByQuery", attributes, "<v/><v/>")).unwrap();
    let result = response.result("f-1").unwrap();
    let data = result.data.as_ref().unwrap();
    assert_eq!(data.result_id.as_deref(), Some("a&b"));
    assert_eq!(
        (data.total_count, data.offset, data.count, data.remaining),
        (Some(5), Some(2), None, Some(3))
    );
    assert_eq!(result.records, 2);
}

#[test]
fn owned_lines_stay_nested() {
    let record = "<APBILL><RECORDNO>1</RECORDNO><APBILLITEMS>\n  <apbillitem n='1'><AMOUNT>2</AMOUNT></apbillitem>\
                  <apbillitem><AMOUNT>3</AMOUNT></apbillitem>\n</APBILLITEMS><STATE>A</STATE></APBILL>";
    let (_, tree) = read_tree(&page("read", "count=\"1\"", record)).unwrap();
    let bill = &tree.records("f-1")[0];
    let lines = bill.child("APBILLITEMS").unwrap();
    assert_eq!(lines.text(), None);
    let amounts: Vec<_> = lines
        .children()
        .iter()
        .map(|line| line.text_of("AMOUNT"))
        .collect();
    assert_eq!(amounts, [Some("2"), Some("3")]);
    assert_eq!(lines.children()[0].attribute("n"), Some("1"));
    assert_eq!(lines.children()[1].attribute("n"), None);
    assert_eq!(bill.text_of("STATE"), Some("A"));
}

#[test]
fn a_page_that_does_not_hold_what_it_says_is_refused() {
    for function in ["query", "readByQuery", "readMore"] {
        let body = page(function, "count=\"3\"", "<V/><V/>");
        let error = error_of(&body);
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(
            error
                .to_string()
                .contains("says it has 3 records and has 2"),
            "{error}"
        );
        let lenient = ReadOptions::default().with_record_count(RecordCount::Ignore);
        read_response(body.as_bytes(), &lenient, &mut Discard).unwrap();
    }
    // The count of an inspect is not a number of records.
    read_tree(&page(
        "inspect",
        "listtype=\"All\" count=\"1\"",
        "<type/><type/>",
    ))
    .unwrap();
}

#[test]
fn results_are_found_by_their_control_id() {
    let body = page("query", "count='1'", "<A><X>1</X></A>").replace(
        "</result>",
        "</result><result><status>failure</status><function>query</function><controlid>f-2</controlid>\
         <data count='1'><B><X>2</X></B></data><errormessage><error><errorno>E</errorno></error>\
         </errormessage></result>",
    );
    let (mut first, mut second) = (Tree::new(), Tree::new());
    let mut both = Dispatch::new()
        .with("f-1", &mut first)
        .with("f-2", &mut second);
    let response = read_response(body.as_bytes(), &ReadOptions::default(), &mut both).unwrap();
    assert_eq!(first.records("f-1")[0].text_of("X"), Some("1"));
    // What was created before a failure is beside it.
    assert_eq!(second.records("f-2")[0].text_of("X"), Some("2"));
    assert!(response.result("f-1").unwrap().failure().is_none());
    let failure = response.result("f-2").unwrap().failure().unwrap();
    assert_eq!(failure.cause().unwrap().errorno.as_deref(), Some("E"));

    let mut only = Tree::new();
    let mut one = Dispatch::new().with("f-1", &mut only);
    let error = read_response(body.as_bytes(), &ReadOptions::default(), &mut one).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn several_operations_are_read() {
    let operation = "<operation><authentication><status>success</status></authentication><result>\
                     <status>success</status><function>query</function><controlid>f-2</controlid></result></operation>";
    let body =
        page("query", "count='0'", "").replace("</response>", &format!("{operation}</response>"));
    let (response, _) = read_tree(&body).unwrap();
    assert_eq!(response.operations.len(), 2);
    assert!(response.result("f-2").is_some());
}

#[test]
fn an_expired_session_is_an_authentication_failure() {
    let body = "<response><control><status>success</status></control><operation><authentication>\
                <status>failure</status><userid/><companyid></companyid></authentication><errormessage><error>\
                <errorno>XL03000006</errorno><description/><description2>Invalid session [Support ID: \
                a1%7EZ%7e]</description2></error></errormessage></operation></response>";
    let (response, _) = read_tree(body).unwrap();
    let failure = response.failure().unwrap();
    assert_eq!(failure.level, Level::Authentication);
    let error = failure.cause().unwrap();
    assert_eq!(error.support_id.as_deref(), Some("a1~Z~"));
    assert!(
        error
            .description2
            .as_deref()
            .unwrap()
            .starts_with("Invalid session")
    );
    assert_eq!(response.operations[0].authentication.user_id, None);
    assert_eq!(
        error.to_string(),
        "XL03000006: Invalid session [Support ID: a1%7EZ%7e]"
    );
}

#[test]
fn what_an_answer_lacks_is_named() {
    let whole = page("query", "count=\"0\"", "");
    read_tree(&whole).unwrap();
    let success = "<status>success</status>";
    let parts = |start: &str, end: &str| {
        let from = whole.find(start).unwrap();
        let to = whole.find(end).unwrap() + end.len();
        whole[from..to].to_owned()
    };
    let (control, operation) = (
        parts("<control>", "</control>"),
        parts("<operation>", "</operation>"),
    );
    let authentication = parts("<authentication>", "</authentication>");
    let result = parts("<result>", "</result>");
    let data = parts("<data", "</data>");
    let without = |part: &str, cut: &str| whole.replace(part, &part.replace(cut, ""));
    let cases = [
        (without(&control, &control), "control"),
        (without(&control, success), "status"),
        (without(&operation, &operation), "operation"),
        (without(&authentication, &authentication), "authentication"),
        (without(&authentication, success), "status"),
        (without(&result, &result), "result"),
        (without(&result, success), "status"),
        (without(&result, "<function>query</function>"), "function"),
        (without(&result, "<controlid>f-1</controlid>"), "controlid"),
        (
            without(&result, "<controlid>f-1</controlid>").replace(&data, ""),
            "controlid",
        ),
        (
            without(&result, "<function>query</function>").replace(&data, ""),
            "function",
        ),
    ];
    for (body, element) in cases {
        let error = error_of(&body);
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Protocol, Some(element)),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("no element {element} in")),
            "{error}"
        );
    }
}

#[test]
fn errors_beside_a_success_are_a_failure() {
    let message = "<errormessage><error><errorno>E</errorno></error></errormessage>";
    let whole = page("query", "count=\"0\"", "");
    let (response, _) =
        read_tree(&whole.replace("</operation>", &format!("{message}</operation>"))).unwrap();
    assert_eq!(response.failure().unwrap().level, Level::Authentication);
    let (response, _) =
        read_tree(&whole.replace("</response>", &format!("{message}</response>"))).unwrap();
    assert_eq!(response.failure().unwrap().level, Level::Control);
}

#[test]
fn a_rolled_back_transaction_reports_its_cause() {
    let result = |id: &str, status: &str, numbers: &[&str]| {
        let errors: String = numbers
            .iter()
            .map(|number| format!("<error><errorno>{number}</errorno></error>"))
            .collect();
        format!(
            "<result><status>{status}</status><function>query</function><controlid>{id}</controlid>\
             <errormessage>{errors}</errormessage></result>"
        )
    };
    let whole = page("query", "", "");
    let results = result("f-2", "aborted", &["XL03000009"])
        + &result("f-3", "failure", &["XL03000009", "BL1"]);
    let (response, _) =
        read_tree(&whole.replace("</operation>", &format!("{results}</operation>"))).unwrap();
    let failure = response.failure().unwrap();
    assert_eq!(failure.result.unwrap().control_id, "f-3");
    assert_eq!(failure.cause().unwrap().errorno.as_deref(), Some("BL1"));
}

#[test]
fn additional_info_does_not_overwrite_the_error() {
    let body = "<errormessage><error><errorno>BL01001973</errorno><description>outer</description>\
        <description2/><correction>outer correction</correction><additionalinfo><errorid>GL-0493</errorid>\
        <category>INVALID_REQUEST</category><target domain='gl' object='GLBATCH'/>\
        <description messageid='IA.X'><placeholders><placeholder name='A' value='1 &lt; 2'/></placeholders></description>\
        <correction><messageid>IA.Y</messageid></correction></additionalinfo></error>\
        <error><description>[Request ID: q-1] gateway</description></error></errormessage>";
    let errors = read_error_message(body.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(errors[0].description.as_deref(), Some("outer"));
    assert_eq!(errors[0].description2, None);
    assert_eq!(errors[0].correction.as_deref(), Some("outer correction"));
    let info = errors[0].additional_info.as_ref().unwrap();
    assert_eq!(info.error_id.as_deref(), Some("GL-0493"));
    assert_eq!(info.category.as_deref(), Some("INVALID_REQUEST"));
    assert_eq!(info.target[1], ("object".to_owned(), "GLBATCH".to_owned()));
    let description = info.description.as_ref().unwrap();
    assert_eq!(description.message_id.as_deref(), Some("IA.X"));
    assert_eq!(
        description.placeholders,
        [("A".to_owned(), "1 < 2".to_owned())]
    );
    assert_eq!(
        info.correction.as_ref().unwrap().message_id.as_deref(),
        Some("IA.Y")
    );
    assert_eq!(errors[1].request_id.as_deref(), Some("q-1"));
    assert_eq!(errors[1].errorno, None);
}

#[test]
fn a_body_that_is_not_xml_says_what_it_looks_like() {
    let cases: [(&[u8], BodyShape); 11] = [
        (b"", BodyShape::Empty),
        (b" \r\n\t", BodyShape::Empty),
        (b"\xEF\xBB\xBF \n", BodyShape::Empty),
        (
            b"<!DOCTYPE html><html><body>cf-error-details</body></html>",
            BodyShape::Html,
        ),
        (b"<html>\n<head>", BodyShape::Html),
        (b"<!-- x --><HTML></HTML>", BodyShape::Html),
        (b"  [{\"A\":\"1\"}]", BodyShape::Json),
        (b"{}", BodyShape::Json),
        (b"upstream connect error", BodyShape::Text),
        (b"\x1F\x8B\x08\x00", BodyShape::NotUtf8),
        (b"\xFF\xFE<\x00r\x00", BodyShape::NotUtf8),
    ];
    for (body, shape) in cases {
        let error = error_of(body);
        assert_eq!(error.kind(), ErrorKind::NotXml, "{}", body.escape_ascii());
        assert_eq!(error.body_shape(), Some(shape), "{}", body.escape_ascii());
    }
}

#[test]
fn what_no_gateway_sends_is_refused_with_a_reason() {
    let whole = page("query", "count=\"0\"", "");
    let body = whole.split_once('\n').unwrap().1;
    let cases = [
        (format!("{body}{body}"), "more than one root"),
        (format!("{body}x"), "behind"),
        (format!("{body}&amp;"), "behind"),
        (
            format!("<!DOCTYPE response SYSTEM 'file:///etc/passwd'>{body}"),
            "DOCTYPE",
        ),
        (
            format!("<!DOCTYPE r [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]>{body}"),
            "DOCTYPE",
        ),
        (
            format!("<?xml version='1.0' encoding='ISO-8859-1'?>{body}"),
            "encoding",
        ),
        (
            body.replace("<status>success</status>", "<status>&b;</status>"),
            "unknown entity b",
        ),
        (
            body.replace("<status>success</status>", "<status>a & b</status>"),
            "&",
        ),
        (
            body.replace("<status>success</status>", "<status>&#;</status>"),
            "character reference",
        ),
        (
            body.replace("<status>success</status>", "<status>&#xG;</status>"),
            "character reference",
        ),
        (
            body.replace("<status>success</status>", "<status>maybe</status>"),
            "\"maybe\" is not known",
        ),
        (
            body.replace("<status>success</status>", "<status/>"),
            "\"\" is not known",
        ),
        (
            body.replace("<status>success</status>", "<status><x/></status>"),
            "status",
        ),
        (body.replace("</data>", "</dat>"), "end tag"),
        (body.replace("count=\"0\"", "count=\"1e3\""), "count"),
        (body.replace("count=\"0\"", "count=0"), "attribute"),
        (
            body.replace("count=\"0\"", "count=\"0\" count=\"0\""),
            "attribute",
        ),
        (body.replace("count=\"0\"", "count=\"&x;\""), "attribute"),
        (
            body.replace("<control>", "<control><status>success</status>"),
            "second element status",
        ),
        (
            body.replace(
                "<operation>",
                "<control><status>success</status></control><operation>",
            ),
            "second element control",
        ),
        (
            body.replace("</result>", "<data/></result>"),
            "second element data",
        ),
        (body.replace("</data>", "text</data>"), "text"),
        (
            body.replace("</data>", "</data><?xml version='1.0'?>"),
            "second XML declaration",
        ),
        (
            body.replace("</data>", "< ></ ></data>"),
            "not an element name",
        ),
        (
            body.replace("response>", "answer>"),
            "root element is answer",
        ),
    ];
    for (body, reason) in cases {
        let error = error_of(&body);
        assert_eq!(error.kind(), ErrorKind::Protocol, "{reason}: {error}");
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        assert!(error.position().is_some(), "{error}");
    }
}

#[test]
fn a_mark_and_white_space_before_the_document_are_tolerated() {
    let body = format!("\u{FEFF}\r\n {}\n", page("query", "count=\"0\"", ""));
    read_tree(&body).unwrap();
    let late = body.replace("</data>", "</dta>");
    let position = error_of(&late).position().unwrap();
    assert!(
        late[usize::try_from(position).unwrap()..].starts_with("</dta>"),
        "{position}"
    );
}

#[test]
fn illegal_characters_are_dropped_and_counted_or_refused() {
    let raw = page(
        "query",
        "listtype=\"a&#x1F;\u{1}b\" count='1'",
        "<V><A>x\u{0}y&#x1F;&#xD800;&#99999999999;z\u{FFFE}</A></V>",
    );
    let (response, tree) = read_tree(&raw).unwrap();
    assert_eq!(fields(&tree), [("A", Some("xyz"))]);
    assert_eq!(
        response
            .result("f-1")
            .unwrap()
            .data
            .as_ref()
            .unwrap()
            .list_type
            .as_deref(),
        Some("ab")
    );
    assert_eq!(response.dropped_characters, 7);

    let strict = ReadOptions::default().with_illegal_characters(IllegalCharacters::Refuse);
    for bad in ["\u{1F}", "&#x1F;", "&#0;", "&#xFFFF;", "\u{FFFF}"] {
        let record = format!("<V><A>{bad}</A></V>");
        let error = error_with(&page("query", "count='1'", &record), &strict);
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("XML forbids"), "{error}");
    }
    // A dropped character cannot hide markup from the checks.
    assert!(
        error_of("<\u{1}!DOCTYPE r><response/>")
            .to_string()
            .contains("DOCTYPE")
    );
}

#[test]
fn limits_stop_what_has_no_end() {
    let options = ReadOptions::default;
    let deep = page(
        "query",
        "",
        &format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000)),
    );
    let long = page(
        "query",
        "",
        &format!("<V><A>{}</A></V>", "x&amp;".repeat(1000)),
    );
    let wide = page("query", "", &format!("<V>{}</V>", "<A/>".repeat(1000)));
    let many = page("query", "", &"<V/>".repeat(1000));
    let envelope =
        page("query", "", "").replace("</control>", &format!("{}</control>", "<x/>".repeat(1000)));
    let attributes = page("query", "", &format!("<V a=\"{}\"/>", "x".repeat(1000)));
    let cases = [
        (deep, options(), "max_depth"),
        (long, options().with_max_text_bytes(1000), "max_text_bytes"),
        (
            attributes,
            options().with_max_text_bytes(1000),
            "max_text_bytes",
        ),
        (wide.clone(), options().with_max_fields(999), "max_fields"),
        (many.clone(), options().with_max_records(999), "max_records"),
        (envelope, options().with_max_elements(1000), "max_elements"),
    ];
    for (body, options, option) in cases {
        let error = error_with(&body, &options);
        assert_eq!(error.kind(), ErrorKind::Limit, "{option}: {error}");
        assert!(error.to_string().contains(option), "{error}");
    }
    for (body, options) in [
        (wide, options().with_max_fields(1000)),
        (many, options().with_max_records(1000)),
    ] {
        read_response(body.as_bytes(), &options, &mut Discard).unwrap();
    }
}

#[test]
fn an_error_in_a_record_says_which() {
    let body = page("query", "", "<V/><V/><V><A>&nope;</A></V>");
    let error = error_of(&body);
    assert_eq!(error.record(), Some(2));
}

#[test]
fn a_target_forgets_what_failed() {
    let mut tree = Tree::new();
    let broken = page("query", "count='2'", "<V/><V>");
    read_response(broken.as_bytes(), &ReadOptions::default(), &mut tree).unwrap_err();
    assert!(tree.data().is_empty());
    let good = page("query", "count='1'", "<V/>");
    read_response(good.as_bytes(), &ReadOptions::default(), &mut tree).unwrap();
    assert_eq!(tree.data().len(), 1);
    assert_eq!(tree.records("f-1").len(), 1);
}

#[test]
fn statuses_are_told_apart() {
    let body = page("query", "", "").replace("<result><status>success", "<result><status>aborted");
    let (response, _) = read_tree(&body).unwrap();
    assert_eq!(response.result("f-1").unwrap().status, Status::Aborted);
    let failure = response.failure().unwrap();
    assert_eq!(failure.level, Level::Function);
    assert_eq!(failure.cause(), None::<&GatewayError>);
}

/// A random element: a field with text, or a group.
fn any_element() -> impl Strategy<Value = String> {
    let name = "[A-Za-z_][A-Za-z0-9_.]{0,6}";
    let leaf = (name, any_text(), 0..4_u8).prop_map(|(name, text, form)| match form {
        0 => format!("<{name}>{}</{name}>", escape::escape_text(&text)),
        1 => format!("<{name}/>"),
        2 => format!("<{name} a='{}'></{name}>", escape::escape_attribute(&text)),
        _ => format!("<{name}><![CDATA[{}]]></{name}>", text.replace("]]>", "")),
    });
    leaf.prop_recursive(3, 12, 4, move |inner| {
        (name, prop::collection::vec(inner, 1..4))
            .prop_map(|(name, children)| format!("<{name}>{}</{name}>", children.concat()))
    })
}

fn any_page() -> impl Strategy<Value = String> {
    let record = prop::collection::vec(any_element(), 0..4)
        .prop_map(|fields| format!("<V>{}</V>", fields.concat()));
    prop::collection::vec(record, 0..4).prop_map(|records| {
        page(
            "query",
            &format!("count=\"{}\"", records.len()),
            &records.concat(),
        )
    })
}

/// The tree as a plain XML reader builds it.
fn reference(document: &str) -> Vec<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(document);
    let mut lines = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => lines.push(format!("<{}", tag.name().0)),
            Event::Empty(tag) => lines.extend([format!("<{}", tag.name().0), ">".to_owned()]),
            Event::Text(piece) => text.push_str(&piece.xml10_content()),
            Event::CData(piece) => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().unwrap() {
                Some(c) => text.push(c),
                None => text.push_str(quick_xml::escape::resolve_xml_entity(&name).unwrap()),
            },
            Event::End(_) => {
                if !text.is_empty() {
                    lines.push(std::mem::take(&mut text));
                }
                lines.push(">".to_owned());
            }
            Event::Eof => return lines,
            _ => {}
        }
    }
}

fn flattened(element: &Element, lines: &mut Vec<String>) {
    lines.push(format!("<{}", element.name()));
    lines.extend(element.text().map(str::to_owned));
    element
        .children()
        .iter()
        .for_each(|child| flattened(child, lines));
    lines.push(">".to_owned());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_comes_back_sanitised(text in any_text()) {
        let record = format!("<V a=\"{}\"><A>{}</A></V>", escape::escape_attribute(&text), escape::escape_text(&text));
        let (response, tree) = read_tree(&page("query", "count='1'", &record)).unwrap();
        let (clean, _) = sanitise_counted(&text);
        prop_assert_eq!(fields(&tree), [("A", Some(&*clean).filter(|clean| !clean.is_empty()))]);
        prop_assert_eq!(tree.records("f-1")[0].attribute("a"), Some(&*clean));
        prop_assert_eq!(response.dropped_characters, 0);
    }

    #[test]
    fn a_page_reads_as_a_plain_reader_reads_it(body in any_page()) {
        let (response, tree) = read_tree(&body).unwrap();
        let (clean, dropped) = sanitise_counted(&body);
        prop_assert_eq!(response.dropped_characters, dropped);
        let data = clean.split_once("<data").unwrap().1.split_once('>').unwrap().1;
        let records = data.rsplit_once("</data>").unwrap().0;
        let mut lines = Vec::new();
        tree.records("f-1").iter().for_each(|record| flattened(record, &mut lines));
        prop_assert_eq!(lines, reference(records));
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_response(&body, &ReadOptions::default(), &mut Tree::new());
        let _ = read_error_message(&body, &ReadOptions::default());
    }

    #[test]
    fn no_damage_to_a_page_panics(
        body in any_page(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"<>&;'\"/!?[]-\0\x1F\xEF =xD"[..])), 1..6),
    ) {
        let mut body = body.into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let _ = read_response(&body, &ReadOptions::default(), &mut Tree::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_prefix_of_a_page_is_a_page(body in any_page()) {
        for cut in 0..body.len() {
            let error = error_of(&body.as_bytes()[..cut]);
            let expected = if cut == 0 { ErrorKind::NotXml } else { ErrorKind::Truncated };
            prop_assert_eq!(error.kind(), expected, "cut at {}: {}", cut, error);
        }
    }
}

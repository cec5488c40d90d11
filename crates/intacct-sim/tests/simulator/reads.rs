//! The legacy reads and the metadata functions.

use intacct_sim::Scale;

use crate::truth::{Fields, amount, cents, of, start, text, truth};
use crate::wire::{Answer, Wire, escape, value};

fn sql(object: &str, query: &str, rest: &str) -> String {
    let query = escape(query);
    format!("<readByQuery><object>{object}</object><query>{query}</query>{rest}</readByQuery>")
}

fn more(answer: &Answer) -> String {
    format!(
        "<readMore><resultId>{}</resultId></readMore>",
        answer.data["resultId"]
    )
}

#[tokio::test]
async fn results_are_read_page_by_page() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let all = of(simulator.company(), "APBILL").len();
    let body = wire
        .text(&sql("APBILL", "", "<pagesize>40</pagesize>"))
        .await;
    assert!(body.contains("<apbill><RECORDNO>") && body.contains("listtype=\"apbill\""));
    let mut answer = Answer::read(&body);
    let mut seen = Vec::new();
    loop {
        seen.extend(answer.column("RECORDNO"));
        assert_eq!(answer.number("totalcount"), all);
        assert_eq!(answer.number("numremaining"), all - seen.len());
        if answer.number("numremaining") == 0 {
            break;
        }
        answer = wire.ok(&more(&answer)).await;
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all);
    // Read to its end, the result is gone.
    wire.fails(&more(&answer)).await;
}

#[tokio::test]
async fn results_belong_to_their_session() {
    let simulator = start(1, Scale::Tiny).await;
    let (one, other) = (
        Wire::session(&simulator).await,
        Wire::session(&simulator).await,
    );
    let answer = one.ok(&sql("APBILL", "", "<pagesize>10</pagesize>")).await;
    other.fails(&more(&answer)).await;
    one.ok(&more(&answer)).await;
    one.fails("<readMore><resultId>made-up</resultId></readMore>")
        .await;
    // A login opens no session: its results cannot be read on.
    let login = Wire::to(&simulator);
    let answer = login
        .ok(&sql("APBILL", "", "<pagesize>10</pagesize>"))
        .await;
    login.fails(&more(&answer)).await;
}

#[tokio::test]
async fn empty_results_are_empty_elements() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let body = wire.text(&sql("DEPARTMENT", "TITLE = 'none'", "")).await;
    let expected = "<data listtype=\"department\" count=\"0\" totalcount=\"0\" numremaining=\"0\" resultId=\"\"/>";
    assert!(body.contains(expected), "{body}");
}

#[tokio::test]
async fn query_texts_agree_with_a_naive_evaluation() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let records = of(simulator.company(), "APBILL");
    let name = text(&records[3], "VENDORNAME").to_owned();
    let quoted = name.replace('\'', "\\'");
    let is = |field: &'static str, wanted: &'static str| {
        move |bill: &Fields| text(bill, field) == wanted
    };
    let total = |bill: &Fields| amount(bill, "TOTALENTERED");
    type Naive<'n> = Box<dyn Fn(&Fields) -> bool + 'n>;
    let cases: Vec<(String, Naive<'_>)> = vec![
        (
            "TOTALENTERED > 1000".into(),
            Box::new(|b| total(b) > 100_000),
        ),
        (
            "TOTALENTERED <= '1000.00'".into(),
            Box::new(|b| total(b) <= 100_000),
        ),
        (
            "not (TOTALENTERED > 1000)".into(),
            Box::new(|b| total(b) <= 100_000),
        ),
        (
            format!("VENDORNAME = '{quoted}'"),
            Box::new(|b| text(b, "VENDORNAME") == name),
        ),
        (
            format!("VENDORNAME != '{quoted}'"),
            Box::new(|b| text(b, "VENDORNAME") != name),
        ),
        (
            "VENDORNAME like '%a%'".into(),
            Box::new(|b| text(b, "VENDORNAME").contains('a')),
        ),
        (
            "VENDORNAME not like '%a%'".into(),
            Box::new(|b| !text(b, "VENDORNAME").contains('a')),
        ),
        // Posted and paid bills share a stored code; labels mean nothing here.
        ("STATE = 'A'".into(), Box::new(is("RAWSTATE", "A"))),
        ("STATE = 'Posted'".into(), Box::new(|_| false)),
        (
            "STATE in ('D','S')".into(),
            Box::new(|b| ["D", "S"].contains(&text(b, "RAWSTATE"))),
        ),
        (
            "STATE NOT IN ('D','S')".into(),
            Box::new(is("RAWSTATE", "A")),
        ),
        ("ONHOLD = 'T'".into(), Box::new(is("ONHOLD", "true"))),
        (
            "DESCRIPTION IS NULL".into(),
            Box::new(|b| text(b, "DESCRIPTION").is_empty()),
        ),
        (
            "DESCRIPTION is not null".into(),
            Box::new(|b| !text(b, "DESCRIPTION").is_empty()),
        ),
        (
            "NOT (DESCRIPTION is not null or STATE = 'A')".into(),
            Box::new(|b| text(b, "DESCRIPTION").is_empty() && text(b, "RAWSTATE") != "A"),
        ),
        (
            "WHENDUE >= '06/15/2025' AND (STATE = 'A' OR TOTALENTERED < 10)".into(),
            Box::new(|b| {
                crate::truth::instant(text(b, "WHENDUE")).as_str() >= "2025-06-15"
                    && (text(b, "RAWSTATE") == "A" || total(b) < 1_000)
            }),
        ),
        (
            "STATE = 'D' OR STATE = 'A' AND TOTALENTERED < 100".into(),
            Box::new(|b| {
                text(b, "RAWSTATE") == "D" || text(b, "RAWSTATE") == "A" && total(b) < 10_000
            }),
        ),
        (
            "RECORDNO > 999".into(),
            Box::new(|b| text(b, "RECORDNO").parse::<u64>().unwrap() > 999),
        ),
        (
            "WHENMODIFIED >= '06/15/2025 10:00:00'".into(),
            Box::new(|b| {
                let at = text(b, "WHENMODIFIED");
                !at.is_empty() && crate::truth::instant(at).as_str() >= "2025-06-15 10:00:00"
            }),
        ),
    ];
    for (query, naive) in cases {
        let answer = wire
            .ok(&sql(
                "APBILL",
                &query,
                "<fields>RECORDNO</fields><pagesize>1000</pagesize>",
            ))
            .await;
        let mut got = answer.column("RECORDNO");
        got.sort();
        let mut expected: Vec<_> = records
            .iter()
            .filter(|b| naive(b))
            .map(|b| text(b, "RECORDNO").to_owned())
            .collect();
        expected.sort();
        assert_eq!(got, expected, "{query}");
    }
}

#[tokio::test]
async fn query_texts_that_the_gateway_does_not_take() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let deep = "(".repeat(10_000);
    for query in [
        "WHENMODIFIED > '2026-01-01'",
        "WHENDUE > '2026-01-01T00:00:00Z'",
        "TOTALENTERED > 'much'",
        "RECORDNO > 0 ORDER BY RECORDNO",
        "NOSUCH = 'x'",
        "VENDOR.NAME = 'x'",
        "ONHOLD = 'true'",
        "STATE = 'A",
        "STATE =",
        "STATE",
        "(STATE = 'A'",
        "STATE = A",
        "STATE in ()",
        "STATE; drop",
        &deep,
    ] {
        let fault = wire.fails(&sql("APBILL", query, "")).await;
        assert_eq!(fault.number, "DL02000001", "{query}");
    }
    let fault = wire
        .fails(&sql("APBILL", "", "<fields>RECORDNO,NOSUCH</fields>"))
        .await;
    assert_eq!(fault.number, "Invalid fields list NOSUCH");
    wire.fails(&sql("APBILL", "", "<pagesize>1001</pagesize>"))
        .await;
    wire.breaks_schema(&sql("APBILL", "", "<returnFormat>yaml</returnFormat>"))
        .await;
    wire.breaks_schema(&sql("APBILL", "", "<orderby>RECORDNO</orderby>"))
        .await;
    let fault = wire.fails(&sql("NOSUCH", "", "")).await;
    assert_eq!(fault.text, "Object definition NOSUCH not found");
}

#[tokio::test]
async fn records_are_read_by_number_and_by_name() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let truth = truth(simulator.company());
    let bill = truth["APBILL"]
        .iter()
        .find(|bill| amount(bill, "TOTALENTERED") > 0)
        .unwrap();
    let number = text(bill, "RECORDNO");
    let read = |function: &str, object: &str, keys: &str| {
        format!(
            "<{function}><object>{object}</object><keys>{keys}</keys><fields>*</fields></{function}>"
        )
    };
    let body = wire
        .text(&read("read", "APBILL", &format!("{number},1")))
        .await;
    assert!(
        body.contains("<data listtype=\"APBILL\" count=\"1\"><APBILL>"),
        "{body}"
    );
    let lines = truth["APBILLITEM"]
        .iter()
        .filter(|line| text(line, "RECORDKEY") == number)
        .count();
    assert!(body.contains("<APBILLITEMS><apbillitem>"));
    assert_eq!(body.matches("<apbillitem>").count(), lines);
    let answer = Answer::read(&body);
    assert_eq!(
        cents(value(&answer.records[0], "TOTALDUE").unwrap()),
        amount(bill, "TOTALDUE")
    );

    let answer = wire
        .ok(&read("readByName", "VENDOR", "V00001,V99999,V00002"))
        .await;
    assert_eq!(answer.column("VENDORID"), ["V00001", "V00002"]);
    let answer = wire
        .ok("<read><object>CLASS</object><keys>1</keys><fields>NAME</fields></read>")
        .await;
    assert_eq!(answer.records[0].len(), 1);
    let keys = vec!["1"; 101].join(",");
    wire.fails(&read("read", "CLASS", &keys)).await;
    wire.fails(&read("readByName", "NOSUCH", "1")).await;
}

#[tokio::test]
async fn objects_describe_themselves() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let body = wire.text("<lookup><object>VENDOR</object></lookup>").await;
    assert!(
        body.contains("<Type Name=\"VENDOR\" DocumentType=\"\"><Fields><Field><ID>RECORDNO</ID>")
    );
    let field = |body: &str, name: &str| {
        let from = body.find(&format!("<ID>{name}</ID>")).unwrap();
        body[from..from + body[from..].find("</Field>").unwrap()].to_owned()
    };
    assert!(field(&body, "RECORDNO").contains("<DATATYPE>INTEGER</DATATYPE>"));
    assert!(field(&body, "LEGACY_CODE").contains("<ISCUSTOM>true</ISCUSTOM>"));
    assert!(field(&body, "STATUS").contains("<VALIDVALUE>inactive</VALIDVALUE>"));
    assert!(field(&body, "WHENMODIFIED").contains("<DATATYPE>TIMESTAMP</DATATYPE>"));
    let body = wire.text("<lookup><object>APBILL</object></lookup>").await;
    assert!(field(&body, "RECORDNO").contains("<DATATYPE>TEXT</DATATYPE>"));
    assert!(field(&body, "WHENCREATED").contains("<DATATYPE>DATE</DATATYPE>"));
    assert!(body.contains("<OBJECTPATH>VENDOR</OBJECTPATH><OBJECTNAME>VENDOR</OBJECTNAME>"));
    // Every record has exactly the fields that lookup names.
    for name in simulator.company().objects().into_keys() {
        let body = wire
            .text(&format!("<lookup><object>{name}</object></lookup>"))
            .await;
        let fields: Vec<&str> = body
            .split("<ID>")
            .skip(1)
            .map(|rest| rest.split("</ID>").next().unwrap())
            .collect();
        if let Some(record) = simulator.company().records(&name).unwrap().first() {
            assert!(
                record
                    .iter()
                    .map(|(field, _)| &**field)
                    .eq(fields.iter().copied()),
                "{name}"
            );
        }
        let mut unique = fields.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), fields.len(), "{name} names a field twice");
    }
    wire.fails("<lookup><object>NOSUCH</object></lookup>").await;
    let body = wire.text("<inspect><object>*</object></inspect>").await;
    assert!(
        body.contains("<type typename=\"VENDOR\">Vendor</type>"),
        "{body}"
    );
    let body = wire
        .text("<inspect detail=\"1\"><object>VENDOR</object></inspect>")
        .await;
    assert!(body.contains("<Name>VENDORID</Name>"));
    let body = wire
        .text("<inspect><object>VENDOR</object></inspect>")
        .await;
    assert!(body.contains("<Field>VENDORID</Field>"));
    let body = wire.text("<getDimensions/>").await;
    assert!(body.contains("<objectName>DEPARTMENT</objectName>"));
    let body = wire
        .text("<readUserFormatting><userId>sim-user</userId></readUserFormatting>")
        .await;
    assert!(
        body.contains("<gmtoffset>+00:00</gmtoffset>")
            && body.contains("<dateformat>/mdY</dateformat>")
    );
}

/// The columns that the published reporting models read, and the fields that lookup needs for them.
#[tokio::test]
async fn the_reporting_columns_are_there() {
    let simulator = start(1, Scale::Tiny).await;
    let company = simulator.company();
    let wanted = [
        (
            "GLDETAIL",
            "RECORDNO ACCOUNTNO ACCOUNTTITLE AMOUNT BASECURR BATCH_DATE BATCH_NO BATCH_TITLE BATCHKEY BOOKID CLASSID CLASSNAME CREDITAMOUNT CURRENCY CUSTOMERID CUSTOMERNAME DEBITAMOUNT DEPARTMENTID DEPARTMENTTITLE DESCRIPTION DOCNUMBER DOCUMENT ENTRY_DATE ENTRY_STATE ENTRYDESCRIPTION LINE_NO LOCATIONID LOCATIONNAME MODIFIED PRDESCRIPTION RECORDID RECORDTYPE TOTALDUE TOTALENTERED TOTALPAID TR_TYPE TRX_AMOUNT TRX_CREDITAMOUNT TRX_DEBITAMOUNT VENDORID VENDORNAME WHENCREATED WHENDUE WHENMODIFIED WHENPAID",
        ),
        (
            "GLBATCH",
            "RECORDNO BASELOCATION BASELOCATION_NO BATCH_DATE BATCH_TITLE BATCHNO CREATEDBY JOURNAL MEGAENTITYID MEGAENTITYKEY MEGAENTITYNAME MODIFIED MODIFIEDBY MODIFIEDBYID MODULE PRBATCHKEY REFERENCENO REVERSED REVERSEDFROM REVERSEDKEY STATE TAXIMPLICATIONS TEMPLATEKEY USERINFO.LOGINID USERKEY WHENCREATED WHENMODIFIED",
        ),
        (
            "GLACCOUNT",
            "ACCOUNTNO ACCOUNTTYPE ALTERNATIVEACCOUNT CATEGORY CATEGORYKEY CLOSETOACCTKEY CLOSINGACCOUNTNO CLOSINGACCOUNTTITLE CLOSINGTYPE CREATEDBY MODIFIEDBY NORMALBALANCE RECORDNO REQUIRECLASS REQUIRECUSTOMER REQUIREDEPT REQUIREEMPLOYEE REQUIREITEM REQUIRELOC REQUIREPROJECT REQUIREVENDOR REQUIREWAREHOUSE STATUS TAXABLE TITLE WHENCREATED WHENMODIFIED",
        ),
        (
            "APBILL",
            "RECORDNO AUWHENCREATED BASECURR BILLTOPAYTOCONTACTNAME BILLTOPAYTOKEY CURRENCY DESCRIPTION DOCNUMBER DUE_IN_DAYS RECORDID RECORDTYPE SHIPTORETURNTOCONTACTNAME SHIPTORETURNTOKEY STATE TOTALDUE TOTALENTERED TOTALPAID VENDORID VENDORNAME WHENCREATED WHENDUE WHENMODIFIED WHENPAID WHENPOSTED",
        ),
        (
            "APBILLITEM",
            "RECORDNO RECORDKEY ACCOUNTKEY ACCOUNTNO ACCOUNTTITLE AMOUNT BASECURR BASELOCATION BILLABLE BILLED CLASSID CLASSNAME CREATEDBY CURRENCY CUSTOMERID CUSTOMERNAME DEPARTMENTID DEPARTMENTNAME ENTRY_DATE ENTRYDESCRIPTION EXCHANGE_RATE ITEMID ITEMNAME LINE_NO LINEITEM LOCATIONID LOCATIONNAME OFFSETGLACCOUNTNO OFFSETGLACCOUNTTITLE PROJECTID PROJECTNAME RECORDTYPE STATE TOTALPAID TOTALSELECTED VENDORID VENDORNAME WHENCREATED WHENMODIFIED",
        ),
        (
            "ARINVOICE",
            "RECORDNO AUWHENCREATED BASECURR BILLTOPAYTOCONTACTNAME BILLTOPAYTOKEY CREATEDBY CURRENCY CUSTOMERID CUSTOMERNAME DESCRIPTION DOCNUMBER DUE_IN_DAYS MEGAENTITYID MEGAENTITYNAME RECORDID RECORDTYPE SHIPTORETURNTOCONTACTNAME SHIPTORETURNTOKEY STATE TOTALDUE TOTALENTERED TOTALPAID WHENCREATED WHENDISCOUNT WHENDUE WHENMODIFIED WHENPAID WHENPOSTED",
        ),
        (
            "ARINVOICEITEM",
            "RECORDNO RECORDKEY ACCOUNTKEY ACCOUNTNO ACCOUNTTITLE AMOUNT BASECURR BASELOCATION CLASSID CLASSNAME CURRENCY CUSTOMERID CUSTOMERNAME DEPARTMENTID DEPARTMENTNAME ENTRY_DATE ENTRYDESCRIPTION EXCHANGE_RATE ITEMID ITEMNAME LINE_NO LINEITEM LOCATIONID LOCATIONNAME OFFSETGLACCOUNTNO OFFSETGLACCOUNTTITLE RECORDTYPE STATE TOTALPAID TOTALSELECTED VENDORID VENDORNAME WAREHOUSEID WAREHOUSENAME WHENCREATED WHENMODIFIED",
        ),
    ];
    for (object, fields) in wanted {
        let record = &company.records(object).unwrap()[0];
        for field in fields.split_whitespace() {
            assert!(
                record.iter().any(|(name, _)| name == field),
                "{object}.{field}"
            );
        }
    }
    for account in of(company, "GLACCOUNT") {
        assert!(["balancesheet", "incomestatement"].contains(&text(&account, "ACCOUNTTYPE")));
        assert!(["debit", "credit"].contains(&text(&account, "NORMALBALANCE")));
    }
}

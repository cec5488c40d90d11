//! Records as serde structs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use intacct_xml::response::{ReadOptions, Records, read_response};
use intacct_xml::{Error, ErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(records: &str) -> Result<Vec<T>, Error> {
    let body = format!(
        "<response><control><status>success</status></control><operation><authentication><status>success</status>\
         </authentication><result><status>success</status><function>read</function><controlid>f</controlid>\
         <data>{records}</data></result></operation></response>"
    );
    let mut target = Records::<T>::new();
    read_response(body.as_bytes(), &ReadOptions::default(), &mut target)?;
    Ok(target.into_vec())
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "UPPERCASE")]
struct Bill {
    recordno: u64,
    line: Option<i32>,
    name: Option<String>,
    note: String,
    paid: Option<bool>,
    amount: Option<String>,
    state: Option<State>,
    #[serde(rename = "DISPLAYCONTACT.MAILADDRESS.CITY")]
    city: Option<String>,
    apbillitems: Option<Lines>,
}

#[derive(Debug, Deserialize, PartialEq)]
enum State {
    Posted,
    #[serde(rename = "Partially Paid")]
    PartiallyPaid,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Lines {
    apbillitem: Vec<Line>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
struct Line {
    amount: String,
}

#[test]
fn fields_become_their_types() {
    let bills: Vec<Bill> = read(
        "<APBILL><RECORDNO>12.0</RECORDNO><LINE>-3</LINE><NAME> A &amp; B </NAME><PAID>T</PAID><AMOUNT>.50</AMOUNT>\
         <STATE>Partially Paid</STATE><DISPLAYCONTACT.MAILADDRESS.CITY>Ulm</DISPLAYCONTACT.MAILADDRESS.CITY>\
         <NEW>?</NEW><NEW>?</NEW><APBILLITEMS><apbillitem><AMOUNT>1</AMOUNT></apbillitem>\
         <apbillitem><AMOUNT>2</AMOUNT></apbillitem></APBILLITEMS></APBILL>\
         <APBILL><RECORDNO>2</RECORDNO><LINE></LINE><NAME/><NOTE/><PAID/><STATE/><APBILLITEMS/></APBILL>",
    )
    .unwrap();
    let line = |amount: &str| Line {
        amount: amount.to_owned(),
    };
    let first = Bill {
        recordno: 12,
        line: Some(-3),
        name: Some(" A & B ".to_owned()),
        paid: Some(true),
        amount: Some(".50".to_owned()),
        state: Some(State::PartiallyPaid),
        city: Some("Ulm".to_owned()),
        apbillitems: Some(Lines {
            apbillitem: vec![line("1"), line("2")],
        }),
        ..Bill::default()
    };
    assert_eq!(
        bills,
        [
            first,
            Bill {
                recordno: 2,
                ..Bill::default()
            }
        ]
    );
}

#[test]
fn one_line_is_a_list_too() {
    let bills: Vec<Bill> =
        read("<B><APBILLITEMS><apbillitem><AMOUNT>1</AMOUNT></apbillitem></APBILLITEMS></B>")
            .unwrap();
    assert_eq!(bills[0].apbillitems.as_ref().unwrap().apbillitem.len(), 1);
}

#[test]
fn maps_hold_whatever_comes() {
    let maps: Vec<BTreeMap<String, Option<String>>> = read("<V><A>1</A><B/></V>").unwrap();
    assert_eq!(
        maps[0],
        BTreeMap::from([
            ("A".to_owned(), Some("1".to_owned())),
            ("B".to_owned(), None)
        ])
    );
}

#[test]
fn a_value_that_does_not_fit_names_record_and_field_and_is_not_quoted() {
    let good = "<B><RECORDNO>1</RECORDNO></B>";
    let cases = [
        ("<RECORDNO>secret</RECORDNO>", "RECORDNO"),
        ("<RECORDNO>12.5</RECORDNO>", "RECORDNO"),
        ("<RECORDNO>-1</RECORDNO>", "RECORDNO"),
        ("<RECORDNO/>", "RECORDNO"),
        ("<LINE>2147483648</LINE>", "LINE"),
        ("<PAID>secret</PAID>", "PAID"),
        ("<STATE>secret</STATE>", "STATE"),
        ("<NAME>a</NAME><NAME>b</NAME>", "NAME"),
        ("<NAME>a</NAME><LINE/><NAME>b</NAME>", "NAME"),
        ("<NAME><secret/></NAME>", "NAME"),
        (
            "<APBILLITEMS><apbillitem><X/></apbillitem></APBILLITEMS>",
            "APBILLITEMS/apbillitem/AMOUNT",
        ),
    ];
    for (fields, field) in cases {
        let error = read::<Bill>(&format!("{good}<B>{fields}</B>")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{fields}: {error}");
        assert_eq!(error.record(), Some(1), "{fields}: {error}");
        assert_eq!(error.field(), Some(field), "{fields}: {error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    let twice = read::<BTreeMap<String, String>>("<V><A>1</A><B>2</B><A>3</A></V>").unwrap_err();
    assert_eq!(twice.field(), Some("A"));
}

#[test]
fn money_is_never_a_float() {
    #[derive(Debug, Deserialize)]
    struct Money {
        #[serde(rename = "AMOUNT")]
        _amount: f64,
    }
    let error = read::<Money>("<V><AMOUNT>0.1</AMOUNT></V>").unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Data, Some("AMOUNT"))
    );
}

#[test]
fn the_words_of_foreign_code_stay_out_of_the_message() {
    #[derive(Debug)]
    struct Picky;
    impl<'de> Deserialize<'de> for Picky {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            Err(serde::de::Error::custom(format!("{text} is wrong")))
        }
    }
    #[derive(Debug, Deserialize)]
    struct Record {
        #[serde(rename = "TAXID")]
        _tax: Picky,
    }
    let error = read::<Record>("<V><TAXID>secret</TAXID></V>").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
    assert_eq!(error.detail(), Some("secret is wrong"));
}

#[test]
fn text_beside_fields_is_not_lost_in_silence() {
    let error = read::<Bill>("<B>text<RECORDNO>1</RECORDNO></B>").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn a_page_that_is_cut_gives_no_records() {
    let mut target = Records::<Bill>::new();
    let cut = b"<response><control><status>success</status></control><operation><authentication>\
        <status>success</status></authentication><result><status>success</status><function>query</function>\
        <controlid>f</controlid><data><B><RECORDNO>1</RECORDNO></B>";
    read_response(cut, &ReadOptions::default(), &mut target).unwrap_err();
    assert!(target.as_slice().is_empty());
}

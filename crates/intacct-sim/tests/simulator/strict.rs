//! Requests that break the order of elements, or hold what the schema does not know.

use intacct_sim::Scale;

use crate::truth::start;
use crate::wire::{Answer, LOGIN, Wire, condition, function, query};

/// Every order in which two neighbours have changed places.
fn swapped(parts: &[&str]) -> Vec<String> {
    (1..parts.len())
        .map(|at| {
            let mut parts = parts.to_vec();
            parts.swap(at - 1, at);
            parts.concat()
        })
        .collect()
}

fn breaks(body: &str) {
    assert!(
        body.contains("XL03000003") && !body.contains("<operation>"),
        "{body}"
    );
}

#[tokio::test]
async fn a_child_that_is_moved_is_refused_where_order_matters() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let call = query("CLASS", &["NAME"], "");
    let request = wire.request(&function("f", &call));

    let control = [
        "<senderid>sim-sender</senderid>",
        "<password>sim-sender-password</password>",
        "<controlid>c</controlid>",
        "<uniqueid>false</uniqueid>",
        "<dtdversion>3.0</dtdversion>",
        "<debug>x</debug>",
        "<includewhitespace>false</includewhitespace>",
        "<showadditionalerrorinfo>false</showadditionalerrorinfo>",
    ];
    let (before, rest) = request.split_once("<control>").unwrap();
    let (_, after) = rest.split_once("</control>").unwrap();
    let with = |control: &str| format!("{before}<control>{control}</control>{after}");
    let body = wire.raw(&with(&control.concat())).await;
    assert_eq!(Answer::read(&body).status, "success", "{body}");
    for moved in swapped(&control) {
        breaks(&wire.raw(&with(&moved)).await);
    }
    for part in control {
        let twice = control.concat().replace(part, &part.repeat(2));
        breaks(&wire.raw(&with(&twice)).await);
    }

    let login = [
        "<userid>sim-user</userid>",
        "<companyid>DEMO</companyid>",
        "<password>sim-user-password</password>",
        "<clientid/>",
        "<locationid/>",
    ];
    let as_login = |login: &str| {
        let login = format!("<login>{login}</login>");
        Wire::to(&simulator)
            .request(&function("f", &call))
            .replace(LOGIN, &login)
    };
    let body = wire.raw(&as_login(&login.concat())).await;
    assert_eq!(Answer::read(&body).status, "success", "{body}");
    for moved in swapped(&login) {
        breaks(&wire.raw(&as_login(&moved)).await);
    }

    let (start, end) = request.split_once("<content>").unwrap();
    let (start, authentication) = start.split_once("<authentication>").unwrap();
    let content = end.strip_suffix("</operation></request>").unwrap();
    let operation = [
        &format!("<authentication>{authentication}"),
        "<preferences/>",
        &format!("<content>{content}"),
    ];
    let with = |operation: &str| format!("{start}{operation}</operation></request>");
    let body = wire.raw(&with(&operation.concat())).await;
    assert_eq!(Answer::read(&body).status, "success", "{body}");
    for moved in swapped(&operation) {
        breaks(&wire.raw(&with(&moved)).await);
    }

    for (frame, parts) in [
        (
            ["<options>", "</options>"],
            &[
                "<caseinsensitive>false</caseinsensitive>",
                "<showprivate>false</showprivate>",
                "<returnformat>xml</returnformat>",
            ][..],
        ),
        (
            ["<orderby><order>", "</order></orderby>"],
            &["<field>NAME</field>", "<descending/>"],
        ),
        (
            ["<filter><equalto>", "</equalto></filter>"],
            &["<field>NAME</field>", "<value>x</value>"],
        ),
    ] {
        let with = |parts: &str| query("CLASS", &["NAME"], &[frame[0], parts, frame[1]].concat());
        wire.ok(&with(&parts.concat())).await;
        for moved in swapped(parts) {
            wire.breaks_schema(&with(&moved)).await;
        }
    }
}

#[tokio::test]
async fn children_of_functions_come_in_any_order_and_once() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let equal = condition("equalto", "NAME", &["x"]);
    for (call, parts) in [
        (
            "query",
            &[
                "<object>CLASS</object>",
                "<select><field>NAME</field></select>",
                &format!("<filter>{equal}</filter>"),
                "<orderby><order><field>NAME</field></order></orderby>",
                "<options/>",
                "<pagesize>10</pagesize>",
                "<offset>0</offset>",
            ][..],
        ),
        (
            "readByQuery",
            &[
                "<object>CLASS</object>",
                "<query/>",
                "<fields>*</fields>",
                "<pagesize>10</pagesize>",
                "<returnFormat>xml</returnFormat>",
            ],
        ),
        (
            "read",
            &[
                "<object>CLASS</object>",
                "<keys>1</keys>",
                "<fields>*</fields>",
                "<returnFormat>xml</returnFormat>",
            ],
        ),
    ] {
        for moved in swapped(parts) {
            wire.ok(&format!("<{call}>{moved}</{call}>")).await;
        }
        for part in parts {
            let twice = format!("<{call}>{}{part}</{call}>", parts.concat());
            wire.breaks_schema(&twice).await;
        }
        let unknown = format!("<{call}>{}<unknown/></{call}>", parts.concat());
        wire.breaks_schema(&unknown).await;
    }
}

#[tokio::test]
async fn text_beside_elements_and_foreign_tokens_are_refused() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let call = query("CLASS", &["NAME"], "stray");
    assert!(wire.breaks_schema(&call).await.contains("of 'query'"));
    let mut token = Wire::to(&simulator);
    token.authentication = "<oauth>somebody's</oauth>".to_owned();
    let body = token.text(&query("CLASS", &["NAME"], "")).await;
    assert!(body.contains("<operation><authentication><status>failure</status>"));
    assert!(body.contains("Sign-in information is incorrect"));
}

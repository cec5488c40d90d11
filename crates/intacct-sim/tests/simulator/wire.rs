//! Speaking to a simulator in plain XML over HTTP.

use std::collections::BTreeMap;

use intacct_sim::RunningSimulator;
use roxmltree::{Document, Node};

/// A caller with a session or with a login.
pub(crate) struct Wire {
    pub(crate) url: String,
    client: reqwest::Client,
    pub(crate) authentication: String,
}

/// An answer to one function: what its `result` says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) errors: Vec<Fault>,
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) records: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) number: String,
    pub(crate) text: String,
}

/// Fields of a record in the order in which they came; empty is none.
pub(crate) type Row = Vec<(String, Option<String>)>;

pub(crate) const LOGIN: &str = "<login><userid>sim-user</userid><companyid>DEMO</companyid>\
    <password>sim-user-password</password></login>";

impl Wire {
    pub(crate) fn to(simulator: &RunningSimulator) -> Self {
        Self {
            url: simulator.url().to_owned(),
            client: reqwest::Client::new(),
            authentication: LOGIN.to_owned(),
        }
    }

    /// A caller with a session of its own.
    pub(crate) async fn session(simulator: &RunningSimulator) -> Self {
        let mut wire = Self::to(simulator);
        wire.open_session("<getAPISession/>").await;
        wire
    }

    /// Opens a session through the given call and goes on with it.
    pub(crate) async fn open_session(&mut self, call: &str) -> String {
        let body = self.text(call).await;
        let id = between(&body, "<sessionid>", "</sessionid>")
            .expect("a session")
            .to_owned();
        self.authentication = format!("<sessionid>{id}</sessionid>");
        body
    }

    pub(crate) async fn post(&self, body: String) -> reqwest::Response {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/xml");
        request.body(body).send().await.expect("an answer")
    }

    /// The answer to a request of one function, as text.
    pub(crate) async fn text(&self, call: &str) -> String {
        self.raw(&self.request(&function("f-1", call))).await
    }

    pub(crate) async fn raw(&self, body: &str) -> String {
        self.post(body.to_owned())
            .await
            .text()
            .await
            .expect("a body")
    }

    /// A whole request around functions.
    pub(crate) fn request(&self, functions: &str) -> String {
        self.request_with("<uniqueid>false</uniqueid>", "false", functions)
    }

    pub(crate) fn request_with(&self, unique: &str, transaction: &str, functions: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><request><control>\
             <senderid>sim-sender</senderid><password>sim-sender-password</password>\
             <controlid>c-1</controlid>{unique}<dtdversion>3.0</dtdversion>\
             <includewhitespace>false</includewhitespace></control>\
             <operation transaction=\"{transaction}\"><authentication>{}</authentication>\
             <content>{functions}</content></operation></request>",
            self.authentication
        )
    }

    pub(crate) async fn call(&self, call: &str) -> Answer {
        Answer::read(&self.text(call).await)
    }

    /// Calls and expects success.
    pub(crate) async fn ok(&self, call: &str) -> Answer {
        let answer = self.call(call).await;
        assert_eq!(answer.status, "success", "{call}: {:?}", answer.errors);
        answer
    }

    /// Calls and expects a failure of the function.
    pub(crate) async fn fails(&self, call: &str) -> Fault {
        let answer = self.call(call).await;
        assert_eq!(answer.status, "failure", "{call}");
        answer.errors.into_iter().next().expect("an error")
    }

    /// Calls and expects a control failure for a breach of the schema.
    pub(crate) async fn breaks_schema(&self, call: &str) -> String {
        let body = self.text(call).await;
        assert!(
            body.contains("XL03000003") && !body.contains("<operation>"),
            "{call}: {body}"
        );
        body
    }
}

impl Answer {
    /// Reads the first result of an answer.
    pub(crate) fn read(body: &str) -> Self {
        Self::all(body).into_iter().next().expect("a result")
    }

    pub(crate) fn all(body: &str) -> Vec<Self> {
        let document = Document::parse(body).expect("well-formed XML");
        let results = document
            .descendants()
            .filter(|node| node.has_tag_name("result"));
        results.map(Self::of).collect()
    }

    fn of(result: Node<'_, '_>) -> Self {
        let text = |name: &str| {
            let node = result.children().find(|node| node.has_tag_name(name));
            node.and_then(|node| node.text())
                .unwrap_or_default()
                .to_owned()
        };
        let data = result.children().find(|node| node.has_tag_name("data"));
        let attributes = data.map(|data| {
            data.attributes()
                .map(|a| (a.name().into(), a.value().into()))
        });
        let records = data.map(|data| data.children().filter(Node::is_element).map(row).collect());
        Self {
            status: text("status"),
            errors: faults(result),
            data: attributes.map(Iterator::collect).unwrap_or_default(),
            records: records.unwrap_or_default(),
        }
    }

    pub(crate) fn number(&self, attribute: &str) -> usize {
        self.data[attribute].parse().expect("a number")
    }

    /// The values of one field over all records.
    pub(crate) fn column(&self, field: &str) -> Vec<String> {
        self.records
            .iter()
            .map(|row| value(row, field).unwrap_or_default().to_owned())
            .collect()
    }
}

pub(crate) fn faults(node: Node<'_, '_>) -> Vec<Fault> {
    let errors = node.descendants().filter(|node| node.has_tag_name("error"));
    errors
        .map(|error| {
            let text = |name: &str| {
                let node = error.children().find(|node| node.has_tag_name(name));
                node.and_then(|node| node.text())
                    .unwrap_or_default()
                    .to_owned()
            };
            Fault {
                number: text("errorno"),
                text: text("description2"),
            }
        })
        .collect()
}

fn row(record: Node<'_, '_>) -> Row {
    let fields = record.children().filter(Node::is_element);
    fields
        .map(|field| {
            let text: String = field.children().filter_map(|piece| piece.text()).collect();
            (
                field.tag_name().name().to_owned(),
                Some(text).filter(|text| !text.is_empty()),
            )
        })
        .collect()
}

pub(crate) fn value<'r>(row: &'r Row, field: &str) -> Option<&'r str> {
    row.iter()
        .find(|(name, _)| name == field)
        .and_then(|(_, text)| text.as_deref())
}

pub(crate) fn function(control_id: &str, call: &str) -> String {
    format!("<function controlid=\"{control_id}\">{call}</function>")
}

/// A `query` call from its parts.
pub(crate) fn query(object: &str, fields: &[&str], rest: &str) -> String {
    let fields: String = fields
        .iter()
        .map(|name| format!("<field>{name}</field>"))
        .collect();
    format!("<query><object>{object}</object><select>{fields}</select>{rest}</query>")
}

/// A condition with values.
pub(crate) fn condition(operator: &str, field: &str, values: &[&str]) -> String {
    let values: String = values
        .iter()
        .map(|text| format!("<value>{}</value>", escape(text)))
        .collect();
    format!("<{operator}><field>{field}</field>{values}</{operator}>")
}

pub(crate) fn filter(condition: &str) -> String {
    format!("<filter>{condition}</filter>")
}

pub(crate) fn order(fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(field, way)| format!("<order><field>{field}</field><{way}/></order>"))
        .collect();
    format!("<orderby>{fields}</orderby>")
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\r', "&#13;")
}

pub(crate) fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let start = text.find(from)? + from.len();
    Some(&text[start..start + text[start..].find(to)?])
}

//! Answers of the gateway damaged at one place after the other: the predicting reader and the general
//! one give the same, or the same kind of error.
//!
//! The answers are recorded ones, where the environment variable `INTACCT_FIXTURES` names their
//! folder, and a page of every object of the simulated company.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use intacct_sim::{Scale, Simulator};
use intacct_xml::request::{
    Authentication, Control, Function, Login, ReadByQuery, Request as Document,
};
use intacct_xml::response::{NdjsonLines, Prediction, ReadOptions, ResponseReader};
use intacct_xml::{ControlId, ObjectName};
use sync_http::{Client, ClientOptions, Request};

/// What becomes of a body: the answer and its records as text, or the kind of the error.
fn outcome(reader: &mut ResponseReader, body: &[u8]) -> Result<String, intacct_xml::ErrorKind> {
    let mut lines = NdjsonLines::new();
    match reader.read(body, &mut lines) {
        Ok(response) => {
            let lines = String::from_utf8(lines.take()).expect("lines are UTF-8");
            Ok(format!("{response:?}\n{lines}"))
        }
        Err(error) => Err(error.kind()),
    }
}

/// Compares the two readers on the body, and on it with each byte in turn changed; how often.
fn compare(name: &str, body: &[u8]) -> usize {
    let options = ReadOptions::default();
    let mut predicting = ResponseReader::new(&options);
    let mut general = ResponseReader::new(&options.with_prediction(Prediction::Off));
    assert_eq!(
        outcome(&mut predicting, body),
        outcome(&mut general, body),
        "{name}"
    );
    let mut damaged = body.to_vec();
    for (place, &byte) in body.iter().enumerate() {
        // Markup, a control character, half a character, and what differs in one bit only.
        let spoiled = [b'<', b'&', 0x1, 0xE4, byte ^ 0x1];
        damaged[place] = spoiled[place % spoiled.len()];
        assert_eq!(
            outcome(&mut predicting, &damaged),
            outcome(&mut general, &damaged),
            "{name}, byte {place} changed to {:#x}",
            damaged[place]
        );
        damaged[place] = byte;
    }
    body.len()
}

#[test]
fn recorded_answers_are_judged_alike() {
    let Some(folder) = std::env::var_os("INTACCT_FIXTURES") else {
        println!("skipped: INTACCT_FIXTURES does not name the recordings");
        return;
    };
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of the recordings") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            compared += compare(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
    assert!(compared > 0);
}

#[tokio::test]
async fn pages_of_every_object_are_judged_alike() {
    let company = Simulator::builder().seed(11).scale(Scale::Tiny);
    let simulator = company.start().await.unwrap();
    let client = Client::new(&ClientOptions::default()).unwrap();
    let mut pages = 0;
    for object in simulator.company().objects().keys() {
        let body = page(&client, simulator.url(), object).await;
        // Balances want a period, and answer with a failure.
        pages += usize::from(body.windows(7).any(|seven| seven == b" count="));
        compare(object, &body);
    }
    assert!(pages > 20, "{pages} pages");
}

/// The answer with the first two records of an object.
async fn page(client: &Client, url: &str, object: &str) -> Vec<u8> {
    let read = ReadByQuery::new(ObjectName::new(object).unwrap(), "")
        .with_page_size(2)
        .unwrap();
    let id = |text: &str| ControlId::new(text).unwrap();
    let request = Document::new(
        Control::new("sim-sender", "sim-sender-password", id("damage")).unwrap(),
        Authentication::Login(Login::new("DEMO", "sim-user", "sim-user-password").unwrap()),
        [Function::new(id("f-1"), read)],
    )
    .unwrap();
    let post = Request::post(url.parse().unwrap()).with_body(request.to_xml().as_bytes().to_vec());
    let answer = client.execute(post).await.unwrap();
    answer.body.to_vec()
}

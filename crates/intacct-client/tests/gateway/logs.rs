//! What must not be in a log is not in a log, at any level, whatever the tests of this program do.
//!
//! Every client of these tests is made under the watch; a secret in the log ends the program at once, so that the failure
//! cannot be lost in a task that nobody waits for.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, OnceLock};

use futures_util::StreamExt;
use intacct_client::{Client, Reason};
use intacct_sim::{RunningSimulator, Scale, Simulator};
use intacct_xml::request::{Filter, Query};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::script::{
    Reply, Script, authentication_failure, client, clock, error_message, invalid_session, page,
    result,
};

/// Begins to watch the log of this program, once.
pub(crate) fn watch() -> &'static Watch {
    static WATCH: OnceLock<&'static Watch> = OnceLock::new();
    WATCH.get_or_init(|| {
        let watch: &'static Watch = Box::leak(Box::default());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(watch)
            .finish();
        // What libraries say through `log` comes along.
        subscriber.try_init().expect("nothing else watches");
        watch
    })
}

/// Searches every line of the log, and keeps which of some harmless words were in it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    forbidden: Mutex<BTreeSet<String>>,
    seen: Mutex<BTreeSet<&'static str>>,
}

/// Parts of every password, body and record of these tests that are to stay secret.
const SECRETS: [&str; 4] = ["hush", "-password", "99-7654321", "021000021"];

/// Words whose absence would show that nothing is captured.
const HARMLESS: [&str; 6] = [
    "getAPISession",
    "query",
    "VENDOR",
    "retrying",
    "session opened",
    "TRACE",
];

impl Watch {
    /// Forbids the bank and tax numbers of a simulated company.
    pub(crate) fn forbid_numbers_of(&self, simulator: &RunningSimulator) {
        let mut forbidden = self.forbidden.lock().unwrap();
        for object in ["VENDOR", "CUSTOMER", "EMPLOYEE", "LOCATION"] {
            for record in simulator.company().records(object).unwrap() {
                let numbers = record.into_iter().filter_map(|(name, value)| {
                    let personal = ["TAXID", "ACHACCOUNTNUMBER", "ACHBANKROUTINGNUMBER", "SSN"];
                    personal.contains(&name.as_str()).then_some(value).flatten()
                });
                forbidden.extend(numbers.filter(|number| number.len() > 5));
            }
        }
    }

    /// What in this line must not be in a log.
    fn secret_in(&self, line: &str) -> Option<String> {
        let named = SECRETS
            .into_iter()
            .find(|secret| line.contains(secret))
            .map(str::to_owned);
        let number = || {
            let forbidden = self.forbidden.lock().unwrap();
            forbidden
                .iter()
                .find(|number| line.contains(number.as_str()))
                .cloned()
        };
        named
            .or_else(number)
            .or_else(|| session_in(line).map(str::to_owned))
    }
}

/// A session id: `sid-` and a number as scripts give them, or forty random letters with two dots at the end as the
/// simulator does.
fn session_in(line: &str) -> Option<&str> {
    let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    words.into_iter().find(|word| {
        let of_script = word
            .strip_prefix("sid-")
            .is_some_and(|id| id.starts_with(|c: char| c.is_ascii_digit()));
        let of_simulator = word
            .strip_suffix("..")
            .is_some_and(|id| id.len() > 40 && !id.contains('.'));
        of_script || of_simulator
    })
}

impl io::Write for &Watch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            if let Some(secret) = self.secret_in(line) {
                // Past the capture of the test's output, which is lost with the program.
                let _ = io::Write::write_fmt(
                    &mut io::stderr().lock(),
                    format_args!("\n{secret} was logged: {line}\n"),
                );
                std::process::abort();
            }
        }
        let found = HARMLESS.into_iter().filter(|word| text.contains(word));
        self.seen.lock().unwrap().extend(found);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static Watch {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Vendor {
    name: String,
}

fn query() -> Query {
    let name = FieldName::new("NAME").unwrap();
    Query::new(ObjectName::new("VENDOR").unwrap(), [name.clone()])
        .unwrap()
        .with_filter(Filter::equal_to(name, "hush-in-a-filter"))
}

#[test]
fn the_watch_knows_a_secret_when_it_sees_one() {
    let watch = Watch::default();
    let session = "a-_Z".repeat(10);
    for line in [
        "<password>sender-pw-hush</password>".to_owned(),
        "session sid-3 opened".to_owned(),
        format!("id={session}12.. next"),
        "tax id 99-7654321".to_owned(),
    ] {
        assert!(watch.secret_in(&line).is_some(), "{line}");
    }
    for line in [
        "session opened",
        "inside-out sid-x",
        "connecting to 127.0.0.1:80.. waiting",
    ] {
        assert_eq!(watch.secret_in(line), None, "{line}");
    }
    watch.forbidden.lock().unwrap().insert("12-3456789".into());
    assert!(watch.secret_in("TAXID: 12-3456789").is_some());
}

#[tokio::test]
async fn no_password_session_or_payload_is_logged() {
    let watch = watch();
    let script = Script::start(|asked| match asked.number {
        0 => Reply::Xml(invalid_session()),
        1 => Reply::Http(503, "", "hush-in-a-body".to_owned()),
        _ => Reply::Xml(page(
            asked,
            "totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\"",
            "<VENDOR><NAME>hush-in-a-record</NAME><TAXID>99-7654321</TAXID>\
             <ACHBANKROUTINGNUMBER>021000021</ACHBANKROUTINGNUMBER></VENDOR>",
        )),
    })
    .await;
    let client = client(&script, &clock());
    let mut pages = client.query_as::<Vendor>(query());
    let page = pages.next().await.unwrap().unwrap();
    assert_eq!(page.records[0].name, "hush-in-a-record");
    tracing::debug!(?client, ?pages, calls = ?client.calls(), limits = ?client.limits(), "the client's own Debug");
    let seen = watch.seen.lock().unwrap().clone();
    assert_eq!(seen, BTreeSet::from(HARMLESS), "the capture does not work");
}

#[tokio::test]
async fn secrets_that_the_gateway_repeats_do_not_get_into_errors() {
    let echo = "refused: sender-pw-hush, user-pw-hush, sid-0";
    let texts = error_message("sid-0", echo, echo).replace("user-pw-hush", "u");
    let function = Script::start({
        let texts = texts.clone();
        move |asked| Reply::Xml(result(asked, "failure", &texts))
    })
    .await;
    let session =
        Script::start(|_| Reply::Xml(authentication_failure("x", "sid-0 has a wrong sid-0", "u")))
            .await;
    let edge = Script::start(move |_| {
        let control =
            format!("<response><control><status>failure</status></control>{texts}</response>");
        Reply::Http(400, "", control)
    })
    .await;
    let login = Script::start_raw(|_| {
        Reply::Xml(authentication_failure(
            "XL03000006",
            "user-pw-hush and sender-pw-hush are wrong",
            "u",
        ))
    })
    .await;
    for (script, reason) in [
        (function, Reason::Function),
        (session, Reason::Login),
        (edge, Reason::Control),
        (login, Reason::Login),
    ] {
        let client = client(&script, &clock());
        let error = client
            .query_as::<Vendor>(query())
            .next()
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("[redacted]"), "{shown}");
        for secret in ["hush", "sid-0"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        // Were one left, the watch would end the program here.
        tracing::error!(%error, ?error, "refused");
    }
}

#[tokio::test]
async fn no_bank_or_tax_number_of_a_company_is_logged() {
    let simulator = Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .start()
        .await
        .unwrap();
    watch().forbid_numbers_of(&simulator);
    assert!(!watch().forbidden.lock().unwrap().is_empty());
    let client = Client::new(crate::stories::config(&simulator)).unwrap();
    let definition = client
        .lookup(&ObjectName::new("VENDOR").unwrap())
        .await
        .unwrap();
    let fields = definition
        .fields
        .iter()
        .map(|field| FieldName::new(&field.id).unwrap());
    let every = Query::new(ObjectName::new("VENDOR").unwrap(), fields).unwrap();
    // A record that does not fit is an error that names its place and not its values.
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Wrong {
        #[expect(dead_code, reason = "it cannot be read")]
        taxid: u8,
    }
    let error = client
        .query_as::<Wrong>(every.clone())
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.reason(), Reason::Value);
    tracing::error!(%error, ?error, source = ?std::error::Error::source(&error), "a record does not fit");
    let page = client
        .query_as::<Vendor>(every)
        .next()
        .await
        .unwrap()
        .unwrap();
    assert!(!page.records.is_empty());
}

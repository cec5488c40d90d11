//! What must not be in a log is not in a log, at any level.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use intacct_xml::request::{Filter, Query};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use tracing_subscriber::fmt::MakeWriter;

use crate::script::{Reply, Script, client, clock, invalid_session, page};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Vendor {
    name: String,
}

#[tokio::test]
async fn no_password_session_or_payload_is_logged() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(captured.clone())
        .finish();
    // For all tests of this program: whatever they do must not be logged either.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let script = Script::start(|asked| match asked.number {
        0 => Reply::Xml(invalid_session()),
        1 => Reply::Http(503, "", "hush-in-a-body".to_owned()),
        _ => Reply::Xml(page(
            asked,
            "totalcount=\"1\" offset=\"0\" count=\"1\" numremaining=\"0\"",
            "<VENDOR><NAME>hush-in-a-record</NAME></VENDOR>",
        )),
    })
    .await;
    let client = client(&script, &clock());
    let name = FieldName::new("NAME").unwrap();
    let query = Query::new(ObjectName::new("VENDOR").unwrap(), [name.clone()])
        .unwrap()
        .with_filter(Filter::equal_to(name, "hush-in-a-filter"));
    let mut pages = client.query_as::<Vendor>(query);
    let page = pages.next().await.unwrap().unwrap();
    assert_eq!(page.records[0].name, "hush-in-a-record");
    tracing::debug!(?client, ?pages, calls = ?client.calls(), "the client's own Debug");

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for word in [
        "getAPISession",
        "query",
        "VENDOR",
        "retrying",
        "session opened",
        "TRACE",
    ] {
        assert!(
            log.contains(word),
            "{word} is missing: the capture does not work\n{log}"
        );
    }
    for secret in ["hush", "sid-0", "sid-1"] {
        assert!(!log.contains(secret), "{secret} was logged:\n{log}");
    }
}

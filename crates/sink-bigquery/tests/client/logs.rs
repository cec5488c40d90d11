//! What must not be in a log is not in a log, at any level, whatever the tests of this program do.
//!
//! A secret in the log ends the program at once, so that the failure cannot be lost in a task that nobody waits for.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, OnceLock};

use serde_json::json;
use sink_bigquery::Reason;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::credentials::{encoded_parts, key_text};
use crate::service::{Service, clock, ok, refusal, stream, table};

/// Parts of every token, key, assertion and row of these tests that are to stay secret.
const SECRETS: [&str; 3] = ["hush", "PRIVATE KEY", "1679615"];

/// Words whose absence would show that nothing is captured.
const HARMLESS: [&str; 4] = ["tabledata.insertAll", "retrying", "token fetched", "TRACE"];

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

#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Mutex<BTreeSet<&'static str>>,
}

impl io::Write for &Watch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            // The server of these tests tells what it was asked; that is not the client's doing.
            if line.contains("wiremock") {
                continue;
            }
            let key = encoded_parts()
                .iter()
                .find(|part| line.contains(part.as_str()));
            let secret = SECRETS.into_iter().find(|secret| line.contains(secret));
            if let Some(secret) = secret.or(key.map(String::as_str)) {
                // Past the capture of the test's output, which is lost with the program.
                let _ = io::Write::write_fmt(
                    &mut io::stderr().lock(),
                    format_args!("\n{secret} was logged: {line}\n"),
                );
                std::process::abort();
            }
            let mut seen = self.seen.lock().unwrap();
            seen.extend(HARMLESS.into_iter().filter(|word| line.contains(word)));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for &'static Watch {
    type Writer = Self;

    fn make_writer(&self) -> Self::Writer {
        self
    }
}

#[tokio::test]
async fn the_watch_sees_what_is_logged_and_no_error_tells_a_secret() {
    watch();
    tracing::trace!("something at the lowest level");
    let service = Service::start(|asked| match asked.number {
        _ if asked.method == "POST" => ok(json!({})),
        0 => refusal(503, "backendError", "try later"),
        // An echo of the request, as a proxy's debug page has it.
        _ => refusal(400, "invalid", &format!("bad request, {}", asked.token())),
    })
    .await;
    let client = service.client(&clock());
    let error = client.tables().get(&table()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Invalid);
    for shown in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{error:#?}"),
    ] {
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("[redacted]"), "{shown}");
    }
    let row = sink_bigquery::client::InsertRow::new("a", &json!({"amount": "1679615.93"})).unwrap();
    tracing::error!(?row, ?client, %error, ?error, "refused");
    let options = sink_bigquery::client::InsertOptions::default().with_fresh_tables(
        sink_bigquery::client::FreshTables::Allow,
        std::time::Duration::ZERO,
    );
    stream(&client, &[row], &options).await.unwrap();
    let seen = watch().seen.lock().unwrap().clone();
    assert_eq!(seen, HARMLESS.into_iter().collect());
    assert!(key_text().contains("PRIVATE KEY"));
}

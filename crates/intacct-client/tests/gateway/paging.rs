//! Pages: when they are asked for, how they end, and what ends them too early.

#[cfg(feature = "arrow")]
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use intacct_client::{Client, ErrorKind, Pages, Reason, WalkSpec};
use intacct_xml::request::{Query, ReadByQuery};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::script::{
    Asked, Reply, Script, client, clock, config, error_message, invalid_session, page, result,
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Vendor {
    recordno: u64,
}

fn vendor() -> ObjectName {
    ObjectName::new("VENDOR").unwrap()
}

fn recordno() -> FieldName {
    FieldName::new("RECORDNO").unwrap()
}

fn query(page_size: u32) -> Query {
    Query::new(vendor(), [recordno()])
        .unwrap()
        .with_page_size(page_size)
        .unwrap()
}

fn rows(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers
        .into_iter()
        .map(|n| format!("<VENDOR><RECORDNO>{n}</RECORDNO></VENDOR>"))
        .collect()
}

/// A page of the numbers below `total`, by the offset and page size that were asked for.
fn slice(asked: &Asked, total: u64) -> Reply {
    let number = |name| {
        asked
            .text(name)
            .map_or(0, |text| text.parse::<u64>().unwrap())
    };
    let (offset, size) = (number("offset"), number("pagesize"));
    let end = (offset + size).min(total);
    let count = end.saturating_sub(offset);
    let attributes = format!(
        "totalcount=\"{total}\" offset=\"{offset}\" count=\"{count}\" numremaining=\"{}\"",
        total - end.min(total)
    );
    Reply::Xml(page(asked, &attributes, &rows(offset..end)))
}

/// A page of a readByQuery result.
fn legacy(asked: &Asked, numbers: std::ops::Range<u64>, total: u64) -> Reply {
    let attributes = format!(
        "totalcount=\"{total}\" count=\"{}\" numremaining=\"{}\" resultId=\"r1\"",
        numbers.end - numbers.start,
        total - numbers.end
    );
    Reply::Xml(page(asked, &attributes, &rows(numbers)))
}

async fn drain<P>(mut pages: Pages<P>) -> (Vec<P>, Option<intacct_client::Error>) {
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => all.push(page),
            Err(error) => {
                assert!(pages.next().await.is_none(), "a stream ends with its error");
                return (all, Some(error));
            }
        }
    }
    assert!(pages.next().await.is_none(), "an ended stream stays ended");
    (all, None)
}

fn numbers(pages: &[intacct_client::Page<Vec<Vendor>>]) -> Vec<u64> {
    pages
        .iter()
        .flat_map(|page| &page.records)
        .map(|vendor| vendor.recordno)
        .collect()
}

#[tokio::test]
async fn offset_pages_cover_the_result() {
    for total in [0, 1, 2, 5, 6] {
        let script = Script::start(move |asked| slice(asked, total)).await;
        let client = client(&script, &clock());
        let (pages, error) = drain(client.query_as::<Vendor>(query(2))).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(numbers(&pages), (0..total).collect::<Vec<_>>());
        assert!(pages.iter().all(|page| page.total == Some(total)));
        assert_eq!(script.calls() as u64, total.div_ceil(2).max(1));
    }
}

#[tokio::test]
async fn offset_pages_begin_where_the_query_says() {
    let script = Script::start(|asked| slice(asked, 7)).await;
    let client = client(&script, &clock());
    let (pages, error) = drain(client.query_as::<Vendor>(query(2).with_offset(3))).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(numbers(&pages), [3, 4, 5, 6]);
}

#[tokio::test]
async fn a_result_that_grows_or_shrinks_is_a_conflict() {
    let grows = |asked: &Asked| slice(asked, 5 + asked.number as u64);
    let shrinks = |asked: &Asked| slice(asked, 5 - asked.number as u64);
    let ends_early = |asked: &Asked| match asked.number {
        0 => slice(asked, 5),
        _ => Reply::Xml(page(
            asked,
            "totalcount=\"5\" offset=\"2\" count=\"0\" numremaining=\"0\"",
            "",
        )),
    };
    let says_more = |asked: &Asked| match asked.number {
        0 => slice(asked, 5),
        _ => Reply::Xml(page(
            asked,
            "totalcount=\"5\" offset=\"2\" count=\"0\" numremaining=\"3\"",
            "",
        )),
    };
    let scripts = [
        Script::start(grows).await,
        Script::start(shrinks).await,
        Script::start(ends_early).await,
        Script::start(says_more).await,
    ];
    for script in scripts {
        let client = client(&script, &clock());
        let (pages, error) = drain(client.query_as::<Vendor>(query(2))).await;
        let error = error.unwrap();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Conflict, Reason::TotalChanged)
        );
        assert_eq!(pages.len(), 1);
    }
}

#[tokio::test]
async fn a_page_that_lies_about_its_count_is_refused() {
    let script = Script::start(|asked| {
        let attributes = "totalcount=\"3\" offset=\"0\" count=\"3\" numremaining=\"0\"";
        Reply::Xml(page(asked, attributes, &rows(0..2)))
    })
    .await;
    let (pages, error) = drain(client(&script, &clock()).query_as::<Vendor>(query(5))).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
    assert!(pages.is_empty());
}

#[tokio::test]
async fn a_page_that_is_too_much_is_asked_for_in_smaller_ones() {
    let script = Script::start(|asked| match asked.text("pagesize").unwrap() {
        "400" => Reply::Http(524, "", String::new()),
        "200" => Reply::Xml(format!("<response>{}</response>", " ".repeat(20_000))),
        _ => slice(asked, 150),
    })
    .await;
    let config = config(&script.url, &clock());
    let http = config.http.clone().with_max_answer_bytes(16_000);
    let client = Client::new(config.with_http(http)).unwrap();
    let (pages, error) = drain(client.query_as::<Vendor>(query(400))).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(numbers(&pages), (0..150).collect::<Vec<_>>());
    // Once 524, after which nothing as heavy is asked again, once too large, then two pages of 100.
    assert_eq!(script.calls(), 4);
}

#[tokio::test]
async fn one_page_is_read_ahead_and_no_more() {
    let (sender, mut asked) = mpsc::unbounded_channel();
    let script = Script::start(move |asked| {
        sender
            .send(asked.text("offset").unwrap_or("0").to_owned())
            .unwrap();
        slice(asked, 8)
    })
    .await;
    let client = client(&script, &clock());
    let mut pages = client.query_as::<Vendor>(query(2));
    assert!(
        asked.try_recv().is_err(),
        "nothing is sent before the first poll"
    );
    let first = pages.next().await.unwrap().unwrap();
    assert_eq!(first.records.len(), 2);
    assert_eq!(asked.recv().await.as_deref(), Some("0"));
    assert_eq!(
        asked.recv().await.as_deref(),
        Some("2"),
        "while the first is being used"
    );
    while client.calls().of_function("query").sent < 2 {
        tokio::task::yield_now().await;
    }
    // The second page is there and was not taken. Were the third asked for already, it would be ahead of this on the
    // only connection that is allowed.
    drain(client.query_as::<Vendor>(query(2).with_offset(6))).await;
    assert_eq!(asked.recv().await.as_deref(), Some("6"));
    pages.next().await.unwrap().unwrap();
    assert_eq!(asked.recv().await.as_deref(), Some("4"));
}

#[tokio::test]
async fn dropping_the_stream_ends_the_request_under_way() {
    let (sender, mut hung) = mpsc::unbounded_channel();
    let script = Script::start(move |asked| {
        if asked.number == 1 {
            sender.send(()).unwrap();
            return Reply::Silence;
        }
        slice(asked, 4)
    })
    .await;
    let client = client(&script, &clock());
    let mut pages = client.query_as::<Vendor>(query(2));
    pages.next().await.unwrap().unwrap();
    hung.recv().await.unwrap();
    drop(pages);
    // The only request at a time that is allowed is free again.
    let (again, error) = drain(client.query_as::<Vendor>(query(4))).await;
    assert!(error.is_none());
    assert_eq!(numbers(&again).len(), 4);
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let client = Client::new(config("http://127.0.0.1:1/", &clock())).unwrap();
    let mut pages = client.query_as::<Vendor>(query(2));
    let first = futures_util::FutureExt::now_or_never(pages.next()).unwrap();
    assert_eq!(first.unwrap().unwrap_err().reason(), Reason::TaskEnded);
}

fn legacy_query() -> ReadByQuery {
    ReadByQuery::new(vendor(), "STATUS = 'T'")
        .with_page_size(2)
        .unwrap()
}

#[tokio::test]
async fn read_more_goes_on_where_the_last_page_ended() {
    let script = Script::start(|asked| {
        let start = asked.number as u64 * 2;
        legacy(asked, start..(start + 2).min(5), 5)
    })
    .await;
    let (pages, error) =
        drain(client(&script, &clock()).read_by_query_as::<Vendor>(legacy_query())).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(numbers(&pages), [0, 1, 2, 3, 4]);
    let asked = script.asked();
    assert!(asked[1].body.contains("<query>STATUS = 'T'</query>"));
    assert_eq!(asked[2].text("resultId"), Some("r1"));
}

#[tokio::test]
async fn a_result_without_rest_needs_no_result_id() {
    let script = Script::start(|asked| {
        Reply::Xml(page(
            asked,
            "totalcount=\"0\" count=\"0\" numremaining=\"0\" resultId=\"\"",
            "",
        ))
    })
    .await;
    let (pages, error) =
        drain(client(&script, &clock()).read_by_query_as::<Vendor>(legacy_query())).await;
    assert!(error.is_none(), "{error:?}");
    assert!(numbers(&pages).is_empty());
    assert_eq!(script.calls(), 1);
}

#[tokio::test]
async fn a_cursor_that_is_lost_says_start_again() {
    let refused = |asked: &Asked| match asked.number {
        0 => legacy(asked, 0..2, 5),
        _ => Reply::Xml(result(
            asked,
            "failure",
            &error_message("x", "no such result", ""),
        )),
    };
    let expired = |asked: &Asked| match asked.number {
        0 => legacy(asked, 0..2, 5),
        _ => Reply::Xml(invalid_session()),
    };
    for script in [Script::start(refused).await, Script::start(expired).await] {
        let pages = client(&script, &clock()).read_by_query_as::<Vendor>(legacy_query());
        let (pages, error) = drain(pages).await;
        let error = error.unwrap();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Conflict, Reason::CursorLost)
        );
        assert!(
            error.to_string().contains("start the query again"),
            "{error}"
        );
        assert!(error.to_string().contains("VENDOR"), "{error}");
        assert_eq!((pages.len(), script.calls(), script.logins()), (1, 2, 1));
    }
}

#[tokio::test]
async fn a_page_that_a_repeated_request_skipped_is_noticed() {
    // The answer to the second page is lost on the way, but the gateway has moved on.
    let script = Script::start(|asked| match asked.number {
        0 => legacy(asked, 0..2, 6),
        1 => Reply::Reset,
        _ => legacy(asked, 4..6, 6),
    })
    .await;
    let (pages, error) =
        drain(client(&script, &clock()).read_by_query_as::<Vendor>(legacy_query())).await;
    assert_eq!(error.unwrap().reason(), Reason::TotalChanged);
    assert_eq!(numbers(&pages), [0, 1]);
}

#[cfg(feature = "arrow")]
#[tokio::test]
async fn a_walk_passes_over_records_that_do_not_fit_and_keeps_them() {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_schema::{DataType, Field, Schema};

    let seen = Arc::new(Mutex::new(Vec::new()));
    let bounds = Arc::clone(&seen);
    let script = Script::start(move |asked| {
        bounds
            .lock()
            .unwrap()
            .push(asked.text("value").map(str::to_owned));
        let record = |n: u64, count: &str| {
            format!("<VENDOR><RECORDNO>{n}</RECORDNO><COUNT>{count}</COUNT></VENDOR>")
        };
        let (count, remaining, records) = match asked.number {
            // The last record of the page does not fit: the walk must get behind it all the same.
            0 => (
                3,
                2,
                record(1, "10") + &record(2, "bad") + &record(3, "12.5"),
            ),
            _ => (2, 0, record(4, "13") + &record(5, "")),
        };
        let attributes =
            format!("totalcount=\"5\" offset=\"0\" count=\"{count}\" numremaining=\"{remaining}\"");
        Reply::Xml(page(asked, &attributes, &records))
    })
    .await;
    // The key is not among the columns.
    let schema = Arc::new(Schema::new(vec![Field::new(
        "count",
        DataType::Int64,
        true,
    )]));
    let spec = WalkSpec::by_key(vendor(), recordno()).unwrap();
    let (pages, error) = drain(client(&script, &clock()).walk(spec, schema, None)).await;
    assert!(error.is_none(), "{error:?}");
    let batches: Vec<_> = pages.iter().map(|page| &page.records).collect();
    assert_eq!(
        batches[0]
            .batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values(),
        &[10]
    );
    let rejected: Vec<_> = batches[0]
        .rejected
        .iter()
        .map(|record| &record.fields[0])
        .collect();
    assert_eq!(
        rejected,
        [
            &("RECORDNO".to_owned(), Some("2".to_owned())),
            &("RECORDNO".to_owned(), Some("3".to_owned()))
        ]
    );
    assert!(batches.iter().all(|page| page.unknown_fields.is_empty()));
    assert_eq!(batches[1].batch.num_rows(), 2);
    assert_eq!(pages[0].cursor.as_ref().unwrap().key, "3");
    assert_eq!((pages[0].released, pages[1].released), (3, 2));
    assert_eq!(*seen.lock().unwrap(), [None, Some("3".to_owned())]);
}

#[tokio::test]
async fn a_window_that_takes_too_long_is_read_in_parts() {
    use intacct_client::walk::{NullPass, WalkWindow};
    use intacct_xml::values::parse_timestamp;
    use time::macros::datetime;

    // The gateway manages an hour at a time, whatever the page size.
    let script = Script::start(|asked| {
        let values: Vec<_> = asked.body.split("<value>").skip(1).collect();
        let time = |at: usize| parse_timestamp(values[at].split_once('<').unwrap().0).unwrap();
        let (low, high) = (time(0), time(1));
        if (high - low).whole_hours() > 1 {
            return Reply::Http(524, "", String::new());
        }
        let count = 1;
        let record = format!(
            "<VENDOR><RECORDNO>{}</RECORDNO><WHENMODIFIED>{}</WHENMODIFIED></VENDOR>",
            low.assume_utc().unix_timestamp(),
            intacct_xml::values::format_timestamp(low),
        );
        let attributes = format!("totalcount=\"{count}\" count=\"{count}\" numremaining=\"0\"");
        Reply::Xml(page(asked, &attributes, &record))
    })
    .await;
    let (low, high) = (
        datetime!(2026-01-01 00:00 UTC),
        datetime!(2026-01-01 08:00 UTC),
    );
    let modified = FieldName::new("WHENMODIFIED").unwrap();
    let window = WalkWindow::new(Some(low), high);
    let spec = WalkSpec::by_modified(vendor(), recordno(), modified, window)
        .unwrap()
        .with_null_pass(NullPass::Skip);
    let (pages, error) = drain(client(&script, &clock()).walk_as::<Vendor>(spec, None)).await;
    assert!(error.is_none(), "{error:?}");
    // Each part gave one record, stamped with its beginning, and the parts have no gap.
    let starts: Vec<_> = pages
        .iter()
        .map(|page| page.cursor.clone().unwrap().modified.unwrap())
        .collect();
    assert_eq!(starts[0], low);
    assert!(
        starts
            .windows(2)
            .all(|pair| (pair[1] - pair[0]).whole_minutes() <= 120)
    );
    assert!(pages.len() >= 4);
}

#[cfg(feature = "arrow")]
#[tokio::test]
async fn what_is_read_again_is_not_released_again_fitting_or_not() {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_schema::{DataType, Field, Schema};
    use intacct_client::walk::{NullPass, WalkWindow};
    use time::macros::datetime;

    let script = Script::start(|asked| {
        let record = |key: u64, second: u64, count: &str| {
            format!(
                "<VENDOR><RECORDNO>{key}</RECORDNO><COUNT>{count}</COUNT>\
                 <WHENMODIFIED>01/01/2026 00:00:{second:02}</WHENMODIFIED></VENDOR>"
            )
        };
        let (remaining, records) = match asked.number {
            0 => (
                1,
                record(1, 1, "10") + &record(2, 2, "bad") + &record(3, 2, "30"),
            ),
            _ => (
                0,
                record(2, 2, "bad") + &record(3, 2, "30") + &record(4, 2, "40"),
            ),
        };
        let attributes = format!("totalcount=\"4\" count=\"3\" numremaining=\"{remaining}\"");
        Reply::Xml(page(asked, &attributes, &records))
    })
    .await;
    let schema = Arc::new(Schema::new(vec![Field::new(
        "count",
        DataType::Int64,
        true,
    )]));
    let window = WalkWindow::new(None, datetime!(2026-01-02 00:00 UTC));
    let modified = FieldName::new("WHENMODIFIED").unwrap();
    let spec = WalkSpec::by_modified(vendor(), recordno(), modified, window)
        .unwrap()
        .with_null_pass(NullPass::Skip);
    let (pages, error) = drain(client(&script, &clock()).walk(spec, schema, None)).await;
    assert!(error.is_none(), "{error:?}");
    let counts = |page: usize| {
        let column = pages[page].records.batch.column(0);
        column.as_primitive::<Int64Type>().values().to_vec()
    };
    assert_eq!((counts(0), counts(1)), (vec![10, 30], vec![40]));
    let rejects: Vec<_> = pages
        .iter()
        .map(|page| page.records.rejected.len())
        .collect();
    assert_eq!(rejects, [1, 0]);
    assert_eq!((pages[0].released, pages[1].released), (3, 1));
}

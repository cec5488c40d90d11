//! The zone of the source's timestamps: as set, or as the user has it, and what daylight saving time does to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::TryStreamExt;
use intacct_client::walk::{NullPass, WalkWindow};
use intacct_client::{Client, ErrorKind, Reason, SourceZone, WalkSpec};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use time::macros::{datetime, format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::script::{Asked, Reply, Script, clock, config, envelope, page};

/// A gateway that shows the times of its records as the user's clock would.
#[derive(Clone)]
struct Gateway(Arc<Mutex<State>>);

struct State {
    user: UtcOffset,
    records: Vec<(u64, OffsetDateTime)>,
}

impl Gateway {
    fn new(user: UtcOffset) -> Self {
        Self(Arc::new(Mutex::new(State {
            user,
            records: Vec::new(),
        })))
    }

    fn add(&self, number: u64, modified: OffsetDateTime) {
        self.0.lock().unwrap().records.push((number, modified));
    }

    fn shift(&self, user: UtcOffset) {
        self.0.lock().unwrap().user = user;
    }

    fn answer(&self, asked: &Asked) -> Reply {
        let state = self.0.lock().unwrap();
        if asked.body.contains("<readUserFormatting>") {
            let (hours, minutes, _) = state.user.as_hms();
            let sign = if state.user.is_negative() { '-' } else { '+' };
            let offset = format!("{sign}{:02}:{:02}", hours.abs(), minutes.abs());
            return Reply::Xml(formatting(asked, "en_US", "/mdY", &offset, "24"));
        }
        let format = format_description!("[month]/[day]/[year] [hour]:[minute]:[second]");
        let bound = |operator: &str| {
            let start = format!("<{operator}><field>WHENMODIFIED</field><value>");
            let text = asked.body.split_once(&start)?.1.split_once('<')?.0;
            Some(PrimitiveDateTime::parse(text, format).unwrap())
        };
        let (low, high) = (bound("greaterthanorequalto"), bound("lessthan"));
        let shown = state.records.iter().filter_map(|(number, modified)| {
            let local = modified.to_offset(state.user);
            let local = PrimitiveDateTime::new(local.date(), local.time());
            let inside = low.is_none_or(|low| low <= local) && high.is_none_or(|high| local < high);
            inside.then_some((local, *number))
        });
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        let records = shown.iter().map(|(local, number)| {
            let local = local.format(format).unwrap();
            format!(
                "<BILL><RECORDNO>{number}</RECORDNO><WHENMODIFIED>{local}</WHENMODIFIED></BILL>"
            )
        });
        let records: String = records.collect();
        let count = shown.len();
        let attributes =
            format!("totalcount=\"{count}\" offset=\"0\" count=\"{count}\" numremaining=\"0\"");
        Reply::Xml(page(asked, &attributes, &records))
    }
}

fn formatting(asked: &Asked, locale: &str, dates: &str, offset: &str, clock: &str) -> String {
    let result = format!(
        "<result><status>success</status><function>readUserFormatting</function><controlid>{}</controlid><data>\
         <userformatting><recordno>48</recordno><locale>{locale}</locale><dateformat>{dates}</dateformat>\
         <gmtoffset>{offset}</gmtoffset><clock>{clock}</clock></userformatting></data></result>",
        asked.control_ids()[0]
    );
    envelope("2026-01-31T20:00:00+00:00", &result)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Bill {
    recordno: u64,
}

async fn start(gateway: &Gateway) -> (Client, Script) {
    let answering = gateway.clone();
    let script = Script::start(move |asked| answering.answer(asked)).await;
    let config = config(&script.url, &clock()).with_source_zone(SourceZone::OfUser);
    (Client::new(config).unwrap(), script)
}

async fn modified_in(
    client: &Client,
    low: OffsetDateTime,
    high: OffsetDateTime,
) -> intacct_client::Result<Vec<u64>> {
    let window = WalkWindow::new(Some(low), high);
    let name = |name: &str| FieldName::new(name).unwrap();
    let spec = WalkSpec::by_modified(
        ObjectName::new("BILL").unwrap(),
        name("RECORDNO"),
        name("WHENMODIFIED"),
        window,
    )?
    .with_null_pass(NullPass::Skip);
    let pages: Vec<_> = client.walk_as::<Bill>(spec, None).try_collect().await?;
    Ok(pages
        .into_iter()
        .flat_map(|page| page.records)
        .map(|bill| bill.recordno)
        .collect())
}

#[tokio::test]
async fn nothing_is_lost_when_daylight_saving_time_begins_or_ends() {
    for (before, after) in [
        (offset!(-8), offset!(-7)),
        (offset!(-7), offset!(-8)),
        (offset!(+0), offset!(+1)),
    ] {
        let gateway = Gateway::new(before);
        let (client, script) = start(&gateway).await;
        // One record every ten minutes over six hours; the clocks change in the middle.
        let start = datetime!(2026-03-08 07:00 UTC);
        for number in 0..36_u32 {
            gateway.add(u64::from(number), start + Duration::from_secs(600) * number);
        }
        let (middle, end) = (
            start + Duration::from_secs(3 * 3600),
            start + Duration::from_secs(6 * 3600),
        );

        let first = client.in_source_zone().await.unwrap();
        let mut seen = modified_in(&first, start, middle).await.unwrap();
        assert_eq!(seen, (0..18).collect::<Vec<_>>());
        gateway.shift(after);
        // A run that keeps the old offset reads another hour than it means to.
        assert_ne!(
            modified_in(&first, middle, end).await.unwrap(),
            (18..36).collect::<Vec<_>>()
        );

        // The next run asks again, and its window overlaps.
        let second = client.in_source_zone().await.unwrap();
        assert_eq!(second.config().source_offset, after);
        let overlap = second.least_overlap();
        assert!(overlap >= Duration::from_secs(3600));
        let again = modified_in(&second, middle - overlap, end).await.unwrap();
        assert_eq!(
            again,
            (12..36).collect::<Vec<_>>(),
            "the overlap, and every record since"
        );
        seen.extend(again);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..36).collect::<Vec<_>>());
        let probes = script
            .asked()
            .iter()
            .filter(|asked| asked.body.contains("<userId>u</userId>"))
            .count();
        assert_eq!(
            probes, 2,
            "once a run, by the login id of the session's answer"
        );
    }
}

#[tokio::test]
async fn a_zone_that_was_not_asked_for_is_not_guessed() {
    let gateway = Gateway::new(offset!(-8));
    let (client, script) = start(&gateway).await;
    let outcome = modified_in(
        &client,
        datetime!(2026-03-08 07:00 UTC),
        datetime!(2026-03-08 08:00 UTC),
    )
    .await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("in_source_zone"), "{error}");
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn a_fixed_zone_asks_nobody() {
    let script = Script::start(|_| Reply::Reset).await;
    let utc = Client::new(config(&script.url, &clock()))
        .unwrap()
        .in_source_zone()
        .await
        .unwrap();
    assert_eq!(
        (utc.config().source_offset, utc.least_overlap()),
        (UtcOffset::UTC, Duration::ZERO)
    );
    let set = config(&script.url, &clock()).with_source_offset(offset!(-8));
    let set = Client::new(set).unwrap().in_source_zone().await.unwrap();
    assert_eq!(
        (set.config().source_offset, set.least_overlap()),
        (offset!(-8), Duration::from_secs(3600))
    );
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn forms_of_dates_and_times_that_cannot_be_read_for_certain_are_refused() {
    for (locale, dates, clock_of_user, word) in [
        ("de_DE", "/mdY", "24", "locale"),
        ("en_US", ".dmY", "24", "date format"),
        ("en_US", "/mdy", "24", "date format"),
        ("en_US", "/mdY", "12", "clock"),
        ("", "/mdY", "24", "locale"),
    ] {
        let script = Script::start(move |asked| {
            Reply::Xml(formatting(asked, locale, dates, "+00:00", clock_of_user))
        })
        .await;
        let config = config(&script.url, &clock()).with_source_zone(SourceZone::OfUser);
        let error = Client::new(config)
            .unwrap()
            .in_source_zone()
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Unsupported, Reason::SourceFormat)
        );
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains("user: u"), "{error}");
    }
    let script =
        Script::start(|asked| Reply::Xml(formatting(asked, "en_US", "/mdY", "Pacific", "24")))
            .await;
    let config = config(&script.url, &clock()).with_source_zone(SourceZone::OfUser);
    let error = Client::new(config)
        .unwrap()
        .in_source_zone()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "an offset that is none");
}

/// The simulator shows times in its user's offset; a window means the same records whatever that is.
#[tokio::test]
async fn a_window_means_the_same_records_in_every_zone() {
    use intacct_client::{Credentials, EndpointTrust, Sender, User};
    use intacct_sim::{Access, Formatting};
    use intacct_sim::{Scale, Simulator};

    crate::logs::watch();
    let simulator = Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .start()
        .await
        .unwrap();
    let sender = Sender {
        id: "sim-sender".into(),
        password: "sim-sender-password".into(),
    };
    let user = User {
        company_id: "DEMO".into(),
        id: "reader".into(),
        password: "reader-password".into(),
    };
    let config = intacct_client::ClientConfig::new(Credentials::new(sender, user))
        .with_endpoint(simulator.url(), EndpointTrust::SameHost)
        .with_timing(clock().into())
        .with_source_zone(SourceZone::OfUser);
    let client = Client::new(config).unwrap();
    // All times of the company, by UTC.
    let format = format_description!("[month]/[day]/[year] [hour]:[minute]:[second]");
    let truth: Vec<(u64, OffsetDateTime)> = simulator
        .company()
        .records("APBILL")
        .unwrap()
        .into_iter()
        .filter_map(|record| {
            let record: std::collections::BTreeMap<_, _> = record.into_iter().collect();
            let number = record["RECORDNO"].as_deref()?.parse().ok()?;
            let at = PrimitiveDateTime::parse(record["WHENMODIFIED"].as_deref()?, format).ok()?;
            Some((number, at.assume_utc()))
        })
        .collect();
    let mut times: Vec<_> = truth.iter().map(|(_, at)| *at).collect();
    times.sort();
    let (low, high) = (times[times.len() / 4], times[3 * times.len() / 4]);
    let inside = truth.iter().filter(|(_, at)| *at >= low && *at < high);
    let mut expected: Vec<u64> = inside.map(|(number, _)| *number).collect();
    expected.sort_unstable();
    assert!(expected.len() > 5);
    for offset in ["-08:00", "-07:00", "+00:00", "+05:30"] {
        let reader = intacct_sim::User::new("reader", "reader-password")
            .formatting(Formatting::at_offset(offset));
        simulator
            .company()
            .set_access(Access::default().user(reader))
            .unwrap();
        let run = client.in_source_zone().await.unwrap();
        let window = WalkWindow::new(Some(low), high);
        let name = |name: &str| FieldName::new(name).unwrap();
        let object = ObjectName::new("APBILL").unwrap();
        let spec =
            WalkSpec::by_modified(object, name("RECORDNO"), name("WHENMODIFIED"), window).unwrap();
        let pages = run.walk_as::<Bill>(spec.with_null_pass(NullPass::Skip), None);
        let pages: Vec<_> = pages.try_collect().await.unwrap();
        let mut found: Vec<u64> = pages
            .into_iter()
            .flat_map(|page| page.records)
            .map(|bill| bill.recordno)
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{offset}");
    }
}

/// The source asks for the zone at the beginning of every run, and gives the same instants whatever it is.
#[cfg(feature = "source")]
#[tokio::test]
async fn a_source_reads_each_run_in_the_zone_of_its_user() {
    use arrow_array::cast::AsArray;
    use arrow_array::types::TimestampMicrosecondType;
    use intacct_client::source::{DefaultStreams, IntacctSource, SourceOptions};
    use intacct_sim::{Access, Formatting, Scale, Simulator};
    use sync_core::{ReadRequest, Source, Window};

    crate::logs::watch();
    let simulator = Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .start()
        .await
        .unwrap();
    let mut settings = crate::stories::config(&simulator).with_source_zone(SourceZone::OfUser);
    settings.credentials.user.id = "reader".into();
    settings.credentials.user.password = "reader-password".into();
    let options = SourceOptions::default()
        .with_defaults(DefaultStreams::Only(vec!["vendor".parse().unwrap()]));
    let mut source = None;
    let mut before: Option<Vec<Option<i64>>> = None;
    for offset in ["-08:00", "-07:00", "+05:30"] {
        let reader = intacct_sim::User::new("reader", "reader-password")
            .formatting(Formatting::at_offset(offset));
        simulator
            .company()
            .set_access(Access::default().user(reader))
            .unwrap();
        let source = source.get_or_insert_with(|| {
            IntacctSource::with_options(Client::new(settings.clone()).unwrap(), options.clone())
        });
        let until = source.now().await.unwrap();
        let streams = source.discover().await.unwrap();
        let stream = std::sync::Arc::new(streams[0].clone());
        let request = ReadRequest::changes(stream, Window { from: None, until }, None);
        let pages: Vec<_> = source.read(request).try_collect().await.unwrap();
        let mut times: Vec<Option<i64>> = Vec::new();
        for page in &pages {
            let column = page.rows.column_by_name("whenmodified").unwrap();
            times.extend(column.as_primitive::<TimestampMicrosecondType>().iter());
        }
        times.sort_unstable();
        assert!(times.len() > 5 && times.iter().any(Option::is_some));
        assert_eq!(
            *before.get_or_insert_with(|| times.clone()),
            times,
            "{offset}"
        );
    }
}

//! The client against a simulator in which things go wrong, or are out of the ordinary.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use intacct_client::{Client, ClientConfig, ErrorKind, QuietHours, Reason, User};
use intacct_sim::{Access, CompanyHandle, FaultScript, RunningSimulator, Scale, Simulator, Tier};
use intacct_xml::request::{Filter, Query, QueryOptions};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;
use std::collections::BTreeMap;
use sync_http::{ManualClock, Sleeper, Timing};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::stories::config;

async fn started(faults: &str, now: OffsetDateTime) -> RunningSimulator {
    let script = FaultScript::parse(faults).unwrap();
    let builder = Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .now(now)
        .faults(script);
    builder.start().await.unwrap()
}

const SATURDAY: OffsetDateTime = datetime!(2026-01-31 02:00 UTC);

async fn call(client: &Client) -> intacct_client::Result<()> {
    client
        .lookup(&ObjectName::new("VENDOR").unwrap())
        .await
        .map(drop)
}

/// Waiting that moves the client's time and the company's alike.
#[derive(Debug)]
struct Together {
    clock: ManualClock,
    company: CompanyHandle,
}

#[async_trait]
impl Sleeper for Together {
    async fn sleep(&self, duration: Duration) {
        // Begun seconds count as whole, so that the company is never behind.
        let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
        self.company.advance_clock(u32::try_from(seconds).unwrap());
        self.clock.sleep(duration).await;
    }
}

/// Settings of a client whose waits the company lives through too.
fn together(simulator: &RunningSimulator) -> (ClientConfig, ManualClock) {
    let clock = ManualClock::new(simulator.company().now());
    let sleeper = Together {
        clock: clock.clone(),
        company: simulator.company().clone(),
    };
    let timing = Timing::new(Arc::new(clock.clone()), Arc::new(sleeper));
    (config(simulator).with_timing(timing), clock)
}

const MAINTENANCE: &str = r#"
    [[rules]]
    name = "maintenance"
    when = { weekly = "Sat 02:30-05:30" }
    fault = "offline"
"#;

#[tokio::test]
async fn quiet_hours_pass_the_maintenance_by() {
    let simulator = started(MAINTENANCE, SATURDAY).await;
    let (settings, clock) = together(&simulator);
    let client = Client::new(settings.with_quiet_hours(QuietHours::saturday_utc())).unwrap();
    call(&client).await.unwrap();
    clock.advance(Duration::from_secs(1801));
    simulator.company().advance_clock(1801);
    call(&client).await.unwrap();
    assert_eq!(clock.sleeps().len(), 1);
    assert!(
        simulator.company().fault_story().is_empty(),
        "nothing was asked while it lasted"
    );

    // Without them the client is told, tries again, and says in the end that it will pass.
    let simulator = started(MAINTENANCE, SATURDAY + Duration::from_secs(3600)).await;
    let (settings, clock) = together(&simulator);
    let error = call(&Client::new(settings).unwrap()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Unavailable, Reason::Offline)
    );
    assert!(error.is_transient() && error.is_exhausted());
    assert_eq!(clock.sleeps().len(), 4);
}

#[tokio::test]
async fn an_hour_off_line_is_waited_out_if_it_is_short() {
    let outage = r#"
        [[rules]]
        when = { from = "2026-01-31T02:00:00Z", until = "2026-01-31T02:00:06Z" }
        fault = "offline"
    "#;
    let simulator = started(outage, SATURDAY).await;
    let (settings, clock) = together(&simulator);
    call(&Client::new(settings).unwrap()).await.unwrap();
    assert!(
        (2..=4).contains(&clock.sleeps().len()),
        "{:?}",
        clock.sleeps()
    );
}

#[tokio::test]
async fn one_client_is_never_too_many_for_the_standard_tier() {
    let builder = Simulator::builder().seed(7).scale(Scale::Tiny);
    // Whoever finds no place is turned away at once.
    let tier = Tier::new(1, 0, Duration::ZERO);
    let simulator = builder
        .tier(tier)
        .sleeper(|_| async {})
        .start()
        .await
        .unwrap();
    let client = Client::new(config(&simulator)).unwrap();
    let entity = client.for_entity("100").unwrap();
    let calls = (0..10).map(|number| {
        if number % 2 == 0 {
            call(&client)
        } else {
            call(&entity)
        }
    });
    for outcome in join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(
        client.calls().total().failed,
        0,
        "all tasks and entities together ask one by one"
    );
    assert_eq!(client.calls().total().sent, 12);
    assert_eq!(simulator.company().stats().turned_away, 0);
}

#[tokio::test]
async fn calls_are_counted_as_the_gateway_counts_them() {
    let simulator = started("", SATURDAY).await;
    let client = Client::new(config(&simulator)).unwrap();
    call(&client).await.unwrap();
    let fields = [FieldName::new("RECORDNO").unwrap()];
    let query = Query::new(ObjectName::new("VENDOR").unwrap(), fields).unwrap();
    let pages = client.query_as::<serde::de::IgnoredAny>(query.with_page_size(5).unwrap());
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    assert!(pages.len() > 2);
    let (here, there) = (client.calls(), simulator.company().stats());
    assert_eq!(here.total().sent, there.functions);
    assert_eq!(here.of_function("query").sent, pages.len() as u64);
}

#[tokio::test]
async fn a_user_of_one_entity_is_there_without_asking() {
    let builder = Simulator::builder().seed(7).scale(Scale::Tiny);
    let reader = intacct_sim::User::new("reader", "reader-password").entity("100");
    let simulator = builder
        .access(Access::default().user(reader))
        .start()
        .await
        .unwrap();
    let mut settings = config(&simulator);
    settings.credentials.user = User {
        company_id: "DEMO".into(),
        id: "reader".into(),
        password: "reader-password".into(),
    };
    let client = Client::new(settings).unwrap();
    assert_eq!(
        client.login().await.unwrap().entity_id.as_deref(),
        Some("100")
    );
    let elsewhere = client.for_entity("200").unwrap().login().await.unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::Auth, "{elsewhere}");
}

#[derive(Debug, Deserialize)]
struct Anything {
    #[serde(flatten)]
    fields: BTreeMap<String, Option<String>>,
}

/// All vendors with their filled fields.
async fn vendors(simulator: &RunningSimulator) -> Vec<BTreeMap<String, Option<String>>> {
    let client = Client::new(config(simulator)).unwrap();
    let object = ObjectName::new("VENDOR").unwrap();
    let definition = client.lookup(&object).await.unwrap();
    let fields = definition
        .fields
        .iter()
        .map(|field| FieldName::new(&field.id).unwrap());
    let private = QueryOptions {
        show_private: true,
        ..QueryOptions::default()
    };
    let query = Query::new(object, fields)
        .unwrap()
        .with_filter(Filter::is_not_null(FieldName::new("RECORDNO").unwrap()))
        .with_options(private);
    let pages: Vec<_> = client
        .query_as::<Anything>(query)
        .try_collect()
        .await
        .unwrap();
    let records = pages.into_iter().flat_map(|page| page.records);
    let filled = records.map(|record| {
        record
            .fields
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .collect()
    });
    let mut filled: Vec<BTreeMap<_, _>> = filled.collect();
    filled.sort_by(|one, other| one["RECORDNO"].cmp(&other["RECORDNO"]));
    filled
}

#[tokio::test]
async fn fields_that_are_absent_are_as_empty_as_empty_ones() {
    let usual = vendors(&started("", SATURDAY).await).await;
    let absent = "[[rules]]\nwhen = { call = \"query\" }\nfault = \"absent_nulls\"";
    let simulator = started(absent, SATURDAY).await;
    assert_eq!(vendors(&simulator).await, usual);
    assert!(usual.len() > 5);
    assert!(!simulator.company().fault_story().is_empty());
}

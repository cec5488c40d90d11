//! The client against a simulator that does what its table of behaviours says.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::TryStreamExt;
use intacct_client::walk::WalkWindow;
use intacct_client::{Client, ClientConfig, WalkSpec};
use intacct_sim::{
    Access, Company, DataType, Fault, FaultScript, ObjectSpec, Rule, RunningSimulator, Scale,
    ShownTimeout, Simulator, Tier, User,
};
use intacct_xml::request::{Query, QueryOptions};
use intacct_xml::{FieldName, ObjectName};
use serde::Deserialize;

use crate::stories::config;

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "UPPERCASE")]
struct Widget {
    recordno: String,
    #[serde(default)]
    name: Option<String>,
}

fn object(name: &str) -> ObjectName {
    ObjectName::new(name).unwrap()
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

/// Every second of `count` widgets has a name; their numbers grow over a power of ten.
fn widgets(count: u32) -> Company {
    let mut spec = ObjectSpec::new("WIDGET")
        .field("RECORDNO", DataType::Text)
        .field("NAME", DataType::Text)
        .field("WHENMODIFIED", DataType::Timestamp);
    for key in 1..=count {
        let name = if key % 2 == 0 { "named" } else { "" };
        spec = spec.record([
            ("RECORDNO", key.to_string()),
            ("NAME", name.to_owned()),
            ("WHENMODIFIED", format!("01/31/2026 12:{:02}:00", key % 7)),
        ]);
    }
    Company::from_objects([spec]).unwrap()
}

async fn under(script: FaultScript) -> RunningSimulator {
    let builder = Simulator::builder().company(widgets(25)).faults(script);
    builder.start().await.unwrap()
}

async fn walked(client: &Client, spec: WalkSpec) -> Vec<Widget> {
    let spec = spec.with_fields([field("RECORDNO"), field("NAME")]);
    let pages: Vec<_> = client
        .walk_as::<Widget>(spec, None)
        .try_collect()
        .await
        .unwrap();
    pages.into_iter().flat_map(|page| page.records).collect()
}

fn by_key() -> WalkSpec {
    WalkSpec::by_key(object("WIDGET"), field("RECORDNO")).unwrap()
}

async fn by_modified(client: &Client) -> WalkSpec {
    let window = WalkWindow::new(None, client.source_time().await.unwrap());
    WalkSpec::by_modified(
        object("WIDGET"),
        field("RECORDNO"),
        field("WHENMODIFIED"),
        window,
    )
    .unwrap()
}

/// All 25 of them, each once, every second with its name.
fn assert_whole(mut widgets: Vec<Widget>) {
    widgets.sort_unstable_by_key(|widget| widget.recordno.parse::<u32>().unwrap());
    let keys: Vec<u32> = widgets
        .iter()
        .map(|widget| widget.recordno.parse().unwrap())
        .collect();
    assert_eq!(keys, (1..=25).collect::<Vec<u32>>());
    for (key, widget) in keys.iter().zip(&widgets) {
        assert_eq!(widget.name.is_some(), key % 2 == 0, "{widget:?}");
    }
}

#[tokio::test]
async fn empty_fields_may_be_absent() {
    let simulator = under(FaultScript::new(1).rule(Rule::new(Fault::AbsentNulls))).await;
    let client = Client::new(config(&simulator).with_page_size(4)).unwrap();
    assert_whole(walked(&client, by_key()).await);
}

#[tokio::test]
async fn record_numbers_may_stand_in_the_order_of_texts() {
    let simulator = under(FaultScript::new(1).rule(Rule::new(Fault::TextualKeys))).await;
    let client = Client::new(config(&simulator).with_page_size(4)).unwrap();
    assert_whole(walked(&client, by_key()).await);
    let spec = by_modified(&client).await;
    assert_whole(walked(&client, spec).await);
}

#[tokio::test]
async fn session_times_may_come_in_another_offset() {
    // Six hours from now, as it is told in California.
    let shown = ShownTimeout::Text("2026-01-31T16:00:00-08:00".to_owned());
    let simulator = under(FaultScript::new(1).rule(Rule::new(Fault::ShownTimeout(shown)))).await;
    let client = Client::new(config(&simulator).with_page_size(4)).unwrap();
    assert_whole(walked(&client, by_key()).await);
    // Read as UTC, the session would seem to be over before each call.
    assert_eq!(simulator.company().stats().calls["getAPISession"], 1);
}

#[tokio::test]
async fn three_walks_at_a_time_find_their_place_in_the_narrowest_tier() {
    // Whoever comes while another request runs is turned away at once.
    let tier = Tier::new(1, 0, Duration::ZERO);
    let builder = Simulator::builder().company(widgets(25)).tier(tier);
    let simulator = builder.start().await.unwrap();
    let client = Client::new(config(&simulator).with_page_size(2)).unwrap();
    let spec = by_modified(&client).await;
    let both = futures_util::future::join3(
        walked(&client, by_key()),
        walked(&client, spec),
        walked(&client, by_key()),
    );
    let (first, second, third) = both.await;
    for widgets in [first, second, third] {
        assert_whole(widgets);
    }
    assert_eq!(simulator.company().stats().turned_away, 0);
}

#[tokio::test]
async fn a_user_of_one_entity_reads_that_entity() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Batch {
        megaentityid: Option<String>,
    }

    let user = User::new("local", "local-password").entity("200");
    let simulator = Simulator::builder()
        .scale(Scale::Tiny)
        .access(Access::default().user(user))
        .start()
        .await
        .unwrap();
    let mut config: ClientConfig = config(&simulator);
    config.credentials.user.id = "local".into();
    config.credentials.user.password = "local-password".into();
    let client = Client::new(config).unwrap();
    let query = Query::new(
        object("GLBATCH"),
        [field("RECORDNO"), field("MEGAENTITYID")],
    )
    .unwrap()
    .with_options(QueryOptions {
        show_private: true,
        ..QueryOptions::default()
    });
    let pages: Vec<_> = client.query_as::<Batch>(query).try_collect().await.unwrap();
    let entities: BTreeSet<_> = pages
        .into_iter()
        .flat_map(|page| page.records)
        .map(|batch| batch.megaentityid)
        .collect();
    assert_eq!(entities, BTreeSet::from([Some("200".to_owned())]));
}

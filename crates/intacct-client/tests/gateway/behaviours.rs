//! The client against a simulator that does what its table of behaviours says.

use futures_util::TryStreamExt;
use intacct_client::walk::WalkWindow;
use intacct_client::{Client, WalkSpec};
use intacct_sim::{
    Company, DataType, Fault, FaultScript, ObjectSpec, Rule, RunningSimulator, ShownTimeout,
    Simulator,
};
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

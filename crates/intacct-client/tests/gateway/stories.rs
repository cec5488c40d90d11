//! The client against the simulator: whole companies read and compared with the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt};
use intacct_client::walk::{NullPass, WalkWindow};
use intacct_client::{
    Client, ClientConfig, Credentials, EndpointTrust, ErrorKind, Sender, User, WalkSpec,
};
use intacct_sim::{Company, DataType, Edit, ObjectSpec, RunningSimulator, Scale, Simulator};
use intacct_xml::request::{
    Aggregate, Filter, Query, QueryOptions, Read, ReadByName, ReadByQuery, Selection,
};
use intacct_xml::{FieldName, ObjectName};
use proptest::prelude::*;
use serde::Deserialize;
use sync_http::{LimitOptions, ManualClock};
use time::macros::datetime;
use time::{OffsetDateTime, PrimitiveDateTime};

fn object(name: &str) -> ObjectName {
    ObjectName::new(name).unwrap()
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

pub(crate) fn config(simulator: &RunningSimulator) -> ClientConfig {
    crate::logs::watch();
    let sender = Sender {
        id: "sim-sender".into(),
        password: "sim-sender-password".into(),
    };
    let user = User {
        company_id: "DEMO".into(),
        id: "sim-user".into(),
        password: "sim-user-password".into(),
    };
    ClientConfig::new(Credentials::new(sender, user))
        .with_endpoint(simulator.url(), EndpointTrust::SameHost)
        .with_timing(ManualClock::default().into())
}

fn private_too() -> QueryOptions {
    QueryOptions {
        show_private: true,
        ..QueryOptions::default()
    }
}

async fn tiny() -> RunningSimulator {
    Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .start()
        .await
        .unwrap()
}

/// Every record as a map of its fields; empty ones are left out.
type Map = BTreeMap<String, String>;

fn truth(simulator: &RunningSimulator, name: &str) -> BTreeMap<u64, Map> {
    let records = simulator.company().records(name).unwrap();
    records
        .into_iter()
        .map(|record| {
            let fields: Map = record
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            (fields["RECORDNO"].parse().unwrap(), fields)
        })
        .collect()
}

#[derive(Debug, Deserialize)]
struct Anything {
    #[serde(flatten)]
    fields: BTreeMap<String, Option<String>>,
}

impl Anything {
    fn filled(self) -> Map {
        self.fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

#[tokio::test]
async fn every_object_is_read_whole_by_key_and_through_a_window() {
    let simulator = tiny().await;
    let client = Client::new(config(&simulator).with_page_size(100)).unwrap();
    for name in ["VENDOR", "APBILL", "APBILLITEM", "GLACCOUNT", "GLDETAIL"] {
        let definition = client.lookup(&object(name)).await.unwrap();
        let fields: Vec<_> = definition
            .fields
            .iter()
            .map(|definition| field(&definition.id))
            .collect();
        let expected = truth(&simulator, name);
        assert!(expected.len() > 5, "{name}");
        let window = WalkWindow::new(None, client.source_time().await.unwrap());
        let by_key = WalkSpec::by_key(object(name), field("RECORDNO")).unwrap();
        let by_modified = WalkSpec::by_modified(
            object(name),
            field("RECORDNO"),
            field("WHENMODIFIED"),
            window,
        )
        .unwrap();
        for spec in [by_key, by_modified] {
            let spec = spec.with_fields(fields.clone()).with_options(private_too());
            let pages = client.walk_as::<Anything>(spec, None);
            let pages: Vec<_> = pages.try_collect().await.unwrap();
            let records = pages
                .into_iter()
                .flat_map(|page| page.records)
                .map(Anything::filled);
            let mut count = 0;
            for record in records {
                count += 1;
                let key: u64 = record["RECORDNO"].parse().unwrap();
                assert_eq!(Some(&record), expected.get(&key), "{name} {key}");
            }
            assert_eq!(count, expected.len(), "{name}");
        }
    }
}

#[tokio::test]
async fn sessions_that_end_in_the_middle_of_a_walk_are_not_noticed() {
    let simulator = Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .before_call(|number, company| {
            if number % 3 == 0 {
                company.expire_sessions();
            }
        })
        .start()
        .await
        .unwrap();
    let client = Client::new(config(&simulator).with_page_size(50)).unwrap();
    let spec = WalkSpec::by_key(object("GLDETAIL"), field("RECORDNO")).unwrap();
    let pages: Vec<_> = client
        .walk_as::<Anything>(spec, None)
        .try_collect()
        .await
        .unwrap();
    let count: usize = pages.iter().map(|page| page.records.len()).sum();
    assert_eq!(count, truth(&simulator, "GLDETAIL").len());
    assert!(client.calls().of_function("getAPISession").sent > 3);
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
struct Vendor {
    recordno: u64,
    vendorid: String,
    name: Option<String>,
}

#[tokio::test]
async fn the_older_reads_agree_with_the_walk() {
    let simulator = tiny().await;
    let client = Client::new(config(&simulator)).unwrap();
    let mut expected = truth(&simulator, "VENDOR");
    // They cannot ask for what is private to an entity.
    expected.retain(|_, record| !record.contains_key("MEGAENTITYID"));
    let read = ReadByQuery::new(object("VENDOR"), "")
        .with_page_size(3)
        .unwrap();
    let pages: Vec<_> = client
        .read_by_query_as::<Vendor>(read)
        .try_collect()
        .await
        .unwrap();
    assert!(pages.len() > 1);
    let vendors: Vec<_> = pages.into_iter().flat_map(|page| page.records).collect();
    let keys: BTreeSet<u64> = vendors.iter().map(|vendor| vendor.recordno).collect();
    assert_eq!(
        (vendors.len(), keys),
        (expected.len(), expected.keys().copied().collect())
    );
    for vendor in &vendors {
        let record = &expected[&vendor.recordno];
        assert_eq!(Some(&vendor.vendorid), record.get("VENDORID"));
        assert_eq!(vendor.name.as_ref(), record.get("NAME"));
    }

    let some = &vendors[..2];
    let by_number = Read::new(
        object("VENDOR"),
        some.iter().map(|vendor| vendor.recordno.to_string()),
    )
    .unwrap();
    let by_id = ReadByName::new(
        object("VENDOR"),
        some.iter().map(|vendor| vendor.vendorid.clone()),
    )
    .unwrap();
    let mut first: Vec<Vendor> = client.read_as(by_number).await.unwrap();
    let mut second: Vec<Vendor> = client.read_by_name_as(by_id).await.unwrap();
    first.sort_by_key(|vendor| vendor.recordno);
    second.sort_by_key(|vendor| vendor.recordno);
    assert_eq!(first, second);
    assert_eq!(first.len(), 2);
    assert!(
        client
            .objects()
            .await
            .unwrap()
            .iter()
            .any(|object| object.name == "VENDOR")
    );
    assert!(
        !client
            .inspect(&object("VENDOR"))
            .await
            .unwrap()
            .fields
            .is_empty()
    );
}

#[tokio::test]
async fn a_result_is_lost_with_its_session() {
    let simulator = Simulator::builder()
        .seed(7)
        .scale(Scale::Tiny)
        .before_call(|number, company| {
            if number == 3 {
                company.expire_sessions();
            }
        })
        .start()
        .await
        .unwrap();
    let client = Client::new(config(&simulator)).unwrap();
    let read = ReadByQuery::new(object("VENDOR"), "")
        .with_page_size(2)
        .unwrap();
    let mut pages = client.read_by_query_as::<Vendor>(read);
    let error = loop {
        match pages.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the result must not look whole"),
        }
    };
    assert_eq!(error.reason(), intacct_client::Reason::CursorLost);
}

#[derive(Debug, Deserialize)]
struct Sum {
    #[serde(rename = "CURRENCY")]
    currency: Option<String>,
    #[serde(rename = "SUM.TRX_AMOUNT", alias = "TRX_AMOUNT")]
    amount: Option<String>,
    #[serde(rename = "COUNT.RECORDNO")]
    count: Option<u64>,
}

#[tokio::test]
async fn aggregates_come_as_records() {
    let simulator = tiny().await;
    let client = Client::new(config(&simulator)).unwrap();
    let select = [
        Selection::Field(field("CURRENCY")),
        Selection::Aggregate(Aggregate::Sum, field("TRX_AMOUNT")),
        Selection::Aggregate(Aggregate::Count, field("RECORDNO")),
    ];
    let query = Query::new(object("APBILLITEM"), select).unwrap();
    let pages: Vec<_> = client.query_as::<Sum>(query).try_collect().await.unwrap();
    let sums: Vec<_> = pages.into_iter().flat_map(|page| page.records).collect();
    assert!(
        sums.iter()
            .all(|sum| sum.currency.is_some() && sum.amount.is_some())
    );
    let count: u64 = sums.iter().map(|sum| sum.count.unwrap()).sum();
    assert_eq!(count as usize, truth(&simulator, "APBILLITEM").len());
}

#[tokio::test]
async fn what_the_gateway_refuses_has_its_kind() {
    let simulator = tiny().await;
    let client = Client::new(config(&simulator)).unwrap();
    let unknown = Query::new(object("NOSUCHTHING"), [field("RECORDNO")]).unwrap();
    let error = client
        .query_as::<Anything>(unknown)
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let wrong = Query::new(object("VENDOR"), [field("NOSUCHFIELD")]).unwrap();
    let error = client
        .query_as::<Anything>(wrong)
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");

    let mut locked_out = config(&simulator);
    locked_out.credentials.user.password = "wrong".into();
    let error = Client::new(locked_out).unwrap().login().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    let mut foreign = config(&simulator);
    foreign.credentials.sender.password = "wrong".into();
    let error = Client::new(foreign).unwrap().login().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Auth, intacct_client::Reason::Control)
    );
}

const NOW: OffsetDateTime = datetime!(2026-01-31 18:00 UTC);

fn wire(at: OffsetDateTime) -> String {
    intacct_xml::values::format_timestamp(PrimitiveDateTime::new(at.date(), at.time()))
}

/// Key, and seconds before now at which it was modified.
fn company(records: &BTreeMap<u64, Option<u32>>) -> Company {
    let mut spec = ObjectSpec::new("VENDOR")
        .field("RECORDNO", DataType::Text)
        .field("WHENMODIFIED", DataType::Timestamp)
        .field("NAME", DataType::Text);
    for (key, age) in records {
        let modified = age.map(|age| wire(NOW - time::Duration::seconds(i64::from(age))));
        spec = spec.record([
            ("RECORDNO", key.to_string()),
            ("WHENMODIFIED", modified.unwrap_or_default()),
            ("NAME", format!("vendor {key}")),
        ]);
    }
    Company::from_objects([spec]).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Edit(u64),
    Delete(u64),
    Create,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Records that nobody touches come exactly once, whatever happens to the others between the pages.
    #[test]
    fn a_walk_over_a_changing_company_gives_exactly_its_records(
        records in proptest::collection::btree_map(
            1_u64..60,
            prop_oneof![1 => Just(None), 9 => (3600_u32..3606).prop_map(Some)],
            0..50,
        ),
        changes in proptest::collection::vec(
            proptest::option::of(prop_oneof![
                (1_u64..60).prop_map(Change::Edit),
                (1_u64..60).prop_map(Change::Delete),
                Just(Change::Create),
            ]),
            0..40,
        ),
        page_size in 1_u32..9,
        at_once in 1_usize..4,
    ) {
        let touched = std::sync::Arc::new(Mutex::new(BTreeSet::new()));
        let noted = std::sync::Arc::clone(&touched);
        let created = AtomicU64::new(1000);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seen = runtime.block_on(async {
            let simulator = Simulator::builder()
                .company(company(&records))
                .now(NOW)
                .before_call(move |number, company| {
                    let index = usize::try_from(number).unwrap() - 1;
                    let edit = match changes.get(index).copied().flatten() {
                        None => return,
                        Some(Change::Edit(key)) => {
                            noted.lock().unwrap().insert(key);
                            Edit::update("VENDOR", key).set("NAME", "edited")
                        }
                        Some(Change::Delete(key)) => {
                            noted.lock().unwrap().insert(key);
                            Edit::delete("VENDOR", key)
                        }
                        Some(Change::Create) => Edit::create("VENDOR")
                            .set("RECORDNO", created.fetch_add(1, Ordering::SeqCst).to_string())
                            .set("NAME", "new"),
                    };
                    // An edit of a record that is not there is refused.
                    let _ = company.edit(&edit);
                })
                .start()
                .await
                .unwrap();
            let config = config(&simulator).with_page_size(page_size);
            // With leave for several requests at once, parts of the window are read ahead.
            let limits = LimitOptions::default().with_concurrency(at_once);
            let client = Client::new(config.with_limits(limits)).unwrap();
            let window = WalkWindow::new(
                Some(NOW - time::Duration::seconds(3605)),
                NOW - time::Duration::seconds(120),
            );
            let spec = WalkSpec::by_modified(
                object("VENDOR"),
                field("RECORDNO"),
                field("WHENMODIFIED"),
                window,
            )
            .unwrap();
            let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
            let mut pages = client.walk_as::<Anything>(spec.with_fields([field("NAME")]), None);
            while let Some(page) = pages.next().await {
                for record in page.unwrap().records {
                    *seen.entry(record.filled()["RECORDNO"].parse().unwrap()).or_default() += 1;
                }
            }
            simulator.shutdown().await;
            seen
        });
        let touched = touched.lock().unwrap();
        for (key, _) in records.iter().filter(|(key, _)| !touched.contains(key)) {
            prop_assert_eq!(seen.get(key), Some(&1), "record {}", key);
        }
        prop_assert!(seen.values().all(|times| *times == 1));
        prop_assert!(seen.keys().all(|key| *key < 1000), "a new record is for the next window");
    }
}

#[tokio::test]
async fn a_walk_goes_on_from_any_of_its_cursors() {
    let records: BTreeMap<u64, Option<u32>> = (1..40)
        .map(|key| (key, (key % 7 != 0).then_some(3600 + (key % 3) as u32)))
        .collect();
    let simulator = Simulator::builder()
        .company(company(&records))
        .now(NOW)
        .start()
        .await
        .unwrap();
    let client = Client::new(config(&simulator).with_page_size(3)).unwrap();
    let window = WalkWindow::new(None, NOW - time::Duration::seconds(120));
    let spec = WalkSpec::by_modified(
        object("VENDOR"),
        field("RECORDNO"),
        field("WHENMODIFIED"),
        window,
    )
    .unwrap()
    .with_null_pass(NullPass::All);
    let keys = |pages: &[intacct_client::WalkPage<Vec<Anything>>]| {
        let records = pages.iter().flat_map(|page| &page.records);
        records
            .map(|record| record.fields["RECORDNO"].clone().unwrap())
            .collect::<Vec<_>>()
    };
    let whole: Vec<_> = client
        .walk_as::<Anything>(spec.clone(), None)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(keys(&whole).len(), records.len());
    // However it is read: a cursor of one client is good for another.
    let several = LimitOptions::default().with_concurrency(3);
    let settings = config(&simulator).with_page_size(2).with_limits(several);
    for client in [client, Client::new(settings).unwrap()] {
        for cut in 0..whole.len() {
            let cursor = whole[cut].cursor.clone();
            let rest: Vec<_> = client
                .walk_as::<Anything>(spec.clone(), cursor)
                .try_collect()
                .await
                .unwrap();
            assert_eq!(keys(&rest), keys(&whole[cut + 1..]), "from page {cut}");
        }
    }
}

#[tokio::test]
async fn a_filter_narrows_a_walk() {
    let records: BTreeMap<u64, Option<u32>> = (1..20).map(|key| (key, Some(3600))).collect();
    let simulator = Simulator::builder()
        .company(company(&records))
        .now(NOW)
        .start()
        .await
        .unwrap();
    let client = Client::new(config(&simulator).with_page_size(2)).unwrap();
    let spec = WalkSpec::by_key(object("VENDOR"), field("RECORDNO"))
        .unwrap()
        .with_filter(Filter::like(field("NAME"), "vendor 1%"));
    let pages: Vec<_> = client
        .walk_as::<Anything>(spec, None)
        .try_collect()
        .await
        .unwrap();
    let count: usize = pages.iter().map(|page| page.records.len()).sum();
    assert_eq!(count, 11);
}

#[cfg(feature = "arrow")]
#[tokio::test]
async fn arrow_pages_hold_what_structs_hold() {
    use std::sync::Arc;

    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Decimal128Type;
    use arrow_schema::{DataType as Arrow, Field, Schema, TimeUnit};
    use intacct_xml::request::Order;
    use intacct_xml::values::parse_decimal;

    let simulator = tiny().await;
    let client = Client::new(config(&simulator).with_page_size(7)).unwrap();
    let schema = Arc::new(Schema::new(vec![
        Field::new("recordno", Arrow::Utf8, false),
        Field::new("amount", Arrow::Decimal128(38, 9), true),
        Field::new(
            "whenmodified",
            Arrow::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
    ]));
    let expected: i128 = truth(&simulator, "APBILLITEM")
        .values()
        .map(|record| parse_decimal(&record["AMOUNT"], 9).unwrap())
        .sum();
    let sum = |batches: &[arrow_array::RecordBatch]| -> i128 {
        let amounts = batches.iter().flat_map(|batch| {
            batch
                .column(1)
                .as_primitive::<Decimal128Type>()
                .iter()
                .flatten()
                .collect::<Vec<_>>()
        });
        amounts.sum()
    };
    let rows = |batches: &[arrow_array::RecordBatch]| -> usize {
        batches.iter().map(|batch| batch.column(0).len()).sum()
    };
    let count = truth(&simulator, "APBILLITEM").len();

    let window = WalkWindow::new(None, client.source_time().await.unwrap());
    let walk = WalkSpec::by_modified(
        object("APBILLITEM"),
        field("RECORDNO"),
        field("WHENMODIFIED"),
        window,
    )
    .unwrap();
    let pages: Vec<_> = client
        .walk(walk, Arc::clone(&schema), None)
        .try_collect()
        .await
        .unwrap();
    let batches: Vec<_> = pages.into_iter().map(|page| page.records.batch).collect();
    assert_eq!((rows(&batches), sum(&batches)), (count, expected));

    let select = ["RECORDNO", "AMOUNT", "WHENMODIFIED"].map(field);
    let query = Query::new(object("APBILLITEM"), select)
        .unwrap()
        .with_order([Order::ascending(field("RECORDNO"))])
        .with_page_size(10)
        .unwrap();
    let pages: Vec<_> = client
        .query_batches(query, Arc::clone(&schema))
        .try_collect()
        .await
        .unwrap();
    let batches: Vec<_> = pages.into_iter().map(|page| page.records.batch).collect();
    assert_eq!((rows(&batches), sum(&batches)), (count, expected));

    let read = ReadByQuery::new(object("APBILLITEM"), "")
        .with_page_size(10)
        .unwrap();
    let pages: Vec<_> = client
        .read_by_query_batches(read, schema)
        .try_collect()
        .await
        .unwrap();
    let batches: Vec<_> = pages.into_iter().map(|page| page.records.batch).collect();
    assert_eq!((rows(&batches), sum(&batches)), (count, expected));
}

#[tokio::test]
async fn a_function_that_is_to_happen_once_happens_once() {
    use intacct_client::Reason;
    use intacct_xml::ControlId;
    use intacct_xml::request::{Function, Lookup, Transaction};

    let simulator = tiny().await;
    let client = Client::new(config(&simulator)).unwrap();
    let id = ControlId::new("settled-2026-01").unwrap();
    let function = [Function::new(id, Lookup::new(object("VENDOR")))];
    let first = client
        .execute_once(&function, Transaction::Separate)
        .await
        .unwrap();
    first[0].result.as_ref().unwrap();
    assert_eq!(first[0].records.len(), 1);
    // Another program with the same id in its hands.
    let other = Client::new(config(&simulator)).unwrap();
    let second = other
        .execute_once(&function, Transaction::Separate)
        .await
        .unwrap();
    let error = second[0].result.as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Conflict, Reason::DuplicateFunction)
    );
}

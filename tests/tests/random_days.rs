//! Randomised days of a company of 10,000 records, read while everything goes wrong that a fault
//! script can make go wrong: in the end the reader has exactly the company's records.
//!
//! A failed walk goes on from its last cursor, as a service would; nothing else is forgiven.
//! `DAYS=1000 cargo test --test random_days` tells more stories; `FIRST_DAY` begins elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use intacct_client::walk::WalkWindow;
use intacct_client::{Client, ClientConfig, WalkSpec};
use intacct_sim::{
    Body, Characters, Cloudflare, Company, Cut, DataType, Edit, Fault, FaultScript, Http,
    ObjectSpec, RetryAfterForm, Rule, RunningSimulator, Simulator, Spoiler, Totals, Truncate,
};
use intacct_sync_tests::{logs, settings};
use intacct_xml::{FieldName, ObjectName};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::Deserialize;
use sync_http::ManualClock;
use time::macros::datetime;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

const NOW: OffsetDateTime = datetime!(2026-01-31 18:00 UTC);
const RECORDS: u64 = 10_000;
/// What may come late: as far back as each run looks again.
const LOOKBACK: Duration = Duration::hours(2);
const LAG: Duration = Duration::minutes(2);
const TAX: &str = "hush-tax-";
const BANK: &str = "hush-bank-";
const FIELDS: [&str; 6] = [
    "RECORDNO",
    "NAME",
    "AMOUNT",
    "TAXID",
    "ACHACCOUNTNUMBER",
    "WHENMODIFIED",
];

/// A story: everything in it follows from these.
#[derive(Clone, Debug)]
struct Story {
    seed: u64,
    page_size: u32,
    /// Seconds over which the records' times are spread: few make ties of thousands.
    spread: u32,
    /// Record numbers are text to the gateway.
    textual: bool,
    /// Each with the probability that a call meets it.
    troubles: Vec<(Trouble, f64)>,
    /// Each before the n-th query.
    edits: Vec<(u64, Change)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Throttled,
    ThrottledWithDate,
    ServerError,
    HtmlError,
    OriginTimeout,
    Challenge,
    RateLimitedText,
    CutBefore,
    CutAfter,
    CutAmid,
    Truncated,
    Empty,
    SessionExpired,
    Offline,
    TryAgainLater,
    GzipGarbage,
    TwoRoots,
    ByteOrderMark,
    Control,
    WrongTotals,
    /// The last record of a page twice.
    RepeatedRow,
    /// Pages of more than 300 records time out, always.
    LargePages,
}

const TROUBLES: [Trouble; 22] = [
    Trouble::Throttled,
    Trouble::ThrottledWithDate,
    Trouble::ServerError,
    Trouble::HtmlError,
    Trouble::OriginTimeout,
    Trouble::Challenge,
    Trouble::RateLimitedText,
    Trouble::CutBefore,
    Trouble::CutAfter,
    Trouble::CutAmid,
    Trouble::Truncated,
    Trouble::Empty,
    Trouble::SessionExpired,
    Trouble::Offline,
    Trouble::TryAgainLater,
    Trouble::GzipGarbage,
    Trouble::TwoRoots,
    Trouble::ByteOrderMark,
    Trouble::Control,
    Trouble::WrongTotals,
    Trouble::RepeatedRow,
    Trouble::LargePages,
];

impl Trouble {
    fn rule(self, probability: f64) -> Rule {
        let fault = match self {
            Self::Throttled => Fault::throttled(),
            Self::ThrottledWithDate => {
                Fault::Http(Http::status(429).retry_after(3, RetryAfterForm::Date))
            }
            Self::ServerError => Fault::Http(Http::status(503)),
            Self::HtmlError => Fault::Http(Http::status(502).body(Body::Html)),
            Self::OriginTimeout | Self::LargePages => {
                Fault::Http(Http::status(524).body(Body::Html))
            }
            Self::Challenge => Fault::Cloudflare(Cloudflare::default()),
            Self::RateLimitedText => Fault::RateLimitedBody,
            Self::CutBefore => Fault::Cut(Cut::BeforeWork),
            Self::CutAfter => Fault::Cut(Cut::AfterWork),
            Self::CutAmid => Fault::Cut(Cut::Amid),
            Self::Truncated => Fault::Truncate(Truncate::Fraction(0.7)),
            Self::Empty => Fault::Http(Http::status(200).body(Body::Empty)),
            Self::SessionExpired => Fault::SessionExpired,
            Self::Offline => Fault::Offline,
            Self::TryAgainLater => Fault::TryAgainLater,
            Self::GzipGarbage => Fault::GzipGarbage,
            Self::TwoRoots => Fault::TwoRoots,
            Self::ByteOrderMark => Fault::ByteOrderMark,
            Self::Control => Fault::Characters(Characters::new(Spoiler::RawControl, "NAME")),
            Self::RepeatedRow => Fault::RepeatRows(1),
            Self::WrongTotals => Fault::Totals({
                let mut totals = Totals::default();
                totals.total = -5;
                totals
            }),
        };
        let rule = Rule::new(fault).call("query").named(format!("{self:?}"));
        match self {
            Self::LargePages => rule.when(|when| when.page_size_over = Some(300)),
            _ => rule.probability(probability),
        }
    }
}

/// What somebody does in the company. The number chooses the record.
#[derive(Clone, Copy, Debug)]
enum Change {
    Edit(u64),
    Delete(u64),
    Create,
    /// A new record that was made up to so many seconds ago and becomes visible only now.
    Late(u32),
}

fn stories() -> impl Strategy<Value = Story> {
    let troubles = proptest::sample::subsequence(TROUBLES.to_vec(), 0..=5);
    let probabilities = proptest::collection::vec(0.02..0.25_f64, 5);
    let change = prop_oneof![
        4 => (1..=RECORDS).prop_map(Change::Edit),
        2 => (1..=RECORDS).prop_map(Change::Delete),
        2 => Just(Change::Create),
        2 => (0_u32..5400).prop_map(Change::Late),
    ];
    (
        any::<u64>(),
        200_u32..=2000,
        prop_oneof![1_u32..4, 4_u32..60, 60_u32..100_000],
        any::<bool>(),
        (troubles, probabilities),
        proptest::collection::vec((1_u64..30, change), 0..40),
    )
        .prop_map(
            |(seed, page_size, spread, textual, (troubles, probabilities), edits)| Story {
                seed,
                page_size,
                spread,
                textual,
                troubles: troubles.into_iter().zip(probabilities).collect(),
                edits,
            },
        )
}

fn wire(at: OffsetDateTime) -> String {
    intacct_xml::values::format_timestamp(PrimitiveDateTime::new(at.date(), at.time()))
}

impl Story {
    /// One record in fifty has no time of change; numbers have gaps.
    fn company(&self) -> Company {
        let mut draws = fastrand::Rng::with_seed(self.seed);
        let number = if self.textual {
            DataType::Text
        } else {
            DataType::Integer
        };
        let mut widgets = ObjectSpec::new("WIDGET")
            .field("RECORDNO", number)
            .field("NAME", DataType::Text)
            .field("AMOUNT", DataType::Currency)
            .field("TAXID", DataType::Text)
            .field("ACHACCOUNTNUMBER", DataType::Text)
            .field("WHENMODIFIED", DataType::Timestamp);
        let before = NOW - Duration::days(2);
        for number in 1..=RECORDS {
            let modified = match draws.u8(..50) {
                0 => String::new(),
                _ => wire(before + Duration::seconds(draws.u32(..self.spread).into())),
            };
            widgets = widgets.record([
                ("RECORDNO", number.to_string()),
                ("NAME", format!("widget <{number}> & \u{e9}")),
                (
                    "AMOUNT",
                    format!("{}.{:02}", draws.u32(..1_000_000), draws.u8(..100)),
                ),
                ("TAXID", format!("{TAX}{number}")),
                ("ACHACCOUNTNUMBER", format!("{BANK}{number}")),
                ("WHENMODIFIED", modified),
            ]);
        }
        Company::from_objects([widgets]).unwrap()
    }

    fn script(&self) -> FaultScript {
        let mut script = FaultScript::new(self.seed);
        for (place, (nth, change)) in self.edits.iter().enumerate() {
            let made = RECORDS + 1 + place as u64;
            let edit = match change {
                Change::Edit(number) => {
                    Edit::update("WIDGET", number).set("NAME", format!("edited {place}"))
                }
                Change::Delete(number) => Edit::delete("WIDGET", number),
                Change::Create => Edit::create("WIDGET").set("RECORDNO", made.to_string()),
                Change::Late(age) => Edit::create("WIDGET")
                    .set("RECORDNO", made.to_string())
                    .set("WHENMODIFIED", wire(NOW - Duration::seconds((*age).into()))),
            };
            script = script.rule(Rule::new(Fault::Edit(edit)).call("query").nth(*nth));
        }
        for (trouble, probability) in &self.troubles {
            script = script.rule(trouble.rule(*probability));
        }
        script
    }

    async fn tell(&self) -> Result<(), TestCaseError> {
        let simulator = Simulator::builder()
            .company(self.company())
            .now(NOW)
            .faults(self.script())
            .start()
            .await
            .unwrap();
        let mut reader = Reader::new(self, &simulator);
        let mut low = None;
        let mut days = 0;
        loop {
            let edits_are_over = simulator
                .company()
                .faults()
                .iter()
                .take(self.edits.len())
                .all(|rule| rule.fired > 0);
            let until = reader.until().await;
            reader.read(low, until).await?;
            reader.drop_deleted().await?;
            if edits_are_over {
                break;
            }
            days += 1;
            prop_assert!(days < 10, "the edits do not end");
            low = Some(until - LOOKBACK);
            simulator.company().advance_clock(180);
            reader.clock.advance(std::time::Duration::from_secs(180));
        }
        let truth: BTreeMap<u64, Row> = simulator
            .company()
            .records("WIDGET")
            .unwrap()
            .into_iter()
            .map(|record| {
                let of = |name: &str| {
                    let found = record.iter().find(|(field, _)| field == name);
                    found.and_then(|(_, value)| value.clone())
                };
                let [number, name, amount, tax, bank, modified] = FIELDS.map(of);
                let number = number.unwrap().parse().unwrap();
                (
                    number,
                    Row {
                        name,
                        amount,
                        tax,
                        bank,
                        modified,
                    },
                )
            })
            .collect();
        prop_assert!(truth.len() > 9_000);
        let different = truth
            .iter()
            .find(|(number, row)| reader.rows.get(number) != Some(row));
        prop_assert_eq!(different, None, "differs, or is missing");
        let extra = reader
            .rows
            .keys()
            .find(|number| !truth.contains_key(number));
        prop_assert_eq!(extra, None, "is gone from the company");
        simulator.shutdown().await;
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Row {
    #[serde(rename = "NAME")]
    name: Option<String>,
    #[serde(rename = "AMOUNT")]
    amount: Option<String>,
    #[serde(rename = "TAXID")]
    tax: Option<String>,
    #[serde(rename = "ACHACCOUNTNUMBER")]
    bank: Option<String>,
    #[serde(rename = "WHENMODIFIED")]
    modified: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Keyed {
    #[serde(rename = "RECORDNO")]
    number: u64,
    #[serde(flatten)]
    row: Row,
}

#[derive(Debug, Deserialize)]
struct Key {
    #[serde(rename = "RECORDNO")]
    number: u64,
}

/// A destination that keeps the latest row of each number.
struct Reader {
    config: ClientConfig,
    clock: ManualClock,
    client: Client,
    rows: BTreeMap<u64, Row>,
    failures: u32,
}

impl Reader {
    fn new(story: &Story, simulator: &RunningSimulator) -> Self {
        let clock = ManualClock::default();
        let config = settings(simulator.url(), "sim-user-password")
            .with_page_size(story.page_size)
            .with_timing(clock.clone().into());
        let client = Client::new(config.clone()).unwrap();
        Self {
            config,
            clock,
            client,
            rows: BTreeMap::new(),
            failures: 0,
        }
    }

    async fn until(&mut self) -> OffsetDateTime {
        self.client.source_time().await.unwrap() - LAG
    }

    /// A call failed for good: as a service would, start anew.
    fn failed(&mut self, error: &intacct_client::Error) -> Result<(), TestCaseError> {
        self.failures += 1;
        prop_assert!(self.failures < 500, "it does not get on: {}", error);
        self.client = Client::new(self.config.clone()).unwrap();
        Ok(())
    }

    async fn read(
        &mut self,
        low: Option<OffsetDateTime>,
        until: OffsetDateTime,
    ) -> Result<(), TestCaseError> {
        let object = ObjectName::new("WIDGET").unwrap();
        let [key, modified] =
            ["RECORDNO", "WHENMODIFIED"].map(|name| FieldName::new(name).unwrap());
        let spec = WalkSpec::by_modified(object, key, modified, WalkWindow::new(low, until))
            .unwrap()
            .with_fields(FieldName::list(FIELDS).unwrap());
        let mut cursor = None;
        'again: loop {
            let mut pages = self.client.walk_as::<Keyed>(spec.clone(), cursor.clone());
            while let Some(page) = pages.next().await {
                match page {
                    Ok(page) => {
                        let rows = page.records.into_iter().map(|it| (it.number, it.row));
                        self.rows.extend(rows);
                        cursor = page.cursor.or(cursor);
                    }
                    Err(error) => {
                        self.failed(&error)?;
                        continue 'again;
                    }
                }
            }
            return Ok(());
        }
    }

    async fn drop_deleted(&mut self) -> Result<(), TestCaseError> {
        let object = ObjectName::new("WIDGET").unwrap();
        let spec = WalkSpec::by_key(object, FieldName::new("RECORDNO").unwrap()).unwrap();
        let mut listed = BTreeSet::new();
        let mut cursor = None;
        'again: loop {
            let mut pages = self.client.walk_as::<Key>(spec.clone(), cursor.clone());
            while let Some(page) = pages.next().await {
                match page {
                    Ok(page) => {
                        listed.extend(page.records.into_iter().map(|key| key.number));
                        cursor = page.cursor.or(cursor);
                    }
                    Err(error) => {
                        self.failed(&error)?;
                        continue 'again;
                    }
                }
            }
            break;
        }
        self.rows.retain(|number, _| listed.contains(number));
        Ok(())
    }
}

fn number_from(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// Half of the stories; the halves run side by side.
fn tell_half(half: u32) {
    let watch = logs::watch();
    watch.forbid([TAX, BANK, "sim-user-password", "sim-sender-password"]);
    let mut config = Config::with_cases(number_from("DAYS", 200).div_ceil(2));
    config.failure_persistence = None;
    config.max_shrink_iters = 20;
    let first = 2 * number_from("FIRST_DAY", 0) + half;
    let draws = TestRng::from_seed(RngAlgorithm::ChaCha, &first.to_le_bytes().repeat(8));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    TestRunner::new_with_rng(config, draws)
        .run(&stories(), |story| runtime.block_on(story.tell()))
        .unwrap();
    watch.assert_clean();
}

#[test]
fn whatever_goes_wrong_the_reader_has_the_companys_records() {
    tell_half(0);
}

#[test]
fn whatever_else_goes_wrong_the_reader_has_the_companys_records() {
    tell_half(1);
}

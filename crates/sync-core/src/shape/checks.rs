//! Mappings as people write them, and everything that is wrong with them at once.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use secrecy::SecretString;

use super::*;
use crate::stream::{StreamDescriptor, StreamName, TotalsShape};

const KEY: &str = "a key that nobody may ever read";

fn bills() -> StreamDescriptor {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("recordno", DataType::Int64, false),
        Field::new("whenmodified", timestamp, true),
        Field::new("entry", DataType::Int64, true),
        Field::new("whenposted", DataType::Date32, true),
        Field::new("totaldue", DataType::Decimal128(38, 9), true),
        Field::new("memo", DataType::Utf8, true),
        Field::new("paid", DataType::Boolean, true),
    ]);
    let name = StreamName::new("bill").unwrap();
    let mut stream =
        StreamDescriptor::new(name, Arc::new(schema), vec!["recordno".into()]).unwrap();
    stream.modified = Some("whenmodified".into());
    stream.keep_together = Some("entry".into());
    stream.period = Some("whenposted".into());
    stream.totals = TotalsShape {
        sums: vec!["totaldue".into()],
        ..TotalsShape::default()
    };
    stream
}

fn problems(toml: &str) -> Vec<String> {
    let shaping: Shaping = toml::from_str(toml).unwrap();
    let keys = HashKeys::new()
        .with("people", &SecretString::from(KEY))
        .unwrap();
    let found = check(&[bills()], &shaping, &keys);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_stream_and_column() {
    let found = problems(
        r#"
        [streams.bil.columns]
        [streams.bill.columns]
        recordno = { treat = { hash = "people" } }
        whenmodified = { treat = "drop" }
        entry = { treat = { mask = {} } }
        whenposted = { treat = { cast = "text" } }
        totaldue = { treat = { mask = { keep_last = 2 } } }
        memo = { rename = "Paid" }
        paid = { treat = { cast = "date" }, rename = "memo" }
        nowhere = { treat = "drop" }
        [streams.bill.add]
        _batch_id = { text = "x" }
        PAID = { integer = 1 }
        rate = { decimal = "1e3" }
        "#,
    );
    let expected = [
        "bil: the source has no such stream",
        "bill.nowhere: the stream has no such column",
        "bill.recordno: it cannot be hashed: it identifies records",
        "bill.whenmodified: it cannot be dropped: windows are cut by it",
        "bill.entry: it cannot be masked: records are held together by it",
        "bill.whenposted: it cannot be cast so: the keys of both sides",
        "bill.totaldue: a decimal(9) is not masked",
        "bill.memo: the name \"Paid\" is not taken by every destination",
        "bill.paid: no boolean can become a date",
        "bill.PAID: the name \"PAID\" is not taken",
        "bill._batch_id: the name \"_batch_id\" is not taken",
        "bill.rate: its value is not a decimal number",
        "bill.PAID: it would be called \"PAID\", as \"memo\" is",
    ];
    for expected in expected {
        assert!(
            found.iter().any(|it| it.starts_with(expected)),
            "{expected}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn what_can_be_carried_out_is_no_problem_and_renames_reach_every_purpose() {
    let shaping: Shaping = toml::from_str(
        r#"
        contract = "freeze"
        [streams.bill]
        contract = "discard_row"
        [streams.bill.columns]
        recordno = { rename = "id", treat = { cast = "text" } }
        whenmodified = { rename = "changed_at" }
        entry = { rename = "entry_id" }
        whenposted = { rename = "day" }
        totaldue = { rename = "amount" }
        memo = { treat = { hash = "people" } }
        paid = { treat = "drop" }
        [streams.bill.add]
        origin = { text = "books" }
        opened = { date = "2026-01-31" }
        "#,
    )
    .unwrap();
    let keys = HashKeys::new()
        .with("people", &SecretString::from(KEY))
        .unwrap();
    assert_eq!(check(&[bills()], &shaping, &keys), []);
    let name = StreamName::new("bill").unwrap();
    assert_eq!(shaping.mode(&name), ContractMode::DiscardRow);
    let mapped = Mapped::of(&bills(), &shaping.streams[&name], &keys).unwrap();
    let shape = Shape::new(&mapped, None, ContractMode::Evolve).unwrap();
    let there = shape.destination();
    let columns: Vec<_> = there
        .schema
        .fields()
        .iter()
        .map(|it| it.name().as_str())
        .collect();
    assert_eq!(
        columns,
        [
            "id",
            "changed_at",
            "entry_id",
            "day",
            "amount",
            "memo",
            "opened",
            "origin"
        ]
    );
    assert_eq!(there.key, ["id"]);
    assert_eq!(there.modified.as_deref(), Some("changed_at"));
    assert_eq!(there.keep_together.as_deref(), Some("entry_id"));
    assert_eq!(there.period.as_deref(), Some("day"));
    assert_eq!(there.totals.sums, ["amount"]);
    assert_eq!(shape.source().key, ["recordno"]);

    // As JSON it says the same.
    let json = serde_json::to_string(&shaping).unwrap();
    assert_eq!(serde_json::from_str::<Shaping>(&json).unwrap(), shaping);
}

#[test]
fn unknown_words_are_refused() {
    for toml in [
        "mode = \"freeze\"",
        "contract = \"thaw\"",
        "[streams.bill.columns]\nmemo = { renamed = \"x\" }",
        "[streams.bill.columns]\nmemo = { treat = \"hash\" }",
        "[streams.bill.columns]\nmemo = { treat = { mask = { keep = 4 } } }",
        "[streams.bill.columns]\nmemo = { treat = { cast = \"float\" } }",
        "[streams.bill.add]\nrate = { float = 1.5 }",
    ] {
        assert!(toml::from_str::<Shaping>(toml).is_err(), "{toml}");
    }
}

#[test]
fn keys_are_shown_by_nobody_and_another_key_is_seen() {
    let mapping = StreamMapping::default().column(
        "memo",
        ColumnMapping::treat(Treatment::Hash(HashKeyName("people".into()))),
    );
    let shaping = Shaping::default().stream(StreamName::new("bill").unwrap(), mapping.clone());
    let with = |key: &str| {
        HashKeys::new()
            .with("people", &SecretString::from(key))
            .unwrap()
    };
    let keys = with(KEY);
    let mapped = Mapped::of(&bills(), &mapping, &keys).unwrap();
    let shape = Shape::new(&mapped, None, ContractMode::Evolve).unwrap();
    for shown in [
        format!("{keys:?}"),
        format!("{mapped:?}"),
        format!("{shape:?}"),
        shaping.told(&keys).to_string(),
        serde_json::to_string(shape.contract()).unwrap(),
    ] {
        assert!(
            !shown.contains("nobody") && !shown.contains(&format!("{:?}", KEY.as_bytes())),
            "{shown}"
        );
    }
    let short = HashKeys::new().with("people", &SecretString::from("too short"));
    let error = short.unwrap_err().to_string();
    assert!(
        error.contains("people") && !error.contains("too short"),
        "{error}"
    );

    let other = with("another key of as many bytes...");
    assert_ne!(shaping.told(&keys), shaping.told(&other));
    let accepted = AcceptedContract::new(shape.contract().clone(), false);
    let mapped = Mapped::of(&bills(), &mapping, &other).unwrap();
    let shape = Shape::new(&mapped, Some(accepted), ContractMode::Evolve).unwrap();
    assert!(shape.reread() && shape.is_new());
}

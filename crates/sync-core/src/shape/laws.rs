//! Laws of the stage: what it does to pages is what the mapping says, row by row, and no change of a
//! source's schema loses what was delivered.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use proptest::prelude::*;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::cells::Cells;
use super::stage::Errand;
use super::treat::read;
use super::*;
use crate::batch::SourceBatch;
use crate::column::Column;
use crate::stream::{StreamDescriptor, StreamName};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A page as texts: none for null.
type Texts = Vec<Vec<Option<String>>>;

fn keys() -> HashKeys {
    let key = SecretString::from(KEY);
    HashKeys::new().with("people", &key).unwrap()
}

fn stream(columns: &[(&str, ColumnKind)]) -> StreamDescriptor {
    let fields = columns
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.data_type(), *name != "recordno"));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    StreamDescriptor::new(
        StreamName::new("thing").unwrap(),
        schema,
        vec!["recordno".into()],
    )
    .unwrap()
}

fn page(stream: &StreamDescriptor, rows: &Texts) -> SourceBatch {
    let columns = stream
        .schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let mut cells = Cells::new(field.data_type(), rows.len()).unwrap();
            let kind = ColumnKind::of(field.data_type()).unwrap();
            for row in rows {
                let value = row[position].as_ref().map(|text| read(text, kind).unwrap());
                cells
                    .push(value.unwrap_or(crate::column::Value::Null))
                    .unwrap();
            }
            cells.finish().unwrap()
        });
    let columns: Vec<ArrayRef> = columns.collect();
    SourceBatch::new(RecordBatch::try_new(Arc::clone(&stream.schema), columns).unwrap())
}

/// Rows by key: names and texts of what is not null.
fn texts(rows: &RecordBatch, key: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let columns = Column::all(rows).unwrap();
    let names: Vec<_> = rows
        .schema_ref()
        .fields()
        .iter()
        .map(|it| it.name().clone())
        .collect();
    let row_of = |row: usize| {
        let cells = names.iter().zip(&columns).filter_map(|(name, column)| {
            let value = column.value(row);
            let mut text = String::new();
            value.push_to(&mut text);
            (!value.is_null()).then(|| (name.clone(), text))
        });
        let mut cells: BTreeMap<_, _> = cells.collect();
        (cells.remove(key).unwrap(), cells)
    };
    (0..rows.num_rows()).map(row_of).collect()
}

/// HMAC as RFC 2104 writes it.
fn hmac(key: &str, text: &str) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key.as_bytes());
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(text)
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a treatment makes of a text; none where it does not fit.
fn expected(text: &str, from: ColumnKind, treat: &Treatment) -> Option<String> {
    use ColumnKind::{Boolean, Decimal, Integer, Text};
    let places = |text: &str| {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        (
            whole.trim_start_matches('-').len(),
            places.trim_end_matches('0').len(),
        )
    };
    let to = match treat {
        Treatment::Keep => return Some(text.to_owned()),
        Treatment::Hash(_) if text.is_empty() => return Some(String::new()),
        Treatment::Hash(_) => return Some(hmac(KEY, text)),
        Treatment::Mask(mask) => {
            let all: Vec<char> = text.chars().collect();
            let shown = if all.len() > 2 * mask.keep_last {
                mask.keep_last
            } else {
                0
            };
            let tail: String = all[all.len() - shown..].iter().collect();
            return Some("*".repeat(all.len() - shown) + &tail);
        }
        Treatment::Cast(to) => *to,
        Treatment::Drop => unreachable!("a dropped column is not asked for"),
    };
    match (from, to) {
        (Text, to) => {
            let (_, as_kind) = TEXTS.iter().find(|(it, _)| *it == text).unwrap();
            let found = as_kind.iter().find(|(kind, _)| *kind == to.word());
            let found = found.map(|(_, value)| (*value).to_owned());
            match to {
                Text => Some(text.to_owned()),
                Decimal { scale } => found.filter(|it| places(it).1 <= scale.into()),
                _ => found,
            }
        }
        (_, Text) => Some(text.to_owned()),
        (Integer, Integer) => Some(text.to_owned()),
        (Integer, Decimal { scale }) => {
            let digits = if text == "0" { 0 } else { places(text).0 };
            (digits + usize::from(scale) <= 38).then(|| format!("{text}.00"))
        }
        (Decimal { .. }, Decimal { scale }) => {
            let (whole, few) = places(text);
            let whole = if text.trim_start_matches('-').starts_with("0.") {
                0
            } else {
                whole
            };
            (few <= scale.into() && whole + usize::from(scale) <= 38).then(|| text.to_owned())
        }
        (Decimal { .. }, Integer) => {
            let (_, few) = places(text);
            let whole = text.split_once('.').unwrap().0;
            let whole = if whole == "-0" { "0" } else { whole };
            (few == 0).then(|| whole.parse::<i64>().ok().map(|it| it.to_string()))?
        }
        (Boolean, Integer) => Some(if text == "true" { "1" } else { "0" }.to_owned()),
        (from, to) => {
            assert_eq!(from, to);
            Some(text.to_owned())
        }
    }
}

/// Texts, and what they are as something else.
const TEXTS: &[(&str, &[(&str, &str)])] = &[
    ("12", &[("integer", "12"), ("decimal", "12.00")]),
    ("-3.5", &[("decimal", "-3.50")]),
    ("0.123456789", &[("decimal", "0.123456789")]),
    ("007", &[("decimal", "7.00")]),
    ("2026-01-31", &[("date", "2026-01-31")]),
    ("02/28/2026", &[("date", "2026-02-28")]),
    (
        "2026-01-31T18:02:00+01:00",
        &[("timestamp", "2026-01-31 17:02:00.000000")],
    ),
    (
        "2026-01-31 18:02:00.25",
        &[("timestamp", "2026-01-31 18:02:00.250000")],
    ),
    ("Yes", &[("boolean", "true")]),
    ("f", &[("boolean", "false")]),
    ("Müller & Co", &[]),
    ("31/01/2026", &[]),
];

fn kinds() -> impl Strategy<Value = ColumnKind> {
    prop_oneof![
        Just(ColumnKind::Text),
        Just(ColumnKind::Integer),
        Just(ColumnKind::Boolean),
        prop_oneof![Just(2_u8), Just(9), Just(18)].prop_map(|scale| ColumnKind::Decimal { scale }),
        Just(ColumnKind::Date),
        Just(ColumnKind::Timestamp),
    ]
}

fn value(kind: ColumnKind) -> BoxedStrategy<Option<String>> {
    let some = match kind {
        ColumnKind::Text => (0..TEXTS.len())
            .prop_map(|it| TEXTS[it].0.to_owned())
            .boxed(),
        ColumnKind::Integer => any::<i64>().prop_map(|it| it.to_string()).boxed(),
        ColumnKind::Boolean => any::<bool>().prop_map(|it| it.to_string()).boxed(),
        ColumnKind::Decimal { scale } => (-1_000_000_i128..1_000_000, 0..=scale)
            .prop_map(|(digits, scale)| crate::Decimal::new(digits, scale).unwrap().to_string())
            .boxed(),
        ColumnKind::Date => (1_u8..28)
            .prop_map(|day| format!("2026-01-{day:02}"))
            .boxed(),
        ColumnKind::Timestamp => (0_u8..24)
            .prop_map(|hour| format!("2026-01-31 {hour:02}:00:00.000000"))
            .boxed(),
    };
    prop_oneof![1 => Just(None), 4 => some.prop_map(Some)].boxed()
}

fn treatments() -> impl Strategy<Value = Treatment> {
    prop_oneof![
        2 => Just(Treatment::Keep),
        1 => Just(Treatment::Drop),
        4 => kinds().prop_map(Treatment::Cast),
        1 => Just(Treatment::Hash(HashKeyName("people".into()))),
        1 => (0_usize..4).prop_map(|it| Treatment::Mask(Mask::keep_last(it))),
    ]
}

fn columns() -> impl Strategy<Value = (Vec<ColumnKind>, Vec<(Treatment, bool)>, Texts)> {
    prop::collection::vec(kinds(), 1..5).prop_flat_map(|kinds| {
        let row: Vec<_> = kinds.iter().map(|kind| value(*kind)).collect();
        let treats = prop::collection::vec((treatments(), any::<bool>()), kinds.len());
        (Just(kinds), treats, prop::collection::vec(row, 0..8))
    })
}

proptest! {
    /// Mapping a page and reading it back is the specification, row by row; what does not fit is among
    /// the rejected records, and nothing else is.
    #[test]
    fn a_mapped_page_is_what_the_mapping_says((kinds, treats, rows) in columns()) {
        let names = ["a", "b", "c", "d"];
        let mut declared = vec![("recordno", ColumnKind::Integer)];
        declared.extend(names.into_iter().zip(kinds.iter().copied()));
        let source = stream(&declared);
        let mut mapping = StreamMapping::default().add("origin", Constant::Text("books".into()));
        for (name, (treat, renamed)) in names.iter().zip(&treats) {
            let mut column = ColumnMapping::treat(treat.clone());
            if *renamed && *treat != Treatment::Drop {
                column = column.named(format!("new_{name}"));
            }
            mapping = mapping.column(*name, column);
        }
        let mapped = match Mapped::of(&source, &mapping, &keys()) {
            Ok(mapped) => mapped,
            // Casts that can never work, and masks of what is no text.
            Err(problems) => {
                prop_assert!(problems.iter().all(|it| it.message.contains("become") || it.message.contains("masked")));
                return Ok(());
            }
        };
        let shape = Shape::new(&mapped, None, ContractMode::Evolve).unwrap();
        let rows: Texts = rows.into_iter().enumerate().map(|(number, mut row)| {
            row.insert(0, Some(number.to_string()));
            row
        }).collect();
        let shaped = shape.apply(page(&source, &rows), Errand::Delivery).unwrap();

        let mut fits = BTreeMap::new();
        let mut rejected = Vec::new();
        for row in &rows {
            let key = row[0].clone().unwrap();
            let mut cells = BTreeMap::from([("origin".to_owned(), "books".to_owned())]);
            let mut whole = true;
            for (position, name) in names.iter().take(kinds.len()).enumerate() {
                let (treat, renamed) = &treats[position];
                let (Some(text), false) = (&row[position + 1], *treat == Treatment::Drop) else { continue };
                match expected(text, kinds[position], treat) {
                    Some(text) => { cells.insert(if *renamed { format!("new_{name}") } else { (*name).to_owned() }, text); }
                    None => whole = false,
                }
            }
            if whole { fits.insert(key, cells); } else { rejected.push(key); }
        }
        prop_assert_eq!(texts(&shaped.rows, "recordno"), fits);
        let found: Vec<_> = shaped.rejected.iter().map(|it| it.key.as_ref().unwrap().to_string()).collect();
        prop_assert_eq!(found, rejected);
        prop_assert_eq!(&shaped.rows.schema(), &shape.destination().schema);
    }

    /// However a source's schema changes from run to run: every column of the destination keeps its type
    /// or widens, and of every row that was ever written each value can be read where it was put.
    #[test]
    fn nothing_that_was_delivered_becomes_unreadable(
        runs in prop::collection::vec(
            (prop::collection::btree_map(0_usize..4, kinds(), 0..4), prop::collection::vec(any::<prop::sample::Index>(), 3), 0_usize..3),
            1..8,
        ),
    ) {
        let names = ["amount", "amount__text", "note", "Day"];
        let modes = [ContractMode::Evolve, ContractMode::DiscardRow, ContractMode::DiscardValue];
        // A destination that is only ever added to: rows by key, with the names and texts that were
        // written.
        let mut table: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut types: BTreeMap<String, ColumnKind> = BTreeMap::new();
        let mut accepted: Option<AcceptedContract> = None;
        for (number, (columns, picks, mode)) in runs.into_iter().enumerate() {
            let mut declared = vec![("recordno", ColumnKind::Integer)];
            declared.extend(columns.iter().map(|(name, kind)| (names[*name], *kind)));
            let source = stream(&declared);
            let mapped = Mapped::of(&source, &StreamMapping::default(), &HashKeys::new()).unwrap();
            let shape = Shape::new(&mapped, accepted.clone(), modes[mode]).unwrap();
            let rows: Texts = picks.iter().enumerate().map(|(at, pick)| {
                let mut row = vec![Some((10 * number + at).to_string())];
                row.extend(declared[1..].iter().map(|(_, kind)| Some(sample(*kind, pick.index(100)))));
                row
            }).collect();
            let shaped = shape.apply(page(&source, &rows), Errand::Delivery).unwrap();

            // The contract: none of its columns goes, and each keeps what it holds.
            for field in shape.destination().schema.fields() {
                let kind = ColumnKind::of(field.data_type()).unwrap();
                let before = types.entry(field.name().clone()).or_insert(kind);
                prop_assert_eq!(before.word(), kind.word(), "{} changed", field.name());
            }
            for name in types.keys() {
                prop_assert!(shape.destination().field(name).is_ok(), "{name} is gone");
            }
            let mut lower: Vec<_> = types.keys().map(|it| it.to_ascii_lowercase()).collect();
            lower.sort();
            lower.dedup();
            prop_assert_eq!(lower.len(), types.len(), "two columns of one name");

            // The rows: whole, or rejected whole, or without what the mode leaves out.
            let written = texts(&shaped.rows, "recordno");
            prop_assert_eq!(written.len() + shaped.rejected.len(), rows.len());
            for row in &rows {
                let key = row[0].as_ref().unwrap();
                let Some(cells) = written.get(key) else {
                    prop_assert_eq!(modes[mode], ContractMode::DiscardRow);
                    let letter = shaped.rejected.iter().find(|it| it.key.as_ref().unwrap().as_str() == key);
                    let all: Vec<_> = letter.unwrap().fields.iter().map(|(_, text)| text.clone()).collect();
                    prop_assert_eq!(&all, row);
                    continue;
                };
                let mut sent: Vec<_> = row[1..].iter().flatten().cloned().collect();
                let mut there: Vec<_> = cells.values().cloned().collect();
                sent.sort();
                there.sort();
                if modes[mode] == ContractMode::DiscardValue {
                    let counted: usize = shape.contract().left_out.len();
                    prop_assert_eq!(sent.len() - there.len(), counted);
                } else {
                    prop_assert_eq!(sent, there);
                }
            }
            table.extend(written);

            // Decided anew from what was accepted, all is as it was: a killed run ends the same.
            let again = Shape::new(&mapped, accepted.clone(), modes[mode]).unwrap();
            prop_assert_eq!(again.contract(), shape.contract());
            accepted = Some(AcceptedContract::new(shape.contract().clone(), shape.reread()));
            let settled = Shape::new(&mapped, accepted.clone(), modes[mode]).unwrap();
            prop_assert!(!settled.is_new());
        }
        for cells in table.values() {
            for (name, text) in cells {
                prop_assert!(read(text, types[name]).is_ok(), "{name} holds {text}");
            }
        }
    }
}

fn sample(kind: ColumnKind, pick: usize) -> String {
    match kind {
        ColumnKind::Text => format!("text {pick}"),
        ColumnKind::Integer => pick.to_string(),
        ColumnKind::Boolean => (pick.is_multiple_of(2)).to_string(),
        ColumnKind::Decimal { .. } => format!("{pick}.50"),
        ColumnKind::Date => format!("2026-01-{:02}", pick % 28 + 1),
        ColumnKind::Timestamp => format!("2026-01-31 00:00:{:02}.000000", pick % 60),
    }
}

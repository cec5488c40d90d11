//! The walk against a table in memory that changes between pages.

use std::collections::BTreeMap;

use intacct_xml::request::{Authentication, Control, Function, Query, Request};
use intacct_xml::values::{format_timestamp, parse_timestamp};
use intacct_xml::{ControlId, FieldName, ObjectName, SessionId};
use proptest::prelude::*;
use proptest::sample::Index;
use time::macros::datetime;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::super::{Cursor, NullPass, Released, RowKey, Walk, WalkSpec, WalkWindow};
use crate::error::Reason;

const EPOCH: OffsetDateTime = datetime!(2026-01-31 18:00 UTC);
/// The window of the tests: seconds 10 to 20.
const LOW: i64 = 10;
const HIGH: i64 = 20;

fn at(second: i64) -> OffsetDateTime {
    EPOCH + time::Duration::seconds(second)
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn by_modified(offset: UtcOffset, page_size: u32) -> WalkSpec {
    let window = WalkWindow::new(Some(at(LOW)), at(HIGH));
    let object = ObjectName::new("VENDOR").unwrap();
    WalkSpec::by_modified(object, field("RECORDNO"), field("WHENMODIFIED"), window)
        .unwrap()
        .with_source_offset(offset)
        .with_page_size(page_size)
        .unwrap()
}

fn by_key(page_size: u32) -> WalkSpec {
    WalkSpec::by_key(ObjectName::new("VENDOR").unwrap(), field("RECORDNO"))
        .unwrap()
        .with_page_size(page_size)
        .unwrap()
}

/// Key and second of modification.
type Table = BTreeMap<u64, Option<i64>>;

/// One row of an answer: the texts of WHENMODIFIED and RECORDNO.
type Row = (Option<String>, String);

/// What the gateway would answer: rows and how many remain. Reads the query as it goes over the wire.
fn answer(table: &Table, query: &Query, offset: UtcOffset, most: usize) -> (Vec<Row>, u64) {
    let xml = wire(query);
    let second_of = |text: &str| {
        let local: PrimitiveDateTime = parse_timestamp(text).unwrap();
        (local.assume_offset(offset) - EPOCH).whole_seconds()
    };
    let holds = |(key, modified): (&u64, &Option<i64>)| {
        conditions(&xml)
            .into_iter()
            .all(|(operator, field, value)| {
                let left = match field.as_str() {
                    "RECORDNO" => Some(i64::try_from(*key).unwrap()),
                    "WHENMODIFIED" => *modified,
                    other => panic!("a condition on {other}"),
                };
                let right = value.as_deref().map(|value| match field.as_str() {
                    "RECORDNO" => value.parse().unwrap(),
                    _ => second_of(value),
                });
                match (operator.as_str(), left, right) {
                    ("isnull", left, None) => left.is_none(),
                    (_, None, Some(_)) => false,
                    ("equalto", Some(left), Some(right)) => left == right,
                    ("greaterthan", Some(left), Some(right)) => left > right,
                    ("greaterthanorequalto", Some(left), Some(right)) => left >= right,
                    ("lessthan", Some(left), Some(right)) => left < right,
                    other => panic!("{other:?}"),
                }
            })
    };
    let mut rows: Vec<(Option<i64>, u64)> = table
        .iter()
        .filter(|row| holds(*row))
        .map(|(key, modified)| (*modified, *key))
        .collect();
    match order(&xml).as_slice() {
        [first] if first == "RECORDNO" => rows.sort_by_key(|(_, key)| *key),
        [first, second] if first == "WHENMODIFIED" && second == "RECORDNO" => rows.sort_unstable(),
        other => panic!("an order by {other:?}"),
    }
    let page = usize::try_from(query.page_size())
        .unwrap()
        .min(most)
        .min(rows.len());
    let remaining = (rows.len() - page) as u64;
    let text = |second: i64| {
        let local = at(second).to_offset(offset);
        format_timestamp(PrimitiveDateTime::new(local.date(), local.time()))
    };
    let rows = rows.into_iter().take(page);
    (
        rows.map(|(modified, key)| (modified.map(text), key.to_string()))
            .collect(),
        remaining,
    )
}

fn wire(query: &Query) -> String {
    let control = Control::new("s", "p", ControlId::new("c").unwrap()).unwrap();
    let function = Function::new(ControlId::new("f").unwrap(), query.clone());
    let session = Authentication::Session(SessionId::new("x"));
    Request::new(control, session, [function])
        .unwrap()
        .to_xml()
        .to_string()
}

fn conditions(xml: &str) -> Vec<(String, String, Option<String>)> {
    let Some((_, filter)) = xml.split_once("<filter>") else {
        return Vec::new();
    };
    let mut rest = filter.split_once("</filter>").unwrap().0;
    if let Some(inner) = rest.strip_prefix("<and>") {
        rest = inner.strip_suffix("</and>").unwrap();
    }
    let mut found = Vec::new();
    while let Some((operator, behind)) =
        rest.strip_prefix('<').and_then(|rest| rest.split_once('>'))
    {
        let (inner, behind) = behind.split_once(&format!("</{operator}>")).unwrap();
        found.push((
            operator.to_owned(),
            text_of(inner, "field").unwrap(),
            text_of(inner, "value"),
        ));
        rest = behind;
    }
    assert!(rest.is_empty(), "{rest}");
    found
}

fn order(xml: &str) -> Vec<String> {
    let order = xml
        .split_once("<orderby>")
        .unwrap()
        .1
        .split_once("</orderby>")
        .unwrap()
        .0;
    order
        .split("</order>")
        .filter_map(|order| text_of(order, "field"))
        .collect()
}

fn text_of(xml: &str, name: &str) -> Option<String> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    Some(behind.split_once(&format!("</{name}>"))?.0.to_owned())
}

fn accept(walk: &mut Walk, rows: &[Row], remaining: Option<u64>) -> crate::Result<Released> {
    let rows: Vec<RowKey<'_>> = rows
        .iter()
        .map(|(modified, key)| RowKey {
            modified: modified.as_deref(),
            key: Some(key),
        })
        .collect();
    walk.accept(&rows, remaining)
}

/// What happens between two pages.
#[derive(Clone, Debug)]
enum Change {
    Nothing,
    /// An edit moves the record behind the window.
    Edit(Index),
    Delete(Index),
    /// Appears behind the window.
    Create,
    /// The process dies and goes on from the cursor as it was kept.
    Restart,
    /// The client asks for smaller or larger pages.
    PageSize(u32),
    /// A query over the window takes too long.
    Narrow,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        3 => Just(Change::Nothing),
        2 => any::<Index>().prop_map(Change::Edit),
        2 => any::<Index>().prop_map(Change::Delete),
        1 => Just(Change::Create),
        1 => Just(Change::Restart),
        1 => (1_u32..7).prop_map(Change::PageSize),
        2 => Just(Change::Narrow),
    ];
    proptest::collection::vec(change, 0..60)
}

/// Few seconds, so that there are ties; some records outside the window, some without a time.
fn tables() -> impl Strategy<Value = Table> {
    let modified = prop_oneof![
        1 => Just(None),
        6 => (10_i64..14).prop_map(Some),
        2 => (15_i64..20).prop_map(Some),
        1 => (0_i64..10).prop_map(Some),
        1 => (20_i64..25).prop_map(Some),
    ];
    proptest::collection::btree_map(0_u64..130, modified, 0..40)
}

struct Outcome {
    released: BTreeMap<u64, u32>,
    /// The table without the records that were touched on the way.
    untouched: Table,
}

/// Walks to the end while the table changes. `tells` is whether answers say how many records remain.
fn run(
    spec: WalkSpec,
    mut table: Table,
    changes: Vec<Change>,
    offset: UtcOffset,
    tells: bool,
    most: usize,
) -> Outcome {
    let mut untouched = table.clone();
    let mut released = BTreeMap::new();
    let mut changes = changes.into_iter();
    let mut walk = Walk::new(spec.clone());
    let mut steps = 0;
    while let Some(query) = walk.next_query().unwrap() {
        steps += 1;
        assert!(steps < 2_000, "the walk does not get on: {walk:?}");
        let (rows, remaining) = answer(&table, &query, offset, most);
        let page = accept(&mut walk, &rows, tells.then_some(remaining)).unwrap();
        for (_, key) in &rows[page.from..] {
            *released.entry(key.parse().unwrap()).or_default() += 1;
        }
        assert_eq!(page.cursor.as_ref(), walk.cursor());
        let pick = |table: &Table, index: Index| {
            (!table.is_empty()).then(|| *table.keys().nth(index.index(table.len())).unwrap())
        };
        match changes.next().unwrap_or(Change::Nothing) {
            Change::Nothing => {}
            Change::Edit(index) => {
                if let Some(key) = pick(&table, index) {
                    table.insert(key, Some(HIGH + steps));
                    untouched.remove(&key);
                }
            }
            Change::Delete(index) => {
                if let Some(key) = pick(&table, index) {
                    table.remove(&key);
                    untouched.remove(&key);
                }
            }
            Change::Create => {
                let key = table
                    .keys()
                    .next_back()
                    .map_or(0, |last| last + 1)
                    .max(1000);
                table.insert(key, Some(HIGH + steps));
            }
            Change::Restart => {
                walk = match walk.cursor() {
                    None => Walk::new(spec.clone()),
                    Some(cursor) => {
                        let kept: Cursor = cursor.to_string().parse().unwrap();
                        Walk::resume(spec.clone(), kept).unwrap()
                    }
                };
            }
            Change::PageSize(size) => walk.set_page_size(size).unwrap(),
            Change::Narrow => {
                walk.narrow();
            }
        }
    }
    Outcome {
        released,
        untouched,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every record that stayed inside the window comes, and none comes twice.
    #[test]
    fn a_window_gives_exactly_its_records(
        table in tables(),
        changes in changes(),
        page_size in 1_u32..7,
        hours in -12_i8..=12,
        tells: bool,
        most in 1_usize..7,
    ) {
        let offset = UtcOffset::from_hms(hours, 0, 0).unwrap();
        // A gateway that gives less than asked and does not say so cannot be told from the end.
        let most = if tells { most } else { usize::MAX };
        let outcome = run(by_modified(offset, page_size), table, changes, offset, tells, most);
        let inside = |at: &Option<i64>| at.is_none_or(|at| (LOW..HIGH).contains(&at));
        for (key, modified) in &outcome.untouched {
            let times = outcome.released.get(key).copied().unwrap_or_default();
            prop_assert_eq!(times, u32::from(inside(modified)), "record {}", key);
        }
        prop_assert!(outcome.released.values().all(|times| *times == 1));
    }

    #[test]
    fn a_walk_by_key_gives_every_record(
        table in tables(),
        changes in changes(),
        page_size in 1_u32..7,
        tells: bool,
    ) {
        let outcome = run(by_key(page_size), table, changes, UtcOffset::UTC, tells, usize::MAX);
        for key in outcome.untouched.keys() {
            prop_assert_eq!(outcome.released.get(key), Some(&1), "record {}", key);
        }
        prop_assert!(outcome.released.values().all(|times| *times == 1));
    }

    /// Whatever the gateway answers, the walk takes it, or refuses it and stays where it was.
    #[test]
    fn wrong_answers_are_refused_without_a_step(
        rows in proptest::collection::vec((proptest::option::of("[0-9/ :]{0,19}"), "[0-9a-z]{0,3}"), 0..5),
        remaining in proptest::option::of(0_u64..3),
    ) {
        let mut walk = Walk::new(by_modified(UtcOffset::UTC, 3).with_null_pass(NullPass::Skip));
        let before = walk.clone();
        if accept(&mut walk, &rows, remaining).is_err() {
            prop_assert_eq!(wire(&walk.next_query().unwrap().unwrap()), wire(&before.next_query().unwrap().unwrap()));
            prop_assert_eq!(walk.cursor(), before.cursor());
        }
    }
}

fn row(second: i64, key: u64) -> Row {
    let at = at(second);
    (
        Some(format_timestamp(PrimitiveDateTime::new(
            at.date(),
            at.time(),
        ))),
        key.to_string(),
    )
}

#[test]
fn what_is_not_in_order_or_in_bounds_is_refused() {
    let nameless: Row = (None, "1".to_owned());
    for rows in [
        vec![row(11, 2), row(11, 1)],
        vec![row(11, 10), row(11, 9)],
        vec![row(11, 1), row(11, 1)],
        vec![row(12, 1), row(11, 2)],
        vec![row(9, 1)],
        vec![row(20, 1)],
        vec![nameless],
    ] {
        let mut walk = Walk::new(by_modified(UtcOffset::UTC, 5).with_null_pass(NullPass::Skip));
        let error = accept(&mut walk, &rows, Some(1)).unwrap_err();
        assert_eq!(error.reason(), Reason::OrderBroken, "{rows:?}");
    }
}

#[test]
fn a_query_that_brings_what_it_excludes_is_refused() {
    let mut walk = Walk::new(by_key(2));
    accept(&mut walk, &[row(0, 3), row(0, 4)], Some(5)).unwrap();
    let error = accept(&mut walk, &[row(0, 4), row(0, 5)], Some(3)).unwrap_err();
    assert_eq!(error.reason(), Reason::OrderBroken);
    // An empty page that says there is more would be asked for again for ever.
    assert!(accept(&mut walk, &[], Some(3)).is_err());
}

#[test]
fn a_page_that_shrinks_below_what_was_released_at_a_time_releases_nothing_twice() {
    let mut walk = Walk::new(by_modified(UtcOffset::UTC, 3).with_null_pass(NullPass::Skip));
    accept(&mut walk, &[row(11, 1), row(12, 2), row(12, 3)], Some(2)).unwrap();
    walk.set_page_size(1).unwrap();
    let page = accept(&mut walk, &[row(12, 2)], Some(3)).unwrap();
    assert_eq!((page.from, page.cursor.unwrap().key.as_str()), (1, "3"));
    let query = wire(&walk.next_query().unwrap().unwrap());
    assert_eq!(conditions(&query)[1].2.as_deref(), Some("3"));
}

#[test]
fn a_page_of_one_time_is_not_asked_for_twice() {
    let mut walk = Walk::new(by_modified(UtcOffset::UTC, 2).with_null_pass(NullPass::Skip));
    accept(&mut walk, &[row(11, 1), row(11, 2)], Some(3)).unwrap();
    let operators = |walk: &Walk| {
        let query = walk.next_query().unwrap().unwrap();
        let conditions = conditions(&wire(&query));
        conditions
            .into_iter()
            .map(|condition| condition.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(operators(&walk), ["equalto", "greaterthan"]);
    accept(&mut walk, &[row(11, 3)], Some(0)).unwrap();
    assert_eq!(operators(&walk), ["greaterthan", "lessthan"]);
}

#[test]
fn a_window_is_split_down_to_seconds_and_grows_again() {
    let mut walk = Walk::new(by_modified(UtcOffset::UTC, 3).with_null_pass(NullPass::Skip));
    let bounds = |walk: &Walk| {
        let query = walk.next_query().unwrap().unwrap();
        let values = conditions(&wire(&query))
            .into_iter()
            .map(|condition| condition.2.unwrap());
        values
            .map(|text| text[text.len() - 2..].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(bounds(&walk), ["10", "20"]);
    assert!(walk.narrow() && walk.narrow());
    assert_eq!(bounds(&walk), ["10", "12"]);
    assert!(!walk.narrow(), "one second is the least there is");
    accept(&mut walk, &[], Some(0)).unwrap();
    assert_eq!(bounds(&walk), ["12", "16"]);
    accept(&mut walk, &[row(15, 1)], Some(0)).unwrap();
    assert_eq!(bounds(&walk), ["16", "20"]);
    accept(&mut walk, &[], Some(0)).unwrap();
    assert!(walk.next_query().unwrap().is_none());
}

#[test]
fn a_cursor_of_another_walk_is_refused() {
    let cursor = |modified: Option<i64>| Cursor {
        modified: modified.map(at),
        key: "1".to_owned(),
    };
    let window = || by_modified(UtcOffset::UTC, 5);
    assert!(Walk::resume(window(), cursor(Some(HIGH))).is_err());
    assert!(Walk::resume(window(), cursor(Some(LOW - 1))).is_err());
    assert!(Walk::resume(window().with_null_pass(NullPass::Skip), cursor(None)).is_err());
    assert!(Walk::resume(by_key(5), cursor(Some(LOW))).is_err());
    assert!(Walk::resume(window(), cursor(Some(LOW))).is_ok());
    assert!(Walk::resume(by_key(5), cursor(None)).is_ok());
}

#[test]
fn an_empty_window_asks_for_nothing() {
    let window = WalkWindow::new(Some(at(HIGH)), at(HIGH));
    let object = ObjectName::new("VENDOR").unwrap();
    let spec = WalkSpec::by_modified(object, field("RECORDNO"), field("WHENMODIFIED"), window)
        .unwrap()
        .with_null_pass(NullPass::Skip);
    assert!(Walk::new(spec).next_query().unwrap().is_none());
}

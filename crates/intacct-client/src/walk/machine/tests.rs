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
use super::Ahead;
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

/// How the gateway takes record numbers: in its order, and in its comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    ordered_as_text: bool,
    compared_as_text: bool,
}

const NUMBERS: Taken = Taken {
    ordered_as_text: false,
    compared_as_text: false,
};

/// What the gateway would answer: rows and how many remain. Reads the query as it goes over the wire.
fn answer(
    table: &Table,
    query: &Query,
    offset: UtcOffset,
    most: usize,
    taken: Taken,
) -> (Vec<Row>, u64) {
    let xml = wire(query);
    let second_of = |text: &str| {
        let local: PrimitiveDateTime = parse_timestamp(text).unwrap();
        (local.assume_offset(offset) - EPOCH).whole_seconds()
    };
    let holds = |(key, modified): (&u64, &Option<i64>)| {
        conditions(&xml)
            .into_iter()
            .all(|(operator, field, value)| {
                if field == "RECORDNO" && taken.compared_as_text {
                    let (key, value) = (key.to_string(), value.unwrap());
                    return match operator.as_str() {
                        "greaterthan" => key > value,
                        "lessthanorequalto" => key <= value,
                        "equalto" => key == value,
                        other => panic!("{other}"),
                    };
                }
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
                    ("lessthanorequalto", Some(left), Some(right)) => left <= right,
                    other => panic!("{other:?}"),
                }
            })
    };
    let mut rows: Vec<(Option<i64>, u64)> = table
        .iter()
        .filter(|row| holds(*row))
        .map(|(key, modified)| (*modified, *key))
        .collect();
    rows.sort_by_key(|(_, key)| *key);
    if taken.ordered_as_text {
        rows.sort_by_key(|(_, key)| key.to_string());
    }
    match order(&xml).as_slice() {
        [first] if first == "RECORDNO" => {
            if xml.contains("<descending></descending>") || xml.contains("<descending/>") {
                rows.reverse();
            }
        }
        [first, second] if first == "WHENMODIFIED" && second == "RECORDNO" => {
            rows.sort_by_key(|(modified, _)| *modified);
        }
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

/// How the gateway answers.
#[derive(Clone, Copy, Debug)]
struct Gateway {
    offset: UtcOffset,
    /// Whether answers say how many records remain.
    tells: bool,
    /// The most records of a page, whatever is asked for.
    most: usize,
    taken: Taken,
}

/// Walks to the end, through one part after the other, while the table changes.
fn run(
    specs: Vec<WalkSpec>,
    mut table: Table,
    changes: Vec<Change>,
    gateway: Gateway,
) -> crate::Result<Outcome> {
    let mut untouched = table.clone();
    let mut released = BTreeMap::new();
    let mut changes = changes.into_iter();
    let mut steps = 0;
    for spec in specs {
        let mut walk = Walk::new(spec.clone());
        while let Some(query) = walk.next_query().unwrap() {
            steps += 1;
            assert!(steps < 2_000, "the walk does not get on: {walk:?}");
            let Gateway {
                offset,
                most,
                taken,
                tells,
            } = gateway;
            let (rows, remaining) = answer(&table, &query, offset, most, taken);
            let page = accept(&mut walk, &rows, tells.then_some(remaining))?;
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
    }
    Ok(Outcome {
        released,
        untouched,
    })
}

/// Every record that stayed inside the window came, and none came twice.
fn assert_exact(outcome: &Outcome) -> Result<(), TestCaseError> {
    let inside = |at: &Option<i64>| at.is_none_or(|at| (LOW..HIGH).contains(&at));
    for (key, modified) in &outcome.untouched {
        let times = outcome.released.get(key).copied().unwrap_or_default();
        prop_assert_eq!(times, u32::from(inside(modified)), "record {}", key);
    }
    prop_assert!(outcome.released.values().all(|times| *times == 1));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whether record numbers are ordered and compared as numbers or as texts, as long as both are alike.
    #[test]
    fn a_window_gives_exactly_its_records(
        table in tables(),
        changes in changes(),
        page_size in 1_u32..7,
        hours in -12_i8..=12,
        tells: bool,
        most in 1_usize..7,
        as_text: bool,
    ) {
        let offset = UtcOffset::from_hms(hours, 0, 0).unwrap();
        // A gateway that gives less than asked and does not say so cannot be told from the end.
        let most = if tells { most } else { usize::MAX };
        let taken = Taken { ordered_as_text: as_text, compared_as_text: as_text };
        let gateway = Gateway { offset, tells, most, taken };
        let outcome = run(vec![by_modified(offset, page_size)], table, changes, gateway).unwrap();
        assert_exact(&outcome)?;
    }

    /// In however many parts the window is read.
    #[test]
    fn a_window_in_parts_gives_exactly_its_records(
        table in tables(),
        changes in changes(),
        page_size in 1_u32..7,
        cuts in proptest::collection::btree_set(LOW..HIGH, 0..6),
    ) {
        let whole = by_modified(UtcOffset::UTC, page_size);
        let mut specs = vec![super::super::parallel::of_nulls(&whole, &field("WHENMODIFIED"), &NullPass::All)];
        let mut low = LOW;
        for high in cuts.into_iter().chain([HIGH]) {
            let part = WalkWindow::new(Some(at(low)), at(high));
            specs.push(whole.clone().with_null_pass(NullPass::Skip).within(part));
            low = high;
        }
        let gateway = Gateway { offset: UtcOffset::UTC, tells: true, most: usize::MAX, taken: NUMBERS };
        assert_exact(&run(specs, table, changes, gateway).unwrap())?;
    }

    /// A gateway that orders record numbers in one way and compares them in another loses none unnoticed, as long as
    /// the record is there that the walk stands on.
    #[test]
    fn an_order_that_is_not_kept_is_an_error_or_does_no_harm(
        table in tables(),
        changes in changes(),
        page_size in 1_u32..7,
        ordered_as_text: bool,
    ) {
        let taken = Taken { ordered_as_text, compared_as_text: !ordered_as_text };
        let gateway = Gateway { offset: UtcOffset::UTC, tells: true, most: usize::MAX, taken };
        let stays = |change: &Change| !matches!(change, Change::Edit(_) | Change::Delete(_));
        let changes = changes.into_iter().filter(stays).collect();
        let by_window = run(vec![by_modified(UtcOffset::UTC, page_size)], table, changes, gateway);
        match by_window {
            // A record that comes again does no harm.
            Ok(mut outcome) => {
                outcome.released.values_mut().for_each(|times| *times = 1);
                assert_exact(&outcome)?;
            }
            Err(error) => prop_assert_eq!(error.reason(), Reason::OrderBroken),
        }
    }

    #[test]
    fn a_walk_by_key_gives_every_record(
        table in tables(),
        changes in changes(),
        page_size in 1_u32..7,
        tells: bool,
        as_text: bool,
    ) {
        let taken = Taken { ordered_as_text: as_text, compared_as_text: as_text };
        let gateway = Gateway { offset: UtcOffset::UTC, tells, most: usize::MAX, taken };
        let outcome = run(vec![by_key(page_size)], table, changes, gateway).unwrap();
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
        vec![row(11, 2), row(11, 10), row(11, 9)],
        vec![
            row(11, 10),
            row(11, 9),
            row(11, 11),
            row(12, 2),
            row(12, 10),
        ],
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
    accept(&mut walk, &[row(12, 3)], Some(1)).unwrap();
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
    // Whether the gateway compares keys as it orders them.
    assert_eq!(operators(&walk), ["equalto", "lessthanorequalto"]);
    let page = accept(&mut walk, &[row(11, 2), row(11, 1)], Some(0)).unwrap();
    assert_eq!(page.from, 2, "nothing of it is released");
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
fn the_rest_of_a_window_can_be_left_to_another_walk() {
    let mut walk = Walk::new(by_modified(UtcOffset::UTC, 2).with_null_pass(NullPass::Skip));
    assert_eq!(walk.ahead(), None, "before the first page told");
    accept(&mut walk, &[row(11, 1), row(12, 2)], Some(5)).unwrap();
    let (from, high, records) = (at(12), at(HIGH), 5);
    let expected = Ahead {
        from,
        high,
        records,
    };
    assert_eq!(walk.ahead(), Some(expected));
    walk.end_at(at(14));
    let page = accept(&mut walk, &[row(12, 2), row(13, 3)], Some(0)).unwrap();
    assert_eq!(page.from, 1);
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

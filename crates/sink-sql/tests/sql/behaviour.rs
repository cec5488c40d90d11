//! What every SQL destination does, whichever its engine: cases over `dyn Sink` and a way to read
//! back what is there.

mod given;
mod model;

use std::sync::Arc;

use sync_core::stream::TotalsShape;
use sync_core::totals::GroupTotals;
use sync_core::{
    Condition, DeleteMode, Digest, ErrorKind, Landed, Operation, Receipt, RunId, RunMark,
    SchemaChange, Sink, StreamDescriptor, TotalsQuery,
};

pub(crate) use given::{
    Cell, at, batch, boolean, date, decimal, deletes, integer, key_text, prepared, stream, text,
    timestamp, upserts,
};
pub(crate) use model::table_and_totals_equal_a_model;

/// Hands the name of every case to a macro, so that no engine leaves one out.
macro_rules! for_each_case {
    ($case:ident) => {
        $case!(the_same_batch_twice_has_the_effect_of_once);
        $case!(rows_say_which_batch_brought_them);
        $case!(preparing_twice_has_the_effect_of_once);
        $case!(columns_come_and_go);
        $case!(a_batch_of_some_columns_leaves_the_others_alone);
        $case!(a_marked_row_stays_and_revives);
        $case!(a_removed_row_goes);
        $case!(every_type_keeps_its_value);
        $case!(odd_texts_are_kept_or_refused);
        $case!(reserved_words_are_names);
        $case!(composite_keys_are_compared_whole);
        $case!(a_whole_number_is_a_key);
        $case!(what_adding_cannot_do_is_a_conflict);
        $case!(names_that_cannot_be_told_apart_are_refused);
        $case!(totals_are_exact);
        $case!(conditions_choose_the_rows_that_meet_them);
        $case!(a_total_beyond_38_digits_is_an_error);
        $case!(values_that_do_not_fit_are_refused_row_by_row);
        $case!(an_empty_batch_lands);
        $case!(the_end_of_a_run_is_kept_beside_the_data);
        $case!(concurrent_writes_all_land_once);
    };
}
pub(crate) use for_each_case;

/// A destination without tables.
pub(crate) struct Destination {
    pub(crate) sink: Arc<dyn Sink>,
    /// The values of these columns in all rows of a table, as
    /// [`sync_core::column::Value::push_to`] writes them, in any order.
    pub(crate) read: Read,
}

pub(crate) type Read = Box<dyn Fn(&str, &[&str]) -> Vec<Vec<Option<String>>>>;

impl Destination {
    /// The rows in the order of their texts.
    pub(crate) fn rows(&self, table: &str, columns: &[&str]) -> Vec<Vec<Option<String>>> {
        let mut rows = (self.read)(table, columns);
        rows.sort();
        rows
    }

    /// The rows in the order of their texts, one line each.
    pub(crate) fn lines(&self, table: &str, columns: &[&str]) -> Vec<String> {
        let rows = self.rows(table, columns).into_iter();
        rows.map(|row| {
            let cells: Vec<_> = row
                .iter()
                .map(|cell| cell.as_deref().unwrap_or("-"))
                .collect();
            cells.join("|")
        })
        .collect()
    }
}

/// A batch that is written again is there once, and has the receipt that it had.
pub(crate) async fn the_same_batch_twice_has_the_effect_of_once(to: Destination) {
    let vendors = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name")],
    );
    let first = upserts(&vendors, 0, vec![vec!["1".into(), "Acme".into()]]);
    assert_eq!(to.sink.lookup(&first.id()).await.unwrap(), Landed::No);
    prepared(&to, &vendors).await;
    assert_eq!(to.sink.lookup(&first.id()).await.unwrap(), Landed::No);
    let receipt = to.sink.write(&first).await.unwrap();
    let second = upserts(&vendors, 1, vec![vec!["1".into(), "Acme Inc.".into()]]);
    to.sink.write(&second).await.unwrap();

    assert_eq!(to.sink.write(&first).await.unwrap(), receipt);
    assert_eq!(
        to.sink.lookup(&first.id()).await.unwrap(),
        Landed::Yes(receipt)
    );
    assert_eq!(to.lines("vendor", &["recordno", "name"]), ["1|Acme Inc."]);
    to.sink.flush(&vendors.name).await.unwrap();
}

/// Rows carry the system columns of their batch.
pub(crate) async fn rows_say_which_batch_brought_them(to: Destination) {
    let vendors = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name")],
    );
    prepared(&to, &vendors).await;
    let batch = upserts(&vendors, 0, vec![vec!["1".into(), "Acme".into()]]);
    to.sink.write(&batch).await.unwrap();
    let columns = [
        "_record_id",
        "_batch_id",
        "_synced_at",
        "_source_modified_at",
        "_deleted",
    ];
    let (record, id) = (batch.record_ids()[0], batch.id());
    let expected = format!("{record}|{id}|2026-01-31 18:02:00.000000|-|false");
    assert_eq!(to.lines("vendor", &columns), [expected]);
}

/// Planning says what to do, preparing does it, and doing so again changes nothing.
pub(crate) async fn preparing_twice_has_the_effect_of_once(to: Destination) {
    let vendors = stream("vendor", &["recordno"], vec![key_text("recordno")]);
    let plan = to.sink.plan(&vendors).await.unwrap();
    let table = SchemaChange::CreateTable {
        table: "vendor".into(),
    };
    assert!(plan.changes.contains(&table), "{plan:?}");
    to.sink.prepare(&plan).await.unwrap();
    to.sink.prepare(&plan).await.unwrap();
    assert!(to.sink.plan(&vendors).await.unwrap().is_empty());
    // The bookkeeping is there once for all streams.
    let bills = stream("ap_bill", &["recordno"], vec![key_text("recordno")]);
    let plan = to.sink.plan(&bills).await.unwrap();
    assert_eq!(
        plan.changes,
        [SchemaChange::CreateTable {
            table: "ap_bill".into()
        }]
    );
}

/// Columns are added; those that the source drops stay and turn null as records change.
pub(crate) async fn columns_come_and_go(to: Destination) {
    let narrow = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name")],
    );
    prepared(&to, &narrow).await;
    let row = |key: &str, name: &str| vec![key.into(), name.into()];
    let both = upserts(&narrow, 0, vec![row("1", "one"), row("2", "two")]);
    to.sink.write(&both).await.unwrap();

    let other = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), decimal("due", 9)],
    );
    let plan = to.sink.plan(&other).await.unwrap();
    assert!(
        matches!(&plan.changes[..], [SchemaChange::AddColumn { column, .. }] if column == "due"),
        "{plan:?}"
    );
    to.sink.prepare(&plan).await.unwrap();
    to.sink.prepare(&plan).await.unwrap();
    let one = upserts(&other, 1, vec![vec!["1".into(), Cell::decimal("12.5")]]);
    to.sink.write(&one).await.unwrap();
    let columns = ["recordno", "name", "due"];
    assert_eq!(to.lines("vendor", &columns), ["1|-|12.50", "2|two|-"]);

    prepared(&to, &narrow).await;
    let back = upserts(&narrow, 2, vec![row("1", "uno")]);
    to.sink.write(&back).await.unwrap();
    assert_eq!(to.lines("vendor", &columns), ["1|uno|-", "2|two|-"]);
}

/// A batch that lacks a column which the stream still has leaves that column alone.
pub(crate) async fn a_batch_of_some_columns_leaves_the_others_alone(to: Destination) {
    let whole = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name"), text("city")],
    );
    prepared(&to, &whole).await;
    let first = upserts(
        &whole,
        0,
        vec![vec!["1".into(), "one".into(), "Rome".into()]],
    );
    to.sink.write(&first).await.unwrap();
    let part = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name")],
    );
    let rows = given::rows(&part, vec![vec!["1".into(), "uno".into()]]);
    to.sink
        .write(&batch(&whole, Operation::Upsert, 1, &rows))
        .await
        .unwrap();
    assert_eq!(
        to.lines("vendor", &["recordno", "name", "city"]),
        ["1|uno|Rome"]
    );
}

/// A row is marked, keeps its values, and comes back to life with the record.
pub(crate) async fn a_marked_row_stays_and_revives(to: Destination) {
    let vendors = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name")],
    );
    prepared(&to, &vendors).await;
    let row = |key: &str, name: &str| vec![key.into(), name.into()];
    to.sink
        .write(&upserts(
            &vendors,
            0,
            vec![row("1", "one"), row("2", "two")],
        ))
        .await
        .unwrap();
    let gone = deletes(&vendors, 1, vec![vec!["1".into()], vec!["no such".into()]]);
    let receipt = to.sink.write(&gone).await.unwrap();
    assert_eq!(receipt.rejected, []);
    let columns = ["recordno", "name", "_deleted"];
    assert_eq!(to.lines("vendor", &columns), ["1|one|true", "2|two|false"]);
    let marked = to.lines("vendor", &["_record_id", "_batch_id"]);
    let by = format!("{}|{}", gone.record_ids()[0], gone.id());
    assert!(marked.contains(&by), "{marked:?} lacks {by}");

    to.sink
        .write(&upserts(&vendors, 2, vec![row("1", "uno")]))
        .await
        .unwrap();
    assert_eq!(to.lines("vendor", &columns), ["1|uno|false", "2|two|false"]);
}

/// A row goes with its record, and comes back with it.
pub(crate) async fn a_removed_row_goes(to: Destination) {
    let mut lines = stream("ap_bill_item", &["recordno"], vec![key_text("recordno")]);
    Arc::make_mut(&mut lines).delete_mode = DeleteMode::Remove;
    prepared(&to, &lines).await;
    let both = upserts(&lines, 0, vec![vec!["1".into()], vec!["2".into()]]);
    to.sink.write(&both).await.unwrap();
    let gone = deletes(&lines, 1, vec![vec!["1".into()], vec!["no such".into()]]);
    to.sink.write(&gone).await.unwrap();
    assert_eq!(to.lines("ap_bill_item", &["recordno"]), ["2"]);
    to.sink
        .write(&upserts(&lines, 2, vec![vec!["1".into()]]))
        .await
        .unwrap();
    assert_eq!(to.lines("ap_bill_item", &["recordno"]), ["1", "2"]);
}

/// Values of every type come back as they were sent.
pub(crate) async fn every_type_keeps_its_value(to: Destination) {
    let fields = vec![
        key_text("recordno"),
        integer("number"),
        boolean("flag"),
        date("day"),
        timestamp("moment"),
        decimal("amount", 9),
        decimal("rate", 18),
        decimal("whole", 0),
    ];
    let all = stream("all_types", &["recordno"], fields);
    prepared(&to, &all).await;
    let most = "9".repeat(38);
    let row = |key: &str, number: i64, flag, day, micros, amount: &str, rate: &str, whole: &str| {
        vec![
            key.into(),
            Cell::Integer(number),
            Cell::Boolean(flag),
            Cell::Date(day),
            Cell::Timestamp(micros),
            Cell::decimal(amount),
            Cell::decimal(rate),
            Cell::decimal(whole),
        ]
    };
    let rows = vec![
        row(
            "1",
            i64::MIN,
            true,
            20_484,
            1_769_882_520_000_001,
            "-0.000000001",
            "0.1",
            &most,
        ),
        row(
            "2",
            i64::MAX,
            false,
            -719_162,
            -1,
            "99999999999999999999999999999.999999999",
            "1",
            "0",
        ),
        std::iter::once("3".into())
            .chain(std::iter::repeat_n(Cell::Null, 7))
            .collect(),
    ];
    let receipt = to.sink.write(&upserts(&all, 0, rows)).await.unwrap();
    assert_eq!(receipt.rejected, []);
    let columns = [
        "recordno", "number", "flag", "day", "moment", "amount", "rate", "whole",
    ];
    assert_eq!(
        to.lines("all_types", &columns),
        [
            format!(
                "1|{}|true|2026-01-31|2026-01-31 18:02:00.000001|-0.000000001|0.10|{most}.00",
                i64::MIN
            ),
            format!(
                "2|{}|false|0001-01-01|1969-12-31 23:59:59.999999|99999999999999999999999999999.999999999|1.00|0.00",
                i64::MAX
            ),
            "3|-|-|-|-|-|-|-".to_owned(),
        ]
    );
}

/// Texts come back to the byte; what a database cannot hold is refused, never changed.
pub(crate) async fn odd_texts_are_kept_or_refused(to: Destination) {
    let notes = stream(
        "note",
        &["recordno"],
        vec![key_text("recordno"), text("body")],
    );
    prepared(&to, &notes).await;
    let texts = [
        "".to_owned(),
        "O'Brien \"and\" ''sons''; DROP TABLE note; --".to_owned(),
        "👩‍👩‍👧 日本語 \u{202e}abc\u{fffd}".to_owned(),
        "tab\tline\r\nbreak\u{1}".to_owned(),
        "back\\slash %s ?1 $1 :name".to_owned(),
        "before\0after".to_owned(),
        "x".repeat(1 << 20),
    ];
    let rows: Vec<_> = (texts.iter().enumerate())
        .map(|(number, text)| {
            vec![
                Cell::from(format!("{number}").as_str()),
                text.as_str().into(),
            ]
        })
        .collect();
    let receipt = to.sink.write(&upserts(&notes, 0, rows)).await.unwrap();
    let kept = to.rows("note", &["recordno", "body"]);
    for (number, text) in texts.iter().enumerate() {
        let key = Some(number.to_string());
        let refused = receipt
            .rejected
            .iter()
            .any(|rejection| rejection.row == number);
        match kept.iter().find(|row| row[0] == key) {
            Some(row) => assert_eq!(row[1].as_ref(), Some(text)),
            None => assert!(refused && text.contains('\0'), "{text:?} is lost"),
        }
    }
}

/// Words of SQL, upper case, quotes and spaces are names like others.
pub(crate) async fn reserved_words_are_names(to: Destination) {
    let names = [
        "order",
        "group",
        "select",
        "Table",
        "with space",
        "quote\"d",
        "semi;colon",
        "ü",
    ];
    let mut fields: Vec<_> = names.iter().map(|name| text(name)).collect();
    fields.insert(0, key_text("primary"));
    let mut odd = stream("group", &["primary"], fields);
    Arc::make_mut(&mut odd).totals.group_by = vec!["order".into(), "quote\"d".into()];
    prepared(&to, &odd).await;
    let mut row: Vec<Cell> = vec!["key".into()];
    row.extend(names.iter().map(|name| Cell::from(*name)));
    to.sink
        .write(&upserts(&odd, 0, vec![row.clone()]))
        .await
        .unwrap();
    to.sink.write(&upserts(&odd, 1, vec![row])).await.unwrap();
    assert_eq!(to.lines("group", &names), [names.join("|")]);
    let totals = to
        .sink
        .control_totals(&TotalsQuery::of(Arc::clone(&odd)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(totals.records(), 1);
    to.sink
        .write(&deletes(&odd, 2, vec![vec!["key".into()]]))
        .await
        .unwrap();
    assert_eq!(to.lines("group", &["_deleted"]), ["true"]);
}

/// All columns of a key count, in every type that a key may have.
pub(crate) async fn composite_keys_are_compared_whole(to: Destination) {
    let mut account = integer("account");
    account = account.with_nullable(false);
    let period = date("period").with_nullable(false);
    let fields = vec![key_text("entity"), account, period, text("name")];
    let balances = stream("balance", &["period", "entity", "account"], fields);
    prepared(&to, &balances).await;
    let row = |entity: &str, account, period, name: &str| {
        vec![
            entity.into(),
            Cell::Integer(account),
            Cell::Date(period),
            name.into(),
        ]
    };
    let rows = vec![
        row("a", 1, 1, "first"),
        row("a", 1, 2, "second"),
        row("b", 1, 1, "third"),
    ];
    to.sink.write(&upserts(&balances, 0, rows)).await.unwrap();
    to.sink
        .write(&upserts(&balances, 1, vec![row("a", 1, 2, "2nd")]))
        .await
        .unwrap();
    let key = vec!["a".into(), Cell::Integer(1), Cell::Date(1)];
    to.sink
        .write(&deletes(&balances, 2, vec![key]))
        .await
        .unwrap();
    assert_eq!(
        to.lines("balance", &["name", "_deleted"]),
        ["2nd|false", "first|true", "third|false"]
    );
}

/// A single whole number is a key like others, negative ones included.
pub(crate) async fn a_whole_number_is_a_key(to: Destination) {
    let id = integer("id").with_nullable(false);
    let rows = stream("numbered", &["id"], vec![id, text("name")]);
    prepared(&to, &rows).await;
    let row = |id, name: &str| vec![Cell::Integer(id), name.into()];
    let all = vec![
        row(i64::MIN, "least"),
        row(-1, "minus"),
        row(i64::MAX, "most"),
    ];
    to.sink.write(&upserts(&rows, 0, all)).await.unwrap();
    to.sink
        .write(&upserts(&rows, 1, vec![row(-1, "again")]))
        .await
        .unwrap();
    to.sink
        .write(&deletes(&rows, 2, vec![vec![Cell::Integer(i64::MAX)]]))
        .await
        .unwrap();
    assert_eq!(
        to.lines("numbered", &["name", "_deleted"]),
        ["again|false", "least|false", "most|true"]
    );
}

/// A changed type or key is an error that names it, and nothing is changed.
pub(crate) async fn what_adding_cannot_do_is_a_conflict(to: Destination) {
    let before = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("due")],
    );
    prepared(&to, &before).await;
    let retyped = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), decimal("due", 9)],
    );
    let error = to.sink.plan(&retyped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let said = error.to_string();
    assert!(
        ["due", "text", "decimal", "vendor"]
            .iter()
            .all(|word| said.contains(word)),
        "{said}"
    );

    let due = text("due").with_nullable(false);
    let rekeyed = stream(
        "vendor",
        &["recordno", "due"],
        vec![key_text("recordno"), due],
    );
    let error = to.sink.plan(&rekeyed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("recordno, due"), "{error}");

    // A batch of a stream that was not prepared is refused whole.
    let wider = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("due"), text("new")],
    );
    let early = upserts(&wider, 0, vec![vec!["1".into(), "x".into(), "y".into()]]);
    assert_eq!(
        to.sink.write(&early).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let unknown = stream("nowhere", &["recordno"], vec![key_text("recordno")]);
    let error = to
        .sink
        .write(&upserts(&unknown, 0, vec![vec!["1".into()]]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(to.sink.lookup(&early.id()).await.unwrap(), Landed::No);
    let totals = to
        .sink
        .control_totals(&TotalsQuery::of(unknown))
        .await
        .unwrap_err();
    assert_eq!(totals.kind(), ErrorKind::Conflict);
}

/// Names that differ in case only, and names of the bookkeeping, are refused.
pub(crate) async fn names_that_cannot_be_told_apart_are_refused(to: Destination) {
    let twice = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("RecordNo")],
    );
    let error = to.sink.plan(&twice).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("RecordNo"), "{error}");
    let cut = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("na\0me")],
    );
    assert_eq!(
        to.sink.plan(&cut).await.unwrap_err().kind(),
        ErrorKind::Config
    );
    for taken in ["sync_batch", "sync_column"] {
        let taken = stream(taken, &["recordno"], vec![key_text("recordno")]);
        assert_eq!(
            to.sink.plan(&taken).await.unwrap_err().kind(),
            ErrorKind::Config
        );
    }
}

/// Totals are exact, by group, of live rows, up to a time.
pub(crate) async fn totals_are_exact(to: Destination) {
    let fields = vec![
        key_text("recordno"),
        text("currency"),
        boolean("posted"),
        decimal("amount", 9),
        timestamp("whenmodified"),
    ];
    let mut lines = stream("line", &["recordno"], fields);
    let described: &mut StreamDescriptor = Arc::make_mut(&mut lines);
    described.modified = Some("whenmodified".into());
    described.totals = TotalsShape {
        sums: vec!["amount".into()],
        group_by: vec!["currency".into(), "posted".into()],
        ..TotalsShape::default()
    };
    prepared(&to, &lines).await;
    let all = TotalsQuery::of(Arc::clone(&lines));
    let none = to.sink.control_totals(&all).await.unwrap().unwrap();
    assert!(none.groups.is_empty());

    let row =
        |key: &str, currency: Option<&str>, posted, amount: Option<&str>, micros: Option<i64>| {
            vec![
                key.into(),
                currency.map_or(Cell::Null, Cell::from),
                Cell::Boolean(posted),
                amount.map_or(Cell::Null, Cell::decimal),
                micros.map_or(Cell::Null, Cell::Timestamp),
            ]
        };
    let rows = vec![
        row("1", Some("USD"), true, Some("0.1"), Some(10)),
        row("2", Some("USD"), true, Some("0.2"), Some(20)),
        row(
            "3",
            Some("USD"),
            true,
            Some("-12345678901234567890.000000001"),
            None,
        ),
        row("4", Some("EUR"), false, None, Some(30)),
        row("5", None, true, Some("1"), Some(5)),
        row("6", Some(""), true, Some("2"), Some(5)),
        row("7", Some("USD"), true, Some("1000"), Some(5)),
    ];
    to.sink.write(&upserts(&lines, 0, rows)).await.unwrap();
    to.sink
        .write(&deletes(&lines, 1, vec![vec!["7".into()]]))
        .await
        .unwrap();
    let group = |currency: &str, posted: &str| vec![currency.to_owned(), posted.to_owned()];
    let totals = |records, sum: &str| GroupTotals {
        records,
        sums: vec![sum.parse().unwrap()],
    };

    let found = to.sink.control_totals(&all).await.unwrap().unwrap();
    let expected = [
        (group("", "true"), totals(2, "3")),
        (group("EUR", "false"), totals(1, "0")),
        (
            group("USD", "true"),
            totals(3, "-12345678901234567889.700000001"),
        ),
    ];
    assert_eq!(found.groups, expected.into());

    let until = TotalsQuery::of(Arc::clone(&lines)).modified_before(at(20));
    let found = to.sink.control_totals(&until).await.unwrap().unwrap();
    let expected = [
        (group("", "true"), totals(2, "3")),
        (
            group("USD", "true"),
            totals(2, "-12345678901234567889.900000001"),
        ),
    ];
    assert_eq!(found.groups, expected.into());
}

/// Conditions choose in the database what they choose of the same rows in memory, and days become months.
pub(crate) async fn conditions_choose_the_rows_that_meet_them(to: Destination) {
    let fields = vec![
        key_text("recordno"),
        text("account"),
        integer("number"),
        boolean("posted"),
        date("day"),
        decimal("amount", 9),
    ];
    let mut lines = stream("line", &["recordno"], fields);
    Arc::make_mut(&mut lines).totals.sums = vec!["amount".into()];
    prepared(&to, &lines).await;
    // 0 is 1970-01-01.
    let row = |key: &str, account: Option<&str>, number, posted, day: Option<i32>| {
        vec![
            key.into(),
            account.map_or(Cell::Null, Cell::from),
            Cell::Integer(number),
            Cell::Boolean(posted),
            day.map_or(Cell::Null, Cell::Date),
            Cell::decimal("0.1"),
        ]
    };
    let cells = || {
        vec![
            row("1", Some("010"), 10, true, Some(0)),
            row("2", Some("10"), 10, false, Some(30)),
            row("3", None, -1, true, Some(31)),
            row("4", Some(""), 0, true, None),
            row("it's", Some("a'b"), 0, false, Some(-1)),
        ]
    };
    to.sink.write(&upserts(&lines, 0, cells())).await.unwrap();
    let there = given::rows(&lines, cells());
    let day = |days: i64| Some(time::macros::date!(1970 - 01 - 01) + time::Duration::days(days));
    for condition in [
        Condition::is("recordno", "it's"),
        Condition::one_of("account", ["010", "a'b", "none"]),
        Condition::one_of("account", ["", "10"]),
        Condition::is("account", ""),
        Condition::one_of("number", ["10", "-1", "ten"]),
        Condition::is("posted", "true"),
        Condition::is("posted", "false"),
        Condition::one_of("day", ["1970-01-31", ""]),
        Condition::between("day", day(0), day(30)),
        Condition::between("day", None, day(30)),
        Condition::between("day", day(31), None),
        Condition::between("day", None, None),
        Condition::between("day", day(31), day(0)),
    ] {
        let query = TotalsQuery::of(Arc::clone(&lines)).matching(condition.clone());
        let found = to.sink.control_totals(&query).await.unwrap().unwrap();
        let expected = condition.met_by(&there).unwrap().true_count() as u64;
        assert_eq!(found.records(), expected, "{condition:?}");
    }
    Arc::make_mut(&mut lines).totals.group_by = vec!["day".into()];
    let by_month = TotalsQuery::of(lines).by_month();
    let found = to.sink.control_totals(&by_month).await.unwrap().unwrap();
    let months: Vec<_> = found
        .groups
        .iter()
        .map(|(key, it)| (key[0].as_str(), it.records))
        .collect();
    assert_eq!(
        months,
        [("", 1), ("1969-12", 1), ("1970-01", 2), ("1970-02", 1)]
    );
}

/// A sum that cannot be held exactly is an error.
pub(crate) async fn a_total_beyond_38_digits_is_an_error(to: Destination) {
    let mut lines = stream(
        "line",
        &["recordno"],
        vec![key_text("recordno"), decimal("amount", 0)],
    );
    Arc::make_mut(&mut lines).totals.sums = vec!["amount".into()];
    prepared(&to, &lines).await;
    let most = "9".repeat(38);
    let rows = ["1", "2"].map(|key| vec![key.into(), Cell::decimal(&most)]);
    to.sink
        .write(&upserts(&lines, 0, rows.into()))
        .await
        .unwrap();
    let error = to
        .sink
        .control_totals(&TotalsQuery::of(lines))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
}

/// What no database could hold without a change is refused; the rest proceeds, and the receipt of
/// the second write is that of the first.
pub(crate) async fn values_that_do_not_fit_are_refused_row_by_row(to: Destination) {
    let fields = vec![key_text("recordno"), date("day"), timestamp("moment")];
    let odd = stream("odd", &["recordno"], fields);
    prepared(&to, &odd).await;
    let rows = vec![
        vec!["fits".into(), Cell::Date(0), Cell::Timestamp(0)],
        vec!["day".into(), Cell::Date(i32::MAX), Cell::Null],
        vec!["moment".into(), Cell::Null, Cell::Timestamp(i64::MIN)],
    ];
    let batch = upserts(&odd, 0, rows);
    let receipt: Receipt = to.sink.write(&batch).await.unwrap();
    let refused: Vec<_> = (receipt.rejected.iter())
        .map(|rejection| (rejection.row, rejection.column.as_deref()))
        .collect();
    assert_eq!(refused, [(1, Some("day")), (2, Some("moment"))]);
    assert_eq!(to.lines("odd", &["recordno"]), ["fits"]);
    assert_eq!(to.sink.write(&batch).await.unwrap(), receipt);
    assert_eq!(
        to.sink.lookup(&batch.id()).await.unwrap(),
        Landed::Yes(receipt)
    );
}

/// A batch without rows is a batch.
pub(crate) async fn an_empty_batch_lands(to: Destination) {
    let vendors = stream("vendor", &["recordno"], vec![key_text("recordno")]);
    prepared(&to, &vendors).await;
    let empty = upserts(&vendors, 0, vec![]);
    let receipt = to.sink.write(&empty).await.unwrap();
    assert_eq!(
        to.sink.lookup(&empty.id()).await.unwrap(),
        Landed::Yes(receipt)
    );
}

/// How a run ended, and the ledger's head then, is there once, as soon as there is anything beside it.
pub(crate) async fn the_end_of_a_run_is_kept_beside_the_data(to: Destination) {
    let (run, entry) = (RunId::generate(), Digest::from_bytes([9; 32]));
    let mut ended = RunMark::new(run, "suite", "DEMO", at(0), (41, entry));
    ended.is_complete = true;
    to.sink.keep_run(&ended).await.unwrap();
    assert_eq!(to.sink.ledger_entries("suite").await.unwrap(), []);

    let vendors = stream("vendor", &["recordno"], vec![key_text("recordno")]);
    prepared(&to, &vendors).await;
    for _ in 0..2 {
        to.sink.keep_run(&ended).await.unwrap();
    }
    let columns = [
        "run_id",
        "pipeline",
        "company",
        "ended_at",
        "ledger_sequence",
        "ledger_entry",
    ];
    let expected = format!("{run}|suite|DEMO|1970-01-01 00:00:00.000000|41|{entry}");
    assert_eq!(to.lines("sync_run", &columns), [expected]);
    assert_eq!(to.sink.ledger_entries("suite").await.unwrap(), [entry]);
    assert_eq!(to.sink.ledger_entries("other").await.unwrap(), []);
}

/// Writers at the same time do not lose or double anything.
pub(crate) async fn concurrent_writes_all_land_once(to: Destination) {
    let vendors = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), integer("round")],
    );
    prepared(&to, &vendors).await;
    let mut tasks = Vec::new();
    for ordinal in 0..20i64 {
        // Every batch is written by two tasks.
        for _ in 0..2 {
            let (sink, vendors) = (Arc::clone(&to.sink), Arc::clone(&vendors));
            tasks.push(tokio::spawn(async move {
                let key = format!("{:02}", ordinal % 10);
                let rows = vec![vec![key.as_str().into(), Cell::Integer(ordinal)]];
                sink.write(&upserts(&vendors, ordinal as u64, rows))
                    .await
                    .unwrap()
            }));
        }
    }
    let mut receipts = Vec::new();
    for task in tasks {
        receipts.push(task.await.unwrap());
    }
    for pair in receipts.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    assert_eq!(to.rows("vendor", &["recordno"]).len(), 10);
}

//! `query`, against a naive evaluation of the truth.

use std::collections::{BTreeMap, BTreeSet};

use intacct_sim::{Company, DataType, Edit, ObjectSpec, RunningSimulator, Scale, Simulator};

use crate::truth::{Fields, amount, cents, instant, key_and_change, of, start, text};
use crate::wire::{Wire, condition, escape, filter, order, query, value};

/// All RECORDNOs that a filter takes, read in pages of 2000.
async fn taken(wire: &Wire, object: &str, condition: &str) -> BTreeSet<String> {
    let by_number = order(&[("RECORDNO", "ascending")]);
    let mut taken = BTreeSet::new();
    loop {
        let rest = format!(
            "{}{by_number}<options><showprivate>true</showprivate></options>\
             <pagesize>2000</pagesize><offset>{}</offset>",
            filter(condition),
            taken.len()
        );
        let answer = wire.ok(&query(object, &["RECORDNO"], &rest)).await;
        taken.extend(answer.column("RECORDNO"));
        assert_eq!(
            answer.number("totalcount"),
            taken.len() + answer.number("numremaining")
        );
        if answer.number("numremaining") == 0 {
            return taken;
        }
    }
}

fn numbers<'f>(records: impl Iterator<Item = &'f Fields>) -> BTreeSet<String> {
    records
        .map(|record| text(record, "RECORDNO").to_owned())
        .collect()
}

async fn agrees(
    wire: &Wire,
    (object, records): (&str, &[Fields]),
    condition: &str,
    naive: impl Fn(&Fields) -> bool,
) {
    let expected = numbers(records.iter().filter(|record| naive(record)));
    assert_eq!(
        taken(wire, object, condition).await,
        expected,
        "{condition}"
    );
}

#[tokio::test]
async fn operators_agree_with_a_naive_evaluation() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let records = of(simulator.company(), "APBILL");
    let bills = ("APBILL", records.as_slice());
    let total = |bill: &Fields| amount(bill, "TOTALENTERED");
    let middle = text(&records[records.len() / 2], "TOTALENTERED").to_owned();
    let bound = cents(&middle);
    for (operator, naive) in [
        ("equalto", (|a, b| a == b) as fn(i64, i64) -> bool),
        ("notequalto", |a, b| a != b),
        ("lessthan", |a, b| a < b),
        ("lessthanorequalto", |a, b| a <= b),
        ("greaterthan", |a, b| a > b),
        ("greaterthanorequalto", |a, b| a >= b),
    ] {
        let asked = condition(operator, "TOTALENTERED", &[&middle]);
        agrees(&wire, bills, &asked, |bill| naive(total(bill), bound)).await;
    }
    // Amounts compare as numbers, whatever their spelling.
    let spelled = condition(
        "equalto",
        "TOTALENTERED",
        &[&format!(
            "{middle}{}",
            if middle.contains('.') { "0" } else { ".00" }
        )],
    );
    agrees(&wire, bills, &spelled, |bill| total(bill) == bound).await;

    let date = "06/15/2025";
    let day = instant(date);
    let on = |bill: &Fields| instant(text(bill, "WHENDUE"));
    agrees(
        &wire,
        bills,
        &condition("lessthan", "WHENDUE", &[date]),
        |bill| on(bill) < day,
    )
    .await;
    let span = condition("between", "WHENDUE", &["01/01/2025", date]);
    agrees(&wire, bills, &span, |bill| {
        on(bill) >= instant("01/01/2025") && on(bill) <= day
    })
    .await;

    let texts = |field: &'static str| move |bill: &Fields| text(bill, field).to_owned();
    let name = texts("VENDORNAME");
    agrees(
        &wire,
        bills,
        &condition("like", "VENDORNAME", &["%e%r%"]),
        |bill| {
            name(bill)
                .find('e')
                .is_some_and(|at| name(bill)[at..].contains('r'))
        },
    )
    .await;
    agrees(
        &wire,
        bills,
        &condition("notlike", "STATE", &["P_id"]),
        |b| text(b, "STATE") != "Paid",
    )
    .await;
    let description = texts("DESCRIPTION");
    agrees(
        &wire,
        bills,
        &condition("isnull", "DESCRIPTION", &[]),
        |b| description(b).is_empty(),
    )
    .await;
    agrees(
        &wire,
        bills,
        &condition("isnotnull", "DESCRIPTION", &[]),
        |b| !description(b).is_empty(),
    )
    .await;
    let one = description(
        records
            .iter()
            .find(|bill| description(bill).contains(['&', '<', '\n', ']']))
            .unwrap_or(&records[0]),
    );
    agrees(
        &wire,
        bills,
        &condition("equalto", "DESCRIPTION", &[&one]),
        |b| description(b) == one,
    )
    .await;
    // As in SQL: what is null is not unequal to anything.
    agrees(
        &wire,
        bills,
        &condition("notequalto", "DESCRIPTION", &[&one]),
        |b| description(b) != one && !description(b).is_empty(),
    )
    .await;
    let states = ["Draft", "Submitted"];
    agrees(&wire, bills, &condition("in", "STATE", &states), |b| {
        states.contains(&text(b, "STATE"))
    })
    .await;
    agrees(&wire, bills, &condition("notin", "STATE", &states), |b| {
        !states.contains(&text(b, "STATE"))
    })
    .await;
    agrees(
        &wire,
        bills,
        &condition("equalto", "ONHOLD", &["true"]),
        |b| text(b, "ONHOLD") == "true",
    )
    .await;
    let wanted: Vec<&str> = records
        .iter()
        .step_by(7)
        .map(|bill| text(bill, "RECORDNO"))
        .collect();
    agrees(&wire, bills, &condition("in", "RECORDNO", &wanted), |b| {
        wanted.contains(&text(b, "RECORDNO"))
    })
    .await;

    let both = format!(
        "<and>{}<or>{}{}</or></and>",
        condition("greaterthan", "TOTALENTERED", &[&middle]),
        condition("equalto", "STATE", &["Posted"]),
        condition("like", "VENDORNAME", &["%A%"]),
    );
    agrees(&wire, bills, &both, |bill| {
        total(bill) > bound && (text(bill, "STATE") == "Posted" || name(bill).contains('A'))
    })
    .await;
}

#[tokio::test]
async fn bounds_on_numbers_and_times_agree_with_a_naive_evaluation() {
    let simulator = start(2, Scale::Tiny).await;
    simulator.company().apply_round(1).unwrap();
    let wire = Wire::session(&simulator).await;
    for object in ["GLDETAIL", "VENDOR"] {
        let records = of(simulator.company(), object);
        let lines = (object, records.as_slice());
        let number = |line: &Fields| text(line, "RECORDNO").parse::<u64>().unwrap();
        let time = |line: &Fields| text(line, "WHENMODIFIED").to_owned();
        let known: Vec<&Fields> = records
            .iter()
            .filter(|line| !time(line).is_empty())
            .collect();
        for place in [0, known.len() / 3, known.len() - 1] {
            let (key, at) = (number(known[place]), time(known[place]));
            let since = condition("greaterthanorequalto", "WHENMODIFIED", &[&at]);
            let before = condition("lessthan", "WHENMODIFIED", &["02/01/2026 19:00:05"]);
            let equal = condition("equalto", "WHENMODIFIED", &[&at]);
            let above = condition("greaterthan", "RECORDNO", &[&key.to_string()]);
            let null = condition("isnull", "WHENMODIFIED", &[]);
            let later =
                |line: &Fields| !time(line).is_empty() && instant(&time(line)) >= instant(&at);
            let early = |line: &Fields| {
                !time(line).is_empty() && instant(&time(line)) < instant("02/01/2026 19:00:05")
            };
            agrees(&wire, lines, &since, later).await;
            agrees(&wire, lines, &format!("<and>{since}{before}</and>"), |l| {
                later(l) && early(l)
            })
            .await;
            agrees(&wire, lines, &format!("<and>{equal}{above}</and>"), |l| {
                time(l) == at && number(l) > key
            })
            .await;
            agrees(&wire, lines, &above, |l| number(l) > key).await;
            agrees(&wire, lines, &null, |l| time(l).is_empty()).await;
            agrees(&wire, lines, &format!("<and>{null}{above}</and>"), |l| {
                time(l).is_empty() && number(l) > key
            })
            .await;
            agrees(&wire, lines, &format!("<and>{since}{above}</and>"), |l| {
                later(l) && number(l) > key
            })
            .await;
            agrees(&wire, lines, &format!("<and>{null}{since}</and>"), |_| {
                false
            })
            .await;
            agrees(
                &wire,
                lines,
                &condition("lessthan", "RECORDNO", &[&key.to_string()]),
                |l| number(l) < key,
            )
            .await;
            agrees(
                &wire,
                lines,
                &condition("notequalto", "RECORDNO", &[&key.to_string()]),
                |l| number(l) != key,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn orders_are_kept_and_offsets_cut_them() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let records = of(simulator.company(), "GLDETAIL");
    type Key = (Option<String>, u64);
    let key = |line: &Fields| -> Key {
        let time = line.get("WHENMODIFIED").map(|text| instant(text));
        (time, text(line, "RECORDNO").parse().unwrap())
    };
    let mut expected: Vec<(Key, String)> = records
        .iter()
        .map(|line| (key(line), text(line, "RECORDNO").to_owned()))
        .collect();
    expected.sort_unstable();
    let ways = ["ascending", "descending"];
    for way in ways {
        let both = order(&[("WHENMODIFIED", way), ("RECORDNO", way)]);
        let mut seen = Vec::new();
        while seen.len() < records.len() {
            let rest = format!(
                "{both}<pagesize>333</pagesize><offset>{}</offset>",
                seen.len()
            );
            let page = wire.ok(&query("GLDETAIL", &["RECORDNO"], &rest)).await;
            assert_eq!(page.number("offset"), seen.len());
            assert_eq!(page.number("count"), page.records.len());
            seen.extend(page.column("RECORDNO"));
        }
        assert!(
            seen.iter().eq(expected.iter().map(|(_, number)| number)),
            "{way}"
        );
        expected.reverse();
    }
    // Past the end there is nothing, and that is no error.
    let past = wire
        .ok(&query("GLDETAIL", &["RECORDNO"], "<offset>100000</offset>"))
        .await;
    assert_eq!((past.number("count"), past.number("numremaining")), (0, 0));

    // Any field orders; what it leaves open differs from call to call.
    let by_amount = order(&[("AMOUNT", "descending")]);
    let page = |rest: &str| {
        query(
            "GLDETAIL",
            &["RECORDNO", "AMOUNT"],
            &format!("{rest}<pagesize>2000</pagesize>"),
        )
    };
    let amounts: Vec<i64> = wire
        .ok(&page(&by_amount))
        .await
        .column("AMOUNT")
        .iter()
        .map(|a| cents(a))
        .collect();
    assert!(amounts.is_sorted_by(|a, b| a >= b));
    let by_account = order(&[("ACCOUNTNO", "ascending")]);
    let (one, other) = (
        wire.ok(&page(&by_account)).await,
        wire.ok(&page(&by_account)).await,
    );
    assert_ne!(one.column("RECORDNO"), other.column("RECORDNO"));
    let (one, other) = (wire.ok(&page("")).await, wire.ok(&page("")).await);
    assert_ne!(one.column("RECORDNO"), other.column("RECORDNO"));
    let sorted = |mut numbers: Vec<String>| {
        numbers.sort();
        numbers
    };
    assert_eq!(
        sorted(one.column("RECORDNO")),
        sorted(other.column("RECORDNO"))
    );
}

#[tokio::test]
async fn all_fields_come_as_the_truth_has_them() {
    let simulator = start(6, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    for name in simulator.company().objects().into_keys() {
        if name == "GLACCOUNTBALANCE" || name == "AUDITHISTORY" {
            continue;
        }
        let by_number = order(&[(key_and_change(&name).0, "ascending")]);
        let rest = format!(
            "{by_number}<options><showprivate>true</showprivate></options><pagesize>2000</pagesize>"
        );
        let truth = simulator.company().records(&name).unwrap();
        let fields: Vec<&str> = truth[0].iter().map(|(field, _)| &**field).collect();
        let answer = wire.ok(&query(&name, &fields, &rest)).await;
        assert_eq!(answer.records, truth, "{name}");
    }
}

#[tokio::test]
async fn aggregates_add_up() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let records = of(simulator.company(), "GLDETAIL");
    let select = "<select><field>ACCOUNTNO</field><sum>AMOUNT</sum><count>RECORDNO</count>\
        <min>ENTRY_DATE</min><max>DEBITAMOUNT</max></select>";
    let by_account = order(&[("ACCOUNTNO", "ascending")]);
    let call = format!(
        "<query><object>GLDETAIL</object>{select}{by_account}<pagesize>2000</pagesize></query>"
    );
    let answer = wire.ok(&call).await;
    let mut expected: BTreeMap<&str, (i64, usize, String, i64)> = BTreeMap::new();
    for line in &records {
        let group = expected
            .entry(text(line, "ACCOUNTNO"))
            .or_insert((0, 0, "9".to_owned(), 0));
        group.0 += amount(line, "AMOUNT");
        group.1 += 1;
        group.2 = group.2.clone().min(instant(text(line, "ENTRY_DATE")));
        group.3 = group.3.max(amount(line, "DEBITAMOUNT"));
    }
    assert_eq!(answer.number("totalcount"), expected.len());
    for (row, (account, group)) in answer.records.iter().zip(expected) {
        let names: Vec<&str> = row.iter().map(|(name, _)| &**name).collect();
        assert_eq!(
            names,
            [
                "ACCOUNTNO",
                "SUM.AMOUNT",
                "COUNT.RECORDNO",
                "MIN.ENTRY_DATE",
                "MAX.DEBITAMOUNT"
            ]
        );
        let got = |name: &str| value(row, name).unwrap();
        assert_eq!(got("ACCOUNTNO"), account);
        assert_eq!(cents(got("SUM.AMOUNT")), group.0);
        assert_eq!(got("COUNT.RECORDNO"), group.1.to_string());
        assert_eq!(instant(got("MIN.ENTRY_DATE")), group.2);
        assert_eq!(cents(got("MAX.DEBITAMOUNT")), group.3);
    }
    let debits = filter(&condition("equalto", "TR_TYPE", &["1"]));
    let call = format!(
        "<query><object>GLDETAIL</object><select><avg>AMOUNT</avg><sum>AMOUNT</sum></select>{debits}</query>"
    );
    let row = &wire.ok(&call).await.records[0];
    let total: i64 = records.iter().map(|line| amount(line, "DEBITAMOUNT")).sum();
    assert_eq!(cents(value(row, "SUM.AMOUNT").unwrap()), total);
    wire.fails("<query><object>VENDOR</object><select><sum>NAME</sum></select></query>")
        .await;
}

#[tokio::test]
async fn fields_of_related_records_are_within_reach() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let fields = [
        "VENDORID",
        "VENDOR.NAME",
        "VENDOR.DISPLAYCONTACT.MAILADDRESS.CITY",
    ];
    let vendors = of(simulator.company(), "VENDOR");
    for row in wire.ok(&query("APBILL", &fields, "")).await.records {
        let id = value(&row, "VENDORID").unwrap();
        let vendor = vendors
            .iter()
            .find(|vendor| text(vendor, "VENDORID") == id)
            .unwrap();
        assert_eq!(value(&row, fields[1]).unwrap(), text(vendor, "NAME"));
        assert_eq!(
            value(&row, fields[2]).unwrap_or(""),
            text(vendor, "DISPLAYCONTACT.MAILADDRESS.CITY")
        );
    }
    let two_hops = ["APBILL.VENDOR.NAME", "VENDORNAME"];
    for row in wire.ok(&query("APBILLITEM", &two_hops, "")).await.records {
        assert_eq!(row[0].1, row[1].1);
    }
    let climbing = condition("isnotnull", "PARENT.TITLE", &[]);
    wire.ok(&query(
        "DEPARTMENT",
        &["TITLE", "PARENT.TITLE"],
        &filter(&climbing),
    ))
    .await;
    wire.fails(&query("DEPARTMENT", &["PARENT.PARENT.TITLE"], ""))
        .await;
}

#[tokio::test]
async fn private_records_are_seen_on_request() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let all = of(simulator.company(), "VENDOR").len();
    let public = wire
        .ok(&query("VENDOR", &["RECORDNO"], ""))
        .await
        .number("totalcount");
    assert!(public < all);
    let options = "<options><showprivate>true</showprivate></options>";
    let answer = wire.ok(&query("VENDOR", &["RECORDNO"], options)).await;
    assert_eq!(answer.number("totalcount"), all);
}

#[tokio::test]
async fn case_can_be_ignored() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let name = text(&of(simulator.company(), "CLASS")[0], "NAME").to_uppercase();
    for operator in ["equalto", "like", "in"] {
        let asked = filter(&condition(operator, "NAME", &[&name]));
        let strict = wire.ok(&query("CLASS", &["NAME"], &asked)).await;
        assert_eq!(strict.records.len(), 0, "{operator}");
        let rest = format!("{asked}<options><caseinsensitive>true</caseinsensitive></options>");
        assert_eq!(
            wire.ok(&query("CLASS", &["NAME"], &rest))
                .await
                .records
                .len(),
            1,
            "{operator}"
        );
    }
}

#[tokio::test]
async fn what_the_schema_forbids_is_refused() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let one = condition("equalto", "NAME", &["x"]);
    let many: Vec<&str> = vec!["x"; 1_001];
    for broken in [
        query("CLASS", &[], ""),
        query("CLASS", &["NAME"], &filter(&format!("<and>{one}</and>"))),
        query("CLASS", &["NAME"], &filter(&format!("<or>{one}</or>"))),
        query("CLASS", &["NAME"], &filter(&format!("{one}{one}"))),
        query("CLASS", &["NAME"], "<filter/>"),
        query(
            "CLASS",
            &["NAME"],
            &filter("<equals><field>NAME</field><value>x</value></equals>"),
        ),
        query(
            "CLASS",
            &["NAME"],
            &filter(&condition("between", "NAME", &["a"])),
        ),
        query(
            "CLASS",
            &["NAME"],
            &filter(&condition("equalto", "NAME", &["a", "b"])),
        ),
        query(
            "CLASS",
            &["NAME"],
            &filter(&condition("isnull", "NAME", &["a"])),
        ),
        query("CLASS", &["NAME"], &filter(&condition("in", "NAME", &[]))),
        query("CLASS", &["NAME"], &filter(&condition("in", "NAME", &many))),
        query("CLASS", &["NAME"], "<orderby/>"),
        query(
            "CLASS",
            &["NAME"],
            "<orderby><order><field>NAME</field><upwards/></order></orderby>",
        ),
        query("CLASS", &["NAME"], "<pagesize>many</pagesize>"),
        query(
            "CLASS",
            &["NAME"],
            "<pagesize>1</pagesize><pagesize>1</pagesize>",
        ),
        query("CLASS", &["NAME"], "<limit>1</limit>"),
        query(
            "CLASS",
            &["NAME"],
            "<options><showprivate>yes</showprivate></options>",
        ),
        "<query><select><field>NAME</field></select></query>".to_owned(),
    ] {
        wire.breaks_schema(&broken).await;
    }
    let many: Vec<&str> = vec!["x"; 1_000];
    wire.ok(&query(
        "CLASS",
        &["NAME"],
        &filter(&condition("in", "NAME", &many)),
    ))
    .await;
    for refused in [
        query("CLASS", &["NAME"], "<pagesize>2001</pagesize>"),
        query("CLASS", &["NAME"], "<pagesize>0</pagesize>"),
        query("CLASS", &["NAME"], "<offset>-1</offset>"),
        query("class", &["NAME"], ""),
        query("CLASS", &["NAME", "NOSUCH"], ""),
        query(
            "CLASS",
            &["NAME"],
            &filter(&condition("equalto", "NOSUCH", &["x"])),
        ),
        query("CLASS", &["NAME"], &order(&[("NOSUCH", "ascending")])),
        query(
            "CLASS",
            &["NAME"],
            &filter(&condition("lessthan", "WHENMODIFIED", &["2026-01-01"])),
        ),
        query(
            "CLASS",
            &["NAME"],
            &filter(&condition("equalto", "RECORDNO", &["one"])),
        ),
        query(
            "GLDETAIL",
            &["AMOUNT"],
            &filter(&condition("between", "AMOUNT", &["9", "1"])),
        ),
    ] {
        let fault = wire.fails(&refused).await;
        assert!(
            ["DL02000001", "Query Failed"].contains(&&*fault.number),
            "{fault:?}"
        );
    }
    assert_eq!(escape("]]>"), "]]&gt;");
}

#[tokio::test]
async fn balances_are_read_by_period() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let period = "Month Ended June 2025";
    let fields = ["ACCOUNTNO", "OPENBAL", "ENDBAL", "PERIOD"];
    let rest = filter(&condition("equalto", "PERIOD", &[period])) + "<pagesize>2000</pagesize>";
    let rows = wire.ok(&query("GLACCOUNTBALANCE", &fields, &rest)).await;
    let expected = of(simulator.company(), "GLACCOUNTBALANCE");
    let expected = expected
        .iter()
        .filter(|row| text(row, "PERIOD") == period)
        .count();
    assert!(expected > 0 && rows.number("totalcount") == expected);
    wire.fails(&query("GLACCOUNTBALANCE", &fields, "")).await;
    let year = filter(&condition(
        "equalto",
        "PERIOD",
        &["Calendar Year Ended December 2025"],
    ));
    wire.fails(&query("GLACCOUNTBALANCE", &fields, &year)).await;
    let sql = |text: &str| {
        format!(
            "<readByQuery><object>GLACCOUNTBALANCE</object><query>{text}</query><fields>*</fields></readByQuery>"
        )
    };
    let rows = wire
        .ok(&sql(&format!("PERIOD = '{period}' AND BOOKID = 'ACCRUAL'")))
        .await;
    assert!(rows.number("totalcount") > 0);
    assert!(value(&rows.records[0], "RECORDNO").is_none());
    wire.fails(&sql("BOOKID = 'ACCRUAL'")).await;
    wire.fails(&sql(&format!("PERIOD = '{period}' OR BOOKID = 'ACCRUAL'")))
        .await;
}

async fn generic(simulator: Company) -> RunningSimulator {
    Simulator::builder()
        .company(simulator)
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn any_objects_can_be_served_and_changed_while_they_are() {
    let widget = |number: &str, name: &str, modified: &str| {
        [
            ("RECORDNO", number),
            ("NAME", name),
            ("WHENMODIFIED", modified),
        ]
        .map(|(n, t)| (n.to_owned(), t.to_owned()))
    };
    let spec = ObjectSpec::new("WIDGET")
        .field("RECORDNO", DataType::Text)
        .field("NAME", DataType::Text)
        .field("WHENMODIFIED", DataType::Timestamp)
        .record(widget("10", "ten", "01/01/2026 00:00:00"))
        .record(widget("9", "nine", "01/01/2026 00:00:00"))
        .record(widget("100", "hundred", ""));
    let broken = spec.clone().record(widget("9", "again", ""));
    assert!(Company::from_objects([broken]).is_err());
    assert!(Company::from_objects([spec.clone().record(widget("7", "x", "2026-01-01"))]).is_err());
    let simulator = generic(Company::from_objects([spec]).unwrap()).await;
    let wire = Wire::session(&simulator).await;
    let by_time = order(&[("WHENMODIFIED", "ascending"), ("RECORDNO", "ascending")]);
    let all = query("WIDGET", &["RECORDNO", "NAME"], &by_time);
    assert_eq!(wire.ok(&all).await.column("RECORDNO"), ["100", "9", "10"]);
    let company = simulator.company();
    company
        .edit(&Edit::update("WIDGET", 9).set("NAME", "<nine>"))
        .unwrap();
    company.edit(&Edit::delete("WIDGET", 10)).unwrap();
    company
        .edit(
            &Edit::create("WIDGET")
                .set("RECORDNO", "11")
                .set("NAME", "eleven")
                .set("WHENMODIFIED", "01/02/2026 00:00:00"),
        )
        .unwrap();
    company.edit(&Edit::delete("WIDGET", 10)).unwrap_err();
    company
        .edit(&Edit::update("WIDGET", 9).set("COLOUR", "red"))
        .unwrap_err();
    let answer = wire.ok(&all).await;
    assert_eq!(answer.column("RECORDNO"), ["100", "11", "9"]);
    assert_eq!(answer.column("NAME"), ["hundred", "eleven", "<nine>"]);
    assert!(company.apply_round(1).is_err());
}

#[tokio::test]
async fn a_hook_changes_the_company_between_calls() {
    let spec = ObjectSpec::new("THING")
        .field("RECORDNO", DataType::Integer)
        .record([("RECORDNO", "1")])
        .record([("RECORDNO", "2")]);
    let simulator = Simulator::builder()
        .company(Company::from_objects([spec]).unwrap())
        .before_call(|number, company| {
            if number == 3 {
                company.edit(&Edit::delete("THING", 1)).unwrap();
            }
        })
        .start()
        .await
        .unwrap();
    let wire = Wire::session(&simulator).await;
    let count = query("THING", &["RECORDNO"], "");
    assert_eq!(wire.ok(&count).await.number("totalcount"), 2);
    assert_eq!(wire.ok(&count).await.number("totalcount"), 1);
}

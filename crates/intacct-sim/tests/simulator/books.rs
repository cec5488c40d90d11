//! The books are right: every total follows from its parts, at the start and after every round.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use intacct_sim::{Edit, Scale, Simulator};

use crate::truth::{
    Fields, Truth, amount, amounts, instant, key_and_change, of, start, text, truth, whole,
};

#[tokio::test]
async fn books_hold_at_the_start_and_after_rounds() {
    for seed in [1, 2, 77] {
        let simulator = start(seed, Scale::Tiny).await;
        check(&truth(simulator.company()));
        for round in [1, 2, 5] {
            simulator.company().apply_round(round).unwrap();
            check(&truth(simulator.company()));
        }
    }
}

#[tokio::test]
async fn books_hold_at_small_scale() {
    let names = [
        "GLDETAIL",
        "APBILL",
        "ARINVOICE",
        "APBILLITEM",
        "ARINVOICEITEM",
    ];
    let simulator = start(3, Scale::Small).await;
    let counts = simulator.company().objects();
    let lines = counts["GLDETAIL"];
    assert!((50_000..55_000).contains(&lines), "{lines} ledger lines");
    let changes = simulator.company().apply_round(1).unwrap();
    let after = amounts(simulator.company());
    check(&after);
    let touched: u64 = names
        .iter()
        .map(|name| changes[*name].created + changes[*name].updated + changes[*name].deleted)
        .sum();
    let all: usize = names.iter().map(|name| counts[*name]).sum();
    let share = touched as usize * 1_000 / all;
    assert!(
        (5..30).contains(&share),
        "{share} in a thousand records changed"
    );
    // More records share a second than a page can hold.
    let mut seconds: HashMap<&str, usize> = HashMap::new();
    for line in &after["GLDETAIL"] {
        *seconds.entry(text(line, "WHENMODIFIED")).or_default() += 1;
    }
    seconds.remove("");
    assert!(seconds.values().any(|&count| count > 2_000));
}

#[tokio::test]
async fn equal_seeds_and_rounds_make_equal_companies() {
    let (one, other) = (start(9, Scale::Tiny).await, start(9, Scale::Tiny).await);
    assert_eq!(truth(one.company()), truth(other.company()));
    // The clock may stand differently; rounds have their own times.
    other.company().advance_clock(3_000);
    for round in [1, 2, 3] {
        let changes = one.company().apply_round(round).unwrap();
        assert_eq!(changes, other.company().apply_round(round).unwrap());
        assert_eq!(truth(one.company()), truth(other.company()));
    }
    let third = start(10, Scale::Tiny).await;
    assert_ne!(truth(third.company()), truth(one.company()));
}

/// What a reader of WHENMODIFIED and of the audit trail relies on.
#[tokio::test]
async fn every_visible_change_moves_its_time_of_change() {
    let simulator = start(4, Scale::Tiny).await;
    let company = simulator.company();
    let mut before = truth(company);
    for round in 1..=4 {
        let since = instant_text(company.now());
        let changes = company.apply_round(round).unwrap();
        let after = truth(company);
        for name in [
            "VENDOR",
            "APBILL",
            "APBILLITEM",
            "ARINVOICE",
            "GLBATCH",
            "GLENTRY",
            "GLDETAIL",
        ] {
            let changes = changes[name];
            assert!(
                changes.created > 0 && changes.updated > 0 && changes.deleted > 0,
                "{name} {changes:?}"
            );
        }
        let mut deleted: BTreeSet<(String, String)> = BTreeSet::new();
        for (name, old) in &before {
            if name == "GLACCOUNTBALANCE" || name == "AUDITHISTORY" {
                continue;
            }
            let (key, modified_at) = key_and_change(name);
            let new: HashMap<&str, &Fields> = after[name]
                .iter()
                .map(|record| (text(record, key), record))
                .collect();
            for record in old {
                let Some(now) = new.get(text(record, key)) else {
                    let key = match name.as_str() {
                        "VENDOR" => text(record, "VENDORID"),
                        _ => text(record, "RECORDNO"),
                    };
                    deleted.insert((name.to_lowercase(), key.to_owned()));
                    continue;
                };
                if record != *now {
                    let modified = instant(text(now, modified_at));
                    assert!(
                        modified >= since,
                        "{name} {} changed in silence",
                        text(now, key)
                    );
                }
            }
            let known: BTreeSet<&str> = old.iter().map(|record| text(record, key)).collect();
            for record in after[name].iter().filter(|r| !known.contains(text(r, key))) {
                assert!(instant(text(record, modified_at)) >= since, "{name}");
            }
        }
        // The audit trail names what was deleted, except lines: those go with their owners.
        let trail: BTreeSet<(String, String)> = after["AUDITHISTORY"]
            .iter()
            .filter(|row| instant(text(row, "ACCESSTIME")) >= since)
            .map(|row| {
                (
                    text(row, "OBJECTTYPE").to_owned(),
                    text(row, "OBJECTKEY").to_owned(),
                )
            })
            .collect();
        let lines = ["apbillitem", "arinvoiceitem", "glentry", "gldetail"];
        let owners: BTreeSet<_> = deleted
            .into_iter()
            .filter(|(name, _)| !lines.contains(&name.as_str()))
            .collect();
        assert_eq!(trail, owners);
        before = after;
    }
}

fn instant_text(now: time::OffsetDateTime) -> String {
    let (date, time) = (now.date(), now.time());
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[tokio::test]
async fn first_records_are_hours_old_and_some_were_never_modified() {
    let simulator = start(1, Scale::Tiny).await;
    let truth = truth(simulator.company());
    let mut never = 0;
    for (name, records) in truth.iter().filter(|(name, _)| *name != "AUDITHISTORY") {
        for record in records {
            let modified = text(record, key_and_change(name).1);
            if modified.is_empty() {
                never += 1;
                let created = ["WHENCREATED", "AUWHENCREATED"].map(|field| text(record, field));
                assert!(created.iter().any(|text| !text.is_empty()), "{name}");
            } else {
                assert!(
                    instant(modified).as_str() <= "2026-01-31 15:00:00",
                    "{name} {modified}"
                );
            }
        }
    }
    assert!(never > 5);
    let empty_currency = truth["GLDETAIL"]
        .iter()
        .any(|line| text(line, "CURRENCY").is_empty() || text(line, "BASECURR").is_empty());
    assert!(!empty_currency);
}

#[tokio::test]
async fn edits_keep_the_books_or_are_refused() {
    let simulator = start(5, Scale::Tiny).await;
    let company = simulator.company();
    let before = truth(company);
    let open = |record: &&Fields| {
        amount(record, "TOTALPAID") == 0
            && amount(record, "TOTALDUE") > 0
            && text(record, "STATE") == "Posted"
    };
    let bill = before["APBILL"].iter().find(open).unwrap();
    let bill_key = text(bill, "RECORDNO");
    let line = before["APBILLITEM"]
        .iter()
        .find(|line| text(line, "RECORDKEY") == bill_key)
        .unwrap();
    let paid = before["APBILL"]
        .iter()
        .find(|bill| text(bill, "STATE") == "Paid")
        .unwrap();
    let manual = before["GLBATCH"]
        .iter()
        .skip(1)
        .find(|batch| text(batch, "MODULE") == "2.GL")
        .unwrap();
    let vendor = &before["VENDOR"][0];
    let vendor_key = text(vendor, "RECORDNO");

    for refused in [
        Edit::delete("VENDOR", vendor_key),
        Edit::update("VENDOR", vendor_key)
            .set("COMMENTS", "new")
            .set("NAME", "other"),
        Edit::update("APBILL", bill_key)
            .set("WHENDUE", "02/03/2026")
            .set("TOTALDUE", "1"),
        Edit::delete("APBILL", text(paid, "RECORDNO")),
        Edit::update("APBILLITEM", text(line, "RECORDNO")).set("TRX_AMOUNT", "-5"),
        Edit::create("GLDETAIL"),
        Edit::update("APBILL", "999999").set("WHENDUE", "02/03/2026"),
        Edit::create("VENDOR").set("STATUS", "sleeping"),
    ] {
        company.edit(&refused).expect_err("refused");
        assert_eq!(truth(company), before, "{refused:?} left a trace");
    }
    for edit in [
        Edit::update("VENDOR", vendor_key)
            .set("STATUS", "inactive")
            .set("COMMENTS", "a < b"),
        Edit::create("VENDOR").set("NAME", "Café & <Co>"),
        Edit::update("APBILLITEM", text(line, "RECORDNO")).set("TRX_AMOUNT", "12345.67"),
        Edit::update("APBILL", bill_key)
            .set("WHENDUE", "02/03/2026")
            .set("DESCRIPTION", "d"),
        Edit::create("APBILL").set("WHENCREATED", "12/15/2025"),
        Edit::create("GLBATCH").set("BATCH_DATE", "11/30/2025"),
        Edit::delete("GLBATCH", text(manual, "RECORDNO")),
        Edit::delete("APBILL", bill_key),
        // It pays any bill, and one that is paid cannot be deleted.
        Edit::create("APPYMT"),
    ] {
        let changes = company.edit(&edit).unwrap();
        assert!(!changes.is_empty(), "{edit:?}");
        check(&truth(company));
    }
    let trail = of(company, "AUDITHISTORY");
    assert!(
        trail
            .iter()
            .any(|row| text(row, "OBJECTTYPE") == "apbill" && text(row, "OBJECTKEY") == bill_key)
    );
}

#[tokio::test]
async fn rounds_only_go_forward() {
    let simulator = start(1, Scale::Tiny).await;
    let company = simulator.company();
    company.apply_round(2).unwrap();
    company.apply_round(2).unwrap_err();
    company.apply_round(1).unwrap_err();
    company.apply_round(0).unwrap_err();
    company.advance_clock(40 * 86_400);
    company.apply_round(3).unwrap_err();
    company.apply_round(100).unwrap();
}

#[tokio::test]
async fn an_address_open_to_others_needs_leave() {
    let open = "0.0.0.0:0".parse().unwrap();
    let refused = Simulator::builder()
        .scale(Scale::Tiny)
        .listen(open)
        .start()
        .await;
    assert!(refused.is_err());
    Simulator::builder()
        .scale(Scale::Tiny)
        .listen(open)
        .allow_remote()
        .start()
        .await
        .unwrap();
}

/// Everything that must hold of the books at any time.
fn check(truth: &Truth) {
    unique_numbers(truth);
    documents(truth, "APBILL", "APBILLITEM", "VENDOR", "VENDORID");
    documents(
        truth,
        "ARINVOICE",
        "ARINVOICEITEM",
        "CUSTOMER",
        "CUSTOMERID",
    );
    payments(truth);
    journal(truth);
    ledger_follows_documents(truth);
    balances(truth);
}

fn unique_numbers(truth: &Truth) {
    for (name, records) in truth {
        if name == "GLACCOUNTBALANCE" || name == "AUDITHISTORY" {
            continue;
        }
        let numbers: Vec<u64> = records
            .iter()
            .map(|record| text(record, key_and_change(name).0).parse().unwrap())
            .collect();
        assert!(
            numbers.is_sorted_by(|a, b| a < b),
            "{name} is ordered by RECORDNO"
        );
    }
}

fn documents(truth: &Truth, header: &str, lines: &str, party: &str, party_id: &str) {
    let mut sums: BTreeMap<&str, [i64; 4]> = BTreeMap::new();
    for line in &truth[lines] {
        let sum = sums.entry(text(line, "RECORDKEY")).or_default();
        for (sum, field) in
            sum.iter_mut()
                .zip(["AMOUNT", "TRX_AMOUNT", "TOTALPAID", "TRX_TOTALPAID"])
        {
            *sum += amount(line, field);
        }
    }
    let mut due: BTreeMap<&str, i64> = BTreeMap::new();
    for document in &truth[header] {
        let sum = sums.remove(text(document, "RECORDNO")).unwrap();
        let total = [
            "TOTALENTERED",
            "TRX_TOTALENTERED",
            "TOTALPAID",
            "TRX_TOTALPAID",
        ]
        .map(|field| amount(document, field));
        assert_eq!(total, sum, "{header} {}", text(document, "RECORDNO"));
        assert_eq!(amount(document, "TOTALDUE"), total[0] - total[2]);
        assert_eq!(amount(document, "TRX_TOTALDUE"), total[1] - total[3]);
        let is_paid = text(document, "STATE") == "Paid";
        assert_eq!(is_paid, amount(document, "TOTALDUE") == 0);
        assert_eq!(is_paid, !text(document, "WHENPAID").is_empty());
        if text(document, "RAWSTATE") == "A" {
            *due.entry(text(document, party_id)).or_default() += amount(document, "TOTALDUE");
        } else {
            assert_eq!(total[2], 0);
        }
    }
    assert!(sums.is_empty(), "lines of {header} without their header");
    for party in &truth[party] {
        let due = due.get(text(party, party_id)).copied().unwrap_or(0);
        assert_eq!(amount(party, "TOTALDUE"), due, "{}", text(party, party_id));
    }
}

fn payments(truth: &Truth) {
    let mut by_bill: BTreeMap<&str, i64> = BTreeMap::new();
    let mut by_line: BTreeMap<&str, i64> = BTreeMap::new();
    let mut by_payment: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
    for detail in &truth["APPYMTDETAIL"] {
        let paid = amount(detail, "PAYMENTAMOUNT");
        *by_bill.entry(text(detail, "RECORDKEY")).or_default() += paid;
        *by_line.entry(text(detail, "ENTRYKEY")).or_default() += paid;
        let payment = by_payment.entry(text(detail, "PAYMENTKEY")).or_default();
        payment[0] += paid;
        payment[1] += amount(detail, "TRX_PAYMENTAMOUNT");
    }
    for (object, sums) in [("APBILL", &by_bill), ("APBILLITEM", &by_line)] {
        for record in &truth[object] {
            let paid = sums.get(text(record, "RECORDNO")).copied().unwrap_or(0);
            assert_eq!(amount(record, "TOTALPAID"), paid, "{object}");
        }
    }
    for payment in &truth["APPYMT"] {
        let total = ["TOTALENTERED", "TRX_TOTALENTERED"].map(|field| amount(payment, field));
        assert_eq!(total, by_payment[text(payment, "RECORDNO")]);
    }
}

fn journal(truth: &Truth) {
    let batches: HashMap<&str, &Fields> = truth["GLBATCH"]
        .iter()
        .map(|batch| (text(batch, "RECORDNO"), batch))
        .collect();
    let entries: HashMap<&str, &Fields> = truth["GLENTRY"]
        .iter()
        .map(|entry| (text(entry, "RECORDNO"), entry))
        .collect();
    let accounts: HashMap<&str, &str> = truth["GLACCOUNT"]
        .iter()
        .map(|account| (text(account, "ACCOUNTNO"), text(account, "TITLE")))
        .collect();
    let mut sums: BTreeMap<(&str, &str), [i64; 2]> = BTreeMap::new();
    assert_eq!(truth["GLDETAIL"].len(), entries.len());
    for line in &truth["GLDETAIL"] {
        let entry = entries[text(line, "GLENTRYKEY")];
        let batch = batches[text(line, "BATCHKEY")];
        assert_eq!(text(entry, "BATCHNO"), text(line, "BATCHKEY"));
        assert_eq!(text(entry, "ENTRY_DATE"), text(line, "ENTRY_DATE"));
        assert_eq!(text(batch, "BATCH_DATE"), text(line, "BATCH_DATE"));
        assert_eq!(
            accounts[text(line, "ACCOUNTNO")],
            text(line, "ACCOUNTTITLE")
        );
        let side = whole(line, "TR_TYPE");
        let net = amount(line, "DEBITAMOUNT") - amount(line, "CREDITAMOUNT");
        assert_eq!(net, amount(line, "AMOUNT"));
        assert_eq!(net, side * amount(entry, "AMOUNT"));
        assert!(amount(entry, "AMOUNT") > 0);
        let sum = sums
            .entry((text(line, "BATCHKEY"), text(line, "BOOKID")))
            .or_default();
        sum[0] += net;
        sum[1] += amount(line, "TRX_AMOUNT");
    }
    assert!(
        sums.values().all(|sum| *sum == [0, 0]),
        "an entry does not balance"
    );
    assert_eq!(sums.len(), batches.len(), "every entry is in one book");
    assert!(sums.keys().any(|(_, book)| *book == "GAAPADJACCRUAL"));
}

fn ledger_follows_documents(truth: &Truth) {
    let mut lines: HashMap<(&str, &str), Vec<&Fields>> = HashMap::new();
    for line in &truth["GLDETAIL"] {
        if let kind @ ("pi" | "ri") = text(line, "RECORDTYPE") {
            lines
                .entry((kind, text(line, "RECORDID")))
                .or_default()
                .push(line);
        }
    }
    for (object, kind, control) in [("APBILL", "pi", "2010"), ("ARINVOICE", "ri", "1200")] {
        for document in truth[object]
            .iter()
            .filter(|document| text(document, "RAWSTATE") == "A")
        {
            let lines = lines.remove(&(kind, text(document, "RECORDID"))).unwrap();
            let total: i64 = lines
                .iter()
                .filter(|line| text(line, "ACCOUNTNO") == control)
                .map(|line| amount(line, "AMOUNT").abs())
                .sum();
            assert_eq!(total, amount(document, "TOTALENTERED"));
            for line in lines {
                for field in ["TOTALENTERED", "TOTALPAID", "TOTALDUE"] {
                    assert_eq!(amount(line, field), amount(document, field));
                }
                for field in ["WHENDUE", "WHENPAID", "STATE", "DOCNUMBER"] {
                    assert_eq!(text(line, field), text(document, field));
                }
            }
        }
    }
    assert!(
        lines.is_empty(),
        "ledger lines of documents that are not there"
    );
    // What the ledger owes is what the vendors are due; the same for customers.
    for (account, object, sign) in [("2010", "VENDOR", -1), ("1200", "CUSTOMER", 1)] {
        let ledger: i64 = truth["GLDETAIL"]
            .iter()
            .filter(|line| text(line, "ACCOUNTNO") == account)
            .map(|line| amount(line, "AMOUNT"))
            .sum();
        let due: i64 = truth[object]
            .iter()
            .map(|party| amount(party, "TOTALDUE"))
            .sum();
        assert_eq!(ledger, sign * due, "{account}");
    }
}

fn balances(truth: &Truth) {
    let periods: BTreeMap<String, &str> = truth["REPORTINGPERIOD"]
        .iter()
        .filter(|period| text(period, "BUDGETING") == "true")
        .map(|period| {
            (
                instant(text(period, "START_DATE"))[..7].to_owned(),
                text(period, "NAME"),
            )
        })
        .collect();
    let place: HashMap<&str, usize> = periods
        .values()
        .enumerate()
        .map(|(place, name)| (*name, place))
        .collect();
    type Dimensions<'t> = [&'t str; 4];
    let mut moved: BTreeMap<(Dimensions<'_>, usize), [i64; 2]> = BTreeMap::new();
    for line in &truth["GLDETAIL"] {
        let dimensions =
            ["BOOKID", "ACCOUNTNO", "DEPARTMENTID", "LOCATIONID"].map(|field| text(line, field));
        let period = periods[&instant(text(line, "ENTRY_DATE"))[..7]];
        let sums = moved.entry((dimensions, place[period])).or_default();
        sums[0] += amount(line, "DEBITAMOUNT");
        sums[1] += amount(line, "CREDITAMOUNT");
    }
    let mut rows: BTreeMap<(Dimensions<'_>, usize), &Fields> = BTreeMap::new();
    for row in &truth["GLACCOUNTBALANCE"] {
        let dimensions =
            ["BOOKID", "ACCOUNTNO", "DEPARTMENTID", "LOCATIONID"].map(|field| text(row, field));
        let key = (dimensions, place[text(row, "PERIOD")]);
        assert!(rows.insert(key, row).is_none(), "{key:?} twice");
        let [debit, credit] = moved.remove(&key).unwrap_or_default();
        assert_eq!(
            [amount(row, "TOTDEBIT"), amount(row, "TOTCREDIT")],
            [debit, credit],
            "{key:?}"
        );
        assert_eq!(
            amount(row, "ENDBAL"),
            amount(row, "OPENBAL") + debit - credit
        );
    }
    assert!(
        moved.is_empty(),
        "movements without a balance: {:?}",
        moved.first_key_value()
    );
    for (key, row) in &rows {
        let before = key
            .1
            .checked_sub(1)
            .and_then(|period| rows.get(&(key.0, period)));
        assert_eq!(
            amount(row, "OPENBAL"),
            before.map_or(0, |row| amount(row, "ENDBAL")),
            "{key:?}"
        );
    }
    let last = rows.keys().map(|key| key.1).max().unwrap();
    for (key, row) in &rows {
        let gone = amount(row, "ENDBAL") == 0 || key.1 == last;
        assert!(
            gone || rows.contains_key(&(key.0, key.1 + 1)),
            "{key:?} is not carried on"
        );
    }
}

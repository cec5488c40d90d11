//! What every store promises of progress, batches, records and the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sync_core::ledger::EntryKind;
use sync_core::store::{
    DeadLetter, LostBatch, Outcome, PreparedBatch, Removal, RemovalReason, RemovedPayload,
};
use sync_core::{
    Cursor, ErrorKind, Operation, Origin, OriginSpan, Rejection, RejectionClass, RunId,
};

use crate::given::*;

pub(crate) async fn a_window_stays_frozen_until_it_is_complete_and_the_watermark_never_goes_back(
    home: &impl Home,
) {
    let store = home.open().await;
    let claim = running(&store).await;
    let scope = &claim.scope;
    assert_eq!(store.checkpoint(scope).await.unwrap(), Default::default());

    store.open_window(&claim, window(5)).await.unwrap();
    let position = Cursor("10".into());
    store.advance(&claim, Some(&position), &[]).await.unwrap();
    // As another process finds it.
    let open = home.open().await.checkpoint(scope).await.unwrap();
    assert_eq!(open.watermark, None);
    let open = open.open.unwrap();
    assert_eq!(
        (open.window, open.cursor, open.next_ordinal),
        (window(5), Some(position), 0)
    );
    store.complete_window(&claim).await.unwrap();
    let complete = store.checkpoint(scope).await.unwrap();
    assert_eq!((complete.watermark, complete.open), (Some(after(5)), None));

    store.open_window(&claim, window(3)).await.unwrap();
    store.complete_window(&claim).await.unwrap();
    let watermark = store.checkpoint(scope).await.unwrap().watermark;
    assert_eq!(watermark, Some(after(5)));
    let error = store.complete_window(&claim).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

pub(crate) async fn a_batch_waits_until_it_is_settled_once(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let scope = &claim.scope;
    store.open_window(&claim, window(0)).await.unwrap();
    let records = [
        (key("1"), state("1", "a")),
        (key("2"), state("2", "a")),
        (key("3"), state("3", "a")),
    ];
    assert_eq!(
        store.changed(scope, &records).await.unwrap(),
        [true, true, true]
    );

    let mut batch = prepared(&claim, "first", 2, 7);
    batch.origins = vec![OriginSpan {
        rows: 2,
        origin: Some(Origin::new(3, "a7")),
    }];
    let entry = store.prepare(&claim, &batch, &[]).await.unwrap();
    let waiting = home.open().await.unsettled(scope).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((&waiting[0].batch, waiting[0].entry), (&batch, entry));
    assert_eq!(store.live_records(scope).await.unwrap(), 0);

    let settled = settlement(&batch, &[("1", "a"), ("2", "b")]);
    store.settle(&claim, settled.clone()).await.unwrap();
    assert_eq!(store.unsettled(scope).await.unwrap(), []);
    assert_eq!(store.live_records(scope).await.unwrap(), 2);
    assert_eq!(
        store.changed(scope, &records).await.unwrap(),
        [false, true, true]
    );
    let open = store.checkpoint(scope).await.unwrap().open.unwrap();
    assert_eq!(
        (open.cursor, open.next_ordinal),
        (Some(Cursor("after first".into())), 8)
    );

    let before = store.entries(0, 99).await.unwrap().len();
    let error = store.settle(&claim, settled).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let unknown = settlement(&prepared(&claim, "unknown", 1, 8), &[("9", "a")]);
    store.settle(&claim, unknown).await.unwrap_err();
    // What is refused leaves nothing behind.
    assert_eq!(store.entries(0, 99).await.unwrap().len(), before);
    assert_eq!(store.live_records(scope).await.unwrap(), 2);
}

fn letter(name: &str, reason: &str) -> DeadLetter {
    DeadLetter {
        key: Some(key(name)),
        column: Some("amount".into()),
        text: Some("1e5".into()),
        class: RejectionClass::Unreadable,
        reason: reason.into(),
        fields: vec![
            ("RECORDNO".into(), Some(name.into())),
            ("MEMO".into(), None),
        ],
    }
}

pub(crate) async fn refused_and_unreadable_records_are_kept_once(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let scope = &claim.scope;
    let mut keyless = letter("?", "no key");
    keyless.key = None;
    let unreadable = [letter("1", "not a number"), keyless.clone()];
    let batch = prepared(&claim, "first", 2, 0);
    store.prepare(&claim, &batch, &unreadable).await.unwrap();
    let mut settled = settlement(&batch, &[("2", "a"), ("3", "a")]);
    settled.receipt.rejected = vec![Rejection {
        row: 1,
        column: None,
        class: RejectionClass::Refused,
        reason: "too large".into(),
    }];
    settled.dead_letters = vec![letter("3", "too large")];
    store.settle(&claim, settled).await.unwrap();
    // The lookback reads it again.
    store.advance(&claim, None, &unreadable).await.unwrap();

    assert_eq!(store.live_records(scope).await.unwrap(), 1);
    let letters = store.dead_letters(scope, 99).await.unwrap();
    let expected = [
        letter("3", "too large"),
        keyless,
        letter("1", "not a number"),
    ];
    assert_eq!(letters, expected);
    assert_eq!(store.dead_letters(scope, 1).await.unwrap(), expected[..1]);
    let entries = store.entries(0, 99).await.unwrap();
    let rejections: Vec<_> = entries
        .iter()
        .filter(|entry| entry.kind == "records_rejected")
        .collect();
    assert_eq!(rejections.len(), 2);

    let refused = store.audit(scope, &key("3")).await.unwrap();
    assert_eq!(refused.last, None);
    let [rejected] = &refused.rejected[..] else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (rejected.batch, rejected.run, rejected.reason.as_str()),
        (Some(batch.id), claim.run, "too large")
    );
    let unread = store.audit(scope, &key("1")).await.unwrap();
    assert_eq!(unread.rejected[0].batch, None);
    // The batch's id, a hash over its records, and the refused rows are the outcome of each record.
    let settled = entries.iter().find(|it| it.kind == "batch_settled");
    assert!(settled.unwrap().body.contains(r#""refused":[1]"#));
}

pub(crate) async fn a_record_is_traced_to_its_page_request_batch_and_job(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let mut batch = prepared(&claim, "first", 3, 0);
    let span = |rows, page, request: &str| OriginSpan {
        rows,
        origin: Some(Origin::new(page, request)),
    };
    batch.origins = vec![
        span(1, 0, "control-0"),
        OriginSpan {
            rows: 1,
            origin: None,
        },
        span(1, 2, "control-2"),
    ];
    store.prepare(&claim, &batch, &[]).await.unwrap();
    let mut settled = settlement(&batch, &[("1", "a"), ("2", "a"), ("3", "a")]);
    settled.receipt.job = Some("job-17".into());
    store.settle(&claim, settled).await.unwrap();

    let trace = |name: &'static str| {
        let (store, scope) = (Arc::clone(&store), claim.scope.clone());
        async move { store.audit(&scope, &key(name)).await.unwrap().last.unwrap() }
    };
    let (first, second, third) = (trace("1").await, trace("2").await, trace("3").await);
    assert_eq!(first.origin, Some(Origin::new(0, "control-0")));
    assert_eq!(second.origin, None);
    assert_eq!(third.origin, Some(Origin::new(2, "control-2")));
    assert_eq!((third.outcome, third.row), (Outcome::Delivered, Some(2)));
    assert_eq!((third.record, third.batch), (state("3", "a"), batch.id));
    assert_eq!(
        (third.run, third.job.as_deref()),
        (claim.run, Some("job-17"))
    );
    assert_eq!(third.settled_at, sync_core::window::rfc3339(after(1)));
    // The ledger vouches for the same requests.
    let entries = store.entries(0, 99).await.unwrap();
    let told = entries.iter().find(|it| it.kind == "batch_prepared");
    assert!(told.unwrap().body.contains("control-2"));
    let unknown = store.audit(&claim.scope, &key("4")).await.unwrap();
    assert_eq!(unknown, Default::default());
    let elsewhere = store.audit(&scope("other"), &key("1")).await.unwrap();
    assert_eq!(elsewhere, Default::default());
}

pub(crate) async fn a_deleted_record_is_traced_to_its_end_and_may_come_back(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let scope = &claim.scope;
    let both = [("1", "a"), ("2", "a")];
    deliver(&store, &claim, "made", Operation::Upsert, &both).await;
    let gone = deliver(&store, &claim, "gone", Operation::Delete, &both[..1]).await;
    assert_eq!(store.live_records(scope).await.unwrap(), 1);
    let both_keys = [key("1"), key("2")];
    assert_eq!(
        store.live_keys(scope, &both_keys).await.unwrap(),
        [key("2")]
    );
    let last = store.audit(scope, &key("1")).await.unwrap().last.unwrap();
    assert_eq!((last.outcome, last.batch), (Outcome::Deleted, gone.id));

    deliver(&store, &claim, "again", Operation::Upsert, &[("1", "b")]).await;
    deliver(&store, &claim, "gone 2", Operation::Delete, &[("1", "b")]).await;
    let again = deliver(&store, &claim, "again 2", Operation::Upsert, &[("1", "c")]).await;
    let last = store.audit(scope, &key("1")).await.unwrap().last.unwrap();
    assert_eq!((last.outcome, last.batch), (Outcome::Delivered, again.id));
    assert_eq!(store.live_records(scope).await.unwrap(), 2);
}

pub(crate) async fn live_records_are_counted_by_period_and_found_by_owner(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let scope = &claim.scope;
    let nothing = store.live_by_period(scope).await.unwrap();
    assert_eq!(nothing, Some(BTreeMap::new()));
    let batch = prepared(&claim, "first", 4, 0);
    store.prepare(&claim, &batch, &[]).await.unwrap();
    let mut settled = settlement(&batch, &[("1", "a"), ("2", "a"), ("3", "a"), ("4", "a")]);
    let places = [
        ("x", "2026-01-31"),
        ("x", ""),
        ("y", ""),
        ("z", "2026-01-31"),
    ];
    for (record, (owner, period)) in settled.records.iter_mut().zip(places) {
        record.owner = Some(owner.into());
        record.period = Some(period.into());
    }
    store.settle(&claim, settled).await.unwrap();
    let by_period = store.live_by_period(scope).await.unwrap().unwrap();
    let expected = BTreeMap::from([(String::new(), 2), ("2026-01-31".into(), 2)]);
    assert_eq!(by_period, expected);
    let owners = ["y".to_owned(), "nobody".into(), "x".into()];
    assert_eq!(
        store.keys_of_owners(scope, &owners).await.unwrap(),
        [key("3"), key("1"), key("2")]
    );
    // One of which it is not known makes all unknown.
    deliver(&store, &claim, "second", Operation::Upsert, &[("5", "a")]).await;
    assert_eq!(store.live_by_period(scope).await.unwrap(), None);
}

pub(crate) async fn a_census_finds_what_is_missing_of_its_own_stream(home: &impl Home) {
    let store = home.open().await;
    let (claim, other) = (running(&store).await, running_on(&store, "other").await);
    let names = ["10", "2", "B", "a", "Ä"].map(|name| (name, "a"));
    deliver(&store, &claim, "first", Operation::Upsert, &names).await;
    store.begin_census(&claim, None).await.unwrap();
    store.begin_census(&other, None).await.unwrap();
    store.count_keys(&claim, &[key("2")]).await.unwrap();
    store
        .count_keys(&claim, &[key("2"), key("7")])
        .await
        .unwrap();
    store
        .count_keys(&other, &[key("a"), key("B")])
        .await
        .unwrap();
    // In the order of their bytes, in pieces.
    let missing = |last: Option<&str>, limit| {
        let last = last.map(key);
        let (store, scope) = (Arc::clone(&store), claim.scope.clone());
        async move {
            store
                .missing_keys(&scope, last.as_ref(), limit)
                .await
                .unwrap()
        }
    };
    assert_eq!(missing(None, 2).await, [key("10"), key("B")]);
    assert_eq!(missing(Some("B"), 2).await, [key("a"), key("Ä")]);
    assert_eq!(missing(Some("Ä"), 2).await, []);

    // Of some periods alone.
    let batch = prepared(&claim, "second", 2, 1);
    store.prepare(&claim, &batch, &[]).await.unwrap();
    let mut settled = settlement(&batch, &[("p", "a"), ("q", "a")]);
    settled.records[0].period = Some("2026-01-31".into());
    settled.records[1].period = Some(String::new());
    store.settle(&claim, settled).await.unwrap();
    let periods = ["2026-01-31".to_owned()];
    store.begin_census(&claim, Some(&periods)).await.unwrap();
    assert_eq!(missing(None, 9).await, [key("p")]);
    store.count_keys(&claim, &[key("p")]).await.unwrap();
    assert_eq!(missing(None, 9).await, []);
}

pub(crate) async fn payloads_are_forgotten_once_they_are_settled_and_old(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    let old = deliver(&store, &claim, "old", Operation::Upsert, &[("1", "a")]).await;
    let waiting = prepared(&claim, "waiting", 1, 1);
    store.prepare(&claim, &waiting, &[]).await.unwrap();
    let payloads = store.payloads().await.unwrap();
    let told: Vec<_> = payloads
        .iter()
        .map(|it| {
            (
                it.scope.clone(),
                it.batch,
                it.spooled.clone(),
                it.settled_at,
            )
        })
        .collect();
    let of = |batch: &PreparedBatch, settled_at| {
        let scope = claim.scope.clone();
        (scope, batch.id, batch.spooled.clone(), settled_at)
    };
    assert_eq!(told, [of(&waiting, None), of(&old, Some(after(1)))]);

    let removed = |batch: &PreparedBatch| RemovedPayload {
        name: batch.spooled.name.clone(),
        bytes: batch.spooled.bytes,
        of: vec![(batch.scope.clone(), batch.id)],
    };
    let removal = Removal {
        reason: RemovalReason::Age,
        payloads: vec![removed(&old), removed(&waiting)],
    };
    store.forget_payloads(claim.run, &removal).await.unwrap();
    // What is not settled may be needed again.
    assert_eq!(store.payloads().await.unwrap(), payloads[..1]);
    assert_eq!(store.unsettled(&claim.scope).await.unwrap().len(), 1);
    let entries = store.entries(0, 99).await.unwrap();
    let entry = entries.last().unwrap();
    assert_eq!(entry.kind, EntryKind::PayloadsRemoved.as_str());
    assert_eq!(
        entry.body,
        r#"{"bytes":9422,"payloads":["entry/old.arrow","entry/waiting.arrow"],"reason":"age"}"#
    );
}

pub(crate) async fn a_batch_whose_payload_is_lost_is_given_up_and_its_window_read_again(
    home: &impl Home,
) {
    let store = home.open().await;
    let claim = running(&store).await;
    let scope = &claim.scope;
    store.open_window(&claim, window(5)).await.unwrap();
    deliver(&store, &claim, "done", Operation::Upsert, &[("1", "a")]).await;
    let (lost, behind) = (
        prepared(&claim, "lost", 1, 1),
        prepared(&claim, "behind", 1, 2),
    );
    store.prepare(&claim, &lost, &[]).await.unwrap();
    store.prepare(&claim, &behind, &[]).await.unwrap();
    let given_up = LostBatch {
        batch: lost.clone(),
        reason: "it is damaged".into(),
        landed: Some(false),
    };
    store.give_up(&claim, &given_up).await.unwrap();
    let waiting = store.unsettled(scope).await.unwrap();
    let waiting: Vec<_> = waiting
        .iter()
        .map(|it| (it.batch.id, it.batch.cursor.clone()))
        .collect();
    assert_eq!(waiting, [(behind.id, None)]);
    let mut settled = settlement(&behind, &[("3", "a")]);
    settled.batch.cursor = None;
    store.settle(&claim, settled).await.unwrap();
    let open = store.checkpoint(scope).await.unwrap().open.unwrap();
    assert_eq!((open.cursor, open.next_ordinal), (None, 3));
    let entries = store.entries(0, 99).await.unwrap();
    let told = entries.iter().find(|it| it.kind == "batch_given_up");
    let told = &told.unwrap().body;
    assert!(told.contains("it is damaged") && told.contains(&lost.id.to_string()));

    // Read again it is the same batch, with a payload of its own.
    store.prepare(&claim, &lost, &[]).await.unwrap();
    let settled = settlement(&lost, &[("2", "a")]);
    store.settle(&claim, settled).await.unwrap();
    let error = store.give_up(&claim, &given_up).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // Where the window is closed nothing would be read again, so it is refused, whole.
    store.complete_window(&claim).await.unwrap();
    let late = prepared(&claim, "late", 1, 0);
    store.prepare(&claim, &late, &[]).await.unwrap();
    let given_up = LostBatch {
        batch: late.clone(),
        ..given_up
    };
    let error = store.give_up(&claim, &given_up).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let waiting = store.unsettled(scope).await.unwrap();
    assert_eq!(waiting[0].batch, late);
}

pub(crate) async fn a_configuration_is_told_when_it_changes(home: &impl Home) {
    let store = home.open().await;
    for (minute, settings) in [r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":2}"#]
        .iter()
        .enumerate()
    {
        home.clock().set(after(minute as i64));
        let start = run_start(RunId::generate(), settings);
        store.begin_run(&start).await.unwrap();
        store.end_run(start.run, "{}").await.unwrap();
    }
    let kinds: Vec<_> = store.entries(0, 99).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "configured",
            "run_begun",
            "run_ended",
            "run_begun",
            "run_ended",
            "configured",
            "run_begun",
            "run_ended"
        ]
    );
}

pub(crate) async fn handles_that_write_at_once_make_one_chain(home: &impl Home) {
    let mut writers = Vec::new();
    for stream in ["one", "two", "three"] {
        let store = home.open().await;
        let claim = running_on(&store, stream).await;
        writers.push(tokio::spawn(async move {
            for number in 0..20 {
                let body = format!("{{\"number\":{number}}}");
                store
                    .note(&claim, EntryKind::SchemaChanged, &body)
                    .await
                    .unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let store = home.open().await;
    let verdict = store.verify(&[]).await.unwrap();
    // The settings are the same, so the first run alone tells of them.
    assert!(
        verdict.to_string().starts_with("intact, 64 entries"),
        "{verdict}"
    );
}

/// By nothing but SHA-256 and what the documentation of `sync_core::ledger` says.
pub(crate) async fn the_hash_rule_is_as_documented(home: &impl Home) {
    let store = home.open().await;
    let claim = running(&store).await;
    store.open_window(&claim, window(1)).await.unwrap();
    deliver(&store, &claim, "first", Operation::Upsert, &[("Ä", "a")]).await;
    let part = |data: &[u8]| [&(data.len() as u64).to_le_bytes(), data].concat();
    let domain = part(b"intacct-sync/ledger/1");
    let mut hash: [u8; 32] = Sha256::digest(&domain).into();
    let entries = store.entries(0, 99).await.unwrap();
    assert_eq!(entries.len(), 5);
    for entry in entries {
        let run = entry.run.map(|run| run.to_string()).unwrap_or_default();
        let mut told = [domain.clone(), part(&hash)].concat();
        told.extend(part(&entry.sequence.to_le_bytes()));
        for text in [&entry.at, &run, &entry.kind, &entry.body] {
            told.extend(part(text.as_bytes()));
        }
        hash = Sha256::digest(&told).into();
        assert_eq!(&hash, entry.hash.as_bytes(), "{entry:?}");
    }
}

//! Each kind of mapping, from the source's pages to the warehouse's rows and back in totals and deletes.

use sync_core::pipeline::TieOut;
use sync_core::store::{LedgerStore as _, LetterStore as _};

use crate::things::{World, tells};

const MAPPING: &str = r#"
[streams.thing.columns]
recordno = { rename = "id" }
whenmodified = { rename = "changed_at" }
name = { rename = "name_hash", treat = { hash = "people" } }
card = { treat = { mask = { keep_last = 4 } } }
due = { rename = "amount" }
tax = { treat = "drop" }
posted = { treat = { cast = "date" } }
rank = { treat = { cast = "integer" } }
[streams.thing.add]
origin = { text = "books" }
rate = { decimal = "0.25" }
"#;

fn fill(world: &World) {
    world
        .things
        .columns("name:text card:text due:decimal(9) tax:decimal(9) posted:text rank:text");
    world.things.totals(&["due", "tax"], &["name"]);
    for (key, name, due) in [(1, "Ann", "10.50"), (2, "Bob", "-3.25"), (3, "Ann", "0.75")] {
        let cells = [
            ("name", name),
            ("card", "4111111111111111"),
            ("due", due),
            ("tax", "1"),
            ("posted", "01/31/2026"),
            ("rank", "7"),
        ];
        world.things.set(key, &cells);
    }
    world.things.set(4, &[]);
}

/// `printf %s Ann | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`.
const ANN: &str = "61bfb7a5d2485cfedfd183a7bb5c7ae2985b593a098c6119ffc25bf0800766b6";
/// The same of `Bob`.
const BOB: &str = "be90b97fc10555874c5fdfdaea069ace0a1b33f470db33f8be8d36c3dfdcd915";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_mapping_arrives_and_ties_out_and_deletes_follow() {
    World::each(|world| async move {
        fill(&world);
        let report = world.complete(MAPPING).await;
        let columns = "id, name_hash, card, amount, posted, rank, origin, rate";
        let mut rows = world.rows(columns).await;
        // Decimals have as many places as the warehouse writes.
        for row in &mut rows {
            *row = row
                .replace("000000000|", "|")
                .replace("0000000|", "|")
                .replace("250000000", "25");
        }
        assert_eq!(
            rows,
            [
                format!("1|{ANN}|************1111|10.50|2026-01-31|7|books|0.25"),
                format!("2|{BOB}|************1111|-3.25|2026-01-31|7|books|0.25"),
                format!("3|{ANN}|************1111|0.75|2026-01-31|7|books|0.25"),
                "4|-|-|-|-|-|books|0.25".to_owned(),
            ]
        );
        let mut columns = world.columns().await;
        columns.sort();
        let expected = "amount card changed_at id name_hash origin posted rank rate";
        assert_eq!(columns.join(" "), expected);
        assert!(
            matches!(
                report.tie_out,
                TieOut::Equal {
                    records: 4,
                    groups: 3,
                    sums: 1,
                    ..
                }
            ),
            "{report:?}"
        );
        assert!(tells(&report, &["the sum of tax"]), "{:?}", report.findings);

        // A delete is found by the source's keys, and marks the row of the destination's.
        world.things.delete(2);
        let report = world.complete(MAPPING).await;
        assert_eq!(report.deleted, 1);
        assert!(report.tie_out.is_equal(), "{report:?}");
        let gone = world
            .warehouse
            .query("SELECT id FROM thing WHERE _deleted")
            .await
            .unwrap();
        assert_eq!(gone.rows, [[Some("2".to_owned())]]);
        // What was read again is recognised behind the mapping.
        assert_eq!((report.written, report.unchanged), (0, 3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_does_not_fit_is_kept_without_what_nobody_is_to_see() {
    World::each(|world| async move {
        fill(&world);
        world.things.set(
            2,
            &[
                ("name", "Bob"),
                ("card", "4000123412341234"),
                ("due", "5"),
                ("tax", "9"),
                ("rank", "007"),
            ],
        );
        let report = world.complete(MAPPING).await;
        assert_eq!((report.written, report.rejected), (3, 1));
        // The group that differs is one of hashes, and the source is asked for it all the same.
        assert!(
            !report.tie_out.is_equal() && report.tie_out.is_explained(),
            "{report:?}"
        );
        assert_eq!(world.rows("id").await, ["1", "3", "4"]);
        let letters = world
            .store()
            .dead_letters(&world.scope(), 10)
            .await
            .unwrap();
        let [letter] = &letters[..] else {
            panic!("one letter: {letters:?}")
        };
        assert_eq!(letter.key.as_ref().unwrap().as_str(), "2");
        assert_eq!(
            (letter.column.as_deref(), letter.text.as_deref()),
            (Some("rank"), Some("007"))
        );
        assert!(letter.reason.contains("leading zeros"), "{}", letter.reason);
        let field = |name: &str| letter.fields.iter().find(|(it, _)| it == name).cloned();
        assert_eq!(field("name"), Some(("name".into(), Some(BOB.into()))));
        assert_eq!(
            field("card"),
            Some(("card".into(), Some("************1234".into())))
        );
        assert_eq!(field("tax"), None);
        assert_eq!(field("due"), Some(("due".into(), Some("5.00".into()))));

        // Mended at the source, it arrives.
        fill(&world);
        let report = world.complete(MAPPING).await;
        assert!(report.tie_out.is_equal(), "{report:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_mapping_is_told_and_what_was_delivered_follows_it() {
    World::each(|world| async move {
        fill(&world);
        world.complete("").await;
        assert_eq!(
            world.rows("recordno, name").await,
            ["1|Ann", "2|Bob", "3|Ann", "4|-"]
        );
        // So long that no lookback would read the records again.
        world.things.pass(1_000_000);
        world.complete("").await;
        let read = world.things.read_so_far();

        let hashed = "[streams.thing.columns]\nname = { treat = { hash = \"people\" } }";
        let planned = world.pipeline(hashed).plan().await.unwrap();
        assert!(
            planned[0].reread && planned[0].sinks[0].changes.is_empty(),
            "{planned:?}"
        );
        let report = world.complete(hashed).await;
        assert_eq!(world.things.read_so_far() - read, 4);
        let expected = [
            format!("1|{ANN}"),
            format!("2|{BOB}"),
            format!("3|{ANN}"),
            "4|-".into(),
        ];
        assert_eq!(world.rows("recordno, name").await, expected);
        assert!(report.tie_out.is_equal(), "{report:?}");
        assert!(
            tells(&report, &["mapping", "whole"]),
            "{:?}",
            report.findings
        );
        assert_eq!(world.ledger("configured").await.len(), 2);
        assert_eq!(world.ledger("reread_begun").await.len(), 1);
        let told = world.ledger("schema_changed").await;
        assert!(
            told.iter()
                .any(|it| it["differences"][0]["difference"] == "mapping_changed")
        );
        let ledger = world.store().entries(0, 10_000).await.unwrap();
        assert!(
            ledger
                .iter()
                .all(|entry| !entry.body.contains(crate::things::KEY))
        );

        // Once.
        world.things.pass(1_000_000);
        world.complete(hashed).await;
        assert_eq!(world.things.read_so_far() - read, 4);
        assert!(world.pipeline(hashed).plan().await.unwrap()[0].is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_key_of_rows_that_are_there_is_refused() {
    let world = World::sqlite();
    fill(&world);
    world.complete("").await;
    let report = world
        .run("[streams.thing.columns]\nrecordno = { rename = \"id\" }")
        .await;
    let error = report.streams[0].error.as_ref().unwrap();
    assert!(
        error.contains("key") && error.contains("recordno") && error.contains("id"),
        "{error}"
    );
    world.complete("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_that_cannot_be_carried_out_stops_the_run_before_it_begins() {
    let world = World::sqlite();
    fill(&world);
    let wrong =
        "[streams.thing.columns]\nnowhere = { treat = \"drop\" }\nrecordno = { treat = \"drop\" }";
    for outcome in [
        world.pipeline(wrong).run().await.err(),
        world.pipeline(wrong).plan().await.err(),
    ] {
        let error = outcome.unwrap().to_string();
        assert!(
            error.contains("thing.nowhere") && error.contains("thing.recordno"),
            "{error}"
        );
    }
    assert_eq!(world.store().entries(0, 10).await.unwrap(), []);
}

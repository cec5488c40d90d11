//! Ledgers that somebody has changed.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sync_core::Operation;
use sync_core::ledger::{Damage, Entry, Verification};
use sync_core::store::Store;

use crate::given::*;

/// A ledger of eight entries.
async fn written(home: &impl Home) -> (Arc<dyn Store>, Vec<Entry>) {
    let store = home.open().await;
    let claim = running(&store).await;
    store.open_window(&claim, window(1)).await.unwrap();
    deliver(&store, &claim, "first", Operation::Upsert, &[("1", "a")]).await;
    deliver(&store, &claim, "second", Operation::Upsert, &[("2", "a")]).await;
    store.complete_window(&claim).await.unwrap();
    let entries = store.entries(0, 99).await.unwrap();
    assert_eq!(entries.len(), 8);
    (store, entries)
}

/// Puts the ledger back as it was.
fn mend(home: &impl Home) {
    home.tamper("DELETE FROM ledger; INSERT INTO ledger SELECT * FROM kept");
}

pub(crate) async fn every_kind_of_damage_is_found_and_named(home: &impl Home) {
    let (store, _) = written(home).await;
    home.tamper("CREATE TABLE kept AS SELECT * FROM ledger");
    let swap = |column: &str, one: u64, two: u64| {
        format!(
            "CREATE TABLE swapped AS SELECT sequence, {column} AS it FROM ledger;
             UPDATE ledger SET {column} = (SELECT it FROM swapped WHERE sequence = {two})
             WHERE sequence = {one};
             UPDATE ledger SET {column} = (SELECT it FROM swapped WHERE sequence = {one})
             WHERE sequence = {two};
             DROP TABLE swapped"
        )
    };
    let exchanged = "UPDATE ledger SET sequence = -1 WHERE sequence = 4;
         UPDATE ledger SET sequence = 4 WHERE sequence = 5;
         UPDATE ledger SET sequence = 5 WHERE sequence = -1";
    let closed_up = "DELETE FROM ledger WHERE sequence = 4;
         UPDATE ledger SET sequence = -sequence WHERE sequence > 4;
         UPDATE ledger SET sequence = -sequence - 1 WHERE sequence < 0";
    let pushed_in = "UPDATE ledger SET sequence = -sequence WHERE sequence > 3;
         UPDATE ledger SET sequence = 1 - sequence WHERE sequence < 0;
         INSERT INTO ledger SELECT 4, at, run, kind, body, hash FROM kept WHERE sequence = 3";
    let kinds = swap("kind", 4, 5);
    let bodies = swap("body", 4, 5);
    for (statements, sequence, kind, damage, reason) in [
        (
            "UPDATE ledger SET body = replace(body, 'DEMO', 'DEM0') WHERE sequence = 4",
            4,
            Some("batch_prepared"),
            Damage::Changed,
            "body",
        ),
        (
            "UPDATE ledger SET at = '2020-01-01T00:00:00.000000Z' WHERE sequence = 3",
            3,
            Some("window_opened"),
            Damage::Changed,
            "time",
        ),
        (
            "UPDATE ledger SET at = 'never' WHERE sequence = 3",
            3,
            Some("window_opened"),
            Damage::Changed,
            "its time was changed",
        ),
        (
            "UPDATE ledger SET run = upper(run) WHERE sequence = 5",
            5,
            Some("batch_settled"),
            Damage::Changed,
            "its run was changed",
        ),
        (
            "UPDATE ledger SET run = NULL WHERE sequence = 5",
            5,
            Some("batch_settled"),
            Damage::Changed,
            "run",
        ),
        (
            "UPDATE ledger SET kind = 'run_ended' WHERE sequence = 8",
            8,
            Some("run_ended"),
            Damage::Changed,
            "it was window_completed",
        ),
        (
            "UPDATE ledger SET hash = (SELECT hash FROM kept WHERE sequence = 1) WHERE sequence = 5",
            5,
            Some("batch_settled"),
            Damage::HashChanged,
            "its hash was changed",
        ),
        (
            "DELETE FROM ledger WHERE sequence = 1",
            1,
            None,
            Damage::Removed,
            "is missing",
        ),
        (
            "DELETE FROM ledger WHERE sequence IN (3, 4)",
            3,
            None,
            Damage::Removed,
            "the entries 3 to 4 are missing",
        ),
        (
            closed_up,
            4,
            Some("batch_settled"),
            Damage::Removed,
            "those behind it renumbered",
        ),
        (
            pushed_in,
            4,
            Some("window_opened"),
            Damage::Inserted,
            "before the entry",
        ),
        (
            "INSERT INTO ledger SELECT 9, at, run, kind, body, hash FROM kept WHERE sequence = 8",
            9,
            Some("window_completed"),
            Damage::Changed,
            "does not follow",
        ),
        (
            "INSERT INTO ledger SELECT 0, at, run, kind, body, hash FROM kept WHERE sequence = 8",
            1,
            Some("window_completed"),
            Damage::Inserted,
            "the number 0",
        ),
        (
            exchanged,
            4,
            Some("batch_settled"),
            Damage::Moved,
            "were exchanged",
        ),
        (
            "UPDATE ledger SET sequence = 70 WHERE sequence = 8",
            8,
            Some("window_completed"),
            Damage::Moved,
            "the number 70",
        ),
        (
            &kinds,
            4,
            Some("batch_settled"),
            Damage::Changed,
            "it was batch_prepared",
        ),
        (
            &bodies,
            4,
            Some("batch_prepared"),
            Damage::Rewritten,
            "neither is the one behind it",
        ),
        (
            "UPDATE ledger SET body = '{}', hash = (SELECT hash FROM kept WHERE sequence = 1)
          WHERE sequence = 6",
            6,
            Some("batch_prepared"),
            Damage::Rewritten,
            "neither is the one behind it",
        ),
    ] {
        home.tamper(statements);
        let verdict = store.verify(&[]).await.unwrap();
        let Verification::Broken {
            sequence: found,
            kind: of,
            damage: what,
            reason: why,
            ..
        } = &verdict
        else {
            panic!("{statements}: {verdict}")
        };
        assert_eq!(
            (*found, of.as_deref(), *what),
            (sequence, kind, damage),
            "{statements}: {verdict}"
        );
        assert!(why.contains(reason), "{statements}: {verdict}");
        mend(home);
        assert!(store.verify(&[]).await.unwrap().is_intact());
    }
}

pub(crate) async fn an_end_that_was_cut_off_is_found_by_what_the_destination_knows(
    home: &impl Home,
) {
    let (store, entries) = written(home).await;
    // As its marker rows have it.
    let known: Vec<_> = entries
        .iter()
        .filter(|entry| entry.kind == "batch_prepared")
        .map(|entry| entry.hash)
        .collect();
    assert_eq!(known.len(), 2);
    assert!(store.verify(&known).await.unwrap().is_intact());
    home.tamper("DELETE FROM ledger WHERE sequence > 5");
    assert!(store.verify(&[]).await.unwrap().is_intact());
    let verdict = store.verify(&known).await.unwrap();
    let Verification::Broken {
        sequence, damage, ..
    } = &verdict
    else {
        panic!("{verdict}")
    };
    assert_eq!((*sequence, *damage), (6, Damage::CutOff));
    assert!(verdict.to_string().contains(&known[1].to_string()));
}

/// The columns, and how a byte of one is changed: its place, and what it is xored with.
#[derive(Clone, Copy, Debug)]
struct Change {
    row: usize,
    column: usize,
    place: usize,
    mask: u8,
}

pub(crate) async fn a_byte_changed_anywhere_is_found(home: &impl Home) {
    let (store, entries) = written(home).await;
    home.tamper("CREATE TABLE kept AS SELECT * FROM ledger");
    let change = (
        0..entries.len(),
        0usize..6,
        any::<prop::sample::Index>(),
        1u8..=255,
    );
    let change = change.prop_map(|(row, column, place, mask)| Change {
        row,
        column,
        place: place.index(usize::MAX),
        mask,
    });
    let config = ProptestConfig {
        cases: home.cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&change, |change| {
            let Some(statement) = changed(home, &entries[change.row], change) else {
                return Ok(());
            };
            home.tamper(&statement);
            let verdict = tokio::task::block_in_place(|| {
                let runtime = tokio::runtime::Handle::current();
                runtime.block_on(store.verify(&[])).unwrap()
            });
            prop_assert!(!verdict.is_intact(), "{}: {}", statement, verdict);
            mend(home);
            Ok(())
        })
        .unwrap();
}

/// The statement that changes a byte; none where the database does not let anybody.
fn changed(home: &impl Home, entry: &Entry, change: Change) -> Option<String> {
    let Change { place, mask, .. } = change;
    let xored = |bytes: &[u8], is_text| {
        let mut bytes = bytes.to_vec();
        let place = place % bytes.len();
        bytes[place] ^= mask;
        home.bytes(&bytes, is_text)
    };
    let (column, value) = match change.column {
        0 => {
            // A number that another entry has is refused.
            let sequence = entry.sequence ^ (u64::from(mask) << (8 * (place % 7)));
            let is_free = !(1..=8).contains(&sequence);
            ("sequence", is_free.then(|| sequence.to_string()))
        }
        1 => ("at", xored(entry.at.as_bytes(), true)),
        2 => ("run", xored(entry.run?.to_string().as_bytes(), true)),
        3 => ("kind", xored(entry.kind.as_bytes(), true)),
        4 => ("body", xored(entry.body.as_bytes(), true)),
        _ => ("hash", xored(entry.hash.as_bytes(), false)),
    };
    let (sequence, value) = (entry.sequence, value?);
    Some(format!(
        "UPDATE ledger SET {column} = {value} WHERE sequence = {sequence}"
    ))
}

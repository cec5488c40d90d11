//! What a tie-out says of records that were there, or changed, without a run that could know of it; and a
//! store that keeps nothing.

use std::sync::Arc;

use futures_util::FutureExt as _;
use sync_core::DeleteDetection;
use sync_core::pipeline::TieOut;
use sync_core::tie_out::Reason;

use crate::world::*;

/// The reasons of all differences, each with the keys that are named for it.
fn told(tie_out: &TieOut) -> Vec<(Reason, Vec<String>)> {
    let differences = tie_out.differences();
    assert!(
        differences.iter().all(|it| it.accounted_for),
        "{differences:?}"
    );
    let explanations = differences.iter().flat_map(|it| &it.explanations);
    let told = explanations.map(|it| {
        let keys = it.keys.iter().map(ToString::to_string);
        (it.reason, keys.collect())
    });
    let mut told: Vec<_> = told.collect();
    told.dedup();
    told
}

fn five_hours_of_books() -> World {
    let world = World::new(4, DeleteDetection::KeySet);
    for key in 1..=3 {
        world.books.set(key, 100);
    }
    world.books.pass(5 * 3600);
    world.run_whole();
    world.assert_equal();
    world.books.pass(3600);
    world
}

#[test]
fn a_record_that_becomes_visible_behind_the_reader_is_late_and_comes_with_the_next_run() {
    let world = five_hours_of_books();
    world.books.set(4, 400);
    let modified = *world.books.now.lock().unwrap() - 600;
    world.books.pass(600);
    let books = Arc::clone(&world.books);
    *world.books.meanwhile.lock().unwrap() = Some(Meanwhile(Box::new(move |_| {
        let late = Entry {
            modified,
            cents: 900,
        };
        books.entries.lock().unwrap().insert(9, late);
        std::future::ready(()).boxed()
    })));
    let report = world.run_whole();
    *world.books.meanwhile.lock().unwrap() = None;
    let tie_out = &report.streams[0].tie_out;
    assert_eq!(told(tie_out), [(Reason::Late, vec!["9".to_owned()])]);
    assert!(tie_out.is_explained() && !report.ties_out(), "{tie_out:?}");
    world.books.pass(3600);
    assert!(world.run_whole().ties_out());
    world.assert_equal();
}

#[test]
fn what_changes_under_an_old_time_is_not_noticed_and_a_person_is_told() {
    let world = five_hours_of_books();
    let old = |cents| Entry {
        modified: START - 1_000_000,
        cents,
    };
    // One that nobody ever saw, and one that was delivered with another amount.
    let mut entries = world.books.entries.lock().unwrap();
    entries.extend([(9, old(900)), (2, old(250))]);
    drop(entries);
    for _ in 0..2 {
        let report = world.run_whole();
        let tie_out = &report.streams[0].tie_out;
        let keys = vec!["2".to_owned(), "9".to_owned()];
        assert_eq!(told(tie_out), [(Reason::NotNoticed, keys)]);
        assert!(!tie_out.is_explained(), "{tie_out:?}");
        world.books.pass(3600);
    }
    // Touched at the source, they come.
    world.books.set(9, 900);
    world.books.set(2, 250);
    world.books.pass(3600);
    assert!(world.run_whole().ties_out());
    world.assert_equal();
}

#[test]
fn rejected_records_are_counted_page_by_page_so_that_keys_need_not_be_listed() {
    let world = World::new(500, DeleteDetection::KeySet);
    for key in 0..1_100 {
        world.books.set(key, 1);
    }
    world.books.unreadable.lock().unwrap().extend(4..1_100);
    world.books.pass(3600);
    let listings = || world.books.given.lock().unwrap().1;
    let report = world.run_whole();
    assert_eq!((report.streams[0].written, report.rejected()), (4, 1_096));
    let before = listings();
    world.books.pass(3600);
    assert_eq!(world.run_whole().streams[0].deleted, 0);
    // The tie-out looks at what differs; nobody listed keys for deletes.
    let without = listings() - before;
    world.books.delete_telling(2, Told::Not);
    world.books.delete_telling(700, Told::Not);
    world.books.pass(3600);
    let before = listings();
    assert_eq!(world.run_whole().streams[0].deleted, 1);
    assert!(listings() - before > without);
}

#[test]
fn a_store_that_never_completes_a_window_is_told_and_not_read_for_for_ever() {
    let world = World::new(4, DeleteDetection::KeySet);
    world.books.set(1, 100);
    world.books.pass(3600);
    drop(open_store(world.folder.path()));
    let state = rusqlite::Connection::open(world.folder.path().join("state.db")).unwrap();
    let forgetful = "CREATE TRIGGER forgetful BEFORE UPDATE OF watermark ON scopes
                     BEGIN SELECT RAISE(IGNORE); END";
    state.execute_batch(forgetful).unwrap();
    let error = world.run(10_000).expect("it comes to an end").unwrap_err();
    assert!(
        error
            .chain()
            .contains("did not keep that a window is complete"),
        "{}",
        error.chain()
    );
    // What was written is there, and recognised once the store keeps what it is told.
    state.execute_batch("DROP TRIGGER forgetful").unwrap();
    let report = world.run_whole();
    assert_eq!(
        (report.streams[0].error.clone(), report.streams[0].written),
        (None, 0)
    );
    world.assert_equal();
}

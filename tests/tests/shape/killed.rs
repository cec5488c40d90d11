//! A run that is killed while a contract changes: wherever that is, the next one ends the same.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::things::World;

const MAPPING: &str =
    "[streams.thing.columns]\nname = { rename = \"name_hash\", treat = { hash = \"people\" } }";

/// Polls a future so often, then gives it up.
async fn limited<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Runs in a runtime of its own, which is torn down with everything in it after `polls` polls, as a
/// killed process is.
fn run(world: &World, shaping: &str, polls: usize) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let pipeline = world.pipeline(shaping);
    let outcome = runtime.block_on(limited(polls, pipeline.run()));
    drop(pipeline);
    match outcome {
        None => false,
        Some(report) => {
            let report = report.unwrap();
            assert_eq!(report.streams[0].error, None);
            assert!(report.ties_out(), "{report:?}");
            true
        }
    }
}

fn changed(world: &World) {
    world.things.columns("name:text due:decimal(2)");
    world.things.totals(&["due"], &[]);
    for key in 1..=9 {
        world.things.set(key, &[("name", "Ann"), ("due", "1.50")]);
    }
    world.things.pass(3600);
    assert!(run(world, "", usize::MAX));
    world.things.pass(1_000_000);
    world
        .things
        .columns("name:text due:decimal(9) rank:integer note:date");
    for key in 5..=12 {
        world
            .things
            .set(key, &[("name", "Bob"), ("due", "2.125"), ("rank", "7")]);
    }
    world.things.delete(1);
    world.things.pass(3600);
}

fn rows(world: &World, columns: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(world.rows(columns))
}

/// What a run that nobody kills makes of it.
fn unbroken(columns: &str) -> Vec<String> {
    let world = World::sqlite();
    changed(&world);
    assert!(run(&world, MAPPING, usize::MAX));
    rows(&world, columns)
}

#[test]
fn killed_anywhere_while_a_contract_changes_it_ends_the_same() {
    let columns = "recordno, name, name_hash, due, rank, note, _record_id, _deleted";
    let expected = unbroken(columns);
    assert_eq!(expected.len(), 12);
    let mut polls = 0;
    loop {
        let world = World::sqlite();
        changed(&world);
        let whole = run(&world, MAPPING, polls);
        // Killed again on the way of the next one.
        if whole || run(&world, MAPPING, polls / 2 + 3) || run(&world, MAPPING, usize::MAX) {
            let there = rows(&world, columns);
            assert_eq!(there, expected, "killed at poll {polls}");
        }
        if whole {
            break;
        }
        polls += 1 + polls / 12;
    }
    // How often it is polled depends on how many wake-ups come together.
    assert!(
        polls > 10,
        "the run was killed {polls} polls after its beginning at most"
    );
}

#[test]
fn a_source_that_changes_between_a_killed_run_and_the_next_keeps_nothing_from_arriving() {
    let columns = "recordno, name_hash, due, note, _deleted";
    let expected = unbroken(columns);
    let mut polls = 2;
    while polls < 200 {
        let world = World::sqlite();
        changed(&world);
        run(&world, MAPPING, polls);
        for (rank, polls) in [
            ("text", polls + 3),
            ("decimal", polls + 7),
            ("text", usize::MAX),
        ] {
            let changed = format!("name:text due:decimal(9) rank:{rank} note:date");
            world.things.columns(&changed);
            run(&world, MAPPING, polls);
        }
        assert_eq!(rows(&world, columns), expected, "killed at poll {polls}");
        polls += 1 + polls / 5;
    }
}

//! What is kept beside the data.

use sync_core::id::Hasher;
use sync_core::{Digest, RunId, RunMark, Sink as _};

use crate::world::{BEGINNING, World, batch, vendor};

fn digest(of: &str) -> Digest {
    Hasher::new("test").part(of.as_bytes()).digest()
}

#[tokio::test]
async fn a_run_is_kept_once_with_the_ledgers_entries() {
    let nothing = World::new().await;
    let run = RunId::generate();
    let mark = RunMark::new(run, "books", "DEMO", BEGINNING, (7, digest("run")));
    // Where nothing was prepared there are no data to stand beside.
    nothing.sink.keep_run(&mark).await.unwrap();
    assert!(
        nothing
            .sink
            .ledger_entries("books")
            .await
            .unwrap()
            .is_empty()
    );

    let world = World::of_vendors().await;
    let first = batch(&vendor(), (0, 0), &[("1", "Ada", 1)]).attested(digest("batch"));
    world.write(&first).await;
    world.sink.keep_run(&mark).await.unwrap();
    world.sink.keep_run(&mark).await.unwrap();
    let runs = "SELECT pipeline, is_complete, ties_out, ledger_sequence FROM sync_run";
    assert_eq!(world.ask(runs).await, ["books|false|false|7"]);
    let entries = world.sink.ledger_entries("books").await.unwrap();
    assert_eq!(entries, [digest("batch"), digest("run")]);
    assert!(
        world
            .sink
            .ledger_entries("others")
            .await
            .unwrap()
            .is_empty()
    );
}

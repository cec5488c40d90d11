//! Staging ahead: it saves the uploads at writing, and changes nothing of what is there.

use std::collections::BTreeMap;

use sink_bigquery::sink::{BigQuerySink, Mode};
use sync_core::{Landed, Sink as _};

use crate::world::{World, batch, deletes, vendor};

/// Another process with the same client's rights.
fn elsewhere(world: &World) -> BigQuerySink {
    BigQuerySink::new(world.client.clone(), world.sink.options().clone())
}

/// What was called while this was done.
async fn calls_of<T>(world: &World, work: impl Future<Output = T>) -> (T, BTreeMap<String, u64>) {
    let Some(simulator) = &world.simulator else {
        return (work.await, BTreeMap::new());
    };
    simulator.reset_stats();
    let done = work.await;
    (done, simulator.stats().calls)
}

async fn staging_tables(world: &World) -> usize {
    let tables = world.client.tables().list(&world.dataset).await.unwrap();
    let staged = tables
        .iter()
        .filter(|it| it.table_reference.table_id.as_str().starts_with("_staged"));
    staged.count()
}

#[tokio::test]
async fn a_batch_that_is_staged_is_seen_by_nobody_and_written_by_a_merge_alone() {
    let world = World::of_vendors().await;
    let first = batch(&vendor(), (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]);
    world.sink.stage(&first).await.unwrap();
    assert_eq!(world.vendors().await, Vec::<String>::new());
    assert_eq!(world.sink.lookup(&first.id()).await.unwrap(), Landed::No);
    assert_eq!(staging_tables(&world).await, 1);

    let (receipt, calls) = calls_of(&world, world.write(&first)).await;
    assert!(receipt.rejected.is_empty() && receipt.job.is_some());
    assert_eq!(
        world.vendors().await,
        ["1|Ada|0.01|false", "2|Bob|0.02|false"]
    );
    assert_eq!(staging_tables(&world).await, 0);
    if world.simulator.is_some() {
        // The merge and the mark, each with a look at how it went; and the staging table goes.
        let asked = ["jobs.insert", "jobs.get", "tables.delete"].map(str::to_owned);
        assert_eq!(calls, BTreeMap::from_iter(asked.into_iter().zip([2, 2, 1])));
    }
    let again = world.write(&first).await;
    assert_eq!(again.at, receipt.at);
}

#[tokio::test]
async fn the_next_is_staged_before_the_one_before_it_is_written() {
    let world = World::of_vendors().await;
    let stream = vendor();
    let batches = [
        batch(&stream, (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]),
        batch(&stream, (0, 1), &[("2", "Bob B.", 20), ("3", "Cyd", 3)]),
        deletes(&stream, (0, 2), &["1"]),
        batch(&stream, (0, 3), &[("3", "Cyd C.", 30)]),
    ];
    world.sink.stage(&batches[0]).await.unwrap();
    for (number, batch) in batches.iter().enumerate() {
        let next = batches.get(number + 1);
        let staging = async {
            match next {
                Some(next) => world.sink.stage(next).await,
                None => Ok(()),
            }
        };
        let (staged, receipt) = futures_util::future::join(staging, world.sink.write(batch)).await;
        staged.unwrap();
        assert!(receipt.unwrap().rejected.is_empty());
    }
    let expected = [
        "1|Ada|0.01|true",
        "2|Bob B.|0.2|false",
        "3|Cyd C.|0.3|false",
    ];
    assert_eq!(world.vendors().await, expected);
    assert_eq!(staging_tables(&world).await, 0);
}

#[tokio::test]
async fn what_one_process_staged_another_writes_without_loading_it_again() {
    let world = World::of_vendors().await;
    let first = batch(&vendor(), (0, 0), &[("1", "Ada", 1)]);
    elsewhere(&world).stage(&first).await.unwrap();
    let receipt = world.write(&first).await;
    assert!(receipt.rejected.is_empty());
    assert_eq!(world.vendors().await, ["1|Ada|0.01|false"]);
    if let Some(simulator) = &world.simulator {
        let loads = simulator.jobs().into_iter();
        let loads = loads.filter(|job| job["configuration"]["load"].is_object());
        assert_eq!(loads.count(), 1);
    }
}

#[tokio::test]
async fn a_batch_that_another_process_wrote_after_it_was_staged_is_there_once() {
    let world = World::of_vendors().await;
    let stream = vendor();
    let first = batch(&stream, (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]);
    world.sink.stage(&first).await.unwrap();
    let other = elsewhere(&world);
    other.write(&first).await.unwrap();
    let later = batch(&stream, (0, 1), &[("1", "Ada L.", 10)]);
    other.write(&later).await.unwrap();
    let receipt = world.write(&first).await;
    assert!(receipt.rejected.is_empty(), "{receipt:?}");
    let expected = ["1|Ada L.|0.1|false", "2|Bob|0.02|false"];
    assert_eq!(world.vendors().await, expected);
    let marks = "SELECT COUNT(*) AS n FROM sync_batch";
    assert_eq!(world.ask(marks).await, ["2"]);
}

#[tokio::test]
async fn what_is_staged_and_never_written_goes_with_its_table_and_can_be_written_later() {
    let world = World::of_vendors().await;
    let stream = vendor();
    let given_up = batch(&stream, (0, 0), &[("1", "Ada", 1)]);
    world.sink.stage(&given_up).await.unwrap();
    let tables = world.client.tables();
    let staging = tables.list(&world.dataset).await.unwrap();
    let staging = staging.into_iter().map(|it| it.table_reference);
    let staging: Vec<_> = staging
        .filter(|it| it.table_id.as_str().starts_with("_staged"))
        .collect();
    let [staging] = &staging[..] else {
        panic!("one staging table: {staging:?}")
    };
    assert!(tables.get(staging).await.unwrap().expiration_time.is_some());
    // As it removes itself.
    tables.delete(staging).await.unwrap();
    let next = batch(&stream, (0, 1), &[("2", "Bob", 2)]);
    world.write(&next).await;
    assert_eq!(world.vendors().await, ["2|Bob|0.02|false"]);

    // The process that staged it finds its table gone, and one that did not loads it anew.
    world.sink.write(&given_up).await.unwrap_err();
    world.write(&given_up).await;
    let expected = ["1|Ada|0.01|false", "2|Bob|0.02|false"];
    assert_eq!(world.vendors().await, expected);
}

#[tokio::test]
async fn nothing_is_staged_of_what_is_streamed() {
    let world = World::with(|mut options| {
        options.cold_table = std::time::Duration::ZERO;
        options.mode(Mode::Streaming)
    })
    .await;
    world.prepare(&vendor()).await;
    let first = batch(&vendor(), (0, 0), &[("1", "Ada", 1)]);
    let (staged, calls) = calls_of(&world, world.sink.stage(&first)).await;
    staged.unwrap();
    assert_eq!(calls, BTreeMap::new());
    world.write(&first).await;
    assert_eq!(world.vendors().await, ["1|Ada|0.01|false"]);
}

#[tokio::test]
async fn a_stream_without_a_table_is_told_when_it_is_staged() {
    let world = World::new().await;
    let first = batch(&vendor(), (0, 0), &[("1", "Ada", 1)]);
    let error = world.sink.stage(&first).await.unwrap_err();
    assert_eq!(error.kind(), sync_core::ErrorKind::Conflict);
    let told = error.chain();
    for part in ["plan and prepare", "vendor", &first.id().to_string()] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

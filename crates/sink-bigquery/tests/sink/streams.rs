//! Streaming: a table that only grows, and a view of the latest.

use std::time::Duration;

use sink_bigquery::TableId;
use sink_bigquery::sink::Mode;
use sync_core::{DeleteMode, ErrorKind, Landed, Sink as _};

use crate::world::{World, batch, deletes, vendor};

async fn streaming(cold_table: Duration) -> World {
    let world = World::with(|mut options| {
        options.cold_table = cold_table;
        options.mode(Mode::Streaming)
    })
    .await;
    world.prepare(&vendor()).await;
    world
}

#[tokio::test]
async fn the_view_shows_each_record_as_it_was_last() {
    let world = streaming(Duration::ZERO).await;
    let stream = vendor();
    let first = batch(
        &stream,
        (0, 0),
        &[("1", "Ada", 1), ("2", "Bob", 2), ("3", "Cyd", 3)],
    );
    let receipt = world.write(&first).await;
    assert!(receipt.rejected.is_empty(), "{receipt:?}");
    world
        .write(&batch(&stream, (2, 0), &[("1", "Ada L.", 10)]))
        .await;
    // It comes late, and is no later for it.
    world
        .write(&batch(
            &stream,
            (1, 0),
            &[("1", "old", 0), ("2", "Bob B.", 20)],
        ))
        .await;
    let gone = deletes(&stream, (3, 0), &["3"]);
    world.write(&gone).await;
    let rows = [
        "1|Ada L.|0.1|false",
        "2|Bob B.|0.2|false",
        "3|Cyd|0.03|true",
    ];
    assert_eq!(world.vendors().await, rows);
    assert_eq!(world.write(&first).await.at, receipt.at);
    assert!(matches!(
        world.sink.lookup(&gone.id()).await.unwrap(),
        Landed::Yes(_)
    ));
    let ids = "SELECT _record_id, _batch_id, _fivetran_deleted FROM vendor WHERE id = '3'";
    let told = format!("{}|{}|true", gone.record_ids()[0], gone.id());
    assert_eq!(world.ask(ids).await, [told]);

    // Cut off before its mark: it comes again, and is shown once.
    world
        .meddle("DELETE FROM sync_batch WHERE batch_id <> ''")
        .await;
    assert_eq!(
        world.sink.lookup(&first.id()).await.unwrap(),
        Landed::Unknown
    );
    world.write(&first).await;
    assert_eq!(world.vendors().await, rows);
    // It comes back after its delete.
    world
        .write(&batch(&stream, (4, 0), &[("3", "Cyd", 3)]))
        .await;
    assert_eq!(world.vendors().await[2], "3|Cyd|0.03|false");
}

#[tokio::test]
async fn a_record_that_is_removed_is_not_shown() {
    let world = World::with(|mut options| {
        options.cold_table = Duration::ZERO;
        options.mode(Mode::Streaming)
    })
    .await;
    let mut stream = vendor();
    stream.delete_mode = DeleteMode::Remove;
    world.prepare(&stream).await;
    world
        .write(&batch(&stream, (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]))
        .await;
    world.write(&deletes(&stream, (1, 0), &["2", "7"])).await;
    assert_eq!(world.vendors().await, ["1|Ada|0.01|false"]);
}

#[tokio::test]
async fn rows_are_loaded_into_a_table_that_is_too_new_to_stream_into() {
    let world = streaming(Duration::from_secs(600)).await;
    let stream = vendor();
    world
        .write(&batch(&stream, (0, 0), &[("1", "Ada", 1)]))
        .await;
    assert_eq!(world.vendors().await, ["1|Ada|0.01|false"]);
    let landing = world.dataset.table(TableId::new("vendor_landing").unwrap());
    let landing = world.client.tables().get(&landing).await.unwrap();
    assert!(landing.streaming_buffer.is_none(), "it was streamed");
    assert!(landing.time_partitioning.unwrap().field.is_none());
}

#[tokio::test]
async fn a_stream_stays_in_its_mode() {
    let world = streaming(Duration::ZERO).await;
    let options = world.sink.options().clone().mode(Mode::StagedMerge);
    let other = sink_bigquery::sink::BigQuerySink::new(world.client.clone(), options);
    assert_eq!(
        other.plan(&vendor()).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert!(world.sink.plan(&vendor()).await.unwrap().is_empty());
}

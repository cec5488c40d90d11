//! Rows: written once, in their order, whatever is cut off in between.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use sync_core::{DeleteMode, ErrorKind, Landed, Operation, RejectionClass, Sink as _};

use crate::world::{World, batch, deletes, of, placed, vendor};

#[tokio::test]
async fn two_datasets_of_a_project_each_get_the_batch() {
    let world = World::of_vendors().await;
    let beside = world.beside().await;
    let first = batch(&vendor(), (0, 0), &[("1", "Ada", 1)]);
    world.write(&first).await;
    assert_eq!(beside.sink.lookup(&first.id()).await.unwrap(), Landed::No);
    beside.write(&first).await;
    assert_eq!(beside.vendors().await, ["1|Ada|0.01|false"]);
}

#[tokio::test]
async fn a_batch_is_written_once_however_often_it_comes() {
    let world = World::of_vendors().await;
    let first = batch(
        &vendor(),
        (0, 0),
        &[("1", "Ada", 1250), ("2", "Bob \"B\"\n", -5)],
    );
    assert_eq!(world.sink.lookup(&first.id()).await.unwrap(), Landed::No);
    let receipt = world.write(&first).await;
    assert!(receipt.rejected.is_empty(), "{receipt:?}");
    assert!(receipt.job.is_some());
    let rows = ["1|Ada|12.5|false", "2|Bob \"B\"\n|-0.05|false"];
    assert_eq!(world.vendors().await, rows);

    let again = world.write(&first).await;
    assert_eq!(
        (again.at, again.rejected),
        (receipt.at, receipt.rejected.clone())
    );
    let Landed::Yes(found) = world.sink.lookup(&first.id()).await.unwrap() else {
        panic!("it has landed")
    };
    assert_eq!((found.batch, found.at), (first.id(), receipt.at));
    assert_eq!(world.vendors().await, rows);
    let staged = world.client.tables().list(&world.dataset).await.unwrap();
    let staged = staged
        .iter()
        .filter(|it| it.table_reference.table_id.as_str().starts_with("_staged"));
    assert_eq!(staged.count(), 0, "a staging table is left");
}

#[tokio::test]
async fn a_row_shows_its_batch_and_times() {
    let world = World::of_vendors().await;
    let first = batch(&vendor(), (0, 3), &[("1", "Ada", 0)]);
    world.write(&first).await;
    let sql = "SELECT _batch_id, _record_id, _version, UNIX_SECONDS(_synced_at) AS a, UNIX_SECONDS(_fivetran_synced) AS b, \
               UNIX_SECONDS(_source_modified_at) AS c, _fivetran_deleted FROM vendor";
    let seconds = crate::world::BEGINNING.unix_timestamp();
    assert_eq!(
        world.ask(sql).await,
        [format!(
            "{}|{}|2026-01-31T18:00:00.000000Z/000000000003|{seconds}|{seconds}|{seconds}|false",
            first.id(),
            first.record_ids()[0]
        )]
    );
}

#[tokio::test]
async fn a_later_state_takes_the_place_of_an_earlier_one_and_never_the_other_way() {
    let world = World::of_vendors().await;
    let stream = vendor();
    world
        .write(&batch(
            &stream,
            (1, 1),
            &[("1", "new", 2), ("3", "three", 3)],
        ))
        .await;
    let late = batch(
        &stream,
        (1, 0),
        &[("1", "old", 1), ("2", "two", 2), ("3", "old", 1)],
    );
    let receipt = world.write(&late).await;
    let rejected: Vec<_> = receipt
        .rejected
        .iter()
        .map(|it| (it.row, it.class))
        .collect();
    let superseded = RejectionClass::Superseded;
    assert_eq!(rejected, [(0, superseded), (2, superseded)]);
    assert_eq!(
        world.vendors().await,
        ["1|new|0.02|false", "2|two|0.02|false", "3|three|0.03|false"]
    );
    // A later look-up tells the same.
    let Landed::Yes(found) = world.sink.lookup(&late.id()).await.unwrap() else {
        panic!("it has landed")
    };
    assert_eq!(found.rejected, receipt.rejected);
    // A delete that comes late takes nothing away either.
    let receipt = world.write(&deletes(&stream, (0, 9), &["1"])).await;
    assert_eq!(receipt.rejected.len(), 1);
    assert_eq!(world.vendors().await[0], "1|new|0.02|false");
}

#[tokio::test]
async fn a_delete_marks_or_removes() {
    let marking = World::of_vendors().await;
    let mut stream = vendor();
    let both = [("1", "Ada", 1), ("2", "Bob", 2)];
    marking.write(&batch(&stream, (0, 0), &both)).await;
    let gone = deletes(&stream, (1, 0), &["2", "7"]);
    let receipt = marking.write(&gone).await;
    assert!(
        receipt.rejected.is_empty(),
        "what is not there is no refusal: {receipt:?}"
    );
    let sql = "SELECT id, name, _deleted, _fivetran_deleted, _batch_id FROM vendor WHERE id = '2'";
    assert_eq!(
        marking.ask(sql).await,
        [format!("2|Bob|true|true|{}", gone.id())]
    );
    // It comes back.
    marking.write(&batch(&stream, (2, 0), &both[1..])).await;
    assert_eq!(
        marking.vendors().await,
        ["1|Ada|0.01|false", "2|Bob|0.02|false"]
    );

    stream.delete_mode = DeleteMode::Remove;
    let removing = World::new().await;
    removing.prepare(&stream).await;
    removing.write(&batch(&stream, (0, 0), &both)).await;
    removing.write(&deletes(&stream, (1, 0), &["2"])).await;
    assert_eq!(removing.vendors().await, ["1|Ada|0.01|false"]);
}

#[tokio::test]
async fn what_no_column_holds_is_rejected_and_stays_known() {
    let world = World::new().await;
    let stream = of(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("day", DataType::Date32, true),
    ]);
    world.prepare(&stream).await;
    let columns: [ArrayRef; 2] = [
        Arc::new(StringArray::from(vec!["1", "2"])),
        Arc::new(Date32Array::from(vec![i32::MAX, 0])),
    ];
    let rows = RecordBatch::try_new(Arc::clone(&stream.schema), columns.into()).unwrap();
    let batch = placed(&stream, (0, 0), Operation::Upsert, &rows);
    let receipt = world.write(&batch).await;
    assert_eq!(receipt.rejected.len(), 1);
    assert_eq!(receipt.rejected[0].class, RejectionClass::Unfit);
    assert_eq!(
        world.ask("SELECT id, day FROM vendor").await,
        ["2|1970-01-01"]
    );
    assert_eq!(world.write(&batch).await.rejected, receipt.rejected);

    // A batch of nothing but such rows is there all the same.
    let none = placed(&stream, (1, 0), Operation::Upsert, &rows.slice(0, 1));
    assert_eq!(world.write(&none).await.rejected.len(), 1);
    assert!(matches!(
        world.sink.lookup(&none.id()).await.unwrap(),
        Landed::Yes(_)
    ));
}

#[tokio::test]
async fn a_batch_that_was_cut_off_before_its_mark_is_brought_to_its_end() {
    let world = World::of_vendors().await;
    let stream = vendor();
    let first = batch(&stream, (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]);
    let receipt = world.write(&first).await;
    world
        .meddle("DELETE FROM sync_batch WHERE batch_id <> ''")
        .await;
    // The merge is known by its id.
    assert_eq!(
        world.sink.lookup(&first.id()).await.unwrap(),
        Landed::Unknown
    );
    world
        .meddle("UPDATE vendor SET name = 'by hand' WHERE id = '1'")
        .await;
    let again = world.write(&first).await;
    assert_eq!(again.rejected, receipt.rejected);
    // It was found, and not run again.
    assert_eq!(again.job, receipt.job);
    assert_eq!(
        world.vendors().await,
        ["1|by hand|0.01|false", "2|Bob|0.02|false"]
    );
    assert!(matches!(
        world.sink.lookup(&first.id()).await.unwrap(),
        Landed::Yes(_)
    ));
}

#[tokio::test]
async fn a_batch_is_written_again_when_a_person_asks_for_it() {
    let world = World::of_vendors().await;
    let stream = vendor();
    let first = batch(&stream, (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]);
    world.write(&first).await;
    for _ in 0..2 {
        world
            .meddle("UPDATE vendor SET name = 'by hand' WHERE id = '1'")
            .await;
        world.meddle("DELETE FROM vendor WHERE id = '2'").await;
        world.sink.rewrite(&first).await.unwrap();
        assert_eq!(
            world.vendors().await,
            ["1|Ada|0.01|false", "2|Bob|0.02|false"]
        );
    }
    let marks = world.ask("SELECT batch_id, writes FROM sync_batch").await;
    assert_eq!(marks, [format!("{}|3", first.id())]);
}

#[tokio::test]
async fn a_table_that_was_dropped_gets_its_batches_again() {
    let world = World::of_vendors().await;
    let stream = vendor();
    let first = batch(&stream, (0, 0), &[("1", "Ada", 1)]);
    world.write(&first).await;
    let table = world
        .sink
        .options()
        .dataset
        .table(sink_bigquery::TableId::new("vendor").unwrap());
    world.client.tables().delete(&table).await.unwrap();
    let refused = world
        .sink
        .write(&batch(&stream, (1, 0), &[("2", "Bob", 2)]))
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    world.prepare(&stream).await;
    assert_eq!(
        world.sink.lookup(&first.id()).await.unwrap(),
        Landed::Unknown
    );
    world.write(&first).await;
    assert_eq!(world.vendors().await, ["1|Ada|0.01|false"]);
}

#[tokio::test]
async fn two_writers_of_the_same_batch_write_it_once() {
    let world = World::of_vendors().await;
    let stream = vendor();
    let first = batch(&stream, (0, 0), &[("1", "Ada", 1), ("2", "Bob", 2)]);
    let (one, other) = (world.sink.clone(), world.sink.clone());
    let (one, other) = tokio::join!(one.write(&first), other.write(&first));
    // One of them may find that the other has cleared the staged rows away.
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    assert_eq!(
        world.vendors().await,
        ["1|Ada|0.01|false", "2|Bob|0.02|false"]
    );
    assert_eq!(
        world.ask("SELECT COUNT(*) AS n FROM sync_batch").await,
        ["1"]
    );
}

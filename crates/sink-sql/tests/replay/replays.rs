//! Batches are sent again, from the spool.

use std::collections::BTreeSet;
use std::time::Duration;

use sync_core::pipeline::{
    BatchReplay, ReplayOptions, ReplayOutcome, ReplayReport, ReplaySelection, StreamReplay,
};
use sync_core::store::{BatchQuery, BatchesThat, Holder, LeaseRequest, LetterStatus, ReplayMode};
use sync_core::{BatchId, ErrorKind, RejectionClass, RunId};
use time::OffsetDateTime;

use crate::world::{World, key};

const MISSING: ReplayMode = ReplayMode::Missing;
const FORCE: ReplayMode = ReplayMode::Force;

async fn replay(world: &World, selection: ReplaySelection, mode: ReplayMode) -> ReplayReport {
    let options = ReplayOptions::in_mode(mode);
    let pipeline = world.pipeline();
    let asked = world.books.asked();
    // On a task, as a program would.
    let replaying = tokio::spawn(async move { pipeline.replay(&selection, &options).await });
    let report = replaying.await.unwrap().unwrap();
    assert_eq!(world.books.asked(), asked, "the source was asked");
    world.assert_intact().await;
    world.assert_marked(report.run, report.head);
    report
}

fn everything() -> ReplaySelection {
    ReplaySelection::Window {
        from: None,
        until: OffsetDateTime::now_utc() + Duration::from_secs(1_000_000_000),
    }
}

fn only(report: &ReplayReport) -> &StreamReplay {
    let [stream] = &report.streams[..] else {
        panic!("{report:?}")
    };
    assert_eq!(stream.error, None);
    stream
}

fn outcomes(report: &ReplayReport) -> Vec<(ReplayOutcome, u64, u64)> {
    let batches = only(report).batches.iter();
    batches
        .map(|it| (it.outcome, it.rows, it.superseded))
        .collect()
}

async fn batches(world: &World) -> Vec<BatchId> {
    let scope = world.scope();
    let query = BatchQuery {
        pipeline: scope.pipeline,
        sink: scope.sink,
        streams: Vec::new(),
        which: BatchesThat::Are,
    };
    let batches = world.store.batches(&query).await.unwrap();
    batches.into_iter().map(|batch| batch.id).collect()
}

/// Six records in two batches; then the second record changes and the third is deleted.
async fn two_days(world: &World) -> [RunId; 2] {
    for number in 1..=6 {
        world.books.set(number, "first", i128::from(number));
    }
    let first = world.run_whole().await;
    world.books.set(2, "second", 200);
    world.books.delete(3);
    let second = world.run_whole().await;
    world.assert_equal();
    [first, second]
}

pub(crate) async fn what_is_there_is_not_sent(world: World) {
    let [first, _] = two_days(&world).await;
    let before = world.rows_with_ids();
    let report = replay(&world, ReplaySelection::Run(first), MISSING).await;
    assert_eq!(
        outcomes(&report),
        [(ReplayOutcome::There, 0, 0), (ReplayOutcome::There, 0, 0)]
    );
    assert!(report.is_complete());
    assert_eq!(world.rows_with_ids(), before);
    let told = world.told_by(report.run).await;
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["run_begun", "batch_replayed", "batch_replayed", "run_ended"]
    );
    assert_eq!(told[1].1["outcome"], "there");
}

pub(crate) async fn what_the_destination_lost_is_sent_with_the_ids_that_it_had(world: World) {
    two_days(&world).await;
    let before = world.rows_with_ids();
    // Somebody dropped the table, and what says which batches it held.
    world.outside("DROP TABLE @.entry; DELETE FROM @.sync_batch");
    let report = replay(&world, everything(), MISSING).await;
    let sent = ReplayOutcome::Sent;
    // Of the first batch two records have later states; the last one deletes.
    assert_eq!(
        outcomes(&report),
        [(sent, 2, 2), (sent, 2, 0), (sent, 1, 0), (sent, 1, 0)]
    );
    assert_eq!(world.rows_with_ids(), before);
    world.assert_equal();
    let told = world.told_by(report.run).await;
    let replayed: Vec<_> = told
        .iter()
        .filter(|(kind, _)| kind.starts_with("batch_repl"))
        .collect();
    assert_eq!(replayed.len(), 8);
    assert_eq!(
        (replayed[0].0.as_str(), replayed[1].0.as_str()),
        ("batch_replaying", "batch_replayed")
    );
    assert_eq!(replayed[1].1["superseded"], 2);
    assert_eq!(replayed[0].1["batch"], replayed[1].1["batch"]);
    // The destination keeps what the first delivery told, so that it is recognised.
    let again = replay(&world, everything(), MISSING).await;
    assert_eq!(again.with_outcome(ReplayOutcome::There).count(), 4);
    world.books.set(7, "third", 7);
    world.run_whole().await;
    world.assert_equal();
}

pub(crate) async fn force_mends_rows_and_never_brings_back_an_older_state(world: World) {
    let [first, _] = two_days(&world).await;
    let before = world.rows_with_ids();
    world.outside("UPDATE @.entry SET name = 'spoiled' WHERE recordno <> 2");
    let report = replay(&world, ReplaySelection::Run(first), FORCE).await;
    let sent = ReplayOutcome::Sent;
    assert_eq!(outcomes(&report), [(sent, 2, 2), (sent, 2, 0)]);
    world.assert_equal();
    assert_eq!(world.rows_with_ids(), before);
    // Also the delete may be forced, and the newest state of all.
    let all = replay(&world, everything(), FORCE).await;
    assert_eq!(all.with_outcome(ReplayOutcome::Sent).count(), 4);
    world.assert_equal();
    assert_eq!(world.rows_with_ids(), before);
    world.books.set(1, "third", 1);
    world.run_whole().await;
    world.assert_equal();
}

pub(crate) async fn what_is_gone_or_damaged_is_named_and_the_rest_is_sent(world: World) {
    two_days(&world).await;
    let batches = batches(&world).await;
    std::fs::remove_file(world.payload(batches[0])).unwrap();
    let damaged = world.payload(batches[2]);
    let mut bytes = std::fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    world.outside("DROP TABLE @.entry; DELETE FROM @.sync_batch");
    let report = replay(&world, everything(), MISSING).await;
    use ReplayOutcome::{Damaged, Gone, Sent};
    let named: Vec<_> = only(&report)
        .batches
        .iter()
        .map(|it| (it.batch, it.outcome))
        .collect();
    assert_eq!(
        named,
        [
            (batches[0], Gone),
            (batches[1], Sent),
            (batches[2], Damaged),
            (batches[3], Sent)
        ]
    );
    assert!(!report.is_complete());
    assert_eq!(world.rows(), ["5|first|5", "6|first|6"]);
    let told = world.told_by(report.run).await;
    let gone = told.iter().filter(|(_, body)| body["outcome"] == "gone");
    assert_eq!(gone.count(), 1);
}

pub(crate) async fn batches_that_carried_a_record_are_found_in_their_order(world: World) {
    two_days(&world).await;
    let all = batches(&world).await;
    let carriers = |number: i64| {
        let stream = world.scope().stream;
        let key = key(number);
        ReplaySelection::Record { stream, key }
    };
    let found = |report: &ReplayReport| {
        let batches = only(report).batches.iter();
        batches.map(|it| it.batch).collect::<Vec<_>>()
    };
    let second = replay(&world, carriers(2), FORCE).await;
    assert_eq!(found(&second), [all[0], all[2]]);
    let third = replay(&world, carriers(3), MISSING).await;
    assert_eq!(found(&third), [all[0], all[3]]);
    world.assert_equal();
    std::fs::remove_file(world.payload(all[0])).unwrap();
    let partly = replay(&world, carriers(2), MISSING).await;
    assert_eq!(
        (found(&partly), only(&partly).unsearched),
        (vec![all[2]], 1)
    );
    assert!(!partly.is_complete());
    let unknown = carriers(99);
    let error = world
        .pipeline()
        .replay(&unknown, &ReplayOptions::default())
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) async fn refused_records_arrive_once_the_destination_is_mended(world: World) {
    world.books.set(1, "good", 1);
    world.run_whole().await;
    world.refuse_bad();
    world.books.set(2, "bad", 2);
    world.books.set(3, "good", 3);
    world.books.set(4, "bad", 4);
    world.run_whole().await;
    world.books.set(4, "good", 44);
    world.run_whole().await;
    let waiting = ("2".to_owned(), LetterStatus::Open, 0);
    assert_eq!(world.statuses().await[0], waiting);
    world.mend();

    let other = ReplaySelection::Rejected(RejectionClass::Unfit);
    let error = world
        .pipeline()
        .replay(&other, &ReplayOptions::default())
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    let refused = || ReplaySelection::Rejected(RejectionClass::Refused);
    // The destination has this batch, but for what it refused.
    let report = replay(&world, refused(), MISSING).await;
    assert_eq!(outcomes(&report), [(ReplayOutcome::There, 0, 0)]);
    let report = replay(&world, refused(), FORCE).await;
    // The fourth was delivered in a later state meanwhile.
    assert_eq!(outcomes(&report), [(ReplayOutcome::Sent, 2, 1)]);
    world.assert_equal();
    let letters = world.letters().await;
    let batch = only(&report).batches[0].batch;
    assert_eq!(letters[0].status, LetterStatus::Resolved);
    assert_eq!(letters[0].resolved_by, Some(batch));
    let audit = world.store.audit(&world.scope(), &key(2)).await.unwrap();
    assert_eq!(audit.last.unwrap().batch, batch);
    let marker = format!("SELECT rejected FROM @.sync_batch WHERE batch_id = '{batch}'");
    let marker = world.lines(&marker).remove(0);
    // What was left out this time is still told to be refused.
    assert!(
        marker.contains(r#""row":2"#) && !marker.contains(r#""row":0"#),
        "{marker}"
    );
    // Nothing is left to be done, and the next run knows it.
    let error = world
        .pipeline()
        .replay(&refused(), &ReplayOptions::default())
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.run().await.streams[0].written, 0);
}

pub(crate) async fn a_record_that_is_refused_in_a_replay_is_sent_by_the_next_run(world: World) {
    world.books.set(1, "good", 1);
    world.books.set(2, "bad", 2);
    let run = world.run_whole().await;
    world.refuse_bad();
    world.outside("DELETE FROM @.entry; DELETE FROM @.sync_batch");
    let report = replay(&world, ReplaySelection::Run(run), MISSING).await;
    let batch: &BatchReplay = &only(&report).batches[0];
    assert_eq!((batch.rows, batch.refused), (2, 1));
    assert!(!report.is_complete());
    assert_eq!(world.rows(), ["1|good|1"]);
    let open = ("2".to_owned(), LetterStatus::Open, 0);
    assert_eq!(world.statuses().await, [open]);
    assert_eq!(world.store.live_records(&world.scope()).await.unwrap(), 1);
    world.mend();
    // The lookback reads it again.
    world.run_whole().await;
    world.assert_equal();
    let resolved = ("2".to_owned(), LetterStatus::Resolved, 0);
    assert_eq!(world.statuses().await, [resolved]);
}

pub(crate) async fn a_plan_does_nothing(world: World) {
    two_days(&world).await;
    world.outside("DROP TABLE @.entry; DELETE FROM @.sync_batch WHERE ordinal > 0");
    world.outside("DELETE FROM @.sync_batch WHERE window_from IS NOT NULL");
    let entries = world.entries().await;
    let asked = world.books.asked();
    let (pipeline, options) = (world.pipeline(), ReplayOptions::default());
    let plan = pipeline.plan_replay(&everything(), &options).await.unwrap();
    let [stream] = &plan[..] else {
        panic!("{plan:?}")
    };
    use ReplayOutcome::{Sent, There};
    let planned: Vec<_> = stream
        .batches
        .iter()
        .map(|it| (it.outcome, it.rows, it.superseded))
        .collect();
    assert_eq!(
        planned,
        [(There, 0, 0), (Sent, 2, 0), (Sent, 1, 0), (Sent, 1, 0)]
    );
    assert!(stream.batches.iter().all(|batch| batch.bytes > 0));
    let planned = pipeline
        .plan_replay(&everything(), &ReplayOptions::in_mode(FORCE))
        .await
        .unwrap();
    assert_eq!(planned[0].batches[0].superseded, 2);
    assert_eq!(
        (world.entries().await, world.books.asked()),
        (entries, asked)
    );
    assert!(world.store.leases().await.unwrap().is_empty());
}

pub(crate) async fn what_matches_nothing_is_an_error_that_leaves_no_trace(world: World) {
    two_days(&world).await;
    let entries = world.entries().await;
    let known = batches(&world).await;
    let unknown: BatchId = "00".repeat(16).parse().unwrap();
    let other_stream = {
        let mut options = ReplayOptions::default();
        options.streams = vec!["other".parse().unwrap()];
        options
    };
    let begun = OffsetDateTime::from_unix_timestamp(crate::books::START).unwrap();
    for (selection, options) in [
        (
            ReplaySelection::Run(RunId::generate()),
            ReplayOptions::default(),
        ),
        (
            ReplaySelection::Batches(vec![known[0], unknown]),
            ReplayOptions::default(),
        ),
        (
            ReplaySelection::Window {
                from: Some(begun + Duration::from_secs(1_000_000)),
                until: begun + Duration::from_secs(2_000_000),
            },
            ReplayOptions::default(),
        ),
        (everything(), other_stream),
    ] {
        let error = world.pipeline().replay(&selection, &options).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{selection:?}");
    }
    assert_eq!(world.entries().await, entries);
    let named = ReplaySelection::Batches(known[1..3].to_vec());
    let report = replay(&world, named, MISSING).await;
    let found: BTreeSet<_> = only(&report).batches.iter().map(|it| it.batch).collect();
    assert_eq!(found, known[1..3].iter().copied().collect());
}

pub(crate) async fn a_stream_that_another_holds_is_left_alone(world: World) {
    two_days(&world).await;
    let request = LeaseRequest {
        run: RunId::generate(),
        pipeline: "books".into(),
        stream: world.scope().stream,
        holder: Holder {
            host: "elsewhere".into(),
            process: 1,
        },
        duration: Duration::from_secs(60),
    };
    let lease = world.store.acquire(&request).await.unwrap();
    world.outside("DROP TABLE @.entry; DELETE FROM @.sync_batch");
    let options = ReplayOptions::default();
    let report = world.pipeline().replay(&everything(), &options).await;
    let report = report.unwrap();
    let error = report.streams[0].error.as_deref().unwrap();
    assert!(error.contains("elsewhere"), "{error}");
    assert!(report.streams[0].batches.is_empty() && !report.is_complete());
    world.store.release(&lease).await.unwrap();
    assert!(replay(&world, everything(), MISSING).await.is_complete());
    world.assert_equal();
}

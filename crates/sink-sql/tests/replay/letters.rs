//! Dead letters are sent again.

use sync_core::pipeline::{RejectionLimit, RetryReport, StreamRetry};
use sync_core::shape::{Constant, Shaping, StreamMapping};
use sync_core::store::{LetterFilter, LetterStatus};
use sync_core::{ErrorKind, RejectionClass};

use crate::world::{World, key};

use LetterStatus::{Open, Resolved, Retried, Superseded};

async fn retry(world: &World) -> RetryReport {
    retry_some(world, LetterFilter::default()).await
}

async fn retry_some(world: &World, filter: LetterFilter) -> RetryReport {
    let pipeline = world.pipeline();
    let asked = world.books.asked_for_records();
    let retrying = tokio::spawn(async move { pipeline.retry_letters(&filter).await });
    let report = retrying.await.unwrap().unwrap();
    assert_eq!(
        world.books.asked_for_records(),
        asked,
        "the source was asked"
    );
    world.assert_intact().await;
    world.assert_marked(report.run, report.head);
    report
}

fn only(report: &RetryReport) -> &StreamRetry {
    let [stream] = &report.streams[..] else {
        panic!("{report:?}")
    };
    assert_eq!(stream.error, None);
    stream
}

fn counts(report: &RetryReport) -> (u64, u64, u64, usize) {
    let stream = only(report);
    let unfit = stream.unfit.len();
    (stream.resolved, stream.refused, stream.superseded, unfit)
}

fn status(name: &str, status: LetterStatus, attempts: u64) -> (String, LetterStatus, u64) {
    (name.to_owned(), status, attempts)
}

/// A day with nothing odd, then one with two records that the destination refuses.
async fn two_refused(world: &World) {
    world.books.set(1, "good", 1);
    world.books.set(2, "good", 2);
    world.run_whole().await;
    world.refuse_bad();
    world.books.set(2, "bad", 22);
    world.books.set(3, "bad", 3);
    world.books.set(4, "good", 4);
    world.run_whole().await;
    let statuses = world.statuses().await;
    assert_eq!(statuses, [status("2", Open, 0), status("3", Open, 0)]);
    let letters = world.letters().await;
    assert!(
        letters
            .iter()
            .all(|it| it.content.class == RejectionClass::Refused)
    );
}

pub(crate) async fn a_letter_arrives_once_the_destination_is_mended(world: World) {
    two_refused(&world).await;
    world.mend();
    let report = retry(&world).await;
    assert_eq!(counts(&report), (2, 0, 0, 0));
    assert!(report.is_complete());
    world.assert_equal();
    let statuses = world.statuses().await;
    assert_eq!(
        statuses,
        [status("2", Resolved, 1), status("3", Resolved, 1)]
    );
    let batch = only(&report).batches[0];
    assert_eq!(world.letters().await[0].resolved_by, Some(batch));
    let audit = world.store.audit(&world.scope(), &key(3)).await.unwrap();
    let last = audit.last.unwrap();
    assert_eq!((last.batch, last.run), (batch, report.run));
    let told = world.told_by(report.run).await;
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "run_begun",
            "batch_prepared",
            "letters_retried",
            "letters_resolved",
            "batch_settled",
            "run_ended"
        ]
    );
    // The lookback recognises what came this way, and later states follow it.
    let report = world.run().await;
    assert_eq!((report.streams[0].written, report.rejected()), (0, 0));
    world.books.set(2, "better", 222);
    world.run_whole().await;
    world.assert_equal();
    let none = world
        .pipeline()
        .retry_letters(&LetterFilter::default())
        .await;
    assert_eq!(none.unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) async fn a_letter_that_is_refused_again_counts_its_attempts(world: World) {
    two_refused(&world).await;
    for attempt in 1..=3 {
        let report = retry(&world).await;
        assert_eq!(counts(&report), (0, 2, 0, 0));
        assert!(!report.is_complete());
        let statuses = world.statuses().await;
        let expected = [status("2", Retried, attempt), status("3", Retried, attempt)];
        assert_eq!(statuses, expected);
    }
    let letter = world.letters().await.swap_remove(0);
    assert!(letter.attempt_reason.is_some() && letter.attempted_at.is_some());
    let expected = ["1|good|1", "2|good|2", "4|good|4"];
    assert_eq!(world.rows(), expected);
    world.mend();
    let mut filter = LetterFilter::default();
    filter.key = Some(key(3));
    assert_eq!(counts(&retry_some(&world, filter).await), (1, 0, 0, 0));
    let statuses = world.statuses().await;
    assert_eq!(
        statuses,
        [status("2", Retried, 3), status("3", Resolved, 4)]
    );
    // What waits still comes with the next state of its record.
    world.books.set(2, "good", 23);
    world.run_whole().await;
    world.assert_equal();
    assert_eq!(world.statuses().await[0], status("2", Resolved, 3));
}

pub(crate) async fn a_later_state_takes_the_place_of_a_letter(world: World) {
    two_refused(&world).await;
    // A later state that is refused too, and one that cannot be read.
    world.books.set(2, "bad", 222);
    world.books.set_unreadable(3, "1e5");
    world.run().await;
    world.mend();
    let report = retry(&world).await;
    assert_eq!(counts(&report), (1, 0, 2, 1));
    let expected = ["1|good|1", "2|bad|222", "4|good|4"];
    assert_eq!(world.rows(), expected);
    let statuses = world.statuses().await;
    assert_eq!(
        statuses,
        [
            status("2", Superseded, 0),
            status("3", Superseded, 0),
            status("3", Open, 0),
            status("2", Resolved, 1),
        ]
    );
    let told = world.told_by(report.run).await;
    assert!(told.iter().any(|(kind, _)| kind == "letters_superseded"));
}

pub(crate) async fn an_unreadable_record_is_read_from_its_letter_or_named(world: World) {
    world.books.set(1, "good", 1);
    world.books.set_unreadable(2, "17.25");
    world.books.set_unreadable(3, "1e5");
    world.run().await;
    let report = retry(&world).await;
    assert_eq!(counts(&report), (1, 0, 0, 1));
    let unfit = &only(&report).unfit[0];
    assert_eq!(
        (unfit.column.as_str(), unfit.reason.as_str()),
        ("amount", "not a decimal number")
    );
    assert_eq!(world.rows(), ["1|good|1", "2|read, after all|1725"]);
    let statuses = world.statuses().await;
    assert_eq!(statuses, [status("2", Resolved, 1), status("3", Open, 0)]);
    // The same page comes again and says nothing new.
    world.run().await;
    assert_eq!(world.statuses().await, statuses);
}

pub(crate) async fn letters_of_deletes_delete(world: World) {
    world.books.set(1, "good", 1);
    world.books.set(2, "good", 2);
    world.run_whole().await;
    world.refuse_deletes();
    world.books.delete(2);
    world.run_whole().await;
    assert_eq!(world.statuses().await, [status("2", Open, 0)]);
    assert_eq!(counts(&retry(&world).await), (0, 1, 0, 0));
    world.mend();
    assert_eq!(counts(&retry(&world).await), (1, 0, 0, 0));
    assert_eq!(world.rows(), ["1|good|1"]);
    assert_eq!(world.statuses().await, [status("2", Resolved, 2)]);
    assert_eq!(world.store.live_records(&world.scope()).await.unwrap(), 1);
    world.run_whole().await;
    world.assert_equal();
}

pub(crate) async fn letters_from_before_a_mapping_go_through_it(mut world: World) {
    let mapping = StreamMapping::default().add("region", Constant::Text("EMEA".into()));
    world.shaping = Shaping::default().stream(world.scope().stream, mapping);
    world.books.set(1, "good", 1);
    world.run_whole().await;
    world.refuse_bad();
    world.books.set_unreadable(2, "17.25");
    world.books.set(3, "bad", 3);
    world.run().await;
    world.mend();
    // What the destination refused has been through the mapping; what could not be read has not.
    assert_eq!(counts(&retry(&world).await), (2, 0, 0, 0));
    let rows = ["1|good|1", "2|read, after all|1725", "3|bad|3"];
    assert_eq!(world.rows(), rows);
    assert_eq!(world.lines("SELECT DISTINCT region FROM @.entry"), ["EMEA"]);
    let statuses = world.statuses().await;
    assert_eq!(
        statuses,
        [status("2", Resolved, 1), status("3", Resolved, 1)]
    );
}

pub(crate) async fn letters_of_an_open_window_take_their_place_in_it(mut world: World) {
    world.books.set(1, "good", 1);
    world.run_whole().await;
    world.refuse_bad();
    for number in 2..=12 {
        let name = if number % 2 == 0 { "bad" } else { "good" };
        world.books.set(number, name, i128::from(number));
    }
    world.limit = RejectionLimit::records(1);
    let report = world.run().await;
    assert!(report.streams[0].error.is_some());
    world.mend();
    // Batches that were already prepared arrive before the retry, one or more.
    let retried = retry(&world).await;
    assert_eq!(only(&retried).refused, 0);
    assert!(only(&retried).resolved >= 2, "{retried:?}");
    // The window is read on from where it was left, and what comes later finds its way.
    world.run_whole().await;
    world.assert_equal();
    world.books.set(2, "later", 2);
    world.run_whole().await;
    world.assert_equal();
    assert!(world.letters().await.iter().all(|it| it.status == Resolved));
}

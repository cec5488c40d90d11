//! So many records may be rejected, then a person has to look.

use sync_core::pipeline::{RejectionLimit, RunReport};
use sync_core::store::{Discard, LetterFilter};

use crate::world::World;

async fn watermark(world: &World) -> Option<time::OffsetDateTime> {
    let checkpoint = world.store.checkpoint(&world.scope()).await.unwrap();
    checkpoint.watermark
}

fn error(report: &RunReport) -> String {
    report.streams[0].error.clone().unwrap_or_default()
}

pub(crate) async fn too_many_rejected_records_fail_the_stream_until_somebody_has_looked(
    mut world: World,
) {
    world.limit = RejectionLimit::records(2);
    world.books.set(1, "good", 1);
    world.run_whole().await;
    let before = watermark(&world).await;
    world.refuse_bad();
    for number in 2..=9 {
        let name = if number % 2 == 0 { "bad" } else { "good" };
        world.books.set(number, name, i128::from(number));
    }
    let report = world.run().await;
    let said = error(&report);
    for word in [
        "more records were rejected",
        "rejected: 4",
        "limit: 2 records",
        "entry",
    ] {
        assert!(said.contains(word), "{said} lacks {word}");
    }
    // What was settled stays, and nothing says that the window is done.
    assert_eq!(watermark(&world).await, before);
    // A batch that was under way then may have arrived too.
    assert!((4..=5).contains(&world.rows().len()));
    assert_eq!(world.letters().await.len(), 4);
    // Started again by itself, it does not pass them by.
    let again = world.run().await;
    assert!(error(&again).contains("rejected: 4"), "{}", error(&again));
    assert_eq!(watermark(&world).await, before);
    // What was prepared then has arrived since.
    assert_eq!(world.rows().len(), 5);

    let letters = world.letters().await;
    let discard = Discard {
        letters: letters.iter().map(|letter| letter.id).take(2).collect(),
        reason: "test entries".into(),
        by: "a.controller".into(),
    };
    let scope = world.scope();
    world.store.discard_letters(&scope, &discard).await.unwrap();
    let report = world.run().await;
    assert_eq!(report.streams[0].error, None);
    assert!(watermark(&world).await > before);
    let waiting = LetterFilter::of(&scope).waiting();
    assert_eq!(world.store.count_letters(&waiting).await.unwrap(), 2);
    world.assert_intact().await;
}

pub(crate) async fn a_share_is_known_once_all_is_read(mut world: World) {
    world.limit = RejectionLimit::per_thousand(250);
    // The first page is worse than the whole.
    world.books.set_unreadable(1, "1e5");
    world.books.set_unreadable(2, "1e5");
    for number in 3..=8 {
        world.books.set(number, "good", i128::from(number));
    }
    assert_eq!(world.run().await.streams[0].error, None);
    let before = watermark(&world).await;
    world.books.set_unreadable(9, "1e5");
    world.books.set(10, "good", 10);
    let report = world.run().await;
    // The lookback reads all again: three of ten.
    let said = error(&report);
    for word in [
        "rejected: 3",
        "read: 10",
        "limit: 250 of a thousand records",
    ] {
        assert!(said.contains(word), "{said} lacks {word}");
    }
    assert_eq!(watermark(&world).await, before);
    world.assert_equal();
    assert!(!error(&world.run().await).is_empty());
    world.limit = RejectionLimit::per_thousand(500);
    assert_eq!(world.run().await.streams[0].error, None);
    assert!(watermark(&world).await > before);
}

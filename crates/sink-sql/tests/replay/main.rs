//! Replay and dead letters, through the whole pipeline: into both destinations, with both stores.

#![cfg(all(unix, feature = "sqlite", feature = "postgres"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod books;
mod letters;
mod limits;
mod replays;
mod world;

/// Each story as a test of each store with each destination. Where Postgres is not installed, what needs
/// it is skipped, saying so.
macro_rules! stories {
    ($($file:ident: $($name:ident)*;)*) => {
        stories!(@ sqlite_into_sqlite, (Engine::Sqlite, Engine::Sqlite), $($file: $($name)*;)*);
        stories!(@ sqlite_into_postgres, (Engine::Sqlite, Engine::Postgres), $($file: $($name)*;)*);
        stories!(@ postgres_into_sqlite, (Engine::Postgres, Engine::Sqlite), $($file: $($name)*;)*);
        stories!(@ postgres_into_postgres, (Engine::Postgres, Engine::Postgres), $($file: $($name)*;)*);
    };
    (@ $home:ident, $engines:expr, $($file:ident: $($name:ident)*;)*) => {
        mod $home {
            use crate::world::{Engine, World};
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (store, sink) = $engines;
                    if let Some(world) = World::new(store, sink).await {
                        crate::$file::$name(world).await;
                    }
                }
            )*)*
        }
    };
}

stories! {
    replays:
        what_is_there_is_not_sent
        what_the_destination_lost_is_sent_with_the_ids_that_it_had
        force_mends_rows_and_never_brings_back_an_older_state
        what_is_gone_or_damaged_is_named_and_the_rest_is_sent
        batches_that_carried_a_record_are_found_in_their_order
        refused_records_arrive_once_the_destination_is_mended
        a_record_that_is_refused_in_a_replay_is_sent_by_the_next_run
        a_plan_does_nothing
        what_matches_nothing_is_an_error_that_leaves_no_trace
        a_stream_that_another_holds_is_left_alone;
    letters:
        a_letter_arrives_once_the_destination_is_mended
        a_letter_that_is_refused_again_counts_its_attempts
        a_later_state_takes_the_place_of_a_letter
        an_unreadable_record_is_read_from_its_letter_or_named
        letters_of_deletes_delete
        letters_from_before_a_mapping_go_through_it
        letters_of_an_open_window_take_their_place_in_it;
    limits:
        too_many_rejected_records_fail_the_stream_until_somebody_has_looked
        a_share_is_known_once_all_is_read;
}
